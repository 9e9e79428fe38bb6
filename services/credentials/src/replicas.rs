//! The replicas of the spoke service: each answers for the clusters that it watches, so that the right one has to be found.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use lanyard_api::{
    ClusterUid, Fault,
    spoke::{PodReview, PodReviews, ReviewPod},
};
use quick_cache::sync::Cache;
use tokio::time::sleep;

/// Clusters of which it is remembered who watches them, each in some bytes.
const CLUSTERS_MAX: usize = 8_192;

/// How long one is waited for before the next is asked beside it: who does not watch a cluster says so at once.
const PATIENCE: Duration = Duration::from_millis(50);

/// Asks one replica after the other, and first the one that last had an answer of the cluster.
pub(crate) struct Replicas<R> {
    each: Vec<R>,
    /// Where in `each` the one is that watches a cluster.
    watching: Cache<ClusterUid, usize>,
}

impl<R> Replicas<R> {
    pub(crate) fn new(each: Vec<R>) -> Self {
        Self { each, watching: Cache::new(CLUSTERS_MAX) }
    }

    /// Asks the one at this place.
    async fn ask(place: usize, replica: &R, asked: ReviewPod) -> (usize, Result<PodReview, Fault>)
    where
        R: PodReviews,
    {
        (place, replica.review_pod(asked).await)
    }

    /// All of them by their places, from a place on.
    fn from(&self, first: usize) -> impl Iterator<Item = (usize, &R)> {
        let (before, after) = self.each.split_at(first.min(self.each.len()));
        let after = (first..).zip(after);
        after.chain((0..).zip(before))
    }
}

impl<R: PodReviews> PodReviews for Replicas<R> {
    async fn review_pod(&self, asked: ReviewPod) -> Result<PodReview, Fault> {
        let cluster = asked.cluster;
        let first = self.watching.get(&cluster).unwrap_or_default();
        let mut answer = Ok(PodReview::Unwatched);
        let ask = |(place, replica)| Self::ask(place, replica, asked.clone());
        let (mut places, mut asking) = (self.from(first).peekable(), FuturesUnordered::new());
        loop {
            if asking.is_empty() {
                let Some(next) = places.next() else { return answer };
                asking.push(ask(next));
            }
            let answered = tokio::select! {
                biased;
                answered = asking.next() => answered,
                () = sleep(PATIENCE), if places.peek().is_some() => {
                    asking.extend(places.next().map(ask));
                    continue;
                }
            };
            match answered {
                Some((_, Ok(PodReview::Unwatched))) | None => {}
                Some((place, Ok(review))) => {
                    if place != first {
                        self.watching.insert(cluster, place);
                    }
                    return Ok(review);
                }
                // It may be the one that watches, or one that is gone: the others may know.
                Some((_, Err(fault))) => answer = Err(fault),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Replica {
        answer: Mutex<Result<PodReview, Fault>>,
        asked: Mutex<u32>,
    }

    impl PodReviews for Replica {
        async fn review_pod(&self, _: ReviewPod) -> Result<PodReview, Fault> {
            *self.asked.lock().unwrap() += 1;
            self.answer.lock().unwrap().clone()
        }
    }

    fn replicas(answers: [Result<PodReview, Fault>; 3]) -> Replicas<Replica> {
        let replica = |answer| Replica { answer: Mutex::new(answer), asked: Mutex::default() };
        Replicas::new(answers.into_iter().map(replica).collect())
    }

    fn away() -> Result<PodReview, Fault> {
        Err(Fault::Unavailable { part: "the service".into(), detail: "no replica of it answered".into() })
    }

    fn asked(replicas: &Replicas<Replica>) -> Vec<u32> {
        replicas.each.iter().map(|replica| std::mem::take(&mut *replica.asked.lock().unwrap())).collect()
    }

    #[tokio::test]
    async fn the_one_that_watches_is_found_and_then_asked_first() {
        let cluster = ClusterUid::random();
        let review = || ReviewPod { cluster, token: "t".into() };
        let dead = || Ok(PodReview::Refused("gone".to_owned()));
        let replicas = replicas([Ok(PodReview::Unwatched), away(), dead()]);
        assert_eq!(replicas.review_pod(review()).await, dead());
        assert_eq!(asked(&replicas), [1, 1, 1]);
        assert_eq!(replicas.review_pod(review()).await, dead());
        assert_eq!(asked(&replicas), [0, 0, 1]);
        // Another one has taken it over.
        *replicas.each[2].answer.lock().unwrap() = Ok(PodReview::Unwatched);
        *replicas.each[0].answer.lock().unwrap() = Ok(PodReview::Lives);
        assert_eq!(replicas.review_pod(review()).await, Ok(PodReview::Lives));
        assert_eq!(asked(&replicas), [1, 0, 1]);
        assert_eq!(replicas.review_pod(review()).await, Ok(PodReview::Lives));
        assert_eq!(asked(&replicas), [1, 0, 0]);
        let other = ReviewPod { cluster: ClusterUid::random(), token: "t".into() };
        assert_eq!(replicas.review_pod(other).await, Ok(PodReview::Lives), "another cluster is another's");
    }

    /// Whose machine has lost its power; its connections have not heard of it yet.
    struct Either(Option<Replica>);

    impl PodReviews for Either {
        async fn review_pod(&self, asked: ReviewPod) -> Result<PodReview, Fault> {
            match &self.0 {
                Some(replica) => replica.review_pod(asked).await,
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test]
    async fn one_that_hangs_hides_no_other() {
        let cluster = ClusterUid::random();
        let answers = replicas([Ok(PodReview::Unwatched), Ok(PodReview::Lives), away()]).each;
        let hangs = std::iter::once(Either(None));
        let replicas = Replicas::new(hangs.chain(answers.into_iter().map(|one| Either(Some(one)))).collect());
        let review = || ReviewPod { cluster, token: "t".into() };
        for what in ["it is found", "it is known by now who watches"] {
            let found = tokio::time::timeout(Duration::from_secs(20), replicas.review_pod(review())).await;
            assert_eq!(found, Ok(Ok(PodReview::Lives)), "{what}");
        }
    }

    #[tokio::test]
    async fn where_one_is_away_it_may_be_the_one_that_watches() {
        let review = || ReviewPod { cluster: ClusterUid::random(), token: "t".into() };
        for (answers, expected) in [
            (
                [Ok(PodReview::Unwatched), Ok(PodReview::Unwatched), Ok(PodReview::Unwatched)],
                Ok(PodReview::Unwatched),
            ),
            ([Ok(PodReview::Unwatched), away(), Ok(PodReview::Unwatched)], away()),
            ([away(), away(), Ok(PodReview::Lives)], Ok(PodReview::Lives)),
        ] {
            let what = format!("{answers:?}");
            assert_eq!(replicas(answers).review_pod(review()).await, expected, "{what}");
        }
        assert_eq!(Replicas::<Replica>::new(Vec::new()).review_pod(review()).await, Ok(PodReview::Unwatched));
    }
}
