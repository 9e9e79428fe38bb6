//! What lies in Redis is believed only where it opens, and only so much of it is looked at.

use std::time::{Duration, Instant};

use lanyard_authn::SharedCache as _;

use crate::servers::Server;
use crate::watched::{Watched, config};

const KEY: [u8; 32] = [7; 32];

#[tokio::test]
async fn what_is_no_value_of_ours_is_garbage_however_long_and_of_whatever_type() {
    let Some(server) = Server::start(&[]).await else { return };
    let watched = Watched::up(&config(server.url())).await;
    let name = format!("lanyard:tokens:2:{}", "07".repeat(32));
    let longest = 64 * 1024;
    let cases = [
        ("a list", format!("RPUSH {name} x"), None, "garbage"),
        ("nothing", format!("SET {name} "), None, "miss"),
        ("the longest", format!("SETRANGE {name} {} x", longest - 1), Some(longest), "hit"),
        ("one byte more", format!("SETRANGE {name} {longest} x"), None, "garbage"),
        ("100 MB", format!("SETRANGE {name} 104857600 x"), None, "garbage"),
    ];
    for (what, command, length, outcome) in cases {
        let _: u64 = server.tell(&format!("DEL {name}")).await;
        let _: redis::Value = server.tell(&command).await;
        let (before, start) = (watched.gets(outcome), Instant::now());
        assert_eq!(watched.cache.get(&KEY).await.map(|value| value.len()), length, "{what}");
        assert_eq!(watched.gets(outcome), before + 1, "{what}");
        assert!(start.elapsed() < Duration::from_millis(500), "{what}: {:?}", start.elapsed());
    }
    assert!(watched.cache.is_up(), "Redis itself is well");
}
