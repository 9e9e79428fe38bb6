//! `lanyard token inspect` of a break-glass credential: that it is one, and nothing is spent. Only the cluster's hub knows more.

use lanyard_api::mapping::BREAK_GLASS_MEANING;
use lanyard_iam::Token;
use serde::Serialize;

use crate::{cli::Context, exit::Ending, failure::Failure, output::Tabular};

/// All that can be told of it here.
#[derive(Debug, Serialize)]
struct Shown {
    /// The first digits of its SHA-256, by which logs name it.
    token: String,
    /// It has no form but its first letters, by which it was known.
    well_formed: bool,
    parts: [Part; 1],
}

#[derive(Debug, Serialize)]
struct Part {
    part: &'static str,
    value: String,
    state: &'static str,
    note: &'static str,
}

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["PART", "VALUE", "STATE", "NOTE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |part: &Part| {
            vec![part.part.to_owned(), part.value.clone(), part.state.replace('_', " "), part.note.to_owned()]
        };
        self.parts.iter().map(row).collect()
    }

    fn notes(&self) -> Vec<String> {
        let next = "`lanyard cluster break-glass list` has where one is armed, `lanyard explain --token` asks a hub about this one";
        vec![String::new(), format!("token {}: not spent by this; {next}", self.token)]
    }
}

/// Shows it. No verifier was asked, so none refuses it.
pub(super) fn show(context: &Context, token: &Token) -> Result<Ending, Failure> {
    context.show(&look(token))?;
    Ok(Ending::Yes)
}

fn look(token: &Token) -> Shown {
    let value = format!("{} bytes, not shown", token.expose().len());
    let part = Part { part: "credential", value, state: "needs_the_cluster", note: BREAK_GLASS_MEANING };
    Shown { token: token.digest().to_string(), well_formed: true, parts: [part] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_glass_credential_is_called_one_and_not_shown() {
        let shown = look(&Token::new("lbg_c2VjcmV0LW9mLXRoZS1jbHVzdGVy".to_owned()));
        let text = format!("{}{}", crate::output::table(&shown), serde_json::to_string(&shown).unwrap());
        for part in ["a break-glass credential", "needs the cluster", "lanyard cluster break-glass list"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("c2VjcmV0") && !text.contains("refused"), "{text}");
    }
}
