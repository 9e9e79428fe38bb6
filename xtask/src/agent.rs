//! `cargo xtask agent`: the node agent as one static program, for an image that has nothing else.
//!
//! It is built for glibc with `crt-static`, which every toolchain for Linux can do: there is no other target to install. What a static
//! glibc still loads at run time are the modules of its name service switch; those that an image without `nsswitch.conf` uses, `files`
//! and `dns`, are in it (glibc 2.34 and later). Whether the program is static is looked at, not believed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::command::{answer, run as run_command, show_all};
use crate::elf;
use crate::watchdog::Watchdog;
use crate::workspace::{Metadata, cargo, root};

/// The agent's package, and its program.
const PACKAGE: &str = "lanyard-agent";
/// What links the C library into the program.
const STATIC: &str = "-C target-feature=+crt-static";
/// Cargo's profile for work on the code, and the folder that it alone is not called like.
const DEV: (&str, &str) = ("dev", "debug");

/// How to build it.
#[derive(Args)]
pub(crate) struct Options {
    /// Cargo's profile: `dist` for what is shipped, `release`, or `dev`
    #[arg(long, value_name = "PROFILE", default_value = "dist")]
    profile: String,
    /// Where to put the program beside the target folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Builds it, and says where it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    let watchdog = Watchdog::start()?;
    let built = build(&watchdog, &options.profile)?;
    let Some(out) = &options.out else {
        println!("{}", built.display());
        return Ok(());
    };
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(&built, out).with_context(|| format!("cannot write `{}`", out.display()))?;
    println!("{}", out.display());
    Ok(())
}

/// The program, built by one of cargo's profiles.
pub(crate) fn build(watchdog: &Watchdog, profile: &str) -> Result<PathBuf> {
    let host = host()?;
    let mut command = Command::new(cargo());
    // With a target named, the flags are the program's and not those of what builds it, which could not load its macros else.
    command.args(["build", "--locked", "--package", PACKAGE, "--profile", profile, "--target", &host]);
    let own = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{own} {STATIC}").trim()).current_dir(root()?);
    let built = run_command(watchdog, &mut command, show_all)?;
    ensure!(built.status.success(), "{PACKAGE} does not build");
    let folder = if profile == DEV.0 { DEV.1 } else { profile };
    let program = Metadata::load()?.target_directory.join(host).join(folder).join(PACKAGE);
    let bytes = fs::read(&program).with_context(|| format!("cannot read `{}`", program.display()))?;
    ensure!(elf::is_static(&bytes)?, "`{}` was built with {STATIC}, and is not static", program.display());
    Ok(program)
}

/// What this machine's toolchain builds for.
fn host() -> Result<String> {
    let said = answer("rustc", &["-vV"]).context("cannot run rustc")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}
