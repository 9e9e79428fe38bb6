use std::sync::{
    Mutex as StdMutex,
    atomic::{AtomicUsize, Ordering},
};

use lanyard_api::Denial;
use lanyard_kit::telemetry::RequestId;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

/// Stands in for the spoke service, for faults: it says what it was told to.
#[derive(Clone, Default)]
struct StandIn {
    says: Arc<StdMutex<Option<Result<PodReview, Fault>>>>,
    asked: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    /// The number of the request that the last question was work on.
    request: Arc<StdMutex<Option<RequestId>>>,
}

impl StandIn {
    /// None: it never answers.
    fn say(&self, review: Option<Result<PodReview, Fault>>) {
        *self.says.lock().unwrap() = review;
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

impl PodReviews for StandIn {
    async fn review_pod(&self, _: ReviewPod) -> Result<PodReview, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.request.lock().unwrap() = request_id::current();
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let says = self.says.lock().unwrap().clone();
        let answer = match says {
            Some(answer) => answer,
            None => std::future::pending().await,
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

/// A node of this cluster with a token of a namespace's pod.
fn of(cluster: ClusterUid, namespace: &str) -> Asker {
    Asker { cluster, caller: "node-1".to_owned(), namespace: namespace.to_owned() }
}

fn lives(config: &VendConfig) -> PodLives {
    PodLives::new(config, Arc::new(Budgets::new(config)))
}

struct World {
    lives: PodLives,
    stand_in: StandIn,
    cluster: ClusterUid,
}

impl World {
    fn new(policy: PodReviewPolicy) -> Self {
        Self::with(VendConfig { pod_review: policy, ..VendConfig::default() })
    }

    fn with(config: VendConfig) -> Self {
        Self::with_limit(config, 50)
    }

    fn with_limit(config: VendConfig, pod_review_milliseconds: u64) -> Self {
        let config = VendConfig { pod_review_milliseconds, ..config };
        let (lives, stand_in) = (lives(&config), StandIn::default());
        lives.review_by(stand_in.clone());
        Self { lives, stand_in, cluster: ClusterUid::random() }
    }

    async fn confirm(&self, token: &str, now: OffsetDateTime) -> Result<Option<String>, CallError> {
        self.confirm_of(&of(self.cluster, "team-a"), token, now).await
    }

    async fn confirm_of(
        &self,
        asker: &Asker,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Option<String>, CallError> {
        self.lives.confirm(asker, &token.into(), TokenDigest::of(token), now).await
    }
}

fn away() -> Fault {
    Fault::Unavailable { part: "the cluster's API server".into(), detail: "it cannot be reached".into() }
}

fn code(answer: &Result<Option<String>, CallError>) -> &str {
    match answer {
        Ok(None) => "confirmed",
        Ok(Some(_)) => "unconfirmed",
        Err(CallError::Denied(Denial { code, .. })) => code,
        Err(CallError::Fault(fault)) => fault.code(),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn immunity_48_what_the_api_server_says_decides_and_where_it_says_nothing_the_policy() {
    use PodReviewPolicy::{Off, Required, WhenAnswered};
    let refused = || Some(Ok(PodReview::Refused("service account token has been invalidated".to_owned())));
    let throttled = Fault::Throttled { part: "the cluster's API server".into(), retry_after: None };
    for (what, says, required, when_answered, why) in [
        ("it lives", Some(Ok(PodReview::Lives)), "confirmed", "confirmed", ""),
        ("it is gone", refused(), "pod_token_expired", "pod_token_expired", "has been invalidated"),
        (
            "nobody watches",
            Some(Ok(PodReview::Unwatched)),
            "unavailable",
            "unconfirmed",
            "pushes from inside",
        ),
        ("it is away", Some(Err(away())), "unavailable", "unconfirmed", "cannot be reached"),
        ("it is throttled", Some(Err(throttled)), "unavailable", "unconfirmed", "over its limit"),
        ("an internal fault", Some(Err(Fault::Internal)), "unavailable", "unconfirmed", "see the log"),
        ("it hangs", None, "unavailable", "unconfirmed", "within 50ms"),
    ] {
        for (policy, expected) in [(Required, required), (WhenAnswered, when_answered), (Off, "unconfirmed")]
        {
            let world = World::new(policy);
            world.stand_in.say(says.clone());
            let answer = world.confirm("a.b.c", NOON).await;
            assert_eq!(code(&answer), expected, "{what} {policy:?}: {answer:?}");
            assert_eq!(world.stand_in.asked(), usize::from(policy != Off), "{what} {policy:?}");
            let text = format!("{answer:?}");
            assert!(policy == Off || text.contains(why), "{what} {policy:?}: {text}");
            assert!(!text.contains("a.b.c"), "a token stays out of what is told: {text}");
        }
    }
    let (lives, token) = (lives(&VendConfig::default()), "t".into());
    let asker = of(ClusterUid::random(), "team-a");
    let answer = lives.confirm(&asker, &token, TokenDigest::of("t"), NOON).await;
    assert_eq!(code(&answer), "unconfirmed", "without a spoke service");
}

#[tokio::test]
async fn a_good_word_counts_for_seconds_for_one_token_of_one_cluster_and_a_bad_one_for_a_moment() {
    let world = World::new(PodReviewPolicy::WhenAnswered);
    let asked = async |token: &str, seconds: i64| {
        let answer = world.confirm(token, NOON + Duration::seconds(seconds)).await;
        (code(&answer).to_owned(), world.stand_in.asked())
    };
    world.stand_in.say(Some(Ok(PodReview::Lives)));
    for (token, seconds, expected) in [("a", 0, 1), ("a", 9, 0), ("b", 9, 1), ("a", 10, 1), ("a", 9, 1)] {
        assert_eq!(asked(token, seconds).await, ("confirmed".to_owned(), expected), "{token} {seconds}");
    }
    let other = world.confirm_of(&of(ClusterUid::random(), "team-a"), "a", NOON).await;
    assert_eq!((code(&other), world.stand_in.asked()), ("confirmed", 1), "another cluster's is another");
    world.stand_in.say(Some(Ok(PodReview::Refused(String::new()))));
    for (seconds, expected) in [(9, 1), (9, 0), (10, 0), (11, 1), (10, 1)] {
        assert_eq!(asked("c", seconds).await, ("pod_token_expired".to_owned(), expected), "{seconds}");
    }
    world.stand_in.say(Some(Err(away())));
    for _ in 0..2 {
        assert_eq!(asked("d", 9).await, ("unconfirmed".to_owned(), 1), "asked anew");
    }
    world.stand_in.say(Some(Ok(PodReview::Refused(String::new()))));
    assert_eq!(asked("a", 18).await.0, "confirmed", "it was good a moment ago");
    assert_eq!(asked("a", 19).await.0, "pod_token_expired", "and is not for ever");
}

#[tokio::test]
async fn immunity_28_those_who_ask_about_one_token_at_once_ask_once_whatever_comes_of_it() {
    for (what, says, just_answered, expected) in [
        ("it lives", Some(Ok(PodReview::Lives)), false, "confirmed"),
        ("it is dead", Some(Ok(PodReview::Refused(String::new()))), false, "pod_token_expired"),
        ("it is away", Some(Err(away())), false, "unavailable"),
        ("it hangs", None, false, "unavailable"),
        ("of this one it says nothing", None, true, "timed_out"),
    ] {
        let world = World::new(PodReviewPolicy::Required);
        if just_answered {
            world.stand_in.say(Some(Ok(PodReview::Lives)));
            world.confirm("ana", NOON).await.unwrap();
            world.stand_in.asked();
        }
        world.stand_in.say(says);
        let begun = Instant::now();
        let answers = futures::future::join_all((0..50).map(|_| world.confirm("a", NOON))).await;
        assert!(answers.iter().all(|answer| code(answer) == expected), "{what}: {answers:?}");
        assert_eq!(world.stand_in.asked(), 1, "{what}");
        // One after another they would take fifty times the limit of 50 ms.
        assert!(begun.elapsed() < StdDuration::from_millis(1_250), "{what}: {:?}", begun.elapsed());
        assert!(world.lives.0.open().is_empty(), "{what}: a question that is answered takes no memory");
    }
}

#[tokio::test]
async fn a_question_is_work_on_the_request_that_it_is_asked_for() {
    let world = World::new(PodReviewPolicy::Required);
    world.stand_in.say(Some(Ok(PodReview::Lives)));
    let id = Some(RequestId::new(uuid::Uuid::new_v4()));
    request_id::within(id, world.confirm("a", NOON)).await.unwrap();
    assert!(id.is_some() && *world.stand_in.request.lock().unwrap() == id);
    world.confirm("b", NOON).await.unwrap();
    assert_eq!(*world.stand_in.request.lock().unwrap(), None);
}

#[tokio::test]
async fn immunity_28_who_brings_too_many_dead_tokens_is_refused_without_a_question() {
    for says in [Some(Ok(PodReview::Refused(String::new()))), None] {
        let quota = lanyard_kit::limits::Quota { per_second: 1, burst: 3 };
        let world = World::with(VendConfig { bad_tokens_per_node: quota, ..VendConfig::default() });
        world.stand_in.say(Some(Ok(PodReview::Lives)));
        world.confirm("known", NOON).await.unwrap();
        world.stand_in.asked();
        world.stand_in.say(says.clone());
        let tokens = ["0", "1", "2"];
        let answers = futures::future::join_all(tokens.map(|token| world.confirm(token, NOON))).await;
        let expected = if says.is_some() { "pod_token_expired" } else { "timed_out" };
        assert!(answers.iter().all(|answer| code(answer) == expected), "{answers:?}");
        assert_eq!(world.stand_in.asked(), 3);
        world.stand_in.say(Some(Ok(PodReview::Lives)));
        for number in 3..50 {
            let answer = world.confirm(&number.to_string(), NOON).await;
            assert_eq!(code(&answer), "throttled", "an unknown one: {answer:?}");
        }
        assert_eq!(world.stand_in.asked(), 0, "without a question");
        assert_eq!(code(&world.confirm("known", NOON).await), "confirmed", "a known one is vended to");
        let other_node = Asker { caller: "node-2".to_owned(), ..of(world.cluster, "team-a") };
        for (what, asker) in [("namespace", of(world.cluster, "team-b")), ("node", other_node)] {
            let answer = world.confirm_of(&asker, what, NOON).await;
            assert_eq!(code(&answer), "confirmed", "another {what} is another budget");
        }
    }
}

#[tokio::test]
async fn immunity_28_one_clusters_questions_are_bounded_and_nobody_slips_past_the_bound() {
    let patient = World::with_limit(VendConfig::default(), 60_000);
    patient.stand_in.say(Some(Ok(PodReview::Lives)));
    for (namespaces, most) in [(1, OF_NAMESPACE_MAX), (2, OF_CLUSTER_MAX), (7, OF_CLUSTER_MAX)] {
        let asked: Vec<_> = (0..200)
            .map(|number| {
                let namespace = (number % namespaces).to_string();
                (of(patient.cluster, &namespace), format!("{namespaces}-{number}"))
            })
            .collect();
        let answers = asked.iter().map(|(asker, token)| patient.confirm_of(asker, token, NOON));
        let answers = futures::future::join_all(answers).await;
        assert!(answers.iter().all(|answer| code(answer) == "confirmed"), "they take turns");
        assert_eq!(patient.stand_in.most_at_once.swap(0, Ordering::SeqCst), most, "{namespaces}");
    }
    let world = World::new(PodReviewPolicy::WhenAnswered);
    world.stand_in.say(Some(Ok(PodReview::Lives)));
    // One namespace's questions are in no other's way.
    let line = world.lives.0.line(world.cluster);
    let mut held = Vec::new();
    for _ in 0..OF_NAMESPACE_MAX {
        held.push(line.slots.take("team-a").await.unwrap());
    }
    assert_eq!(code(&world.confirm("dead", NOON).await), "throttled");
    assert_eq!(code(&world.confirm_of(&of(world.cluster, "team-b"), "b", NOON).await), "confirmed");
    // Whoever fills all places so that no question gets through is vended nothing by that.
    for _ in 0..OF_NAMESPACE_MAX {
        held.push(line.slots.take("team-b").await.unwrap());
    }
    assert_eq!(code(&world.confirm_of(&of(world.cluster, "team-c"), "c", NOON).await), "throttled");
}

#[tokio::test]
async fn immunity_55_a_dead_api_server_slows_no_vend_and_an_answer_to_anyone_ends_its_rest() {
    let world = World::new(PodReviewPolicy::WhenAnswered);
    world.stand_in.say(Some(Err(away())));
    for number in 0..10 {
        let answer = world.confirm(&number.to_string(), NOON).await;
        assert_eq!(code(&answer), "unconfirmed");
        let says = answer.unwrap().unwrap();
        assert_eq!(says.contains("left alone for a moment"), number >= 3, "{number}: {says}");
    }
    assert_eq!(world.stand_in.asked(), 3, "then it is left alone");
    world.stand_in.say(Some(Ok(PodReview::Lives)));
    let answer = world.confirm_of(&of(ClusterUid::random(), "team-a"), "a", NOON).await;
    assert_eq!(code(&answer), "confirmed", "another cluster's API server is another");

    // A caller whose own questions get no answer opens nothing while others get theirs.
    let world = World::new(PodReviewPolicy::WhenAnswered);
    for number in 0..20 {
        world.stand_in.say(Some(Err(away())));
        world.confirm(&format!("mallory-{number}"), NOON).await.unwrap();
        world.stand_in.say(Some(Ok(PodReview::Lives)));
        assert_eq!(code(&world.confirm(&format!("ana-{number}"), NOON).await), "confirmed", "{number}");
    }
    assert_eq!(world.stand_in.asked(), 40);
}

#[tokio::test]
async fn immunity_48_a_token_that_is_late_while_others_are_answered_is_vended_nothing() {
    for policy in [PodReviewPolicy::WhenAnswered, PodReviewPolicy::Required] {
        let world = World::new(policy);
        world.stand_in.say(Some(Ok(PodReview::Lives)));
        assert_eq!(code(&world.confirm("ana", NOON).await), "confirmed");
        // The API server asks its webhook about what it does not know itself, and that hangs.
        world.stand_in.say(None);
        for number in 0..5 {
            let answer = world.confirm(&format!("dead-{number}"), NOON).await;
            assert_eq!(code(&answer), "timed_out", "{policy:?} {number}: however many of them there are");
        }
        assert_eq!(world.stand_in.asked(), 6);
    }
}

#[tokio::test]
async fn whoever_gives_up_early_does_not_keep_it_from_being_known_that_nobody_answers() {
    let world = World::new(PodReviewPolicy::WhenAnswered);
    world.stand_in.say(None);
    for number in 0..3 {
        let token = number.to_string();
        let given_up = timeout(StdDuration::from_millis(5), world.confirm(&token, NOON)).await;
        assert!(given_up.is_err());
    }
    tokio::time::sleep(StdDuration::from_millis(200)).await;
    let answer = world.confirm("a", NOON).await;
    assert!(answer.unwrap().unwrap().contains("left alone for a moment"));
    assert_eq!(world.stand_in.asked(), 3);
}
