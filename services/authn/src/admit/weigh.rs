//! Holding a call against policies: the caller's own account, and roles elsewhere only by assuming them.

use std::sync::Arc;

use lanyard_api::mapping::Cluster;
use lanyard_api::methods::{self, AccountRef, Call, ClusterRef, Place, Resource};
use lanyard_api::tags::{ClusterPlace, TaggedArn, TaggedPart};
use lanyard_api::{Denial, Fault};
use lanyard_iam::policy::{Decision, TrustCaller, evaluate_assume_role};
use lanyard_iam::{AccountId, PrincipalArn, PrincipalKind, RequestContext};

use super::caller::{Allowed, Caller, Made};
use super::context::{self, Circumstances};
use super::denial::{Refusal, denial, statement};
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::local_keys::Holder;
use crate::snapshot::{ClusterView, HubSnapshot, Principal};

/// The one action that is weighed with the resource's own policy.
const ASSUME_ROLE: &str = "sts:AssumeRole";
/// What a user asks for a session of their own by. AWS lets nobody allow or deny that by a policy.
const GET_SESSION_TOKEN: &str = "sts:GetSessionToken";
/// What a session's tags need beside it.
const TAG_SESSION: &str = "sts:TagSession";
/// What a source identity needs beside it.
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";
/// What an entry for several principals needs beside AWS's own action, which is for one: nobody has it by a document that was
/// written for that.
const CREATE_FOR_SEVERAL: &str = "lanyard:CreateAccessEntryForSeveral";
/// What lets everybody ask who they are.
const ANYBODY: &str = "nobody needs permission to ask who they are";
/// What lets everybody ask by which policies they are weighed, where none of these says so.
const ABOUT_ONESELF: &str = "nobody needs permission to ask which policies they have";
/// A hub operator sees all accounts, anybody else their own.
const LIST_ACCOUNTS: &str = "lanyard:ListAccounts";

impl<S: SharedCache> Engine<S> {
    /// The statement that allows the call, or the refusal.
    pub(super) async fn weigh(
        &self,
        hub: &HubSnapshot,
        holder: &Holder,
        call: &Call,
        circumstances: &Circumstances<'_>,
    ) -> Result<Result<Allowed, Denial>, Fault> {
        if call.action == methods::GET_CALLER_IDENTITY {
            return Ok(Ok(Allowed { resource: "*".to_owned(), by: ANYBODY.to_owned() }));
        }
        if let Some(policy) = &holder.owner.policies.unreadable {
            let message =
                format!("policy `{policy}` of the caller cannot be read and may deny this; put it anew");
            return Ok(Err(denial("policy_unreadable", message)));
        }
        let mut caller = Caller::new(holder, circumstances);
        for (name, values) in &call.target.keys {
            caller.keys.set_all(name, values.iter().cloned());
        }
        if let Some(denial) = beyond_a_users_session(holder, call.action) {
            return Ok(Err(denial));
        }
        if call.action == GET_SESSION_TOKEN {
            return Ok(own_session(holder));
        }
        if call.action == ASSUME_ROLE {
            return self.weigh_assume_role(hub, &caller, call).await;
        }
        let own = holder.account.account.id;
        let on_hub = match (&call.target.resource, call.target.account) {
            (Resource::Hub, _) => true,
            (_, AccountRef::Named(account)) => account != own,
            (_, AccountRef::Own) => false,
        };
        if on_hub {
            let allowed = self.weigh_on_hub(&caller, call, own);
            if allowed.is_ok()
                && let Err(denial) = allowed_beside(&caller, call, &self.hub.arn())
            {
                return Ok(Err(denial));
            }
            if let (Ok(_), Some(passed)) = (&allowed, &call.target.passes)
                && let Err(denial) = Caller::new(holder, circumstances).passes_on_hub(passed, self.hub.arn())
            {
                return Ok(Err(denial));
            }
            return Ok(allowed);
        }
        if call.action == LIST_ACCOUNTS && own == self.hub.account {
            let all = caller.ask(call.action, self.hub.arn());
            if all.is_ok() {
                return Ok(all);
            }
        }
        if names_foreign_cluster(hub, call, own) {
            return Ok(Err(denial(
                methods::UNKNOWN_CLUSTER,
                "there is no such cluster in the caller's account",
            )));
        }
        let resource = self.own_resource(hub, &mut caller, call, circumstances.region).await?;
        if matches!(call.target.resource, Resource::NewEntryForSeveral)
            && let Err(denial) = caller.ask(CREATE_FOR_SEVERAL, resource.clone())
        {
            return Ok(Err(denial));
        }
        if call.action == methods::GET_CALLER_POLICIES {
            return Ok(caller.ask_unless_denied(call.action, resource, ABOUT_ONESELF));
        }
        let allowed = caller.ask(call.action, resource);
        if let Ok(allowed) = &allowed
            && let Err(denial) = allowed_beside(&caller, call, &allowed.resource)
        {
            return Ok(Err(denial));
        }
        if let (Ok(allowed), Some(passed)) = (&allowed, &call.target.passes) {
            // What the request says of its own resource is not said of the role.
            if let Err(denial) = Caller::new(holder, circumstances).passes(passed, &allowed.resource) {
                return Ok(Err(denial));
            }
        }
        Ok(allowed)
    }

    /// What belongs to no account, or to another one than the caller's: the hub operators' affair, who are principals of
    /// the hub's own account. To everybody else there is no other account.
    fn weigh_on_hub(&self, caller: &Caller<'_>, call: &Call, own: AccountId) -> Result<Allowed, Denial> {
        if own == self.hub.account {
            return caller.ask(call.action, self.hub.arn());
        }
        let message = "policies reach their own account alone: this is for hub operators, or for a role of the other \
                       account that you assume";
        Err(denial("other_account", message))
    }

    /// The ARN of something in the caller's own account. What is in another one looks exactly like what is nowhere.
    async fn own_resource(
        &self,
        hub: &HubSnapshot,
        caller: &mut Caller<'_>,
        call: &Call,
        region: &str,
    ) -> Result<String, Fault> {
        let holder = caller.holder;
        let (account, snapshot) = (&holder.account.account, &holder.account.snapshot);
        let owner = match &call.target.resource {
            Resource::User { name, .. } => snapshot.user(name),
            Resource::Role { name, .. } => snapshot.role(name),
            _ => None,
        };
        let cluster = named_cluster(hub, call).filter(|view| view.cluster.account == account.id);
        let own = match cluster {
            Some(view) => Some(self.directory.cluster(view.cluster.uid).await?),
            None => None,
        };
        let (entry, identity_provider) = match &call.target.resource {
            Resource::AccessEntry { principal_arn } => {
                let own = own.as_ref().zip(cluster);
                (own.and_then(|(own, view)| own.entry(principal_arn, &view.cluster.trusted_accounts)), None)
            }
            Resource::Tagged(TaggedArn { part: TaggedPart::AccessEntry { id, .. }, .. }) => {
                (own.as_ref().and_then(|own| own.entry_by_id(*id)), None)
            }
            Resource::IdentityProviderConfig { name } => {
                (None, own.as_ref().and_then(|own| own.identity_provider_named(name)))
            }
            _ => (None, None),
        };
        let part = match &call.target.resource {
            Resource::PodIdentityAssociation(id) => {
                own.as_ref().and_then(|own| own.association_tags(id.as_str()))
            }
            Resource::Tagged(arn) => own.as_ref().and_then(|own| own.tags_of_part(&arn.part)),
            _ => None,
        };
        let of_part = entry.map(|entry| &entry.tags).or(identity_provider.map(|(_, tags)| tags)).or(part);
        // A part that is not there has no tags, rather than its cluster's.
        let is_part =
            matches!(&call.target.resource, Resource::Tagged(arn) if arn.part != TaggedPart::Cluster);
        let of_cluster = || cluster.filter(|_| !is_part).map(|view| &view.cluster.tags);
        let provider = match &call.target.resource {
            Resource::OidcProvider { issuer_url } => snapshot.oidc_provider(issuer_url),
            _ => None,
        };
        let profile = match &call.target.resource {
            Resource::InstanceProfile { name, .. } => snapshot.instance_profile(name),
            _ => None,
        };
        let of_own = provider.map(|provider| &provider.tags).or(profile.map(|profile| &profile.tags));
        let makes = call.target.made.is_some() && !call.target.beside.is_empty();
        let keys_of_made = makes.then(|| caller.keys.clone());
        if let Some(owner) = owner {
            caller.keys.set_iam_resource_tags(owner.tags());
        } else if let Some(tags) = of_own.or(of_part).or_else(of_cluster) {
            caller.keys.set_tags("aws:ResourceTag/", tags);
        }
        if let Some(entry) = entry {
            context::set_entry(&mut caller.keys, entry);
        }
        if let Some(view) = cluster {
            caller.keys.set("eks:clusterName", &view.cluster.name);
        }
        let cluster: Option<&Cluster> = cluster.map(|view| &*view.cluster);
        let named = Place {
            partition: account.partition,
            account: account.id,
            region,
            hub: self.hub.id,
            cluster,
            stored: None,
            entry: None,
            identity_provider: None,
        };
        caller.named = Some(call.target.arn(&named));
        caller.made = keys_of_made.zip(call.target.made_arn(&named)).map(|(mut keys, arn)| {
            if let Some(cluster) = cluster {
                keys.set("eks:clusterName", &cluster.name);
            }
            Made { arn, keys }
        });
        Ok(call.target.arn(&Place {
            stored: owner
                .map(|owner| match &owner.principal {
                    Principal::User(user) => (user.path.as_str(), user.name.as_str()),
                    Principal::Role { role, .. } => (role.path.as_str(), role.name.as_str()),
                    // No account lists these.
                    Principal::Elsewhere(_) => ("/", ""),
                })
                .or(profile.map(|profile| (profile.path.as_str(), profile.name.as_str()))),
            entry: entry.map(|entry| (entry.id, &entry.principal)),
            identity_provider: identity_provider.map(|(id, _)| id),
            ..named
        }))
    }

    /// Identity policies, session policy and the role's trust policy together. A role that is not there and one that does
    /// not let the caller are answered alike.
    async fn weigh_assume_role(
        &self,
        hub: &HubSnapshot,
        caller: &Caller<'_>,
        call: &Call,
    ) -> Result<Result<Allowed, Denial>, Fault> {
        let holder = caller.holder;
        if !holder.owner.is_local() {
            let message = "a session that was exchanged for a principal of another authority assumes no role of the hub; attach \
                           policies to the principal, or assume the role as a user of the hub";
            return Ok(Err(denial("exchanged_session", message)));
        }
        let (AccountRef::Named(account), Resource::Role { path: Some(path), name }) =
            (call.target.account, &call.target.resource)
        else {
            return Ok(Err(denial(
                "invalid_request",
                "role_arn: the call names no role; give its whole ARN",
            )));
        };
        let kind = PrincipalKind::Role { path: path.clone(), name: name.clone() };
        let role = PrincipalArn { partition: holder.account.account.partition, account, kind };
        let resource = role.to_string();
        let who = holder.arn().to_string();
        let refusal =
            Refusal { wording: caller.wording, caller: &who, action: ASSUME_ROLE, resource: &resource };
        let uniform = || Ok(Err(refusal.of_any_role()));
        let by_identity = caller.evaluate(ASSUME_ROLE, &resource);
        if by_identity.decision == Decision::ExplicitDeny {
            return Ok(Err(refusal.by(&by_identity)));
        }
        let local = self.directory.local_account(hub, account).await?;
        let found = local.as_ref().and_then(|local| local.snapshot.role(name));
        let Some((owner, partition)) = found.zip(local.as_ref().map(|local| local.account.partition)) else {
            return uniform();
        };
        let Principal::Role { trust: Some(trust), .. } = &owner.principal else { return uniform() };
        if owner.arn(partition) != role {
            return uniform();
        }
        let own = holder.owner.arn(holder.account.account.partition);
        let arn = holder.arn();
        let trusted = TrustCaller::Aws {
            principal: &arn,
            role: holder.session.as_ref().map(|_| &own),
            id: &holder.owner.id,
        };
        let session = holder.session.as_ref().and_then(|claims| claims.session_policy.as_ref());
        let mut keys = caller.keys.clone();
        keys.set("aws:ResourceAccount", account.as_str());
        keys.set_iam_resource_tags(owner.tags());
        let mut by = String::new();
        for action in needed_actions(call, holder) {
            let request = RequestContext { action, resource: &resource, keys: &keys };
            let policies = holder.owner.policies.named();
            let evaluation = evaluate_assume_role(&policies, session, trust, &trusted, &role, &request);
            match &evaluation.deciding {
                Some(place) if evaluation.is_allowed() && by.is_empty() => by = statement(place),
                Some(_) if evaluation.is_allowed() => {}
                _ => return uniform(),
            }
        }
        Ok(Ok(Allowed { resource: resource.clone(), by }))
    }
}

/// A user asks for a session of their own; a session makes no more of its kind (AWS STS `GetSessionToken`).
fn own_session(holder: &Holder) -> Result<Allowed, Denial> {
    if holder.session.is_some() || holder.owner.is_role() {
        let message = "a session cannot ask for a session: call GetSessionToken with the user's own key";
        return Err(denial("session_of_session", message));
    }
    let resource = holder.owner.arn(holder.account.account.partition).to_string();
    Ok(Allowed { resource, by: "every user may ask for a session of their own".to_owned() })
}

/// What a user's own session cannot do, whatever its user may: IAM, and STS but for assuming a role (AWS STS
/// `GetSessionToken`, of sessions that were made without MFA).
fn beyond_a_users_session(holder: &Holder, action: &str) -> Option<Denial> {
    // Who was exchanged has no key of the hub's to sign with instead.
    let is_one = holder.session.is_some() && !holder.owner.is_role() && holder.owner.is_local();
    let is_kept = action.starts_with("iam:") || (action.starts_with("sts:") && action != ASSUME_ROLE);
    let message =
        || format!("a user's session may not `{action}`: sign with the user's own key, or assume a role");
    (is_one && is_kept).then(|| denial("beyond_session", message()))
}

/// Everything that a session with these parameters needs to be allowed. What a session inherits from the one before it has
/// to be allowed as what it is given.
fn needed_actions<'a>(call: &Call, holder: &Holder) -> impl Iterator<Item = &'a str> {
    let is_given = |key: &str| call.target.keys.iter().any(|(name, _)| name.eq_ignore_ascii_case(key));
    let claims = holder.session.as_deref();
    let tags = is_given("aws:TagKeys") || claims.is_some_and(|claims| !claims.transitive_keys.is_empty());
    let source =
        is_given("sts:SourceIdentity") || claims.is_some_and(|claims| claims.source_identity.is_some());
    [Some(ASSUME_ROLE), tags.then_some(TAG_SESSION), source.then_some(SET_SOURCE_IDENTITY)]
        .into_iter()
        .flatten()
}

/// Whether the caller may do what a call does besides: on what it makes, or else on the same resource.
fn allowed_beside(caller: &Caller<'_>, call: &Call, resource: &str) -> Result<(), Denial> {
    let made = caller.before_made();
    let (caller, resource) = match &made {
        Some((caller, arn)) => (caller, arn.as_str()),
        None => (caller, resource),
    };
    call.target.beside.iter().try_for_each(|action| caller.ask(action, resource.to_owned()).map(drop))
}

/// Whether a call names, by uid, a cluster of another account or none at all. An id is resolved once more by the service,
/// inside the actor's account; a uid is taken there as it is, by methods that ask no actor.
fn names_foreign_cluster(hub: &HubSnapshot, call: &Call, own: AccountId) -> bool {
    matches!(call.target.cluster, Some(ClusterRef::Uid(_)))
        && named_cluster(hub, call).is_none_or(|view| view.cluster.account != own)
}

/// The cluster that a call names, by id or uid.
pub(super) fn named_cluster<'a>(hub: &'a HubSnapshot, call: &Call) -> Option<&'a Arc<ClusterView>> {
    if let Resource::Tagged(arn) = &call.target.resource {
        let ClusterPlace { account, region, name, .. } = &arn.cluster;
        return hub.cluster_named(*account, region, name);
    }
    match call.target.cluster.as_ref()? {
        ClusterRef::Id(id) => hub.cluster_by_id(id),
        ClusterRef::Uid(uid) => hub.cluster(*uid),
        ClusterRef::Missing(_) => None,
    }
}
