//! How long a pod's credentials of AWS live: the least of what was decided, what the role allows, and one hour where a role session
//! assumes the role.

use lanyard_aws::AwsFault;
use lanyard_iam::PrincipalArn;
use time::{Duration, OffsetDateTime};

use super::Road;
use crate::rules::{CHAINED_SECONDS_MAX, SESSION_SECONDS_MIN};

/// Longest session of a pod, in seconds (EKS user guide, "EKS Pod Identity").
const POD_SECONDS_MAX: u32 = 6 * 3_600;
/// The session that every role allows, in seconds (IAM: the least `MaxSessionDuration` that a role can have).
const EVERY_ROLE_SECONDS: u32 = 3_600;
/// How long what is known of a role's longest session counts.
const REMEMBERED: Duration = Duration::HOUR;
/// The same where IAM had no time for the question: many roles are asked about at once when a hub has started.
const REMEMBERED_BUSY: Duration = Duration::MINUTE;

/// A role's longest session, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    seconds_max: Option<u32>,
    until: OffsetDateTime,
}

/// The length of a session: the least of what was decided and what there may be.
pub(super) fn session_seconds(decided: u32, role_max: Option<u32>, is_chained: bool) -> u32 {
    let mut seconds = decided.min(POD_SECONDS_MAX).min(role_max.unwrap_or(POD_SECONDS_MAX));
    if is_chained {
        seconds = seconds.min(CHAINED_SECONDS_MAX);
    }
    seconds.max(SESSION_SECONDS_MIN)
}

/// How long a session may be of which STS has found so long a one too long, and until when that counts: as IAM has told somebody else
/// meanwhile, where that is shorter, and else the hour that every role allows.
fn shorter(known: Option<Learned>, refused: u32, now: OffsetDateTime) -> (u32, OffsetDateTime) {
    let until = known.map_or(now + REMEMBERED, |known| known.until);
    let told = known.and_then(|known| known.seconds_max).filter(|told| *told < refused);
    (told.unwrap_or(EVERY_ROLE_SECONDS), until)
}

/// Whether a session that STS finds too long may be asked for again, shorter.
pub(super) fn may_be_shorter(seconds: u32) -> bool {
    seconds > EVERY_ROLE_SECONDS
}

impl Road {
    /// The longest session of a role: as IAM tells it, where the hub may ask; else nothing is known until STS has refused.
    pub(super) async fn role_max(&self, role: &PrincipalArn, now: OffsetDateTime) -> Option<u32> {
        let key = role.to_string();
        if let Some(learned) = self.learned(&key, now) {
            return learned.seconds_max;
        }
        let told = self.aws().role_session_seconds_max(role).await;
        // Many may ask at once: what one of them was told meanwhile stays.
        if told.is_err()
            && let Some(seconds_max) = self.learned(&key, now).and_then(|learned| learned.seconds_max)
        {
            return Some(seconds_max);
        }
        let remembered = match &told {
            // These come at once. Whoever cannot reach IAM at all waits for that, and so not each minute.
            Err(
                AwsFault::Limited { .. }
                | AwsFault::Throttled { .. }
                | AwsFault::BreakerOpen { .. }
                | AwsFault::ServerError { .. },
            ) => REMEMBERED_BUSY,
            Ok(_) | Err(_) => REMEMBERED,
        };
        let seconds_max = told.ok();
        self.inner.seconds_max.insert(key, Learned { seconds_max, until: now + remembered });
        seconds_max
    }

    /// STS found so long a session too long. IAM is asked again when it would have been.
    pub(super) fn learn_shorter(&self, role: &PrincipalArn, refused: u32, now: OffsetDateTime) -> u32 {
        let key = role.to_string();
        let (seconds, until) = shorter(self.learned(&key, now), refused, now);
        self.inner.seconds_max.insert(key, Learned { seconds_max: Some(seconds), until });
        seconds
    }

    fn learned(&self, role: &str, now: OffsetDateTime) -> Option<Learned> {
        self.inner.seconds_max.get(role).filter(|learned| learned.until > now)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_session_lives_as_long_as_all_allow() {
        const HOUR: u32 = 3_600;
        let cases = [
            // Six hours, where nothing is in the way.
            (6 * HOUR, Some(12 * HOUR), false, 6 * HOUR),
            (6 * HOUR, None, false, 6 * HOUR),
            (12 * HOUR, Some(12 * HOUR), false, 6 * HOUR),
            // The role's own maximum.
            (6 * HOUR, Some(2 * HOUR), false, 2 * HOUR),
            // One hour where a session assumes it.
            (6 * HOUR, Some(12 * HOUR), true, HOUR),
            (6 * HOUR, None, true, HOUR),
            // A second hop, as EKS has it.
            (59 * 60, Some(12 * HOUR), true, 59 * 60),
            // Never less than STS takes.
            (1, None, false, 900),
        ];
        for (decided, role_max, is_chained, expected) in cases {
            assert_eq!(
                session_seconds(decided, role_max, is_chained),
                expected,
                "{decided} {role_max:?} {is_chained}"
            );
        }
        assert!(may_be_shorter(HOUR + 1) && !may_be_shorter(HOUR));
    }

    #[test]
    fn what_iam_has_told_another_meanwhile_is_not_forgotten_for_an_hours_sessions() {
        const HOUR: u32 = 3_600;
        let now = datetime!(2026-11-24 12:00 UTC);
        let known = |seconds_max| Some(Learned { seconds_max, until: now + REMEMBERED_BUSY });
        let cases = [
            // Nobody has been told.
            (None, 6 * HOUR, (HOUR, now + REMEMBERED)),
            (known(None), 6 * HOUR, (HOUR, now + REMEMBERED_BUSY)),
            // Somebody has, while this one was on its way.
            (known(Some(2 * HOUR)), 6 * HOUR, (2 * HOUR, now + REMEMBERED_BUSY)),
            // What was told is true no more: the role's maximum was lowered.
            (known(Some(2 * HOUR)), 2 * HOUR, (HOUR, now + REMEMBERED_BUSY)),
        ];
        for (known, refused, expected) in cases {
            assert_eq!(shorter(known, refused, now), expected, "{known:?} {refused}");
        }
    }
}
