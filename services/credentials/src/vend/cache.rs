//! Credentials that were vended a moment ago, for the same pod alone.
//!
//! An agent that starts again, or two processes of a pod that ask at once, get what the pod has. An entry is of one pod identity and
//! of the association as it is; it counts while the accounts of its roles are as they were when it was made, for no longer than
//! the configuration says, and only while most of its life is left. So a change of a role, of its trust policy or of the association
//! is a new vend, whom a block stops is given nothing that is kept (`blocked`), and what is given out lives long enough to be of use.

use std::{future::Future, sync::Arc};

use lanyard_api::{
    CallError, ClusterUid, Fault, Revision,
    credentials::{PodIdentityAssociation, PodIdentityAssociationId},
};
use quick_cache::sync::Cache;
use time::{Duration, OffsetDateTime};

use super::source::{PodIdentity, Sourced};

/// What an entry is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Of {
    pub(crate) cluster: ClusterUid,
    pub(crate) association: PodIdentityAssociationId,
    pub(crate) pod: PodIdentity,
}

/// The state that an entry was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Basis {
    pub(crate) association: Arc<PodIdentityAssociation>,
    /// Of the accounts of role and target role, as far as the hub keeps them.
    pub(crate) accounts: [Option<Revision>; 2],
}

/// What was vended.
#[derive(Debug)]
pub(crate) struct Vended {
    pub(crate) sourced: Sourced,
    /// The cluster's revision that the association was read at.
    pub(crate) revision: Revision,
    basis: Basis,
    at: OffsetDateTime,
}

impl Vended {
    pub(crate) fn new(sourced: Sourced, revision: Revision, basis: Basis, at: OffsetDateTime) -> Self {
        Self { sourced, revision, basis, at }
    }

    /// The association that it was vended by.
    pub(crate) fn association(&self) -> &PodIdentityAssociation {
        &self.basis.association
    }

    /// Whether it may be given again: of the same state, young, and with three quarters of its life left.
    fn counts(&self, basis: &Basis, seconds_max: u32, now: OffsetDateTime) -> bool {
        let age = now - self.at;
        let life = self.sourced.credentials.expires_at - self.at;
        let young = age >= Duration::ZERO && age < Duration::seconds(i64::from(seconds_max));
        young && age * 4 < life && self.basis == *basis
    }
}

/// The entries.
pub(crate) struct VendCache {
    entries: Cache<Of, Arc<Vended>>,
    seconds_max: u32,
}

impl VendCache {
    pub(crate) fn new(entries_max: usize, seconds_max: u32) -> Self {
        Self { entries: Cache::new(entries_max.max(1)), seconds_max }
    }

    /// What the pod has, whether or not it counts any more.
    pub(crate) fn kept(&self, of: &Of) -> Option<Arc<Vended>> {
        self.entries.peek(of)
    }

    /// Lets go of what the pod has.
    pub(crate) fn forget(&self, of: &Of) {
        self.entries.remove(of);
    }

    /// What the pod has, or what `vend` gives: of those who ask at once one vends, and all get that. A refusal is kept for nobody.
    pub(crate) async fn get_or_vend<F>(
        &self,
        of: &Of,
        basis: &Basis,
        now: OffsetDateTime,
        vend: F,
    ) -> Result<Arc<Vended>, CallError>
    where
        F: Future<Output = Result<Arc<Vended>, CallError>>,
    {
        // What would be kept for no time is given to nobody again, not even to who waits for it: it would be in memory for nothing.
        if self.seconds_max == 0 {
            return vend.await;
        }
        let counts = |entry: &Vended| entry.counts(basis, self.seconds_max, now);
        self.entries.remove_if(of, |entry| !counts(entry));
        let mut vend = Some(vend);
        let own = async {
            match vend.take() {
                Some(vend) => vend.await,
                None => Err(Fault::Internal.into()),
            }
        };
        let found = self.entries.get_or_insert_async(of, own).await?;
        match vend {
            // Who vended meanwhile may have begun in a state before this one.
            Some(vend) if !counts(&found) => {
                let vended = vend.await?;
                self.entries.insert(of.clone(), Arc::clone(&vended));
                Ok(vended)
            }
            _ => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lanyard_api::credentials::{SessionCredentials, VendedUser};
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    fn association(policy: Option<&str>) -> Arc<PodIdentityAssociation> {
        Arc::new(PodIdentityAssociation {
            id: "a-0123456789abcdefg".parse().unwrap(),
            cluster: ClusterUid(uuid::Uuid::nil()),
            namespace: "n".to_owned(),
            service_account: "bot".to_owned(),
            role_arn: "arn:aws:iam::111122223333:role/app".parse().unwrap(),
            target_role_arn: None,
            disable_session_tags: false,
            policy: policy.map(str::to_owned),
            aws_road: None,
            unprobed: false,
            tags: Default::default(),
            created_at: NOON,
            modified_at: NOON,
        })
    }

    fn basis(policy: Option<&str>, revision: u64) -> Basis {
        Basis { association: association(policy), accounts: [Some(Revision(revision)), None] }
    }

    fn of(pod_uid: &str) -> Of {
        let pod = PodIdentity {
            namespace: "n".to_owned(),
            service_account: "bot".to_owned(),
            service_account_uid: "s".to_owned(),
            pod: "web-1".to_owned(),
            pod_uid: pod_uid.to_owned(),
            node: "node-1".to_owned(),
            node_uid: "u".to_owned(),
        };
        let association = association(None);
        Of { cluster: association.cluster, association: association.id.clone(), pod }
    }

    fn sourced(number: usize, life: Duration, now: OffsetDateTime) -> Sourced {
        let credentials = SessionCredentials {
            access_key_id: format!("LSIA{number:0>16}").parse().unwrap(),
            secret_access_key: "s".to_owned().into(),
            session_token: "t".to_owned().into(),
            expires_at: now + life,
        };
        let user = VendedUser { arn: "arn".to_owned(), id: "id".to_owned() };
        Sourced { credentials, user, role_arn: association(None).role_arn.clone() }
    }

    struct World {
        cache: VendCache,
        vends: AtomicUsize,
    }

    impl World {
        fn new() -> Self {
            Self::keeping(300)
        }

        fn keeping(seconds_max: u32) -> Self {
            Self { cache: VendCache::new(100, seconds_max), vends: AtomicUsize::new(0) }
        }

        /// The key that somebody gets.
        async fn ask(&self, of: &Of, basis: &Basis, now: OffsetDateTime, life: Duration) -> String {
            let vend = async {
                let number = self.vends.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(Arc::new(Vended::new(sourced(number, life, now), Revision(1), basis.clone(), now)))
            };
            let vended = self.cache.get_or_vend(of, basis, now, vend).await.unwrap();
            vended.sourced.credentials.access_key_id.to_string()
        }
    }

    #[tokio::test]
    async fn immunity_21_an_entry_is_one_pods_and_of_one_state() {
        let (world, hours) = (World::new(), Duration::hours(6));
        let first = world.ask(&of("a"), &basis(None, 1), NOON, hours).await;
        assert_eq!(world.ask(&of("a"), &basis(None, 1), NOON + Duration::minutes(4), hours).await, first);
        for (what, of, basis) in [
            ("another pod", of("b"), basis(None, 1)),
            ("the association was changed", of("a"), basis(Some("{}"), 1)),
            ("an account was changed", of("a"), basis(None, 2)),
        ] {
            let got = world.ask(&of, &basis, NOON + Duration::minutes(4), hours).await;
            assert_ne!(got, first, "{what}");
        }
    }

    #[tokio::test]
    async fn immunity_21_who_waited_for_another_gets_nothing_of_a_state_before() {
        let (world, hours) = (World::new(), Duration::hours(6));
        let (of, before, after) = (of("a"), basis(None, 1), basis(None, 2));
        let (early, late) =
            futures::join!(world.ask(&of, &before, NOON, hours), world.ask(&of, &after, NOON, hours));
        assert_ne!(early, late);
        assert_eq!(world.ask(&of, &after, NOON, hours).await, late);
    }

    #[tokio::test]
    async fn an_entry_is_given_for_minutes_and_while_most_of_its_life_is_left() {
        for (life, after, is_same) in [
            (Duration::hours(6), Duration::seconds(299), true),
            (Duration::hours(6), Duration::seconds(300), false),
            (Duration::minutes(15), Duration::seconds(224), true),
            (Duration::minutes(15), Duration::seconds(225), false),
            // A clock that was set back vouches for nothing.
            (Duration::hours(6), Duration::seconds(-1), false),
        ] {
            let world = World::new();
            let first = world.ask(&of("a"), &basis(None, 1), NOON, life).await;
            let again = world.ask(&of("a"), &basis(None, 1), NOON + after, life).await;
            assert_eq!(again == first, is_same, "{life} {after}");
        }
    }

    #[tokio::test]
    async fn those_who_ask_at_once_get_one_vend() {
        let world = World::new();
        let (of, basis) = (of("a"), basis(None, 1));
        let asked = (0..50).map(|_| world.ask(&of, &basis, NOON, Duration::hours(6)));
        let got = futures::future::join_all(asked).await;
        assert_eq!(world.vends.load(Ordering::SeqCst), 1);
        assert!(got.iter().all(|key| *key == got[0]));
    }

    #[tokio::test]
    async fn where_nothing_is_to_be_kept_nothing_is() {
        let (world, of, basis) = (World::keeping(0), of("a"), basis(None, 1));
        let asked = (0..3).map(|_| world.ask(&of, &basis, NOON, Duration::hours(6)));
        let got: std::collections::BTreeSet<_> = futures::future::join_all(asked).await.into_iter().collect();
        assert_eq!((got.len(), world.cache.entries.len()), (3, 0));
    }

    #[tokio::test]
    async fn a_refusal_is_kept_for_nobody() {
        let world = World::new();
        let refused = async { Err(Fault::Internal.into()) };
        assert!(world.cache.get_or_vend(&of("a"), &basis(None, 1), NOON, refused).await.is_err());
        world.ask(&of("a"), &basis(None, 1), NOON, Duration::hours(6)).await;
    }
}
