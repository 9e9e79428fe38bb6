//! The agent between a kubelet and an upstream that do as they are told.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lanyard_kit::{TestClock, telemetry::TestLog};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::listed::{List as _, ListFault};
use crate::pods::tests::item;
use crate::pods::{Directory, WatchOptions};
use crate::token::tests::{NOW, payload, unsigned};
use crate::vault::tests::{Scripted, options};

/// A kubelet whose list can be changed; without one it is away.
#[derive(Default)]
struct Kubelet {
    list: Mutex<Option<Vec<Value>>>,
    asked: AtomicUsize,
}

impl Kubelet {
    fn set(&self, items: &[Value]) {
        *self.list.lock().unwrap() = Some(items.to_vec());
    }

    fn list(&self) -> Result<Directory, ListFault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let list = self.list.lock().unwrap().clone();
        let list = list.ok_or(ListFault::Status { host: "node".to_owned(), status: 503, advice: "" })?;
        Ok(Directory::parse(json!({ "items": list }).to_string().as_bytes()).unwrap())
    }
}

struct World {
    agent: Agent<Scripted>,
    vault: Arc<Vault<Scripted>>,
    pods: Arc<PodWatch>,
    kubelet: Arc<Kubelet>,
    clock: TestClock,
}

const LIMITS: Limits = Limits { newcomers: generous(), node: None };

const fn generous() -> Rate {
    match std::num::NonZeroU32::new(1_000) {
        Some(many) => Rate { per_second: many, burst: many },
        None => unreachable!(),
    }
}

fn world_with(answers: &[Result<time::Duration, AuthError>], limits: Limits) -> World {
    world_of(answers, limits, generous())
}

fn world_of(answers: &[Result<time::Duration, AuthError>], limits: Limits, pod_rate: Rate) -> World {
    let clock = TestClock::new(NOW);
    let upstream = Scripted::new(&clock, answers);
    world_before(upstream, clock, limits, pod_rate)
}

fn world_before(upstream: Scripted, clock: TestClock, limits: Limits, pod_rate: Rate) -> World {
    let kubelet = Arc::new(Kubelet::default());
    let pod_options = crate::vault::VaultOptions { pod_rate, entries_max: 100, ..options() };
    let vault = Vault::new(upstream, Arc::new(clock.clone()), pod_options);
    let asked = Arc::clone(&kubelet);
    let source = move || std::future::ready(asked.list());
    let pods = Arc::new(PodWatch::of(source, WatchOptions::default()));
    let agent = Agent::new(Arc::clone(&vault), Some(Arc::clone(&pods)), limits, Arc::new(clock.clone()));
    World { agent, vault, pods, kubelet, clock }
}

fn world(answers: &[Result<time::Duration, AuthError>]) -> World {
    let world = world_with(answers, LIMITS);
    world.kubelet.set(&[item("pod-1", "10.88.0.5"), item("pod-2", "10.88.0.6")]);
    world
}

const SIX_HOURS: Result<time::Duration, AuthError> = Ok(time::Duration::hours(6));

fn at(address: &str) -> Peer {
    Peer { address: address.parse::<IpAddr>().unwrap(), is_node: false }
}

fn token(uid: &str) -> String {
    unsigned(&payload(uid))
}

impl World {
    async fn ask(&self, token: &str, address: &str) -> Result<Arc<Answer>, Refusal> {
        self.agent.credentials(token, at(address), Road::Container).await
    }

    fn vends(&self) -> usize {
        self.vault.upstream().asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_its_own_and_gets_them_again_without_a_question() {
    let world = world(&[SIX_HOURS]);
    let first = world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    let lists = world.kubelet.asked.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert!(Arc::ptr_eq(&first, &world.ask(&token("pod-1"), "10.88.0.5").await.unwrap()));
    }
    assert_eq!((world.vends(), world.kubelet.asked.load(Ordering::SeqCst)), (1, lists));
}

#[tokio::test(start_paused = true)]
async fn immunity_20_of_what_the_hub_made_and_nobody_has_used_for_long_it_is_asked_before_it_is_handed_out() {
    let clock = TestClock::new(NOW);
    let script = [SIX_HOURS, SIX_HOURS, Err(AuthError::ServiceUnavailable), Err(AuthError::AccessDenied)];
    let upstream = Scripted::new(&clock, &script).of_hub();
    let world = world_before(upstream, clock, LIMITS, generous());
    world.kubelet.set(&[item("pod-1", "10.88.0.5")]);
    let ask = async || world.ask(&token("pod-1"), "10.88.0.5").await;
    let first = ask().await.unwrap();
    world.clock.advance(time::Duration::minutes(5));
    assert!(Arc::ptr_eq(&first, &ask().await.unwrap()), "till then it is asked beside who asks");
    world.clock.advance(time::Duration::minutes(10));
    let second = ask().await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "those of before may have ended");
    assert!(Arc::ptr_eq(&second, &ask().await.unwrap()));
    assert_eq!(world.vends(), 2);
    world.clock.advance(time::Duration::minutes(10));
    for _ in 0..2 {
        assert!(Arc::ptr_eq(&second, &ask().await.unwrap()), "while the hub is away they are served");
    }
    assert_eq!(world.vends(), 3, "and it is not asked each time");
    world.clock.advance(time::Duration::MINUTE);
    assert_eq!(ask().await.unwrap_err().status(), 400, "the hub refuses");
    assert!(world.vault.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_says_nothing_keeps_who_asks_for_half_a_second_and_is_heard_afterwards() {
    let (clock, gate) = (TestClock::new(NOW), Arc::new(Notify::new()));
    let upstream = Scripted::new(&clock, &[SIX_HOURS]).of_hub().gated(&gate);
    let world = world_before(upstream, clock, LIMITS, generous());
    world.kubelet.set(&[item("pod-1", "10.88.0.5")]);
    let ask = async || world.ask(&token("pod-1"), "10.88.0.5").await;
    gate.notify_one();
    let first = ask().await.unwrap();
    world.clock.advance(time::Duration::minutes(10));
    let began = Instant::now();
    assert!(Arc::ptr_eq(&first, &ask().await.unwrap()));
    let waited = began.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_millis(600)).contains(&waited), "{waited:?}");
    gate.notify_one();
    assert!(!Arc::ptr_eq(&first, &ask().await.unwrap()), "the question went on");
    assert_eq!(world.vends(), 2);
}

#[tokio::test(start_paused = true)]
async fn immunity_48_a_token_in_other_hands_is_refused_kept_credentials_or_not() {
    let world = world(&[SIX_HOURS]);
    let stolen = token("pod-1");
    // Before its pod has ever asked, and after.
    for _ in 0..2 {
        let refused = world.ask(&stolen, "10.88.0.6").await.unwrap_err();
        assert_eq!((refused.status(), &refused), (403, &Refusal::Pod(Mismatch::OtherAddress)));
        world.ask(&stolen, "10.88.0.5").await.unwrap();
    }
    let of_another_node = {
        let mut payload = payload("pod-1");
        payload["kubernetes.io"]["node"]["name"] = json!("node-b");
        unsigned(&payload)
    };
    let refused = world.ask(&of_another_node, "10.88.0.5").await.unwrap_err();
    assert_eq!(refused, Refusal::Pod(Mismatch::OtherNode));
    let refused = world.ask(&token("pod-9"), "10.88.0.5").await.unwrap_err();
    assert_eq!(refused, Refusal::Pod(Mismatch::NoSuchPod));
    assert_eq!(world.vends(), 1, "nobody else was asked about");
}

#[tokio::test(start_paused = true)]
async fn immunity_48_a_token_is_worth_nothing_after_its_pods_end() {
    let world = world(&[SIX_HOURS]);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    world.kubelet.set(&[item("pod-2", "10.88.0.6")]);
    world.pods.refresh(Instant::now()).await;
    let refused = world.ask(&token("pod-1"), "10.88.0.5").await.unwrap_err();
    assert_eq!(refused, Refusal::Pod(Mismatch::NoSuchPod));
    world.clock.advance(time::Duration::hours(3));
    world.vault.renew_due(Some(&world.pods)).await;
    assert_eq!(world.vends(), 1, "its renewal has stopped");
    assert!(world.vault.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ends_keeps_what_it_has_and_is_not_renewed() {
    let world = world(&[SIX_HOURS]);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    let mut ending = item("pod-1", "10.88.0.5");
    ending["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    world.kubelet.set(&[ending]);
    world.pods.refresh(Instant::now()).await;
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    world.clock.advance(time::Duration::minutes(59));
    world.vault.renew_due(Some(&world.pods)).await;
    assert_eq!((world.vends(), world.vault.len()), (1, 1));
}

/// Of which the token outlives the time when they are due.
const HALF_AN_HOUR: Result<time::Duration, AuthError> = Ok(time::Duration::minutes(30));

#[tokio::test(start_paused = true)]
async fn immunity_48_a_renewal_asks_the_kubelet_first_and_is_none_for_a_pod_deleted_a_moment_ago() {
    let mut ending = item("pod-1", "10.88.0.5");
    ending["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    // What the kubelet has by then, of which the kept list says nothing, and how often was vended in all.
    let cases = [(vec![item("pod-1", "10.88.0.5")], 2), (vec![ending], 1), (Vec::new(), 1)];
    for (items, vends) in cases {
        let world = world(&[HALF_AN_HOUR]);
        world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
        world.clock.advance(time::Duration::minutes(22));
        world.kubelet.set(&items);
        world.vault.renew_due(Some(&world.pods)).await;
        assert_eq!(world.vends(), vends, "{items:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_kubelet_is_away_nothing_is_renewed_and_what_is_kept_is_served() {
    let world = world(&[HALF_AN_HOUR]);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    world.clock.advance(time::Duration::minutes(22));
    *world.kubelet.list.lock().unwrap() = None;
    tokio::time::advance(Duration::from_secs(1)).await;
    world.vault.renew_due(Some(&world.pods)).await;
    let asked = world.kubelet.asked.load(Ordering::SeqCst);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    // Not with each round again, as with any renewal that came to nothing.
    world.vault.renew_due(Some(&world.pods)).await;
    assert_eq!((world.vends(), world.kubelet.asked.load(Ordering::SeqCst)), (1, asked));
    world.kubelet.set(&[item("pod-1", "10.88.0.5")]);
    world.clock.advance(time::Duration::minutes(2));
    world.vault.renew_due(Some(&world.pods)).await;
    assert_eq!(world.vends(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_made_a_moment_ago_is_found_by_a_new_list_and_waited_for() {
    let world = world(&[SIX_HOURS]);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    world.kubelet.set(&[item("pod-3", "10.88.0.7")]);
    world.ask(&token("pod-3"), "10.88.0.7").await.unwrap();
    // Listed, and its address is not there yet.
    let mut young = item("pod-4", "10.88.0.8");
    young["status"] = json!({ "phase": "Pending" });
    world.kubelet.set(&[young.clone()]);
    let (kubelet, came) = (Arc::clone(&world.kubelet), item("pod-4", "10.88.0.8"));
    let later = async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        kubelet.set(&[came]);
    };
    let began = Instant::now();
    let young_token = token("pod-4");
    let (answer, ()) = tokio::join!(world.ask(&young_token, "10.88.0.8"), later);
    answer.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1_200), "{:?}", began.elapsed());
    // One whose address never comes is told to try again.
    let mut never = young;
    never["metadata"]["uid"] = json!("pod-5");
    world.kubelet.set(&[never]);
    let refused = world.ask(&token("pod-5"), "10.88.0.9").await.unwrap_err();
    assert_eq!((refused.status(), refused), (503, Refusal::Pod(Mismatch::NoAddressYet)));
}

#[tokio::test(start_paused = true)]
async fn who_knocks_while_the_first_list_is_on_its_way_is_answered_by_it() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let source = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let list = json!({ "items": [item("pod-1", "10.88.0.5")] }).to_string();
            Ok::<_, ListFault>(Directory::parse(list.as_bytes()).unwrap())
        }
    };
    let pods = PodWatch::of(source, WatchOptions::default());
    let token = PodToken::parse(&token("pod-1"), NOW).unwrap();
    let began = Instant::now();
    let knocks = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        pods.check(token.claims(), at("10.88.0.5")).await
    };
    let ((), checked) = tokio::join!(pods.refresh(began), knocks);
    assert_eq!(checked, Ok(Ok(())));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(began.elapsed() < WatchOptions::default().pause, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn immunity_28_a_crowd_of_strangers_asks_the_kubelet_at_a_bounded_rate() {
    let world = world(&[SIX_HOURS]);
    let began = Instant::now();
    let strangers = (0..400).map(|n| {
        let (world, text) = (&world, token(&format!("made-up-{n}")));
        async move { world.ask(&text, "10.88.0.6").await.unwrap_err() }
    });
    let refused = futures::future::join_all(strangers).await;
    assert!(refused.iter().all(|refused| *refused == Refusal::Pod(Mismatch::NoSuchPod)));
    let asked = world.kubelet.asked.load(Ordering::SeqCst);
    let most = 2 + began.elapsed().as_millis() as usize / 200;
    assert!(asked <= most, "{asked} lists in {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn immunity_28_one_pods_burst_leaves_the_others_theirs() {
    let narrow = Limits { newcomers: Rate::new(1, 2), ..LIMITS };
    let world = world_with(&[Err(AuthError::ResourceNotFound)], narrow);
    world.kubelet.set(&[item("pod-1", "10.88.0.5"), item("pod-2", "10.88.0.6")]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.ask(&token("pod-1"), "10.88.0.5").await.unwrap_err().status());
    }
    assert_eq!(statuses, [404, 404, 429, 429]);
    assert_eq!(world.ask(&token("pod-2"), "10.88.0.6").await.unwrap_err().status(), 404);
}

/// Two pods whose credentials are kept, and each of which may have three of them at once, and one a second.
async fn world_of_narrow_shares() -> World {
    let world = world_of(&[SIX_HOURS], LIMITS, Rate::new(1, 3));
    world.kubelet.set(&[item("pod-1", "10.88.0.5"), item("pod-2", "10.88.0.6")]);
    for (uid, address) in [("pod-1", "10.88.0.5"), ("pod-2", "10.88.0.6")] {
        // What comes for a token is nothing of the share in what is kept.
        world.ask(&token(uid), address).await.unwrap();
    }
    world
}

impl World {
    /// The status of each of so many requests, one after the other.
    async fn statuses(&self, token: &str, address: &str, count: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(self.ask(token, address).await.map_or_else(|refusal| refusal.status(), |_| 200));
        }
        statuses
    }
}

#[tokio::test(start_paused = true)]
async fn immunity_28_a_pod_beyond_its_share_of_kept_credentials_is_told_so_and_another_has_its_own() {
    let world = world_of_narrow_shares().await;
    let statuses = world.statuses(&token("pod-1"), "10.88.0.5", 30).await;
    assert_eq!(statuses[..3], [200; 3]);
    // A share fills again by the machine's clock, which is not this test's: one a second, and these take far less than thirty.
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert_eq!(world.statuses(&token("pod-2"), "10.88.0.6", 3).await, [200; 3]);
    assert_eq!(world.vends(), 2, "nobody was asked again");
}

#[tokio::test(start_paused = true)]
async fn immunity_48_who_shows_anothers_token_takes_nothing_of_its_pods_share() {
    let world = world_of_narrow_shares().await;
    assert_eq!(world.statuses(&token("pod-1"), "10.88.0.6", 30).await, [403; 30]);
    assert_eq!(world.statuses(&token("pod-1"), "10.88.0.5", 3).await, [200; 3]);
}

#[tokio::test(start_paused = true)]
async fn the_node_may_have_a_limit_of_its_own() {
    let narrow = Limits { node: Some(Rate::new(1, 3)), ..LIMITS };
    let world = world_with(&[SIX_HOURS], narrow);
    world.kubelet.set(&[item("pod-1", "10.88.0.5")]);
    let mut limited = 0;
    for _ in 0..5 {
        limited +=
            usize::from(matches!(world.ask(&token("pod-1"), "10.88.0.5").await, Err(Refusal::Limited)));
    }
    assert_eq!(limited, 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_list_nobody_is_refused_and_nobody_gets_anything() {
    let world = world_with(&[SIX_HOURS], LIMITS);
    let refused = world.ask(&token("pod-1"), "10.88.0.5").await.unwrap_err();
    assert_eq!((refused.status(), refused), (503, Refusal::Unlisted(Unlisted::of::<Directory>())));
    // A list counts for a while when no new one comes.
    world.kubelet.set(&[item("pod-1", "10.88.0.5")]);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    *world.kubelet.list.lock().unwrap() = None;
    tokio::time::advance(Duration::from_secs(299)).await;
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(
        world.ask(&token("pod-1"), "10.88.0.5").await.unwrap_err(),
        Refusal::Unlisted(Unlisted::of::<Directory>())
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_of_before_somebody_knocked_refuses_nobody_for_not_being_in_it() {
    let world = world(&[SIX_HOURS]);
    world.pods.refresh(Instant::now()).await;
    *world.kubelet.list.lock().unwrap() = None;
    tokio::time::advance(Duration::from_secs(1)).await;
    // Who is in it is believed; who is not may have been made since.
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    let refused = world.ask(&token("pod-3"), "10.88.0.7").await.unwrap_err();
    assert_eq!(refused, Refusal::Unlisted(Unlisted::of::<Directory>()));
}

#[tokio::test(start_paused = true)]
async fn a_kept_token_is_held_to_its_times_too() {
    let world = world(&[SIX_HOURS]);
    world.ask(&token("pod-1"), "10.88.0.5").await.unwrap();
    world.clock.advance(time::Duration::hours(1));
    let log = TestLog::start();
    let refused = world.ask(&token("pod-1"), "10.88.0.5").await.unwrap_err();
    assert_eq!((refused.status(), refused), (400, Refusal::Token(TokenError::Expired)));
    tells(&log, "a token was refused", &["token_expired", "10.88.0.5"]);
}

/// The last line that says this has all of these in it.
fn tells(log: &TestLog, what: &str, parts: &[&str]) {
    let line = log.lines(what).pop().unwrap_or_default();
    assert!(
        !line.is_empty() && parts.iter().all(|part| line.contains(part)),
        "{what}, {parts:?}: {}",
        log.text()
    );
}

#[tokio::test(start_paused = true)]
async fn immunity_48_each_refusal_is_a_line_of_the_log_with_its_code_and_whose_it_is() {
    let world = world(&[Err(AuthError::AccessDenied)]);
    let log = TestLog::start();
    let (stolen, unknown) = (token("pod-1"), token("pod-9"));
    let cases = [
        (stolen.as_str(), "10.88.0.6", "a token was refused", "other_address"),
        (unknown.as_str(), "10.88.0.5", "a token was refused", "pod_unknown"),
        ("a.b.c", "10.88.0.5", "a token was refused", "token_form"),
        (stolen.as_str(), "10.88.0.5", "no credentials for a pod", "AccessDeniedException"),
    ];
    for (shown, address, what, code) in cases {
        world.ask(shown, address).await.unwrap_err();
        tells(&log, what, &["reason.code", code, address, &TokenDigest::of(shown).to_string()]);
    }
    tells(&log, "no credentials for a pod", &["pod.uid", "pod-1", "pod.namespace", "pod.service_account"]);
    world.agent.pod_at(at("10.88.0.77")).await.unwrap_err();
    tells(&log, "no one pod", &["reason.code", "no_pod", "10.88.0.77"]);
}

#[tokio::test(start_paused = true)]
async fn immunity_48_who_knocks_without_a_token_hides_no_line_about_one_that_is_in_other_hands() {
    let world = world(&[SIX_HOURS]);
    let log = TestLog::start();
    for _ in 0..1_000 {
        world.agent.audit_door(at("10.88.0.6"), "token_empty", "nothing");
    }
    let stolen = token("pod-1");
    world.ask(&stolen, "10.88.0.6").await.unwrap_err();
    tells(&log, "a token was refused", &["other_address", &TokenDigest::of(&stolen).to_string()]);
}

#[tokio::test(start_paused = true)]
async fn an_upstreams_refusal_passes_with_its_status_and_its_words() {
    for code in AuthError::ALL {
        let world = world(&[Err(code)]);
        let refused = world.ask(&token("pod-1"), "10.88.0.5").await.unwrap_err();
        assert_eq!(refused.status(), code.status(), "{code:?}");
        assert_eq!(refused.told(), format!("{}: no", code.name()));
    }
    // Whose name is none of the model's: the status passes, and of the words nothing, which may be about the node.
    for (status, outcome) in
        [(400, Outcome::Fault), (403, Outcome::Fault), (429, Outcome::Limited), (504, Outcome::Fault)]
    {
        let (name, message) = ("UnrecognizedClientException".to_owned(), "AKIA of the node".to_owned());
        let other = Refusal::Upstream(UpstreamError::Other { status, name, message });
        assert_eq!((other.status(), other.outcome()), (status, outcome));
        assert_eq!(other.told(), format!("UnrecognizedClientException: status {status}"));
    }
    let fault =
        Refusal::Upstream(UpstreamError::Fault { whom: "the hub", reason: "10.1.2.3 refused".to_owned() });
    assert_eq!(fault.status(), 500);
    assert!(!fault.told().contains("10.1.2.3"), "what the network looks like is for the log");
}

#[tokio::test(start_paused = true)]
async fn immunity_47_an_address_that_was_given_away_is_its_new_pods_whatever_the_kept_list_says() {
    let world = world(&[SIX_HOURS]);
    let peer = at("10.88.0.5");
    assert_eq!(world.agent.pod_at(peer).await.unwrap().uid, "pod-1");
    world.kubelet.set(&[item("pod-3", "10.88.0.5")]);
    assert_eq!(world.agent.pod_at(peer).await.unwrap().uid, "pod-3");
    // Deleted, and another is about to have an address.
    let (mut ending, mut young) = (item("pod-3", "10.88.0.5"), item("pod-4", "10.88.0.8"));
    ending["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    young["status"] = json!({ "phase": "Pending" });
    world.kubelet.set(&[ending, young]);
    let refused = world.agent.pod_at(peer).await.unwrap_err();
    assert_eq!((refused.status(), refused), (503, Refusal::Nobody(Nobody::Unsettled)));
    world.kubelet.set(&[item("pod-3", "10.88.0.5")]);
    assert_eq!(world.agent.pod_at(peer).await.unwrap().uid, "pod-3");
    // A list of before says nothing of whose it is now.
    *world.kubelet.list.lock().unwrap() = None;
    tokio::time::advance(Duration::from_secs(1)).await;
    let refused = world.agent.pod_at(peer).await.unwrap_err();
    assert_eq!((refused.status(), refused), (503, Refusal::Unlisted(Unlisted::of::<Directory>())));
}

#[tokio::test(start_paused = true)]
async fn immunity_28_however_often_pods_are_told_by_their_address_the_kubelet_is_asked_at_a_bounded_rate() {
    let narrow = Limits { newcomers: Rate::new(1, 3), ..LIMITS };
    let world = world_with(&[SIX_HOURS], narrow);
    world.kubelet.set(&[item("pod-1", "10.88.0.5")]);
    let peer = at("10.88.0.5");
    world.agent.pod_at(peer).await.unwrap();
    let began = Instant::now();
    for _ in 0..10 {
        let found = futures::future::join_all((0..40).map(|_| world.agent.pod_at(peer))).await;
        // It is a pod of this node, and no stranger, of whom there may be three.
        assert!(found.iter().all(|found| found.as_ref().is_ok_and(|pod| pod.uid == "pod-1")), "{found:?}");
    }
    let asked = world.kubelet.asked.load(Ordering::SeqCst);
    let most = 2 + began.elapsed().as_millis() as usize / 200;
    assert!(asked <= most, "{asked} lists in {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn immunity_47_on_the_metadata_road_an_address_is_one_running_pods_or_nobodys() {
    let world = world(&[SIX_HOURS]);
    assert_eq!(world.agent.pod_at(at("10.88.0.5")).await.unwrap().uid, "pod-1");
    // The node's own processes and host-network pods come from the node's address.
    let mut host = item("pod-3", "10.89.0.2");
    host["spec"]["hostNetwork"] = json!(true);
    world.kubelet.set(&[item("pod-1", "10.88.0.5"), item("pod-2", "10.88.0.5"), host]);
    world.pods.refresh(Instant::now()).await;
    for (address, expected) in [
        ("10.88.0.5", Nobody::Several),
        ("10.88.0.77", Nobody::None),
        ("10.89.0.2", Nobody::None),
        ("169.254.170.23", Nobody::None),
    ] {
        let refused = world.agent.pod_at(at(address)).await.unwrap_err();
        assert_eq!((refused.status(), refused), (403, Refusal::Nobody(expected)), "{address}");
    }
}
