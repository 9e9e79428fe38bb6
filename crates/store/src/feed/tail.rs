//! The tailer: finds other processes' commits, and sweeps what is kept no longer.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use lanyard_kit::{caught, telemetry::trace::span};
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use crate::{
    store::{Inner, Store},
    telemetry::Source,
};

/// How often expired signatures and old decisions are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How long to leave it after a panic, which may well come again.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// Runs until the last handle of the store is dropped. A panic does not end it: nobody else would hear of other processes' commits.
pub(crate) async fn tail(
    store: Weak<Inner>,
    wake: Arc<Notify>,
    mut listener: Option<PgListener>,
    poll: Duration,
    is_shared: bool,
) {
    while caught("the store's tailer", Box::pin(follow(&store, &wake, &mut listener, poll, is_shared)))
        .await
        .is_err()
    {
        tracing::error!("the store is not followed for a moment: the tailer begins anew");
        tokio::time::sleep(PANIC_PAUSE).await;
        // What it was about to look at when it panicked nobody tells it again.
        wake.notify_one();
    }
}

async fn follow(
    store: &Weak<Inner>,
    wake: &Notify,
    listener: &mut Option<PgListener>,
    poll: Duration,
    is_shared: bool,
) {
    let mut swept = Instant::now();
    let mut is_behind = false;
    loop {
        // Alone with the file there is nothing to look for but what a failed delivery left.
        let pause = if is_shared || is_behind { poll } else { SWEEP_INTERVAL };
        let source = tokio::select! {
            () = wake.notified() => Source::Own,
            source = heard(listener, poll) => source,
            () = tokio::time::sleep(pause) => Source::Poll,
        };
        let Some(inner) = store.upgrade() else { return };
        let store = Store::of(inner);
        is_behind = match store.look(source).await {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(error = %error, "the store cannot be followed: trying again");
                true
            }
        };
        store.database().show();
        if swept.elapsed() >= SWEEP_INTERVAL {
            swept = Instant::now();
            if let Err(error) = span::own("store/sweep", store.sweep()).await {
                tracing::warn!(error = %error, "the store cannot be swept: trying again later");
            }
        }
    }
}

/// Waits for word of a commit. What it says is not trusted: the counters are looked at.
async fn heard(listener: &mut Option<PgListener>, pause: Duration) -> Source {
    let Some(listener) = listener else { return std::future::pending().await };
    match listener.try_recv().await {
        Ok(Some(_)) => Source::Notification,
        // The connection was lost, and there is another one that listens. What was told in between nobody tells again.
        Ok(None) => Source::Poll,
        Err(error) => {
            tracing::debug!(error = %error, "no word of commits: polling");
            tokio::time::sleep(pause).await;
            Source::Poll
        }
    }
}
