//! The connection that requests share, and when it is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::rand;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::config::RedisConfig;
use super::connection::Connection;
use super::connector::Connector;
use super::telemetry::Telemetry;

/// A connection in use, with the failures in a row that those who use it have met.
pub(super) struct Link {
    connection: Connection,
    failures: AtomicU32,
    failures_max: u32,
    is_up: AtomicBool,
    end: AtomicU8,
    ended: Notify,
}

/// Why a link was given up.
const FAILING: u8 = 1;
const GONE: u8 = 2;

impl Link {
    fn new(connection: Connection, failures_max: u32) -> Self {
        Self {
            connection,
            failures: AtomicU32::new(0),
            failures_max,
            is_up: AtomicBool::new(true),
            end: AtomicU8::new(0),
            ended: Notify::new(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// An answer, whatever it says.
    pub(super) fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// One more failure in a row; with the last one that is allowed the link is given up.
    pub(super) fn failed(&self) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) >= self.failures_max {
            self.give_up(FAILING);
        }
    }

    /// The connection is of no use any more. A cluster has several, and mends them itself: there it is one failure.
    pub(super) fn gone(&self) {
        if self.connection.mends_itself() { self.failed() } else { self.give_up(GONE) }
    }

    fn give_up(&self, why: u8) {
        if self.is_up.swap(false, Ordering::AcqRel) {
            self.end.store(why, Ordering::Release);
            self.ended.notify_one();
        }
    }
}

/// Keeps the link, or knows that there is none.
pub(super) struct Keeper {
    link: ArcSwapOption<Link>,
    failures_max: u32,
    pause: Duration,
}

impl Keeper {
    pub(super) fn new(failures_max: u32, pause: Duration) -> Self {
        Self { link: ArcSwapOption::empty(), failures_max, pause }
    }

    /// The link, while it is up.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.load_full().filter(|link| link.is_up.load(Ordering::Acquire))
    }

    /// Makes the connection, waits until it is given up, pauses, and makes it anew, with what lies in its files by then; for ever.
    pub(super) async fn keep(&self, mut connector: Connector, config: &RedisConfig, telemetry: &Telemetry) {
        loop {
            // A connection counts once it has answered the question that requests ask.
            match Box::pin(connector.connect()).await {
                Err(why) => telemetry.not_connected(&why),
                Ok(connection) => {
                    let since = Instant::now();
                    let link = Arc::new(Link::new(connection, self.failures_max));
                    self.link.store(Some(Arc::clone(&link)));
                    telemetry.connected();
                    link.ended.notified().await;
                    self.link.store(None);
                    let is_failing = link.end.load(Ordering::Acquire) == FAILING;
                    telemetry.left_alone(is_failing);
                    // What ended after a good while is made anew at once; what ends again and again is not.
                    if !is_failing && since.elapsed() >= self.pause {
                        connector.renew(config).await;
                        continue;
                    }
                }
            }
            sleep(jittered(self.pause)).await;
            connector.renew(config).await;
        }
    }
}

/// From half of it to one and a half.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [128];
    // Without randomness replicas come back at once, no more.
    let _ = rand::fill(&mut byte);
    pause / 2 + pause * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_half_to_one_and_a_half_of_itself() {
        let pause = Duration::from_secs(1);
        let pauses: Vec<_> = (0..200).map(|_| jittered(pause)).collect();
        assert!(pauses.iter().all(|one| (pause / 2..=pause * 3 / 2).contains(one)), "{pauses:?}");
        assert!(pauses.iter().any(|one| *one != pauses[0]));
    }
}
