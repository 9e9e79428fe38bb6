//! The watch on spoke clusters: the spoke service, as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_spoke::process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The watch on spoke clusters: Lanyard's spoke service, which asks the others over mTLS.
#[derive(Debug, Parser)]
#[command(name = "lanyard-spoke", version)]
struct Cli {
    #[command(flatten)]
    args: process::Args,
}

fn main() -> ExitCode {
    process::main(&lanyard_kit::life::parsed::<Cli>(|command| command).args)
}
