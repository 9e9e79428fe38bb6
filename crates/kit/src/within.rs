//! A limit on how long work may take, where that ends at once as a rule.

use std::{pin::pin, task::Poll, time::Duration};

use tokio::time::error::Elapsed;

/// [`tokio::time::timeout`], whose timer is made only for work that has to wait for something, once it does.
///
/// # Errors
/// [`Elapsed`]: it has waited for as long as `limit` and has no result, and is dropped.
pub async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    match futures::poll!(work.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(limit, work).await,
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn work_that_is_done_at_once_needs_no_timer() {
        // A runtime without timers would panic on one.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(within(LIMIT, future::ready(7))), Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_waits_has_its_limit_and_no_more() {
        for (takes, expected) in [(LIMIT / 2, Some(7)), (LIMIT * 2, None)] {
            let work = async {
                tokio::time::sleep(takes).await;
                7
            };
            let begun = tokio::time::Instant::now();
            assert_eq!(within(LIMIT, work).await.ok(), expected, "{takes:?}");
            assert_eq!(begun.elapsed(), takes.min(LIMIT));
        }
    }
}
