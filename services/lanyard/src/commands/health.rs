//! `lanyard health SERVICE`: whether a service process takes work, for probes of containers.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use lanyard_kit::{
    Clock as _, SystemClock,
    peers::{Options, Peers},
    telemetry::Calls,
    tls::{ServiceFiles, install_provider},
};
use serde::Serialize;
use tonic::body::Body;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use url::Url;

use crate::{cli::Context, exit::Ending, failure::Failure, run::ServiceName, show::Fields};

/// The flags of `lanyard health`.
#[derive(Debug, Args)]
#[command(
    after_help = "It asks gRPC's own health service over mTLS, with the certificate of the service's own folder, and sees that \
                  who answers is that service. Exit code 0: it takes work. 1: it does not, it is starting or stopping. 69: \
                  nobody answers.\n\nExamples:\n  lanyard health authn --tls-dir /etc/lanyard/authn\n  lanyard health gateway \
                  --tls-dir /etc/lanyard/gateway --url https://localhost:8444"
)]
pub struct HealthArgs {
    /// Which service.
    #[arg(value_enum)]
    service: ServiceName,
    /// Its gRPC address; the certificate has to hold the host.
    #[arg(long, value_name = "URL", default_value = "https://localhost:7443")]
    url: Url,
    /// The folder that `lanyard pki issue` wrote for this service.
    #[arg(long, value_name = "DIR")]
    tls_dir: PathBuf,
    /// How long to wait for an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=60))]
    timeout: u8,
}

/// What it says.
#[derive(Debug, Serialize)]
struct Health {
    service: &'static str,
    url: String,
    status: &'static str,
}

impl HealthArgs {
    /// Asks.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        install_provider();
        let service = self.service.as_str();
        let files = ServiceFiles { dir: self.tls_dir, ..ServiceFiles::default() };
        let identity = files.load(service, SystemClock.now()).map_err(Failure::usage)?;
        let wait = Duration::from_secs(self.timeout.into());
        let tls = identity.client().map_err(Failure::usage)?;
        let mut options = Options::new(&identity.hub, service, vec![self.url.clone()], tls, &Calls::sent([]));
        options.wait_max = wait;
        let peers = Peers::<Body>::connect(&options).map_err(Failure::usage)?;
        let mut client = HealthClient::new(peers);
        let asked = tokio::time::timeout(wait, client.check(HealthCheckRequest::default())).await;
        let answer = asked.map_err(|_| {
            Failure::NoAnswer(format!("no answer from {service} at {} within {wait:?}", self.url))
        })?;
        let is_serving = answer?.into_inner().status() == ServingStatus::Serving;
        let status = if is_serving { "serving" } else { "not serving" };
        context.show(&Fields(Health { service, url: self.url.to_string(), status }))?;
        Ok(is_serving.into())
    }
}
