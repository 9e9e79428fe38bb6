//! What the spoke service promises beside its watch: what the API servers of spoke clusters say, for services that have no credential
//! for them.

mod client;
mod convert;
pub mod server;

use std::future::Future;

use secrecy::SecretString;

use crate::{fault::Fault, ids::ClusterUid};

/// Asks the API servers of clusters about the tokens of their pods.
pub trait PodReviews: Send + Sync + 'static {
    /// Whether a cluster's own API server takes a pod's token for Pod Identity. Kubernetes refuses one whose pod or ServiceAccount is gone
    /// or was made anew (Kubernetes, "Bound service account tokens"; KEP-1205).
    ///
    /// A fault says that the API server has not told: it does not answer, or not to the credential that the hub has for it.
    fn review_pod(&self, asked: ReviewPod) -> impl Future<Output = Result<PodReview, Fault>> + Send;
}

/// The pod that is asked about.
#[derive(Debug, Clone)]
pub struct ReviewPod {
    /// Its cluster.
    pub cluster: ClusterUid,
    /// Its projected token, for the audience [`crate::credentials::POD_IDENTITY_AUDIENCE`].
    pub token: SecretString,
}

/// What is known of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodReview {
    /// The API server takes the token: the pod and its ServiceAccount are there.
    Lives,
    /// The API server refuses it, with its own words in one line.
    Refused(String),
    /// Whoever was asked does not watch the cluster, and so has asked nobody.
    Unwatched,
}
