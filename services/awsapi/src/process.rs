//! The door of the AWS wire as a process of its own: no engine and no database behind it but over mTLS.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{self, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use lanyard_kit::{
    Clock, SystemClock,
    life::{self, Flags, Life, ReadyFile},
    peers::PeersConfig,
    serve::{Options, Server},
    telemetry::{LogConfig, MetricsConfig, TelemetryConfig},
    tls::{Clients, LiveIdentity, ROOT_FILE, ServiceFiles},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AwsApiConfig, AwsDoor, Backend as _, Hub, Parts, REQUEST_ID, remote::RemoteServices};

/// The name in its certificate.
const SERVICE: &str = lanyard_api::methods::AWSAPI;
/// Where AWS's clients knock by default.
const AWS_PORT: u16 = 8445;

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AwsApiProcessConfig {
    /// Where the AWS wire listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The door's certificate: for its listener, and as whom it calls the services.
    pub tls: ServiceFiles,
    /// Where the services are.
    pub peers: PeersConfig,
    /// The gateway's URL, which stands in for API servers that the hub does not know; without it such clusters have no endpoint.
    pub gateway_url: Option<String>,
    /// Written once everything answers: one JSON object for scripts.
    pub ready_file: Option<PathBuf>,
    /// The door's limits.
    pub awsapi: AwsApiConfig,
    /// The log on standard error.
    pub log: LogConfig,
    /// The listener for operators.
    pub metrics: MetricsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
}

impl Default for AwsApiProcessConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), AWS_PORT),
            tls: ServiceFiles::default(),
            peers: PeersConfig::default(),
            gateway_url: None,
            ready_file: None,
            awsapi: AwsApiConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl AwsApiProcessConfig {
    fn validate(&self) -> Result<(), String> {
        self.peers.validate()?;
        self.awsapi.validate()
    }
}

/// The flags of the door.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the AWS wire listens; port 0 takes a free one [default: 127.0.0.1:8445].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Those that every service has.
    #[command(flatten)]
    pub flags: Flags,
}

/// Runs the door until it is told to stop.
pub fn main(args: &Args) -> ExitCode {
    let own = args.listen.iter().map(|address| ("listen".to_owned(), json!(address)));
    let options = |config: &AwsApiProcessConfig| {
        life::Options::of("lanyard-awsapi", &config.log, &config.metrics, &config.telemetry)
    };
    let sources = args.flags.sources(None, own.collect());
    life::configured(
        &sources,
        args.flags.print_config,
        AwsApiProcessConfig::validate,
        options,
        |config, life| async move { serve(config, life).await.map_err(|error| format!("{SERVICE}: {error:#}")) },
    )
}

/// Ways to the services, door, listener, in this order; ready once each service is there.
async fn serve(config: AwsApiProcessConfig, life: Life) -> anyhow::Result<()> {
    let mut ready_file = config.ready_file.as_deref().map(ReadyFile::begin).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register("services");
    let identity = Arc::new(LiveIdentity::load(&config.tls, SERVICE, Clients::Optional, Arc::clone(&clock))?);
    let hub_id = identity.first().hub.clone();
    identity.follow_until(life.stop());
    let mut options = Options::at(config.listen).with_live_tls(identity.server());
    options.numbered_by = Some(REQUEST_ID);
    let server = Server::bind(options).await?;
    let timeout = config.awsapi.request_timeout();
    let backend = RemoteServices::connect(&identity, &config.peers, timeout, clock)?;
    let ca = path::absolute(config.tls.root.clone().unwrap_or_else(|| config.tls.dir.join(ROOT_FILE)))?;
    let door = AwsDoor::new(Parts {
        backend: backend.clone(),
        config: config.awsapi.clone(),
        hub: Hub {
            gateway_url: config.gateway_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            certificate_authority: identity.root_pem(),
        },
        readiness: life.readiness().clone(),
    });
    let about = json!({
        "aws": format!("https://{}", server.reached_at()),
        "metrics": life.metrics_url(),
        "ca": ca,
        "hub_id": hub_id,
    });
    // It answers from the start: `/readyz` says what is missing, and what is asked waits for the services a while.
    let serving = tokio::spawn(server.run(door, life.stop()));
    if life.stop().run_until_cancelled(backend.connected()).await.is_some() {
        ready.ready();
        life.tell_ready(&about, ready_file.as_mut())?;
    }
    serving.await?;
    if let Some(recorder) = backend.recorder() {
        recorder.flush().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lanyard_kit::config::{Sources, load};

    use super::*;

    fn sample() -> AwsApiProcessConfig {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/awsapi.toml");
        load(&Sources::none().file(&path)).unwrap()
    }

    #[test]
    fn the_sample_is_a_configuration() {
        assert_eq!(sample().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        let mut config = sample();
        config.peers.mapping.clear();
        assert!(config.validate().unwrap_err().starts_with("peers.mapping"));
        let mut config = sample();
        config.awsapi.requests_in_flight_max = 0;
        assert!(config.validate().unwrap_err().starts_with("awsapi.requests_in_flight_max"));
    }
}
