//! Programs that are built with Go from their published modules, and kept by version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::command::{answer, run, show_all};
use crate::tools::Tool;
use crate::watchdog::Watchdog;
use crate::workspace::{cache_dir, is_executable, on_path};

/// A Go program out of the cache, or built in a scratch module.
pub(crate) fn go_tool(
    watchdog: &Watchdog,
    name: &str,
    version: &str,
    build: impl FnOnce(&Go<'_>, &Path, &Path) -> Result<()>,
) -> Result<Tool> {
    Ok(match go_tools(watchdog, name, version, &[name], build)? {
        Tool::There(folder) => Tool::There(folder.join(name)),
        missing @ Tool::Missing(_) => missing,
    })
}

/// The folder in the cache with all these programs of one version, which `build` makes: it is given a scratch module's folder, and
/// the one that it has to write the programs to.
pub(crate) fn go_tools(
    watchdog: &Watchdog,
    name: &str,
    version: &str,
    programs: &[&str],
    build: impl FnOnce(&Go<'_>, &Path, &Path) -> Result<()>,
) -> Result<Tool> {
    let folder = cache_dir()?.join(format!("{name}-{version}"));
    if programs.iter().all(|program| is_executable(&folder.join(program))) {
        return Ok(Tool::There(folder));
    }
    let Some(path) = on_path("go") else {
        return Ok(Tool::Missing(format!("{name} {version} is built with Go, which is not installed")));
    };
    println!("building {name} {version} once; this takes some minutes");
    let scratch = watchdog.scratch().join(name);
    fs::create_dir_all(&scratch)?;
    // Named after this process, so that two runs at once do not write into one file; renamed when all are whole.
    let target = folder.join(format!("{}.building", std::process::id()));
    fs::create_dir_all(&target)?;
    build(&Go { path, watchdog }, &scratch, &target)?;
    for program in programs {
        fs::rename(target.join(program), folder.join(program))
            .with_context(|| format!("{name} {version} was built without {program}"))?;
    }
    fs::remove_dir_all(&target)?;
    Ok(Tool::There(folder))
}

/// Go's own tool, at low priority.
pub(crate) struct Go<'a> {
    path: PathBuf,
    watchdog: &'a Watchdog,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    go_mod: PathBuf,
}

impl Go<'_> {
    pub(crate) fn run(&self, folder: &Path, arguments: &[&str]) -> Result<()> {
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

    /// Builds the programs of some packages into a folder.
    pub(crate) fn build(
        &self,
        folder: &Path,
        target: &Path,
        flags: &[&str],
        packages: &[&str],
    ) -> Result<()> {
        let target = target.to_str().context("the cache folder's name is not Unicode")?;
        // A name that ends so is a folder's also for one package alone.
        let target = format!("{target}/");
        let arguments: Vec<&str> = ["build", "-trimpath", "-o", &target]
            .into_iter()
            .chain(flags.iter().copied())
            .chain(packages.iter().copied())
            .collect();
        self.run(folder, &arguments)
    }

    /// The text of a module's go.mod.
    pub(crate) fn module_file(&self, module: &str, version: &str) -> Result<String> {
        let program = self.path.to_str().context("the path of go is not Unicode")?;
        let said = answer(program, &["mod", "download", "-json", &format!("{module}@{version}")]);
        let said = said.with_context(|| format!("cannot download {module} {version}"))?;
        let module: Module = serde_json::from_str(&said).context("cannot read what go mod download says")?;
        Ok(fs::read_to_string(module.go_mod)?)
    }
}
