//! Kubernetes' own programs, built from its published module.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::go::{Go, go_tool, go_tools};
use crate::tools::Tool;
use crate::watchdog::Watchdog;

/// The Kubernetes that Lanyard is held against.
const KUBERNETES: &str = "v1.35.4";
/// The version of its staging modules.
const STAGING: &str = "v0.35.4";
/// What a cluster of one node consists of.
const CLUSTER: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];

/// The folder with the programs of a whole cluster. They are built together, for most of what they are is the same.
pub(crate) fn cluster(watchdog: &Watchdog) -> Result<Tool> {
    go_tools(watchdog, "kubernetes", KUBERNETES, &CLUSTER, |go, folder, target| {
        build(go, folder, target, &CLUSTER)
    })
}

/// kube-apiserver, built with the rest of a cluster if it is not in the cache.
pub(crate) fn kube_apiserver(watchdog: &Watchdog) -> Result<Tool> {
    Ok(match cluster(watchdog)? {
        Tool::There(folder) => Tool::There(folder.join("kube-apiserver")),
        missing @ Tool::Missing(_) => missing,
    })
}

/// kubectl, built if it is not in the cache.
pub(crate) fn kubectl(watchdog: &Watchdog) -> Result<Tool> {
    go_tool(watchdog, "kubectl", KUBERNETES, |go, folder, target| build(go, folder, target, &["kubectl"]))
}

/// Builds programs of Kubernetes' `cmd` folder, which say of which version they are.
fn build(go: &Go<'_>, folder: &Path, target: &Path, programs: &[&str]) -> Result<()> {
    let module = scratch_module(&go.module_file("k8s.io/kubernetes", KUBERNETES)?)?;
    fs::write(folder.join("go.mod"), module)?;
    let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
    let version = "-X k8s.io/component-base/version";
    let flags =
        format!("-s -w {version}.gitVersion={KUBERNETES} {version}.gitMajor=1 {version}.gitMinor={minor}");
    let packages: Vec<String> =
        programs.iter().map(|program| format!("k8s.io/kubernetes/cmd/{program}")).collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    // The scratch module has no go.sum; it is filled in as modules come, each verified by the checksum database.
    go.build(folder, target, &["-mod=mod", "-ldflags", &flags], &packages)
}

/// A module that needs Kubernetes: its staging modules are required at v0.0.0, which only its own repository can
/// replace, so each is replaced here by the version published for it.
fn scratch_module(kubernetes: &str) -> Result<String> {
    let staging = |line: &str| {
        let name = line.trim().strip_suffix(" v0.0.0")?;
        name.starts_with("k8s.io/").then(|| format!("replace {name} => {name} {STAGING}\n"))
    };
    let replaces: String = kubernetes.lines().filter_map(staging).collect();
    let go = kubernetes.lines().find(|line| line.starts_with("go "));
    let Some(go) = go.filter(|_| !replaces.is_empty()) else {
        bail!("the go.mod of Kubernetes {KUBERNETES} is not as expected: no go line, or no staging modules");
    };
    Ok(format!(
        "module lanyard.test/kubernetes\n\n{go}\n\nrequire k8s.io/kubernetes {KUBERNETES}\n\n{replaces}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_staging_module_is_replaced_and_nothing_else() {
        let go_mod = "module k8s.io/kubernetes\n\ngo 1.25.0\n\nrequire (\n\tgithub.com/x/y v0.0.0\n\tk8s.io/api v0.0.0\n\
            \tk8s.io/klog/v2 v2.130.1\n\tk8s.io/kube-proxy v0.0.0\n)\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        let module = scratch_module(go_mod).unwrap();
        let replaces: Vec<&str> = module.lines().filter(|line| line.starts_with("replace")).collect();
        assert_eq!(
            replaces,
            [
                "replace k8s.io/api => k8s.io/api v0.35.4",
                "replace k8s.io/kube-proxy => k8s.io/kube-proxy v0.35.4"
            ]
        );
        assert!(module.contains("\ngo 1.25.0\n"), "{module}");
        assert!(scratch_module("module k8s.io/kubernetes\n").is_err());
    }
}
