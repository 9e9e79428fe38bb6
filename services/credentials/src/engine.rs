//! The engine: what it keeps in memory; and minting, once everything about the role and the parameters is settled.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use lanyard_api::{
    Actor, ActorKind, Authority, CallError, Denial, Fault, Lineage, Mutation, Scope, Vouched,
    authn::accounts::IamRole,
    credentials::{AssumeRole, RoleSession, Sessions},
};
use lanyard_iam::{
    AccessKeyId, Ancestor, PrincipalArn, PrincipalId, PrincipalKind, SessionClaims, SessionError,
    SessionMinter,
};
use lanyard_kit::Clock;
use lanyard_store::{Followed, Store};
use secrecy::SecretString;
use time::Duration;

use crate::{
    associations::AssociationModel,
    config::CredentialsConfig,
    keys::{KeysError, minting_keys},
    model::{RoleSnapshot, Roles},
    rules,
    snapshot::{ClusterModel, WorkloadModel},
};

/// Accounts whose roles are kept in memory; those used last.
const ACCOUNTS_MAX: usize = 1_024;
/// The action that an actor must have been admitted for.
const ACTION: &str = "sts:AssumeRole";
/// What AWS says, alike for a role that is not there and one that does not let the caller.
const REFUSED: &str = "not authorized to perform sts:AssumeRole on this role, or there is no such role";

/// The engine of role sessions, workloads and their roles. Clones share it.
#[derive(Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    config: CredentialsConfig,
    roles: Followed<Roles>,
    clusters: Followed<ClusterModel>,
    workloads: Followed<WorkloadModel>,
    associations: Followed<AssociationModel>,
    minter: SessionMinter,
    clock: Arc<dyn Clock>,
}

impl Credentials {
    /// An engine over an opened store, whose keyring must hold the session keys.
    ///
    /// # Errors
    /// [`KeysError`] where it does not.
    pub fn new(store: &Store, config: CredentialsConfig) -> Result<Self, KeysError> {
        let inner = Inner {
            store: store.clone(),
            roles: Followed::new(store, Roles, ACCOUNTS_MAX),
            clusters: Followed::new(store, ClusterModel, 1),
            workloads: Followed::new(store, WorkloadModel, config.clusters_max),
            associations: Followed::new(store, AssociationModel, config.clusters_max),
            minter: SessionMinter::new(&minting_keys(store.keyring())?)?,
            clock: Arc::clone(store.clock()),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn config(&self) -> &CredentialsConfig {
        &self.inner.config
    }

    pub(crate) fn clusters(&self) -> &Followed<ClusterModel> {
        &self.inner.clusters
    }

    pub(crate) fn workload_snapshots(&self) -> &Followed<WorkloadModel> {
        &self.inner.workloads
    }

    pub(crate) fn association_snapshots(&self) -> &Followed<AssociationModel> {
        &self.inner.associations
    }

    async fn roles(&self, arn: &PrincipalArn) -> Result<Arc<RoleSnapshot>, CallError> {
        let scope = Scope::Account(arn.account);
        match self.inner.roles.peek(scope) {
            Some(snapshot) => Ok(snapshot),
            None => Ok(self.inner.roles.get(scope).await?),
        }
    }

    /// A signature makes one session: whoever captures the call and sends it again gets none.
    async fn use_up(&self, by: Vouched<Actor>, scope: Scope) -> Result<(), CallError> {
        if by.value.signature.is_none() {
            return Ok(());
        }
        let transaction = self.inner.store.begin("assume_role", &Mutation::by(by), &[scope]).await?;
        transaction.commit_unrecorded().await?;
        Ok(())
    }

    fn mint(
        &self,
        arn: PrincipalArn,
        role: &IamRole,
        revision: u64,
        by: &Lineage,
        principal: (&PrincipalArn, &str),
        query: &AssumeRole,
    ) -> Result<RoleSession, CallError> {
        let chained = by.chain_depth > 0 || by.access_key_id.as_ref().is_some_and(AccessKeyId::is_session);
        let seconds = rules::duration(query.duration_seconds, role.session_seconds_max, chained)?;
        let (tags, transitive_keys) = rules::tags(query, &by.transitive_tags)?;
        let source_identity = source_identity(query, by)?;
        let now = self.inner.clock.now();
        let issued_at = now.replace_nanosecond(0).unwrap_or(now);
        let claims = SessionClaims {
            authority: Authority::Local.to_string(),
            principal_id: PrincipalId::parse(&role.principal_id).map_err(|_| Fault::Internal)?,
            principal: arn,
            session_name: query.session_name.clone(),
            tags,
            transitive_keys,
            source_identity,
            session_policy: rules::session_policy(query.session_policy.as_deref())?,
            issued_at,
            expires_at: issued_at + Duration::seconds(i64::from(seconds)),
            revision,
            chain_depth: by.chain_depth,
            ancestors: ancestors(by, principal)?,
        };
        let minted = self.inner.minter.mint(&claims, &SystemRandom::new()).map_err(unminted)?;
        let token = minted.credentials.session_token.ok_or(Fault::Internal)?;
        Ok(RoleSession {
            access_key_id: minted.credentials.access_key_id,
            secret_access_key: SecretString::from(minted.credentials.secret_access_key.expose()),
            session_token: SecretString::from(token.expose()),
            expires_at: minted.expires_at,
            arn: claims.session_arn().to_string(),
            assumed_role_id: format!("{}:{}", role.principal_id, query.session_name),
            packed_policy_percent: u32::from(minted.packed_percent),
        })
    }
}

impl Sessions for Credentials {
    async fn assume_role(&self, by: Vouched<Actor>, query: AssumeRole) -> Result<RoleSession, CallError> {
        let ActorKind::Principal { arn: principal, principal_id, lineage, .. } = &by.value.kind else {
            return Err(refused());
        };
        rules::session_name(&query.session_name)?;
        rules::external_id(query.external_id.as_deref())?;
        rules::source_identity(query.source_identity.as_deref())?;
        let arn = PrincipalArn::parse(&query.role_arn)
            .map_err(|error| CallError::invalid("role_arn", "role_arn", error.to_string()))?;
        let PrincipalKind::Role { path, name } = &arn.kind else {
            let rule = format!(
                "`{arn}` is not a role's ARN: write arn:<partition>:iam::<account>:role/<path><name>"
            );
            return Err(CallError::invalid("role_arn", "role_arn", rule));
        };
        if by.value.action != ACTION || by.value.resource != arn.to_string() {
            return Err(refused());
        }
        let snapshot = self.roles(&arn).await?;
        let role = snapshot.role(name).filter(|role| role.path == *path && role.name == *name);
        let role = role.ok_or_else(refused)?;
        let revision = snapshot.revision.0;
        let session = self.mint(arn.clone(), role, revision, lineage, (principal, principal_id), &query)?;
        self.use_up(by.clone(), Scope::Account(arn.account)).await?;
        Ok(session)
    }
}

fn refused() -> CallError {
    CallError::Denied(Denial { code: "assume_role_refused".into(), message: REFUSED.to_owned() })
}

fn unminted(error: SessionError) -> CallError {
    match error {
        SessionError::PackedPolicyTooLarge { .. } => {
            CallError::invalid("session_policy", "packed_policy_too_large", error.to_string())
        }
        SessionError::InvalidClaim { claim, rule } => CallError::invalid(claim, "session_claim", rule),
        _ => {
            tracing::error!(%error, "a session could not be minted");
            CallError::Fault(Fault::Internal)
        }
    }
}

/// Once set, a source identity stays (IAM: source identity).
fn source_identity(query: &AssumeRole, by: &Lineage) -> Result<Option<String>, CallError> {
    match (&by.source_identity, &query.source_identity) {
        (Some(kept), Some(asked)) if kept != asked => {
            let rule =
                "the calling session has another source identity, which cannot be changed: leave it out";
            Err(CallError::invalid("source_identity", "source_identity", rule))
        }
        (kept, asked) => Ok(kept.clone().or_else(|| asked.clone())),
    }
}

/// The actor itself and all that it descends from: when one of them is gone, so is the session.
fn ancestors(
    by: &Lineage,
    (principal, principal_id): (&PrincipalArn, &str),
) -> Result<Vec<Ancestor>, CallError> {
    let mut ancestors = Vec::with_capacity(by.ancestors.len() + 2);
    let id = PrincipalId::parse(principal_id).map_err(|_| Fault::Internal)?;
    ancestors.push(match principal.kind {
        PrincipalKind::User { .. } => Ancestor::User(id),
        _ => Ancestor::Role(id),
    });
    // A session's key too, though it has no record: a block may name it.
    ancestors.extend(by.access_key_id.clone().map(Ancestor::AccessKey));
    for text in &by.ancestors {
        ancestors.push(ancestor(text).ok_or(Fault::Internal)?);
    }
    Ok(ancestors)
}

fn ancestor(text: &str) -> Option<Ancestor> {
    let (kind, id) = text.split_once('/')?;
    match kind {
        "key" => AccessKeyId::parse(id).ok().map(Ancestor::AccessKey),
        "user" => PrincipalId::parse(id).ok().map(Ancestor::User),
        "role" => PrincipalId::parse(id).ok().map(Ancestor::Role),
        "association" => Some(Ancestor::Association(id.to_owned())),
        "cluster" => Some(Ancestor::Cluster(id.to_owned())),
        "certificate" => Some(Ancestor::Certificate(id.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_read_back_what_identities_write() {
        let written = [
            "key/LKIAAAAAAAAAAAAAAAAA",
            "user/AIDAAAAAAAAAAAAAAAAAA",
            "role/AROAAAAAAAAAAAAAAAAAA",
            "certificate/0aff",
        ];
        for text in written {
            assert!(ancestor(text).is_some(), "{text}");
        }
        for bad in ["", "key", "key/", "nobody/x"] {
            assert!(ancestor(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_source_identity_is_kept_and_never_changed() {
        let by = |identity: Option<&str>| Lineage {
            access_key_id: Some(AccessKeyId::parse("LKIAAAAAAAAAAAAAAAAA").unwrap()),
            ancestors: Vec::new(),
            transitive_tags: Default::default(),
            source_identity: identity.map(str::to_owned),
            chain_depth: 0,
        };
        let ask = |identity: Option<&str>| AssumeRole {
            source_identity: identity.map(str::to_owned),
            ..AssumeRole::default()
        };
        assert_eq!(source_identity(&ask(None), &by(Some("a"))).unwrap().as_deref(), Some("a"));
        assert_eq!(source_identity(&ask(Some("a")), &by(Some("a"))).unwrap().as_deref(), Some("a"));
        assert_eq!(source_identity(&ask(Some("b")), &by(None)).unwrap().as_deref(), Some("b"));
        assert!(source_identity(&ask(Some("b")), &by(Some("a"))).is_err());
    }
}
