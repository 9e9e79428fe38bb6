//! Who we are to Redis, and who it is to us.

use lanyard_authn::{RedisConfig, SharedCache as _};
use lanyard_kit::{ConfigSecret, telemetry::TestLog};

use crate::servers::{Server, Tls, eventually, tell};
use crate::watched::{Watched, config, said};

const KEY: [u8; 32] = [7; 32];
const PASSWORD: &str = "correct-horse";

/// The rights that the documentation names, and no others; nobody else may come in.
const USER: &str = "ACL SETUSER lanyard on >correct-horse ~lanyard:tokens:2:* +getrange +set";

fn as_user(server: &Server, password: &str) -> RedisConfig {
    RedisConfig {
        username: Some("lanyard".to_owned()),
        password: Some(ConfigSecret::from(password.to_owned())),
        ..config(server.url())
    }
}

#[tokio::test]
async fn an_acl_user_needs_its_two_commands_and_its_own_keys_alone() {
    let Some(server) = Server::start(&[]).await else { return };
    let mut control = server.control().await;
    let () = tell(&mut control, USER).await;
    let () = tell(&mut control, "ACL SETUSER default off").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let of_file = RedisConfig { password: None, password_file: Some(file), ..as_user(&server, "") };
    let (one, other) = (Watched::up(&as_user(&server, PASSWORD)).await, Watched::up(&of_file).await);
    one.store(&KEY, b"sealed").await;
    assert_eq!(other.cache.get(&KEY).await.as_deref(), Some(&b"sealed"[..]));
}

#[tokio::test]
async fn another_password_in_its_file_is_read_before_the_next_connection() {
    let Some(server) = Server::start(&[]).await else { return };
    let mut control = server.control().await;
    let () = tell(&mut control, USER).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let of_file = RedisConfig { password: None, password_file: Some(file.clone()), ..as_user(&server, "") };
    let watched = Watched::up(&of_file).await;
    std::fs::write(&file, "battery-staple").unwrap();
    let () = tell(&mut control, "ACL SETUSER lanyard resetpass >battery-staple").await;
    let ended: u32 = tell(&mut control, "CLIENT KILL USER lanyard").await;
    assert_eq!(ended, 1);
    eventually("Redis is used by the new password", async || {
        // That a connection has ended shows where it is used.
        watched.cache.get(&KEY).await;
        watched.gets("miss") > 0
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_said_but_not_shown_and_redis_is_done_without_until_it_is_right() {
    let Some(server) = Server::start(&[]).await else { return };
    let log = TestLog::start();
    let mut control = server.control().await;
    let () = tell(&mut control, USER).await;
    let watched = Watched::start(&as_user(&server, "battery-staple"));
    said(&log, "Redis cannot be used").await;
    assert!(
        log.text().contains("authentication failed") && !log.text().contains("battery"),
        "{}",
        log.text()
    );
    assert_eq!((watched.cache.get(&KEY).await, watched.gets("skipped")), (None, 1));
    let () = tell(&mut control, "ACL SETUSER lanyard >battery-staple").await;
    watched.is_up().await;
}

#[tokio::test]
async fn a_user_who_may_not_ask_is_found_out_before_any_request() {
    let Some(server) = Server::start(&[]).await else { return };
    let log = TestLog::start();
    let mut control = server.control().await;
    let () = tell(&mut control, "ACL SETUSER lanyard on >correct-horse ~other:* +getrange +set").await;
    let watched = Watched::start(&as_user(&server, PASSWORD));
    said(&log, "it answered NOPERM").await;
    assert!(!watched.cache.is_up());
    let () = tell(&mut control, "ACL SETUSER lanyard ~lanyard:tokens:2:*").await;
    watched.is_up().await;
}

#[tokio::test]
async fn tls_is_verified_by_the_ca_file_alone() {
    let tls = Tls::new();
    let Some(server) = Server::start_with(&[], Some(&tls)).await else { return };
    let log = TestLog::start();
    let with = |ca: &Tls, host: &str| RedisConfig {
        ca_file: Some(ca.ca.root_path().to_owned()),
        ..config(format!("rediss://{host}:{}", server.port))
    };
    for host in ["localhost", "127.0.0.1"] {
        let watched = Watched::up(&with(&tls, host)).await;
        watched.store(&KEY, b"sealed").await;
        assert_eq!(watched.cache.get(&KEY).await.as_deref(), Some(&b"sealed"[..]), "{host}");
    }
    let other = Tls::new();
    let of_the_system = RedisConfig { ca_file: None, ..with(&tls, "localhost") };
    for (what, config) in [("another CA", with(&other, "localhost")), ("the system's", of_the_system)] {
        let before = log.text().len();
        let watched = Watched::start(&config);
        eventually(what, async || log.text()[before..].contains("invalid peer certificate")).await;
        assert_eq!((watched.cache.get(&KEY).await, watched.gets("skipped")), (None, 1), "{what}");
    }
    let plain = Watched::start(&config(server.url()));
    said(&log, "Redis cannot be used").await;
    assert_eq!(plain.cache.get(&KEY).await, None);
}
