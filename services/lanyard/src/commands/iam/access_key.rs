//! `lanyard iam access-key`.

use clap::Subcommand;
use lanyard_api::{
    authn::{
        Accounts,
        accounts::{AccessKey, NewAccessKey},
    },
    grpc::admitted_at_the_door,
};
use lanyard_iam::AccessKeyId;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::AccountArg;
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    input::moment_text,
    show::{Changed, Fields, Listing, Row, changed},
};

/// What there is to do with access keys.
#[derive(Debug, Subcommand)]
pub enum AccessKeyCommand {
    /// Make a key; its secret is shown this once.
    #[command(
        after_help = "Examples:\n  lanyard iam access-key create ana\n  aws configure --profile ana     # and paste both halves"
    )]
    Create {
        /// The user.
        user: String,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// A user's keys.
    #[command(after_help = "Examples:\n  lanyard iam access-key list ana")]
    List {
        /// The user.
        user: String,
        #[command(flatten)]
        account: AccountArg,
    },
    /// The account that a key of this hub is of, whether or not it is there still.
    #[command(after_help = "Examples:\n  lanyard iam access-key info LKIAXXXXXXXXXXXXXXXX")]
    Info {
        /// The key.
        key: AccessKeyId,
    },
    /// Switch a key on or off.
    #[command(after_help = "Examples:\n  lanyard iam access-key update ana LKIAXXXXXXXXXXXXXXXX --inactive")]
    Update {
        /// The user.
        user: String,
        /// The key.
        key: AccessKeyId,
        /// Switch it on.
        #[arg(long, required_unless_present = "inactive", conflicts_with = "inactive")]
        active: bool,
        /// Switch it off; its sessions end with it.
        #[arg(long)]
        inactive: bool,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Delete a key; its sessions end with it.
    #[command(
        after_help = "Examples:\n  lanyard iam access-key delete ana LKIAXXXXXXXXXXXXXXXX --reason 'it was published'"
    )]
    Delete {
        /// The user.
        user: String,
        /// The key.
        key: AccessKeyId,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

impl Row for AccessKey {
    const COLUMNS: &'static [&'static str] = &["KEY", "USER", "ACTIVE", "CREATED"];

    fn cells(&self) -> Vec<String> {
        let active = if self.active { "yes" } else { "no" };
        vec![self.id.to_string(), self.user.clone(), active.to_owned(), moment_text(self.created_at)]
    }
}

/// The account of a key.
#[derive(Serialize)]
struct AccountOfKey {
    account: String,
}

/// A key with its secret, for the one time that it is shown.
#[derive(Serialize)]
struct WithSecret {
    key: AccessKey,
    secret: String,
}

impl WithSecret {
    fn of(made: NewAccessKey) -> Self {
        Self { key: made.key, secret: made.secret.expose_secret().to_owned() }
    }
}

impl Row for WithSecret {
    const COLUMNS: &'static [&'static str] =
        &["USER", "ACCESS KEY ID", "SECRET ACCESS KEY (shown this once)"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.user.clone(), self.key.id.to_string(), self.secret.clone()]
    }
}

impl AccessKeyCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        match self {
            Self::Create { user, account, change } => {
                let made = remote.create_access_key(change.into(), account.named(user)).await?;
                context.show(&changed(made, WithSecret::of))
            }
            Self::List { user, account } => {
                let keys = remote.list_access_keys(admitted_at_the_door(), account.named(user)).await?;
                context.show(&Listing(keys))
            }
            Self::Info { key } => {
                let account = remote.get_access_key_info(admitted_at_the_door(), key).await?;
                context.show(&Fields(AccountOfKey { account: account.to_string() }))
            }
            Self::Update { user, key, active, inactive: _, account, change } => {
                let user = account.named(user);
                context.show(&Changed(remote.set_access_key_active(change.into(), user, key, active).await?))
            }
            Self::Delete { user, key, account, change } => {
                let user = account.named(user);
                context.show(&Changed(remote.delete_access_key(change.into(), user, key).await?))
            }
        }
    }
}
