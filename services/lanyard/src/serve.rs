//! `lanyard serve`: the whole suite in one process.

mod config;
mod credentials_file;
mod envelope;
mod external_url;
mod hub;
mod listeners;
mod ready;
mod suite;

use std::{
    path::{self, Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use lanyard_aws::{AwsClient, CredentialSource};
use lanyard_awsapi::AwsDoor;
use lanyard_gateway::{Directory, RecordedVend, Recorder, Services as _, door, kubernetes};
use lanyard_iam::Region;
use lanyard_kit::{
    Clock, SystemClock,
    config::{Sources, load},
    http_client,
    life::{self, Life, sources},
    tls,
};
use lanyard_spoke::{ApiServers, Fleet};
use lanyard_store::{Keyring, StoreUrl};
use serde_json::json;

pub use config::ServeConfig;
pub use hub::{OpenedHub, alone};
pub use ready::Ready;

/// The flags of `lanyard serve`; each is a key of the configuration file too.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Configuration comes from --config, then LANYARD_ variables (LANYARD_GATEWAY__REVIEW_TIMEOUT_MS), then \
                        flags; the later one wins. AWS mode \
                        ([aws]) and the place of the envelope key ([envelope]) are configured there alone: see \
                        deploy/lanyard.toml.\n\nExamples:\n  lanyard serve\n  lanyard serve --listen 127.0.0.1:0 \
                        --grpc-listen 127.0.0.1:0 --ready-file /tmp/ready.json\n  lanyard serve --print-config > lanyard.toml\n  \
                        lanyard serve --renew-administrator                  # when the credentials file is lost"
)]
pub struct Args {
    /// A TOML file.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// The hub's folder: database, keys, CA, credentials [default: ~/.local/share/lanyard].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where Kubernetes' HTTP listens; port 0 takes a free one [default: 127.0.0.1:8443].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:8444].
    #[arg(long, value_name = "ADDRESS")]
    pub grpc_listen: Option<String>,
    /// Where the AWS wire listens, for AWS's own clients; port 0 takes a free one [default: 127.0.0.1:8445].
    #[arg(long, value_name = "ADDRESS")]
    pub aws_listen: Option<String>,
    /// Where /metrics, /livez and /readyz listen, over plain HTTP [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// A name or address that the certificates hold beyond loopback; may be given again.
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,
    /// The URL by which the hub is known: of webhook files and issuers. The first that is told is stored [default: the stored
    /// one, else where the gateway listens].
    #[arg(long, value_name = "URL")]
    pub external_url: Option<String>,
    /// The region that management calls sign [default: us-east-1].
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The number of the account made at first start.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Written once everything answers, and removed at the end: one JSON object with URLs, CA and credentials.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Lets the administrator's profile work on listeners that are not on loopback.
    #[arg(long)]
    pub administrator_on_public_listener: bool,
    /// Puts the administrator back: one new key in place of its others, its first policy, without blocks that stop it.
    #[arg(long)]
    pub renew_administrator: bool,
    /// What is logged, such as `info,lanyard_authn=debug`.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Shows the configuration as it would be used, and ends.
    #[arg(long)]
    pub print_config: bool,
}

impl Args {
    fn sources(&self) -> Sources {
        let flags = json!({
            "data_dir": self.data_dir,
            "listen": self.listen,
            "grpc_listen": self.grpc_listen,
            "aws_listen": self.aws_listen,
            "tls_san": (!self.tls_san.is_empty()).then_some(&self.tls_san),
            "external_url": self.external_url,
            "region": self.region,
            "account": self.account,
            "ready_file": self.ready_file,
            "administrator_on_public_listener": self.administrator_on_public_listener.then_some(true),
            "log": self.log.as_ref().map(|filter| json!({ "filter": filter })),
            "metrics": self.metrics_listen.as_ref().map(|address| json!({ "listen": address })),
        });
        sources(self.config.as_deref(), flags)
    }
}

/// Serves until told to stop.
pub fn run(args: &Args) -> ExitCode {
    let options =
        |config: &ServeConfig| life::Options::of("lanyard", &config.log, &config.metrics, &config.telemetry);
    let validate = |config: &ServeConfig| config.validate().map_err(|error| error.to_string());
    let renew = args.renew_administrator;
    life::configured(&args.sources(), args.print_config, validate, options, |config, life| async move {
        serve(config, life, renew).await.map_err(|error| format!("{error:#}"))
    })
}

/// Store, engines, doors, listeners, in this order; then ready.
async fn serve(mut config: ServeConfig, life: Life, renew_administrator: bool) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register("hub");
    // The ready-file says where things are, to whoever reads it, from whatever folder.
    config.data_dir = path::absolute(&config.data_dir)?;
    let taken = hub::take(&config.data_dir)?;
    // Not before, for then the files were of another hub that runs on this folder.
    let mut ready_files = ready::files(&config)?;
    let aws = aws_client(&config, &clock)?;
    let opened = hub::open(&config, &clock, aws.as_ref(), renew_administrator, taken).await?;
    config.external_url = external_url::settle(&opened.store, &config).await?;
    let ca = tls::Authority::load_or_create(
        &config.data_dir.join("pki"),
        &opened.hub.id.to_string(),
        clock.now(),
    )?;
    let ca_path = ca.root_path().to_owned();
    let certificate = Arc::new(tls::LiveAuthority::new(ca, listeners::names(&config), Arc::clone(&clock))?);
    certificate.follow_until(life.stop());
    let listeners = listeners::bind(&config, &certificate).await?;
    config.authn.own_sts_hosts.extend(listeners::sts_hosts(&config, listeners.aws.address().port()));
    let (bound, reached_at) = (listeners.gateway.address(), listeners.gateway.reached_at());
    let gateway_url = listeners::gateway_url(&config, bound, reached_at);
    if bound.ip().is_unspecified() && config.external_url.is_none() {
        tracing::warn!(
            gateway = %gateway_url,
            "it listens at every address, and nobody has said under which URL it is known: webhook files and issuers name this one; if \
             API servers reach it by another, start it with --external-url"
        );
    }
    let parts = suite::Parts { aws, chains: certificate.chains(), external_url: &gateway_url };
    let suite = Arc::new(suite::Suite::start(&opened, &config, parts).await?);
    let api_servers = ApiServers::default();
    suite.credentials().review_pods_by(api_servers.clone());
    let recorder = Recorder::start(Arc::clone(&suite), config.gateway.recorder_queue_max);
    let gateway = kubernetes::Gateway::new(kubernetes::Parts {
        directory: Directory::follow(suite.directory(), config.gateway.metric_clusters_max),
        recorder: recorder.clone(),
        revisions: suite.revisions(),
        services: Arc::clone(&suite),
        config: config.gateway.clone(),
        clock: Arc::clone(&clock),
        hub: kubernetes::HubInfo {
            hub_id: opened.hub.id,
            account: opened.hub.account.to_string(),
            partition: opened.hub.partition.to_string(),
            region: opened.hub.region.to_string(),
            version: env!("CARGO_PKG_VERSION"),
        },
        readiness: life.readiness().clone(),
        metrics: life.metrics().cloned(),
    });
    let grpc = door::routes(&gateway, life.readiness().clone()).await?;
    let about = Ready {
        gateway: gateway_url.trim_end_matches('/').to_owned(),
        grpc: format!("https://{}", listeners.grpc.reached_at()),
        aws: Some(format!("https://{}", listeners.aws.reached_at())),
        metrics: life.metrics_url().map(|url| ("serve".to_owned(), url.to_owned())).into_iter().collect(),
        ca: ca_path,
        credentials: opened.credentials_file.clone(),
        account: opened.hub.account.to_string(),
        region: opened.hub.region.to_string(),
        hub_id: opened.hub.id.to_string(),
    };
    let aws_door = AwsDoor::new(lanyard_awsapi::Parts {
        backend: lanyard_awsapi::in_process(
            Arc::clone(suite.authn()),
            Arc::clone(suite.mapping()),
            Arc::clone(suite.credentials()),
            Arc::new(RecordedVend::new(Arc::clone(&gateway))),
        ),
        config: config.awsapi.clone(),
        hub: lanyard_awsapi::Hub {
            gateway_url: Some(about.gateway.clone()),
            certificate_authority: certificate.root_pem(),
        },
        readiness: life.readiness().clone(),
    });
    ready.ready();
    let (http, rpc, wire) = (
        tokio::spawn(listeners.gateway.run(kubernetes::HttpDoor::new(gateway), life.stop())),
        tokio::spawn(listeners.grpc.run(grpc, life.stop())),
        tokio::spawn(listeners.aws.run(aws_door, life.stop())),
    );
    // Not of a hub that was told to stop while it started: its listeners end at once.
    if !life.readiness().is_stopping() {
        for file in &mut ready_files {
            about.write(file)?;
        }
        let aws = about.aws.as_deref();
        tracing::info!(gateway = %about.gateway, grpc = %about.grpc, aws, hub_id = %about.hub_id, "ready");
    }
    let watching = config.spoke.enabled.then(|| {
        let (mapping, authz) = (Arc::clone(suite.mapping()), Arc::clone(suite.authz()));
        let credentials = Arc::clone(suite.credentials());
        let (spoke, clock) = (config.spoke.clone(), Arc::clone(&clock));
        let fleet = Fleet::new(mapping, authz, credentials, api_servers, spoke, clock);
        tokio::spawn(fleet.run(life.stop()))
    });
    http.await?;
    rpc.await?;
    wire.await?;
    if let Some(watching) = watching {
        watching.await?;
    }
    // What the gateway still holds goes into authz's log, and that into the store; `life` has the deadline for both.
    recorder.flush().await;
    suite.flush().await;
    Ok(())
}

/// The configuration of a hub for a command that needs none to run.
///
/// # Errors
/// Where a value breaks its rule.
pub fn configuration(config: Option<&Path>, data_dir: Option<&Path>) -> anyhow::Result<ServeConfig> {
    tls::install_provider();
    let config: ServeConfig = load(&sources(config, json!({ "data_dir": data_dir })))?;
    config.validate()?;
    Ok(config)
}

/// The hub of a data folder and its certificates. Makes both if there are none.
///
/// # Errors
/// As the start of a hub.
pub async fn open_offline(
    config: &ServeConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(OpenedHub, tls::Authority)> {
    let aws = aws_client(config, clock)?;
    let taken = hub::take(&config.data_dir)?;
    let opened = hub::open(config, clock, aws.as_ref(), false, taken).await?;
    let pki = config.data_dir.join("pki");
    let authority = tls::Authority::load_or_create(&pki, &opened.hub.id.to_string(), clock.now())?;
    Ok((opened, authority))
}

/// What opens the keys in a hub's store.
///
/// # Errors
/// Where a file must not hold a key, or KMS gives none.
pub async fn keyring(
    config: &ServeConfig,
    url: &StoreUrl,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Keyring> {
    let aws = aws_client(config, clock)?;
    Ok(envelope::open_made(&config.envelope, &config.data_dir, url, aws.as_ref()).await?.keyring)
}

/// AWS as the hub itself, where anything asks for it.
fn aws_client(config: &ServeConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<AwsClient>> {
    let is_needed = config.aws.enabled || config.envelope.needs_kms(&config.data_dir);
    is_needed.then(|| kms_client(config, clock)).transpose()
}

/// What asks KMS, and all else of AWS, as the hub itself.
///
/// # Errors
/// Where a value breaks its rule.
pub fn kms_client(config: &ServeConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<AwsClient> {
    let region = Region::parse(config.aws.region.as_deref().unwrap_or(&config.region))?;
    let source = CredentialSource::chain(config.aws.profile.as_deref(), &region);
    let http = http_client::Options::default();
    Ok(AwsClient::new(&config.aws, &region, source, http, Arc::clone(clock))?)
}

#[cfg(test)]
mod tests;
