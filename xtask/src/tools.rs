//! The real programs that tests are held against: built or fetched once, kept by version.
//!
//! aws-iam-authenticator, kube-apiserver, grpcurl, protoc's plugins for Go and, where the machine has none, kubectl are built with
//! Go's own tools from their modules; etcd comes out of Debian's package without being installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::command::{answer, run, show_all};
use crate::watchdog::Watchdog;
use crate::workspace::{cache_dir, is_executable, on_path};

/// The version that the `token` command is taken from.
const AUTHENTICATOR: &str = "v0.7.10";
/// The Kubernetes that Lanyard is held against.
const KUBERNETES: &str = "v1.35.4";
/// The version of its staging modules.
const STAGING: &str = "v0.35.4";
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

/// kubectl: this machine's, or built if it is not in the cache.
pub(crate) fn kubectl(watchdog: &Watchdog) -> Result<Tool> {
    match on_path("kubectl") {
        Some(path) => Ok(Tool::There(path)),
        None => kubernetes_tool(watchdog, "kubectl"),
    }
}

/// aws-iam-authenticator, built if it is not in the cache.
pub(crate) fn authenticator(watchdog: &Watchdog) -> Result<Tool> {
    go_tool(watchdog, "aws-iam-authenticator", AUTHENTICATOR, |go, folder, target| {
        let package = "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator";
        go.run(folder, &["mod", "init", "lanyard.test/aws-iam-authenticator"])?;
        go.run(folder, &["get", &format!("{package}@{AUTHENTICATOR}")])?;
        go.build(folder, target, &["-ldflags", "-s -w"], package)
    })
}

/// kube-apiserver, built if it is not in the cache.
pub(crate) fn kube_apiserver(watchdog: &Watchdog) -> Result<Tool> {
    kubernetes_tool(watchdog, "kube-apiserver")
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
        go.build(folder, target, &["-ldflags", "-s -w"], package)
    })
}

/// A program of Kubernetes' own `cmd` folder, built if it is not in the cache.
fn kubernetes_tool(watchdog: &Watchdog, name: &str) -> Result<Tool> {
    go_tool(watchdog, name, KUBERNETES, |go, folder, target| {
        let module = kubernetes_module(name, &go.module_file("k8s.io/kubernetes", KUBERNETES)?)?;
        fs::write(folder.join("go.mod"), module)?;
        let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
        let version = "-X k8s.io/component-base/version";
        let flags = format!(
            "-s -w {version}.gitVersion={KUBERNETES} {version}.gitMajor=1 {version}.gitMinor={minor}"
        );
        // The scratch module has no go.sum; it is filled in as modules come, each verified by the checksum database.
        let package = format!("k8s.io/kubernetes/cmd/{name}");
        go.build(folder, target, &["-mod=mod", "-ldflags", &flags], &package)
    })
}

/// etcd: this machine's, or taken out of Debian's package.
pub(crate) fn etcd() -> Result<Tool> {
    if let Some(path) = on_path("etcd") {
        return Ok(Tool::There(path));
    }
    let folder = cache_dir()?.join("etcd");
    let program = folder.join("usr/bin/etcd");
    if is_executable(&program) {
        return Ok(Tool::There(program));
    }
    if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
        return Ok(Tool::Missing("etcd is not installed, and there is no apt-get to fetch it".to_owned()));
    }
    fs::create_dir_all(&folder)?;
    let download = || Command::new("apt-get").args(["download", "etcd-server"]).current_dir(&folder).output();
    let missing =
        |reason: &str| Ok(Tool::Missing(format!("etcd-server cannot be fetched: {}", reason.trim())));
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
    let package = fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package behind")?;
    let status = Command::new("dpkg-deb").arg("-x").arg(&package).arg(&folder).status()?;
    ensure!(status.success() && is_executable(&program), "{} holds no usr/bin/etcd", package.display());
    fs::remove_file(package)?;
    Ok(Tool::There(program))
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
    let is_root = answer("id", &["-u"]).is_some_and(|id| id == "0");
    ensure!(
        is_root || on_path("sudo").is_some(),
        "only root may run apt-get {arguments:?}, and there is no sudo"
    );
    let prefix: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
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

/// A Go program out of the cache, or built in a scratch module.
fn go_tool(
    watchdog: &Watchdog,
    name: &str,
    version: &str,
    build: impl FnOnce(&Go<'_>, &Path, &Path) -> Result<()>,
) -> Result<Tool> {
    let folder = cache_dir()?.join(format!("{name}-{version}"));
    let program = folder.join(name);
    if is_executable(&program) {
        return Ok(Tool::There(program));
    }
    let Some(path) = on_path("go") else {
        return Ok(Tool::Missing(format!("{name} {version} is built with Go, which is not installed")));
    };
    println!("building {name} {version} once; this takes some minutes");
    let scratch = watchdog.scratch().join(name);
    fs::create_dir_all(&scratch)?;
    fs::create_dir_all(&folder)?;
    // Named after this process, so that two runs at once do not write into one file; renamed when it is whole.
    let target = folder.join(format!("{name}.{}", std::process::id()));
    build(&Go { path, watchdog }, &scratch, &target)?;
    fs::rename(&target, &program)?;
    Ok(Tool::There(program))
}

struct Go<'a> {
    path: PathBuf,
    watchdog: &'a Watchdog,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    go_mod: PathBuf,
}

impl Go<'_> {
    fn run(&self, folder: &Path, arguments: &[&str]) -> Result<()> {
        // Tests can wait; whoever works on this machine cannot.
        let mut command = match on_path("nice") {
            Some(nice) => {
                let mut command = Command::new(nice);
                command.args(["-n", "15"]).arg(&self.path);
                command
            }
            None => Command::new(&self.path),
        };
        // A toolchain download would be another build than the one asked for, and needs a network that is not everywhere.
        command
            .args(arguments)
            .current_dir(folder)
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-buildvcs=false");
        command.env("GOWORK", "off").env("CGO_ENABLED", "0");
        let finished = run(self.watchdog, &mut command, show_all)?;
        ensure!(finished.status.success(), "go {} failed", arguments.join(" "));
        Ok(())
    }

    fn build(&self, folder: &Path, target: &Path, flags: &[&str], package: &str) -> Result<()> {
        let target = target.to_str().context("the cache folder's name is not Unicode")?;
        let arguments: Vec<&str> = ["build", "-trimpath", "-o", target]
            .into_iter()
            .chain(flags.iter().copied())
            .chain([package])
            .collect();
        self.run(folder, &arguments)
    }

    /// The text of a module's go.mod.
    fn module_file(&self, module: &str, version: &str) -> Result<String> {
        let program = self.path.to_str().context("the path of go is not Unicode")?;
        let said = answer(program, &["mod", "download", "-json", &format!("{module}@{version}")]);
        let said = said.with_context(|| format!("cannot download {module} {version}"))?;
        let module: Module = serde_json::from_str(&said).context("cannot read what go mod download says")?;
        Ok(fs::read_to_string(module.go_mod)?)
    }
}

/// A module that needs Kubernetes: its staging modules are required at v0.0.0, which only its own repository can
/// replace, so each is replaced here by the version published for it.
fn kubernetes_module(name: &str, kubernetes: &str) -> Result<String> {
    let staging = |line: &str| {
        let name = line.trim().strip_suffix(" v0.0.0")?;
        name.starts_with("k8s.io/").then(|| format!("replace {name} => {name} {STAGING}\n"))
    };
    let replaces: String = kubernetes.lines().filter_map(staging).collect();
    let go = kubernetes.lines().find(|line| line.starts_with("go "));
    let Some(go) = go.filter(|_| !replaces.is_empty()) else {
        bail!("the go.mod of Kubernetes {KUBERNETES} is not as expected: no go line, or no staging modules");
    };
    Ok(format!("module lanyard.test/{name}\n\n{go}\n\nrequire k8s.io/kubernetes {KUBERNETES}\n\n{replaces}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_staging_module_is_replaced_and_nothing_else() {
        let go_mod = "module k8s.io/kubernetes\n\ngo 1.25.0\n\nrequire (\n\tgithub.com/x/y v0.0.0\n\tk8s.io/api v0.0.0\n\
            \tk8s.io/klog/v2 v2.130.1\n\tk8s.io/kube-proxy v0.0.0\n)\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        let module = kubernetes_module("kubectl", go_mod).unwrap();
        let replaces: Vec<&str> = module.lines().filter(|line| line.starts_with("replace")).collect();
        assert_eq!(
            replaces,
            [
                "replace k8s.io/api => k8s.io/api v0.35.4",
                "replace k8s.io/kube-proxy => k8s.io/kube-proxy v0.35.4"
            ]
        );
        assert!(module.contains("\ngo 1.25.0\n"), "{module}");
        assert!(kubernetes_module("kubectl", "module k8s.io/kubernetes\n").is_err());
    }
}
