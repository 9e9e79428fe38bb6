use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use lanyard_api::authn::Refusal;
use lanyard_api::{Authority, AwsIdentity, Identity, IdentityKind, suite};
use lanyard_iam::token::{TOKEN_EXPIRES, mint_token};
use lanyard_iam::{
    AccessKeyId, CanonicalArn, Credentials, ParsedToken, Partition, PrincipalArn, Region, SecretAccessKey,
    Token, TokenRules,
};
use lanyard_kit::telemetry::TestLog;
use time::macros::datetime;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::*;
use crate::snapshot::ClusterView;
use crate::verifier::{Proven, refusal};

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const HOST: &str = "sts.eu-west-1.amazonaws.com";

/// What the verifier behind the cache says.
#[derive(Clone, Copy)]
enum Says {
    Verified,
    Refused,
    Fault,
}

/// Counts how often it is asked; answers when it is let.
struct Fake {
    says: Mutex<Says>,
    asked: AtomicU64,
    gate: Semaphore,
}

impl Verifier for Arc<Fake> {
    async fn verify(&self, question: Question<'_>) -> Result<Verification, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.acquire().await.unwrap();
        match *self.says.lock().unwrap() {
            Says::Verified => Ok(Verification::Verified(Proven {
                identity: identity(question.token.access_key_id()).into(),
                verifier: "fake".into(),
                cached: false,
                kept_until: None,
            })),
            Says::Refused => Ok(Verification::Refused(Refusal {
                hints: vec!["kept".to_owned()],
                ..refusal(
                    "invalid_key",
                    "no",
                    "X-Amz-Credential",
                    question.authority,
                    question.token.access_key_id(),
                )
            })),
            Says::Fault => Err(Fault::Throttled { part: "STS".into(), retry_after: None }),
        }
    }
}

fn identity(key: &AccessKeyId) -> Identity {
    let arn = PrincipalArn::parse("arn:aws:iam::111122223333:user/ana").unwrap();
    Identity::Aws(AwsIdentity {
        authority: Authority::Aws,
        account: arn.account,
        partition: arn.partition,
        principal_id: "AIDAANA".to_owned(),
        canonical_arn: CanonicalArn::of(&arn),
        principal_arn: None,
        session_name: None,
        tags: [("team".to_owned(), "blue".to_owned())].into(),
        access_key_id: key.clone(),
        kind: IdentityKind::Ordinary,
        ancestors: Vec::new(),
        kin: Vec::new(),
        arn,
    })
}

/// A shared level in memory, which tests write into at will.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<HashMap<[u8; 32], Vec<u8>>>>);

impl SharedCache for Shelf {
    async fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    async fn put(&self, key: &[u8; 32], sealed: &[u8], _: Duration) {
        self.0.lock().unwrap().insert(*key, sealed.to_vec());
    }
}

struct World {
    fake: Arc<Fake>,
    shelf: Shelf,
    cluster: Arc<ClusterView>,
}

fn cluster() -> Arc<ClusterView> {
    let mut cluster = suite::cluster("dev", "111122223333");
    "eu-west-1".clone_into(&mut cluster.region);
    let uid = cluster.uid;
    let region = Region::parse("eu-west-1").unwrap();
    let rules =
        TokenRules { partition: Partition::Aws, region, self_hosted: Vec::new(), own_hosts: [].into() };
    Arc::new(ClusterView { uid: uid.to_string(), cluster: Arc::new(cluster), rules })
}

fn token(key: &str) -> Token {
    let credentials = Credentials {
        access_key_id: AccessKeyId::parse(key).unwrap(),
        secret_access_key: SecretAccessKey::new("s".to_owned()),
        session_token: None,
    };
    let region = Region::parse("eu-west-1").unwrap();
    mint_token(&credentials, HOST, &region, "dev", NOW, TOKEN_EXPIRES).unwrap()
}

impl World {
    fn new(says: Says) -> Self {
        let fake = Fake { says: Mutex::new(says), asked: AtomicU64::new(0), gate: Semaphore::new(100) };
        Self { fake: Arc::new(fake), shelf: Shelf::default(), cluster: cluster() }
    }

    fn cache(&self) -> Cached<Arc<Fake>, Shelf> {
        let sealer = Sealer::new(&[SealKey { id: 1, key: Zeroizing::new([7; 32]) }]).unwrap();
        Cached::new(
            Arc::clone(&self.fake),
            self.shelf.clone(),
            Keyed::fixed(sealer),
            &TokenCacheConfig::default(),
        )
    }

    async fn ask(
        &self,
        cache: &Cached<Arc<Fake>, Shelf>,
        token: &Token,
        after_seconds: i64,
    ) -> Result<Verification, Fault> {
        let now = NOW + time::Duration::seconds(after_seconds);
        let parsed = ParsedToken::parse(token.expose(), &self.cluster.rules, now).unwrap();
        let (key, authority) = (self.key(token), &Authority::Aws);
        let digest = token.digest();
        cache.verify(Question { key, digest, token: &parsed, cluster: &self.cluster, authority, now }).await
    }

    fn key(&self, token: &Token) -> CacheKey {
        CacheKey::of(&token.digest(), self.cluster.cluster.uid, &[])
    }

    /// Without reading the token.
    fn recall(
        &self,
        cache: &Cached<Arc<Fake>, Shelf>,
        token: &Token,
        after_seconds: i64,
    ) -> Option<Recalled> {
        cache.recall(&self.key(token), &self.cluster, NOW + time::Duration::seconds(after_seconds))
    }

    fn asked(&self) -> u64 {
        self.fake.asked.load(Ordering::SeqCst)
    }
}

fn is_cached(answer: &Result<Verification, Fault>) -> Option<bool> {
    match answer {
        Ok(Verification::Verified(proven)) => Some(proven.cached),
        _ => None,
    }
}

const KEY: &str = "AKIAEXAMPLE123456789";

#[tokio::test]
async fn an_identity_is_kept_whole_for_its_lifetime_and_no_longer() {
    let world = World::new(Says::Verified);
    let (cache, token) = (world.cache(), token(KEY));
    let first = world.ask(&cache, &token, 0).await;
    assert_eq!(is_cached(&first), Some(false));
    for (after, expected, asked) in [(1, true, 1), (59, true, 1), (60, false, 2), (61, true, 2)] {
        let answer = world.ask(&cache, &token, after).await;
        assert_eq!((is_cached(&answer), world.asked()), (Some(expected), asked), "after {after} s");
        let Ok(Verification::Verified(proven)) = answer else { unreachable!() };
        assert_eq!(*proven.identity, identity(&AccessKeyId::parse(KEY).unwrap()));
    }
}

#[tokio::test]
async fn immunity_16_nothing_outlives_its_signature_also_when_many_ask_at_once() {
    let world = Arc::new(World::new(Says::Verified));
    let (cache, token) = (Arc::new(world.cache()), token(KEY));
    world.ask(&cache, &token, 880).await.unwrap();
    let value = world.shelf.0.lock().unwrap().values().next().cloned().unwrap();
    let key = CacheKey::of(&token.digest(), world.cluster.cluster.uid, &[]);
    let sealer = Sealer::new(&[SealKey { id: 1, key: Zeroizing::new([7; 32]) }]).unwrap();
    let value = Value::read(&sealer.open(&key, &value).unwrap()).unwrap();
    let left = value.lifetime_at(NOW + time::Duration::seconds(880));
    assert_eq!(left, Duration::from_secs(20), "the signature has 900 s");
    assert!(value.answer_at(NOW + time::Duration::seconds(900)).is_none());
    let all = (0..50).map(|after| {
        let (world, cache, token) = (Arc::clone(&world), Arc::clone(&cache), token.clone());
        tokio::spawn(async move { world.ask(&cache, &token, 880 + after % 20).await })
    });
    for answer in futures::future::join_all(all).await {
        assert!(is_cached(&answer.unwrap()).is_some());
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn an_answer_that_is_kept_for_no_time_costs_one_question_and_serves_whoever_asked_it() {
    let world = World::new(Says::Verified);
    let sealer = Sealer::new(&[SealKey { id: 1, key: Zeroizing::new([7; 32]) }]).unwrap();
    let config = TokenCacheConfig { lifetime_seconds: 0, ..TokenCacheConfig::default() };
    let never = Cached::new(Arc::clone(&world.fake), world.shelf.clone(), Keyed::fixed(sealer), &config);
    let token = token(KEY);
    // With a lifetime of nothing, and in the last moment of the token's own.
    for (asked, cache, after) in [(1, &never, 0), (2, &never, 1), (3, &world.cache(), 900)] {
        let answer = world.ask(cache, &token, after).await;
        assert_eq!((is_cached(&answer), world.asked()), (Some(false), asked), "after {after} s");
        let Ok(Verification::Verified(proven)) = answer else { unreachable!() };
        assert_eq!(proven.kept_until, None, "nobody else may be told it");
        assert!(world.recall(cache, &token, after).is_none());
    }
}

#[tokio::test]
async fn a_known_token_is_recalled_without_reading_it_while_its_answer_its_time_and_its_rules_hold() {
    let mut world = World::new(Says::Verified);
    let (cache, token) = (world.cache(), token(KEY));
    assert!(world.recall(&cache, &token, 0).is_none(), "nobody knows it");
    world.ask(&cache, &token, 870).await.unwrap();
    let recalled = world.recall(&cache, &token, 899).unwrap();
    assert_eq!((recalled.authority(), recalled.access_key_id().as_str()), (&Authority::Aws, KEY));
    assert_eq!(recalled.life().date(), NOW);
    assert_eq!(is_cached(&Ok(recalled.verification)), Some(true));
    for (why, after) in [("the signature has ended", 901), ("the clock went back before its date", -301)] {
        assert!(world.recall(&cache, &token, after).is_none(), "{why}");
    }
    let stranger = World { fake: Arc::clone(&world.fake), shelf: world.shelf.clone(), cluster: cluster() };
    assert!(stranger.recall(&cache, &token, 880).is_none(), "another cluster");
    // The cluster was changed: what it accepts may be something else now, and the token is read again.
    world.cluster = Arc::new(ClusterView {
        uid: world.cluster.uid.clone(),
        cluster: Arc::clone(&world.cluster.cluster),
        rules: world.cluster.rules.clone(),
    });
    assert!(world.recall(&cache, &token, 880).is_none(), "other rules");
    assert_eq!(is_cached(&world.ask(&cache, &token, 881).await), Some(true), "STS is not asked for that");
    assert!(world.recall(&cache, &token, 882).is_some(), "and it is known by the new rules");
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn immunity_14_a_fault_is_never_kept() {
    let world = World::new(Says::Fault);
    let (cache, token) = (world.cache(), token(KEY));
    for asked in 1..=3 {
        assert!(matches!(world.ask(&cache, &token, 0).await, Err(Fault::Throttled { .. })));
        assert_eq!(world.asked(), asked);
    }
    *world.fake.says.lock().unwrap() = Says::Verified;
    assert_eq!(is_cached(&world.ask(&cache, &token, 0).await), Some(false));
    assert_eq!(world.shelf.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn immunity_17_a_refusal_is_kept_shortly_and_for_that_token_alone() {
    let world = World::new(Says::Refused);
    let (cache, bad) = (world.cache(), token(KEY));
    let first = world.ask(&cache, &bad, 0).await.unwrap();
    assert_eq!(world.ask(&cache, &bad, 9).await.unwrap(), first);
    assert_eq!(world.asked(), 1);
    *world.fake.says.lock().unwrap() = Says::Verified;
    let fresh = token("AKIAEXAMPLE000000000");
    assert_eq!(
        is_cached(&world.ask(&cache, &fresh, 0).await),
        Some(false),
        "a new token is asked about at once"
    );
    assert_eq!(is_cached(&world.ask(&cache, &bad, 10).await), Some(false), "the refusal has ended");
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_question() {
    let world = Arc::new(World::new(Says::Verified));
    let (cache, token) = (Arc::new(world.cache()), token(KEY));
    world.fake.gate.forget_permits(100);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (world, cache, token) = (Arc::clone(&world), Arc::clone(&cache), token.clone());
            tokio::spawn(async move { world.ask(&cache, &token, 0).await })
        })
        .collect();
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.fake.gate.add_permits(100);
    let answers = futures::future::join_all(all).await;
    let fresh = answers.iter().filter(|answer| is_cached(answer.as_ref().unwrap()) == Some(false)).count();
    assert_eq!((world.asked(), fresh), (1, 1));
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_take_the_others_down() {
    let world = Arc::new(World::new(Says::Verified));
    let (cache, token) = (Arc::new(world.cache()), token(KEY));
    world.fake.gate.forget_permits(100);
    let spawn = || {
        let (world, cache, token) = (Arc::clone(&world), Arc::clone(&cache), token.clone());
        tokio::spawn(async move { world.ask(&cache, &token, 0).await })
    };
    let impatient = spawn();
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    let patient = spawn();
    tokio::task::yield_now().await;
    impatient.abort();
    world.fake.gate.add_permits(100);
    assert!(is_cached(&patient.await.unwrap()).is_some());
}

#[tokio::test]
async fn a_second_replica_takes_what_the_first_has_shared() {
    let world = World::new(Says::Verified);
    let (one, other, token) = (world.cache(), world.cache(), token(KEY));
    world.ask(&one, &token, 0).await.unwrap();
    world.ask(&other, &token, 1).await.unwrap();
    assert_eq!(world.asked(), 1);
    let late = world.cache();
    world.ask(&late, &token, 60).await.unwrap();
    assert_eq!(world.asked(), 2, "what has ended is not taken");
}

#[tokio::test]
async fn immunity_38_moved_forged_and_altered_values_are_dropped_and_sts_is_asked() {
    let world = World::new(Says::Verified);
    let (mine, yours) = (token(KEY), token("AKIAEXAMPLE000000000"));
    world.ask(&world.cache(), &yours, 0).await.unwrap();
    let shelf = || world.shelf.0.lock().unwrap();
    let key = |token: &Token| *CacheKey::of(&token.digest(), world.cluster.cluster.uid, &[]).as_bytes();
    let stolen = shelf().get(&key(&yours)).cloned().unwrap();
    let mut altered = stolen.clone();
    *altered.last_mut().unwrap() ^= 1;
    for (what, value) in
        [("another's", stolen), ("altered", altered), ("garbage", b"{}".to_vec()), ("none", Vec::new())]
    {
        shelf().insert(key(&mine), value);
        let before = world.asked();
        let answer = world.ask(&world.cache(), &mine, 0).await.unwrap();
        let Verification::Verified(proven) = answer else { panic!("{what}") };
        assert_eq!(proven.identity.aws().unwrap().access_key_id.as_str(), KEY, "{what}");
        assert_eq!(world.asked(), before + 1, "{what}");
    }
}

#[tokio::test]
async fn immunity_38_the_log_says_now_and_then_whose_cached_answer_did_not_open() {
    let log = TestLog::start();
    let world = World::new(Says::Verified);
    let (cache, token, other) = (world.cache(), token(KEY), token("AKIAEXAMPLE000000000"));
    for one in [&token, &other] {
        world.shelf.0.lock().unwrap().insert(*world.key(one).as_bytes(), b"{}".to_vec());
        world.ask(&cache, one, 0).await.unwrap();
    }
    let (said, lines) = (log.text(), log.lines("did not open"));
    let [line] = lines.as_slice() else { panic!("one line, and not one for each: {said}") };
    let (uid, digest) = (&world.cluster.uid, token.digest().to_string());
    assert_eq!(digest.len(), 12);
    for part in [" WARN ", "cluster.name=dev", uid, &format!("token.sha256={digest}"), "times=1"] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    assert!(!said.contains(&token.expose()[11..40]), "{said}");
}

#[tokio::test]
async fn immunity_03_every_part_of_the_question_is_in_the_key() {
    let world = World::new(Says::Verified);
    let (cache, token) = (world.cache(), token(KEY));
    world.ask(&cache, &token, 0).await.unwrap();
    let twin = World { fake: Arc::clone(&world.fake), shelf: world.shelf.clone(), cluster: cluster() };
    assert_eq!(is_cached(&twin.ask(&cache, &token, 0).await), Some(false), "a cluster of the same name");
    let parsed = ParsedToken::parse(token.expose(), &world.cluster.rules, NOW).unwrap();
    let audiences = ["sts.amazonaws.com".to_owned()];
    let key = CacheKey::of(&token.digest(), world.cluster.cluster.uid, &audiences);
    let authority = &Authority::Aws;
    let digest = token.digest();
    let question = Question { key, digest, token: &parsed, cluster: &world.cluster, authority, now: NOW };
    assert_eq!(is_cached(&cache.verify(question).await), Some(false), "other audiences");
}

#[tokio::test]
async fn immunity_27_nothing_kept_holds_the_token_in_the_clear() {
    let world = World::new(Says::Verified);
    let token = token(KEY);
    world.ask(&world.cache(), &token, 0).await.unwrap();
    for (key, value) in world.shelf.0.lock().unwrap().iter() {
        let all = [key.as_slice(), value].concat();
        for secret in [KEY.as_bytes(), b"111122223333", &token.expose().as_bytes()[11..40]] {
            assert!(!all.windows(secret.len()).any(|window| window == secret));
        }
    }
}
