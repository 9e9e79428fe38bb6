//! The spoke service's traits, served over gRPC.

use lanyard_proto::spoke::v1::{self as pb, pod_reviews_server};

use super::PodReviews;
use crate::grpc::serve;

serve! {
    /// Serves [`PodReviews`].
    pub fn pod_reviews = PodReviews as pod_reviews_server::PodReviews in PodReviewsServer;
    internal review_pod(pb::ReviewPodRequest) -> pb::PodReview
        = |engine, (), m| engine.review_pod(m.try_into()?).await?.into();
}
