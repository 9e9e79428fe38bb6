//! [`PodReviews`]: what the API servers of watched clusters say of their pods' tokens.
//!
//! The spoke service alone has credentials for API servers, and a replica has those of the clusters on which it holds the lease. So it
//! answers for these, while it holds it, and says of all others that it does not watch them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use lanyard_api::{
    ClusterUid, Fault,
    spoke::{PodReview, PodReviews, ReviewPod},
};
use lanyard_kit::http_client::HttpFault;

use crate::{
    api_server::{ApiFault, ApiServer},
    state::State,
    wire::reviews::TokenReviewed,
};

/// How faults name who was asked.
const API_SERVER: &str = "the cluster's API server";

/// The API servers of the clusters that a replica watches, to be asked beside the watch. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ApiServers {
    watched: Arc<RwLock<HashMap<ClusterUid, Watched>>>,
}

#[derive(Debug, Clone)]
struct Watched {
    server: ApiServer,
    state: Arc<State>,
}

impl ApiServers {
    /// A cluster is watched from here on.
    pub(crate) fn put(&self, cluster: ClusterUid, server: ApiServer, state: Arc<State>) {
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        watched.insert(cluster, Watched { server, state });
    }

    /// A cluster is watched no more.
    pub(crate) fn remove(&self, cluster: ClusterUid) {
        self.watched.write().unwrap_or_else(PoisonError::into_inner).remove(&cluster);
    }

    /// The API server of a cluster, while the lease on it holds: who has lost it has a credential that another uses by now.
    fn of(&self, cluster: ClusterUid) -> Option<ApiServer> {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        let watched = watched.get(&cluster).filter(|watched| watched.state.holds_lease());
        watched.map(|watched| watched.server.clone())
    }
}

impl PodReviews for ApiServers {
    async fn review_pod(&self, asked: ReviewPod) -> Result<PodReview, Fault> {
        let Some(server) = self.of(asked.cluster) else { return Ok(PodReview::Unwatched) };
        match server.review_pod(&asked.token).await {
            Ok(TokenReviewed::Taken) => Ok(PodReview::Lives),
            Ok(TokenReviewed::Refused(words)) => Ok(PodReview::Refused(words)),
            Err(fault) => {
                tracing::warn!(cluster.uid = %asked.cluster, %fault, "an API server does not say whether a pod is there");
                Err(unanswered(fault))
            }
        }
    }
}

/// What others are told of it: nothing of what the API server or the network said, which the log has.
fn unanswered(fault: ApiFault) -> Fault {
    let unavailable =
        |detail: &'static str| Fault::Unavailable { part: API_SERVER.into(), detail: detail.into() };
    match fault {
        ApiFault::Http(HttpFault::Timeout { limit, .. }) => {
            Fault::TimedOut { part: API_SERVER.into(), limit }
        }
        ApiFault::Status { status: 429, .. } => {
            Fault::Throttled { part: API_SERVER.into(), retry_after: None }
        }
        ApiFault::Status { status: 401, .. } => unavailable(
            "it does not take the hub's credential (any more): give another one by `lanyard cluster add`",
        ),
        ApiFault::Status { status: 403, .. } => unavailable(
            "it does not let the hub's credential `create` `tokenreviews` of `authentication.k8s.io`: give it that by a ClusterRole",
        ),
        ApiFault::Status { .. } => unavailable("it answered with an error"),
        ApiFault::Unreadable(_) => unavailable("what it answered is no review of the token"),
        _ => unavailable("it cannot be reached"),
    }
}

#[cfg(test)]
mod tests;
