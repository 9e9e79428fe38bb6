//! Credentials from Lanyard's own STS: role sessions of the hub's own accounts.

use std::{collections::BTreeSet, sync::Arc};

use lanyard_api::{
    Authority, Fault,
    credentials::{RoleSession, SessionCredentials, VendedUser},
};
use lanyard_iam::{
    Ancestor, ConditionKeys, PrincipalArn, PrincipalId, PrincipalKind, RequestContext,
    policy::{Evaluation, Lack, NearMiss, TrustCaller, evaluate_assume_role},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::source::{CredentialSource, Decided, SourceError, Sourced, TargetHop};
use crate::{
    account::{AccountSnapshot, RoleView},
    associations::trust::{Moment, lacking},
    engine::{Credentials, Making},
    rules,
};

/// What the second hop needs of the target role.
const ASSUME_ROLE: &str = "sts:AssumeRole";
/// The same, where the session has tags, for they are transitive.
const TAG_SESSION: &str = "sts:TagSession";

/// Mints role sessions of the hub's own accounts.
pub struct LocalSource {
    engine: Credentials,
}

impl std::fmt::Debug for LocalSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalSource")
    }
}

impl Credentials {
    /// What gives the credentials of roles that the hub keeps.
    #[must_use]
    pub fn local_source(&self) -> LocalSource {
        LocalSource { engine: self.clone() }
    }
}

/// A role as it is now, with its account.
struct Found {
    account: Arc<AccountSnapshot>,
    role: Arc<RoleView>,
    arn: PrincipalArn,
    id: PrincipalId,
}

impl CredentialSource for LocalSource {
    async fn credentials(&self, decided: &Decided) -> Result<Sourced, SourceError> {
        let now = self.engine.now();
        let first = self.find(&decided.association.role_arn, "role_missing").await?;
        lets_pods(&first, decided, now)?;
        is_past_revocation(&first, now)?;
        match &decided.target {
            None => self.mint(decided, first, 0, decided.ancestors.clone()),
            Some(hop) => {
                let target = self.find(&hop.role_arn, "target_missing").await?;
                lets_role(&target, &first, hop, decided, now)?;
                is_past_revocation(&target, now)?;
                let mut ancestors = vec![Ancestor::Role(first.id)];
                ancestors.extend(decided.ancestors.iter().cloned());
                self.mint(decided, target, 1, ancestors)
            }
        }
    }
}

impl LocalSource {
    async fn find(&self, arn: &PrincipalArn, missing: &'static str) -> Result<Found, SourceError> {
        let hub = self.engine.hub().await?;
        if !hub.is_local(arn.account, arn.partition) {
            let text = format!(
                "role `{arn}` is of an account that the hub does not keep: name a role of one that it keeps"
            );
            return Err(refused("account_elsewhere", text));
        }
        let account = self.engine.account(arn.account).await?;
        let found = match &arn.kind {
            PrincipalKind::Role { path, name } => {
                account.role(name).filter(|view| view.role.path == *path && view.role.name == *name).cloned()
            }
            _ => None,
        };
        let role = found.ok_or_else(|| {
            refused(
                missing,
                format!("role `{arn}` does not exist: make it, or name another in the association"),
            )
        })?;
        let id = PrincipalId::parse(&role.role.principal_id).map_err(|_| Fault::Internal)?;
        Ok(Found { account, role, arn: arn.clone(), id })
    }

    fn mint(
        &self,
        decided: &Decided,
        of: Found,
        chain_depth: u8,
        ancestors: Vec<Ancestor>,
    ) -> Result<Sourced, SourceError> {
        let longest = of.role.role.session_seconds_max;
        let longest = if chain_depth == 0 { longest } else { longest.min(rules::CHAINED_SECONDS_MAX) };
        let session = self.engine.mint_role_session(Making {
            authority: Authority::Local,
            principal: of.arn.clone(),
            principal_id: of.role.role.principal_id.clone(),
            session_name: decided.session_name.clone(),
            seconds: decided.seconds_max.min(longest),
            tags: decided.tags.clone(),
            transitive_keys: decided.tags.keys().cloned().collect::<BTreeSet<_>>(),
            source_identity: None,
            session_policy: rules::session_policy(decided.session_policy.as_deref())?,
            revision: of.account.revision.0,
            chain_depth,
            ancestors,
        })?;
        let RoleSession {
            access_key_id,
            secret_access_key,
            session_token,
            expires_at,
            arn,
            assumed_role_id,
            ..
        } = session;
        let credentials = SessionCredentials { access_key_id, secret_access_key, session_token, expires_at };
        Ok(Sourced { credentials, user: VendedUser { arn, id: assumed_role_id }, role_arn: of.arn })
    }
}

/// Whether a session that is made now outlives the last revocation of the role's sessions: else the pod asks again in the next second, and
/// gets none till then that would be kept for it.
fn is_past_revocation(of: &Found, now: OffsetDateTime) -> Result<(), SourceError> {
    match Credentials::until_past_revocation(&of.role.role, now) {
        None => Ok(()),
        retry_after => Err(SourceError::Throttled { retry_after }),
    }
}

/// Whether the role's trust policy lets Pod Identity assume it and tag the session, in this very call.
fn lets_pods(role: &Found, decided: &Decided, now: OffsetDateTime) -> Result<(), SourceError> {
    let Decided { association, cluster, session_name, tags, .. } = decided;
    let moment = Moment { session_name, tags, now };
    let trust = role.role.trust.as_ref();
    match lacking(trust, &role.role.role, association, cluster, &moment) {
        None => Ok(()),
        Some((action, near)) => {
            let arn = &role.arn;
            let text = format!(
                "the trust policy of `{arn}` does not let the service `pods.eks.amazonaws.com` do `{action}` for this pod: {}",
                near.as_ref().map_or_else(|| "a statement denies it".to_owned(), lack)
            );
            Err(refused("role_trust", text))
        }
    }
}

/// Whether the first role may assume the target role: by its own policies and by the target's trust policy, as IAM weighs them.
fn lets_role(
    target: &Found,
    first: &Found,
    hop: &TargetHop,
    decided: &Decided,
    now: OffsetDateTime,
) -> Result<(), SourceError> {
    let refusal = |text: &str| {
        let (role, target) = (&first.arn, &target.arn);
        refused("target_trust", format!("role `{role}` may not assume the target role `{target}`: {text}"))
    };
    let Some(trust) = &target.role.trust else {
        return Err(refusal("its trust policy cannot be read: put it anew"));
    };
    let policies = first.account.policies_of(&first.role.role.name);
    if policies.unreadable {
        return Err(refusal("a policy of the role cannot be read and may deny it: put it anew"));
    }
    let session = PrincipalArn {
        kind: PrincipalKind::AssumedRole {
            role: first.role.role.name.clone(),
            session: decided.session_name.clone(),
        },
        ..first.arn
    };
    let keys = keys_of_hop(&session, first, target, hop, decided, now);
    let caller = TrustCaller::Aws { principal: &session, role: Some(&first.arn), id: &first.id };
    let resource = target.arn.to_string();
    let tagged = (!decided.tags.is_empty()).then_some(TAG_SESSION);
    for action in [Some(ASSUME_ROLE), tagged].into_iter().flatten() {
        let request = RequestContext { action, resource: &resource, keys: &keys };
        let weighed = evaluate_assume_role(&policies.named(), None, trust, &caller, &target.arn, &request);
        if !weighed.is_allowed() {
            return Err(refusal(&why(&weighed, action)));
        }
    }
    Ok(())
}

/// The circumstances of the second hop as condition keys: the caller is the pod's session of the first role.
fn keys_of_hop(
    session: &PrincipalArn,
    first: &Found,
    target: &Found,
    hop: &TargetHop,
    decided: &Decided,
    now: OffsetDateTime,
) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    keys.set_principal(session, Some(&first.arn), &first.id)
        .set_direct_call(target.arn.account)
        .set("sts:RoleSessionName", decided.session_name.as_str())
        .set("aws:CurrentTime", now.format(&Rfc3339).unwrap_or_default())
        .set("aws:EpochTime", now.unix_timestamp().to_string())
        .set("aws:RequestedRegion", decided.cluster.region.as_str())
        .set_all("sts:ExternalId", hop.external_id.clone());
    // A session tag stands in for the role's own of the same key.
    keys.set_tags("aws:PrincipalTag/", &first.role.role.tags)
        .set_tags("aws:PrincipalTag/", &decided.tags)
        .set_iam_resource_tags(&target.role.role.tags);
    keys
}

fn why(weighed: &Evaluation, action: &str) -> String {
    match &weighed.near {
        Some(near) => format!("`{action}`: {}", lack(near)),
        None => format!("`{action}`: a statement denies it"),
    }
}

/// What came nearest to an allow, for whoever wrote the policies.
fn lack(near: &NearMiss) -> String {
    let place =
        near.statement.as_ref().map(|place| format!("statement {} of {}", place.index + 1, place.document));
    match (&near.lack, place) {
        (Lack::Condition { operator, key }, Some(place)) => {
            format!("the condition `{operator}` on `{key}` of {place} does not hold")
        }
        (Lack::Resource, Some(place)) => format!("{place} allows the action, on other resources"),
        (Lack::IdentityPolicy, _) => "the role's own policies have to allow it too".to_owned(),
        (Lack::TrustPolicy, _) => "the trust policy does not name it".to_owned(),
        _ => "no statement allows the action".to_owned(),
    }
}

fn refused(code: &'static str, text: String) -> SourceError {
    SourceError::Refused { code: code.into(), text }
}
