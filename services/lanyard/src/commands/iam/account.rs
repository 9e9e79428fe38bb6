//! `lanyard iam account`.

use clap::Subcommand;
use lanyard_api::{
    Authority,
    authn::{
        Accounts,
        accounts::{Account, CreateAccount},
    },
    grpc::admitted_at_the_door,
};
use lanyard_iam::{AccountId, Partition};

use crate::{
    cli::Context,
    commands::access_policies::partition,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub, all_pages},
    input::moment_text,
    show::{Changed, Listing, Row},
};

/// What there is to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Register an account with the one authority that vouches for it. For hub operators.
    #[command(
        after_help = "Examples:\n  lanyard iam account create 111122223333 --authority aws --name production\n  \
                            lanyard iam account create 444455556666 --authority local --name lab"
    )]
    Create {
        /// Twelve digits.
        account: AccountId,
        /// Who vouches for its identities: `aws`, `local`, or `sts:NAME` for a self-hosted STS.
        #[arg(long)]
        authority: Authority,
        /// For people; by default its number.
        #[arg(long)]
        name: Option<String>,
        /// Its partition.
        #[arg(long, default_value = "aws", value_parser = partition)]
        partition: Partition,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// The accounts that you may see.
    #[command(after_help = "Examples:\n  lanyard iam account list")]
    List,
    /// Remove an account that nothing names any more. For hub operators.
    #[command(after_help = "Examples:\n  lanyard iam account delete 444455556666")]
    Delete {
        /// Twelve digits.
        account: AccountId,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

impl Row for Account {
    const COLUMNS: &'static [&'static str] = &["ACCOUNT", "AUTHORITY", "PARTITION", "NAME", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.authority.to_string(),
            self.partition.to_string(),
            self.name.clone(),
            moment_text(self.created_at),
        ]
    }
}

impl AccountCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        match self {
            Self::Create { account, authority, name, partition, change } => {
                let name = name.unwrap_or_else(|| account.to_string());
                let account = CreateAccount { id: account, partition, authority, name };
                context.show(&Changed(remote.create_account(change.into(), account).await?))
            }
            Self::List => {
                let accounts =
                    all_pages(async |page| remote.list_accounts(admitted_at_the_door(), page).await);
                context.show(&Listing(accounts.await?))
            }
            Self::Delete { account, change } => {
                context.show(&Changed(remote.delete_account(change.into(), account).await?))
            }
        }
    }
}
