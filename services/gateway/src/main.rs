//! The doors: the gateway service, as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_gateway::process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The doors: Lanyard's gateway, which asks the services over mTLS.
#[derive(Debug, Parser)]
#[command(name = "lanyard-gateway", version)]
struct Cli {
    #[command(flatten)]
    args: process::Args,
}

fn main() -> ExitCode {
    process::main(&lanyard_kit::life::parsed::<Cli>(|command| command).args)
}
