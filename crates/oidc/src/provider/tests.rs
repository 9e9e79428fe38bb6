//! One issuer by a clock that is set: what comes of its tokens.

mod audit;
mod outage;
mod renewal;

use super::*;
use crate::algorithm::Algorithm;
use crate::fault::Document;
use crate::issuer::IssuerOptions;
use crate::stand_in::{Behaviour, SigningKey, StandIn};
use lanyard_kit::{SystemClock, TestClock};
use serde_json::{Value, json};
use time::Duration as Span;
use time::macros::datetime;

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

/// An issuer, and a provider of it by a clock that is set.
struct Scene {
    stand_in: StandIn,
    clock: TestClock,
    provider: Provider,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut IssuerOptions)) -> Self {
        let stand_in = StandIn::start("/realms/main").await;
        let clock = TestClock::new(NOON);
        let mut options = stand_in.options();
        change(&mut options);
        let issuer = Issuer::new(options).unwrap();
        let provider = Provider::new(issuer, Arc::new(clock.clone())).unwrap();
        Self { stand_in, clock, provider }
    }

    /// Claims that are good for a month from now.
    fn claims(&self) -> Value {
        let now = self.clock.now().unix_timestamp();
        json!({"iss": self.stand_in.issuer(), "sub": "ana", "aud": "kubernetes", "exp": now + 30 * 86_400})
    }

    /// What comes of a token, as its code.
    async fn code(&self, raw: &str) -> &'static str {
        match self.provider.verify(Jwt::parse(raw).unwrap(), &["kubernetes"]).await {
            Ok(JwtAnswer::Verified(_)) => "ok",
            Ok(JwtAnswer::Refused(refusal)) => refusal.code(),
            Err(fault) => fault.code(),
        }
    }

    async fn code_of(&self, key: &SigningKey) -> &'static str {
        self.code(&key.mint(&self.claims())).await
    }

    /// What comes of a token of the newest published key.
    async fn newest(&self) -> &'static str {
        self.code(&self.stand_in.mint(&self.claims())).await
    }

    fn fetches(&self) -> u64 {
        self.stand_in.calls_of(Document::Keys)
    }

    fn asked(&self) -> u64 {
        self.stand_in.calls_of(Document::Discovery)
    }

    /// Waits until an attempt beside the answers has ended.
    async fn settled(&self) {
        self.provider.refresh_if_due().await;
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_is_verified_after_one_look_at_it() {
    let scene = Scene::new().await;
    let raw = scene.stand_in.mint(&scene.claims());
    let answer = scene.provider.verify(Jwt::parse(&raw).unwrap(), &["kubernetes"]).await.unwrap();
    let JwtAnswer::Verified(claims) = answer else { panic!("{answer:?}") };
    assert_eq!((claims.issuer(), claims.subject()), (scene.stand_in.issuer(), "ana"));
    for _ in 0..10 {
        assert_eq!(scene.newest().await, "ok");
    }
    assert_eq!((scene.asked(), scene.fetches(), scene.stand_in.stray_calls()), (1, 1, 0));
    let status = scene.provider.status();
    assert_eq!((status.keys, status.fetched_at, status.fault), (1, Some(NOON), None));
    assert_eq!(status.fresh_until, Some(NOON + Span::HOUR));
    assert_eq!(status.serve_until, Some(NOON + Span::HOUR * 25));
}

#[tokio::test]
async fn every_algorithm_is_verified_and_only_where_it_is_allowed() {
    let scene = Scene::new().await;
    let keys: Vec<_> = Algorithm::ALL.iter().map(|one| crate::test_keys::key(*one, one.as_str())).collect();
    for key in &keys {
        scene.stand_in.add(key);
    }
    for key in &keys {
        assert_eq!(scene.code_of(key).await, "ok", "{key:?}");
    }
    let narrow = Scene::with(|options| options.algorithms = vec![Algorithm::Es256, Algorithm::Ps256]).await;
    for key in &keys {
        narrow.stand_in.add(key);
    }
    for key in &keys {
        let allowed = matches!(key.algorithm(), Algorithm::Es256 | Algorithm::Ps256);
        let expected = if allowed { "ok" } else { "jwt_algorithm_not_allowed" };
        assert_eq!(narrow.code_of(key).await, expected, "{key:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_claims_is_told_without_asking_the_issuer() {
    let scene = Scene::new().await;
    let mut expired = scene.claims();
    expired["exp"] = json!(NOON.unix_timestamp());
    assert_eq!(scene.code(&scene.stand_in.mint(&expired)).await, "token_expired");
    assert_eq!(scene.asked(), 0);
}

#[tokio::test]
async fn one_question_is_asked_for_all_who_wait_even_if_the_first_gives_up() {
    let scene = Scene::new().await;
    let raw = scene.stand_in.mint(&scene.claims());
    {
        let first = scene.code(&raw);
        let gives_up = async { tokio::task::yield_now().await };
        tokio::pin!(first);
        tokio::select! { biased; _ = &mut first => panic!("answered already"), () = gives_up => {} }
    }
    let codes = futures::future::join_all((0..50).map(|_| scene.code(&raw))).await;
    assert!(codes.iter().all(|code| *code == "ok"), "{codes:?}");
    assert_eq!((scene.asked(), scene.fetches()), (1, 1));
}

#[tokio::test]
async fn a_token_can_be_verified_by_any_task() {
    let scene = Scene::new().await;
    let (provider, raw) = (scene.provider.clone(), scene.stand_in.mint(&scene.claims()));
    let task = async move { provider.verify(Jwt::parse(&raw).unwrap(), &["kubernetes".to_owned()]).await };
    let answer = tokio::spawn(task).await.unwrap().unwrap();
    assert!(matches!(answer, JwtAnswer::Verified(_)), "{answer:?}");
}
