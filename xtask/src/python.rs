//! The Python environments of the conformance tests and of the benchmarks, kept from run to run and made anew when their
//! requirements change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{run, show_all};
use crate::tools::apt_install;
use crate::watchdog::Watchdog;
use crate::workspace::{cache_dir, on_path, root};

/// A virtual environment with everything that a file of requirements pins.
pub(crate) struct Python {
    folder: PathBuf,
}

impl Python {
    /// Finds that of the conformance tests in the cache, or makes it.
    pub(crate) fn prepare(watchdog: &Watchdog) -> Result<Self> {
        Self::with(watchdog, "python", "tests/conformance/requirements.txt", "pytest")
    }

    /// The same of moto's server, beside which the AWS wire is measured.
    pub(crate) fn moto(watchdog: &Watchdog) -> Result<Self> {
        Self::with(watchdog, "moto", "tests/benches/requirements.txt", "moto")
    }

    /// The environment of a name in the cache, which works while `module` can be loaded.
    fn with(watchdog: &Watchdog, name: &str, requirements: &str, module: &str) -> Result<Self> {
        let requirements = root()?.join(requirements);
        let wanted = fs::read_to_string(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let python = Self { folder: cache_dir()?.join(name) };
        let stamp = python.folder.join("requirements.txt");
        // The stamp comes last, so that one half made is made anew.
        if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) && python.works(module) {
            return Ok(python);
        }
        python.create(watchdog, &requirements)?;
        fs::write(&stamp, wanted)?;
        Ok(python)
    }

    /// One of its programs, such as `pytest` or `aws`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Whether its interpreter still runs: it is a link to one that may have been replaced.
    fn works(&self, module: &str) -> bool {
        Command::new(self.program("python"))
            .args(["-c", &format!("import {module}")])
            .status()
            .is_ok_and(|status| status.success())
    }

    fn create(&self, watchdog: &Watchdog, requirements: &Path) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).context("cannot remove the old Python environment")?;
        }
        fs::create_dir_all(&self.folder)?;
        if !self.make(watchdog)? {
            println!("there is no Python that makes virtual environments; installing what is missing");
            apt_install("python3-venv")?;
            ensure!(self.make(watchdog)?, "python3 -m venv failed");
        }
        let mut pip = Command::new(self.program("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--requirement",
        ]);
        let installed = run(watchdog, pip.arg(requirements), show_all)?;
        ensure!(installed.status.success(), "pip could not install {}", requirements.display());
        Ok(())
    }

    fn make(&self, watchdog: &Watchdog) -> Result<bool> {
        let Some(python) = on_path("python3") else { return Ok(false) };
        let made =
            run(watchdog, Command::new(python).args(["-m", "venv", "--clear"]).arg(&self.folder), show_all)?;
        Ok(made.status.success())
    }
}
