//! `lanyard iam user`.

use clap::Subcommand;
use lanyard_api::{
    authn::{
        Accounts,
        accounts::{CreateUser, User},
    },
    grpc::admitted_at_the_door,
};

use super::{
    ListArgs,
    named::{CreateArgs, DeleteArgs, NamedArgs, TagArgs, UntagArgs},
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{Hub, all_pages},
    input::moment_text,
    show::{Changed, Fields, Listing, Row},
};

/// What there is to do with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user. It gets keys with `lanyard iam access-key create`.
    #[command(
        after_help = "Examples:\n  lanyard iam user create ana\n  lanyard iam user create ana --path /team-a/ --tag team=a"
    )]
    Create(CreateArgs),
    /// One user.
    #[command(after_help = "Examples:\n  lanyard iam user get ana")]
    Get(NamedArgs),
    /// The users of an account.
    #[command(
        after_help = "Examples:\n  lanyard iam user list\n  lanyard iam user list --path-prefix /team-a/"
    )]
    List(ListArgs),
    /// Put tags on a user, beside those that it has.
    #[command(after_help = "Examples:\n  lanyard iam user tag ana team=a")]
    Tag(TagArgs<NamedArgs>),
    /// Take tags away from a user.
    #[command(after_help = "Examples:\n  lanyard iam user untag ana team")]
    Untag(UntagArgs<NamedArgs>),
    /// Delete a user with its keys and inline policies.
    #[command(after_help = "Examples:\n  lanyard iam user delete ana --reason 'left the company'")]
    Delete(DeleteArgs<NamedArgs>),
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
            Self::Create(new) => {
                let (account, tags) = (new.account(), new.tags());
                let user = CreateUser { account, path: new.path, name: new.name, tags };
                context.show(&Changed(remote.create_user(new.change.into(), user).await?))
            }
            Self::Get(which) => {
                context.show(&Fields(remote.get_user(admitted_at_the_door(), which.into()).await?))
            }
            Self::List(of) => {
                let users = all_pages(async |page| {
                    remote.list_users(admitted_at_the_door(), of.clone().into(), page).await
                });
                context.show(&Listing(users.await?))
            }
            Self::Tag(args) => {
                let (which, tags, change) = args.split();
                context.show(&Changed(remote.tag_user(change.into(), which.into(), tags).await?))
            }
            Self::Untag(args) => {
                let (which, keys, change) = args.split();
                context.show(&Changed(remote.untag_user(change.into(), which.into(), keys).await?))
            }
            Self::Delete(args) => {
                let (which, change) = args.split();
                context.show(&Changed(remote.delete_user(change.into(), which.into(), false).await?))
            }
        }
    }
}
