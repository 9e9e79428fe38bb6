//! `lanyard iam policy`.

mod actions;

use clap::{Args, Subcommand};
use lanyard_api::{
    authn::{
        Accounts,
        accounts::{InlinePolicy, PolicyOwner},
    },
    grpc::admitted_at_the_door,
};

use lanyard_iam::CanonicalArn;

use super::AccountArg;
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    input::Source,
    output::document,
    show::{Changed, Fields, Listing, Row},
};

const PUT: &str = r#"Examples:
  lanyard iam policy put --user ana reader --document reader.json
  echo '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:Describe*","Resource":"*"}]}' |
    lanyard iam policy put --role auditor reader --document -
  lanyard iam policy put --principal arn:aws:iam::111122223333:role/Dev entries --document entries.json

By --principal, what a user or role of an account registered with another authority than `local` may do here, once it was
exchanged for a session (`lanyard credential-process`). The ARN is the canonical one, in the letter case that AWS gives it."#;

/// What there is to do with inline policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Put a policy document on a user or role, or on a principal whom AWS keeps.
    #[command(after_help = PUT)]
    Put {
        #[command(flatten)]
        owner: OwnerArgs,
        /// The policy's name.
        name: String,
        /// The policy document (JSON); `-` is standard input.
        #[arg(long, value_name = "FILE")]
        document: Source,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// One inline policy.
    #[command(after_help = "Examples:\n  lanyard iam policy get --user ana reader")]
    Get {
        #[command(flatten)]
        owner: OwnerArgs,
        /// The policy's name.
        name: String,
        #[command(flatten)]
        account: AccountArg,
    },
    /// The inline policies of a user, role or principal.
    #[command(after_help = "Examples:\n  lanyard iam policy list --role deployer")]
    List {
        #[command(flatten)]
        owner: OwnerArgs,
        #[command(flatten)]
        account: AccountArg,
    },
    /// Remove one.
    #[command(after_help = "Examples:\n  lanyard iam policy delete --user ana reader")]
    Delete {
        #[command(flatten)]
        owner: OwnerArgs,
        /// The policy's name.
        name: String,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Whose policy.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct OwnerArgs {
    /// The user.
    #[arg(long)]
    user: Option<String>,
    /// The role.
    #[arg(long)]
    role: Option<String>,
    /// A user or role whom AWS, or a self-hosted STS, keeps: the canonical ARN, a role's without its path.
    #[arg(long, value_name = "ARN")]
    principal: Option<CanonicalArn>,
}

impl OwnerArgs {
    fn owner(self) -> Result<PolicyOwner, Failure> {
        match (self.user, self.role, self.principal) {
            (Some(user), None, None) => Ok(PolicyOwner::User(user)),
            (None, Some(role), None) => Ok(PolicyOwner::Role(role)),
            (None, None, Some(principal)) => Ok(PolicyOwner::Principal(principal)),
            _ => Err(Failure::usage("whose policy? Add one of --user, --role and --principal")),
        }
    }
}

impl Row for InlinePolicy {
    const COLUMNS: &'static [&'static str] = &["NAME", "OF", "DOCUMENT"];
    const LAST_HAS_LINES: bool = true;

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            format!("{} {}", self.owner.kind(), self.owner.name()),
            document(self.document.trim()),
        ]
    }
}

impl PolicyCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        match self {
            Self::Put { owner, name, document, account, change } => {
                let owner = owner.owner()?;
                let file = document.name();
                let document = document.read()?;
                let notices = actions::notices(&document);
                let put = remote.put_policy(change.into(), account.account, owner, name, document).await;
                let put = put.map_err(|error| Failure::in_file(error, "document", Some(&file)))?;
                notices.iter().for_each(|notice| complain(&format!("notice: {file}: {notice}")));
                context.show(&Changed(put))
            }
            Self::Get { owner, name, account } => {
                let owner = owner.owner()?;
                let policy = remote.get_policy(admitted_at_the_door(), account.account, owner, name);
                context.show(&Fields(policy.await?))
            }
            Self::List { owner, account } => {
                let owner = owner.owner()?;
                let policies = remote.list_policies(admitted_at_the_door(), account.account, owner);
                context.show(&Listing(policies.await?))
            }
            Self::Delete { owner, name, account, change } => {
                let owner = owner.owner()?;
                let gone = remote.delete_policy(change.into(), account.account, owner, name);
                context.show(&Changed(gone.await?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table;

    #[test]
    fn a_document_of_tabs_and_of_windows_is_shown_as_it_reads() {
        let document = "{\r\n\t\"Version\": \"2012-10-17\"\r\n}\r\n".to_owned();
        let owner = PolicyOwner::User("ana".to_owned());
        let account = "111122223333".parse().unwrap();
        let policy = InlinePolicy { account, owner, name: "reader".to_owned(), document };
        for shown in [table(&Fields(policy.clone())), table(&Listing(vec![policy]))] {
            for end in [" {", r#"     "Version": "2012-10-17""#, " }"] {
                assert!(shown.lines().any(|line| line.ends_with(end)), "{shown}");
            }
        }
    }
}
