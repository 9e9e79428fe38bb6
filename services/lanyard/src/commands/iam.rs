//! `lanyard iam`: accounts, and users, access keys, roles, policies and sessions of the local ones.

mod access_key;
mod account;
mod policy;
mod role;
mod session;
mod user;

use clap::Subcommand;
use lanyard_api::authn::accounts::Named;
use lanyard_iam::AccountId;

use crate::{cli::Context, exit::Ending, failure::Failure};

/// What there is to do with identities.
#[derive(Debug, Subcommand)]
pub enum IamCommand {
    /// The accounts of the hub, each with the one authority that vouches for it.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Local users.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Local users' access keys.
    #[command(subcommand)]
    AccessKey(access_key::AccessKeyCommand),
    /// Roles.
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Inline policies of users and roles.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// A session of a local role.
    #[command(after_help = session::HELP)]
    AssumeRole(session::AssumeRoleArgs),
    /// Refuse from now on every session of a role that was issued until now.
    RevokeSessions(role::RevokeSessionsArgs),
}

impl IamCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        match self {
            Self::Account(command) => Box::pin(command.run(context, &hub)).await,
            Self::User(command) => Box::pin(command.run(context, &hub)).await,
            Self::AccessKey(command) => Box::pin(command.run(context, &hub)).await,
            Self::Role(command) => Box::pin(command.run(context, &hub)).await,
            Self::Policy(command) => Box::pin(command.run(context, &hub)).await,
            Self::AssumeRole(args) => Box::pin(args.run(context, &hub)).await,
            Self::RevokeSessions(args) => Box::pin(args.run(context, &hub)).await,
        }
    }
}

/// The account that names belong to.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct AccountArg {
    /// The account; by default your own.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountId>,
}

impl AccountArg {
    fn named(self, name: String) -> Named {
        Named { account: self.account, name }
    }
}
