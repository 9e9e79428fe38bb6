//! Batches of reviews, and their decisions, between memory and the wire.

use std::{iter, sync::Arc};

use lanyard_proto::{Each, authz::v1 as pb};
use prost::Message;

use super::{Decision, Review, plain::PlainReview};
use crate::{
    fault::CallError,
    grpc::{codec::shared_message, field},
    identity::UserInfo,
    ids::ClusterUid,
};

/// Most reviews of one batch. They are answered from one snapshot, and their decisions have to fit into one answer.
pub const BATCH_REVIEWS_MAX: usize = 10_000;

/// The message of a batch. Whom the first review is about is named once, for all that are about the same person.
pub fn batch_message(reviews: Vec<Review>) -> pb::AuthorizeBatchRequest {
    let Some(first) = reviews.first() else { return pb::AuthorizeBatchRequest::default() };
    let (shared, nobody) = (Arc::clone(&first.user), Arc::<UserInfo>::default());
    let mut cluster = (first.cluster, first.cluster.to_string());
    let mut written = Each::default();
    for mut review in reviews {
        if !Arc::ptr_eq(&review.user, &shared) && review.user != shared {
            written.push(&review.into());
            continue;
        }
        if review.cluster != cluster.0 {
            cluster = (review.cluster, review.cluster.to_string());
        }
        if let Some(plain) = PlainReview::of(&review, &cluster.1) {
            written.push_written(plain.encoded_len(), |buf| plain.encode(buf));
        } else {
            review.user = Arc::clone(&nobody);
            written.push(&pb::Review { user: None, ..review.into() });
        }
    }
    pb::AuthorizeBatchRequest { reviews: written, user: shared_message::write(shared) }
}

/// The reviews of a batch.
///
/// # Errors
/// [`CallError`] names the field of the first review that cannot be read; `user`, where neither it nor the batch has one; and `reviews`,
/// where there are more than [`BATCH_REVIEWS_MAX`].
pub fn batch_reviews(batch: pb::AuthorizeBatchRequest) -> Result<Vec<Review>, CallError> {
    within_limit(&batch)?;
    let shared = batch.user.map(UserInfo::try_from).transpose()?.map(Arc::new);
    let (mut clusters, mut users) =
        (LastCluster::default(), KnownUsers { of_batch: shared.clone(), last: None });
    let mut read = |bytes: &[u8]| {
        if let Some(user) = &shared
            && let Some(plain) = PlainReview::decode(bytes)
        {
            return Ok(Review {
                cluster: clusters.read(plain.cluster_uid)?,
                user: Arc::clone(user),
                attributes: Arc::new(plain.attributes()),
                explain: plain.explain,
                full: plain.full,
                grant: None,
            });
        }
        let pb::Review { cluster_uid, user, attributes, explain, full, entry_id } =
            field::readable("", pb::Review::decode(bytes))?;
        let cluster = clusters.read(&cluster_uid)?;
        let user = match (user, &shared) {
            (None, Some(shared)) => Arc::clone(shared),
            (own, _) => users.shared(shared_message::read("user", own)?),
        };
        let attributes = shared_message::read("attributes", attributes)?;
        let grant = field::optional("entry_id", entry_id.as_deref())?;
        Ok(Review { cluster, user, attributes, explain, full, grant })
    };
    let placed = |(at, bytes)| read(bytes).map_err(|error: CallError| error.in_item("reviews", at));
    batch.reviews.iter_bytes().enumerate().map(placed).collect()
}

/// The cluster that was read last: all of one batch are of one cluster as a rule, whose number need not be read a thousand times.
#[derive(Default)]
struct LastCluster(Option<(String, ClusterUid)>);

impl LastCluster {
    fn read(&mut self, text: &str) -> Result<ClusterUid, CallError> {
        match &self.0 {
            Some((last, uid)) if last == text => Ok(*uid),
            _ => Ok(self.0.insert((text.to_owned(), field::parse("cluster_uid", text)?)).1),
        }
    }
}

/// The users that a review which names its own most likely means: decisions about reviews in a row that share theirs cost less.
struct KnownUsers {
    of_batch: Option<Arc<UserInfo>>,
    last: Option<Arc<UserInfo>>,
}

impl KnownUsers {
    /// The one of these that a user is, or itself.
    fn shared(&mut self, user: Arc<UserInfo>) -> Arc<UserInfo> {
        let known = [&self.of_batch, &self.last].into_iter().flatten().find(|known| **known == user).cloned();
        known.unwrap_or_else(|| Arc::clone(self.last.insert(user)))
    }
}

/// The cluster of the first review: of all of them, where the batch was let in. None where there is none, or no number of a cluster.
pub fn first_cluster(batch: &pb::AuthorizeBatchRequest) -> Option<ClusterUid> {
    About::decode(batch.reviews.iter_bytes().next()?).ok()?.cluster_uid.parse().ok()
}

/// The cluster that all reviews of a batch name, for whoever lets it in: nothing else of them is read.
///
/// # Errors
/// [`CallError`] names `reviews` where there are none, or more than [`BATCH_REVIEWS_MAX`], or of several clusters, or one is no message.
pub(crate) fn batch_cluster(batch: &pb::AuthorizeBatchRequest) -> Result<String, CallError> {
    within_limit(batch)?;
    let mut first: Option<String> = None;
    let mut about = About::default();
    for bytes in batch.reviews.iter_bytes() {
        about.clear();
        field::readable("reviews", about.merge(bytes))?;
        match &first {
            None => first = Some(about.cluster_uid.clone()),
            Some(first) if *first == about.cluster_uid => {}
            Some(_) => {
                let message = "all reviews of a batch have to be of one cluster: send one batch for each";
                return Err(CallError::invalid("reviews", "one_cluster", message));
            }
        }
    }
    field::required("reviews", first)
}

fn within_limit(batch: &pb::AuthorizeBatchRequest) -> Result<(), CallError> {
    let found = batch.reviews.len();
    if found <= BATCH_REVIEWS_MAX {
        return Ok(());
    }
    let message = format!(
        "a batch has at most {BATCH_REVIEWS_MAX} reviews, and this one has {found}: send several batches"
    );
    Err(CallError::invalid("reviews", "too_many_reviews", message))
}

/// Of a [`pb::Review`] the cluster alone.
#[derive(Message)]
struct About {
    #[prost(string, tag = "1")]
    cluster_uid: String,
}

/// The message of a batch's answers. Those in a row that say the same are written once and copied: a batch is about one person as a rule,
/// and what one rule allows is allowed in the same words.
pub fn batch_decisions(decisions: Vec<Decision>) -> pb::AuthorizeBatchResponse {
    let mut written = Each::default();
    let mut decisions = decisions.into_iter().peekable();
    while let Some(decision) = decisions.next() {
        let again = iter::from_fn(|| decisions.next_if_eq(&decision)).count();
        written.push(&pb::Decision::from(decision));
        (0..again).for_each(|_| written.push_again());
    }
    pb::AuthorizeBatchResponse { decisions: written }
}

/// A batch's answers. Those in a row that say the same are read once.
///
/// # Errors
/// [`CallError`] names the field of the first one that cannot be read.
pub fn read_decisions(answer: &pb::AuthorizeBatchResponse) -> Result<Vec<Decision>, CallError> {
    let mut decisions: Vec<Decision> = Vec::new();
    let mut last: &[u8] = &[];
    for bytes in answer.decisions.iter_bytes() {
        let decision = match decisions.last() {
            Some(before) if bytes == last => before.clone(),
            _ => field::readable("decisions", pb::Decision::decode(bytes))?.try_into()?,
        };
        last = bytes;
        decisions.push(decision);
    }
    Ok(decisions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authz::{Attributes, Reason, ResourceAttributes, Verdict},
        ids::Revision,
    };

    fn review(username: &str, path: &str) -> Review {
        Review {
            cluster: ClusterUid(uuid::Uuid::from_u128(1)),
            user: UserInfo { username: username.to_owned(), ..UserInfo::default() }.into(),
            attributes: Attributes::NonResource { path: path.into(), verb: "get".into() }.into(),
            explain: false,
            full: false,
            grant: None,
        }
    }

    fn asked(reviews: &[Review]) -> Vec<(String, String)> {
        let one = |review: &Review| (review.user.username.clone(), review.attributes.to_string());
        reviews.iter().map(one).collect()
    }

    #[test]
    fn a_batch_names_once_whom_the_first_review_is_about() {
        let reviews = vec![review("ana", "/a"), review("bob", "/b"), review("ana", "/c"), review("", "/d")];
        let expected = asked(&reviews);
        let batch = batch_message(reviews);
        let own: Vec<_> = batch.reviews.iter().map(|review| review.unwrap().user.is_some()).collect();
        assert_eq!(own, [false, true, false, true]);
        assert_eq!(batch.user.as_ref().map(|user| user.username.as_str()), Some("ana"));
        let read = batch_reviews(batch).unwrap();
        assert_eq!(asked(&read), expected);
        assert!(Arc::ptr_eq(&read[0].user, &read[2].user), "read twice");
        assert_eq!(batch_reviews(batch_message(Vec::new())).unwrap().len(), 0);
    }

    #[test]
    fn reviews_in_a_row_that_each_name_the_same_person_share_them() {
        let shared = |of_batch: Option<&str>, names: &[Option<&str>]| -> Vec<bool> {
            let mut batch = batch_message(of_batch.map(|name| review(name, "/a")).into_iter().collect());
            batch.reviews = names
                .iter()
                .map(|name| {
                    let message = pb::Review::from(review(name.unwrap_or_default(), "/a"));
                    pb::Review { user: message.user.filter(|_| name.is_some()), ..message }
                })
                .collect();
            let read = batch_reviews(batch).unwrap();
            for (review, name) in read.iter().zip(names) {
                assert_eq!(Some(review.user.username.as_str()), name.or(of_batch));
            }
            read.windows(2).map(|pair| Arc::ptr_eq(&pair[0].user, &pair[1].user)).collect()
        };
        let (ana, bob) = (Some("ana"), Some("bob"));
        assert_eq!(shared(None, &[ana, ana, bob, ana]), [true, false, false]);
        assert_eq!(shared(ana, &[None, ana, None, bob, bob, ana]), [true, true, false, true, false]);
    }

    #[test]
    fn a_review_about_nobody_is_refused() {
        let mut batch = batch_message(vec![review("ana", "/a")]);
        batch.user = None;
        let error = batch_reviews(batch).unwrap_err();
        assert!(format!("{error:?}").contains("user"), "{error:?}");
    }

    #[test]
    fn a_batch_of_more_reviews_than_may_be_is_refused_where_it_is_let_in_and_where_it_is_read() {
        let mut batch = batch_message(vec![review("ana", "/a")]);
        (1..BATCH_REVIEWS_MAX).for_each(|_| batch.reviews.push_again());
        assert!(batch_cluster(&batch).is_ok());
        assert_eq!(batch_reviews(batch.clone()).unwrap().len(), BATCH_REVIEWS_MAX);
        batch.reviews.push_again();
        for refused in [batch_cluster(&batch).map(drop), batch_reviews(batch.clone()).map(drop)] {
            let error = refused.unwrap_err();
            assert!(matches!(error, CallError::Invalid { rule: "too_many_reviews", .. }), "{error:?}");
            assert!(error.to_string().contains("at most 10000 reviews, and this one has 10001"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_review_is_told_with_its_place() {
        let mut batch = batch_message(vec![review("ana", "/a"), review("ana", "/b")]);
        let bad = pb::Review { entry_id: Some("x".to_owned()), ..review("ana", "/c").into() };
        batch.reviews.push(&bad);
        let error = batch_reviews(batch).unwrap_err();
        assert!(
            matches!(&error, CallError::Invalid { field, .. } if field == "reviews[2].entry_id"),
            "{error:?}"
        );
    }

    #[test]
    fn a_review_that_cannot_be_read_refuses_its_batch_by_name() {
        // A review of two bytes, which say that ten are to come.
        let batch = pb::AuthorizeBatchRequest::decode(&[0x0a, 2, 0x0a, 10][..]).unwrap();
        let error = batch_reviews(batch).unwrap_err();
        assert!(matches!(&error, CallError::Invalid { field, .. } if field == "reviews[0]"), "{error:?}");
    }

    #[test]
    fn a_batch_is_answered_in_order_whatever_of_it_says_the_same() {
        let decision = |verdict, revision| Decision {
            verdict,
            reason: Reason::NothingMatched,
            evaluation_error: None,
            hints: Vec::new(),
            revision: Revision(revision),
        };
        let (allow, deny) = (Verdict::Allow, Verdict::Deny);
        for decided in [
            vec![],
            vec![decision(allow, 1)],
            vec![
                decision(allow, 1),
                decision(allow, 1),
                decision(deny, 1),
                decision(allow, 1),
                decision(allow, 2),
            ],
            vec![decision(deny, 1), decision(deny, 1), decision(deny, 1)],
        ] {
            let message = batch_decisions(decided.clone());
            assert_eq!(read_decisions(&message).ok(), Some(decided));
        }
    }

    #[test]
    fn whoever_lets_a_batch_in_sees_the_cluster_that_its_reviews_are_read_with() {
        let other = Review { cluster: ClusterUid(uuid::Uuid::from_u128(2)), ..review("ana", "/a") };
        let named = |reviews: Vec<Review>| batch_cluster(&batch_message(reviews));
        let one = review("ana", "/a").cluster.to_string();
        assert_eq!(named(vec![review("ana", "/a"), review("bob", "/b")]).ok(), Some(one.clone()));
        let first = |reviews: Vec<Review>| first_cluster(&batch_message(reviews));
        assert_eq!(first(vec![review("ana", "/a")]), Some(review("ana", "/a").cluster));
        assert_eq!(first(Vec::new()), None);
        let refused = |error: CallError, expected: &str| {
            assert!(matches!(&error, CallError::Invalid { rule, .. } if *rule == expected), "{error:?}");
        };
        refused(named(vec![review("ana", "/a"), other]).unwrap_err(), "one_cluster");
        refused(named(Vec::new()).unwrap_err(), "required");
        // A review that names a cluster twice is of the last.
        let twice = [&[0x0a, 1, b'x', 0x1a, 2, 0x0a, 0, 0x0a, 36][..], one.as_bytes()].concat();
        let mut batch = batch_message(vec![review("ana", "/a")]);
        batch.reviews.push_written(twice.len(), |buf| buf.extend_from_slice(&twice));
        assert_eq!(batch_cluster(&batch).ok(), Some(one.clone()));
        let read = batch_reviews(batch).unwrap();
        assert_eq!(
            read.iter().map(|review| review.cluster.to_string()).collect::<Vec<_>>(),
            [one.clone(), one]
        );
    }

    #[test]
    fn reviews_that_are_no_plain_ones_are_read_like_the_others() {
        let plain = review("ana", "/a");
        let entry = Review { grant: Some(crate::ids::EntryId(uuid::Uuid::from_u128(7))), ..plain.clone() };
        let asked =
            ResourceAttributes { selectors: Some(Box::default()), verb: "list".into(), ..Default::default() };
        let selected =
            Review { attributes: Attributes::Resource(asked).into(), explain: true, ..plain.clone() };
        let reviews = vec![plain, entry, selected];
        let read = batch_reviews(batch_message(reviews.clone())).unwrap();
        assert_eq!(format!("{read:?}"), format!("{reviews:?}"));
    }
}
