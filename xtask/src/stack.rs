//! `cargo xtask stack`: the whole suite as separate processes on this machine, with the PostgreSQL and Redis that it needs.
//!
//! PostgreSQL, Redis, the services, the gateways start in this order, and stop in the opposite one, on Ctrl-C or SIGTERM or
//! when one of them ends. What it wrote is gone after that, unless it was told to keep it.

mod process;
mod signals;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use self::process::Process;
use self::signals::Signals;
use crate::command::{run as run_command, show_all};
use crate::ports::free_addresses;
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::watchdog::Watchdog;
use crate::workspace::{Metadata, cargo, root};

/// Those with a store.
const SERVICES: [&str; 4] = ["authn", "mapping", "authz", "credentials"];
const GATEWAY: &str = "gateway";
/// It watches spoke clusters, and has no store.
const SPOKE: &str = "spoke";
/// The door for AWS's own clients; it has no store either.
const AWSAPI: &str = "awsapi";
const REGION: &str = "us-east-1";
/// A free port of this machine.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How often a process is looked after.
const POLL: Duration = Duration::from_millis(50);
/// How many threads of a process serve requests; by itself it has one for each of the machine's cores.
const WORKERS: &str = "TOKIO_WORKER_THREADS";

#[derive(Args)]
pub(crate) struct Options {
    /// How many processes of each service
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    replicas: u8,
    /// Written once everything answers: what `lanyard --ready-file` reads
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// A folder for keys, certificates, configuration and logs, which stays; with --postgres, a hub to go on with
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// A PostgreSQL that runs already, in place of one of its own
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// What the processes log
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// A variable for the processes of one service, such as authn:LANYARD_AUTHN__OIDC__PRIVATE_HOSTS=["localhost"]
    #[arg(long = "set", value_name = "SERVICE:NAME=VALUE")]
    settings: Vec<Setting>,
    /// Runs every second replica by its service's own program, such as lanyard-authn, which lies beside lanyard
    #[arg(long)]
    own_programs: bool,
    /// Runs the tour on the stack, and ends with it
    #[arg(long)]
    demo: bool,
}

/// What the processes of one service find in their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    service: String,
    name: String,
    value: String,
}

impl FromStr for Setting {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (service, variable) = text.split_once(':').context("no `:` after the service")?;
        ensure!(
            [GATEWAY, AWSAPI, SPOKE].contains(&service) || SERVICES.contains(&service),
            "`{service}` is no service: {}, {GATEWAY}, {AWSAPI}, {SPOKE}",
            SERVICES.join(", ")
        );
        let (name, value) = variable.split_once('=').context("no `=` between the name and the value")?;
        Ok(Self { service: service.to_owned(), name: name.to_owned(), value: value.to_owned() })
    }
}

/// How to reach the hub: the same as `lanyard serve` writes, and all of the doors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ready {
    gateway: String,
    grpc: String,
    /// The URL of the AWS wire.
    #[serde(default)]
    aws: Option<String>,
    ca: PathBuf,
    #[serde(default)]
    credentials: PathBuf,
    account: String,
    region: String,
    hub_id: String,
    /// The URLs of listeners for operators, by process.
    #[serde(default)]
    metrics: Option<BTreeMap<String, String>>,
    /// Each replica of the doors. The first one is above, too.
    #[serde(default)]
    doors: Vec<Doors>,
}

/// The URLs of one gateway and one door of the AWS wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Doors {
    gateway: String,
    grpc: String,
    aws: String,
}

/// What a service writes.
#[derive(Deserialize)]
struct ServiceReady {
    grpc: String,
    metrics: Option<String>,
}

/// What the door of the AWS wire writes.
#[derive(Deserialize)]
struct AwsReady {
    aws: String,
    metrics: Option<String>,
}

/// What `lanyard pki issue` answers.
#[derive(Deserialize)]
struct Issued {
    account: String,
}

/// Runs until it is told to stop; the answer is whether everything ended well.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let signals = Signals::listen()?;
    let watchdog = Watchdog::start()?;
    let lanyard = match std::env::var_os("LANYARD_BIN") {
        Some(program) => PathBuf::from(program),
        None if options.own_programs => build_with_own(&watchdog)?,
        None => build(&watchdog)?,
    };
    let folder = match &options.keep {
        Some(folder) => fs::canonicalize(private(folder)?)?,
        None => private(&watchdog.scratch().join("stack"))?.to_owned(),
    };
    let begun = Instant::now();
    let tell = |what: &str| println!("{:>6.1} s  {what}", begun.elapsed().as_secs_f64());
    let postgres = if options.postgres.is_none() { Some(Postgres::start(&watchdog)?) } else { None };
    let store = options.postgres.clone().or(postgres.as_ref().map(|own| own.url.clone()));
    let store = store.context("there is no PostgreSQL")?;
    tell("PostgreSQL is there");
    let redis = Redis::start(&watchdog)?;
    tell("Redis is there");
    let spokes = free_addresses(options.replicas.into())?;
    let mut stack =
        Stack { watchdog: &watchdog, signals: &signals, lanyard, folder, spokes, processes: Vec::new() };
    let came = stack.start(options, &store, &redis, &tell);
    let went = match came {
        Ok(Some(ready)) if options.demo => stack.demo(&ready),
        Ok(Some(_)) => stack.watch(),
        Ok(None) => Ok(()),
        Err(fault) => Err(fault),
    };
    tell("stopping");
    let ended = stack.stop();
    if let Some(path) = &options.ready_file {
        // Nobody is there any more to be reached by it.
        let _ = fs::remove_file(path);
    }
    drop((redis, postgres));
    tell("stopped");
    went.and(ended).map(|()| true)
}

/// The program. Built with one of the Rust tests, and of the whole workspace: for the program alone cargo would choose other
/// features of its packages, and compile most of them a second time.
pub(crate) fn build(watchdog: &Watchdog) -> Result<PathBuf> {
    build_programs(watchdog, &["lanyard".to_owned()])
}

/// The same, and beside it each service's own.
pub(crate) fn build_with_own(watchdog: &Watchdog) -> Result<PathBuf> {
    let own = SERVICES.iter().chain([&GATEWAY, &AWSAPI, &SPOKE]).map(|service| own_program(service));
    build_programs(watchdog, &own.chain(["lanyard".to_owned()]).collect::<Vec<_>>())
}

fn build_programs(watchdog: &Watchdog, names: &[String]) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["build", "--locked", "--workspace", "--test", "offline"]).current_dir(root()?);
    command.args(names.iter().flat_map(|name| ["--bin", name.as_str()]));
    let built = run_command(watchdog, &mut command, show_all)?;
    ensure!(built.status.success(), "{} does not build", names.join(", "));
    Ok(Metadata::load()?.target_directory.join("debug/lanyard"))
}

/// What the program of a service alone is called.
fn own_program(service: &str) -> String {
    format!("lanyard-{service}")
}

/// A program without the settings of whoever runs the stack, such as the store of a real hub: the stack has its own, and `--set`.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LANYARD_") {
            command.env_remove(name);
        }
    }
    command
}

/// The folder, made for its owner alone.
fn private(folder: &Path) -> Result<&Path> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}

struct Stack<'a> {
    watchdog: &'a Watchdog,
    signals: &'a Signals,
    lanyard: PathBuf,
    folder: PathBuf,
    /// Where the processes of the spoke service listen: credentials asks them, and starts before they are there.
    spokes: Vec<SocketAddr>,
    /// In the order of their start.
    processes: Vec<Process<'a>>,
}

impl<'a> Stack<'a> {
    /// Everything up to the ready-file, which it names; none where it was told to stop meanwhile.
    fn start(
        &mut self,
        options: &Options,
        store: &str,
        redis: &Redis<'_>,
        tell: &dyn Fn(&str),
    ) -> Result<Option<PathBuf>> {
        let mut account = None;
        for service in SERVICES.iter().chain([&GATEWAY, &AWSAPI, &SPOKE]) {
            account = Some(self.issue(service, store)?.account);
        }
        let account = account.context("nothing was issued")?;
        tell("certificates and keys are issued");
        let spokes: Vec<String> = self.spokes.iter().map(|address| format!("https://{address}")).collect();
        let spokes = format!("{spokes:?}");
        for service in SERVICES {
            for number in 0..options.replicas {
                let store = ("LANYARD_PROCESS__STORE", store);
                // A key that a service does not know is refused.
                let settings = match service {
                    "authn" => vec![
                        store,
                        ("LANYARD_AUTHN__TOKEN_CACHE__REDIS__URL", &redis.url),
                        ("LANYARD_AUTHN__TOKEN_CACHE__REDIS__PASSWORD", &redis.password),
                    ],
                    "credentials" => vec![store, ("LANYARD_PEERS__SPOKE", &spokes)],
                    _ => vec![store],
                };
                self.spawn(service, number, options, &[], &settings)?;
            }
        }
        let (mut peers, mut metrics) = (Vec::new(), BTreeMap::new());
        for service in SERVICES {
            let mut urls = Vec::new();
            for number in 0..options.replicas {
                let Some(ready) = self.ready::<ServiceReady>(service, number)? else { return Ok(None) };
                urls.push(ready.grpc);
                metrics.extend(ready.metrics.map(|url| (format!("{service}-{number}"), url)));
            }
            tell(&format!("{service} is there, {}", urls.join(", ")));
            peers.push(format!("{service} = {urls:?}\n"));
        }
        let peers = format!("[peers]\n{}", peers.concat());
        let spoke_config = self.folder.join("spoke.toml");
        fs::write(&spoke_config, &peers)?;
        let spoke_config = spoke_config.display().to_string();
        for number in 0..options.replicas {
            self.spawn(SPOKE, number, options, &["--config", &spoke_config], &[])?;
        }
        let config = self.folder.join("gateway.toml");
        fs::write(&config, format!("account = {account:?}\nregion = {REGION:?}\n{peers}"))?;
        let config = config.display().to_string();
        for number in 0..options.replicas {
            let flags = ["--config", &config, "--grpc-listen", "127.0.0.1:0"];
            self.spawn(GATEWAY, number, options, &flags, &[])?;
        }
        let mut gateways = Vec::new();
        for number in 0..options.replicas {
            let Some(ready) = self.ready::<Ready>(GATEWAY, number)? else { return Ok(None) };
            tell(&format!("{GATEWAY} is there, {}, gRPC {}", ready.gateway, ready.grpc));
            let urls = ready.metrics.iter().flatten();
            metrics.extend(urls.map(|(_, url)| (format!("{GATEWAY}-{number}"), url.clone())));
            gateways.push(ready);
        }
        for number in 0..options.replicas {
            let Some(ready) = self.ready::<ServiceReady>(SPOKE, number)? else { return Ok(None) };
            tell(&format!("{SPOKE} is there, {}", ready.grpc));
            metrics.extend(ready.metrics.map(|url| (format!("{SPOKE}-{number}"), url)));
        }
        let mut ready = gateways.first().cloned().context("there is no gateway")?;
        let config = self.folder.join("awsapi.toml");
        fs::write(&config, format!("gateway_url = {:?}\n{peers}", ready.gateway))?;
        let config = config.display().to_string();
        for number in 0..options.replicas {
            self.spawn(AWSAPI, number, options, &["--config", &config], &[])?;
        }
        for (number, Ready { gateway, grpc, .. }) in (0..).zip(gateways) {
            let Some(door) = self.ready::<AwsReady>(AWSAPI, number)? else { return Ok(None) };
            tell(&format!("{AWSAPI} is there, {}", door.aws));
            metrics.extend(door.metrics.map(|url| (format!("{AWSAPI}-{number}"), url)));
            ready.doors.push(Doors { gateway, grpc, aws: door.aws });
        }
        ready.aws = ready.doors.first().map(|first| first.aws.clone());
        ready.credentials = self.folder.join("data/credentials");
        ready.metrics = Some(metrics);
        let path = options.ready_file.clone().unwrap_or_else(|| self.folder.join("ready.json"));
        write_whole(&path, &serde_json::to_vec_pretty(&ready)?)?;
        tell(&format!("ready: lanyard --ready-file {} cluster list", path.display()));
        Ok(Some(path))
    }

    fn issue(&self, service: &str, store: &str) -> Result<Issued> {
        let mut command = clean(&self.lanyard);
        command.args(["pki", "issue", service, "--output", "json", "--out"]).arg(self.folder.join(service));
        command.arg("--data-dir").arg(self.folder.join("data")).env("LANYARD_STORE", store);
        let output = command.output().context("cannot run lanyard pki issue")?;
        ensure!(
            output.status.success(),
            "lanyard pki issue {service}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("cannot read what lanyard pki issue says")
    }

    fn spawn(
        &mut self,
        service: &str,
        number: u8,
        options: &Options,
        flags: &[&str],
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let name = format!("{service}-{number}");
        let ready_file = self.ready_file(service, number);
        let _ = fs::remove_file(&ready_file);
        let mut command = self.program(service, number, options.own_programs);
        let own = self.spokes.get(usize::from(number)).filter(|_| service == SPOKE);
        let listen = own.copied().unwrap_or(ANY_PORT).to_string();
        command.args(["--listen", &listen, "--metrics-listen", "127.0.0.1:0"]);
        command.args(["--log", &options.log, "--tls-dir"]);
        command.arg(self.folder.join(service)).arg("--ready-file").arg(ready_file);
        command.env(WORKERS, workers().to_string());
        command.args(flags).envs(settings.iter().copied());
        let own = options.settings.iter().filter(|setting| setting.service == service);
        command.envs(own.map(|setting| (&setting.name, &setting.value)));
        let logs = self.folder.join("logs");
        private(&logs)?;
        self.processes.push(Process::start(
            self.watchdog,
            &mut command,
            name.clone(),
            logs.join(format!("{name}.log")),
        )?);
        Ok(())
    }

    /// What runs a replica: the one program that has all services in it, or of every second one the service's own.
    fn program(&self, service: &str, number: u8, own_programs: bool) -> Command {
        if own_programs && number % 2 == 1 {
            return clean(&self.lanyard.with_file_name(own_program(service)));
        }
        let mut command = clean(&self.lanyard);
        command.args(["run", service]);
        command
    }

    fn ready_file(&self, service: &str, number: u8) -> PathBuf {
        self.folder.join(format!("{service}-{number}.ready.json"))
    }

    /// What a process wrote once it answered; none where it was told to stop meanwhile.
    fn ready<T: for<'de> Deserialize<'de>>(&mut self, service: &str, number: u8) -> Result<Option<T>> {
        let (path, begun) = (self.ready_file(service, number), Instant::now());
        loop {
            // Not there yet, for it is renamed into place whole.
            if let Some(ready) = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                return Ok(Some(ready));
            }
            if self.signals.told() {
                return Ok(None);
            }
            self.look()?;
            let waited = begun.elapsed();
            ensure!(waited < process::START_MAX, "{service}-{number} was not ready within {waited:?}");
            sleep(POLL);
        }
    }

    /// An error where a process has ended by itself.
    fn look(&mut self) -> Result<()> {
        for process in &mut self.processes {
            if let Some(status) = process.ended()? {
                bail!("{} ended by itself with {status}:\n{}", process.name, process.last_words());
            }
        }
        Ok(())
    }

    /// Until it is told to stop.
    fn watch(&mut self) -> Result<()> {
        println!("          it goes on until you press Ctrl-C");
        while !self.signals.told() {
            self.look()?;
            sleep(POLL);
        }
        Ok(())
    }

    /// The tour, on the stack.
    fn demo(&mut self, ready_file: &Path) -> Result<()> {
        let mut command = clean(&self.lanyard);
        command.args(["demo", "--stack", "--ready-file"]).arg(ready_file);
        let finished = run_command(self.watchdog, &mut command, show_all)?;
        ensure!(finished.status.success(), "the tour went wrong, {}", finished.status);
        Ok(())
    }

    /// The doors first, then what is behind them. All are stopped, whatever one of them says.
    fn stop(&mut self) -> Result<()> {
        let mut faults = Vec::new();
        while let Some(last) = self.processes.last() {
            let service = last.service().to_owned();
            let at = self.processes.iter().position(|process| process.service() == service).unwrap_or(0);
            let of_one = self.processes.split_off(at);
            // The replicas of one service stop at once.
            of_one.iter().for_each(Process::ask_to_stop);
            faults.extend(of_one.into_iter().filter_map(|process| process.wait().err()));
        }
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

/// Whole or not at all, so that who waits for it never reads half.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let half = path.with_extension("partial");
    let written = fs::write(&half, bytes).and_then(|()| fs::rename(&half, path));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// All processes of a stack share the machine: as many threads as cores in each of them would take turns, and wake each other for nothing.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}
