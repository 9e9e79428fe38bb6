//! One service, from its command line to its end.

use std::{future::Future, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use axum::middleware;
use lanyard_api::{grpc::with_health_and_reflection, methods};
use lanyard_kit::{
    Clock, SystemClock,
    config::{Environment, Sources, load, print_config},
    life::{self, Life},
    serve::{Options, Server},
    telemetry::{Calls, ServedLayer},
};
use lanyard_store::Holder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tonic::service::Routes;

use crate::{callers, config::ProcessConfig, opened::Opened};

/// The flags that every service has.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A TOML file.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where /metrics, /livez and /readyz listen, over plain HTTP [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// The folder that `lanyard pki issue` wrote for this service.
    #[arg(long, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Written once everything answers: one JSON object with the service and its URL.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What is logged, such as `info,lanyard_authn=debug`.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Shows the configuration as it would be used, and ends.
    #[arg(long)]
    pub print_config: bool,
}

impl Args {
    fn sources(&self) -> Sources {
        let flags = json!({ "process": {
            "listen": self.listen,
            "tls": self.tls_dir.as_ref().map(|dir| json!({ "dir": dir })),
            "ready_file": self.ready_file,
            "log": self.log.as_ref().map(|filter| json!({ "filter": filter })),
            "metrics": self.metrics_listen.as_ref().map(|address| json!({ "listen": address })),
        }});
        let sources = Sources::none().environment(Environment::of_process()).flags(flags);
        match &self.config {
            Some(path) => sources.file(path),
            None => sources,
        }
    }
}

/// The configuration of a service.
pub trait Configured: DeserializeOwned + Serialize + Send + 'static {
    /// What every service has.
    fn process(&self) -> &ProcessConfig;

    /// Looks at what the shapes cannot say, before anything is opened.
    ///
    /// # Errors
    /// In words that name the key, the rule and the next step.
    fn validate(&self) -> Result<(), String>;
}

/// A service with a store of its own keys.
pub trait Service: Sized + Send + Sync + 'static {
    /// Which.
    const HOLDER: Holder;
    /// What it is called in traces: its program's name.
    const NAME: &'static str;
    /// What it is told.
    type Config: Configured;

    /// Starts the engine; answers it with the methods that it serves.
    ///
    /// # Errors
    /// Where a value or a key does not do.
    fn start(
        config: Self::Config,
        opened: &Opened,
    ) -> impl Future<Output = anyhow::Result<(Self, Routes)>> + Send;

    /// Waits until what was taken for the store is there.
    fn flush(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Runs a service until it is told to stop.
pub fn main<S: Service>(args: &Args) -> ExitCode {
    let config = match load::<S::Config>(&args.sources()) {
        Ok(config) => config,
        Err(error) => return life::configuration_fault(&error),
    };
    if args.print_config {
        return match print_config(&config) {
            Ok(text) => print(text.trim_end()),
            Err(error) => life::configuration_fault(&error),
        };
    }
    let invalid = config.process().validate().map_err(|error| error.to_string());
    if let Err(error) = invalid.and_then(|()| config.validate()) {
        return life::configuration_fault(&error);
    }
    let process = config.process();
    let options = life::Options {
        service: S::NAME,
        log: process.log.clone(),
        metrics: process.metrics.clone(),
        telemetry: process.telemetry.clone(),
        ..life::Options::default()
    };
    life::run(options, |life| async move {
        serve::<S>(config, life).await.map_err(|error| format!("{}: {error:#}", S::HOLDER))
    })
}

#[expect(clippy::print_stdout, reason = "the configuration is what was asked for")]
fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

async fn serve<S: Service>(config: S::Config, life: Life) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register(S::HOLDER.as_str());
    let process = config.process().clone();
    let opened = Opened::open(S::HOLDER, &process, &clock).await?;
    tokio::spawn(life.stop().run_until_cancelled_owned(Arc::clone(&opened.identity).follow()));
    let mut options = Options::loopback(0).with_live_tls(opened.identity.server());
    options.address = process.listen;
    let server = Server::bind(options).await?;
    let (service, routes) = S::start(config, &opened).await?;
    let readiness = life.readiness().clone();
    let routes = with_health_and_reflection(routes, async move { readiness.wait().await }).await?;
    let hub = opened.identity.first().hub.clone();
    let guarded = routes
        .into_axum_router()
        .layer(middleware::from_fn(move |request, next| callers::admit(hub.clone(), request, next)))
        .layer(ServedLayer::new(Calls::served(methods::paths())));
    let url = format!("https://{}", server.address());
    ready.ready();
    let serving = tokio::spawn(server.run(guarded, life.stop()));
    if let Some(path) = &process.ready_file {
        let about = json!({
            "service": S::HOLDER.as_str(),
            "grpc": url,
            "metrics": life.metrics_url(),
            "hub_id": opened.hub.to_string(),
        });
        std::fs::write(path, format!("{about:#}\n"))
            .with_context(|| format!("ready-file `{}`", path.display()))?;
    }
    tracing::info!(service = %S::HOLDER, grpc = url, hub_id = %opened.hub, "ready");
    serving.await?;
    service.flush().await;
    opened.store.close().await;
    Ok(())
}
