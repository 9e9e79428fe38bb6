//! What is kept of an answer.

use std::{sync::Arc, time::Duration};

use lanyard_api::{Authority, Fault, Identity, authn::Refusal};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::verifier::{Proven, Question, Verification};

/// An answer with its own end, and the key and authority that it is about.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Value {
    /// Milliseconds since 1970.
    end: i64,
    key: String,
    authority: Authority,
    answer: Answer,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Verified { identity: Arc<Identity>, verifier: Arc<str> },
    Refused(Refusal),
}

fn milliseconds(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MIN)
}

/// A kept end is one of ours; what is none has ended.
fn moment(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl Value {
    /// `until` holds the ends of an identity and of a refusal.
    pub(super) fn new(
        verification: Verification,
        question: &Question<'_>,
        until: (OffsetDateTime, OffsetDateTime),
    ) -> Self {
        let (end, answer) = match verification {
            Verification::Verified(proven) => {
                let Proven { identity, verifier, .. } = proven;
                (until.0, Answer::Verified { identity, verifier })
            }
            Verification::Refused(refusal) => (until.1, Answer::Refused(refusal)),
        };
        Self {
            end: milliseconds(end),
            key: question.token.access_key_id().to_string(),
            authority: question.authority.clone(),
            answer,
        }
    }

    /// The same, ending no later than what is made now would: another replica may keep answers longer than this one.
    pub(super) fn within(mut self, until: (OffsetDateTime, OffsetDateTime)) -> Self {
        let end = match self.answer {
            Answer::Verified { .. } => until.0,
            Answer::Refused(_) => until.1,
        };
        self.end = self.end.min(milliseconds(end));
        self
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, Fault> {
        postcard::to_allocvec(self).map_err(|_| Fault::Internal)
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// Whether it was said about the key and authority that are asked about.
    pub(super) fn is_about(&self, question: &Question<'_>) -> bool {
        self.key == question.token.access_key_id().as_str() && self.authority == *question.authority
    }

    /// Whether it is still good.
    pub(super) fn is_good_at(&self, now: OffsetDateTime) -> bool {
        !self.lifetime_at(now).is_zero()
    }

    /// How long it is still good.
    pub(super) fn lifetime_at(&self, now: OffsetDateTime) -> Duration {
        Duration::from_millis(u64::try_from(self.end.saturating_sub(milliseconds(now))).unwrap_or(0))
    }

    /// The answer, while it is good. It shares what is kept.
    pub(super) fn answer_at(&self, now: OffsetDateTime) -> Option<Verification> {
        self.is_good_at(now).then(|| self.said(Some(moment(self.end))))
    }

    /// The answer, whether or not it is still good: for whoever has just caused it.
    pub(super) fn said(&self, kept_until: Option<OffsetDateTime>) -> Verification {
        match &self.answer {
            Answer::Verified { identity, verifier } => Verification::Verified(Proven {
                identity: Arc::clone(identity),
                verifier: Arc::clone(verifier),
                cached: false,
                kept_until,
            }),
            Answer::Refused(refusal) => Verification::Refused(refusal.clone()),
        }
    }
}
