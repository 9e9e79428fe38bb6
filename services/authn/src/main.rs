//! Who is knocking: the authn service, as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use lanyard_process::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Who is knocking: Lanyard's authn service, over mTLS, on the suite's PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "lanyard-authn", version)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    lanyard_process::main::<lanyard_authn::process::Authn>(
        &lanyard_kit::life::parsed::<Cli>(|command| command).args,
    )
}
