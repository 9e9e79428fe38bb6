//! The one binary for people: `lanyard serve` composes the services in one process, the rest asks a hub, or none.
//!
//! `cli` is the command line, `commands` has a file for each noun, `hub` finds a hub, trusts it and signs for it; `serve` and
//! `demo` have lives of their own. Nothing is decided here.

#![expect(
    unreachable_pub,
    reason = "nothing outside reaches into a program: here `pub` says what other modules use"
)]

mod cli;
mod commands;
mod credentials;
mod demo;
mod exec_credential;
mod exit;
mod failure;
mod hub;
mod input;
mod kubefiles;
mod output;
mod place;
mod question;
mod run;
mod serve;
mod show;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
