//! The real programs that tests are held against: built or fetched once, kept by version.
//!
//! aws-iam-authenticator, grpcurl and protoc's plugins for Go are built with Go's own tools from their modules, as Kubernetes is
//! ([`crate::kubernetes`]); etcd and Docker come out of Debian's packages without being installed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::command::answer;
use crate::go::go_tool;
use crate::kubernetes;
use crate::npm;
use crate::watchdog::Watchdog;
use crate::workspace::{cache_dir, is_executable, on_path};

/// The version that the `token` command is taken from.
const AUTHENTICATOR: &str = "v0.7.10";
/// The grpcurl that runs what the documentation shows.
const GRPCURL: &str = "v1.9.4";
/// protoc's plugin for Go messages; `tests/consumers/go` has the same version of the module.
const PROTOC_GEN_GO: &str = "v1.36.12";
/// protoc's plugin for Go clients.
const PROTOC_GEN_GO_GRPC: &str = "v1.6.2";

/// Whether a program is there, and if not, why in so many words.
pub(crate) enum Tool {
    There(PathBuf),
    Missing(String),
}

/// What tests with AWS's SDKs for other languages want, as far as it is there; what is not is said.
pub(crate) fn sdks(watchdog: &Watchdog) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut set = Vec::new();
    match (on_path("node"), npm::aws_sdk(watchdog)?) {
        (Some(node), Tool::There(sdk)) => set.extend([("NODE", node), ("AWS_SDK_JS", sdk)]),
        (None, _) => println!("without the tests in JavaScript: there is no node"),
        (_, Tool::Missing(reason)) => println!("without the tests in JavaScript: {reason}"),
    }
    match on_path("go") {
        Some(go) => set.push(("GO", go)),
        None => println!("without the tests in Go: it is not installed"),
    }
    Ok(set)
}

/// kubectl: this machine's, or built if it is not in the cache.
pub(crate) fn kubectl(watchdog: &Watchdog) -> Result<Tool> {
    match on_path("kubectl") {
        Some(path) => Ok(Tool::There(path)),
        None => kubernetes::kubectl(watchdog),
    }
}

/// aws-iam-authenticator, built if it is not in the cache.
pub(crate) fn authenticator(watchdog: &Watchdog) -> Result<Tool> {
    go_tool(watchdog, "aws-iam-authenticator", AUTHENTICATOR, |go, folder, target| {
        let package = "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator";
        go.run(folder, &["mod", "init", "lanyard.test/aws-iam-authenticator"])?;
        go.run(folder, &["get", &format!("{package}@{AUTHENTICATOR}")])?;
        go.build(folder, target, &["-ldflags", "-s -w"], &[package])
    })
}

/// grpcurl, built if it is not in the cache.
pub(crate) fn grpcurl(watchdog: &Watchdog) -> Result<Tool> {
    go_program(watchdog, "grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", GRPCURL)
}

/// protoc-gen-go, built if it is not in the cache.
pub(crate) fn protoc_gen_go(watchdog: &Watchdog) -> Result<Tool> {
    go_program(watchdog, "protoc-gen-go", "google.golang.org/protobuf/cmd/protoc-gen-go", PROTOC_GEN_GO)
}

/// protoc-gen-go-grpc, built if it is not in the cache.
pub(crate) fn protoc_gen_go_grpc(watchdog: &Watchdog) -> Result<Tool> {
    let package = "google.golang.org/grpc/cmd/protoc-gen-go-grpc";
    go_program(watchdog, "protoc-gen-go-grpc", package, PROTOC_GEN_GO_GRPC)
}

/// A Go program that is built as it is published.
fn go_program(watchdog: &Watchdog, name: &str, package: &str, version: &str) -> Result<Tool> {
    go_tool(watchdog, name, version, |go, folder, target| {
        go.run(folder, &["mod", "init", &format!("lanyard.test/{name}")])?;
        go.run(folder, &["get", &format!("{package}@{version}")])?;
        go.build(folder, target, &["-ldflags", "-s -w"], &[package])
    })
}

/// etcd: this machine's, or out of Debian's package.
pub(crate) fn etcd() -> Result<Tool> {
    if let Some(path) = on_path("etcd") {
        return Ok(Tool::There(path));
    }
    unpacked("etcd-server", "usr/bin/etcd")
}

/// A program out of one of Debian's packages, which is not installed: so none of its services starts.
pub(crate) fn unpacked(package: &str, program: &str) -> Result<Tool> {
    let folder = cache_dir()?.join(package);
    let program = folder.join(program);
    if is_executable(&program) {
        return Ok(Tool::There(program));
    }
    let missing = |reason: &str| Ok(Tool::Missing(format!("{package} cannot be fetched: {}", reason.trim())));
    if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
        return missing("there is no apt-get");
    }
    fs::create_dir_all(&folder)?;
    let download = || Command::new("apt-get").args(["download", package]).current_dir(&folder).output();
    if !download()?.status.success() {
        // The lists of a new machine may be old or missing, and who runs this may not be allowed to fetch them.
        if let Err(fault) = apt_get(&["update"]) {
            return missing(&format!("{fault:#}"));
        }
        let output = download()?;
        if !output.status.success() {
            return missing(&String::from_utf8_lossy(&output.stderr));
        }
    }
    let fetched = fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package behind")?;
    let status = Command::new("dpkg-deb").arg("-x").arg(&fetched).arg(&folder).status()?;
    ensure!(
        status.success() && is_executable(&program),
        "{} has no {}",
        fetched.display(),
        program.display()
    );
    fs::remove_file(fetched)?;
    Ok(Tool::There(program))
}

/// Installs those packages whose programs are not there; each as its program and its package.
pub(crate) fn install(programs: &[(&str, &str)]) -> Result<()> {
    for (program, package) in programs {
        if on_path(program).is_none() {
            apt_install(package)?;
        }
    }
    Ok(())
}

/// Installs one of Debian's packages, as root or by `sudo -n`.
pub(crate) fn apt_install(package: &str) -> Result<()> {
    try_to_install(package).with_context(|| {
        format!(
            "{package} is missing and cannot be installed; install it as root, or run the tests with --quick"
        )
    })
}

fn try_to_install(package: &str) -> Result<()> {
    ensure!(on_path("apt-get").is_some(), "there is no apt-get");
    if apt_get(&["install", "--yes", "--no-install-recommends", package]).is_err() {
        // The lists of a new machine may be old or missing.
        apt_get(&["update"])?;
        apt_get(&["install", "--yes", "--no-install-recommends", package])?;
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    ensure!(
        is_root() || on_path("sudo").is_some(),
        "only root may run apt-get {arguments:?}, and there is no sudo"
    );
    let prefix: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    let words: Vec<&str> = prefix
        .iter()
        .copied()
        .chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
        .collect();
    let (program, first) = words.split_first().context("no command")?;
    let output = Command::new(program).args(first).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "apt-get {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    answer("id", &["-u"]).is_some_and(|id| id == "0")
}
