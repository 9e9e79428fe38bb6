//! The AWS wire: the door for AWS's own clients, as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_awsapi::process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The AWS wire: Lanyard's door for AWS's own clients, which asks the services over mTLS.
#[derive(Debug, Parser)]
#[command(name = "lanyard-awsapi", version)]
struct Cli {
    #[command(flatten)]
    args: process::Args,
}

fn main() -> ExitCode {
    process::main(&lanyard_kit::life::parsed::<Cli>(|command| command).args)
}
