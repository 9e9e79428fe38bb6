//! Work that panics, caught: its caller is told that there is no answer, and what else goes on is not ended by it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tracing::error;

use crate::telemetry::names;

/// Some work has panicked, which the log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work on it has failed; the log says how")]
pub struct Panicked;

/// Does some work. Where that panics, it is told in the log, with the number of the request that is worked on, and counted.
/// `part` says there what work it was.
///
/// # Errors
/// [`Panicked`]: there is no answer.
pub async fn caught<F: Future>(part: &'static str, work: F) -> Result<F::Output, Panicked> {
    // What the work has held is dropped with it; what others share behind a lock they take as it is.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => Ok(done),
        Err(panic) => {
            tell(part, &*panic);
            Err(Panicked)
        }
    }
}

/// The same for work that waits for nothing.
///
/// # Errors
/// [`Panicked`]: what it worked on is in whatever state it has left that in.
pub fn caught_now<T>(part: &'static str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        tell(part, &*panic);
        Panicked
    })
}

/// Tells of a panic that was caught.
pub(crate) fn tell(part: &'static str, panic: &(dyn Any + Send)) {
    metrics::counter!(names::PANICS_TOTAL).increment(1);
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&'static str>().copied()).unwrap_or("no text");
    error!(part, panic = text, "a panic was caught, which is a fault of this program: please report it");
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[tokio::test]
    async fn work_that_panics_has_no_answer_and_is_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _local = metrics::set_default_local_recorder(&recorder);
        let shown = || recorder.handle().render();
        let work = async |panics: bool| {
            tokio::task::yield_now().await;
            assert!(!panics, "as work might");
            1
        };
        assert_eq!(caught("a test", work(false)).await, Ok(1));
        assert_eq!(caught("a test", work(true)).await, Err(Panicked));
        assert_eq!(caught_now("a test", || 1), Ok(1));
        assert_eq!(caught_now("a test", || assert!(shown().is_empty(), "as work might")), Err(Panicked));
        assert!(shown().contains("lanyard_panics_total 2\n"), "{}", shown());
    }
}
