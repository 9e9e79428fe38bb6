//! How long the next request's head may take to come. hyper would set a timer of the runtime for each head, and take it back once that
//! is there, which most are at once: here it says until when it waits, and the connection's one timer looks at that when it is due.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant;

/// Where no head is waited for: a connection lives for less than the centuries that this would be.
const NOT_WAITING: u64 = u64::MAX;

/// The wait for heads of one connection, which has it as hyper's timer and is polled by [`Heads::beside`].
#[derive(Debug, Clone)]
pub(super) struct Heads(Arc<Wait>);

/// What its parts share. The task that polls the connection is the one that looks at this, so that no order of memory is needed.
#[derive(Debug)]
struct Wait {
    begun: Instant,
    limit: Duration,
    /// Until when a head has to be there, in nanoseconds from the connection's beginning; or [`NOT_WAITING`].
    until: AtomicU64,
    /// The head that is waited for has not come in its time.
    is_over: AtomicBool,
}

impl Heads {
    /// Each head has to come within `limit`.
    pub(super) fn within(limit: Duration) -> Self {
        let until = AtomicU64::new(NOT_WAITING);
        Self(Arc::new(Wait { begun: Instant::now(), limit, until, is_over: AtomicBool::new(false) }))
    }

    /// What hyper has to be told as its own limit: no head's time may be shorter.
    pub(super) fn limit(&self) -> Duration {
        self.0.limit
    }

    /// Polls the connection to its end, which a head that does not come is, too: hyper hears of it when it has looked once more for one.
    pub(super) async fn beside<C: Future>(&self, mut connection: Pin<&mut C>) -> C::Output {
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return ended,
                () = self.missing() => {}
            }
        }
    }

    /// Ends when a head has not come in its time.
    async fn missing(&self) {
        loop {
            // What is waited for from now on has its time up later than this.
            let next = self.deadline().unwrap_or_else(|| Instant::now() + self.0.limit);
            tokio::time::sleep_until(next).await;
            if self.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                // Told once, whatever hyper makes of it.
                self.0.until.store(NOT_WAITING, Ordering::Relaxed);
                self.0.is_over.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let until = self.0.until.load(Ordering::Relaxed);
        (until != NOT_WAITING).then(|| self.0.begun + Duration::from_nanos(until))
    }

    fn wait_until(&self, deadline: std::time::Instant) {
        let until = Instant::from_std(deadline).saturating_duration_since(self.0.begun);
        self.0.until.store(u64::try_from(until.as_nanos()).unwrap_or(NOT_WAITING), Ordering::Relaxed);
        self.0.is_over.store(false, Ordering::Relaxed);
    }
}

impl Timer for Heads {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.wait_until(deadline);
        Box::pin(Head(Arc::clone(&self.0)))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    /// The one that hyper has goes on: another one in its place would end its own wait when the first is dropped.
    fn reset(&self, _: &mut Pin<Box<dyn Sleep>>, deadline: std::time::Instant) {
        self.wait_until(deadline);
    }
}

/// The wait for one head, which ends when it is dropped.
struct Head(Arc<Wait>);

impl Sleep for Head {}

impl Future for Head {
    type Output = ();

    /// Wakes nobody: [`Heads::beside`] polls the connection when it is time.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.is_over.load(Ordering::Relaxed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.0.until.store(NOT_WAITING, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
