//! The spoke service as a process of its own: no engine and no database; it calls the others over mTLS, and answers for its health
//! and about the pods of the clusters that it watches.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use lanyard_api::{
    grpc::{Door, Served, with_health_and_reflection},
    methods::{self, SPOKE_SERVICE},
    spoke::server,
};
use lanyard_kit::{
    Clock, SystemClock,
    life::{self, Flags, Life, ReadyFile},
    peers::PeersConfig,
    serve::{Options, Peer, Server},
    telemetry::{Calls, LogConfig, MetricsConfig, ServedLayer, TelemetryConfig},
    tls::{Clients, LiveIdentity, PeerIdentity, ServiceFiles},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tonic::{Status, service::Routes};

use crate::{ApiServers, Fleet, SpokeConfig, admitted::Services};

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpokeProcessConfig {
    /// Where gRPC listens: health, reflection, and reviews of pods for the service that vends to them.
    pub listen: SocketAddr,
    /// The service's certificate: as whom it calls the others.
    pub tls: ServiceFiles,
    /// Where the services are.
    pub peers: PeersConfig,
    /// Until a call to a service has to be answered; a push of RBAC or of ServiceAccounts has a minute at least. More lets in a cluster whose
    /// first list is written for longer than that, and has all of a cluster wait for as long where a service hangs.
    pub call_timeout_ms: u64,
    /// Written once every service is there: one JSON object for scripts.
    pub ready_file: Option<PathBuf>,
    /// The watch.
    pub spoke: SpokeConfig,
    /// The log on standard error.
    pub log: LogConfig,
    /// The listener for operators.
    pub metrics: MetricsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
}

impl Default for SpokeProcessConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: ServiceFiles::default(),
            peers: PeersConfig::default(),
            call_timeout_ms: 10_000,
            ready_file: None,
            spoke: SpokeConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl SpokeProcessConfig {
    fn validate(&self) -> Result<(), String> {
        self.peers.validate()?;
        if self.call_timeout_ms == 0 {
            return Err("call_timeout_ms: 0 lets nothing through, give at least 1".to_owned());
        }
        self.spoke.validate().map_err(|error| error.to_string())
    }
}

/// The flags of the spoke service.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Those that every service has.
    #[command(flatten)]
    pub flags: Flags,
}

/// Runs the spoke service until it is told to stop.
pub fn main(args: &Args) -> ExitCode {
    let own = args.listen.iter().map(|address| ("listen".to_owned(), json!(address)));
    let options = |config: &SpokeProcessConfig| {
        life::Options::of("lanyard-spoke", &config.log, &config.metrics, &config.telemetry)
    };
    let sources = args.flags.sources(None, own.collect());
    life::configured(
        &sources,
        args.flags.print_config,
        SpokeProcessConfig::validate,
        options,
        |config, life| async move {
            serve(config, life).await.map_err(|error| format!("{SPOKE_SERVICE}: {error:#}"))
        },
    )
}

async fn serve(config: SpokeProcessConfig, life: Life) -> anyhow::Result<()> {
    let mut ready_file = config.ready_file.as_deref().map(ReadyFile::begin).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register(SPOKE_SERVICE);
    let identity = LiveIdentity::load(&config.tls, SPOKE_SERVICE, Clients::Required, Arc::clone(&clock))?;
    let identity = Arc::new(identity);
    let hub = identity.first().hub.clone();
    identity.follow_until(life.stop());
    let server = Server::bind(Options::at(config.listen).with_live_tls(identity.server())).await?;
    let url = format!("https://{}", server.reached_at());
    let readiness = life.readiness().clone();
    let api_servers = ApiServers::default();
    let reviews = Served::new(Arc::new(api_servers.clone()), Door::between_services());
    let routes = Routes::new(server::pod_reviews(reviews));
    let routes = with_health_and_reflection(routes, async move { readiness.wait().await }).await?;
    let of_hub = hub.clone();
    let guarded = routes
        .into_axum_router()
        .layer(middleware::from_fn(move |request, next| services_alone(of_hub.clone(), request, next)))
        .layer(ServedLayer::new(Calls::served(methods::paths())));
    let serving = tokio::spawn(server.run(guarded, life.stop()));
    let services =
        Services::connect(&identity, &config.peers, Duration::from_millis(config.call_timeout_ms))?;
    if life.stop().run_until_cancelled(services.connected()).await.is_some() {
        ready.ready();
        let about = json!({
            "service": SPOKE_SERVICE,
            "grpc": url,
            "metrics": life.metrics_url(),
            "hub_id": hub,
        });
        life.tell_ready(&about, ready_file.as_mut())?;
        let Services { mapping, authz, credentials, .. } = services;
        Fleet::new(mapping, authz, credentials, api_servers, config.spoke, clock).run(life.stop()).await;
    }
    serving.await?;
    Ok(())
}

/// The hub's services may ask how this one is, and each what [`methods::callers`] lets it. A spoke's or principal's certificate, though
/// of the same hub, opens nothing here.
async fn services_alone(hub: String, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.identity.clone());
    let callers = methods::callers(request.uri().path());
    match peer.as_deref() {
        Some(PeerIdentity::Service { hub: of, name }) if *of == hub && callers.include(name) => {
            next.run(request).await
        }
        Some(PeerIdentity::Service { .. } | PeerIdentity::Spoke { .. } | PeerIdentity::Principal { .. })
        | None => {
            let rule = "services of this hub are answered here, each about what it may ask";
            Status::permission_denied(rule).into_http()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lanyard_kit::config::{Sources, load};

    use super::*;

    #[tokio::test]
    async fn immunity_41_pods_are_reviewed_for_the_service_that_vends_and_for_nobody_else() {
        const REVIEW: &str = "/lanyard.spoke.v1.PodReviews/ReviewPod";
        const HEALTH: &str = "/grpc.health.v1.Health/Check";
        let service = |hub, name| PeerIdentity::service(hub, name).ok();
        for (peer, path, is_answered) in [
            (service("h1", "credentials"), REVIEW, true),
            (service("h2", "credentials"), REVIEW, false),
            (service("h1", "gateway"), REVIEW, false),
            (service("h1", "awsapi"), REVIEW, false),
            (service("h1", "spoke"), REVIEW, false),
            (service("h1", "gateway"), HEALTH, true),
            (service("h2", "gateway"), HEALTH, false),
            (PeerIdentity::spoke("h1", "9f0c").ok(), REVIEW, false),
            (PeerIdentity::spoke("h1", "9f0c").ok(), HEALTH, false),
            (None, REVIEW, false),
        ] {
            let what = format!("{peer:?} {path}");
            let routes = axum::Router::new().fallback(axum::routing::any(|| async { "reached" }));
            let guard = middleware::from_fn(|request, next| services_alone("h1".to_owned(), request, next));
            let mut request = Request::post(path).body(axum::body::Body::empty()).unwrap();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let peer = Peer { address, identity: peer.map(Arc::new), certificate_sha256: None };
            request.extensions_mut().insert(peer);
            let response = tower::ServiceExt::oneshot(routes.layer(guard), request).await.unwrap();
            let refused = Status::from_header_map(response.headers());
            assert_eq!(refused.is_none(), is_answered, "{what}: {refused:?}");
        }
    }

    #[test]
    fn the_sample_is_a_configuration_and_a_value_out_of_its_rule_is_named() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/spoke.toml");
        let sample = || load::<SpokeProcessConfig>(&Sources::none().file(&path)).unwrap();
        assert_eq!(sample().validate(), Ok(()));
        let mut without = sample();
        without.peers.authz.clear();
        assert!(without.validate().unwrap_err().starts_with("peers.authz"));
        let mut never = sample();
        never.spoke.renew_milliseconds = 0;
        assert!(never.validate().unwrap_err().starts_with("spoke.renew_milliseconds"));
    }
}
