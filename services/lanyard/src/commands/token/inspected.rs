//! What the inspections of all kinds of tokens say: a table of parts, each with how far it is known to be right, and a verdict.

use lanyard_iam::shown_within;
use serde::Serialize;

use crate::output::Tabular;

/// Most characters of a part's name or value that a table shows: whoever made the token chose some of them.
pub(super) const VALUE_CHARS_MAX: usize = 200;

/// How far a part is known to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// By its own rules, here and now.
    Verified,
    /// It can be read; whether it is true is STS's to say.
    NeedsSts,
    /// It can be read; whether it is true is for whoever has the issuer's keys to say.
    NeedsIssuer,
    /// Only the cluster's hub knows it.
    NeedsTheCluster,
    /// It breaks a rule.
    Refused,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::NeedsSts => "needs STS",
            Self::NeedsIssuer => "needs the issuer",
            Self::NeedsTheCluster => "needs the cluster",
            Self::Refused => "refused",
        }
    }
}

/// A part of a token; nothing secret is in its value.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) part: String,
    pub(super) value: String,
    pub(super) state: State,
    pub(super) note: String,
}

impl Part {
    /// A part as it stands in a row.
    pub(super) fn new(part: &str, value: impl Into<String>, state: State, note: impl Into<String>) -> Self {
        Self { part: part.to_owned(), value: value.into(), state, note: note.into() }
    }
}

/// What can be said of a token.
#[derive(Debug, Serialize)]
pub(super) struct Inspected {
    /// The first digits of its SHA-256, by which logs name it.
    pub(super) token: String,
    /// Whether its parts follow every rule, as far as that can be told here.
    pub(super) well_formed: bool,
    /// The stable code of the rule that it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    pub(super) parts: Vec<Part>,
    /// The same in words, for people.
    #[serde(skip)]
    pub(super) verdict: String,
}

impl Tabular for Inspected {
    fn columns(&self) -> Vec<&'static str> {
        vec!["PART", "VALUE", "STATE", "NOTE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |part: &Part| {
            let short = |text: &str| shown_within(text, VALUE_CHARS_MAX);
            vec![short(&part.part), short(&part.value), part.state.words().to_owned(), part.note.clone()]
        };
        self.parts.iter().map(row).collect()
    }

    fn notes(&self) -> Vec<String> {
        vec![String::new(), format!("token {}: {}", self.token, self.verdict)]
    }
}
