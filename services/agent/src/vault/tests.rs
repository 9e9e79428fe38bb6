//! The vault against an upstream that does as it is told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use lanyard_kit::TestClock;
use tokio::sync::Notify;

use super::*;
use crate::credentials::tests::credentials;
use crate::token::tests::{NOW, payload, unsigned};
use crate::upstream::AuthError;

/// Answers in order, the last one again and again; an answer may wait for a sign.
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Result<Duration, AuthError>>>,
    pub(crate) asked: AtomicUsize,
    gate: Option<Arc<Notify>>,
    clock: TestClock,
    key: &'static str,
}

impl Scripted {
    pub(crate) fn new(clock: &TestClock, answers: &[Result<Duration, AuthError>]) -> Self {
        let answers = Mutex::new(answers.iter().copied().collect());
        let key = "ASIAEXAMPLEEXAMPLE01";
        Self { answers, asked: AtomicUsize::new(0), gate: None, clock: clock.clone(), key }
    }

    /// A hub that makes sessions itself.
    pub(crate) fn of_hub(self) -> Self {
        Self { key: "LSIAEXAMPLEEXAMPLE01", ..self }
    }

    pub(crate) fn gated(mut self, gate: &Arc<Notify>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }
}

impl Upstream for Scripted {
    async fn assume(&self, _: &PodToken) -> Result<Credentials, UpstreamError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            let first = answers.pop_front().unwrap();
            if answers.is_empty() {
                answers.push_back(first);
            }
            first
        };
        answer
            .map(|life| Credentials {
                access_key_id: self.key.to_owned(),
                ..credentials(self.clock.now() + life)
            })
            .map_err(|code| UpstreamError::answered(code, "no".to_owned()))
    }
}

pub(crate) fn options() -> VaultOptions {
    VaultOptions {
        entries_max: 3,
        schedule: Schedule { retention_max: Duration::hours(3) },
        renewals_per_second: 100,
        pod_rate: Rate::new(2, 4),
    }
}

fn vault(clock: &TestClock, upstream: Scripted) -> Arc<Vault<Scripted>> {
    Vault::new(upstream, Arc::new(clock.clone()), options())
}

pub(crate) fn token(uid: &str, serial: u32) -> PodToken {
    let mut payload = payload(uid);
    payload["exp"] = serde_json::json!(NOW.unix_timestamp() + 86_400 + i64::from(serial));
    PodToken::parse(&unsigned(&payload), NOW).unwrap()
}

fn asked(vault: &Vault<Scripted>) -> usize {
    vault.upstream.asked.load(Ordering::SeqCst)
}

const SIX_HOURS: Result<Duration, AuthError> = Ok(Duration::hours(6));

#[tokio::test]
async fn many_who_ask_at_once_are_one_question() {
    let (clock, gate) = (TestClock::new(NOW), Arc::new(Notify::new()));
    let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS]).gated(&gate));
    let token = token("pod-1", 0);
    let all = futures::future::join_all((0..50).map(|_| vault.fetch(&token)));
    let open = async {
        tokio::task::yield_now().await;
        gate.notify_one();
    };
    let (answers, ()) = tokio::join!(all, open);
    assert_eq!(asked(&vault), 1);
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| Arc::ptr_eq(answer.as_ref().unwrap(), first)));
}

#[tokio::test]
async fn who_goes_away_does_not_stop_the_question() {
    let (clock, gate) = (TestClock::new(NOW), Arc::new(Notify::new()));
    let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS]).gated(&gate));
    let token = token("pod-1", 0);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(5), vault.fetch(&token)).await.unwrap_err();
    gate.notify_one();
    vault.fetch(&token).await.unwrap();
    assert_eq!(asked(&vault), 1);
}

#[tokio::test]
async fn a_refusal_is_kept_by_nobody_so_a_new_association_is_found_at_once() {
    let clock = TestClock::new(NOW);
    let vault = vault(&clock, Scripted::new(&clock, &[Err(AuthError::ResourceNotFound), SIX_HOURS]));
    let token = token("pod-1", 0);
    assert!(vault.fetch(&token).await.is_err());
    assert!(vault.is_empty());
    assert!(vault.fetch(&token).await.is_ok());
    assert_eq!(vault.len(), 1);
}

#[tokio::test]
async fn immunity_21_a_token_with_anothers_claims_finds_nothing_of_anothers() {
    let clock = TestClock::new(NOW);
    let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS, Err(AuthError::InvalidToken)]));
    let genuine = token("pod-1", 0);
    vault.fetch(&genuine).await.unwrap();
    // The same claims, another signature.
    let (signed, _) = genuine.expose().rsplit_once('.').unwrap();
    let forged = PodToken::parse(&format!("{signed}.Zm9yZ2Vk"), NOW).unwrap();
    assert_eq!(forged.claims(), genuine.claims());
    assert!(vault.find(&forged.digest()).is_none());
    assert!(vault.fetch(&forged).await.unwrap_err().is_final());
    // And nothing was lost by it.
    assert!(vault.find(&genuine.digest()).is_some());
    assert_eq!(vault.len(), 1);
}

#[tokio::test]
async fn renewals_come_ahead_and_what_is_kept_outlives_a_fault_but_no_refusal() {
    // (what the renewal meets, whether the entry is still there after it)
    let cases = [
        (AuthError::ResourceNotFound, false),
        (AuthError::ExpiredToken, false),
        (AuthError::InvalidToken, false),
        (AuthError::AccessDenied, false),
        (AuthError::InvalidParameter, true),
        (AuthError::InvalidRequest, true),
        (AuthError::Throttling, true),
        (AuthError::InternalServer, true),
        (AuthError::ServiceUnavailable, true),
    ];
    for (code, stays) in cases {
        let clock = TestClock::new(NOW);
        let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS, Err(code)]));
        let token = token("pod-1", 0);
        vault.fetch(&token).await.unwrap();
        clock.advance(Duration::minutes(161));
        vault.renew_due(None).await;
        assert_eq!(asked(&vault), 1, "{code:?}: nothing is due yet");
        clock.advance(Duration::minutes(20));
        vault.renew_due(None).await;
        assert_eq!(asked(&vault), 2, "{code:?}");
        assert_eq!(
            vault.find(&token.digest()).is_some_and(|entry| entry.answer(clock.now()).is_some()),
            stays,
            "{code:?}"
        );
        // Not at once again.
        clock.advance(Duration::seconds(30));
        vault.renew_due(None).await;
        assert_eq!(asked(&vault), 2, "{code:?}");
    }
}

#[tokio::test]
async fn immunity_20_of_what_the_hub_made_and_somebody_uses_it_is_asked_every_few_minutes() {
    let clock = TestClock::new(NOW);
    let script = [SIX_HOURS, SIX_HOURS, Err(AuthError::ServiceUnavailable), Err(AuthError::AccessDenied)];
    let vault = vault(&clock, Scripted::new(&clock, &script).of_hub());
    let token = token("pod-1", 0);
    let first = vault.fetch(&token).await.unwrap();
    let entry = vault.find(&token.digest()).unwrap();
    clock.advance(Duration::minutes(30));
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 1, "nobody uses them");
    assert!(Arc::ptr_eq(&first, &entry.answer(clock.now()).unwrap()), "who asks waits for nobody");
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 2);
    assert!(!Arc::ptr_eq(&first, &entry.answer(clock.now()).unwrap()), "what came has taken their place");
    clock.advance(Duration::minutes(4));
    entry.answer(clock.now()).unwrap();
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 2, "too soon");
    clock.advance(Duration::minutes(1));
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 3);
    clock.advance(Duration::minutes(2));
    entry.answer(clock.now()).unwrap();
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 3, "while the hub is away they are served, and it is asked no more often");
    clock.advance(Duration::minutes(3));
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 4);
    assert!(vault.find(&token.digest()).is_none(), "the hub refuses: nobody gets them any more");
}

#[tokio::test]
async fn of_what_aws_made_nobody_is_asked_before_it_is_due() {
    let clock = TestClock::new(NOW);
    let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS]));
    let token = token("pod-1", 0);
    vault.fetch(&token).await.unwrap();
    clock.advance(Duration::minutes(30));
    vault.find(&token.digest()).unwrap().answer(clock.now()).unwrap();
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 1);
}

#[tokio::test]
async fn a_fault_is_tried_again_until_it_is_over() {
    let clock = TestClock::new(NOW);
    let vault =
        vault(&clock, Scripted::new(&clock, &[SIX_HOURS, Err(AuthError::ServiceUnavailable), SIX_HOURS]));
    let token = token("pod-1", 0);
    let first = vault.fetch(&token).await.unwrap();
    clock.advance(Duration::hours(3));
    vault.renew_due(None).await;
    let kept = vault.find(&token.digest()).unwrap().answer(clock.now()).unwrap();
    assert!(Arc::ptr_eq(&first, &kept), "still served while the hub is away");
    clock.advance(Duration::minutes(3));
    vault.renew_due(None).await;
    let renewed = vault.find(&token.digest()).unwrap().answer(clock.now()).unwrap();
    assert!(renewed.expires_at > first.expires_at);
}

#[tokio::test]
async fn what_is_about_to_end_is_not_handed_out_nor_kept() {
    let clock = TestClock::new(NOW);
    let vault = vault(&clock, Scripted::new(&clock, &[Ok(Duration::seconds(15)), SIX_HOURS]));
    let token = token("pod-1", 0);
    assert!(matches!(vault.fetch(&token).await, Err(UpstreamError::Fault { .. })));
    vault.fetch(&token).await.unwrap();
    let entry = vault.find(&token.digest()).unwrap();
    clock.set(NOW + Duration::hours(6) - Duration::seconds(16));
    assert!(entry.answer(clock.now()).is_some());
    clock.advance(Duration::seconds(1));
    assert!(entry.answer(clock.now()).is_none());
    vault.renew_due(None).await;
    assert!(vault.is_empty());
}

#[tokio::test]
async fn the_shelf_and_each_pods_part_of_it_are_bounded() {
    let clock = TestClock::new(NOW);
    let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS]));
    for (serial, uid) in (0u32..).zip(["pod-1", "pod-2", "pod-3"]) {
        clock.set(NOW + Duration::seconds(i64::from(serial)));
        vault.fetch(&token(uid, 0)).await.unwrap();
    }
    clock.set(NOW + Duration::minutes(1));
    assert!(vault.find(&token("pod-1", 0).digest()).unwrap().answer(clock.now()).is_some());
    vault.fetch(&token("pod-4", 0)).await.unwrap();
    assert_eq!(vault.len(), 3);
    assert!(vault.find(&token("pod-2", 0).digest()).is_none(), "asked for longest ago");
    assert!(vault.find(&token("pod-1", 0).digest()).is_some());

    let many = VaultOptions { entries_max: 100, ..options() };
    let vault = Vault::new(Scripted::new(&clock, &[SIX_HOURS]), Arc::new(clock.clone()), many);
    for serial in 0..10 {
        vault.fetch(&token("pod-1", serial)).await.unwrap();
    }
    assert_eq!(vault.len(), shelf::TOKENS_OF_POD_MAX);
    assert!(vault.find(&token("pod-1", 9).digest()).is_some());
}

#[tokio::test]
async fn of_a_pods_tokens_the_newest_alone_is_renewed_and_all_share_one_rate() {
    let clock = TestClock::new(NOW);
    let vault = vault(&clock, Scripted::new(&clock, &[SIX_HOURS]));
    for serial in 0..2 {
        vault.fetch(&token("pod-1", serial)).await.unwrap();
    }
    let entries = [0, 1].map(|serial| vault.find(&token("pod-1", serial).digest()).unwrap());
    let within: Vec<bool> = (0..6).map(|n| entries[n % 2].is_within_share()).collect();
    assert_eq!(within, [true, true, true, true, false, false]);
    // Nor is the older one, where it was asked about once more since.
    vault.fetch(&token("pod-1", 0)).await.unwrap();
    clock.advance(Duration::hours(3));
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 4);
}

#[tokio::test]
async fn renewals_that_are_due_at_once_are_spread_over_their_rate() {
    let clock = TestClock::new(NOW);
    let slow = VaultOptions { entries_max: 100, renewals_per_second: 20, ..options() };
    let vault = Vault::new(Scripted::new(&clock, &[SIX_HOURS]), Arc::new(clock.clone()), slow);
    let count = 11;
    for n in 0..count {
        vault.fetch(&token(&format!("pod-{n}"), 0)).await.unwrap();
    }
    clock.advance(Duration::hours(3));
    let began = std::time::Instant::now();
    vault.renew_due(None).await;
    assert_eq!(asked(&vault), 2 * count);
    // Ten pauses of a twentieth of a second. Real time, for the limiter knows no other.
    assert!(began.elapsed() >= std::time::Duration::from_millis(490), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nothing_is_kept_where_nothing_is_to_be() {
    let clock = TestClock::new(NOW);
    let none = VaultOptions { entries_max: 0, ..options() };
    let vault = Vault::new(Scripted::new(&clock, &[SIX_HOURS]), Arc::new(clock.clone()), none);
    vault.fetch(&token("pod-1", 0)).await.unwrap();
    assert!(vault.is_empty());
}
