//! What is told of files that do not do.

use super::Look;
use crate::telemetry::{Counters, Label, names};

/// What became of changed files.
#[derive(Clone, Copy)]
pub(super) enum Reload {
    Taken,
    Refused,
}

impl Label for Reload {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Taken, Self::Refused];

    fn value(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Why what lies there is not used, and how often in a row that was found.
#[derive(Default)]
pub(super) struct Doubts(Option<(String, u32)>);

impl Doubts {
    /// Who renews writes one file after the other, so only what is found twice is wrong; and that is told once.
    pub(super) fn weigh(&mut self, service: &str, reason: String, reloads: &Counters<Reload>) -> Look {
        let times = match &self.0 {
            Some((before, times)) if *before == reason => times.saturating_add(1),
            Some(_) | None => 1,
        };
        if times == 2 {
            reloads.increment(Reload::Refused);
            tracing::error!(
                service,
                reason,
                "the certificate files do not do: the certificate before them stays in use until it ends, so renew them"
            );
        }
        self.0 = Some((reason, times));
        if times == 1 { Look::Doubtful } else { Look::Refused }
    }
}
