//! The way out: the credentials service, as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_process::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The way out: Lanyard's credentials service, over mTLS, on the suite's PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "lanyard-credentials", version)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    lanyard_process::main::<lanyard_credentials::process::CredentialsService>(
        &lanyard_kit::life::parsed::<Cli>(|command| command).args,
    )
}
