//! [`Vend`]: credentials for the pods of clusters.
//!
//! What has to be proven, in this order: that the caller is a node of the cluster; that the token is one of this very cluster's issuer,
//! for Pod Identity, bound to a pod on a node, and good now; that this node is the caller; that the ServiceAccount has an association;
//! that the pod is still there, which the cluster's API server says (`review`); and that no block stops the association's roles (`blocked`). What the pod then gets is decided here, and a [`CredentialSource`] gives it, which finds out whether the roles let it.

mod audit;
mod blocked;
mod budget;
mod cache;
mod local;
mod node;
mod rest;
mod review;
mod session;
mod slots;
mod source;
mod token;

use std::{sync::Arc, time::Instant};

use lanyard_api::{
    Actor, ActorKind, Authority, CallError, Fault, Revision, Scope, Vouched,
    credentials::{
        AssumeRoleForPodIdentity, POD_IDENTITY_AUDIENCE, PodCredentials, PodIdentityAssociation,
        ServiceAccountName, Vend, VendRefusal, VendedAssociation,
    },
    mapping::Cluster,
    spoke::PodReviews,
};
use lanyard_iam::{Ancestor, PrincipalArn, TokenDigest};
use lanyard_kit::telemetry::{Counters, names};
use lanyard_oidc::{Jwt, KeptTokens, ServiceAccountToken};
use secrecy::{ExposeSecret as _, SecretString};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use self::{
    audit::{Outcome, tell},
    budget::{Asker, Budgets},
    cache::{Basis, Of, VendCache, Vended},
    node::NotANode,
    review::PodLives,
};
use crate::{
    config::VendConfig,
    engine::Credentials,
    sight::fault,
    snapshot::{KnownIssuer, WorkloadSnapshot},
};

pub use local::LocalSource;
pub(crate) use node::{NodeModel, NodeSnapshot};
pub use source::{CredentialSource, Decided, PodIdentity, SourceError, Sourced, TargetHop};

/// Longest name of a node (Kubernetes: a DNS subdomain), in bytes.
const NODE_NAME_BYTES_MAX: usize = 253;
/// What EKS says where a role does not let it, which clients look for.
const UNAUTHORIZED: &str =
    "Unauthorized Exception! EKS does not have permissions to assume the associated role.";
/// What a role's owner cannot mend, but who wrote the association.
const OF_ASSOCIATION: [&str; 5] =
    ["packed_policy_too_large", "malformed_policy_document", "account_elsewhere", "aws_road", "parameter"];

/// What vending keeps.
pub(crate) struct Vending {
    budgets: Arc<Budgets>,
    /// Tokens that were verified, for as long as what their pods were vended is kept.
    proven: KeptTokens<KnownIssuer>,
    cache: VendCache,
    lives: PodLives,
    vends: Counters<Outcome>,
}

impl Vending {
    pub(crate) fn new(config: &VendConfig) -> Self {
        let budgets = Arc::new(Budgets::new(config));
        Self {
            lives: PodLives::new(config, Arc::clone(&budgets)),
            budgets,
            proven: KeptTokens::new(config.kept_max, Duration::seconds(config.kept_seconds.into())),
            cache: VendCache::new(config.kept_max, config.kept_seconds),
            vends: Counters::new(names::CREDENTIALS_VENDS_TOTAL),
        }
    }
}

impl Vend for Credentials {
    async fn assume_role_for_pod_identity(
        &self,
        by: Vouched<Actor>,
        request: AssumeRoleForPodIdentity,
    ) -> Result<PodCredentials, CallError> {
        let token = TokenDigest::of(request.token.expose_secret());
        let answer = Box::pin(self.vended(&by.value, &request, token)).await;
        self.vending().vends.increment(Outcome::of(&answer));
        tell(&by.value, &request, token, &answer);
        answer
    }
}

impl Credentials {
    /// Has API servers asked whether pods are still there, by the spoke service. Before that, and where there is none, nobody knows.
    pub fn review_pods_by(&self, reviews: impl PodReviews) {
        self.vending().lives.review_by(reviews);
    }

    async fn vended(
        &self,
        by: &Actor,
        request: &AssumeRoleForPodIdentity,
        token: TokenDigest,
    ) -> Result<PodCredentials, CallError> {
        if request.node_name.as_ref().is_some_and(|name| name.len() > NODE_NAME_BYTES_MAX) {
            let rule = format!("at most {NODE_NAME_BYTES_MAX} bytes");
            return Err(CallError::invalid("node_name", "node_name", rule));
        }
        let cluster = self.seen(by, &request.cluster).await?;
        let node = self.calling_node(by, &cluster).await?;
        let now = self.now();
        let pod = self.proven_pod(by, &cluster, (request.token.expose_secret(), token), now).await?;
        if pod.node != node {
            let rule =
                format!("the token's pod runs on node `{}`, and the caller is node `{node}`", pod.node);
            return Err(VendRefusal::AccessDenied.because(rule));
        }
        self.vending().budgets.take(cluster.uid, &pod.namespace, Instant::now())?;
        // Without one nobody is asked.
        self.association_of(&cluster, &pod).await?;
        let unconfirmed = self.confirmed(by, &cluster, &pod, (&request.token, token), now).await?;
        // It may be another by now, or none.
        let (association, revision) = self.association_of(&cluster, &pod).await?;
        let basis = Basis { accounts: self.accounts_of(&association).await?, association };
        let of = Of { cluster: cluster.uid, association: basis.association.id.clone(), pod };
        let cache = &self.vending().cache;
        let kept = self.unblocked_of(&cluster, &of, &basis.association).await?;
        let vend = self.vend(&cluster, &of.pod, &basis, revision, now);
        let vended = cache.get_or_vend(&of, &basis, now, Box::pin(vend)).await?;
        // What is kept was looked at right now.
        if kept.is_none_or(|kept| !Arc::ptr_eq(&kept, &vended)) {
            self.still_unblocked(&cluster, &of, &vended).await?;
        }
        Ok(answer(&cluster, &of, &vended, unconfirmed))
    }

    /// The association that is for a pod, and the revision of the cluster that it is true of.
    async fn association_of(
        &self,
        cluster: &Arc<Cluster>,
        pod: &PodIdentity,
    ) -> Result<(Arc<PodIdentityAssociation>, Revision), CallError> {
        let associations = self.associations(cluster.uid).await?;
        let found = associations.of(&pod.namespace, &pod.service_account);
        let association = found.cloned().ok_or_else(|| no_association(cluster, pod))?;
        Ok((association, associations.revision))
    }

    /// The name of the node that calls.
    async fn calling_node(&self, by: &Actor, cluster: &Cluster) -> Result<String, CallError> {
        let bound = match &by.kind {
            ActorKind::Principal { .. } => {
                self.node_snapshots().get(Scope::Cluster(cluster.uid)).await.map_err(fault)?
            }
            _ => Arc::new(NodeSnapshot::default()),
        };
        bound.name_of(by).map_err(|not: NotANode| VendRefusal::AccessDenied.because(not))
    }

    /// The pod that a token proves. Whoever brings bad ones is heard less and less.
    async fn proven_pod(
        &self,
        by: &Actor,
        cluster: &Cluster,
        (raw, digest): (&str, TokenDigest),
        now: OffsetDateTime,
    ) -> Result<PodIdentity, CallError> {
        let workloads = self.workloads(cluster.uid).await?;
        let would_verify = |issuer: &Arc<KnownIssuer>| {
            let named = workloads.issuer_named(&issuer.record.issuer_url);
            named.is_some_and(|named| Arc::ptr_eq(named, issuer))
        };
        let token = match self.vending().proven.again(digest.as_bytes(), would_verify, now) {
            Some(token) => token,
            None => self.newly_proven(by, cluster, (raw, digest), &workloads, now)?,
        };
        let pod = token::pod(&token);
        // One that the hub has not heard of may be new; one of another uid is the one before.
        match workloads.service_account(&pod.namespace, &pod.service_account) {
            Some(known) if known.uid != pod.service_account_uid => {
                let rule = format!(
                    "the ServiceAccount `{}/{}` was made anew, and the token is of the one before",
                    pod.namespace, pod.service_account
                );
                Err(VendRefusal::InvalidToken.because(rule))
            }
            _ => Ok(pod),
        }
    }

    /// A token that was not verified before, or not by these keys, or too long ago.
    fn newly_proven(
        &self,
        by: &Actor,
        cluster: &Cluster,
        (raw, digest): (&str, TokenDigest),
        workloads: &WorkloadSnapshot,
        now: OffsetDateTime,
    ) -> Result<Arc<ServiceAccountToken>, CallError> {
        let jwt = Jwt::parse(raw);
        // While an API server changes its issuer, tokens of either name are about; which of them this one is, it is verified to be.
        let named = jwt.as_ref().ok().and_then(|jwt| workloads.issuer_named(jwt.unverified_issuer()?));
        let Some(issuer) = named.or_else(|| workloads.issuer()) else {
            let detail = "the hub has not been told of it: see `lanyard cluster describe`, and push it";
            let part = "the issuer of the cluster's tokens".into();
            return Err(Fault::Unavailable { part, detail: detail.into() }.into());
        };
        match token::verified(raw, jwt, issuer, now) {
            Ok(token) => Ok(self.vending().proven.keep(*digest.as_bytes(), token, issuer, now)),
            Err(refusal) => {
                self.vending().budgets.take_bad(cluster.uid, &by.name(), Instant::now())?;
                Err(refusal)
            }
        }
    }

    /// Why it is not confirmed that a pod is still there; none where its API server says so. Whoever brings tokens of pods that are gone
    /// is heard less and less.
    async fn confirmed(
        &self,
        by: &Actor,
        cluster: &Cluster,
        pod: &PodIdentity,
        (token, digest): (&SecretString, TokenDigest),
        now: OffsetDateTime,
    ) -> Result<Option<String>, CallError> {
        let (caller, namespace) = (by.name(), pod.namespace.clone());
        let asker = Asker { cluster: cluster.uid, caller, namespace };
        let confirmed = self.vending().lives.confirm(&asker, token, digest, now).await;
        if let Err(CallError::Denied(_)) = &confirmed {
            self.vending().budgets.take_bad(cluster.uid, &asker.caller, Instant::now())?;
        }
        confirmed
    }

    /// The revisions of the accounts of an association's roles, as far as the hub keeps them.
    async fn accounts_of(
        &self,
        association: &PodIdentityAssociation,
    ) -> Result<[Option<Revision>; 2], CallError> {
        let hub = self.hub().await?;
        let mut revisions = [None; 2];
        let roles = [Some(&association.role_arn), association.target_role_arn.as_ref()];
        for (revision, role) in revisions.iter_mut().zip(roles) {
            if let Some(PrincipalArn { account, partition, .. }) = role
                && hub.is_local(*account, *partition)
            {
                *revision = Some(self.account(*account).await?.revision);
            }
        }
        Ok(revisions)
    }

    /// Decides what a pod gets, and has it given.
    async fn vend(
        &self,
        cluster: &Arc<Cluster>,
        pod: &PodIdentity,
        basis: &Basis,
        revision: Revision,
        now: OffsetDateTime,
    ) -> Result<Arc<Vended>, CallError> {
        let decided = decide(cluster, pod, &basis.association, revision);
        let sourced = self.sourced(&decided).await.map_err(|error| unsourced(&decided, error))?;
        Ok(Arc::new(Vended::new(sourced, revision, basis.clone(), now)))
    }

    /// The source of a role's credentials is that of its account's authority.
    async fn sourced(&self, decided: &Decided) -> Result<Sourced, SourceError> {
        let role = &decided.association.role_arn;
        let hub = self.hub().await?;
        match hub.registered(role.account).map(|registered| &registered.authority) {
            Some(Authority::Local) => self.local_source().credentials(decided).await,
            Some(Authority::Aws) => match self.aws_source() {
                Some(source) => source.credentials(decided).await,
                None => Err(SourceError::Refused {
                    code: "aws_mode".into(),
                    text: format!(
                        "`{role}` is AWS's to give, and this hub does not call AWS in its own name (aws.enabled)"
                    ),
                }),
            },
            Some(Authority::Sts(_)) | None => Err(SourceError::Refused {
                code: "account_elsewhere".into(),
                text: format!(
                    "the hub keeps no account {}, nor is it AWS's: name a role of an account that is registered here as one of these",
                    role.account
                ),
            }),
        }
    }
}

/// What a pod gets by its association (EKS user guide, "Pod Identity").
fn decide(
    cluster: &Arc<Cluster>,
    pod: &PodIdentity,
    association: &Arc<PodIdentityAssociation>,
    revision: Revision,
) -> Decided {
    let tags =
        if association.disable_session_tags { Default::default() } else { session::tags(cluster, pod) };
    let target = association.target_role_arn.clone().map(|role_arn| TargetHop {
        role_arn,
        external_id: association.external_id(cluster).filter(|_| association.disable_session_tags),
    });
    Decided {
        session_name: session::name(&cluster.name, &pod.pod, Uuid::new_v4()),
        tags,
        session_policy: association.policy.clone(),
        seconds_max: if target.is_some() { session::TARGET_SECONDS_MAX } else { session::SECONDS_MAX },
        target,
        ancestors: vec![
            Ancestor::Cluster(cluster.uid.to_string()),
            Ancestor::Association { id: association.id.to_string(), revision: revision.0 },
        ],
        cluster: Arc::clone(cluster),
        association: Arc::clone(association),
        pod: pod.clone(),
    }
}

fn answer(cluster: &Cluster, of: &Of, vended: &Vended, unconfirmed: Option<String>) -> PodCredentials {
    let Sourced { credentials, user, role_arn } = &vended.sourced;
    let association = &vended.association();
    PodCredentials {
        subject: ServiceAccountName {
            namespace: of.pod.namespace.clone(),
            name: of.pod.service_account.clone(),
        },
        audience: POD_IDENTITY_AUDIENCE.to_owned(),
        association: VendedAssociation {
            arn: association.arn(cluster),
            id: association.id.clone(),
            revision: vended.revision,
        },
        user: user.clone(),
        credentials: credentials.clone(),
        account: role_arn.account,
        unconfirmed,
    }
}

fn no_association(cluster: &Cluster, pod: &PodIdentity) -> CallError {
    let rule = format!(
        "no Pod Identity association of cluster `{}` is for the ServiceAccount `{}/{}`: make one (`lanyard association create`)",
        cluster.name, pod.namespace, pod.service_account
    );
    VendRefusal::ResourceNotFound.because(rule)
}

/// What a pod is told where its source gave nothing.
fn unsourced(decided: &Decided, error: SourceError) -> CallError {
    match error {
        SourceError::Refused { code, text } if OF_ASSOCIATION.contains(&&*code) => {
            VendRefusal::InvalidRequest
                .because(format!("association `{}`: {text} ({code})", decided.association.id))
        }
        SourceError::Refused { code, text } => {
            VendRefusal::AccessDenied.because(format!("{UNAUTHORIZED} {text} ({code})"))
        }
        SourceError::Throttled { retry_after } => {
            Fault::Throttled { part: "the source of the role's credentials".into(), retry_after }.into()
        }
        SourceError::Fault(fault) => fault.into(),
    }
}
