//! The gateway as a process of its own: doors alone, with no engine and no database behind them but over mTLS.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{self, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use lanyard_api::mapping::Clusters as _;
use lanyard_iam::{AccountId, Region, partition_of_region};
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

use crate::{
    Directory, GatewayConfig, Recorder, Revisions, Services as _, directory, door, kubernetes,
    remote::RemoteServices,
};

/// The name in its certificate.
const SERVICE: &str = "gateway";
/// Where Kubernetes and people knock by default.
const GATEWAY_PORT: u16 = 8443;
/// Where gRPC listens by default.
const GRPC_PORT: u16 = 8444;
/// Most bytes of a request's head: an API server passes on up to 1 MiB of its client's headers as a body, none as a head.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayProcessConfig {
    /// Where Kubernetes' HTTP listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where gRPC listens; port 0 takes a free one.
    pub grpc_listen: SocketAddr,
    /// The gateway's certificate: for its listeners, and as whom it calls the services.
    pub tls: ServiceFiles,
    /// Where the services are.
    pub peers: PeersConfig,
    /// Until a call to a service has to be answered.
    pub call_timeout_ms: u64,
    /// The URL that webhook files name, where it is not the listener's own.
    pub external_url: Option<String>,
    /// The number of the hub's own account.
    pub account: String,
    /// The region that management calls sign.
    pub region: String,
    /// Written once everything answers: one JSON object for scripts.
    pub ready_file: Option<PathBuf>,
    /// The doors' limits.
    pub gateway: GatewayConfig,
    /// The log on standard error.
    pub log: LogConfig,
    /// The listener for operators.
    pub metrics: MetricsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
}

impl Default for GatewayProcessConfig {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            listen: loopback(GATEWAY_PORT),
            grpc_listen: loopback(GRPC_PORT),
            tls: ServiceFiles::default(),
            peers: PeersConfig::default(),
            call_timeout_ms: 10_000,
            external_url: None,
            account: String::new(),
            region: "us-east-1".to_owned(),
            ready_file: None,
            gateway: GatewayConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl GatewayProcessConfig {
    fn validate(&self) -> Result<(), String> {
        AccountId::parse(&self.account)
            .map_err(|error| format!("account: {error}; it is the one that `lanyard pki issue` shows"))?;
        let region = Region::parse(&self.region).map_err(|error| format!("region: {error}"))?;
        partition_of_region(region.as_str())
            .ok_or_else(|| format!("region: `{region}` is in no partition that is known"))?;
        self.peers.validate()?;
        if self.call_timeout_ms == 0 {
            return Err("call_timeout_ms: 0 lets nothing through, give at least 1".to_owned());
        }
        self.gateway.validate().map_err(|error| error.to_string())
    }
}

/// The flags of the gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where Kubernetes' HTTP listens; port 0 takes a free one [default: 127.0.0.1:8443].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:8444].
    #[arg(long, value_name = "ADDRESS")]
    pub grpc_listen: Option<String>,
    /// Those that every service has.
    #[command(flatten)]
    pub flags: Flags,
}

/// Runs the gateway until it is told to stop.
pub fn main(args: &Args) -> ExitCode {
    let own = [("listen", &args.listen), ("grpc_listen", &args.grpc_listen)];
    let own = own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))));
    let options = |config: &GatewayProcessConfig| {
        life::Options::of("lanyard-gateway", &config.log, &config.metrics, &config.telemetry)
    };
    let sources = args.flags.sources(None, own.collect());
    life::configured(
        &sources,
        args.flags.print_config,
        GatewayProcessConfig::validate,
        options,
        |config, life| async move { serve(config, life).await.map_err(|error| format!("{SERVICE}: {error:#}")) },
    )
}

/// Ways to the services, doors, listeners, in this order; ready once each service is there and the clusters are known.
async fn serve(config: GatewayProcessConfig, life: Life) -> anyhow::Result<()> {
    let mut ready_file = config.ready_file.as_deref().map(ReadyFile::begin).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register("services");
    let identity = LiveIdentity::load(&config.tls, SERVICE, Clients::Optional, Arc::clone(&clock))?;
    let identity = Arc::new(identity);
    let hub = identity.first().hub.clone();
    identity.follow_until(life.stop());
    let region = Region::parse(&config.region)?;
    let partition = partition_of_region(region.as_str()).context("the region is in no partition")?;
    let listen = |address| {
        let mut options = Options::at(address).with_live_tls(identity.server());
        options.limits.head_bytes_max = HEAD_BYTES_MAX;
        Server::bind(options)
    };
    let (http, grpc) = (listen(config.listen).await?, listen(config.grpc_listen).await?);
    let call_timeout = Duration::from_millis(config.call_timeout_ms);
    let services = Arc::new(RemoteServices::connect(&identity, &config.peers, call_timeout)?);
    let mut directory = services.mapping().directory();
    let shown = directory::show(directory.clone(), Arc::clone(&clock));
    tokio::spawn(life.stop().run_until_cancelled_owned(shown));
    let revisions = Revisions::of_another();
    let listening = revisions.clone().listen(services.mapping().revisions());
    tokio::spawn(life.stop().run_until_cancelled_owned(listening));
    let recorder = Recorder::start(Arc::clone(&services), config.gateway.recorder_queue_max);
    let gateway = kubernetes::Gateway::new(kubernetes::Parts {
        directory: Directory::follow(directory.clone(), config.gateway.metric_clusters_max),
        recorder: recorder.clone(),
        revisions,
        services: Arc::clone(&services),
        config: config.gateway.clone(),
        clock,
        hub: kubernetes::HubInfo {
            hub_id: hub.parse().context("the certificate's hub")?,
            account: config.account.clone(),
            partition: partition.to_string(),
            region: config.region.clone(),
            version: env!("CARGO_PKG_VERSION"),
        },
        readiness: life.readiness().clone(),
        metrics: life.metrics().cloned(),
    });
    let routes = door::routes(&gateway, life.readiness().clone()).await?;
    let url = |server: &Server| format!("https://{}", server.reached_at());
    let gateway_url = config.external_url.clone().unwrap_or_else(|| url(&http));
    let about = json!({
        "gateway": gateway_url.trim_end_matches('/'),
        "grpc": url(&grpc),
        "metrics": life.metrics_url().map(|url| json!({ "gateway": url })),
        "ca": path::absolute(config.tls.root.clone().unwrap_or_else(|| config.tls.dir.join(ROOT_FILE)))?,
        "account": config.account,
        "region": config.region,
        "hub_id": hub,
    });
    // They answer from the start: `/readyz` says what is missing, and what is asked waits for the services a while.
    let serving = (
        tokio::spawn(http.run(kubernetes::HttpDoor::new(gateway), life.stop())),
        tokio::spawn(grpc.run(routes, life.stop())),
    );
    let there = async {
        services.connected().await;
        // An error says that the watch is being taken down.
        let _ = directory.wait_for(|directory| directory.revision.0 > 0).await;
    };
    if life.stop().run_until_cancelled(there).await.is_some() {
        ready.ready();
        life.tell_ready(&about, ready_file.as_mut())?;
    }
    serving.0.await?;
    serving.1.await?;
    recorder.flush().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lanyard_kit::config::{Sources, load};

    use super::*;

    fn sample() -> GatewayProcessConfig {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml");
        load(&Sources::none().file(&path)).unwrap()
    }

    #[test]
    fn the_sample_is_a_configuration() {
        assert_eq!(sample().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        let with = |change: &dyn Fn(&mut GatewayProcessConfig)| {
            let mut config = sample();
            change(&mut config);
            config.validate().unwrap_err()
        };
        let cases = [
            (with(&|config| config.account = "1".to_owned()), "account"),
            (with(&|config| config.region = "EU".to_owned()), "region"),
            (with(&|config| config.peers.authz.clear()), "peers.authz"),
            (with(&|config| config.call_timeout_ms = 0), "call_timeout_ms"),
        ];
        for (error, words) in cases {
            assert!(error.starts_with(words), "{error}");
        }
    }
}
