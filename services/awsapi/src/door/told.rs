//! What is told of each call to those who run the hub: a line of the log, and the door's metrics.

use std::time::Duration;

use http::StatusCode;
use lanyard_api::aws_wire::Service;
use lanyard_kit::telemetry::{Counters, Histograms, Label, StatusClass, names};

use crate::wire::Style;

/// What the log says of a call beside its answer, as far as it has come to light.
#[derive(Default)]
pub(super) struct Told {
    /// AWS's name of what it asks.
    pub(super) operation: Option<&'static str>,
    /// Who has proved to ask it: their ARN.
    pub(super) caller: Option<String>,
}

/// The door's metrics of calls, which its log goes with.
pub(super) struct Ledger {
    requests: Counters<(Of, StatusClass)>,
    seconds: Histograms<Of>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            requests: Counters::new(names::AWSAPI_REQUESTS_TOTAL),
            seconds: Histograms::new(names::AWSAPI_SECONDS),
        }
    }
}

impl Ledger {
    /// One line for each call, and one more in the metrics. Nothing in the line is longer than a name or an ARN.
    pub(super) fn tell(&self, style: &Style, told: &Told, status: StatusCode, code: &str, took: Duration) {
        let of = Of(style.service);
        self.requests.increment((of, StatusClass::from(status)));
        self.seconds.record(of, took);
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    { names::REQUEST_ID } = %style.id,
                    { names::SERVICE } = of.value(),
                    { names::RPC_METHOD } = told.operation,
                    { names::PRINCIPAL_ARN } = told.caller,
                    { names::HTTP_STATUS } = status.as_u16(),
                    { names::REASON_CODE } = code,
                    { names::DURATION_SECONDS } = took.as_secs_f64(),
                    $message
                )
            };
        }
        match status.is_server_error() {
            true => line!(warn, "a request of the AWS wire has no answer"),
            false => line!(info, "a request of the AWS wire is answered"),
        }
    }
}

/// The service of a request, as it is counted.
#[derive(Clone, Copy)]
struct Of(Option<Service>);

impl Label for Of {
    const KEY: &'static str = names::SERVICE;
    const ALL: &'static [Self] = &[
        Self(Some(Service::Eks)),
        Self(Some(Service::Sts)),
        Self(Some(Service::Iam)),
        Self(None),
        Self(Some(Service::EksAuth)),
    ];

    fn value(self) -> &'static str {
        self.0.map_or("none", Service::as_str)
    }

    fn index(self) -> usize {
        match self.0 {
            Some(Service::Eks) => 0,
            Some(Service::Sts) => 1,
            Some(Service::Iam) => 2,
            None => 3,
            Some(Service::EksAuth) => 4,
        }
    }
}
