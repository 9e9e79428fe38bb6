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

/// Whether a session that STS finds too long may be asked for again, shorter.
pub(super) fn may_be_shorter(seconds: u32) -> bool {
    seconds > EVERY_ROLE_SECONDS
}

impl Road {
    /// The longest session of a role: as IAM tells it, where the hub may ask; else nothing is known until STS has refused.
    pub(super) async fn role_max(&self, role: &PrincipalArn, now: OffsetDateTime) -> Option<u32> {
        let key = role.to_string();
        if let Some(learned) = self.inner.seconds_max.get(&key).filter(|learned| learned.until > now) {
            return learned.seconds_max;
        }
        let told = self.aws().role_session_seconds_max(role).await;
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

    /// STS found a session too long, and IAM does not tell how long it may be: every role allows an hour. IAM is asked again when it would
    /// have been.
    pub(super) fn learn_shortest(&self, role: &PrincipalArn, now: OffsetDateTime) -> u32 {
        let key = role.to_string();
        let until = self.inner.seconds_max.get(&key).map_or(now + REMEMBERED, |learned| learned.until);
        self.inner.seconds_max.insert(key, Learned { seconds_max: Some(EVERY_ROLE_SECONDS), until });
        EVERY_ROLE_SECONDS
    }
}

#[cfg(test)]
mod tests {
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
}
