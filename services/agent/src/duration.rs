//! Durations as Go programs take them on their command lines (`time.ParseDuration`), for the published agent's flags.

use std::time::Duration;

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no duration; write it like 3h, 90m, 1h30m or 45s")]
pub(crate) struct NoDuration;

/// Reads a sequence of numbers with their units (`ms`, `s`, `m`, `h`), or a bare 0.
///
/// # Errors
/// [`NoDuration`].
pub(crate) fn parse(text: &str) -> Result<Duration, NoDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(NoDuration)?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| NoDuration)?;
        let unit_length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        sum += number
            * match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(NoDuration),
            };
        rest = after;
    }
    if text.is_empty() {
        return Err(NoDuration);
    }
    Duration::try_from_secs_f64(sum).map_err(|_| NoDuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let cases = [
            ("3h", Some(10_800_000)),
            ("3h0m0s", Some(10_800_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("45s", Some(45_000)),
            ("250ms", Some(250)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("3", None),
            ("h", None),
            ("3 h", None),
            ("-3h", None),
            ("3d", None),
            ("1..5h", None),
            ("999999999999999999999999h", None),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text).ok(), milliseconds.map(Duration::from_millis), "{text}");
        }
    }
}
