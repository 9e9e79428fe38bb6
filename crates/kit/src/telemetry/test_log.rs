//! What tests hear of the log.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::subscriber::DefaultGuard;

/// Longer than a place in the code takes to find out who listens.
const SETTLED: Duration = Duration::from_millis(1);

/// The log of a test that runs on one thread, from level debug on, since it began to listen.
#[derive(Debug)]
pub struct TestLog {
    text: Text,
    _listening: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl TestLog {
    /// Begins to listen; until it is dropped.
    #[must_use]
    pub fn start() -> Self {
        let (level, text) = (tracing::Level::DEBUG, Text::default());
        let writer = text.clone();
        let lines = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
        let listening = tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish());
        // A place that another thread comes to for the first time in this moment keeps that nobody listens, for all threads: it is asked
        // again when that is over.
        thread::sleep(SETTLED);
        tracing::callsite::rebuild_interest_cache();
        Self { text, _listening: listening }
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines that say this.
    #[must_use]
    pub fn lines(&self, what: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_hears_what_its_own_thread_says_while_it_listens() {
        let say = |what: &str| tracing::debug!("{what} was said");
        say("before");
        let log = TestLog::start();
        say("this");
        thread::scope(|scope| scope.spawn(|| say("elsewhere")).join().unwrap());
        assert_eq!(log.lines("was said").len(), 1, "{}", log.text());
        assert!(log.lines("was said")[0].contains("DEBUG"));
    }
}
