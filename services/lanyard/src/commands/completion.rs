//! `lanyard completion SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, exit::Ending, failure::Failure, output::line};

/// The flags of `lanyard completion`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lanyard completion bash > /etc/bash_completion.d/lanyard\n  source <(lanyard completion zsh)"
)]
pub struct CompletionArgs {
    /// Whose script.
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionArgs {
    /// Prints the script.
    pub fn run(self) -> Result<Ending, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lanyard", &mut script);
        line(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Ending::Yes)
    }
}
