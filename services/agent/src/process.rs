//! The agent as a process: read top to bottom, from what it is told to what it answers.

mod listeners;
mod parts;
mod rules;

use std::future::Future;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use lanyard_kit::life::{self, EXIT_FAULT, Life, ReadyFile, configuration_fault};
use lanyard_kit::serve::{Answerer, PlainServer};
use lanyard_kit::{Clock, SystemClock, complain};
use tokio::task::{JoinError, JoinSet};
use tracing::info;

use self::listeners::Listeners;
use self::rules::Rules;
use crate::agent::Agent;
use crate::args::{AgentCommand, Args};
use crate::config::{AGENT_V4, AGENT_V6, AgentConfig};
use crate::door::{Answered, ContainerDoor, Hosts, MetadataDoor, Probe, Sessions};
use crate::kernel::{Addresses, KernelError, Redirect};
use crate::upstream::Patient;
use crate::vault::Vault;

/// The metadata service's own addresses, which requests of that road name.
const METADATA_HOSTS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Does what the command line says.
pub fn main(command: &AgentCommand) -> ExitCode {
    match command {
        AgentCommand::Server(args) => server(args),
        AgentCommand::Initialize(_) => once(|| {
            // They stay: the server that follows finds them there.
            Addresses::set_up(&[IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6)]).map(|_| ())
        }),
        AgentCommand::BootRules => once(|| io::stdout().write_all(Redirect::boot_rules().as_bytes())),
        AgentCommand::RemoveRules => once(Redirect::remove),
    }
}

fn once<E: std::fmt::Display>(work: impl FnOnce() -> Result<(), E>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("lanyard: {error}"));
            ExitCode::from(EXIT_FAULT)
        }
    }
}

/// Answers until told to stop.
fn server(args: &Args) -> ExitCode {
    let sources = match args.sources() {
        Ok(sources) => sources,
        Err(fault) => return configuration_fault(&fault),
    };
    let options = |config: &AgentConfig| life::Options {
        workers: Some(config.workers),
        ..life::Options::of("lanyard-agent", &config.log, &config.metrics, &config.telemetry)
    };
    life::configured(&sources, args.print_config, AgentConfig::validate, options, |config, life| async move {
        serve(config, life).await.map_err(|error| format!("{error:#}"))
    })
}

async fn serve(config: AgentConfig, life: Life) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register("listeners");
    let redirected = life.readiness().register("packet rules");
    // Before anything can go wrong: whatever keeps an agent from starting opens no way to the node's own role.
    if let Rules::Standing(redirect) = Rules::of(&config, false)
        && let Err(error) = aside(move || redirect.write_first()).await
    {
        info!(%error, "the packet rules that keep pods from the node's metadata service cannot be written yet");
    }
    let mut ready_file = config.ready_file.as_deref().map(ReadyFile::begin).transpose()?;
    let pods = parts::pods(&config)?.map(Arc::new);
    let namespaces = parts::namespaces(&config)?;
    let within = parts::milliseconds(config.cache.fetch_timeout_ms);
    let upstream = Patient::new(parts::upstream(&config, &clock)?, within);
    let vault = Vault::new(upstream, Arc::clone(&clock), parts::vault_options(&config));
    let agent = Arc::new(Agent::new(Arc::clone(&vault), pods.clone(), parts::limits(&config), clock));
    let addresses = addresses(&config)?;
    let listeners = Listeners::bind(&config).await?;
    let redirected_v6 = SocketAddr::from((AGENT_V6, config.imds.port));
    let rules = Rules::of(&config, listeners.has_metadata_at(redirected_v6));
    let probes = Probe::new(&listeners.container_addresses(), life.readiness().clone());
    let about = listeners.about(life.metrics_url());

    let mut serving = JoinSet::new();
    let relay = parts::relay(&config)?.map(Arc::new);
    for server in listeners.container {
        let own = server.address().ip();
        let hosts = Hosts::of([IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6), own]);
        let door = Arc::new(ContainerDoor::new(Arc::clone(&agent), relay.clone(), hosts, own));
        serving.spawn(run(server, &life, move |request| {
            let door = Arc::clone(&door);
            async move { door.answer(request).await }
        }));
    }
    let labelled = namespaces.labelled.clone();
    let metadata = parts::metadata_options(&config, namespaces);
    let sessions = Arc::new(Sessions::new()?);
    for server in listeners.metadata {
        let own = server.address().ip();
        let hosts = Hosts::of(METADATA_HOSTS.into_iter().chain([own]));
        let (options, sessions) = (Arc::clone(&metadata), Arc::clone(&sessions));
        let door = Arc::new(MetadataDoor::new(Arc::clone(&agent), options, sessions, hosts, own));
        serving.spawn(run(server, &life, move |request| {
            let door = Arc::clone(&door);
            async move { door.answer(request).await }
        }));
    }
    serving.spawn(run(listeners.probes, &life, move |request| {
        let probes = probes.clone();
        async move { probes.answer(request).await }
    }));
    serving.spawn(vault.run(pods.clone(), life.stop()));
    if let Some(pods) = pods {
        let stop = life.stop();
        serving.spawn(async move { pods.run(stop).await });
    }
    if let Some(labelled) = labelled {
        let stop = life.stop();
        serving.spawn(async move { labelled.run(stop).await });
    }
    ready.ready();
    // Who has credentials by the other road gets them meanwhile.
    let write = |redirect: Redirect| aside(move || redirect.write());
    if rules.settle(&redirected, &life.stop(), write, || aside(Redirect::remove)).await {
        life.tell_ready(&about, ready_file.as_mut())?;
        let (stop, stands) = (life.stop(), |redirect: Redirect| aside(move || redirect.stands()));
        serving.spawn(async move { rules.keep(&redirected, &stop, stands, write).await });
    }
    while serving.join_next().await.is_some() {}
    if let Some(addresses) = addresses {
        addresses.take_down();
    }
    Ok(())
}

/// Has the kernel do something on a thread that answers nobody: whoever waits for the kernel lets no pod be answered meanwhile.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KernelError> + Send + 'static,
) -> Result<T, KernelError> {
    let ended = |fault: JoinError| {
        Err(KernelError::new("no answer of the thread that asks the kernel", io::Error::other(fault)))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ended)
}

fn run<W, F>(server: PlainServer, life: &Life, work: W) -> impl Future<Output = ()> + Send + 'static
where
    W: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answered> + Send + 'static,
{
    server.run(Answerer::new(work), life.stop())
}

/// The agent's own addresses, if it is to set them up. Where it may not, somebody else may have.
fn addresses(config: &AgentConfig) -> anyhow::Result<Option<Addresses>> {
    let own = |address: &IpAddr| [IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6)].contains(address);
    let wanted: Vec<IpAddr> = config.bind_hosts.iter().copied().filter(own).collect();
    if !config.manage_addresses || wanted.is_empty() {
        return Ok(None);
    }
    match Addresses::set_up(&wanted) {
        Ok(addresses) => Ok(Some(addresses)),
        Err(error) if error.is_forbidden() => {
            info!(%error, "the addresses are not set up by this process");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_the_kernel_keeps_nobody_else_waiting() {
        let (answers, answered) = mpsc::channel();
        let asked = aside(move || {
            let reason = |late| KernelError::new("no answer", io::Error::other(late));
            answered.recv_timeout(Duration::from_secs(20)).map_err(reason)
        });
        // On the one thread that there is here.
        let (asked, sent) = tokio::join!(asked, async move { answers.send(()) });
        asked.unwrap();
        sent.unwrap();
        let error = aside(|| -> Result<(), KernelError> { panic!("gone") }).await.unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
