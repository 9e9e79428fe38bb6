//! What comes from npm: kept in the cache, each in a folder that is whole or not there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{run, show_all};
use crate::protos;
use crate::tools::Tool;
use crate::watchdog::Watchdog;
use crate::workspace::{cache_dir, is_executable, on_path, root};

/// The version of buf that judges the protos, and generates from them.
const BUF: &str = "1.75.0";
/// Where the AWS SDK for JavaScript is pinned, with all that it needs.
const AWS_SDK: &str = "tests/conformance/aws/javascript";
/// What it is called by there.
const MANIFEST: &str = "package.json";
/// What pins it.
const LOCK: &str = "package-lock.json";

/// buf, installed if it is not in the cache.
pub(crate) fn buf(watchdog: &Watchdog) -> Result<Tool> {
    let folder = cache_dir()?.join(format!("buf-{BUF}"));
    let is_whole = |folder: &Path| is_executable(&protos::program_below(folder));
    let package = format!("@bufbuild/buf@{BUF}");
    let missing = match is_whole(&folder) {
        true => None,
        false => install(watchdog, &format!("buf {BUF}"), &folder, None, &["install", &package], is_whole)?,
    };
    Ok(missing.map_or_else(|| Tool::There(protos::program_below(&folder)), Tool::Missing))
}

/// The AWS SDK for JavaScript: the folder that has its `node_modules`, installed if the cache has none or another one.
pub(crate) fn aws_sdk(watchdog: &Watchdog) -> Result<Tool> {
    let (pinned, folder) = (root()?.join(AWS_SDK), cache_dir()?.join("aws-sdk-js"));
    let read = |folder: &Path| fs::read_to_string(folder.join(LOCK));
    let wanted = read(&pinned).with_context(|| format!("cannot read {LOCK} in {}", pinned.display()))?;
    let is_whole =
        |folder: &Path| folder.join("node_modules").is_dir() && read(folder).is_ok_and(|made| made == wanted);
    if is_whole(&folder) {
        return Ok(Tool::There(folder));
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot remove the old AWS SDK for JavaScript")?;
    }
    let missing = install(watchdog, "the AWS SDK for JavaScript", &folder, Some(&pinned), &["ci"], is_whole)?;
    Ok(missing.map_or_else(|| Tool::There(folder), Tool::Missing))
}

/// Has npm install something into a folder, by what a folder pins if one is given; the answer is why it could not.
fn install(
    watchdog: &Watchdog,
    what: &str,
    folder: &Path,
    pinned: Option<&Path>,
    arguments: &[&str],
    is_whole: impl Fn(&Path) -> bool,
) -> Result<Option<String>> {
    let Some(npm) = on_path("npm") else {
        return Ok(Some(format!("{what} is installed by npm, which is not there")));
    };
    println!("installing {what} once");
    // Renamed when it is whole, and named after this process, so that two runs at once do not write into one folder.
    let fresh = folder.with_file_name(format!(
        "{}.{}",
        folder.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    fs::create_dir_all(&fresh)?;
    if let Some(pinned) = pinned {
        for file in [MANIFEST, LOCK] {
            fs::copy(pinned.join(file), fresh.join(file)).with_context(|| format!("cannot copy {file}"))?;
        }
    }
    let mut command = Command::new(npm);
    command.args(arguments).args(["--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&fresh);
    let installed = run(watchdog, &mut command, show_all)?;
    if !installed.status.success() || !is_whole(&fresh) {
        let _ = fs::remove_dir_all(&fresh);
        return Ok(Some(format!("npm could not install {what}: it says why above")));
    }
    if fs::rename(&fresh, folder).is_err() {
        // Another run was first.
        let _ = fs::remove_dir_all(&fresh);
    }
    Ok(None)
}
