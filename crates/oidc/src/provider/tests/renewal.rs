//! Keys that come and go, and tokens with keys that nobody has.

use super::*;

#[tokio::test]
async fn immunity_26_a_storm_of_unknown_keys_makes_the_issuer_be_asked_once_in_an_interval() {
    let scene = Scene::new().await;
    assert_eq!(scene.newest().await, "ok");
    let forger = SigningKey::generate(Algorithm::Es256, "forged");
    let claims = scene.claims();
    let storm = |from: usize, to: usize| {
        let header = |n: usize| json!({"alg": "ES256", "kid": format!("made-up-{n}")});
        (from..to).map(|n| forger.mint_with(&header(n), &claims)).collect::<Vec<_>>()
    };
    for raw in storm(0, 50) {
        assert_eq!(scene.code(&raw).await, "unknown_key");
    }
    assert_eq!(scene.fetches(), 1, "the first fetch was just before");
    for round in 1..=3_u64 {
        scene.clock.advance(Span::seconds(10));
        let tokens = storm(100, 200);
        let codes = futures::future::join_all(tokens.iter().map(|raw| scene.code(raw))).await;
        assert!(codes.iter().all(|code| *code == "unknown_key"), "{codes:?}");
        for raw in storm(200 * round as usize, 200 * round as usize + 20) {
            assert_eq!(scene.code(&raw).await, "unknown_key");
        }
        assert!(scene.fetches() <= 1 + round, "{} fetches in {round} intervals", scene.fetches());
    }
    assert!(scene.fetches() > 1, "new keys would be found");
    assert_eq!((scene.fetches(), scene.newest().await), (scene.asked(), "ok"));
}

#[tokio::test]
async fn immunity_26_a_key_that_the_issuer_did_not_have_is_not_asked_for_again_at_once() {
    let scene = Scene::new().await;
    assert_eq!(scene.newest().await, "ok");
    let late = Arc::new(SigningKey::generate(Algorithm::Es256, "late"));
    scene.clock.advance(Span::seconds(10));
    assert_eq!((scene.code_of(&late).await, scene.fetches()), ("unknown_key", 2));
    scene.clock.advance(Span::seconds(30));
    assert_eq!((scene.code_of(&late).await, scene.fetches()), ("unknown_key", 2), "within a minute");
    scene.stand_in.add(&late);
    scene.clock.advance(Span::seconds(31));
    assert_eq!((scene.code_of(&late).await, scene.fetches()), ("ok", 3), "after a minute");
}

#[tokio::test]
async fn immunity_26_made_up_keys_are_remembered_up_to_a_limit() {
    let scene = Scene::new().await;
    for n in 0..5_000 {
        scene.provider.keep.set_absent(&format!("made-up-{n}"), NOON);
    }
    assert!((1..=1_100).contains(&scene.provider.keep.absent_len()), "{}", scene.provider.keep.absent_len());
}

#[tokio::test]
async fn keys_rotate_without_anybody_being_cut_off() {
    let scene = Scene::new().await;
    let old = scene.stand_in.mint(&scene.claims());
    assert_eq!(scene.code(&old).await, "ok");
    for round in 2..6 {
        scene.clock.advance(Span::minutes(7));
        let next = scene.stand_in.add_key(Algorithm::Es256, &format!("key-{round}"));
        let codes = (scene.code_of(&next).await, scene.code(&old).await);
        assert_eq!(codes, ("ok", "ok"), "a key counts with its first token, beside the old ones");
    }
    scene.stand_in.remove_key("key-1");
    assert_eq!(scene.code(&old).await, "ok", "what was issued counts while its key is kept");
    scene.clock.advance(Span::HOUR);
    assert_eq!(scene.code(&old).await, "unknown_key", "and not beyond");
    assert_eq!(scene.newest().await, "ok");
}

#[tokio::test]
async fn an_issuer_whose_keys_have_no_ids_rotates_too() {
    let scene = Scene::new().await;
    scene.stand_in.remove_key("key-1");
    let without_id = |key: &SigningKey| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let keys = [1, 2].map(|_| SigningKey::generate(Algorithm::Es256, "none"));
    let [one, two] = keys.each_ref().map(|key| key.mint_with(&json!({"alg": "ES256"}), &scene.claims()));
    scene.stand_in.add_jwk(without_id(&keys[0]));
    assert_eq!((scene.code(&one).await, scene.code(&two).await), ("ok", "jwt_signature"));
    scene.stand_in.add_jwk(without_id(&keys[1]));
    scene.clock.advance(Span::seconds(10));
    assert_eq!((scene.code(&two).await, scene.code(&one).await), ("ok", "ok"));
    assert_eq!(scene.fetches(), 2);
}

#[tokio::test]
async fn keys_are_renewed_before_their_end_and_beside_the_answers() {
    let scene = Scene::with(|options| options.keys.timeout_milliseconds = 120_000).await;
    scene.stand_in.set_cache_control("public, max-age=1000");
    assert_eq!(scene.newest().await, "ok");
    scene.clock.advance(Span::seconds(799));
    assert_eq!((scene.newest().await, scene.fetches()), ("ok", 1));
    scene.clock.advance(Span::seconds(1));
    scene.stand_in.behave(Behaviour::Hang);
    let at_once = tokio::time::timeout(Duration::from_secs(30), scene.newest()).await;
    assert_eq!(at_once, Ok("ok"), "nobody waits for an issuer that hangs");
    let other = Scene::new().await;
    assert_eq!(other.newest().await, "ok");
    other.clock.advance(Span::minutes(48));
    assert_eq!(other.newest().await, "ok");
    other.settled().await;
    assert_eq!(other.fetches(), 2);
    assert_eq!(other.provider.status().fresh_until, Some(NOON + Span::minutes(108)));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_old_keys_for_ever() {
    let scene = Scene::new().await;
    let raw = scene.stand_in.mint(&scene.claims());
    assert_eq!(scene.code(&raw).await, "ok");
    scene.clock.set(NOON - Span::days(300));
    assert_eq!(scene.code(&raw).await, "ok");
    scene.settled().await;
    assert_eq!(scene.provider.status().fetched_at, Some(NOON - Span::days(300)));
}

#[tokio::test]
async fn keys_are_kept_fresh_without_any_token() {
    let scene = Scene::new().await;
    let keeper = tokio::spawn(scene.provider.clone().keep_fresh());
    let fetched = async {
        while scene.provider.status().keys == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), fetched).await.expect("keys, soon");
    keeper.abort();
    assert_eq!(scene.provider.status().keys, 1);
}
