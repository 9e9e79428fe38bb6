use super::*;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NOTICE: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(25);

fn options() -> Options {
    Options { notice: NOTICE, stop_timeout: STOP_TIMEOUT, ..Options::default() }
}

/// Signals this long after one another, then none.
fn signals_after(pauses: &[u64]) -> BoxStream<'static, ()> {
    let pauses: Vec<_> = pauses.iter().map(|seconds| Duration::from_secs(*seconds)).collect();
    stream::iter(pauses).then(tokio::time::sleep).chain(stream::pending()).boxed()
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_by_itself_ends_the_process_with_its_outcome() {
    let cases = [(Ok(()), EXIT_OK), (Err("the store is gone"), EXIT_FAULT)];
    for (outcome, expected) in cases {
        let life = Life::detached();
        assert_eq!(
            live(&life, &options(), async { outcome }, signals_after(&[])).await,
            expected,
            "{outcome:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_takes_readiness_first_and_the_listeners_after_the_notice() {
    let life = Life::detached();
    let still_served = Arc::new(AtomicBool::new(false));
    let work = {
        let (life, still_served) = (life.clone(), Arc::clone(&still_served));
        async move {
            tokio::time::sleep(Duration::from_secs(3)).await; // the signal came at 1
            assert!(!life.readiness().is_ready());
            still_served.store(!life.stop().is_cancelled(), Ordering::SeqCst);
            life.stop().cancelled().await;
            Ok::<_, Infallible>(())
        }
    };
    let started = tokio::time::Instant::now();
    assert_eq!(live(&life, &options(), work, signals_after(&[1])).await, EXIT_OK);
    assert!(still_served.load(Ordering::SeqCst));
    assert_eq!(started.elapsed().as_secs(), 1 + NOTICE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_stop_is_cut_short_at_the_deadline() {
    let started = tokio::time::Instant::now();
    let work = std::future::pending::<Result<(), Infallible>>();
    assert_eq!(live(&Life::detached(), &options(), work, signals_after(&[1])).await, EXIT_CUT_SHORT);
    assert_eq!(started.elapsed(), Duration::from_secs(1) + NOTICE + STOP_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_cuts_the_work_short() {
    let started = tokio::time::Instant::now();
    let work = std::future::pending::<Result<(), Infallible>>();
    assert_eq!(live(&Life::detached(), &options(), work, signals_after(&[1, 2])).await, EXIT_CUT_SHORT);
    assert_eq!(started.elapsed().as_secs(), 3);
}
