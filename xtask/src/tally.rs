//! Counting tests, in the words of those who run them.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// The sum of the closing lines of cargo's test programs.
    pub(crate) fn of_cargo(lines: &[String]) -> Self {
        let mut tally = Self::default();
        for line in lines {
            // `test result: ok. 72 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.60s`
            let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
            else {
                continue;
            };
            tally += Self::of_counts(counts.split(';'));
        }
        tally
    }

    /// The closing line of pytest.
    pub(crate) fn of_pytest(lines: &[String]) -> Self {
        // `===== 1 failed, 3 passed, 2 skipped, 1 error in 1.20s =====`, without the bars when it is told to be quiet
        let counts = |line: &String| {
            let line = line.trim_matches(['=', ' ']);
            let (counts, time) = line.rsplit_once(" in ")?;
            let timed = time.split(' ').next().is_some_and(|time| time.ends_with('s'));
            timed.then(|| Self::of_counts(counts.split(',')))
        };
        lines.iter().rev().find_map(counts).unwrap_or_default()
    }

    fn of_counts<'a>(counts: impl Iterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for count in counts {
            let Some((number, word)) = count.trim().split_once(' ') else { continue };
            let number = number.parse().unwrap_or(0);
            match word {
                "passed" | "xpassed" => tally.passed += number,
                "failed" | "error" | "errors" => tally.failed += number,
                "ignored" | "skipped" | "xfailed" => tally.skipped += number,
                _ => {}
            }
        }
        tally
    }

    /// Whether anything ran at all.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_closing_lines_of_all_test_programs_are_summed() {
        let text = "running 2 tests\n\
            test result: ok. 72 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.60s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s\n\
            all done";
        assert_eq!(Tally::of_cargo(&lines(text)), tally(75, 2, 1));
    }

    #[test]
    fn a_closing_line_of_pytest_is_read_with_and_without_bars() {
        let cases = [
            ("===== 1 failed, 3 passed, 2 skipped in 1.20s =====", tally(3, 1, 2)),
            ("3 passed in 0.01s", tally(3, 0, 0)),
            ("= 2 passed, 1 error, 1 xfailed, 1 warning in 75.02s (0:01:15) =", tally(2, 1, 1)),
            ("no tests ran in 0.01s", tally(0, 0, 0)),
            ("a line of a test that waits 3 passed in vain", tally(0, 0, 0)),
            ("", tally(0, 0, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(Tally::of_pytest(&lines(text)), expected, "{text}");
        }
    }

    #[test]
    fn skipped_tests_are_told_only_when_there_are_any() {
        assert_eq!(tally(3, 0, 0).to_string(), "3 passed, 0 failed");
        assert_eq!(tally(3, 1, 2).to_string(), "3 passed, 1 failed, 2 skipped");
    }
}
