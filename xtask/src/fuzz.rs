//! `cargo xtask fuzz`: libFuzzer on the stable toolchain, without sanitizers and without another tool to install.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{answer, run as run_command, show_all};
use crate::watchdog::Watchdog;
use crate::workspace::{cargo, root};

/// What tells libFuzzer where it has been: the coverage instrumentation that LLVM offers without a nightly toolchain.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// One input may be this long; the limits of what is parsed lie below.
const INPUT_BYTES_MAX: u32 = 64 * 1024;

/// Runs every target for so many seconds; the answer is whether none found a fault.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> Result<bool> {
    let folder = root()?.join("fuzz");
    let targets = targets(&folder)?;
    let targets: Vec<&String> =
        targets.iter().filter(|name| only.is_none_or(|word| name.contains(word))).collect();
    ensure!(!targets.is_empty(), "there is no such fuzz target in {}", folder.join("fuzz_targets").display());
    let watchdog = Watchdog::start()?;
    let host = host()?;
    let mut build = Command::new(cargo());
    // With a target named, the flags do not reach build scripts and macros.
    build
        .args(["build", "--release", "--bins", "--target", &host, "--manifest-path"])
        .arg(folder.join("Cargo.toml"));
    build.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")).env("CARGO_TARGET_DIR", folder.join("target"));
    ensure!(run_command(&watchdog, &mut build, show_all)?.status.success(), "the fuzz targets do not build");
    let mut failed = Vec::new();
    for target in &targets {
        println!("\n== {target}, {seconds} s ==");
        let program = folder.join("target").join(&host).join("release").join(target);
        if !fuzz(&watchdog, &folder, &program, target, seconds)? {
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        println!("\nfaults found by {}; the inputs are in fuzz/artifacts", failed.join(", "));
    }
    println!("\n{} passed, {} failed", targets.len() - failed.len(), failed.len());
    Ok(failed.is_empty())
}

fn fuzz(watchdog: &Watchdog, folder: &Path, program: &Path, target: &str, seconds: u32) -> Result<bool> {
    // What is found goes into the scratch, so that a run does not litter the kept corpus, which it starts from.
    let found = watchdog.scratch().join(target);
    let (corpus, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts").join(target));
    for needed in [&found, &corpus, &artifacts] {
        fs::create_dir_all(needed)?;
    }
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]);
    command
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(found)
        .arg(corpus)
        .current_dir(folder);
    Ok(run_command(watchdog, &mut command, show_all)?.status.success())
}

/// The names of the targets, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let sources = folder.join("fuzz_targets");
    let entries = fs::read_dir(&sources)
        .with_context(|| format!("there are no fuzz targets in {}", sources.display()))?;
    let name = |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort();
    Ok(names)
}

fn host() -> Result<String> {
    let said = answer("rustc", &["--version", "--verbose"]).context("cannot run rustc")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}
