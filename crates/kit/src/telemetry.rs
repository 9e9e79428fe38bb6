//! What a process shows of itself: a log on standard error, metrics in Prometheus' text format, traces by OTLP.
//!
//! Every metric name, label, span field and attribute of the project is a constant in [`names`], documented there and nowhere
//! else. A label's values are a closed enum ([`Label`]), all of them present from the start ([`Counters`],
//! [`Histograms`]), so that a rate over a reason that has not yet occurred is zero rather than absent. An ARN, a user
//! name or anything else that callers choose is never a label.

mod durations;
mod family;
mod listen;
mod log;
mod metrics;
pub mod names;
pub mod request_id;
mod rpc;
mod set;
mod status_class;
mod test_log;
pub mod trace;

pub use family::{Counters, Histograms, Label, Labels};
pub use listen::MetricsConfig;
pub(crate) use listen::MetricsListener;
pub(crate) use log::init_log;
pub use log::{LogConfig, LogFormat};
pub use metrics::Metrics;
pub use request_id::RequestId;
pub use rpc::{Answer, Answering, Call, Calls, Code, ServedCalls, ServedLayer};
pub use set::{LabelSet, Place, SetCounters, SetGauges, SetHistograms};
pub use status_class::StatusClass;
pub use test_log::TestLog;
pub use trace::{InvalidTraces, TelemetryConfig, TracesConfig};

/// Why a process cannot show itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log filter `{filter}` is not valid: {reason}; write it like `info,lanyard_authn=debug`")]
    Filter {
        /// The filter asked for.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody set up the log already.
    #[error("the log is set up already; a process does so once")]
    LogTwice,
    /// Somebody installed a recorder already.
    #[error("the metrics recorder cannot be installed: {0}; a process does so once")]
    Recorder(String),
}
