//! A master, its replica, and the Sentinel that puts one in the other's place.

use std::time::Duration;

use lanyard_authn::{RedisConfig, RedisLogin, SharedCache as _};
use lanyard_kit::{ConfigSecret, telemetry::TestLog};

use crate::servers::{Server, Tls, eventually, tell};
use crate::watched::{Watched, config, said};

const KEY: [u8; 32] = [7; 32];

struct Watch {
    master: Server,
    replica: Server,
    sentinel: Server,
}

async fn watch(tls: Option<&Tls>) -> Option<Watch> {
    let master = Server::start_with(&[], tls).await?;
    let replica = Server::start_with(&[&format!("replicaof 127.0.0.1 {}", master.port)], tls).await?;
    eventually("the replica follows", async || {
        replica.tell::<String>("INFO replication").await.contains("master_link_status:up")
    })
    .await;
    let monitor = format!("sentinel monitor main 127.0.0.1 {} 1", master.port);
    let options =
        [&*monitor, "sentinel down-after-milliseconds main 500", "sentinel failover-timeout main 5000"];
    let sentinel = Server::start_with(&options, tls).await?;
    eventually("the Sentinel knows both", async || {
        sentinel.tell::<Vec<redis::Value>>("SENTINEL REPLICAS main").await.len() == 1
    })
    .await;
    Some(Watch { master, replica, sentinel })
}

async fn survives_a_failover(mut watch: Watch, config: RedisConfig) {
    let watched = Watched::up(&config).await;
    watched.store(&KEY, b"sealed").await;
    assert_eq!(watch.master.tell::<u64>("DBSIZE").await, 1);
    watch.master.kill();
    eventually("the replica is the master", async || {
        watched.cache.get(&KEY).await;
        watch.replica.role().await.as_deref() == Some("master")
    })
    .await;
    watched.is_up().await;
    watched.store(&[8; 32], b"sealed").await;
    assert!(watched.cache.get(&[8; 32]).await.is_some());
    assert!(watch.replica.tell::<u64>("DBSIZE").await >= 1);
}

#[tokio::test]
async fn the_master_is_the_one_that_sentinel_names_now() {
    let Some(watch) = watch(None).await else { return };
    // The first Sentinel of the two is not there.
    let url = format!("redis-sentinel://127.0.0.1:1,127.0.0.1:{}/main", watch.sentinel.port);
    survives_a_failover(watch, config(url)).await;
}

#[tokio::test]
async fn a_master_that_hangs_is_left_for_the_one_that_sentinel_names_then() {
    let Some(watch) = watch(None).await else { return };
    let config = RedisConfig {
        get_milliseconds: 200,
        put_milliseconds: 2_000,
        connect_milliseconds: 2_000,
        failures_max: 3,
        ..config(format!("redis-sentinel://127.0.0.1:{}/main", watch.sentinel.port))
    };
    let watched = Watched::up(&config).await;
    watched.store(&KEY, b"sealed").await;
    watch.master.pause();
    eventually("what is put now is told again", async || {
        watched.cache.put(&[8; 32], b"sealed", Duration::from_secs(60)).await;
        watched.cache.get(&[8; 32]).await.is_some()
    })
    .await;
    assert_eq!(watch.replica.role().await.as_deref(), Some("master"));
    assert!(watched.gets("timeout") >= 1);
    watch.master.resume();
}

#[tokio::test]
async fn sentinel_and_master_are_reached_by_tls_each_as_a_user_with_these_rights_and_no_others() {
    let tls = Tls::new();
    let Some(watch) = watch(Some(&tls)).await else { return };
    let user = "lanyard on >correct-horse ~lanyard:tokens:2:* +getrange +set +role";
    for server in [&watch.master, &watch.replica] {
        let () = server.tell(&format!("ACL SETUSER {user}")).await;
    }
    let mut control = watch.sentinel.control().await;
    let user = "watch on >battery-staple +sentinel|get-master-addr-by-name";
    let () = tell(&mut control, &format!("ACL SETUSER {user}")).await;
    let () = tell(&mut control, "ACL SETUSER default off").await;
    let login =
        |user: &str, password: &str| (Some(user.to_owned()), Some(ConfigSecret::from(password.to_owned())));
    let (username, password) = login("watch", "battery-staple");
    let sentinel = RedisLogin { username, password, password_file: None };
    let (username, password) = login("lanyard", "correct-horse");
    let url = format!("rediss-sentinel://localhost:{}/main", watch.sentinel.port);
    let ca_file = Some(tls.ca.root_path().to_owned());
    let config = RedisConfig { username, password, sentinel, ca_file, ..config(url) };
    survives_a_failover(watch, config).await;
}

#[tokio::test]
async fn a_master_that_no_sentinel_knows_is_said() {
    let Some(watch) = watch(None).await else { return };
    let log = TestLog::start();
    let url = format!("redis-sentinel://127.0.0.1:{}/another", watch.sentinel.port);
    let watched = Watched::start(&config(url));
    said(&log, "no Sentinel knows a master of this name").await;
    assert_eq!(watched.cache.get(&KEY).await, None);
}
