//! What the stage with a whole node needs: Kubernetes' programs, containerd and the plugins for pods' networks, and a machine
//! whose kernel lets root make namespaces and cgroups. A node's processes, mounts and links live in namespaces of its own
//! (`tests/conformance/namespaces.py`), so nothing here has to be cleaned up after them.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::kubernetes;
use crate::namespaces;
use crate::tools::{self, Tool, apt_install, install};
use crate::watchdog::Watchdog;
use crate::workspace::{cache_dir, is_executable};

/// Programs that are called by name, and Debian's packages that have them.
const PROGRAMS: [(&str, &str); 4] =
    [("ip", "iproute2"), ("containerd", "containerd"), ("ctr", "containerd"), ("runc", "runc")];
/// Debian's package of the plugins for pods' networks.
const PLUGINS: &str = "containernetworking-plugins";
/// Where distributions and the plugins' own releases put them.
const PLUGIN_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// The variables that the tests want, or why there can be no node here.
pub(crate) fn prepare(watchdog: &Watchdog) -> Result<Result<Vec<(&'static str, PathBuf)>, String>> {
    if let Some(reason) = namespaces::refused_by_machine() {
        return Ok(Err(reason));
    }
    let plugins = match plugins_of_installed() {
        Ok(plugins) => plugins,
        Err(fault) => return Ok(Err(format!("{fault:#}"))),
    };
    let mut set = vec![("CNI_PLUGINS", plugins), ("LANYARD_TEST_CACHE", cache_dir()?)];
    // Each only when those before it are there: what is built takes minutes.
    let wanted: [(&str, &dyn Fn() -> Result<Tool>); 4] = [
        ("KUBECTL", &|| tools::kubectl(watchdog)),
        ("ETCD", &|| tools::etcd().context("cannot get etcd")),
        ("KUBERNETES", &|| kubernetes::cluster(watchdog)),
        ("KUBE_APISERVER", &|| kubernetes::kube_apiserver(watchdog)),
    ];
    for (variable, tool) in wanted {
        match tool()? {
            Tool::There(path) => set.push((variable, path)),
            Tool::Missing(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(set))
}

/// Installs what is missing; the answer is the folder of the plugins for networks.
fn plugins_of_installed() -> Result<PathBuf> {
    install(&PROGRAMS)?;
    if let Some(folder) = plugins() {
        return Ok(folder);
    }
    apt_install(PLUGINS)?;
    plugins().with_context(|| format!("{PLUGINS} was installed, yet its bridge is not found"))
}

fn plugins() -> Option<PathBuf> {
    PLUGIN_FOLDERS.iter().map(PathBuf::from).find(|folder| is_executable(&folder.join("bridge")))
}
