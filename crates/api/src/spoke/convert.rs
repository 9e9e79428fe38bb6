//! Between the spoke service's types and the wire.

use lanyard_proto::spoke::v1 as pb;

use super::{PodReview, ReviewPod};
use crate::{
    fault::CallError,
    grpc::{codec::convert, field},
};

convert! { ReviewPod = pb::ReviewPodRequest { token: secret; cluster = cluster_uid: text } }

impl From<PodReview> for pb::PodReview {
    fn from(review: PodReview) -> Self {
        use pb::pod_review::Review as Wire;
        let review = match review {
            PodReview::Lives => Wire::Lives(()),
            PodReview::Refused(words) => Wire::Refused(words),
            PodReview::Unwatched => Wire::Unwatched(()),
        };
        Self { review: Some(review) }
    }
}

impl TryFrom<pb::PodReview> for PodReview {
    type Error = CallError;

    fn try_from(message: pb::PodReview) -> Result<Self, CallError> {
        use pb::pod_review::Review as Wire;
        Ok(match field::required("review", message.review)? {
            Wire::Lives(()) => Self::Lives,
            Wire::Refused(words) => Self::Refused(words),
            Wire::Unwatched(()) => Self::Unwatched,
        })
    }
}
