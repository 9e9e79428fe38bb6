//! Exit codes that scripts can rely on.

use std::process::ExitCode;

/// Yes: done, allowed, valid.
pub const YES: u8 = 0;
/// No: refused, forbidden, invalid. What was asked has an answer.
pub const NO: u8 = 1;
/// The command line is wrong (clap's own code).
pub const USAGE: u8 = 2;
/// There is no answer: the hub is away, throttled, or at fault. Trying again may help.
pub const NO_ANSWER: u8 = 69;
/// Ctrl-C came before its end: as shells say it of a program that SIGINT ends.
pub const INTERRUPTED: u8 = 130;
/// SIGTERM came before its end, likewise.
pub const TERMINATED: u8 = 143;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// [`YES`].
    Yes,
    /// [`NO`].
    No,
    /// [`NO_ANSWER`].
    NoAnswer,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Yes => YES,
            Ending::No => NO,
            Ending::NoAnswer => NO_ANSWER,
        })
    }
}

impl From<bool> for Ending {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}
