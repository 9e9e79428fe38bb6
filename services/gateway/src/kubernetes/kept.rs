//! Answers to TokenReviews that are given again as they were written, while all that they were made from is the same.
//!
//! Kept is who was let in, and only where authn keeps its answer and mapping its badge: what others vouch for. A refusal is never
//! kept here, and no token either: it is known by its digest. Each time it is looked at whether the answer's time has come to
//! an end, and whether anything newer is known of the hub, the cluster's account and the cluster: a block, an entry that is
//! gone, an account that is trusted no more, all are changes of one of these.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use lanyard_api::{ClusterUid, Holds};
use lanyard_iam::TokenDigest;
use lanyard_kit::telemetry::names;
use metrics::{Counter, counter};
use quick_cache::{UnitWeighter, sync::Cache};
use time::OffsetDateTime;

use super::wire::ReviewVersion;
use crate::revisions::{Place, Revisions};

/// What an answer is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The token's.
    pub(super) digest: TokenDigest,
    /// In which form.
    pub(super) version: ReviewVersion,
    /// For whom, as the API server says.
    pub(super) audiences: &'a [String],
}

/// An answer as it was written, and what its record says.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// As it was sent.
    pub(super) body: Bytes,
    /// What its record says, each time.
    pub(super) told: Told,
}

/// What a record says of somebody who is let in.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Whom.
    pub(super) who: Arc<str>,
    /// By which token.
    pub(super) what: Arc<str>,
    /// By which grant.
    pub(super) detail: Arc<str>,
}

#[derive(Debug)]
struct Kept {
    version: ReviewVersion,
    audiences: Vec<String>,
    holds: Holds,
    since: OffsetDateTime,
    given: Given,
}

/// By token and cluster. Digests are hashes already, so a quick hasher does.
type ByToken = Cache<(TokenDigest, ClusterUid), Arc<Kept>, UnitWeighter, RandomState>;

/// Answers, so many at most.
pub(super) struct Answers {
    kept: Option<ByToken>,
    revisions: Revisions,
    given: Counter,
}

impl Answers {
    /// Keeps so many, none at all where that is 0, and holds them against what is known of the revisions.
    pub(super) fn new(answers_max: usize, revisions: Revisions) -> Self {
        let cache = || {
            let weight = u64::try_from(answers_max).unwrap_or(u64::MAX);
            Cache::with(answers_max, weight, UnitWeighter, RandomState::default(), Default::default())
        };
        Self {
            kept: (answers_max > 0).then(cache),
            revisions,
            given: counter!(names::GATEWAY_GIVEN_AGAIN_TOTAL),
        }
    }

    /// The answer that was given before, if it is the answer still.
    pub(super) fn again(&self, asked: &Asked<'_>, at: Place, now: OffsetDateTime) -> Option<Given> {
        let kept = self.kept.as_ref()?.get(&(asked.digest, at.0))?;
        let holds = kept.version == asked.version
            && kept.audiences == asked.audiences
            && (kept.since..kept.holds.until).contains(&now)
            && self.revisions.are_covered_by(&kept.holds.basis, at, Instant::now());
        holds.then(|| {
            self.given.increment(1);
            kept.given.clone()
        })
    }

    /// Remembers one that is given now.
    pub(super) fn note(
        &self,
        asked: &Asked<'_>,
        at: Place,
        (since, holds): (OffsetDateTime, Holds),
        given: Given,
    ) {
        let Some(cache) = &self.kept else { return };
        let (version, audiences) = (asked.version, asked.audiences.to_vec());
        let kept = Kept { version, audiences, holds, since, given };
        cache.insert((asked.digest, at.0), Arc::new(kept));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanyard_api::{Basis, Revision, Scope};
    use lanyard_iam::AccountId;

    use super::*;

    fn asked(digest: &str, audiences: &'static [String]) -> Asked<'static> {
        Asked { digest: TokenDigest::of(digest), version: ReviewVersion::V1, audiences }
    }

    fn given(body: &'static str) -> Given {
        let told = Told { who: "ana".into(), what: "token".into(), detail: "entry".into() };
        Given { body: body.into(), told }
    }

    #[test]
    fn an_answer_is_given_again_to_the_same_question_within_its_time_while_nothing_has_changed() {
        let revisions = Revisions::of_own_store();
        let answers = Answers::new(10, revisions.clone());
        let account: AccountId = "111122223333".parse().unwrap();
        let (here, there) = ((ClusterUid::random(), account), (ClusterUid::random(), account));
        let since = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(100);
        let until = since + Duration::from_secs(30);
        let basis = Basis { hub: Revision(1), account: Revision(2), cluster: Revision(3) };
        let one = asked("one", &[]);
        let body = |asked: &Asked<'_>, at, now| answers.again(asked, at, now).map(|given| given.body);
        assert_eq!(body(&one, here, since), None);
        answers.note(&one, here, (since, Holds { until, basis }), given("first"));
        assert_eq!(body(&one, here, since).as_deref(), Some(&b"first"[..]));
        let audiences: &'static [String] = Box::leak(vec!["a".to_owned()].into());
        for (name, other) in [
            ("token", asked("two", &[])),
            ("audiences", asked("one", audiences)),
            ("version", Asked { version: ReviewVersion::V1Beta1, ..one }),
        ] {
            assert_eq!(body(&other, here, since), None, "another {name}");
        }
        assert_eq!(body(&one, there, since), None, "another cluster");
        for (name, now, found) in [
            ("before it was given", since - Duration::from_secs(1), false),
            ("to its end", until - Duration::from_millis(1), true),
            ("at its end", until, false),
        ] {
            assert_eq!(body(&one, here, now).is_some(), found, "{name}");
        }
        for (scope, to, found) in [
            (Scope::Hub, 1, true),
            (Scope::Account(account), 2, true),
            (Scope::Cluster(here.0), 3, true),
            (Scope::Cluster(there.0), 9, true),
            (Scope::Account(account), 3, false),
        ] {
            revisions.moved(scope, Revision(to));
            assert_eq!(body(&one, here, since).is_some(), found, "{scope} at {to}");
        }
        // What was made of the older revision is not the answer even where it comes late.
        answers.note(&one, here, (since, Holds { until, basis }), given("late"));
        assert_eq!(body(&one, here, since), None);
        let basis = Basis { account: Revision(3), ..basis };
        answers.note(&one, here, (since, Holds { until, basis }), given("new"));
        assert_eq!(body(&one, here, since).as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn so_many_are_kept_and_none_where_none_may_be() {
        let holds =
            Holds { until: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(30), basis: Basis::default() };
        let at = (ClusterUid::random(), "111122223333".parse().unwrap());
        let digests: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        for (answers_max, least) in [(0, 0), (50, 1)] {
            let answers = Answers::new(answers_max, Revisions::of_own_store());
            for digest in &digests {
                let asked = asked(digest, &[]);
                answers.note(&asked, at, (OffsetDateTime::UNIX_EPOCH, holds), given("x"));
            }
            let kept = digests
                .iter()
                .filter(|digest| answers.again(&asked(digest, &[]), at, OffsetDateTime::UNIX_EPOCH).is_some())
                .count();
            assert!((least..=answers_max).contains(&kept), "{kept} of at most {answers_max}");
        }
    }
}
