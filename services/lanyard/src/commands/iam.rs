//! `lanyard iam`: accounts, and users, access keys, roles, policies and sessions of the local ones.

mod access_key;
mod account;
mod instance_profile;
mod named;
mod oidc_provider;
mod policy;
mod role;
mod session;
mod user;

use clap::Subcommand;
use lanyard_api::authn::accounts::{Named, OfAccount};
use lanyard_iam::AccountId;

pub(in crate::commands) use session::process_json;

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
    /// The roles that EC2 instances run with, as EC2 names them.
    #[command(subcommand)]
    InstanceProfile(instance_profile::InstanceProfileCommand),
    /// The OIDC issuers that the roles of an account may trust.
    #[command(subcommand)]
    OidcProvider(oidc_provider::OidcProviderCommand),
    /// Inline policies of users and roles.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// A session of a local role.
    #[command(after_help = session::HELP)]
    AssumeRole(session::AssumeRoleArgs),
    /// A session of a local role by a token of an OIDC issuer, such as a CI job's.
    AssumeRoleWithWebIdentity(session::AssumeRoleWithWebIdentityArgs),
    /// A session of your own user.
    GetSessionToken(session::GetSessionTokenArgs),
    /// Refuse from now on every session of a role that was issued until now.
    RevokeSessions(role::RevokeSessionsArgs),
}

impl IamCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        // Whoever has a token needs no credentials.
        if let Self::AssumeRoleWithWebIdentity(args) = self {
            return Box::pin(args.run(context)).await;
        }
        let hub = context.connect().await?;
        match self {
            Self::AssumeRoleWithWebIdentity(_) => Ok(Ending::Yes),
            Self::Account(command) => Box::pin(command.run(context, &hub)).await,
            Self::User(command) => Box::pin(command.run(context, &hub)).await,
            Self::AccessKey(command) => Box::pin(command.run(context, &hub)).await,
            Self::Role(command) => Box::pin(command.run(context, &hub)).await,
            Self::InstanceProfile(command) => Box::pin(command.run(context, &hub)).await,
            Self::OidcProvider(command) => Box::pin(command.run(context, &hub)).await,
            Self::GetSessionToken(args) => Box::pin(args.run(context, &hub)).await,
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

/// What of an account is listed.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    account: AccountArg,
    /// Only those whose path begins so.
    #[arg(long, value_name = "PATH", default_value = "/")]
    path_prefix: String,
}

impl From<ListArgs> for OfAccount {
    fn from(args: ListArgs) -> Self {
        Self { account: args.account.account, path_prefix: args.path_prefix }
    }
}

impl AccountArg {
    fn named(self, name: String) -> Named {
        Named { account: self.account, name }
    }
}
