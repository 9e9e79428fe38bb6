//! The life of a process: how it begins, how it is told to stop, in which order it does, and what it exits with.

mod configured;
mod ready_file;

use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::telemetry::trace::Tracing;
use crate::telemetry::{LogConfig, Metrics, MetricsConfig, MetricsListener, TelemetryConfig, init_log};
use crate::tls::install_provider;
use crate::{Readiness, complain};

pub use configured::{Flags, configured, parsed, sources};
pub use ready_file::{ReadyFile, ReadyFileError};

/// All went well.
pub const EXIT_OK: u8 = 0;
/// The work ended with a fault.
pub const EXIT_FAULT: u8 = 1;
/// The configuration or the command line is wrong: sysexits' `EX_USAGE`.
pub const EXIT_CONFIGURATION: u8 = 64;
/// The work did not finish by the deadline, or a second signal cut it short.
pub const EXIT_CUT_SHORT: u8 = 75;

/// How a process lives.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it is called in traces, such as `lanyard-authn`.
    pub service: &'static str,
    /// Its log.
    pub log: LogConfig,
    /// Its listener for operators.
    pub metrics: MetricsConfig,
    /// Its traces.
    pub telemetry: TelemetryConfig,
    /// Between not-ready and the closed listener, for balancers to look elsewhere. Zero where there are none.
    pub notice: Duration,
    /// How long stopping may take after that; above [`Limits::drain_timeout`](crate::serve::Limits), below the half
    /// minute that Kubernetes grants.
    pub stop_timeout: Duration,
    /// Threads that work; as many as there are cores where it is not said. With one, it is the main thread.
    pub workers: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            service: "lanyard",
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
            notice: Duration::ZERO,
            stop_timeout: Duration::from_secs(25),
            workers: None,
        }
    }
}

impl Options {
    /// As a configuration says it, and else as by default.
    #[must_use]
    pub fn of(
        service: &'static str,
        log: &LogConfig,
        metrics: &MetricsConfig,
        telemetry: &TelemetryConfig,
    ) -> Self {
        let (log, metrics, telemetry) = (log.clone(), metrics.clone(), telemetry.clone());
        Self { service, log, metrics, telemetry, ..Self::default() }
    }
}

/// What the work of a process is given: when to stop, and where to say that it is ready.
#[derive(Debug, Clone)]
pub struct Life {
    stop: CancellationToken,
    readiness: Readiness,
    metrics: Option<Metrics>,
    metrics_url: Option<String>,
}

impl Life {
    /// A life outside [`run`], for tests and for `demo`: nobody sends it signals.
    #[must_use]
    pub fn detached() -> Self {
        Self { stop: CancellationToken::new(), readiness: Readiness::new(), metrics: None, metrics_url: None }
    }

    /// Cancelled when it is time to stop; each listener and task takes a copy.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Where parts say whether they are ready.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The metrics recorder; none outside [`run`].
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// `http://host:port` of the listener for operators, where there is one.
    #[must_use]
    pub fn metrics_url(&self) -> Option<&str> {
        self.metrics_url.as_deref()
    }

    /// Stops in order: not ready first, then, after `notice`, the stop token.
    pub async fn end(&self, notice: Duration) {
        self.readiness.stop();
        tokio::time::sleep(notice).await;
        self.stop.cancel();
    }
}

/// Says on standard error why the configuration is wrong, for which no log is set up, and gives the exit code for it.
pub fn configuration_fault(fault: &dyn Display) -> ExitCode {
    complain(&format!("lanyard: {fault}"));
    ExitCode::from(EXIT_CONFIGURATION)
}

/// Runs a process: crypto provider, metrics, traces, log, runtime, signals, and the work. On SIGTERM or SIGINT the process is
/// no longer ready, then the stop token is cancelled, then the work has until the deadline. A second signal ends it.
pub fn run<W, F, E>(options: Options, work: W) -> ExitCode
where
    W: FnOnce(Life) -> F,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    install_provider();
    let metrics = match Metrics::install() {
        Ok(metrics) => metrics,
        Err(fault) => return configuration_fault(&fault),
    };
    let mut tracing = match Tracing::prepare(&options.telemetry.traces, options.service) {
        Ok(tracing) => tracing,
        Err(fault) => return configuration_fault(&fault),
    };
    if let Err(fault) = init_log(&options.log, tracing.as_ref().map(Tracing::tracer)) {
        return configuration_fault(&fault);
    }
    let mut builder = match options.workers {
        // The main thread itself: another one would have memory of its own.
        Some(0 | 1) => tokio::runtime::Builder::new_current_thread(),
        Some(workers) => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            error!(%fault, "cannot start the runtime");
            return ExitCode::from(EXIT_FAULT);
        }
    };
    let code = runtime.block_on(async {
        let signals = match signals() {
            Ok(signals) => signals,
            Err(fault) => {
                error!(%fault, "cannot hear signals, and so could not be stopped");
                return EXIT_FAULT;
            }
        };
        let listener = match MetricsListener::bind(&options.metrics).await {
            Ok(listener) => listener,
            Err(fault) => {
                error!(%fault, "cannot show metrics");
                return EXIT_FAULT;
            }
        };
        let metrics_url = listener.as_ref().map(MetricsListener::url);
        let life = Life { metrics: Some(metrics.clone()), metrics_url, ..Life::detached() };
        let over = CancellationToken::new();
        let shown = listener.map(|listener| {
            tokio::spawn(listener.run(metrics.clone(), life.readiness().clone(), over.clone()))
        });
        if let Some(tracing) = &mut tracing {
            tracing.start();
        }
        let code = live(&life, &options, work(life.clone()), signals).await;
        if let Some(tracing) = &tracing {
            tracing.flush().await;
        }
        over.cancel();
        if let Some(shown) = shown {
            // It ends within its own time; a panic of its would have been told.
            let _ = shown.await;
        }
        code
    });
    // What still runs after the deadline has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ExitCode::from(code)
}

/// Signals as they come, or the fault that none can be heard.
fn signals() -> Result<BoxStream<'static, ()>, std::io::Error> {
    let both = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let next = |mut both: (Signal, Signal)| async move {
        tokio::select! { _ = both.0.recv() => {}, _ = both.1.recv() => {} }
        Some(((), both))
    };
    Ok(stream::unfold(both, next).boxed())
}

async fn live<F, E>(life: &Life, options: &Options, work: F, mut signals: BoxStream<'static, ()>) -> u8
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut work = std::pin::pin!(work);
    tokio::select! {
        result = work.as_mut() => return finished(result),
        _ = signals.next() => info!("told to stop: no longer ready, finishing what is open"),
    }
    // The work goes on while the notice runs, and may well end before it does.
    let stopping = futures::future::join(life.end(options.notice), work);
    tokio::select! {
        result = tokio::time::timeout(options.notice + options.stop_timeout, stopping) => match result {
            Ok(((), result)) => return finished(result),
            Err(_) => warn!("stopped before everything was finished: the time for it was up"),
        },
        _ = signals.next() => warn!("stopped before everything was finished: told twice"),
    }
    EXIT_CUT_SHORT
}

fn finished<E: Display>(result: Result<(), E>) -> u8 {
    match result {
        Ok(()) => EXIT_OK,
        Err(fault) => {
            error!(%fault, "ended with a fault");
            EXIT_FAULT
        }
    }
}

#[cfg(test)]
mod tests;
