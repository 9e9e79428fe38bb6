//! One service, from its command line to its end.

use std::{future::Future, process::ExitCode, sync::Arc};

use lanyard_api::{grpc::with_health_and_reflection, methods};
use lanyard_kit::{
    Clock, SystemClock,
    life::{self, Flags, Life, ReadyFile},
    serve::{Guarded, Options, Server},
    telemetry::{Calls, ServedCalls},
    together::Together,
};
use lanyard_store::Holder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tonic::service::Routes;

use crate::{callers::Callers, config::ProcessConfig, opened::Opened};

/// The flags that every service with a store has.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Those that the others have too.
    #[command(flatten)]
    pub flags: Flags,
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
    let own = args.listen.iter().map(|address| ("listen".to_owned(), json!(address)));
    let sources = args.flags.sources(Some("process"), own.collect());
    let validate = |config: &S::Config| {
        config.process().validate().map_err(|error| error.to_string())?;
        config.validate()
    };
    let options = |config: &S::Config| {
        let process = config.process();
        life::Options::of(S::NAME, &process.log, &process.metrics, &process.telemetry)
    };
    life::configured(&sources, args.flags.print_config, validate, options, |config, life| async move {
        serve::<S>(config, life).await.map_err(|error| format!("{}: {error:#}", S::HOLDER))
    })
}

async fn serve<S: Service>(config: S::Config, life: Life) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register(S::HOLDER.as_str());
    let process = config.process().clone();
    let mut ready_file = process.ready_file.as_deref().map(ReadyFile::begin).transpose()?;
    let opened = Opened::open(S::HOLDER, &process, &clock).await?;
    opened.identity.follow_until(life.stop());
    let server = Server::bind(Options::at(process.listen).with_live_tls(opened.identity.server())).await?;
    let (service, routes) = S::start(config, &opened).await?;
    let readiness = life.readiness().clone();
    let routes = with_health_and_reflection(routes, async move { readiness.wait().await }).await?;
    let guarded = Guarded::new(routes.into_axum_router(), Callers::of(&opened.identity.first().hub));
    let served = ServedCalls::new(guarded, Calls::served(methods::paths()));
    let served = Together::new(served, methods::TOGETHER);
    let url = format!("https://{}", server.reached_at());
    ready.ready();
    let serving = tokio::spawn(server.run(served, life.stop()));
    let about = json!({
        "service": S::HOLDER.as_str(),
        "grpc": url,
        "metrics": life.metrics_url(),
        "hub_id": opened.hub.to_string(),
    });
    life.tell_ready(&about, ready_file.as_mut())?;
    serving.await?;
    service.flush().await;
    opened.store.close().await;
    Ok(())
}
