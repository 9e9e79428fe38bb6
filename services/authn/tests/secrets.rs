//! The debug log of a run in which everything happens holds no secret.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

#[path = "engine/world/mod.rs"]
mod world;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use lanyard_api::authn::Admit;
use lanyard_api::authn::accounts::{Accounts, Named};
use lanyard_aws::stand_in::Behaviour;
use lanyard_iam::{Credentials, SecretAccessKey};
use lanyard_store::{on_each_store, test_support::TestDatabase};
use prost::Message;
use tracing_subscriber::fmt::MakeWriter;
use world::call::{DESCRIBE, describe, sign};
use world::{system, world};

on_each_store!(immunity_27_the_debug_log_of_a_full_run_holds_no_secret);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The log of this process, which has one.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
        builder.with_writer(log.clone()).init();
        log
    })
}

async fn immunity_27_the_debug_log_of_a_full_run_holds_no_secret(database: TestDatabase) {
    let log = log();
    let world = world(database).await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let role = world.role(home, "/", "Dev", "*").await;
    let (session, _) = world.session(&role, &user, &key.access_key_id).await;
    let at_aws = world.aws_user("ana");
    let guess =
        Credentials { secret_access_key: SecretAccessKey::new("guessguessguess".to_owned()), ..key.clone() };
    let everyone = [&world.administrator, &key, &session.credentials, &at_aws, &guess];
    let mut secrets: Vec<String> = Vec::new();
    for behaviour in [Behaviour::Honest, Behaviour::ServerError, Behaviour::Denied, Behaviour::Truncated] {
        world.sts.behave(behaviour);
        for by in everyone {
            let token = world.token(by, "dev");
            let _ = world.ask(token.expose(), &world.cluster).await;
            secrets.push(token.expose()[11..60].to_owned());
            secrets.push(token.expose()[token.expose().len() - 40..].to_owned());
        }
        world.clock.advance(time::Duration::seconds(1));
    }
    for by in everyone {
        let query = sign(by, DESCRIBE, &describe("dev").encode_to_vec(), &world.signing());
        let authorization = &query.headers.iter().find(|(name, _)| name == "authorization").unwrap().1;
        secrets.push(authorization[authorization.len() - 64..].to_owned());
        let shown = format!("{:?}", world.engine.admit(query).await);
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
    world
        .engine
        .delete_user(system(), Named { account: Some(home), name: "ana".to_owned() }, false)
        .await
        .unwrap();
    for by in everyone {
        secrets.push(by.secret_access_key.expose().to_owned());
        secrets.extend(by.session_token.iter().map(|token| token.expose()[..40].to_owned()));
    }
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("STS has not answered"), "the log was on: {}", text.len());
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in the log");
    }
}
