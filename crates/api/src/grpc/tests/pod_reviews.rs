use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::{samples::*, *};
use crate::{
    Fault,
    spoke::{PodReview, PodReviews, ReviewPod},
};

impl PodReviews for Fake {
    async fn review_pod(&self, asked: ReviewPod) -> Result<PodReview, Fault> {
        let token = asked.token.expose_secret();
        self.note(format!("review_pod {} {token}", asked.cluster));
        match token {
            "living" => Ok(PodReview::Lives),
            "dead" => Ok(PodReview::Refused(text("service account token has been invalidated"))),
            "elsewhere" => Ok(PodReview::Unwatched),
            "slow" => Err(Fault::TimedOut { part: "x".into(), limit: Duration::from_millis(500) }),
            "many" => Err(Fault::Throttled { part: "x".into(), retry_after: None }),
            _ => Err(Fault::Unavailable { part: "x".into(), detail: "y".into() }),
        }
    }
}

async fn review_calls<T: PodReviews>(to: &T) -> Vec<String> {
    let review = |token: &str| to.review_pod(ReviewPod { cluster: uid(1), token: token.into() });
    answers![
        review("living"),
        review("dead"),
        review("elsewhere"),
        review("slow"),
        review("many"),
        review("away"),
    ]
}

#[tokio::test]
async fn reviews_of_pods_are_the_same_over_grpc() {
    same_over_grpc!(review_calls);
}
