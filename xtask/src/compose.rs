//! What the test of `deploy/docker-compose.yml` needs: a Docker, and base images that come from no registry.
//!
//! Where a Docker daemon answers, that one is used; else one is started that has its own data, socket and end. The images are this
//! machine's own Debian, by debootstrap, with PostgreSQL and Redis in it; the one that builds has a `cargo` that puts the program
//! there which was built already.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::command::{answer, run, show_all};
use crate::tools::apt_install;
use crate::watchdog::{Guarded, Watchdog};
use crate::workspace::{cache_dir, on_path, root};

/// How long a daemon may take to answer on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to stop its containers and unmount their disks.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The images that the test runs.
const LANYARD: &str = "lanyard-test";
const BASE: &str = "lanyard-test-base";
const BUILD: &str = "lanyard-test-build";
const POSTGRES: &str = "lanyard-test-postgres";

/// A Docker with the images.
pub(crate) struct Docker<'a> {
    watchdog: &'a Watchdog,
    /// `DOCKER_HOST`, where it is one of our own.
    host: Option<String>,
    /// docker-compose.
    compose: PathBuf,
    daemon: Option<Guarded<'a>>,
}

impl<'a> Docker<'a> {
    /// Finds or installs Docker and docker-compose, and starts a daemon where none answers; or says why it cannot.
    pub(crate) fn start(watchdog: &'a Watchdog) -> Result<Result<Self, String>> {
        let install = |program: &str, package: &str| match on_path(program) {
            Some(_) => Ok(()),
            None => apt_install(package).map_err(|fault| format!("{fault:#}")),
        };
        if let Err(reason) =
            install("docker-compose", "docker-compose").and_then(|()| install("docker", "docker.io"))
        {
            return Ok(Err(reason));
        }
        // A package may have started one just now.
        let answers = answer("docker", &["info"]).is_some();
        if !answers && answer("id", &["-u"]).is_none_or(|id| id != "0") {
            return Ok(Err("no Docker daemon answers, and only root may start one".to_owned()));
        }
        if !answers && let Err(reason) = install("dockerd", "docker.io") {
            return Ok(Err(reason));
        }
        let compose = on_path("docker-compose").context("docker-compose was installed, yet is not found")?;
        let mut docker = Self { watchdog, host: None, compose, daemon: None };
        if !answers && let Err(fault) = docker.serve() {
            return Ok(Err(format!("{fault:#}")));
        }
        Ok(Ok(docker))
    }

    fn serve(&mut self) -> Result<()> {
        let home = self.watchdog.scratch().join("docker");
        fs::create_dir(&home)?;
        let host = format!("unix://{}", home.join("socket").display());
        let log = home.join("log");
        let mut command =
            Command::new(on_path("dockerd").context("dockerd was installed, yet is not found")?);
        // Without the bridge that it would leave behind: the suite's network is its own, and goes with it.
        command.args(["--bridge", "none", "--host", &host, "--data-root"]).arg(home.join("data"));
        command.arg("--exec-root").arg(home.join("exec")).arg("--pidfile").arg(home.join("pid"));
        command.stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let mut daemon = self.watchdog.spawn(&mut command)?;
        let begun = Instant::now();
        while answer("docker", &["--host", &host, "info"]).is_none() {
            let last =
                || fs::read_to_string(&log).unwrap_or_default().lines().last().unwrap_or("").to_owned();
            ensure!(daemon.child.try_wait()?.is_none(), "dockerd does not start here: {}", last());
            ensure!(begun.elapsed() < START_TIMEOUT, "dockerd did not answer in time: {}", last());
            sleep(POLL);
        }
        (self.host, self.daemon) = (Some(host), Some(daemon));
        Ok(())
    }

    /// Makes the images, with this program in the last one; answers the variables that the test wants.
    pub(crate) fn images(&self, lanyard: &Path) -> Result<Vec<(&'static str, String)>> {
        let context = self.watchdog.scratch().join("images");
        fs::create_dir(&context)?;
        self.import_base()?;
        for (name, text) in [
            ("cargo", include_str!("compose/cargo.sh")),
            ("postgres.sh", include_str!("compose/postgres.sh")),
        ] {
            fs::write(context.join(name), text)?;
            fs::set_permissions(context.join(name), fs::Permissions::from_mode(0o755))?;
        }
        copy_stripped(lanyard, &context.join("lanyard"))?;
        let build = format!("FROM {BASE}\nCOPY cargo /usr/local/bin/cargo\nCOPY lanyard /opt/lanyard\n");
        self.build(&context, BUILD, Some(&build), &[])?;
        let entry = "/usr/local/bin/postgres.sh";
        let postgres = format!("FROM {BASE}\nCOPY postgres.sh {entry}\nENTRYPOINT [\"{entry}\"]\n");
        self.build(&context, POSTGRES, Some(&postgres), &[])?;
        let arguments = [format!("BUILD_IMAGE={BUILD}"), format!("RUNTIME_IMAGE={BASE}")];
        self.build(&root()?, LANYARD, None, &arguments)?;
        let image = |variable, image: &str| (variable, image.to_owned());
        let mut set = vec![
            image("LANYARD_IMAGE", LANYARD),
            image("POSTGRES_IMAGE", POSTGRES),
            image("REDIS_IMAGE", BASE),
            ("DOCKER_COMPOSE", self.compose.display().to_string()),
        ];
        set.extend(self.host.clone().map(|host| ("DOCKER_HOST", host)));
        Ok(set)
    }

    /// A Debian with PostgreSQL and Redis, made once and kept as a file.
    fn import_base(&self) -> Result<()> {
        let codename = codename()?;
        let folder = cache_dir()?;
        fs::create_dir_all(&folder)?;
        let kept = folder.join(format!("compose-base-{codename}.tar"));
        if !kept.exists() {
            if on_path("debootstrap").is_none() {
                apt_install("debootstrap")?;
            }
            println!("making a Debian {codename} for the images once; this takes a minute or two");
            let tree = self.watchdog.scratch().join("debian");
            let mut command = Command::new("debootstrap");
            command.args([
                "--variant=minbase",
                "--include=ca-certificates,postgresql,redis-server",
                &codename,
            ]);
            self.done(command.arg(&tree), |line| line.starts_with("I: "))?;
            // Named after this process, so that two runs at once do not write into one file; renamed when it is whole.
            let half = kept.with_extension(std::process::id().to_string());
            let mut command = Command::new("tar");
            command
                .arg("--directory")
                .arg(&tree)
                .args(["--exclude=./var/cache/apt/archives/*", "--exclude=./dev/*"]);
            command.args(["--exclude=./proc/*", "--create", "--file"]).arg(&half).arg(".");
            self.done(&mut command, show_all)?;
            fs::rename(&half, &kept)?;
            fs::remove_dir_all(&tree)?;
        }
        self.done(self.docker().arg("import").arg(&kept).arg(BASE), show_all)
    }

    /// From the folder's own Dockerfile, or from this text.
    fn build(&self, context: &Path, image: &str, text: Option<&str>, arguments: &[String]) -> Result<()> {
        let file = match text {
            Some(text) => {
                let file = context.join(format!("{image}.Dockerfile"));
                fs::write(&file, text)?;
                file
            }
            None => context.join("Dockerfile"),
        };
        let mut command = self.docker();
        // The builder that every Docker has; the other one is a plugin, which may not be there.
        command
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "--quiet", "--network", "none", "--tag", image, "--file"])
            .arg(file);
        command.args(arguments.iter().flat_map(|argument| ["--build-arg", argument])).arg(context);
        self.done(command.stderr(Stdio::null()), show_all)
    }

    fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.envs(self.host.iter().map(|host| ("DOCKER_HOST", host)));
        command
    }

    fn done(&self, command: &mut Command, hide: fn(&str) -> bool) -> Result<()> {
        let finished = run(self.watchdog, command, hide)?;
        ensure!(finished.status.success(), "{command:?} failed, {}", finished.status);
        Ok(())
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        // It stops what it runs, and unmounts; killed, it would leave both behind.
        daemon.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT && matches!(daemon.child.try_wait(), Ok(None)) {
            sleep(POLL);
        }
    }
}

/// The Debian that this machine runs: a program that was built here runs there too.
fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("this system does not say what it is")?;
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"'))
    };
    ensure!(
        field("ID=") == Some("debian"),
        "the images are made of this machine's own Debian, and it is none"
    );
    field("VERSION_CODENAME=").map(str::to_owned).context("this Debian has no code name")
}

/// The symbols for debuggers are most of a program that was built for tests.
fn copy_stripped(program: &Path, to: &Path) -> Result<()> {
    let stripped = Command::new("strip").arg("-o").arg(to).arg(program).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(program, to).with_context(|| format!("cannot copy `{}`", program.display()))?;
    }
    Ok(())
}
