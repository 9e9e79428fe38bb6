//! `cargo xtask agent`: the node agent as one static program, for an image that has nothing else.
//!
//! It is linked for glibc with `crt-static`, which every toolchain for Linux can do: there is no other target to install. What a static
//! glibc still loads at run time are the modules of its name service switch; those that an image without `nsswitch.conf` uses, `files`
//! and `dns`, are in it (glibc 2.34 and later). Whether the program is static, and starts, is looked at, not believed.

use std::fs;
use std::path::{Path, PathBuf};
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
const STATIC: &str = "target-feature=+crt-static";
/// What packs the places that the program sets to its own address when it starts: 24 bytes for each would stay in memory, for they are
/// all read. A program that may lie anywhere has tens of thousands (generic ABI, `SHT_RELR`).
const PACKED: &str = "link-arg=-Wl,-z,pack-relative-relocs";
/// What puts functions that are marked cold (faults, and what is done once) behind all others: memory comes by pages, and most of these
/// are never run. A linker that does not know of it leaves them where they are.
const COLD_LAST: &str = "link-arg=-Wl,-z,keep-text-section-prefix";
/// What keeps functions that are the same bytes once: most are others' generic ones, for types of one shape. Nothing in Rust may hold on to
/// where a function lies. Only LLD knows of it, which Rust links with where it brings that along.
const FOLDED: Option<&str> = if cfg!(target_arch = "x86_64") { Some("link-arg=-Wl,--icf=all") } else { None };
/// The feature that leaves out what libraries say at level trace.
const QUIET: &str = "quiet";
/// Cargo's profile of what is shipped.
pub(crate) const SHIPPED: &str = "agent";
/// Cargo's profile for work on the code, and the folder that it alone is not called like.
const DEV: (&str, &str) = ("dev", "debug");

/// How to build it.
#[derive(Args)]
pub(crate) struct Options {
    /// Cargo's profile: `agent` for what is shipped, `release`, or `dev`
    #[arg(long, value_name = "PROFILE", default_value = SHIPPED)]
    profile: String,
    /// Where to put the program beside the target folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Builds it, and says where it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    let watchdog = Watchdog::start()?;
    let built = build(&watchdog, &options.profile)?;
    let there = match &options.out {
        Some(out) => put(&built, out)?,
        None => built,
    };
    println!("{}", there.display());
    Ok(())
}

/// The program, built by one of cargo's profiles; in a folder of its own, for cargo puts the one that is not static where this one was.
pub(crate) fn build(watchdog: &Watchdog, profile: &str) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    // How the program is linked is all that differs from other builds of a profile: its crates are theirs, and none is built twice. What
    // is shipped has a profile that nothing else has, and so may have a feature too.
    command.args(["rustc", "--locked", "--package", PACKAGE, "--bin", PACKAGE, "--profile", profile]);
    if profile == SHIPPED {
        command.args(["--features", QUIET]);
    }
    command.arg("--").current_dir(root()?);
    for option in [STATIC, PACKED, COLD_LAST].into_iter().chain(FOLDED) {
        command.args(["-C", option]);
    }
    let built = run_command(watchdog, &mut command, show_all)?;
    ensure!(built.status.success(), "{PACKAGE} does not build");
    let folder = Metadata::load()?.target_directory.join(if profile == DEV.0 { DEV.1 } else { profile });
    let program = folder.join(PACKAGE);
    let bytes = fs::read(&program).with_context(|| format!("cannot read `{}`", program.display()))?;
    ensure!(elf::is_static(&bytes)?, "`{}` was linked with {STATIC}, and is not static", program.display());
    // A C library that does not know of packed places leaves them as they are.
    let starts = answer(&program.to_string_lossy(), &["--version"]).is_some();
    ensure!(
        starts,
        "`{}` does not start; {PACKED} needs the static library of glibc 2.36 or later, which `ldd --version` tells",
        program.display()
    );
    put(&program, &folder.join("static").join(PACKAGE))
}

/// Copies a program, and answers where it is.
fn put(program: &Path, to: &Path) -> Result<PathBuf> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(program, to).with_context(|| format!("cannot write `{}`", to.display()))?;
    Ok(to.to_owned())
}
