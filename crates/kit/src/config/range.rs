//! Numbers that are of the right kind and that no process could use: refused by their key, before anything starts.

use std::ops::RangeInclusive;

/// The most that a configuration may count of anything, such as places in a queue: far above what any machine has room for, and
/// below what queues and semaphores can be made with (2^61).
pub const COUNT_MAX: u64 = 1_000_000_000;

/// The longest time that a configuration may say, in seconds: some thirty years, after which any clock still has a moment.
pub const SECONDS_MAX: u64 = 1_000_000_000;

/// A number that is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{key}: `{value}` is out of range, use {min} to {max}")]
pub struct OutOfRange {
    /// Whose value it is.
    pub key: &'static str,
    /// What was given.
    pub value: u64,
    /// The least that does.
    pub min: u64,
    /// The most that does.
    pub max: u64,
}

/// Holds numbers, each with its key, against a range.
///
/// # Errors
/// [`OutOfRange`] for the first that is out of it.
pub fn in_range(range: RangeInclusive<u64>, numbers: &[(&'static str, u64)]) -> Result<(), OutOfRange> {
    let (min, max) = range.clone().into_inner();
    match numbers.iter().find(|(_, value)| !range.contains(value)) {
        Some(&(key, value)) => Err(OutOfRange { key, value, min, max }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_out_of_range_is_named_with_what_would_do() {
        let held = |a, b| in_range(1..=10, &[("x.a", a), ("x.b", b)]).map_err(|error| error.to_string());
        for (a, b) in [(1, 10), (10, 1)] {
            assert_eq!(held(a, b), Ok(()));
        }
        let said = |text: &str| Err(text.to_owned());
        assert_eq!(held(0, 11), said("x.a: `0` is out of range, use 1 to 10"));
        assert_eq!(held(2, u64::MAX), said("x.b: `18446744073709551615` is out of range, use 1 to 10"));
    }
}
