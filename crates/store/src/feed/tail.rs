//! The tailer: finds other processes' commits, and sweeps what is kept no longer.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use lanyard_kit::{
    caught,
    telemetry::{names, trace::span},
};
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::CHANNEL;
use crate::{
    error::StoreError,
    sql::{Database, SqlError},
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
    mut words: Option<Words>,
    poll: Duration,
    is_shared: bool,
) {
    while caught("the store's tailer", Box::pin(follow(&store, &wake, &mut words, poll, is_shared)))
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
    words: &mut Option<Words>,
    poll: Duration,
    is_shared: bool,
) {
    let mut swept = Instant::now();
    let mut is_behind = false;
    loop {
        // Alone with the file there is nothing to look for but what a failed delivery left.
        let pause = if is_shared || is_behind { poll } else { SWEEP_INTERVAL };
        let (source, was_silent) = tokio::select! {
            () = wake.notified() => (Source::Own, false),
            source = heard(words, poll) => (source, false),
            () = tokio::time::sleep(pause) => (Source::Poll, true),
        };
        let Some(inner) = store.upgrade() else { return };
        let store = Store::of(inner);
        is_behind = match store.look(source).await {
            Ok(found) => {
                if let Some(words) = words.as_mut().filter(|_| was_silent && found) {
                    words.doubt();
                }
                false
            }
            Err(error) => {
                tracing::warn!(error = %error, "the store cannot be followed: trying again");
                true
            }
        };
        store.database().show();
        if swept.elapsed() >= SWEEP_INTERVAL {
            swept = Instant::now();
            let sweep = Box::pin(span::own(names::STORE_SWEEP_SPAN, store.sweep()));
            if let Err(error) = store.answered(sweep).await {
                tracing::warn!(error = %error, "the store cannot be swept: trying again later");
            }
        }
    }
}

/// Waits for word of a commit.
async fn heard(words: &mut Option<Words>, pause: Duration) -> Source {
    match words {
        Some(words) => words.heard(pause).await,
        None => std::future::pending().await,
    }
}

/// Word of other processes' commits, of a database that tells.
pub(crate) struct Words {
    database: Database,
    /// On a connection of its own; none while that is lost.
    listener: Option<PgListener>,
}

impl Words {
    /// Listens; none where the database cannot tell.
    pub(crate) async fn of(database: &Database) -> Result<Option<Self>, StoreError> {
        let listener = listening(database).await?;
        Ok(listener.map(|listener| Self { database: database.clone(), listener: Some(listener) }))
    }

    /// Waits for word of a commit. What it says is not trusted: the counters are looked at. May be dropped at any time.
    pub(crate) async fn heard(&mut self, pause: Duration) -> Source {
        let Some(listener) = &mut self.listener else {
            match listening(&self.database).await {
                // What was told while nobody listened nobody tells again: so it is looked at once, whatever came before.
                Ok(anew) => self.listener = anew,
                Err(error) => {
                    tracing::debug!(error = %error, "no word of commits: polling");
                    tokio::time::sleep(pause).await;
                }
            }
            return Source::Poll;
        };
        match listener.try_recv().await {
            Ok(Some(_)) => return Source::Notification,
            Ok(None) => {}
            Err(error) => tracing::debug!(error = %error, "no word of commits any more: listening anew"),
        }
        // Another one is made: after some errors a listener keeps a connection that is dead.
        self.listener = None;
        Source::Poll
    }

    /// Nobody told of a commit that was found all the same. A connection on which nothing is ever sent can be dead without an error, for
    /// ever: what lies between may have forgotten it. So another one listens; where word was only late, that costs little.
    fn doubt(&mut self) {
        if self.listener.take().is_some() {
            tracing::info!("a commit was found that nobody told of: listening anew");
        }
    }
}

async fn listening(database: &Database) -> Result<Option<PgListener>, StoreError> {
    let mut listener = database.listener().await?;
    if let Some(listener) = &mut listener {
        // By itself it would listen anew within a wait that may be dropped, and nobody would know that it had not listened.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(SqlError::from)?;
    }
    Ok(listener)
}
