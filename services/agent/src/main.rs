//! The node agent, as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_agent::args::{AgentCommand, Args};
use lanyard_agent::{process, runner};

/// The node agent: AWS credentials for the pods of this node.
#[derive(Debug, Parser)]
#[command(name = "lanyard-agent", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<AgentCommand>,
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    // The published DaemonSet calls it by another name.
    if let Some(ended) = runner::main(std::env::args_os()) {
        return ended;
    }
    let Cli { command, args } = lanyard_kit::life::parsed(|command| command);
    process::main(&command.unwrap_or_else(|| AgentCommand::Server(Box::new(args))))
}
