//! Whether this machine lets the tests make namespaces and cgroups (`tests/conformance/namespaces.py`), in which what they start
//! is kept from the machine and ends with them.

use std::fs;
use std::path::Path;

use crate::command::answer;
use crate::tools::is_root;

/// Where cgroups are made: below each controller of the first version, or in the one tree of the second.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];

/// Why nothing can run in namespaces here, whatever is installed.
pub(crate) fn refused_by_machine() -> Option<String> {
    if !is_root() {
        return Some("it runs in namespaces and cgroups of its own, which only root may make".to_owned());
    }
    if answer("unshare", &["--pid", "--fork", "--mount", "--net", "--mount-proc", "true"]).is_none() {
        return Some("it runs in namespaces of its own, and this machine lets root make none".to_owned());
    }
    let probe = format!("lanyard-probe-{}", std::process::id());
    let made = CGROUPS.iter().map(|folder| Path::new(folder).join(&probe)).any(|cgroup| {
        // Removed by the same name: a cgroup that nothing runs in is an empty folder to rmdir.
        fs::create_dir(&cgroup).and_then(|()| fs::remove_dir(&cgroup)).is_ok()
    });
    (!made).then(|| "it runs in cgroups of its own, and this machine lets root make none".to_owned())
}
