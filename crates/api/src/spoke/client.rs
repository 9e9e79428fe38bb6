//! The spoke service's traits over gRPC.

use lanyard_proto::spoke::v1::pod_reviews_client::PodReviewsClient;

use super::{PodReview, PodReviews, ReviewPod};
use crate::{
    fault::Fault,
    grpc::{Remote, Wire, call},
};

impl<C: Wire> PodReviews for Remote<C> {
    async fn review_pod(&self, asked: ReviewPod) -> Result<PodReview, Fault> {
        call!(self.PodReviewsClient::review_pod(self.internal(asked.into())))
    }
}
