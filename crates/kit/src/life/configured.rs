//! A process from its command line on: its configuration is read, shown where that is what was asked, judged, and lived by.

use std::env;
use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Command, Parser, error::ErrorKind};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{EXIT_FAULT, Life, Options, configuration_fault, run};
use crate::config::{Environment, Sources, load, print_config};

/// The command line of this process, as `Parser::parse` reads it, but that a variable that is empty is not set: as what templates leave
/// where they have nothing to put in. `prepare` may change what is read; help shows the whole.
pub fn parsed<C: Parser>(prepare: impl FnOnce(Command) -> Command) -> C {
    let command = prepare(without_empty_variables(C::command()));
    let read = command.try_get_matches().and_then(|matches| C::from_arg_matches(&matches));
    read.unwrap_or_else(|error| {
        let is_help = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        match C::command().try_get_matches() {
            Err(whole) if is_help && whole.kind() == error.kind() => whole.exit(),
            _ => error.exit(),
        }
    })
}

fn without_empty_variables(command: Command) -> Command {
    let unset = |arg: Arg| match arg.get_env().and_then(env::var_os) {
        Some(value) if value.is_empty() => arg.env(None::<&'static str>),
        _ => arg,
    };
    command.mut_args(unset).mut_subcommands(without_empty_variables)
}

/// The flags that every process of one service has; each is a key of the configuration file too.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// A TOML file.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where /metrics, /livez and /readyz listen, over plain HTTP [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// The folder that `lanyard pki issue` wrote for this service.
    #[arg(long, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Written once everything answers, and removed at the end: one JSON object for scripts.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What is logged, such as `info,lanyard_gateway=debug`.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Shows the configuration as it would be used, and ends.
    #[arg(long)]
    pub print_config: bool,
}

impl Flags {
    /// The file, the environment, and these flags with more of the service's own, as keys of the configuration; below
    /// `section` where it has them there.
    #[must_use]
    pub fn sources(&self, section: Option<&str>, more: Map<String, Value>) -> Sources {
        let mut flags = more;
        let own = [
            ("tls", self.tls_dir.as_ref().map(|dir| json!({ "dir": dir }))),
            ("ready_file", self.ready_file.as_ref().map(|path| json!(path))),
            ("log", self.log.as_ref().map(|filter| json!({ "filter": filter }))),
            ("metrics", self.metrics_listen.as_ref().map(|address| json!({ "listen": address }))),
        ];
        flags.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        let flags = section.map_or_else(|| json!(flags), |section| json!({ section: flags }));
        sources(self.config.as_deref(), flags)
    }
}

/// The file, if there is one, then the environment, then flags: the later one wins.
#[must_use]
pub fn sources(file: Option<&Path>, flags: Value) -> Sources {
    let sources = Sources::none().environment(Environment::of_process()).flags(flags);
    match file {
        Some(path) => sources.file(path),
        None => sources,
    }
}

/// Runs a process as it is configured, until it is told to stop; or only shows the configuration, right or wrong.
pub fn configured<C, W, F, E>(
    sources: &Sources,
    is_only_shown: bool,
    validate: impl FnOnce(&C) -> Result<(), String>,
    options: impl FnOnce(&C) -> Options,
    work: W,
) -> ExitCode
where
    C: DeserializeOwned + Serialize,
    W: FnOnce(C, Life) -> F,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let config = match load::<C>(sources) {
        Ok(config) => config,
        Err(error) => return configuration_fault(&error),
    };
    if is_only_shown {
        return match print_config(&config) {
            Ok(text) => print(text.trim_end()),
            Err(error) => configuration_fault(&error),
        };
    }
    if let Err(error) = validate(&config) {
        return configuration_fault(&error);
    }
    run(options(&config), |life| work(config, life))
}

/// A reader that went away (`| head`) is no fault.
fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(EXIT_FAULT),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}
