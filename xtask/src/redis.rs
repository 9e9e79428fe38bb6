//! The Redis that tests start servers of: each its own, on free ports, in folders that go with them.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tools::apt_install;
use crate::workspace::on_path;

/// The server's program, for `LANYARD_TEST_REDIS`. It is a Sentinel too.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    if let Some(program) = find() {
        return Ok(program);
    }
    println!(
        "Redis is not installed; installing it. A server that the system may start of it is not used here"
    );
    apt_install("redis-server")?;
    find().context("Redis was installed, yet redis-server is not found")
}

fn find() -> Option<PathBuf> {
    on_path("redis-server")
}
