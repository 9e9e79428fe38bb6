//! Replicas that share a Redis: the engines, with a stand-in for STS.

use std::time::{Duration, Instant};

use lanyard_api::authn::{Authenticate as _, Verified};
use lanyard_authn::{Engine, RedisConfig, Shared, TokenCacheConfig};
use lanyard_iam::{Credentials, Token};
use lanyard_store::test_support::TestDatabase;

use crate::servers::{Server, eventually, free_port, program};
use crate::watched::{Counts, config};
use crate::world::{World, verified, world};

/// One more replica, that shares this Redis.
fn replica(world: &World, redis: RedisConfig) -> (Engine<Shared>, Counts) {
    let cache = TokenCacheConfig { redis: Some(redis), ..TokenCacheConfig::default() };
    Counts::of(|| world.sharing(Shared::start(&cache).unwrap()))
}

/// Whether questions go to Redis.
async fn is_up(counts: &Counts) {
    eventually("Redis is used", async || counts.value("lanyard_authn_redis_up") == 1).await;
}

async fn ask(world: &World, engine: &Engine<Shared>, token: &Token) -> Box<Verified> {
    verified(engine.authenticate(world.query(token.expose(), &world.cluster)).await)
}

/// The keys in Redis once there are so many.
async fn keys(server: &Server, count: usize) -> Vec<String> {
    eventually("the values are in Redis", async || server.tell::<usize>("DBSIZE").await == count).await;
    server.tell("KEYS *").await
}

/// Asks for somebody new, and tells where their answer lies.
async fn ask_new(
    world: &World,
    engine: &Engine<Shared>,
    server: &Server,
    by: &Credentials,
) -> (Token, String) {
    let before: Vec<String> = server.tell("KEYS *").await;
    let token = world.token(by, "dev");
    ask(world, engine, &token).await;
    let mut after = keys(server, before.len() + 1).await;
    after.retain(|key| !before.contains(key));
    (token, after.remove(0))
}

#[tokio::test]
async fn a_second_replica_takes_what_the_first_has_asked_and_nothing_there_can_be_read() {
    let Some(server) = Server::start(&[]).await else { return };
    let world = world(TestDatabase::sqlite()).await;
    let (one, counts) = replica(&world, config(server.url()));
    is_up(&counts).await;
    let ana = world.aws_user("ana");
    let (token, key) = ask_new(&world, &one, &server, &ana).await;
    let (other, counts) = replica(&world, config(server.url()));
    is_up(&counts).await;
    let shared = ask(&world, &other, &token).await;
    assert_eq!((world.sts.calls(), shared.cached), (1, true));
    assert_eq!(shared.identity.value.aws().unwrap().access_key_id, ana.access_key_id);
    assert!(ask(&world, &other, &token).await.cached);
    assert_eq!(counts.value("lanyard_authn_redis_gets_total{outcome=\"hit\"}"), 1, "then it has its own");
    let digits = key.strip_prefix("lanyard:tokens:2:").unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let value: Vec<u8> = server.tell(&format!("GET {key}")).await;
    for secret in [ana.access_key_id.as_str().as_bytes(), b"111122223333", &token.expose().as_bytes()[11..40]]
    {
        assert!(!value.windows(secret.len()).any(|window| window == secret));
    }
    world.clock.advance(time::Duration::seconds(60));
    assert!(!ask(&world, &other, &token).await.cached, "what has ended by our clock is not taken");
}

#[tokio::test]
async fn immunity_38_moved_forged_and_old_values_in_redis_are_dropped_and_sts_is_asked() {
    let Some(server) = Server::start(&[]).await else { return };
    let world = world(TestDatabase::sqlite()).await;
    let (first, counts) = replica(&world, config(server.url()));
    is_up(&counts).await;
    let (ana, bo) = (world.aws_user("ana"), world.aws_user("bo"));
    let (token, own) = ask_new(&world, &first, &server, &ana).await;
    let (_, others) = ask_new(&world, &first, &server, &bo).await;
    let () = server.tell(&format!("PERSIST {own}")).await;
    let _: u64 = server.tell(&format!("COPY {own} old")).await;
    for (what, command, unsealed) in [
        ("another's", format!("COPY {others} {own} REPLACE"), 1),
        ("altered", format!("APPEND {own} x"), 1),
        ("garbage", format!("SET {own} {{}}"), 1),
        ("too long", format!("SETRANGE {own} 104857600 x"), 0),
        ("another type", format!("LPUSH {own} x"), 0),
    ] {
        let _: u64 = server.tell(&format!("COPY old {own} REPLACE")).await;
        if what == "another type" {
            let _: u64 = server.tell(&format!("DEL {own}")).await;
        }
        let _: redis::Value = server.tell(&command).await;
        let calls = world.sts.calls();
        let (fresh, counts) = replica(&world, config(server.url()));
        is_up(&counts).await;
        let answer = ask(&world, &fresh, &token).await;
        assert_eq!(answer.identity.value.aws().unwrap().access_key_id, ana.access_key_id, "{what}");
        assert_eq!((world.sts.calls(), answer.cached), (calls + 1, false), "{what}");
        assert_eq!(counts.value("lanyard_authn_cache_unsealed_total"), unsealed, "{what}");
    }
    // The token is still good for STS, the answer about it no more.
    world.clock.advance(time::Duration::seconds(60));
    let _: u64 = server.tell(&format!("COPY old {own} REPLACE")).await;
    let (calls, (fresh, counts)) = (world.sts.calls(), replica(&world, config(server.url())));
    is_up(&counts).await;
    assert!(!ask(&world, &fresh, &token).await.cached, "an old value put back");
    assert_eq!(world.sts.calls(), calls + 1);
}

#[tokio::test]
async fn answers_come_as_well_without_redis_or_with_one_that_does_not_answer() {
    if program().is_none() {
        return;
    }
    let world = world(TestDatabase::sqlite()).await;
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let (alone, _) = replica(&world, config(nobody));
    let token = world.token(&world.aws_user("ana"), "dev");
    assert!(!ask(&world, &alone, &token).await.cached);
    assert!(ask(&world, &alone, &token).await.cached);
    let server = Server::start(&[]).await.unwrap();
    let (slowed, counts) = replica(&world, RedisConfig { get_milliseconds: 50, ..config(server.url()) });
    is_up(&counts).await;
    server.pause();
    let start = Instant::now();
    assert!(!ask(&world, &slowed, &token).await.cached);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(counts.value("lanyard_authn_redis_gets_total{outcome=\"timeout\"}"), 1);
    assert!(ask(&world, &slowed, &token).await.cached, "its own level is as ever");
}
