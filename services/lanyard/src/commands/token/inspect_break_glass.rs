//! `lanyard token inspect` of a break-glass credential: that it is one, and nothing is spent. Only the cluster's hub knows more.

use lanyard_api::mapping::BREAK_GLASS_MEANING;
use lanyard_iam::Token;

use super::inspected::{Inspected, Part, State};
use crate::{cli::Context, exit::Ending, failure::Failure};

/// Shows it. No verifier was asked, so none refuses it.
pub(super) fn show(context: &Context, token: &Token) -> Result<Ending, Failure> {
    context.show(&look(token))?;
    Ok(Ending::Yes)
}

/// It has no form but its first letters, by which it was known.
fn look(token: &Token) -> Inspected {
    let value = format!("{} bytes, not shown", token.expose().len());
    let next = "`lanyard cluster break-glass list` has where one is armed, `lanyard explain --token` asks a hub about this one";
    Inspected {
        token: token.digest().to_string(),
        well_formed: true,
        reason: None,
        parts: vec![Part::new("credential", value, State::NeedsTheCluster, BREAK_GLASS_MEANING)],
        verdict: format!("not spent by this; {next}"),
    }
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
