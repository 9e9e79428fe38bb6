//! The way back in: one credential for one cluster, armed for an hour, good for one answer.
//!
//! Its bearer is outside `system:masters`: rights come of the grant, so that authz sees each request. The use is written
//! before it is answered: where it cannot be written, there is no answer.

use std::sync::Arc;

use lanyard_api::{
    Actor, Authority, CallError, ClusterId, Fault, Mutated, Mutation, Scope, UserInfo, Vouched, grants,
    mapping::{
        BREAK_GLASS_PREFIX, BreakGlass, BreakGlassQuery, Cluster, Grant, GrantKind, Mapped, MatchedBy,
        Resolution,
    },
    proof::{EXTRA_KEY, Handle, Handles, KinHandles, Proof},
};
use lanyard_store::{Kind, StoreError};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};

use super::{
    Mapping,
    commit::{commit, fresh},
    directory::{random_token, token_digest},
    resolve::unmapped,
    sight::Call,
};
use crate::{badge, resolution::Refused};

/// How long an armed credential can be used.
pub(crate) const ARMED_FOR: Duration = Duration::hours(1);

/// How its bearer's username begins; the cluster's id follows.
pub(crate) const USERNAME_PREFIX: &str = "lanyard:break-glass:";

/// Its bearer's group.
pub(crate) const GROUP: &str = "lanyard:break-glass";

/// One answer for everything that is wrong: a guesser learns nothing.
pub(super) fn refused() -> Refused {
    Refused::new(
        "break_glass_refused",
        "the break-glass credential is not the armed one, was used, or has ended: arm it again",
    )
}

/// The armed credential, if this is it and it still can be used.
fn matches(armed: Option<&BreakGlass>, digest: &str, now: OffsetDateTime) -> bool {
    armed.is_some_and(|armed| {
        bool::from(armed.token_sha256.as_bytes().ct_eq(digest.as_bytes()))
            && armed.used_at.is_none()
            && armed.armed_at <= now
            && now < armed.ends_at
    })
}

impl Mapping {
    pub(super) async fn use_break_glass(&self, query: BreakGlassQuery) -> Result<Resolution, Fault> {
        let Some(view) = self.view(query.cluster).await? else { return Ok(unmapped(refused(), Vec::new())) };
        let digest = token_digest(query.credential.expose_secret());
        let now = self.inner.store.clock().now();
        // A look in memory first: a stranger's guesses never reach the database.
        if !matches(view.snapshot.break_glass.as_ref(), &digest, now) {
            return Ok(unmapped(refused(), Vec::new()));
        }
        match self.spend(&view.cluster, &digest).await {
            Ok(Some((used, now))) => {
                Ok(Resolution::Mapped(Arc::new(self.break_glass_badge(&view.cluster, &used, now))))
            }
            Ok(None) => Ok(unmapped(refused(), Vec::new())),
            Err(error) => {
                tracing::error!(error = %error, cluster.uid = %view.cluster.uid, "a break-glass use could not be written");
                Err(error.into())
            }
        }
    }

    /// Marks it used, if it still can be: of two who come at once, one gets in.
    async fn spend(
        &self,
        cluster: &Cluster,
        digest: &str,
    ) -> Result<Option<(BreakGlass, OffsetDateTime)>, StoreError> {
        let scope = Scope::Cluster(cluster.uid);
        let by = Mutation::system("break-glass");
        let mut tx = self.inner.store.begin("use_break_glass", &by, &[scope]).await?;
        let now = tx.now();
        let armed: Option<BreakGlass> = tx.get(scope, Kind::ONLY_KEY).await?;
        if !matches(armed.as_ref(), digest, now) {
            return Ok(None);
        }
        let Some(armed) = armed else { return Ok(None) };
        let used = BreakGlass { used_at: Some(now), ..armed };
        tx.put(&used).await?;
        tx.commit_unrecorded().await?;
        tracing::warn!(cluster.uid = %cluster.uid, "the break-glass credential was used");
        Ok(Some((used, now)))
    }

    fn break_glass_badge(&self, cluster: &Cluster, used: &BreakGlass, now: OffsetDateTime) -> Mapped {
        let key = self.inner.proof_key.get();
        let revision = self
            .inner
            .state
            .cluster_in_memory(cluster.uid)
            .map(|snapshot| snapshot.revision)
            .unwrap_or_default();
        let grant = Grant {
            kind: GrantKind::BreakGlass,
            id: grants::break_glass_grant(cluster.uid, &used.token_sha256),
            revision,
            name: format!("break-glass identity armed by {}", used.armed_by).into(),
        };
        let username = format!("{USERNAME_PREFIX}{}", cluster.id);
        let groups = vec![GROUP.to_owned()];
        let proof = Proof {
            cluster: cluster.uid,
            grant_kind: grant.kind,
            grant: grant.id,
            revision: grant.revision,
            // No principal stands behind it: there is nobody to be gone, and no account's block may shut the way back in.
            handles: Handles {
                account: Handle::NONE,
                principal: key.principal(&Authority::Local, &username),
                principal_id: Handle::NONE,
                access_key: Handle::NONE,
                session: Handle::NONE,
            },
            kin: KinHandles::NONE,
            local: false,
            minted_at: now,
            not_after: badge::not_after(cluster, now),
        };
        let value = proof.mint(&key, &username, &groups);
        let user = UserInfo {
            uid: format!("lanyard:break-glass:{}", cluster.uid),
            username,
            groups,
            extra: [(EXTRA_KEY.into(), vec![value])].into(),
        };
        Mapped { user: user.into(), grant, matched_by: MatchedBy::BreakGlass, holds: None }
    }

    pub(super) async fn arm(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<(BreakGlass, SecretString)>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = self.begin_secret("arm_break_glass", &by, &[scope]).await?;
        let before: Option<BreakGlass> = tx.get(scope, Kind::ONLY_KEY).await?;
        let (secret, token_sha256) = random_token(BREAK_GLASS_PREFIX)?;
        let now = tx.now();
        let armed = BreakGlass {
            cluster: cluster.uid,
            token_sha256,
            armed_by: by.actor.value.name(),
            armed_at: now,
            ends_at: now.saturating_add(ARMED_FOR),
            used_at: None,
        };
        tx.put(&armed).await?;
        let live = before.is_some_and(|before| before.used_at.is_none() && now < before.ends_at);
        let notices = live.then(|| String::from("the credential armed before does not work any more"));
        tx.answer_once(scope, (armed, secret), notices.into_iter().collect()).await
    }

    pub(super) async fn disarm(&self, by: Mutation, id: ClusterId) -> Result<Mutated<BreakGlass>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("disarm_break_glass", &by, &[scope]).await?);
        let armed: Option<BreakGlass> = tx.delete(scope, Kind::ONLY_KEY).await?;
        let armed = armed.ok_or_else(|| CallError::not_found("break-glass identity", &id))?;
        commit(tx, scope, armed, Vec::new()).await
    }

    pub(super) async fn armed(&self, by: Vouched<Actor>) -> Result<Vec<BreakGlass>, CallError> {
        let mut armed = Vec::new();
        for cluster in self.own_clusters(&by.value).await? {
            armed.extend(self.inner.state.cluster(cluster.uid).await?.break_glass.clone());
        }
        Ok(armed)
    }
}
