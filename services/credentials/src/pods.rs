//! [`Pods`]: what is put into pods that have a role.

mod identity;
mod inject;
mod patch;
mod unknown;
mod waits;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use lanyard_api::{
    Fault, Scope,
    credentials::{IrsaObstacle, MutatePod, PodMutation, PodRefusal, Pods, ServiceAccount},
    mapping::Cluster,
};
use lanyard_iam::PrincipalArn;
use serde_json::Value;

use self::{
    identity::{Identity, JITTER_SECONDS_MAX, Road},
    inject::{Surroundings, agent_sts_url, gets_nothing, into_ephemeral, into_new},
    unknown::Unknown,
};
use crate::{engine::Credentials, sight::fault};

pub(crate) use waits::Waits;

/// The ServiceAccount of a pod that names none (Kubernetes, ServiceAccount admission).
const DEFAULT_SERVICE_ACCOUNT: &str = "default";
/// How often a ServiceAccount that is not known yet is looked for while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Pods for Credentials {
    async fn mutate_pod(&self, asked: MutatePod) -> Result<PodMutation, Fault> {
        let MutatePod { cluster: uid, namespace, pod, before, required } = asked;
        // What is no pod is for the API server to refuse.
        let Ok(pod) = serde_json::from_slice::<Value>(&pod) else { return Ok(PodMutation::default()) };
        let Ok(before) = before.map(|before| serde_json::from_slice::<Value>(&before)).transpose() else {
            return Ok(PodMutation::default());
        };
        if !pod.get("spec").is_some_and(Value::is_object) || gets_nothing(&pod, before.is_some()) {
            return Ok(PodMutation::default());
        }
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        let Some(cluster) = clusters.by_uid(uid) else { return Ok(Unknown::Cluster(uid).answer(required)) };
        let name = pod.pointer("/spec/serviceAccountName").and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_SERVICE_ACCOUNT);
        let is_associated = self.associations(cluster.uid).await?.of(&namespace, name).is_some();
        let account = match is_associated {
            true => self.workloads(cluster.uid).await?.service_account(&namespace, name).cloned(),
            false => match self.awaited(cluster, &namespace, name).await? {
                Ok(account) => Some(account),
                Err(unknown) => return Ok(unknown.answer(required)),
            },
        };
        let regional_sts = self.config().webhook.regional_sts;
        let identity = Identity::of(&pod, account.as_deref(), is_associated, regional_sts, jitter());
        let Some(identity) = identity else { return Ok(PodMutation::default()) };
        let obstacle = match identity.road {
            Road::Irsa { .. } => self.obstacle(cluster).await?,
            Road::PodIdentity => None,
        };
        if obstacle == Some(Obstacle::InClusterName) {
            return Ok(without_irsa(&format!("{namespace}/{name}"), cluster, required));
        }
        let around = self
            .surroundings(cluster, &identity, is_associated.then_some((namespace.as_str(), name)))
            .await?;
        let (patch, mut warnings) = match before {
            None => into_new(&pod, &identity, &around),
            Some(before) => into_ephemeral(&pod, &before, &identity, &around),
        };
        warnings.extend(obstacle.map(|obstacle| obstacle.to_string()));
        Ok(PodMutation { patch: patch.written().map(Into::into), warnings, refusal: None })
    }
}

impl Credentials {
    /// A ServiceAccount. One that was made a moment ago, with the pod as a rule, is on its way here: it is waited for a little, where the
    /// cluster is watched at all, and not too many of its pods wait already.
    async fn awaited(
        &self,
        cluster: &Cluster,
        namespace: &str,
        name: &str,
    ) -> Result<Result<Arc<ServiceAccount>, Unknown>, Fault> {
        let wait = Duration::from_millis(self.config().webhook.service_account_wait_ms);
        let until = Instant::now() + wait;
        let mut place = None;
        loop {
            let snapshot = self.workloads(cluster.uid).await?;
            if let Some(found) = snapshot.service_account(namespace, name) {
                return Ok(Ok(Arc::clone(found)));
            }
            if !snapshot.is_watched() {
                return Ok(Err(Unknown::Unwatched(cluster.id.clone())));
            }
            place = place.or_else(|| self.waits().place(cluster.uid));
            if place.is_none() || Instant::now() >= until {
                let service_account = format!("{namespace}/{name}");
                return Ok(Err(Unknown::ServiceAccount { service_account, cluster: cluster.id.clone() }));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The region, and where STS is for the role's account: where the hub keeps it, the hub's own, by way of the node's agent.
    async fn surroundings(
        &self,
        cluster: &Cluster,
        identity: &Identity,
        associated: Option<(&str, &str)>,
    ) -> Result<Surroundings, Fault> {
        let role = match (&identity.road, associated) {
            (Road::Irsa { role_arn }, _) => PrincipalArn::parse(role_arn).ok(),
            (Road::PodIdentity, Some((namespace, name))) => {
                let associations = self.associations(cluster.uid).await?;
                let association = associations.of(namespace, name);
                association
                    .map(|found| found.target_role_arn.clone().unwrap_or_else(|| found.role_arn.clone()))
            }
            (Road::PodIdentity, None) => None,
        };
        let hub = self.hub().await?;
        let is_local = role.is_some_and(|role| hub.is_local(role.account, role.partition));
        Ok(Surroundings {
            region: Some(cluster.region.clone()).filter(|region| !region.is_empty()),
            sts_url: is_local.then_some(agent_sts_url(cluster.agent_address())),
            agent: cluster.agent_address(),
        })
    }

    /// What is in the way of IRSA in a cluster; none where nothing is.
    async fn obstacle(&self, cluster: &Cluster) -> Result<Option<Obstacle>, Fault> {
        let snapshot = self.workloads(cluster.uid).await?;
        let Some(issuer) = snapshot.issuer() else { return Ok(Some(Obstacle::NoIssuer)) };
        Ok(issuer.record.irsa_obstacle.map(|obstacle| match obstacle {
            IrsaObstacle::InClusterName => Obstacle::InClusterName,
            IrsaObstacle::NotHttps => Obstacle::NotHttps,
        }))
    }
}

/// The answer where a ServiceAccount asks for IRSA and its tokens could not say of which cluster they are: nothing is put in, and whoever
/// makes the pod is told; a namespace that would rather have no pod has none.
fn without_irsa(service_account: &str, cluster: &Cluster, required: bool) -> PodMutation {
    let refusal = required.then(|| PodRefusal {
        message: format!(
            "ServiceAccount `{service_account}` has a role by its annotation, and the issuer of cluster `{}` is of no use for that: {}, \
             or make an association for the ServiceAccount",
            cluster.id,
            IrsaObstacle::InClusterName
        ),
        passing: false,
    });
    PodMutation { patch: None, warnings: vec![Obstacle::InClusterName.to_string()], refusal }
}

/// What is in the way of IRSA, for whoever makes a pod: with what comes before at most 120 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Obstacle {
    #[error("IRSA will not work in this cluster: the hub knows no issuer of this cluster")]
    NoIssuer,
    /// No STS tells by it whose token it is: such pods are made as if nobody had asked.
    #[error("IRSA will not work in this cluster: its issuer has the name that every cluster gives itself")]
    InClusterName,
    #[error("IRSA will not work in this cluster: its issuer is no https URL")]
    NotHttps,
}

/// A random number up to [`JITTER_SECONDS_MAX`]. Where there is none, all tokens are of the full life.
fn jitter() -> u32 {
    let mut bytes = [0; 4];
    match rand::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes) % (JITTER_SECONDS_MAX + 1),
        Err(_) => 0,
    }
}
