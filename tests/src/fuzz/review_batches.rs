//! Batches of access reviews, as the front door and authz get them.

use lanyard_api::authz::{
    BATCH_REVIEWS_MAX, Decision, Review, batch_decisions, batch_reviews, read_decisions,
};
use lanyard_api::methods::{self, ClusterRef};
use lanyard_proto::authz::v1 as pb;
use prost::Message;

const PATH: &str = "/lanyard.authz.v1.Authorize/AuthorizeBatch";

/// A batch's bytes. What is decided on is what prost's own messages say, and of the cluster that whoever let the batch in has seen.
pub fn review_batches(input: &[u8]) -> bool {
    answers(input);
    let Ok(batch) = pb::AuthorizeBatchRequest::decode(input) else { return false };
    let by_messages = by_messages(&batch);
    let reviews = batch_reviews(batch).ok();
    assert_eq!(format!("{reviews:?}"), format!("{by_messages:?}"), "other reviews than their messages say");
    let (Some(reviews), Ok(call)) = (reviews, methods::read(PATH, input)) else { return false };
    for review in &reviews {
        let cluster = Some(ClusterRef::Uid(review.cluster));
        assert_eq!(call.target.cluster, cluster, "let in for another cluster than is decided on");
    }
    true
}

/// The reviews by the messages that prost makes of them.
fn by_messages(batch: &pb::AuthorizeBatchRequest) -> Option<Vec<Review>> {
    if batch.reviews.len() > BATCH_REVIEWS_MAX {
        return None;
    }
    // A user that cannot be read refuses a batch whose reviews all have their own, too.
    if let Some(user) = batch.user.clone() {
        lanyard_api::UserInfo::try_from(user).ok()?;
    }
    let read = |review: Result<pb::Review, _>| {
        let mut review: pb::Review = Result::<_, prost::DecodeError>::ok(review)?;
        review.user = review.user.or_else(|| batch.user.clone());
        Review::try_from(review).ok()
    };
    batch.reviews.iter().map(read).collect()
}

/// The same bytes as a batch's answers. What is read is what prost's own messages say, and is written as it was said.
fn answers(input: &[u8]) {
    let Ok(answer) = pb::AuthorizeBatchResponse::decode(input) else { return };
    let decisions = decisions_by_messages(&answer);
    assert_eq!(read_decisions(&answer).ok(), decisions, "other decisions than their messages say");
    let Some(decisions) = decisions else { return };
    let written = batch_decisions(decisions.clone());
    assert_eq!(decisions_by_messages(&written), Some(decisions), "other decisions than were written");
}

fn decisions_by_messages(answer: &pb::AuthorizeBatchResponse) -> Option<Vec<Decision>> {
    answer.decisions.iter().map(|decision| decision.ok()?.try_into().ok()).collect()
}
