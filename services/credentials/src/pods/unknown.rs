//! What keeps the hub from saying what a pod should get.

use lanyard_api::{
    ClusterId, ClusterUid,
    credentials::{PodMutation, PodRefusal},
};

/// Why nobody can say what a pod should get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    /// The gateway knows it, or nobody would have asked.
    #[error("cluster `{0}` is not known here yet: try again in a moment")]
    Cluster(ClusterUid),
    /// No association, and its ServiceAccounts were never seen: an annotation may ask for IRSA.
    #[error(
        "nothing tells the hub of the ServiceAccounts of cluster `{0}`: give the hub a way in with `lanyard cluster add`, have \
         `lanyard spoke push` run there, or make an association for the pod's ServiceAccount"
    )]
    Unwatched(ClusterId),
    /// The cluster is watched, and this one was not seen.
    #[error(
        "the hub has not seen ServiceAccount `{service_account}` of cluster `{cluster}` yet: try again, and where that does not help, \
         look at the watch with `lanyard cluster describe {cluster}`"
    )]
    ServiceAccount {
        /// `<namespace>/<name>`.
        service_account: String,
        cluster: ClusterId,
    },
}

impl Unknown {
    /// The pod is made as it is, unless its namespace would rather have none.
    pub(super) fn answer(&self, required: bool) -> PodMutation {
        let refusal = required.then(|| PodRefusal { message: self.to_string(), passing: true });
        PodMutation { refusal, ..PodMutation::default() }
    }
}
