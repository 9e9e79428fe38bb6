//! A list of somebody else's, kept: asked for at a bounded rate by whom it does not have, and read again beside the answers.

mod lister;

use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_kit::telemetry::{Counters, Label, names};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use lister::{ListFault, Lister, ListerOptions};

/// A kind of list.
pub trait List: Sized + Send + Sync + 'static {
    /// What it is of, as people are told.
    const WHAT: &'static str;
    /// The media types that it is asked for in.
    const ACCEPT: &'static str;
    /// The metric that counts the questions for it, by outcome.
    const QUESTIONS: &'static str;
    /// The metric that says how many it has.
    const COUNT: &'static str;

    /// Reads an answer, as far as it has come; waits for the rest of it.
    ///
    /// # Errors
    /// [`ListError`].
    fn read(body: impl Read) -> Result<Self, ListError>;

    /// Reads an answer that has come whole.
    ///
    /// # Errors
    /// [`ListError`].
    fn parse(body: &[u8]) -> Result<Self, ListError> {
        Self::read(body)
    }

    /// How many there are.
    fn count(&self) -> usize;

    /// What to do where the answer is this status, or nothing.
    fn advice(status: u16) -> &'static str;
}

/// The answer is no such list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It is not JSON of that form.
    #[error("it is no such list: {0}")]
    Form(#[from] serde_json::Error),
    /// It has too many.
    #[error("it has {count}, at most {most} are taken")]
    TooMany {
        /// How many.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

/// What came of asking.
#[derive(Clone, Copy)]
enum Outcome {
    Listed,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Listed, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Why nobody can say what a list would say. No refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} are not known at the moment; try again")]
pub struct Unlisted(&'static str);

impl Unlisted {
    /// Of a list of this kind.
    #[must_use]
    pub fn of<L: List>() -> Self {
        Self(L::WHAT)
    }
}

/// A list and when it was asked for.
#[derive(Debug)]
pub struct Listed<L> {
    /// The list.
    pub list: L,
    /// It is not older than this.
    pub asked_at: Instant,
}

/// How a list is kept.
#[derive(Debug, Clone, Copy)]
pub struct KeepOptions {
    /// How often it is read beside the answers.
    pub interval: Duration,
    /// Least time between two questions, whoever asks.
    pub pause: Duration,
    /// How old a list may be that is still believed, while no new one comes.
    pub age_max: Duration,
}

/// Asks for a list.
type Source<L> = Box<dyn Fn() -> BoxFuture<'static, Result<L, ListFault>> + Send + Sync>;

/// When it was asked.
#[derive(Debug, Default)]
struct Gate {
    /// Last, whether or not there was an answer.
    asked: Option<Instant>,
    /// Last, of those times that there was an answer, or none in time.
    answered: Option<Instant>,
}

/// The list, kept.
pub struct Kept<L> {
    source: Source<L>,
    options: KeepOptions,
    listed: ArcSwapOption<Listed<L>>,
    /// Held while it is asked, so that one asks and the others wait for what comes.
    gate: Mutex<Gate>,
    outcomes: Counters<Outcome>,
}

impl<L: List> Kept<L> {
    /// Of what the lister is told. Nothing is listed yet.
    #[must_use]
    pub fn new(lister: Lister<L>, options: KeepOptions) -> Self {
        let lister = Arc::new(lister);
        let list = move || {
            let lister = Arc::clone(&lister);
            async move { lister.list().await }
        };
        Self::of(list, options)
    }

    /// Of any source.
    #[must_use]
    pub fn of<F>(list: impl Fn() -> F + Send + Sync + 'static, options: KeepOptions) -> Self
    where
        F: Future<Output = Result<L, ListFault>> + Send + 'static,
    {
        Self {
            source: Box::new(move || list().boxed()),
            options,
            listed: ArcSwapOption::empty(),
            gate: Mutex::default(),
            outcomes: Counters::new(L::QUESTIONS),
        }
    }

    /// The list as it is, if it may still be believed.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Listed<L>>> {
        self.listed.load_full().filter(|listed| self.is_believed(listed))
    }

    /// What `read` finds in the list, if that may still be believed.
    pub fn read<T>(&self, read: impl FnOnce(&Listed<L>) -> T) -> Option<T> {
        self.listed.load().as_deref().filter(|listed| self.is_believed(listed)).map(read)
    }

    fn is_believed(&self, listed: &Listed<L>) -> bool {
        listed.asked_at.elapsed() <= self.options.age_max
    }

    /// Sees to it that the list is not older than `since`, or that it was asked for since. Whatever the number of callers, it is asked
    /// for once in a pause.
    pub async fn refresh(&self, since: Instant) {
        self.refresh_unless(since, || false).await;
    }

    /// The same, but for whom a list does that has come while they waited to ask, though it was asked for before: the first one after
    /// the start is on its way when the first pod knocks, and the next may not be asked for at once.
    pub async fn refresh_unless(&self, since: Instant, does: impl FnOnce() -> bool) {
        let mut gate = self.gate.lock().await;
        if gate.answered.is_some_and(|asked_at| asked_at > since) || does() {
            return;
        }
        if let Some(asked_at) = gate.asked {
            tokio::time::sleep_until(asked_at + self.options.pause).await;
        }
        let asked_at = Instant::now();
        gate.asked = Some(asked_at);
        let answer = (self.source)().await;
        // Not before: whoever asks may give up, and those behind them would have no answer.
        gate.answered = Some(asked_at);
        match answer {
            Ok(list) => {
                self.outcomes.increment(Outcome::Listed);
                metrics::gauge!(L::COUNT).set(list.count() as f64);
                self.listed.store(Some(Arc::new(Listed { list, asked_at })));
            }
            Err(error) => {
                self.outcomes.increment(Outcome::Fault);
                warn!(%error, "{} could not be listed", L::WHAT);
            }
        }
    }

    /// Reads the list again and again, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let follow = async {
            loop {
                self.refresh(Instant::now()).await;
                tokio::time::sleep(self.options.interval).await;
            }
        };
        let _ = stop.run_until_cancelled(follow).await;
    }
}

impl<L> std::fmt::Debug for Kept<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({:?})", self.options)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::pods::Directory;

    #[tokio::test]
    async fn whoever_gives_up_leaves_those_behind_them_an_answer() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let list = move || {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Ok(Directory::parse(br#"{"items":[]}"#.as_slice()).unwrap())
            }
        };
        let options = KeepOptions {
            interval: Duration::from_secs(60),
            pause: Duration::from_millis(1),
            age_max: Duration::from_secs(60),
        };
        let kept = Kept::of(list, options);
        let since = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let impatient = tokio::time::timeout(Duration::from_millis(20), kept.refresh(since));
        let (given_up, ()) = tokio::join!(impatient, kept.refresh(since));
        assert!(given_up.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert_eq!(kept.read(|listed| listed.list.count()), Some(0), "who waited has the list");
        kept.refresh(since).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2, "and it is new enough for all who came before it");
    }
}
