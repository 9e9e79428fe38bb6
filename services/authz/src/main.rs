//! Which doors: the authz service, as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_process::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Which doors: Lanyard's authz service, over mTLS, on the suite's PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "lanyard-authz", version)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    lanyard_process::main::<lanyard_authz::process::AuthzService>(
        &lanyard_kit::life::parsed::<Cli>(|command| command).args,
    )
}
