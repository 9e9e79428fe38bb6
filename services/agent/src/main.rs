//! The node agent, as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_agent::args::{AgentCommand, Args};
use lanyard_agent::process;

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
    let Cli { command, args } = Cli::parse();
    process::main(&command.unwrap_or_else(|| AgentCommand::Server(Box::new(args))))
}
