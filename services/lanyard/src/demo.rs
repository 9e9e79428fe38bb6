//! `lanyard demo`: the tour a newcomer runs first. It starts a hub of its own and uses this very program on it, so that every
//! line it shows is one that you can type.

mod stage;
mod story;

use std::process::ExitCode;

use crate::exit::Ending;

/// The flags of `lanyard demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lanyard demo\n  lanyard demo --keep     # and go on by hand")]
pub struct Args {
    /// Leaves the hub serving, and prints the lines to paste, until you press Ctrl-C.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the tour; it ends with *no* where something went otherwise than it should.
pub fn run(args: &Args) -> ExitCode {
    match story::tell(args.keep) {
        Ok(()) => Ending::Yes.into(),
        Err(error) => {
            // What went wrong belongs beside the log, not into the tour's own output.
            tracing_free_stderr(&format!("lanyard demo: {error:#}"));
            Ending::No.into()
        }
    }
}

#[expect(clippy::print_stderr, reason = "the tour has no log of its own")]
fn tracing_free_stderr(text: &str) {
    eprintln!("{text}");
}
