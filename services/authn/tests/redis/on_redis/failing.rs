//! Gone, slow, full, busy: what is not told in time is not there.

use std::time::{Duration, Instant};

use lanyard_authn::{RedisConfig, SharedCache as _};
use lanyard_kit::telemetry::TestLog;

use crate::servers::{Server, eventually, free_port, program};
use crate::watched::{Watched, config, said};

const KEY: [u8; 32] = [7; 32];
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_one_puts_another_gets_and_redis_forgets_it_with_its_lifetime() {
    let Some(server) = Server::start(&[]).await else { return };
    let config = config(server.url());
    let (one, other) = (Watched::up(&config).await, Watched::up(&config).await);
    assert_eq!((other.cache.get(&KEY).await, other.gets("miss")), (None, 1));
    one.store(&KEY, b"sealed").await;
    assert_eq!(other.cache.get(&KEY).await.as_deref(), Some(&b"sealed"[..]));
    assert_eq!((other.gets("hit"), other.shown_as_up()), (1, true));
    let name = format!("lanyard:tokens:2:{}", "07".repeat(32));
    let left: i64 = server.tell(&format!("PTTL {name}")).await;
    assert!((1..=3_600_000).contains(&left), "{left}");
    one.cache.put(&[8; 32], b"of no lifetime", Duration::ZERO).await;
    one.cache.put(&[8; 32], b"of none to speak of", Duration::from_nanos(1)).await;
    one.cache.put(&[8; 32], &[0; 70_000], MINUTE).await;
    one.store(&[9; 32], b"after these").await;
    assert_eq!(server.tell::<u64>("DBSIZE").await, 2);
    assert_eq!(one.puts("dropped"), 1, "what is too long");
}

#[tokio::test]
async fn redis_that_is_not_there_at_the_start_is_used_when_it_comes() {
    if program().is_none() {
        return;
    }
    let log = TestLog::start();
    let port = free_port();
    let watched = Watched::start(&config(format!("redis://127.0.0.1:{port}")));
    said(&log, "Redis cannot be used").await;
    assert!(log.text().contains("Connection refused"), "{}", log.text());
    watched.cache.put(&KEY, b"sealed", MINUTE).await;
    assert_eq!(watched.cache.get(&KEY).await, None);
    assert_eq!((watched.gets("skipped"), watched.puts("dropped"), watched.shown_as_up()), (1, 1, false));
    let _server = Server::start_at(port).await;
    watched.is_up().await;
    watched.store(&KEY, b"sealed").await;
    assert_eq!(watched.cache.get(&KEY).await.as_deref(), Some(&b"sealed"[..]));
    assert!(log.text().contains("Redis answers"), "{}", log.text());
}

#[tokio::test]
async fn redis_that_is_killed_is_done_without_until_it_is_back() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let log = TestLog::start();
    let watched = Watched::up(&config(server.url())).await;
    watched.store(&KEY, b"sealed").await;
    server.kill();
    eventually("it is given up", async || {
        assert_eq!(watched.cache.get(&KEY).await, None);
        !watched.cache.is_up()
    })
    .await;
    said(&log, "Redis is left alone").await;
    assert_eq!((watched.gets("hit"), watched.gets("miss")), (0, 0));
    server.again().await;
    watched.is_up().await;
    assert_eq!((watched.cache.get(&KEY).await, watched.gets("miss")), (None, 1), "it came back empty");
    watched.store(&KEY, b"sealed").await;
}

#[tokio::test]
async fn slow_redis_costs_its_time_a_few_times_and_is_then_left_alone() {
    let Some(server) = Server::start(&[]).await else { return };
    let log = TestLog::start();
    let config = RedisConfig {
        get_milliseconds: 100,
        failures_max: 3,
        connect_milliseconds: 500,
        ..config(server.url())
    };
    let watched = Watched::up(&config).await;
    watched.store(&KEY, b"sealed").await;
    server.pause();
    for before in 0..3 {
        let start = Instant::now();
        assert_eq!(watched.cache.get(&KEY).await, None);
        let took = start.elapsed();
        assert!((100..1_000).contains(&took.as_millis()), "{took:?}");
        assert_eq!(watched.gets("timeout"), before + 1);
    }
    assert!(!watched.cache.is_up());
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(watched.cache.get(&KEY).await, None);
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!((watched.gets("timeout"), watched.gets("skipped")), (3, 1_000));
    said(&log, "Redis is left alone").await;
    assert_eq!(log.text().matches("does not tell what is cached").count(), 1, "{}", log.text());
    server.resume();
    watched.is_up().await;
    assert_eq!(watched.cache.get(&KEY).await.as_deref(), Some(&b"sealed"[..]));
}

#[tokio::test]
async fn of_too_many_questions_at_once_some_are_not_asked() {
    let Some(server) = Server::start(&[]).await else { return };
    let config = RedisConfig { get_milliseconds: 100, in_flight_max: 2, ..config(server.url()) };
    let watched = Watched::up(&config).await;
    server.pause();
    let get = || watched.cache.get(&KEY);
    tokio::join!(get(), get(), get(), get(), get());
    assert_eq!((watched.gets("timeout"), watched.gets("skipped")), (2, 3));
    server.resume();
}

#[tokio::test]
async fn of_too_many_values_at_once_some_are_dropped_and_nobody_waits() {
    let Some(server) = Server::start(&[]).await else { return };
    let watched = Watched::up(&RedisConfig { puts_waiting_max: 10, ..config(server.url()) }).await;
    server.pause();
    let start = Instant::now();
    for key in 0..100 {
        watched.cache.put(&[key; 32], b"sealed", MINUTE).await;
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(watched.puts("dropped"), 90);
    server.resume();
    eventually("the others arrive", async || watched.puts("stored") == 10).await;
}

#[tokio::test]
async fn full_redis_still_tells_what_it_has() {
    let Some(server) = Server::start(&[]).await else { return };
    let log = TestLog::start();
    let watched = Watched::up(&config(server.url())).await;
    watched.store(&KEY, b"sealed").await;
    let () = server.tell("CONFIG SET maxmemory-policy noeviction").await;
    let () = server.tell("CONFIG SET maxmemory 1mb").await;
    let mut control = server.control().await;
    let mut filled = 0;
    let full = loop {
        let mut filler = redis::cmd("SET");
        filler.arg(format!("filler-{filled}")).arg(vec![b'x'; 100_000]);
        match filler.query_async::<()>(&mut control).await {
            Ok(()) => filled += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.code(), Some("OOM"), "{full}");
    watched.cache.put(&[8; 32], b"sealed", MINUTE).await;
    eventually("it is counted", async || watched.puts("full") == 1).await;
    said(&log, "Redis does not take an answer").await;
    assert!(log.text().contains("it answered OOM"), "{}", log.text());
    assert_eq!(watched.cache.get(&KEY).await.as_deref(), Some(&b"sealed"[..]));
    assert!(watched.cache.is_up());
}
