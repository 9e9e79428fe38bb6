//! A turn: what some workers do in a time that is measured, and what processes use for it.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use crate::process::{Placement, Usage};

/// Connections at once, a point each.
pub(crate) const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// How long a turn warms up before it is measured.
const WARM_UP: Duration = Duration::from_millis(200);

/// How long is measured, and how.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How long one turn is measured.
    pub(crate) turn: Duration,
    /// Turns of each target at each point, so that a change of the machine's load falls on all.
    pub(crate) turns: usize,
    pub(crate) placement: Placement,
}

impl Plan {
    /// Each on its own core; a moment of each where it shall only be shown that it works.
    pub(crate) fn apart() -> Self {
        let (milliseconds, turns) = if is_small() { (400, 1) } else { (1_200, 2) };
        Self { turn: Duration::from_millis(milliseconds), turns, placement: Placement::Apart }
    }
}

/// Set where it shall only be shown that all of this works.
const SMALL: &str = "LANYARD_BENCH_SMALL";

/// Whether it is.
pub(crate) fn is_small() -> bool {
    std::env::var_os(SMALL).is_some()
}

/// What one of so many rounds takes, in nanoseconds.
pub(crate) fn nanoseconds(rounds: u32, round: impl Fn() -> Result<()>) -> Result<f64> {
    let rounds = if is_small() { rounds / 100 } else { rounds };
    let begun = Instant::now();
    for _ in 0..rounds {
        round()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e9 / f64::from(rounds))
}

/// What one or more turns showed.
pub(crate) struct Measured {
    seconds: f64,
    /// Of each process of the target.
    cpu_seconds: Vec<f64>,
    /// Of each request.
    nanoseconds: Vec<u32>,
}

impl Measured {
    /// Nothing yet, of so many processes.
    pub(crate) fn of(processes: usize) -> Self {
        Self { seconds: 0.0, cpu_seconds: vec![0.0; processes], nanoseconds: Vec::new() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.cpu_seconds.iter_mut().zip(other.cpu_seconds).for_each(|(sum, more)| *sum += more);
        self.nanoseconds.extend(other.nanoseconds);
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.nanoseconds.len() as f64 / self.seconds
    }

    /// For a request, in all processes.
    pub(crate) fn cpu_microseconds(&self) -> f64 {
        self.cpu_microseconds_each().sum()
    }

    /// For a request, in each process in their order.
    pub(crate) fn cpu_microseconds_each(&self) -> impl Iterator<Item = f64> {
        self.cpu_seconds.iter().map(|seconds| seconds * 1e6 / self.nanoseconds.len() as f64)
    }

    pub(crate) fn mean_microseconds(&self) -> f64 {
        let sum: u64 = self.nanoseconds.iter().copied().map(u64::from).sum();
        sum as f64 / 1e3 / self.nanoseconds.len() as f64
    }

    pub(crate) fn percentile_microseconds(&mut self, percent: usize) -> f64 {
        percentile_microseconds(&mut self.nanoseconds, percent)
    }
}

/// What so many in a hundred stay under.
pub(crate) fn percentile_microseconds(nanoseconds: &mut [u32], percent: usize) -> f64 {
    nanoseconds.sort_unstable();
    let at = nanoseconds.len() * percent / 100;
    f64::from(nanoseconds.get(at).copied().unwrap_or_default()) / 1e3
}

/// Measures for one turn what some workers do, each of which goes on until the phase is over and gives its times; and what
/// these processes use for it.
pub(crate) async fn during<W: Future<Output = Result<Vec<u32>>>>(
    phase: &Phase,
    plan: Plan,
    processes: &[Usage],
    workers: impl Iterator<Item = W>,
) -> Result<Measured> {
    let used = || processes.iter().map(|process| process.cpu_seconds()).collect::<Result<Vec<_>>>();
    let clock = async {
        tokio::time::sleep(WARM_UP).await;
        let before = used()?;
        phase.measuring.set(true);
        let begun = Instant::now();
        tokio::time::sleep(plan.turn).await;
        phase.over.set(true);
        let seconds = begun.elapsed().as_secs_f64();
        let cpu_seconds = used()?.into_iter().zip(before).map(|(after, before)| after - before).collect();
        Ok(Measured { seconds, cpu_seconds, nanoseconds: Vec::new() })
    };
    // A core that sleeps has to be woken by whoever answers, which on virtual machines costs the server as much as the
    // answer; API servers are on other machines. So the load does not sleep, where that takes nothing from the server.
    let awake = async {
        while plan.placement == Placement::Apart && !phase.is_over() {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (measured, times, ()) = futures::future::try_join3(clock, try_join_all(workers), awake).await?;
    Ok(Measured { nanoseconds: times.concat(), ..measured })
}

/// Whether it is the time that is measured.
#[derive(Default)]
pub(crate) struct Phase {
    measuring: Cell<bool>,
    over: Cell<bool>,
}

impl Phase {
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Counts what was begun then and is done now. What ends after the time is up is not counted, though its worker waits
    /// for it.
    pub(crate) fn count(&self, begun: Instant, nanoseconds: &mut Vec<u32>) {
        if self.measuring.get() && !self.over.get() {
            nanoseconds.push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
    }
}
