//! `lanyard iam get-session-token`: a session of one's own.

use clap::Args;
use lanyard_api::{credentials::Sessions, grpc::admitted_at_the_door};

use super::shown::{FormArgs, Shown};
use crate::{cli::Context, exit::Ending, failure::Failure, hub::Hub};

const HELP: &str = "\
Examples:
  eval \"$(lanyard iam get-session-token --duration-seconds 3600 --export)\"

For programs that should not have the key itself: the session is its user, ends by itself, and with the key or the user; it may \
neither change users, roles and keys nor ask for another session. Nobody has to allow it.";

/// The flags of `lanyard iam get-session-token`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct GetSessionTokenArgs {
    /// How long it lives, 900 to 129600; 0 means 43200.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    duration_seconds: u32,
    #[command(flatten)]
    form: FormArgs,
}

impl GetSessionTokenArgs {
    pub(crate) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let session = hub.remote().get_session_token(admitted_at_the_door(), self.duration_seconds).await?;
        self.form.show(context, &Shown::from(session))
    }
}
