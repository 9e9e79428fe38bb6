//! `lanyard iam user`.

use std::collections::BTreeMap;

use clap::Subcommand;
use lanyard_api::{
    authn::{
        Accounts,
        accounts::{CreateUser, User},
    },
    grpc::admitted_at_the_door,
};

use super::AccountArg;
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub, all_pages},
    input::{key_value, moment_text},
    show::{Changed, Fields, Listing, Row},
};

/// What there is to do with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user. It gets keys with `lanyard iam access-key create`.
    #[command(
        after_help = "Examples:\n  lanyard iam user create ana\n  lanyard iam user create ana --path /team-a/ --tag team=a"
    )]
    Create {
        /// Unique in the account, whatever the path and letter case.
        name: String,
        /// `/`, or a path such as `/team/`.
        #[arg(long, default_value = "/")]
        path: String,
        /// A tag; may be given again.
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
        tags: Vec<(String, String)>,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// One user.
    Get {
        /// The user's name.
        name: String,
        #[command(flatten)]
        account: AccountArg,
    },
    /// The users of an account.
    List {
        #[command(flatten)]
        account: AccountArg,
    },
    /// Put tags on a user, beside those that it has.
    Tag {
        /// The user's name.
        name: String,
        /// The tags; may be given again.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
        tags: Vec<(String, String)>,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take tags away from a user.
    Untag {
        /// The user's name.
        name: String,
        /// Their keys.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Delete a user with its keys and inline policies.
    Delete {
        /// The user's name.
        name: String,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

impl Row for User {
    const COLUMNS: &'static [&'static str] = &["NAME", "PATH", "ACCOUNT", "PRINCIPAL ID", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.path.clone(),
            self.account.to_string(),
            self.principal_id.clone(),
            moment_text(self.created_at),
        ]
    }
}

impl UserCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        match self {
            Self::Create { name, path, tags, account, change } => {
                let user =
                    CreateUser { account: account.account, path, name, tags: BTreeMap::from_iter(tags) };
                context.show(&Changed(remote.create_user(change.into(), user).await?))
            }
            Self::Get { name, account } => {
                context.show(&Fields(remote.get_user(admitted_at_the_door(), account.named(name)).await?))
            }
            Self::List { account } => {
                let users = all_pages(async |page| {
                    remote.list_users(admitted_at_the_door(), account.account, page).await
                });
                context.show(&Listing(users.await?))
            }
            Self::Tag { name, tags, account, change } => {
                let (user, tags) = (account.named(name), BTreeMap::from_iter(tags));
                context.show(&Changed(remote.tag_user(change.into(), user, tags).await?))
            }
            Self::Untag { name, keys, account, change } => {
                context.show(&Changed(remote.untag_user(change.into(), account.named(name), keys).await?))
            }
            Self::Delete { name, account, change } => {
                context.show(&Changed(remote.delete_user(change.into(), account.named(name), false).await?))
            }
        }
    }
}
