//! `Resolve`: the one call on a request's path. No SQL, but for break-glass, for what is pinned, and for what is found stale.

use std::sync::Arc;

use lanyard_api::{
    Authority, AwsIdentity, BlockId, ClusterUid, Denial, Fault, Holds, Identity, IdentityKind, OidcIdentity,
    mapping::{BreakGlassQuery, Cluster, Resolution, Resolve, ResolveQuery, Unmapped},
};
use lanyard_kit::telemetry::{Label, names};

use super::{Mapping, given::given_until};
use crate::{
    badge,
    blocks::BlockSet,
    claims,
    hub::HubSnapshot,
    knock::Knock,
    near_miss::{self, NEAR_MISSES_MAX},
    resolution::{Asks, Badge, Refused, SESSION_KIN, UNTRUSTED_ACCOUNT, World},
    store::View,
};

/// The cluster is not there any more.
const UNKNOWN_CLUSTER: &str = "unknown_cluster";

/// Clusters that are looked at for an explanation.
const ELSEWHERE_MAX: usize = 200;

/// Clusters that the store is asked for because they have an entry for the principal; more near misses are not told.
const ELSEWHERE_NAMED_MAX: u64 = NEAR_MISSES_MAX as u64;

/// Other clusters that are loaded for an explanation: what they map by aws-auth or by an entry for several, only a look tells.
const ELSEWHERE_LOADED_MAX: usize = 16;

impl Resolve for Mapping {
    async fn resolve(&self, query: ResolveQuery) -> Result<Resolution, Fault> {
        let answer = self.answer(&query).await;
        self.inner.resolutions.increment(Outcome::of(&answer));
        answer
    }

    async fn resolve_break_glass(&self, query: BreakGlassQuery) -> Result<Resolution, Fault> {
        let answer = self.use_break_glass(query).await;
        self.inner.resolutions.increment(Outcome::of(&answer));
        answer
    }
}

/// What a resolution came to, for its counter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Mapped,
    Unmapped,
    Blocked,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Mapped, Self::Unmapped, Self::Blocked, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Unmapped => "unmapped",
            Self::Blocked => "blocked",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Outcome {
    fn of(answer: &Result<Resolution, Fault>) -> Self {
        match answer {
            Ok(Resolution::Mapped(_)) => Self::Mapped,
            Ok(Resolution::Blocked(_)) => Self::Blocked,
            Ok(Resolution::Unmapped(_)) => Self::Unmapped,
            Err(_) => Self::Fault,
        }
    }
}

impl View {
    /// What stops people here: blocks of the hub, of the cluster's account, of the cluster.
    fn blocks(&self) -> [&BlockSet; 3] {
        [&self.hub.blocks, &self.account.blocks, &self.snapshot.blocks]
    }

    /// The block that stops them. It reaches a session through what it descends from.
    pub(super) fn blocked(&self, knock: &Knock<'_>) -> Option<BlockId> {
        self.blocks().iter().find_map(|set| set.find(knock))
    }
}

impl Mapping {
    async fn answer(&self, query: &ResolveQuery) -> Result<Resolution, Fault> {
        let Some(view) = self.view(query.cluster).await? else {
            return Ok(unknown_cluster());
        };
        match &*query.identity.value {
            Identity::Aws(identity) => self.answer_aws(&view, identity, query).await,
            Identity::Oidc(identity) => Ok(self.answer_oidc(&view, identity)),
        }
    }

    async fn answer_aws(
        &self,
        view: &View,
        identity: &AwsIdentity,
        query: &ResolveQuery,
    ) -> Result<Resolution, Fault> {
        if identity.kind == IdentityKind::BreakGlass {
            // The one way in with it is its credential, which is used up there.
            return Ok(unmapped(super::break_glass::refused(), Vec::new()));
        }
        let now = self.inner.store.clock().now();
        let key = self.inner.proof_key.get();
        // Over the wire an identity comes anew each time, and so does that of a session of ours, which is opened once, but whose kin are
        // looked up for each request. What others vouch for, the door keeps with its badge.
        let is_local = identity.authority == Authority::Local;
        let comes_again = query.identity.voucher.is_empty() && is_local && identity.session_name.is_none();
        if comes_again && let Some(mapped) = self.inner.given.again(&query.identity.value, view, &key, now) {
            return Ok(Resolution::Mapped(mapped));
        }
        let knock = Knock::of(identity);
        if let Some(block) = view.blocked(&knock) {
            return Ok(Resolution::Blocked(block));
        }
        let found = match self.badge_for(view, &knock, now).await? {
            // An explanation changes nothing.
            Err(refused) if refused.asks == Some(Asks::Pin) && !query.explain => {
                return Box::pin(self.answer_pinned(view, &knock, identity)).await;
            }
            found => found,
        };
        match found {
            Ok(found) => {
                let ends_at = found.ends_at;
                let mut mapped = match badge::user_info(found, identity, &view.cluster, &key, now) {
                    Ok(mapped) => mapped,
                    Err(error) => {
                        return Ok(unmapped(Refused::new(SESSION_KIN, error.to_string()), Vec::new()));
                    }
                };
                mapped.holds =
                    (!is_local).then(|| Holds { until: given_until(now, ends_at), basis: view.basis });
                let mapped = Arc::new(mapped);
                if comes_again {
                    self.inner.given.note(&query.identity.value, view, &key, &mapped, (now, ends_at));
                }
                Ok(Resolution::Mapped(mapped))
            }
            Err(refused) => {
                // An explanation changes nothing.
                if !query.explain {
                    self.note_stale(&refused, identity, view).await;
                }
                // In a box: what is asked without an explanation would carry its state along.
                let misses = match query.explain {
                    true => Box::pin(self.near_misses(view, &knock, now)).await?,
                    false => Vec::new(),
                };
                Ok(unmapped(refused, misses))
            }
        }
    }

    /// Somebody whom an OIDC issuer knows: blocks, then the configuration as it is now. Entries and aws-auth are for
    /// principals alone.
    fn answer_oidc(&self, view: &View, identity: &OidcIdentity) -> Resolution {
        if let Some(block) = view.blocks().iter().find_map(|set| set.find_oidc(identity)) {
            return Resolution::Blocked(block);
        }
        match claims::badge(view.cluster.authentication_mode, &view.snapshot, identity) {
            Ok(found) => {
                let (key, now) = (self.inner.proof_key.get(), self.inner.store.clock().now());
                let mapped = badge::oidc_user_info(found, identity, &view.cluster, &key, now);
                Resolution::Mapped(Arc::new(mapped))
            }
            Err(refused) => unmapped(refused, Vec::new()),
        }
    }

    /// The badge, or why there is none: from memory, and only where a node's name is in nobody's memory, from EC2.
    pub(super) async fn badge_for(
        &self,
        view: &View,
        knock: &Knock<'_>,
        now: time::OffsetDateTime,
    ) -> Result<Result<Badge, Refused>, Fault> {
        let world = World::new(&view.cluster, &view.snapshot, now);
        let refused = match registered(&view.hub, knock, &view.cluster).and_then(|()| world.resolve(knock)) {
            Err(refused) if refused.asks == Some(Asks::Ec2) => refused,
            other => return Ok(other),
        };
        // In a box, as the pinning above: everybody else's request would carry its state along.
        Ok(match Box::pin(self.instance(view, knock)).await? {
            None => Err(refused),
            Some(Err(refused)) => Err(refused),
            // What EC2 says is remembered where it was asked, and for as long as that holds.
            Some(Ok(node)) => {
                let found = world.with_instance(&node).resolve(knock);
                found.map(|badge| Badge { ends_at: Some(now), by_ec2: true, ..badge })
            }
        })
    }

    pub(super) async fn view(&self, uid: ClusterUid) -> Result<Option<View>, Fault> {
        self.inner.state.view(uid).await
    }

    /// What came near: here, and in the other clusters of the cluster's own account, for those who may know one may know
    /// the other.
    pub(super) async fn near_misses(
        &self,
        view: &View,
        knock: &Knock<'_>,
        now: time::OffsetDateTime,
    ) -> Result<Vec<String>, Fault> {
        let world = World::new(&view.cluster, &view.snapshot, now);
        let mut misses = near_miss::in_cluster(&world, knock);
        let account = view.cluster.account;
        let others = view.hub.clusters.values();
        let others = others.filter(|other| other.account == account && other.uid != view.cluster.uid);
        let named = self.inner.store.clusters_with_entry_for(
            account,
            knock.authority,
            knock.canonical,
            ELSEWHERE_NAMED_MAX,
        );
        let named = named.await?;
        let mut loads_left = ELSEWHERE_LOADED_MAX;
        // Those first that have an entry for the principal: they are loaded, however many others there are.
        let (first, rest): (Vec<_>, Vec<_>) = others.partition(|other| named.contains(&other.uid));
        for other in first.iter().chain(&rest).take(ELSEWHERE_MAX) {
            if misses.len() >= NEAR_MISSES_MAX {
                break;
            }
            let snapshot = match self.inner.state.cluster_in_memory(other.uid) {
                Some(snapshot) => snapshot,
                None if named.contains(&other.uid) => self.inner.state.cluster(other.uid).await?,
                None if loads_left > 0 => {
                    loads_left -= 1;
                    self.inner.state.cluster(other.uid).await?
                }
                None => continue,
            };
            let world = World::new(other, &snapshot, now);
            if world.resolve(knock).is_ok() {
                misses.push(near_miss::elsewhere(&other.id));
            }
        }
        Ok(misses)
    }
}

/// The hub knows the account under this authority: an account number has one, whatever a cluster's list says.
pub(super) fn registered(hub: &HubSnapshot, knock: &Knock<'_>, cluster: &Cluster) -> Result<(), Refused> {
    match hub.accounts.get(&knock.account) {
        Some(account) if account.authority == *knock.authority && account.partition == knock.partition => {
            Ok(())
        }
        _ => {
            let message = format!(
                "account {} is not one of authority {} here, so that cluster `{}` cannot let its principals in",
                knock.account, knock.authority, cluster.id
            );
            Err(Refused::new(UNTRUSTED_ACCOUNT, message))
        }
    }
}

/// The cluster went meanwhile.
pub(super) fn unknown_cluster() -> Resolution {
    unmapped(Refused::new(UNKNOWN_CLUSTER, "the cluster is not registered any more"), Vec::new())
}

pub(super) fn unmapped(refused: Refused, near_misses: Vec<String>) -> Resolution {
    let denial = Denial { code: refused.code.into(), message: refused.message };
    Resolution::Unmapped(Unmapped { denial, near_misses })
}
