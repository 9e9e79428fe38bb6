//! `cargo xtask bench`: runs the benchmarks and writes docs/benchmarks.md.
//!
//! A benchmark says each figure on a line of its own: `lanyard-bench ` and a JSON object with `group`, `name`, `value`,
//! `unit` and, where there is one, `goal`. The machine's load is noted beside each, as it was when the figure came.

mod stack;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::agent;
use crate::command::{answer, run as run_command, show_all};
use crate::python::Python;
use crate::watchdog::Watchdog;
use crate::workspace::{Metadata, Package, Target, cargo, root};

/// What to measure.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    task: Option<BenchTask>,
    /// Only the packages of this name; then nothing is written
    #[arg(long, short, value_name = "PACKAGE")]
    package: Vec<String>,
    /// Only the benchmarks of this name; then nothing is written
    #[arg(long, value_name = "NAME")]
    bench: Vec<String>,
    /// A little of everything and debug builds, to see that the benchmarks of the whole work; nothing is written
    #[arg(long)]
    quick: bool,
    /// What the benchmarks themselves are told, such as a part of a scenario's name
    #[arg(last = true, value_name = "WORD")]
    words: Vec<String>,
}

impl Options {
    /// Whether it is the whole page.
    fn is_whole(&self) -> bool {
        self.package.is_empty() && self.bench.is_empty() && self.words.is_empty() && !self.quick
    }
}

#[derive(Subcommand)]
enum BenchTask {
    /// Measure the suite as separate processes, and write their section of docs/benchmarks.md
    Stack(stack::Options),
}

/// The page that the figures stand on.
const PAGE: &str = "docs/benchmarks.md";

/// The package whose benchmarks run the program itself.
const OF_THE_WHOLE: &str = "lanyard-tests";

/// Its benchmark of the node agent, and where that finds the program.
const OF_AGENT: &str = "agent";
const AGENT: &str = "LANYARD_TEST_AGENT";

/// Set, benchmarks of the whole do a little of everything.
const SMALL: &str = "LANYARD_BENCH_SMALL";

/// What a figure's line begins with.
const MARK: &str = "lanyard-bench ";

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    /// The table it belongs to.
    group: String,
    /// What was measured.
    name: String,
    value: f64,
    unit: String,
    /// What it should be, in words.
    #[serde(default)]
    goal: Option<String>,
    /// The load average of the last minute when it came.
    #[serde(skip)]
    load: String,
}

/// Runs the benchmarks that were asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.task {
        Some(BenchTask::Stack(of_stack)) => stack::run(of_stack),
        None => run_benches(options),
    }
}

/// Runs the benchmarks that were asked for; only a run of all writes the page, which would lack the others else.
fn run_benches(options: &Options) -> Result<()> {
    let benches = benches(options)?;
    ensure!(
        !benches.is_empty(),
        "there are no such benchmarks; without flags there are those of all packages"
    );
    let watchdog = Watchdog::start()?;
    let whole: Vec<&Bench> = benches.iter().filter(|bench| bench.package == OF_THE_WHOLE).collect();
    let mut command = bench_command(&benches, options)?;
    if whole.iter().any(|bench| bench.name == OF_AGENT) {
        command.env(AGENT, agent::build(&watchdog, if options.quick { "dev" } else { agent::SHIPPED })?);
    }
    if whole.iter().any(|bench| bench.name != OF_AGENT) {
        let program = match options.quick {
            true => crate::stack::build(&watchdog)?,
            false => {
                build_program(&watchdog)?;
                program()?
            }
        };
        command.env("LANYARD_BIN", program);
        command.envs(moto(&watchdog).iter().map(|moto| ("LANYARD_MOTO", moto)));
    }
    let figures = measure(&watchdog, &mut command)?;
    ensure!(!figures.is_empty(), "the benchmarks said no figure; each is a line `{MARK}{{…}}`");
    if !options.is_whole() {
        println!("\n{} figures; a run of everything writes them down", figures.len());
        return Ok(());
    }
    let path = root()?.join(PAGE);
    // What another task measured stays.
    let of_stack = fs::read_to_string(&path).ok().and_then(|page| stack::section_in(&page));
    let page = render(&figures, &machine());
    fs::write(&path, of_stack.map_or(page.clone(), |section| format!("{page}\n{section}")))?;
    println!("\n{} figures in {}", figures.len(), path.display());
    Ok(())
}

/// A benchmark, and whose it is.
struct Bench {
    package: String,
    name: String,
}

/// The benchmarks that were asked for, or all of the workspace; a quick run is of those of the whole.
fn benches(options: &Options) -> Result<Vec<Bench>> {
    let metadata = Metadata::load()?;
    let asked = |name: &String| match options.package.is_empty() {
        true => !options.quick || name == OF_THE_WHOLE,
        false => options.package.contains(name),
    };
    let of_package = |package: &Package| {
        let benches = package.targets.iter().filter(|target| {
            target.kind.iter().any(|kind| kind == "bench")
                && (options.bench.is_empty() || options.bench.contains(&target.name))
        });
        let named = |target: &Target| Bench { package: package.name.clone(), name: target.name.clone() };
        benches.map(named).collect::<Vec<_>>()
    };
    Ok(metadata.members().filter(|package| asked(&package.name)).flat_map(of_package).collect())
}

/// Runs benchmarks and nothing else: `--benches` would build and run the unit tests too. All are named at once, so that what they
/// share is built once, with the features that they want together.
fn bench_command(benches: &[Bench], options: &Options) -> Result<Command> {
    let mut command = Command::new(cargo());
    command.args(["bench", "--locked"]).current_dir(root()?);
    if options.quick {
        command.args(["--profile", "dev"]).env(SMALL, "1");
    }
    let packages: BTreeSet<&str> = benches.iter().map(|bench| bench.package.as_str()).collect();
    let names: BTreeSet<&str> = benches.iter().map(|bench| bench.name.as_str()).collect();
    command.args(packages.into_iter().flat_map(|package| ["--package", package]));
    command.args(names.into_iter().flat_map(|name| ["--bench", name]));
    if !options.words.is_empty() {
        command.arg("--").args(&options.words);
    }
    Ok(command)
}

/// The program as released, to be measured by benchmarks of the whole.
fn build_program(watchdog: &Watchdog) -> Result<()> {
    let mut command = Command::new(cargo());
    command.args(["build", "--release", "--locked", "--package", "lanyard"]).current_dir(root()?);
    let built = run_command(watchdog, &mut command, show_all)?;
    ensure!(built.status.success(), "lanyard does not build");
    Ok(())
}

/// moto's server, for the AWS wire to be measured beside; none, and said so, where it cannot be installed.
fn moto(watchdog: &Watchdog) -> Option<PathBuf> {
    match Python::moto(watchdog) {
        Ok(python) => Some(python.program("moto_server")),
        Err(error) => {
            println!(
                "moto is skipped, and the AWS wire measured without it: it cannot be installed: {error:#}"
            );
            None
        }
    }
}

/// Where it is then.
fn program() -> Result<PathBuf> {
    Ok(Metadata::load()?.target_directory.join("release/lanyard"))
}

/// Runs benchmarks, and passes on what they say.
fn measure(watchdog: &Watchdog, command: &mut Command) -> Result<Vec<Figure>> {
    let mut running = watchdog.spawn(command.stdout(Stdio::piped()))?;
    let output = running.child.stdout.take().context("a piped command has an output")?;
    let mut figures = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what the benchmark says")?;
        println!("{line}");
        if let Some(figure) = parse(&line)? {
            figures.push(Figure { load: load(), ..figure });
        }
    }
    ensure!(running.child.wait()?.success(), "a benchmark failed");
    Ok(figures)
}

fn parse(line: &str) -> Result<Option<Figure>> {
    let Some(json) = line.strip_prefix(MARK) else { return Ok(None) };
    serde_json::from_str(json).map(Some).with_context(|| format!("not a figure: {line}"))
}

fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let date = answer("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default();
    let rustc = answer("rustc", &["--version"]).unwrap_or_default();
    format!("{date}, {model}, {cores} cores, {rustc}")
}

fn render(figures: &[Figure], machine: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench`; do not edit.\n\nMeasured: {machine}. *Load* is the machine's load \
         average over the minute before each figure; CPU for a request moves least under load that is not ours.\n\n\
         *The byte echo* is an axum handler on the hub's own HTTP stack, with TLS and kept connections too, that sends the \
         same bodies back as they came: what nobody behind that stack can be faster than. *The JSON echo* reads them as JSON \
         and writes them again, and does nothing else. With one connection each of them sleeps until it is asked and is woken \
         for it, each time: some microseconds of the CPU of all three. All are asked in turns, within one run; \
         the server that is asked has one core, the load another, where the machine has two. Every answer is looked at. \
         The hub holds 100 clusters of 1 000 access entries and 1 000 bindings.\n\n\
         The AWS wire is measured on a hub of its own, 1 000 clusters of 1 000 access entries and two more, beside the byte echo \
         of nothing and beside moto's server, the one that people test AWS tools against: on the same core, over plain HTTP, \
         with a connection for each request as it wants them. The hub's calls are over TLS, signed, verified and weighed.\n\n\
         Vends are measured on a hub of their own too, beside the byte echo of nothing: *kept* are those of a full node's pods, \
         which ask again; *fresh* those of 2 000 pods at a hub that keeps nothing. The node agent is the static program, with the \
         credentials of 250 pods kept, beside an echo of as many bytes on the same stack, over plain HTTP. Its start is measured \
         from the start of the program to a pod's first answer, with a kubelet, a hub and an endpoint that are up.\n"
    );
    text.push_str(&tables(figures, "##"));
    text
}

/// A table for each group, under a heading of this level.
fn tables(figures: &[Figure], level: &str) -> String {
    let mut text = String::new();
    let mut groups: Vec<&str> = Vec::new();
    for figure in figures {
        if !groups.contains(&figure.group.as_str()) {
            groups.push(&figure.group);
        }
    }
    for group in groups {
        // Writing into a string cannot fail.
        let _ = write!(text, "\n{level} {group}\n\n| what | measured | goal | load |\n|---|---:|---|---:|\n");
        for Figure { name, value, unit, goal, load, .. } in
            figures.iter().filter(|figure| figure.group == group)
        {
            let goal = goal.as_deref().unwrap_or("");
            let _ = writeln!(text, "| {name} | {} {unit} | {goal} | {load} |", rounded(*value));
        }
    }
    text
}

/// Three figures that count, and no more decimals than that: the rest is noise.
fn rounded(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_the_mark_is_a_figure_and_a_broken_one_is_an_error() {
        let line = r#"lanyard-bench {"group":"RBAC","name":"allowed, 10 bindings","value":123.4,"unit":"ns","goal":"under 500 ns: reached"}"#;
        let figure = parse(line).unwrap().unwrap();
        assert_eq!(
            (figure.group.as_str(), figure.value, figure.goal.as_deref()),
            ("RBAC", 123.4, Some("under 500 ns: reached"))
        );
        assert_eq!(parse("running 1 benchmark").unwrap(), None);
        assert!(parse("lanyard-bench {}").is_err());
        assert!(parse(r#"lanyard-bench {"group":"a","name":"b","value":1,"unit":"ns","gaol":""}"#).is_err());
    }

    #[test]
    fn figures_stand_in_the_table_of_their_group_with_the_load_beside_them() {
        let figure = |group: &str, value| Figure {
            group: group.to_owned(),
            name: "n".to_owned(),
            value,
            unit: "ns".to_owned(),
            goal: None,
            load: "0.50".to_owned(),
        };
        let text = render(&[figure("A", 1234.5), figure("B", 0.123_45), figure("A", 12.34)], "a machine");
        assert!(text.contains("## A\n\n| what | measured | goal | load |\n|---|---:|---|---:|\n| n | 1234 ns |  | 0.50 |\n| n | 12.3 ns |"), "{text}");
        assert!(text.contains("## B") && text.contains("| n | 0.123 ns |  | 0.50 |"), "{text}");
    }
}
