//! A cluster of three masters.

use std::time::{Duration, Instant};

use lanyard_authn::{RedisConfig, SharedCache as _};
use lanyard_kit::ConfigSecret;

use crate::servers::{Server, Tls, eventually, free_port};
use crate::watched::{Watched, config};

/// All the slots there are, by master.
const SLOTS: [&str; 3] = ["0 5460", "5461 10922", "10923 16383"];
const KEYS: u8 = 60;

async fn cluster(tls: Option<&Tls>) -> Option<Vec<Server>> {
    let mut masters = Vec::new();
    for slots in SLOTS {
        let bus = free_port();
        let port = format!("cluster-port {bus}");
        // The masters that are left go on when one is lost.
        let mut options = vec![
            "cluster-enabled yes",
            &port,
            "cluster-require-full-coverage no",
            "cluster-node-timeout 1000",
        ];
        if tls.is_some() {
            options.push("tls-cluster yes");
        }
        let server = Server::start_with(&options, tls).await?;
        let () = server.tell(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        if let Some(first) = masters.first() {
            let first: &Server = first;
            let () = first.tell(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port)).await;
        }
        masters.push(server);
    }
    are_whole(&masters).await;
    Some(masters)
}

async fn are_whole(masters: &[Server]) {
    for master in masters {
        eventually("the cluster is whole", async || {
            let info: String = master.tell("CLUSTER INFO").await;
            info.contains("cluster_state:ok")
                && info.contains("cluster_slots_ok:16384")
                && info.contains("cluster_known_nodes:3")
        })
        .await;
    }
}

async fn hits(watched: &Watched) -> usize {
    let mut hits = 0;
    for key in 0..KEYS {
        hits += usize::from(watched.cache.get(&[key; 32]).await.is_some());
    }
    hits
}

#[tokio::test]
async fn keys_spread_over_a_cluster_and_a_lost_master_takes_its_own_alone() {
    let Some(mut masters) = cluster(None).await else { return };
    let (first, second) = (masters[0].port, masters[1].port);
    let config = RedisConfig {
        get_milliseconds: 200,
        failures_max: 50,
        ..config(format!("redis-cluster://127.0.0.1:{first},127.0.0.1:{second}"))
    };
    let (one, other) = (Watched::up(&config).await, Watched::up(&config).await);
    for key in 0..KEYS {
        one.store(&[key; 32], b"sealed").await;
    }
    assert_eq!(hits(&other).await, usize::from(KEYS));
    let mut held = Vec::new();
    for master in &masters {
        held.push(master.tell::<usize>("DBSIZE").await);
    }
    assert!(
        held.iter().all(|count| *count > 0) && held.iter().sum::<usize>() == usize::from(KEYS),
        "{held:?}"
    );
    masters[2].kill();
    let left = held[0] + held[1];
    eventually("the others' keys are told", async || hits(&other).await == left).await;
    let fresh = Watched::up(&config).await;
    eventually("a new client finds them too", async || hits(&fresh).await == left).await;
}

#[tokio::test]
async fn a_master_that_hangs_costs_a_question_its_time_and_no_more() {
    let Some(masters) = cluster(None).await else { return };
    let config = RedisConfig {
        get_milliseconds: 200,
        connect_milliseconds: 500,
        ..config(format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", masters[0].port, masters[1].port))
    };
    let watched = Watched::up(&config).await;
    for key in 0..KEYS {
        watched.store(&[key; 32], b"sealed").await;
    }
    masters[2].pause();
    for key in 0..KEYS {
        let start = Instant::now();
        let told = watched.cache.get(&[key; 32]).await;
        assert!(told.is_none_or(|told| told == b"sealed"));
        // Far above its time, for a busy machine, and far below what its master hangs for.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
    assert!(watched.gets("timeout") >= 1);
    masters[2].resume();
    are_whole(&masters).await;
    eventually("all is told again", async || hits(&watched).await == usize::from(KEYS)).await;
}

#[tokio::test]
async fn a_cluster_that_is_full_still_tells_what_it_has() {
    let Some(masters) = cluster(None).await else { return };
    let watched = Watched::up(&config(format!("redis-cluster://127.0.0.1:{}", masters[0].port))).await;
    for key in 0..KEYS {
        watched.store(&[key; 32], b"sealed").await;
    }
    for master in &masters {
        let () = master.tell("CONFIG SET maxmemory-policy noeviction").await;
        let () = master.tell("CONFIG SET maxmemory 1").await;
    }
    let before = watched.puts("full");
    watched.cache.put(&[KEYS; 32], b"sealed", Duration::from_secs(60)).await;
    eventually("it is counted", async || watched.puts("full") == before + 1).await;
    eventually("all is told", async || hits(&watched).await == usize::from(KEYS)).await;
    assert!(watched.cache.is_up());
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_left_alone_until_it_is_back() {
    let Some(mut masters) = cluster(None).await else { return };
    let config = RedisConfig {
        get_milliseconds: 200,
        connect_milliseconds: 500,
        failures_max: 3,
        ..config(format!("redis-cluster://127.0.0.1:{}", masters[1].port))
    };
    let watched = Watched::up(&config).await;
    masters.iter_mut().for_each(Server::kill);
    eventually("it is given up", async || {
        assert_eq!(watched.cache.get(&[7; 32]).await, None);
        !watched.cache.is_up()
    })
    .await;
    for master in &mut masters {
        master.again().await;
    }
    are_whole(&masters).await;
    watched.is_up().await;
    watched.store(&[7; 32], b"sealed").await;
    assert!(watched.cache.get(&[7; 32]).await.is_some());
}

#[tokio::test]
async fn a_cluster_is_reached_by_tls_as_a_user_with_these_rights_and_no_others() {
    let tls = Tls::new();
    let Some(masters) = cluster(Some(&tls)).await else { return };
    let user = "lanyard on >correct-horse ~lanyard:tokens:2:* +getrange +set +ping +asking +cluster|slots";
    for master in &masters {
        let () = master.tell(&format!("ACL SETUSER {user}")).await;
    }
    let config = RedisConfig {
        username: Some("lanyard".to_owned()),
        password: Some(ConfigSecret::from("correct-horse".to_owned())),
        ca_file: Some(tls.ca.root_path().to_owned()),
        ..config(format!("rediss-cluster://127.0.0.1:{}", masters[0].port))
    };
    let (one, other) = (Watched::up(&config).await, Watched::up(&config).await);
    for key in 0..KEYS {
        one.store(&[key; 32], b"sealed").await;
    }
    assert_eq!(hits(&other).await, usize::from(KEYS));
}
