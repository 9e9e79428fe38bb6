//! Where a hub's folder is, unless told otherwise.

use std::{env, path::PathBuf};

/// `$XDG_DATA_HOME/lanyard`, or `~/.local/share/lanyard`.
pub fn data_dir() -> PathBuf {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").unwrap_or_default().join(".local").join("share");
    variable("XDG_DATA_HOME").unwrap_or_else(home).join("lanyard")
}

/// The name of the file in the folder that says how to reach the hub.
pub const READY_FILE: &str = "ready.json";
