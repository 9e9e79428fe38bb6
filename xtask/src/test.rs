//! `cargo xtask test`: the stages, each with its time, and the tally last. What is bound by the processors runs one stage after the
//! other; the stages that talk to running processes wait more than they work, and run in two rows side by side.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::agent;
use crate::command::{Finished, run as run_command, say, show_all, speak_as};
use crate::compose;
use crate::kubernetes;
use crate::node;
use crate::npm;
use crate::postgres::Postgres;
use crate::programs::{self, Program};
use crate::protos;
use crate::python::Python;
use crate::redis;
use crate::stack;
use crate::tally::Tally;
use crate::tools::{self, Tool};
use crate::walls;
use crate::watchdog::Watchdog;
use crate::workspace::{Metadata, cargo, on_path, root};

/// How a stage ended.
enum Outcome {
    /// These tests ran.
    Ran(Tally),
    /// Nothing was run, for this reason.
    Skipped(String),
}

/// One stage: its name, whether the quick run has it, and what it does.
struct Stage {
    name: &'static str,
    quick: bool,
    work: fn(&House) -> Result<Outcome>,
}

/// Before the rest: whoever has made a mistake hears of it first.
const STAGES: &[Stage] = &[
    Stage { name: "fmt", quick: true, work: fmt },
    Stage { name: "crate walls", quick: true, work: crate_walls },
    Stage { name: "clippy", quick: true, work: clippy },
    Stage { name: "doc", quick: false, work: doc },
    Stage { name: "bans", quick: false, work: bans },
    Stage { name: "protos", quick: false, work: protos },
    Stage { name: "rust tests", quick: true, work: rust_tests },
];

/// After them, row beside row, of about the same length.
const SIDE_BY_SIDE: [&[Stage]; 2] = [
    &[
        Stage { name: "conformance of the stack", quick: false, work: conformance_of_the_stack },
        Stage { name: "real clients of the stack", quick: false, work: clients_of_the_stack },
        Stage { name: "real kube-apiserver of the stack", quick: false, work: apiserver_of_the_stack },
    ],
    &[
        Stage { name: "conformance", quick: false, work: conformance },
        Stage { name: "static agent", quick: false, work: static_agent },
        Stage { name: "compose", quick: false, work: compose },
        Stage { name: "consumers", quick: false, work: consumers },
        Stage { name: "real clients", quick: false, work: clients },
        Stage { name: "real kube-apiserver", quick: false, work: apiserver },
        Stage { name: "real node", quick: false, work: node },
    ],
];

/// What the stages share.
struct House {
    root: PathBuf,
    watchdog: Watchdog,
    quick: bool,
    /// Held while tools are found, fetched or built: stages of two rows may want the same one.
    tools: Mutex<()>,
}

/// Runs the stages; the answer is whether all of them passed.
pub(crate) fn run(quick: bool, only: &[String]) -> Result<bool> {
    let house = House { root: root()?, watchdog: Watchdog::start()?, quick, tools: Mutex::new(()) };
    let chosen = |stages: &'static [Stage]| -> Vec<&'static Stage> {
        let is_named = |stage: &Stage| only.is_empty() || only.iter().any(|word| stage.name.contains(word));
        stages.iter().filter(|stage| (!quick || stage.quick) && is_named(stage)).collect()
    };
    let mut ended: Vec<(Tally, String)> =
        chosen(STAGES).into_iter().map(|stage| timed(&house, stage)).collect();
    ended.extend(side_by_side(&house, SIDE_BY_SIDE.map(chosen)));
    drop(house);
    let mut total = Tally::default();
    println!();
    for (tally, note) in ended {
        total += tally;
        println!("{note}");
    }
    println!("{total}");
    Ok(total.failed == 0 && total.passed > 0)
}

/// Runs the stages of each row one after the other, and the rows at once.
fn side_by_side<const ROWS: usize>(house: &House, rows: [Vec<&'static Stage>; ROWS]) -> Vec<(Tally, String)> {
    let alone = rows.iter().filter(|row| !row.is_empty()).count() < 2;
    let one_after_the_other = |row: Vec<&'static Stage>| -> Vec<(Tally, String)> {
        let run = |stage: &'static Stage| {
            if !alone {
                speak_as(stage.name);
            }
            timed(house, stage)
        };
        row.into_iter().map(run).collect()
    };
    thread::scope(|scope| {
        let running = rows.map(|row| scope.spawn(|| one_after_the_other(row)));
        let died = || vec![(Tally::FAILED, "failed: a row of stages died of a panic".to_owned())];
        running.into_iter().flat_map(|row| row.join().unwrap_or_else(|_| died())).collect()
    })
}

fn timed(house: &House, stage: &Stage) -> (Tally, String) {
    say("");
    say(&format!("== {} ==", stage.name));
    let start = Instant::now();
    let (tally, said) = match (stage.work)(house) {
        Ok(Outcome::Ran(tally)) => (tally, tally.to_string()),
        Ok(Outcome::Skipped(reason)) => (Tally::SKIPPED, format!("skipped: {reason}")),
        Err(fault) => (Tally::FAILED, format!("failed: {fault:#}")),
    };
    let note = format!("{:<24} {:>7.1} s  {said}", stage.name, start.elapsed().as_secs_f64());
    say(&note);
    (tally, note)
}

impl House {
    /// Finds, fetches or builds what a stage needs, while no other stage does.
    fn equipped<'a, T>(&'a self, find: impl FnOnce(&'a Watchdog) -> Result<T>) -> Result<T> {
        let _turn = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        find(&self.watchdog)
    }

    fn python(&self) -> Result<Python> {
        self.equipped(Python::prepare)
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A stage that is one check: it passes or it fails.
    fn check(&self, command: &mut Command) -> Result<Outcome> {
        let finished = run_command(&self.watchdog, command, show_all)?;
        Ok(Outcome::Ran(if finished.status.success() { Tally::PASSED } else { Tally::FAILED }))
    }

    /// The conformance tests of one folder, or all that have no folder of their own.
    fn pytest(&self, python: &Python, folder: &str, set: &[(&str, &Path)]) -> Result<Outcome> {
        let tests = self.root.join("tests/conformance").join(folder);
        if !has_tests(&tests, folder.is_empty()) {
            return Ok(Outcome::Skipped(format!("there are no tests in tests/conformance/{folder}")));
        }
        let ignored: Vec<&str> = if folder.is_empty() { OWN_FOLDERS.to_vec() } else { Vec::new() };
        self.python_tests(python, &tests, &ignored, set)
    }

    /// The Python tests below a folder, but for those of some folders in it.
    fn python_tests(
        &self,
        python: &Python,
        tests: &Path,
        ignored: &[&str],
        set: &[(&str, &Path)],
    ) -> Result<Outcome> {
        let lanyard = stack::build(&self.watchdog)?;
        let mut command = Command::new(python.program("pytest"));
        command
            .args(["-p", "no:cacheprovider", "--color=no", "-ra", "--durations=5"])
            .current_dir(&self.root);
        command
            .env("LANYARD_BIN", lanyard)
            .env("LANYARD_XTASK", std::env::current_exe()?)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        // Only the stage that is about it runs against separate processes.
        command.env_remove(REPLICAS);
        command.env("AWS_CLI", python.program("aws")).envs(set.iter().copied());
        // What the stages share lies there.
        command.env("PYTHONPATH", self.root.join("tests/conformance"));
        // No credentials or settings of whoever runs this may decide a test.
        for name in
            ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "KUBECONFIG"]
        {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.args(ignored.iter().map(|folder| format!("--ignore={}", tests.join(folder).display())));
        let finished = run_command(&self.watchdog, command.arg(tests), show_all)?;
        Ok(Outcome::Ran(judged(&finished, Tally::of_pytest(&finished.lines))))
    }
}

/// Folders of `tests/conformance` that are stages of their own.
const OWN_FOLDERS: &[&str] = &["clients", "apiserver", "compose", "node"];

/// Whether a folder has tests, in itself or below.
fn has_tests(folder: &Path, without_own: bool) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        match path.is_dir() {
            true => !(without_own && OWN_FOLDERS.contains(&name.as_ref())) && has_tests(&path, false),
            false => name.starts_with("test_") && name.ends_with(".py"),
        }
    })
}

/// A run that failed without a failed test did not get as far as its tests; one without any test tested nothing.
fn judged(finished: &Finished, mut tally: Tally) -> Tally {
    if !finished.status.success() && tally.failed == 0 {
        tally += Tally::FAILED;
    } else if tally.is_empty() {
        say("no test ran");
        tally += Tally::FAILED;
    }
    tally
}

fn fmt(house: &House) -> Result<Outcome> {
    house.check(&mut house.cargo(&["fmt", "--all", "--", "--check"]))
}

fn crate_walls(_: &House) -> Result<Outcome> {
    let faults = walls::faults()?;
    for fault in &faults {
        println!("{fault}");
    }
    Ok(Outcome::Ran(if faults.is_empty() { Tally::PASSED } else { Tally::FAILED }))
}

fn clippy(house: &House) -> Result<Outcome> {
    house.check(&mut house.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn doc(house: &House) -> Result<Outcome> {
    let mut command = house.cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    house.check(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn bans(house: &House) -> Result<Outcome> {
    if on_path("cargo-deny").is_none() {
        let reason = "cargo-deny is not installed, so licences and sources are not looked at; the bans are, by crate walls";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    // What it merely warns of, crates in two versions, is for whoever adds a dependency and asks it.
    let options = ["--workspace", "--locked", "--log-level", "error"];
    let asked = [&["deny"][..], &options, &["check", "bans", "licenses", "sources"]].concat();
    house.check(&mut house.cargo(&asked))
}

fn protos(house: &House) -> Result<Outcome> {
    match npm::buf(&house.watchdog)? {
        Tool::There(buf) => Ok(Outcome::Ran(protos::check(&house.watchdog, &buf, &house.root)?)),
        Tool::Missing(reason) => Ok(Outcome::Skipped(reason)),
    }
}

/// What tests that need a PostgreSQL are called (`lanyard_store::on_each_store!`).
const ON_POSTGRES: &str = "on_postgres";
/// The module that tests are in which start Redis servers.
const ON_REDIS: &str = "on_redis";

/// The tests of all crates, and the examples in their comments.
fn rust_tests(house: &House) -> Result<Outcome> {
    let build =
        ["test", "--workspace", "--locked", "--no-run", "--message-format", "json-render-diagnostics"];
    let built = run_command(&house.watchdog, &mut house.cargo(&build), |_| true)?;
    anyhow::ensure!(built.status.success(), "the tests do not build");
    let mut programs = Program::built(&house.root, &cargo(), &built.lines)?;
    if house.quick {
        // Not run, rather than run as tests that find no server and so pass without a look.
        for program in &mut programs {
            program.command().args(["--skip", ON_POSTGRES, "--skip", ON_REDIS]);
        }
    }
    let examples = house.cargo(&["test", "--workspace", "--locked", "--doc", "--no-fail-fast"]);
    programs.push(Program::new("examples in comments", examples));
    let postgres = if house.quick { None } else { Some(Postgres::start(&house.watchdog)?) };
    let redis = if house.quick { None } else { Some(redis::find_or_install()?) };
    for command in programs.iter_mut().map(Program::command) {
        match &postgres {
            Some(postgres) => command.env("LANYARD_TEST_POSTGRES_URL", &postgres.url),
            None => command.env_remove("LANYARD_TEST_POSTGRES_URL"),
        };
        match &redis {
            Some(program) => command.env("LANYARD_TEST_REDIS", program),
            None => command.env_remove("LANYARD_TEST_REDIS"),
        };
    }
    let tally = programs::run(&house.watchdog, &Metadata::load()?.target_directory, programs)?;
    anyhow::ensure!(!tally.is_empty(), "no test ran");
    Ok(Outcome::Ran(tally))
}

fn conformance(house: &House) -> Result<Outcome> {
    conformance_with(house, &[])
}

/// The tests that have no folder of their own, with what the AWS wire's story in JavaScript wants where that is there.
fn conformance_with(house: &House, settings: &[(&str, &Path)]) -> Result<Outcome> {
    let python = house.python()?;
    let postgres = house.equipped(Postgres::start)?;
    let sdks = house.equipped(tools::sdks)?;
    let mut set = vec![("LANYARD_TEST_POSTGRES_URL", Path::new(&postgres.url))];
    set.extend(sdks.iter().map(|(variable, path)| (*variable, path.as_path())));
    set.extend(settings);
    house.pytest(&python, "", &set)
}

/// Where tests find the node agent as a program of its own; else it is the one that `lanyard` has inside.
const AGENT: &str = "LANYARD_TEST_AGENT";

/// The node agent's tests on the static program that its image has.
fn static_agent(house: &House) -> Result<Outcome> {
    let python = house.python()?;
    let mut set = house.equipped(tools::sdks)?;
    set.push((AGENT, agent::build(&house.watchdog, "dev")?));
    let set: Vec<(&str, &Path)> = set.iter().map(|(variable, path)| (*variable, path.as_path())).collect();
    house.pytest(&python, "agent", &set)
}

/// How many replicas of each service the stack has.
const REPLICAS: &str = "LANYARD_TEST_STACK";
/// Enough for one replica to lack what another has.
const REPLICAS_BY_DEFAULT: &str = "2";

/// The same hub as separate processes on one PostgreSQL, every second one a service's own program.
fn conformance_of_the_stack(house: &House) -> Result<Outcome> {
    house.equipped(stack::build_with_own)?;
    conformance_with(house, &[(REPLICAS, &replicas())])
}

fn replicas() -> PathBuf {
    std::env::var_os(REPLICAS).unwrap_or_else(|| REPLICAS_BY_DEFAULT.into()).into()
}

/// The suite in containers, on a Docker of the tests' own.
fn compose(house: &House) -> Result<Outcome> {
    prepared(house, compose::prepare, "compose")
}

/// What a stage needs of a machine, as variables; or why this one has it not.
type Prepare = fn(&Watchdog) -> Result<Result<Vec<(&'static str, PathBuf)>, String>>;

/// The tests of a folder with what they need.
fn prepared(house: &House, prepare: Prepare, folder: &str) -> Result<Outcome> {
    let found = match house.equipped(prepare)? {
        Ok(found) => found,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let python = house.python()?;
    let set: Vec<(&str, &Path)> = found.iter().map(|(variable, path)| (*variable, path.as_path())).collect();
    house.pytest(&python, folder, &set)
}

/// Finds a tool, or makes it.
type Find = fn(&Watchdog) -> Result<Tool>;

/// Programs of others, in Python and Go, on code generated from the protos; and what `docs/grpc.md` shows.
fn consumers(house: &House) -> Result<Outcome> {
    let wanted: [(&str, Find); 4] = [
        ("BUF", npm::buf),
        ("PROTOC_GEN_GO", tools::protoc_gen_go),
        ("PROTOC_GEN_GO_GRPC", tools::protoc_gen_go_grpc),
        ("GRPCURL", tools::grpcurl),
    ];
    let mut found = Vec::new();
    for (variable, tool) in wanted {
        match house.equipped(tool)? {
            Tool::There(path) => found.push((variable, path)),
            Tool::Missing(reason) => return Ok(Outcome::Skipped(reason)),
        }
    }
    // Tools that were built earlier are there without it; the consumer in Go is built anew.
    match on_path("go") {
        Some(go) => found.push(("GO", go)),
        None => {
            return Ok(Outcome::Skipped("one consumer is built with Go, which is not installed".to_owned()));
        }
    }
    let python = house.python()?;
    let set: Vec<(&str, &Path)> = found.iter().map(|(variable, path)| (*variable, path.as_path())).collect();
    house.python_tests(&python, &house.root.join("tests/consumers"), &[], &set)
}

fn clients(house: &House) -> Result<Outcome> {
    with_tools(house, &CLIENTS, |python, found| house.pytest(python, "clients", found))
}

fn clients_of_the_stack(house: &House) -> Result<Outcome> {
    house.equipped(stack::build_with_own)?;
    let (postgres, replicas) = (house.equipped(Postgres::start)?, replicas());
    let own = [("LANYARD_TEST_POSTGRES_URL", Path::new(&postgres.url)), (REPLICAS, &replicas)];
    with_tools(house, &CLIENTS, |python, found| house.pytest(python, "clients", &[&own[..], found].concat()))
}

fn apiserver(house: &House) -> Result<Outcome> {
    // For the spoke service in processes of its own.
    let postgres = house.equipped(Postgres::start)?;
    let own = [("LANYARD_TEST_POSTGRES_URL", Path::new(&postgres.url))];
    with_tools(house, &APISERVER, |python, found| {
        house.pytest(python, "apiserver", &[&own[..], found].concat())
    })
}

/// The seed story alone: what the others tell has hubs of their own.
fn apiserver_of_the_stack(house: &House) -> Result<Outcome> {
    house.equipped(stack::build_with_own)?;
    let (postgres, replicas) = (house.equipped(Postgres::start)?, replicas());
    let own = [("LANYARD_TEST_POSTGRES_URL", Path::new(&postgres.url)), (REPLICAS, &replicas)];
    let story = house.root.join("tests/conformance/apiserver/test_story.py");
    with_tools(house, &APISERVER, |python, found| {
        house.python_tests(python, &story, &[], &[&own[..], found].concat())
    })
}

/// A program of others, and the variable by which tests find it.
type Wanted = (&'static str, Find);

/// What mints tokens and uses them.
const CLIENTS: [Wanted; 2] = [("KUBECTL", tools::kubectl), ("AWS_IAM_AUTHENTICATOR", tools::authenticator)];

/// What an API server wants.
const APISERVER: [Wanted; 3] = [
    ("KUBECTL", tools::kubectl),
    ("ETCD", |_| tools::etcd().context("cannot get etcd")),
    ("KUBE_APISERVER", kubernetes::kube_apiserver),
];

/// Tests with programs of others, each looked for only when those before it are there: one that is built takes minutes. Skipped where
/// one is missing.
fn with_tools(
    house: &House,
    wanted: &[Wanted],
    tests: impl FnOnce(&Python, &[(&str, &Path)]) -> Result<Outcome>,
) -> Result<Outcome> {
    let mut found = Vec::new();
    for (variable, tool) in wanted {
        match house.equipped(tool)? {
            Tool::There(path) => found.push((*variable, path)),
            Tool::Missing(reason) => return Ok(Outcome::Skipped(reason)),
        }
    }
    let found: Vec<(&str, &Path)> =
        found.iter().map(|(variable, path)| (*variable, path.as_path())).collect();
    tests(&house.python()?, &found)
}

/// A whole Kubernetes of one node, with the agent as its image has it.
fn node(house: &House) -> Result<Outcome> {
    let with_agent = |watchdog: &Watchdog| {
        let mut found = match node::prepare(watchdog)? {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        found.push((AGENT, agent::build(watchdog, "dev")?));
        Ok(Ok(found))
    };
    prepared(house, with_agent, "node")
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn rows_run_side_by_side_and_one_that_dies_is_a_failure() {
        static BOTH: Barrier = Barrier::new(2);
        let meets: fn(&House) -> Result<Outcome> = |_| {
            // Nobody passes alone.
            BOTH.wait();
            Ok(Outcome::Ran(Tally::PASSED))
        };
        let stage = |name, work| &*Box::leak(Box::new(Stage { name, quick: false, work }));
        let house = || House {
            root: PathBuf::new(),
            watchdog: Watchdog::start().unwrap(),
            quick: false,
            tools: Mutex::new(()),
        };
        let rows = [
            vec![stage("one", meets)],
            vec![stage("skipped", |_| Ok(Outcome::Skipped("no reason".to_owned()))), stage("other", meets)],
        ];
        let ended = side_by_side(&house(), rows);
        let names: Vec<&str> = ended.iter().filter_map(|(_, note)| note.split(' ').next()).collect();
        assert_eq!(names, ["one", "skipped", "other"], "the rows in their order, whoever ended first");
        let tallies: Vec<Tally> = ended.into_iter().map(|(tally, _)| tally).collect();
        assert_eq!(tallies, [Tally::PASSED, Tally::SKIPPED, Tally::PASSED]);

        let dies = vec![stage("dies", |_| panic!("on purpose"))];
        let ended = side_by_side(&house(), [dies, Vec::new()]);
        assert_eq!(ended.len(), 1);
        assert!(ended.iter().all(|(tally, _)| *tally == Tally::FAILED), "{ended:?}");
    }

    #[test]
    fn every_stage_has_a_name_of_its_own() {
        let all = STAGES.iter().chain(SIDE_BY_SIDE.into_iter().flatten()).map(|stage| stage.name);
        let mut names: Vec<&str> = all.collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
