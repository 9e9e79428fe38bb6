//! YAML documents, one after the other.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Options};

use super::{Format, Limits, ParseError, Reader};
use crate::wire::{Placed, position, shown};

/// Levels of nesting. RBAC objects in a list need nine.
const DEPTH_MAX: usize = 48;

/// Nodes that aliases may add to a document.
const REPLAYED_MAX: usize = 1_000_000;

pub(super) fn read(text: &str, reader: &mut Reader) -> Result<(), ParseError> {
    let mut bytes = text.as_bytes();
    for document in serde_saphyr::read_with_options::<_, Placed>(&mut bytes, options(reader.limits)) {
        reader.begin()?;
        match document {
            Ok(node) => reader.add(&node.0, |_| None)?,
            Err(error) => return Err(refusal(reader, &error)),
        }
    }
    Ok(())
}

/// Documents and bytes are counted by the reader; here they bound what one document can become.
fn options(limits: Limits) -> Options {
    let budget = serde_saphyr::budget! {
        max_reader_input_bytes: Some(limits.bytes_max),
        max_depth: DEPTH_MAX,
        max_documents: limits.documents_max,
        max_aliases: limits.aliases_max,
        max_anchors: limits.aliases_max,
        max_merge_keys: limits.aliases_max,
        max_events: limits.bytes_max.saturating_mul(2),
        max_nodes: limits.bytes_max.saturating_mul(2),
        max_total_scalar_bytes: limits.bytes_max.saturating_mul(2),
    };
    serde_saphyr::options! {
        budget: budget,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED_MAX },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn refusal(reader: &Reader, error: &Error) -> ParseError {
    let position = error.location().as_ref().and_then(position);
    match (limit(original(error)), original(error)) {
        (Some(what), _) => ParseError::TooComplex { place: reader.place(position), what },
        (None, Error::DuplicateMappingKey { key, .. }) => {
            let key = key.as_deref().unwrap_or("a member");
            reader.syntax(position, Format::Yaml, &format!("`{}` is written twice: keep one", shown(key)))
        }
        (None, _) => {
            let said = error.to_string();
            let detail = said.split_once(" at line ").map_or(said.as_str(), |(detail, _)| detail);
            reader.syntax(position, Format::Yaml, detail)
        }
    }
}

/// The limit that an error is about, and what to do.
const fn limit(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            "nested too deeply: RBAC objects need nine levels"
        }
        Error::Budget {
            breach:
                BudgetBreach::Aliases { .. }
                | BudgetBreach::Anchors { .. }
                | BudgetBreach::AliasAnchorRatio { .. }
                | BudgetBreach::MergeKeys { .. }
                | BudgetBreach::RecordedAnchorEvents { .. }
                | BudgetBreach::RecordedAnchorBytes { .. },
            ..
        }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            "too many aliases, or aliases of aliases: write the repeated parts out"
        }
        Error::Budget { .. } => "the document is too large: apply it in parts, none of which replaces all",
        _ => return None,
    })
}

/// The error under what was added about the aliases and lines around it.
fn original(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}
