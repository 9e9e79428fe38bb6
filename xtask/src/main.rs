//! The project's own tasks: `cargo xtask test`, `stack`, `bench`, `agent`, `fuzz`, `help`.
//!
//! What a task starts, it stops: every command runs in a process group of its own that a watchdog ends when this
//! process does, however it does ([`watchdog`]).
#![allow(clippy::print_stdout, reason = "this is a command-line program; standard output is its interface")]

mod agent;
mod bench;
mod command;
mod compose;
mod elf;
mod examples;
mod fuzz;
mod go;
mod kubernetes;
mod namespaces;
mod node;
mod npm;
mod ports;
mod postgres;
mod programs;
mod protos;
mod python;
mod redis;
mod stack;
mod tally;
mod test;
mod tools;
mod walls;
mod watchdog;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check and test; the last line is the tally
    Test {
        /// Only fmt, clippy and the Rust tests, with SQLite alone and without Redis
        #[arg(long)]
        quick: bool,
        /// Only the stages whose name contains one of these words, such as `clippy` or `kube-apiserver`
        #[arg(long, value_name = "WORD")]
        only: Vec<String>,
    },
    /// Run the suite as separate processes, with a PostgreSQL and a Redis, until Ctrl-C
    Stack(stack::Options),
    /// Run the benchmarks and write docs/benchmarks.md
    Bench(bench::Options),
    /// Build the node agent as a static program
    Agent(agent::Options),
    /// Run every fuzz target, one after the other
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Only targets whose name contains this
        #[arg(long, value_name = "WORD")]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { quick, only } => test::run(quick, &only),
        Task::Stack(options) => stack::run(&options),
        Task::Bench(options) => bench::run(&options).map(|()| true),
        Task::Agent(options) => agent::run(&options).map(|()| true),
        Task::Fuzz { seconds, only } => fuzz::run(seconds, only.as_deref()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("cargo xtask: {fault:#}");
            ExitCode::FAILURE
        }
    }
}
