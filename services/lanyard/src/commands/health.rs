//! `lanyard health SERVICE`: whether a service process takes work, for probes of containers.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use http::Request;
use lanyard_kit::{
    Clock as _, SystemClock,
    peers::{Options, Peers},
    telemetry::Calls,
    tls::{ServiceFiles, install_provider},
};
use serde::Serialize;
use tonic::{body::Body, client::GrpcService as _};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use url::Url;

use crate::{cli::Context, exit::Ending, failure::Failure, run::ServiceName, show::Fields};

/// The flags of `lanyard health`.
#[derive(Debug, Args)]
#[command(
    after_help = "It asks gRPC's own health service over mTLS, of awsapi its /readyz, with the certificate of the service's own \
                  folder, and sees that who answers is that service. Exit code 0: it takes work. 1: it does not, it is \
                  starting or stopping. 69: nobody answers.\n\nExamples:\n  lanyard health authn --tls-dir \
                  /etc/lanyard/authn\n  lanyard health gateway --tls-dir /etc/lanyard/gateway\n  lanyard health awsapi --tls-dir \
                  /etc/lanyard/awsapi --url https://aws.internal:8445"
)]
pub struct HealthArgs {
    /// Which service.
    #[arg(value_enum)]
    service: ServiceName,
    /// Its address; the certificate has to hold the host [default: https://localhost, with port 8444 of gateway, 8445 of awsapi, 7443
    /// of the others]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
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
        let url = match self.url {
            Some(url) => url,
            None => own_url(self.service).map_err(Failure::usage)?,
        };
        let mut options = Options::new(&identity.hub, service, vec![url.clone()], tls, &Calls::sent([]));
        options.wait_max = wait;
        let peers = Peers::<Body>::connect(&options).map_err(Failure::usage)?;
        let asked = async {
            match self.service {
                ServiceName::Awsapi => is_ready(peers).await,
                _ => is_serving(peers).await,
            }
        };
        let is_serving = tokio::time::timeout(wait, asked)
            .await
            .map_err(|_| Failure::NoAnswer(format!("no answer from {service} at {url} within {wait:?}")))??;
        let status = if is_serving { "serving" } else { "not serving" };
        context.show(&Fields(Health { service, url: url.to_string(), status }))?;
        Ok(is_serving.into())
    }
}

/// Where a service listens by itself.
fn own_url(service: ServiceName) -> Result<Url, url::ParseError> {
    Url::parse(match service {
        ServiceName::Gateway => "https://localhost:8444",
        ServiceName::Awsapi => "https://localhost:8445",
        _ => "https://localhost:7443",
    })
}

async fn is_serving(peers: Peers<Body>) -> Result<bool, Failure> {
    let answer = HealthClient::new(peers).check(HealthCheckRequest::default()).await?;
    Ok(answer.into_inner().status() == ServingStatus::Serving)
}

/// The door of the AWS wire speaks no gRPC.
async fn is_ready(mut peers: Peers<Body>) -> Result<bool, Failure> {
    let request = Request::get("/readyz").body(Body::empty()).map_err(Failure::usage)?;
    let answer = peers.call(request).await.map_err(|fault| Failure::NoAnswer(fault.to_string()))?;
    Ok(answer.status().is_success())
}
