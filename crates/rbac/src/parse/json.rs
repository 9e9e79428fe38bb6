//! JSON values, one after the other.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, ParseError, Reader};
use crate::wire::{Flaw, Plain, Position, Segment};

pub(super) fn read(text: &str, reader: &mut Reader) -> Result<(), ParseError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Plain>();
    loop {
        let start = values.byte_offset();
        let Some(value) = values.next() else { return Ok(()) };
        reader.begin()?;
        match value {
            Ok(node) => reader.add(&node.0, |flaw| locate(text, start, flaw))?,
            Err(error) => {
                let said = error.to_string();
                let detail = said.rsplit_once(" at line ").map_or(said.as_str(), |(detail, _)| detail);
                return Err(reader.syntax(position_of(text, &error), Format::Json, detail));
            }
        }
    }
}

/// The position of a flaw, found by going down its path once more; for a member that is not there, that of the
/// innermost part that is.
fn locate(text: &str, start: usize, flaw: &Flaw) -> Option<Position> {
    let rest = text.get(start..)?;
    let mut part = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>().next()?.ok()?;
    for segment in flaw.path() {
        let inner = match segment {
            Segment::Member(name) => {
                serde_json::from_str::<Members<'_>>(part.get()).ok()?.0.get(name.as_str()).copied()
            }
            Segment::Item(at) => serde_json::from_str::<Vec<&RawValue>>(part.get()).ok()?.get(*at).copied(),
        };
        let Some(inner) = inner else { break };
        part = inner;
    }
    let offset = part.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let before = text.get(..offset)?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some(Position { line: count(before.matches('\n').count()), column: count(line.chars().count()) })
}

#[derive(Deserialize)]
struct Members<'t>(#[serde(borrow)] HashMap<Cow<'t, str>, &'t RawValue>);

/// Where an error is, its column counted in characters instead of bytes.
fn position_of(text: &str, error: &serde_json::Error) -> Option<Position> {
    let line = text.lines().nth(error.line().checked_sub(1)?)?;
    let before = error.column().saturating_sub(1).min(line.len());
    let column = line.char_indices().take_while(|&(at, _)| at < before).count();
    Some(Position { line: error.line() as u64, column: count(column) })
}

/// From what lies before, counted from 0, to a number counted from 1.
fn count(before: usize) -> u64 {
    (before as u64).saturating_add(1)
}
