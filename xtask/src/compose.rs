//! What the stage with the containers of `deploy/docker-compose.yml` needs: Docker's programs, docker-compose, and a Debian with
//! PostgreSQL and Redis, which stands for the images of a registry.
//!
//! The tests start a daemon of their own in namespaces of its own (`tests/conformance/compose/dockerd.py`), also where another one
//! runs: what Docker does to firewalls, links and mounts, it does there, and it is gone with the tests. So Docker is taken out
//! of its package, not installed: on many machines an installed one starts at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{answer, run, show_all};
use crate::namespaces;
use crate::tools::{Tool, apt_install, install, unpacked};
use crate::watchdog::Watchdog;
use crate::workspace::{Metadata, cache_dir, cargo, is_executable, on_path};

/// Programs that are called by name, and Debian's packages that have them.
const PROGRAMS: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("debootstrap", "debootstrap"),
    ("docker-compose", "docker-compose"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("runc", "runc"),
    ("strip", "binutils"),
];
/// Debian's package of Docker's daemon and, in older ones, of its client.
const DOCKER: &str = "docker.io";
/// What its daemon loads that a small system may not have.
const LIBRARY: &str = "libdevmapper1.02.1";
/// What the images have beside the smallest Debian.
const INCLUDED: &str = "ca-certificates,postgresql,redis-server";

/// Folders that stay empty in them: what only apt and people read, and what a kernel puts there.
const LEFT_OUT: [&str; 7] = [
    "/dev",
    "/proc",
    "/usr/share/doc",
    "/usr/share/locale",
    "/usr/share/man",
    "/var/cache/apt",
    "/var/lib/apt/lists",
];

/// The variables that the tests want, or why there can be no containers here.
pub(crate) fn prepare(watchdog: &Watchdog) -> Result<Result<Vec<(&'static str, PathBuf)>, String>> {
    if let Some(reason) = namespaces::refused_by_machine() {
        return Ok(Err(reason));
    }
    if let Err(fault) = install(&PROGRAMS) {
        return Ok(Err(format!("{fault:#}")));
    }
    let (daemon, client) = match docker()? {
        Ok(programs) => programs,
        Err(reason) => return Ok(Err(reason)),
    };
    let base = match base(watchdog)? {
        Tool::There(base) => base,
        Tool::Missing(reason) => return Ok(Err(reason)),
    };
    let compose = on_path("docker-compose").context("docker-compose was installed, yet is not found")?;
    Ok(Ok(vec![
        ("DOCKERD", daemon),
        ("DOCKER", client),
        ("DOCKER_COMPOSE", compose),
        ("DOCKER_BASE", base),
        // What the image is built from is looked through with them.
        ("CARGO", PathBuf::from(cargo())),
        ("CARGO_TARGET_DIR", Metadata::load()?.target_directory),
    ]))
}

/// The daemon, and a client of its time: this machine's, or both out of Debian's package.
fn docker() -> Result<Result<(PathBuf, PathBuf), String>> {
    if let (Some(daemon), Some(client)) = (on_path("dockerd"), on_path("docker")) {
        return Ok(Ok((daemon, client)));
    }
    let daemon = match unpacked(DOCKER, "usr/sbin/dockerd")? {
        Tool::There(daemon) => daemon,
        Tool::Missing(reason) => return Ok(Err(reason)),
    };
    if answer(&daemon.to_string_lossy(), &["--version"]).is_none() {
        apt_install(LIBRARY)?;
    }
    let beside = cache_dir()?.join(DOCKER).join("usr/bin/docker");
    if is_executable(&beside) {
        return Ok(Ok((daemon, beside)));
    }
    install(&[("docker", "docker-cli")])?;
    Ok(Ok((daemon, on_path("docker").context("docker-cli was installed, yet docker is not found")?)))
}

/// This machine's own Debian, as a tar file that is made once and kept: a program that was built here runs there too.
fn base(watchdog: &Watchdog) -> Result<Tool> {
    let text = fs::read_to_string("/etc/os-release").context("this system does not say what it is")?;
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"'))
    };
    let (Some("debian"), Some(codename)) = (field("ID="), field("VERSION_CODENAME=")) else {
        return Ok(Tool::Missing(
            "the images are made of this machine's own Debian, and it is none".to_owned(),
        ));
    };
    let folder = cache_dir()?;
    fs::create_dir_all(&folder)?;
    let kept = folder.join(format!("compose-base-{codename}.tar"));
    if !kept.exists() {
        println!("making a Debian {codename} for the images once; this takes a minute or two");
        make_base(watchdog, codename, &kept)?;
    }
    Ok(Tool::There(kept))
}

fn make_base(watchdog: &Watchdog, codename: &str, kept: &Path) -> Result<()> {
    let done = |command: &mut Command, hide: fn(&str) -> bool| -> Result<()> {
        let finished = run(watchdog, command, hide)?;
        ensure!(finished.status.success(), "{command:?} failed, {}", finished.status);
        Ok(())
    };
    let tree = watchdog.scratch().join("debian");
    let include = format!("--include={INCLUDED}");
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &include, codename]).arg(&tree);
    done(&mut command, |line| line.starts_with("I: "))?;
    // Named after this process, so that two runs at once do not write into one file; renamed when it is whole.
    let half = kept.with_extension(std::process::id().to_string());
    let mut command = Command::new("tar");
    command.arg("--directory").arg(&tree).args(LEFT_OUT.map(|folder| format!("--exclude=.{folder}/*")));
    command.args(["--create", "--file"]).arg(&half).arg(".");
    done(&mut command, show_all)?;
    fs::rename(&half, kept)?;
    fs::remove_dir_all(&tree)?;
    Ok(())
}
