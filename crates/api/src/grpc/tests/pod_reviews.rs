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

fn asked(token: &str) -> ReviewPod {
    ReviewPod { cluster: uid(1), token: token.into() }
}

async fn review_calls<T: PodReviews>(to: &T) -> Vec<String> {
    answers![to.review_pod(asked("living")), to.review_pod(asked("dead")), to.review_pod(asked("elsewhere")),]
}

#[tokio::test]
async fn reviews_of_pods_are_the_same_over_grpc() {
    same_over_grpc!(review_calls);
}

#[tokio::test]
async fn why_nobody_tells_of_a_pod_is_the_same_over_grpc() {
    let fake = Arc::new(Fake::default());
    let remote = served(&fake);
    for token in ["slow", "many", "away"] {
        let here = fake.review_pod(asked(token)).await;
        assert!(here.is_err(), "{token}");
        assert_eq!(remote.review_pod(asked(token)).await, here, "{token}");
    }
}
