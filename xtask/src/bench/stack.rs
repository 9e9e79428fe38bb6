//! `cargo xtask bench stack`: the separate processes, measured, and their section of the page.
//!
//! Here is the PostgreSQL, the programs and the page; what is measured and how is the benchmark's own affair
//! (`tests/benches/gateway/stack`). It starts stacks by this very program.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::{Figure, OF_THE_WHOLE, PAGE, build_program, machine, measure, program, tables};
use crate::postgres::Postgres;
use crate::stack;
use crate::watchdog::Watchdog;
use crate::workspace::{cargo, root};

/// Where the benchmark reads what to do.
const ORDER: &str = "LANYARD_BENCH_STACK";
/// The benchmark, and the first argument by which it measures the stack.
const BENCH: &str = "gateway";
const ROLE: &str = "stack";
/// What the section stands between.
const BEGIN: &str = "<!-- begin: cargo xtask bench stack -->";
const END: &str = "<!-- end: cargo xtask bench stack -->";
/// Clusters that are loaded, unless it is said otherwise; of a thousand entries and a thousand bindings each.
const CLUSTERS: u32 = 1_000;
/// Clusters of a quick run.
const FEW_CLUSTERS: u32 = 4;

#[derive(Args)]
#[command(
    after_help = "Starts a PostgreSQL of its own, fills a world, copies it there, and measures stacks of `cargo xtask stack` on \
                  it, beside `lanyard serve` and an echo. Needs some 10 GB in the folder for temporary files (TMPDIR) and 10 GB \
                  of memory with all clusters; leaves nothing behind. Progress goes to standard error, figures to standard \
                  output. A goal that is missed is told, and is no failure.\n\nExamples:\n  cargo xtask bench stack\n  cargo \
                  xtask bench stack --quick                        # does it work? Of debug builds, so its figures say nothing\n  \
                  cargo xtask bench stack --only changes --only hop        # prints, and leaves the page as it is\n  cargo xtask \
                  bench stack --only snapshots --clusters 200"
)]
pub(crate) struct Options {
    /// Only this part; may be given again. Then nothing is written
    #[arg(long, value_name = "PART", value_enum)]
    only: Vec<Part>,
    /// How many clusters are loaded from PostgreSQL, of 1 000 entries and 1 000 bindings each [default: 1000, or 4 of 50 with
    /// --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clusters: Option<u32>,
    /// A minute or two with little of everything and debug builds, to see that all of it works; nothing is written
    #[arg(long)]
    quick: bool,
}

/// What there is to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// TokenReview and SubjectAccessReview through gateway and services, beside `serve` and the JSON echo
    Reviews,
    /// The gRPC hop alone
    Hop,
    /// AuthorizeBatch of 1 000 checks, over gRPC and in process
    Batch,
    /// How long until a change is visible on all replicas
    Changes,
    /// Loading every cluster from PostgreSQL
    Snapshots,
}

/// Measures, and writes the section where everything was measured.
pub(super) fn run(options: &Options) -> Result<()> {
    let watchdog = Watchdog::start()?;
    let lanyard = match options.quick {
        true => stack::build(&watchdog)?,
        false => {
            build_program(&watchdog)?;
            program()?
        }
    };
    let postgres = Postgres::start(&watchdog)?;
    let parts = if options.only.is_empty() { Part::value_variants() } else { &options.only };
    let usual = if options.quick { FEW_CLUSTERS } else { CLUSTERS };
    let order = json!({
        "parts": parts,
        "clusters": options.clusters.unwrap_or(usual),
        "quick": options.quick,
        "postgres": postgres.url,
        "xtask": std::env::current_exe().context("where is this program?")?,
    });
    let mut command = Command::new(cargo());
    command.args(["bench", "--locked", "--package", OF_THE_WHOLE, "--bench", BENCH]).current_dir(root()?);
    if options.quick {
        command.args(["--profile", "dev"]);
    }
    command.args(["--", ROLE]).env(ORDER, order.to_string()).env("LANYARD_BIN", lanyard);
    // Worlds are large, and go with this process.
    command.env("TMPDIR", watchdog.scratch());
    let figures = measure(&watchdog, &mut command)?;
    drop(postgres);
    ensure!(!figures.is_empty(), "the benchmark said no figure");
    if options.quick || !options.only.is_empty() {
        println!("\n{} figures; a whole run writes them down", figures.len());
        return Ok(());
    }
    let path = root()?.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    fs::write(&path, with_section(&page, &section(&figures, &machine())))?;
    println!("\n{} figures in {}", figures.len(), path.display());
    Ok(())
}

fn section(figures: &[Figure], machine: &str) -> String {
    let tables = tables(figures, "###");
    format!(
        "{BEGIN}\n## The suite as separate processes\n\nWritten by `cargo xtask bench stack`; do not edit.\n\nMeasured: \
         {machine}. One process of each service where nothing else is said, with a PostgreSQL and a Redis of their own on the \
         same machine; all processes, `serve`, the echo and the load share its cores, and each process of the stack has threads \
         for half of them (`TOKIO_WORKER_THREADS`). The PostgreSQL does not wait for its disk \
         (`fsync=off`), so that what a commit takes is not the disk's time. Every answer is looked at. *CPU* of a process is \
         what `/proc` counts for it, the kernel's work for it included; *a hop that is added* is what all processes of the stack \
         use for a request beyond what `serve` uses, shared among the calls to services that it takes. With one request at a time \
         each process sleeps until it is asked, and whoever asks wakes it: *TLS alone, between two processes* is what that costs \
         where they do nothing but give back some bytes.\n{tables}{END}\n"
    )
}

/// The section of a page, if it has one.
pub(super) fn section_in(page: &str) -> Option<String> {
    let (_, rest) = page.split_once(BEGIN)?;
    let (inner, _) = rest.split_once(END)?;
    Some(format!("{BEGIN}{inner}{END}\n"))
}

/// The page with this section, in place of the one that it has, or at its end.
fn with_section(page: &str, section: &str) -> String {
    match section_in(page) {
        Some(old) => page.replacen(old.trim_end(), section.trim_end(), 1),
        None => format!("{}\n\n{section}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_put_at_the_end_or_in_place_and_the_rest_stays() {
        let figure = |value| Figure {
            group: "The hop".to_owned(),
            name: "CPU".to_owned(),
            value,
            unit: "µs".to_owned(),
            goal: Some("under 25 µs: reached".to_owned()),
            load: "0.10".to_owned(),
        };
        let page = "# Benchmarks\n\n## A\n";
        assert_eq!(section_in(page), None);
        let once = with_section(page, &section(&[figure(1.0)], "a machine"));
        assert!(once.starts_with("# Benchmarks\n\n## A\n\n<!-- begin"), "{once}");
        assert!(once.contains("### The hop\n\n| what") && once.contains("| CPU | 1.00 µs |"), "{once}");
        let twice = with_section(&format!("{once}\n## B\n"), &section(&[figure(2.0)], "a machine"));
        assert!(twice.contains("| CPU | 2.00 µs | under 25 µs: reached | 0.10 |"), "{twice}");
        assert!(!twice.contains("1.00 µs") && twice.ends_with("\n## B\n"), "{twice}");
        assert_eq!(section_in(&twice), Some(section(&[figure(2.0)], "a machine")));
    }
}
