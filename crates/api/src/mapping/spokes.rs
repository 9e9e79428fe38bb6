//! How a hub gets at its spoke clusters: the kubeconfig of each, and which replica watches it.

use std::{future::Future, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::{CallError, Fault},
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid},
    mapping::SpokeCredential,
    mutation::{Mutated, Mutation},
};

/// A kubeconfig as it is kept, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpokeKubeconfig {
    /// The cluster.
    pub cluster: ClusterUid,
    /// Grows with each kubeconfig that differs from the one before, and never comes again: the hub's revision that brought it.
    pub version: u64,
    /// The API server's URL.
    pub server: String,
    /// `token` or `client-certificate`.
    pub credential_kind: String,
    /// Who brought it.
    pub put_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub put_at: OffsetDateTime,
}

/// What is seen of a cluster's aws-auth ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsAuthSight {
    /// Nobody has looked yet.
    #[default]
    Unseen,
    /// It is there.
    Present,
    /// It is not there. The last good one stays in force.
    Missing,
}

/// What the watcher of a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpokeWatch {
    /// The replica.
    pub holder: String,
    /// When it said so.
    #[serde(with = "time::serde::rfc3339")]
    pub reported_at: OffsetDateTime,
    /// When everything was last known from whole lists.
    #[serde(with = "time::serde::rfc3339::option")]
    pub listed_at: Option<OffsetDateTime>,
    /// When the hub last took what was seen.
    #[serde(with = "time::serde::rfc3339::option")]
    pub pushed_at: Option<OffsetDateTime>,
    /// RBAC objects that are seen.
    pub objects: u32,
    /// ServiceAccounts that are seen.
    pub service_accounts: u32,
    /// The ConfigMap.
    pub aws_auth: AwsAuthSight,
    /// Since when the ConfigMap is not there, if it is not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub aws_auth_missing_since: Option<OffsetDateTime>,
    /// The issuer of the cluster's ServiceAccount tokens, as its API server names it, once it was read.
    pub issuer_url: Option<String>,
    /// When the issuer and its keys were last read.
    #[serde(with = "time::serde::rfc3339::option")]
    pub issuer_read_at: Option<OffsetDateTime>,
    /// Objects that are seen and not taken, each with the rule that it broke. What stands beside them is taken.
    pub refused: Vec<String>,
    /// Whether the credential may have pods' tokens reviewed (`create` on `tokenreviews` of `authentication.k8s.io`); without that
    /// the hub does not hear of the end of a pod. None where nobody has looked yet, or the API server does not tell.
    #[serde(default)]
    pub reviews_pods: Option<bool>,
    /// What is in the way, if anything is.
    pub fault: Option<String>,
    /// Since when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub fault_since: Option<OffsetDateTime>,
}

/// How a cluster is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokeStatus {
    /// None where the hub does not watch it.
    pub kubeconfig: Option<SpokeKubeconfig>,
    /// None where nobody has watched it yet.
    pub watch: Option<SpokeWatch>,
    /// Until when the watcher holds the lease; none where nobody does.
    #[serde(with = "time::serde::rfc3339::option")]
    pub lease_ends_at: Option<OffsetDateTime>,
    /// Since when the watcher has said nothing, where that is longer than one that lives is silent. What it said stays as it was.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub silent_since: Option<OffsetDateTime>,
}

/// A replica asks for a cluster to watch.
#[derive(Debug, Clone)]
pub struct LendQuery {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The replica.
    pub holder: String,
    /// The version that it has; then the kubeconfig is left out of the answer.
    pub known_version: Option<u64>,
    /// How far it has got.
    pub watch: Option<SpokeWatch>,
}

/// The answer to [`LendQuery`].
#[derive(Debug)]
pub enum Lending {
    /// The lease is the caller's.
    Lent(Loan),
    /// Another replica holds it, until then.
    Held(OffsetDateTime),
    /// There is nothing to watch: the cluster or its kubeconfig is gone.
    Gone,
}

/// A cluster's kubeconfig with the lease on it.
#[derive(Debug)]
pub struct Loan {
    /// Which kubeconfig.
    pub version: u64,
    /// The reduced document; none where the caller has this version.
    pub kubeconfig: Option<SecretString>,
    /// How long the lease lasts, counted from before the call was sent. Whole seconds.
    pub lifetime: Duration,
    /// Counts up each time that another replica takes the lease. It goes with every push, and one of an earlier term than the
    /// lease has by now is refused.
    pub term: u64,
}

/// The ways to spoke clusters, and who goes them.
pub trait Spokes: Send + Sync + 'static {
    /// Keeps the kubeconfig by which the hub watches a cluster, reduced ([`crate::kubeconfig`]) and sealed. The same one again
    /// is no change.
    fn put_spoke_kubeconfig(
        &self,
        by: Mutation,
        id: ClusterId,
        kubeconfig: SecretString,
        context: Option<String>,
    ) -> impl Future<Output = Result<Mutated<SpokeKubeconfig>, CallError>> + Send;
    /// Forgets it: the hub watches the cluster no more. What it has seen stays in force.
    fn delete_spoke_kubeconfig(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> impl Future<Output = Result<Mutated<SpokeKubeconfig>, CallError>> + Send;
    /// Lets a client certificate of the cluster count that the hub's own authority has issued, until it is deleted as any
    /// spoke credential is. It is named by the SHA-256 of its DER, 64 hex digits in lower case; the same one again is no
    /// change.
    fn register_spoke_certificate(
        &self,
        by: Mutation,
        id: ClusterId,
        certificate_sha256: String,
    ) -> impl Future<Output = Result<Mutated<SpokeCredential>, CallError>> + Send;
    /// How the cluster is watched; never the credential.
    fn get_spoke(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> impl Future<Output = Result<SpokeStatus, CallError>> + Send;

    /// Takes what the watcher inside of a cluster says of itself. For the cluster's own spoke alone; who it is and when it said so the hub
    /// knows by itself. While the hub watches the cluster, what it sees stays.
    fn report_spoke(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        watch: SpokeWatch,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Lends a cluster's kubeconfig to the replica that takes or renews the lease on it. For the spoke service alone.
    fn lend_spoke(&self, query: LendQuery) -> impl Future<Output = Result<Lending, Fault>> + Send;
    /// Gives the lease back, so that another replica need not wait for its end. For the spoke service alone.
    fn return_spoke(
        &self,
        cluster: ClusterUid,
        holder: String,
    ) -> impl Future<Output = Result<(), Fault>> + Send;
}
