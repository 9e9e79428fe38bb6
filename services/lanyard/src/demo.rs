//! `lanyard demo`: the tour a newcomer runs first. It starts a hub of its own, or takes a stack that runs, and uses this very
//! program on it, so that every line it shows is one that you can type.

mod signals;
mod stage;
mod story;

use std::process::ExitCode;

use self::{signals::Signals, stage::Stage};
use crate::{
    cli::complain,
    exit::{Ending, USAGE},
    hub::HubArgs,
};

/// The flags of `lanyard demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lanyard demo\n  lanyard demo --keep     # and go on by hand\n  cargo xtask stack \
                        --demo     # the same on separate processes\n  lanyard demo --stack --ready-file ready.json     # on a \
                        stack that runs already"
)]
pub struct Args {
    /// Leaves the hub serving, and prints the lines to paste, until you press Ctrl-C.
    #[arg(long)]
    pub keep: bool,
    /// Runs on the hub of --ready-file in place of one of its own. It makes a cluster `demo`, users and a role there.
    #[arg(long, conflicts_with = "keep")]
    pub stack: bool,
}

/// Runs the tour; it ends with *no* where something went otherwise than it should.
pub fn run(args: &Args, hub: &HubArgs) -> ExitCode {
    if args.stack && hub.ready_file.is_none() {
        complain("lanyard demo: --stack needs --ready-file: the file that the stack wrote");
        return ExitCode::from(USAGE);
    }
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("lanyard demo: signals cannot be heard: {error}"));
            return Ending::No.into();
        }
    };
    let ended = stage(args, hub, signals.clone()).and_then(|stage| story::tell(stage, args.keep));
    match (ended, signals.told()) {
        (Ok(()), _) => Ending::Yes.into(),
        // A terminal's Ctrl-C ends the command that was shown too, of which there is nothing to say.
        (Err(_), Some(code)) => {
            complain("lanyard demo: it was told to stop before its end");
            ExitCode::from(code)
        }
        (Err(error), None) => {
            // What went wrong belongs beside the log, not into the tour's own output.
            complain(&format!("lanyard demo: {error:#}"));
            Ending::No.into()
        }
    }
}

fn stage(args: &Args, hub: &HubArgs, signals: Signals) -> anyhow::Result<Stage> {
    match hub.ready_file.as_deref().filter(|_| args.stack) {
        Some(ready_file) => Stage::on(ready_file, signals),
        None => Stage::start(signals),
    }
}
