//! `lanyard iam role`, and what ends a role's sessions.

use clap::{Args, Subcommand};
use lanyard_api::{
    CallError,
    authn::{
        Accounts,
        accounts::{CreateRole, IamRole, UpdateRole},
    },
    grpc::admitted_at_the_door,
};
use serde_json::json;

use super::{
    AccountArg, ListArgs,
    named::{CreateArgs, DeleteArgs, NamedArgs, TagArgs, UntagArgs},
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub, all_pages},
    input::{Source, moment_text},
    show::{Changed, Fields, Listing, Row},
};

const CREATE: &str = "\
Examples:
  lanyard iam role create deployer --trust arn:aws:iam::111122223333:user/ana
  lanyard iam role create deployer --path /ci/ --trust-policy trust.json --session-seconds-max 7200";

const UPDATE_TRUST: &str = "\
Examples:
  lanyard iam role update-trust deployer --trust arn:aws:iam::111122223333:user/ana --trust arn:aws:iam::111122223333:role/ci
  lanyard iam role update-trust deployer --trust-policy trust.json

Nothing of what it was before is left. Sessions that there are go on: `lanyard iam revoke-sessions` ends them.";

/// What there is to do with roles.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Make a role.
    #[command(after_help = CREATE)]
    Create {
        #[command(flatten)]
        new: CreateArgs,
        #[command(flatten)]
        trust: TrustArgs,
        /// The longest session, 3600 to 43200; 0 means 3600.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        session_seconds_max: u32,
        /// For people.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// One role.
    #[command(after_help = "Examples:\n  lanyard iam role get deployer")]
    Get(NamedArgs),
    /// The roles of an account.
    #[command(after_help = "Examples:\n  lanyard iam role list\n  lanyard iam role list --path-prefix /ci/")]
    List(ListArgs),
    /// Replace who may assume a role.
    #[command(after_help = UPDATE_TRUST)]
    UpdateTrust {
        /// The role's name.
        name: String,
        #[command(flatten)]
        trust: TrustArgs,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Change what a role is described as, and how long its sessions may last.
    #[command(after_help = "Examples:\n  lanyard iam role update deployer --session-seconds-max 7200")]
    Update {
        /// The role's name.
        name: String,
        /// For people.
        #[arg(long, value_name = "TEXT", required_unless_present = "session_seconds_max")]
        description: Option<String>,
        /// The longest session, 3600 to 43200.
        #[arg(long, value_name = "SECONDS")]
        session_seconds_max: Option<u32>,
        #[command(flatten)]
        account: AccountArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Put tags on a role, beside those that it has.
    #[command(after_help = "Examples:\n  lanyard iam role tag deployer team=a")]
    Tag(TagArgs<NamedArgs>),
    /// Take tags away from a role.
    #[command(after_help = "Examples:\n  lanyard iam role untag deployer team")]
    Untag(UntagArgs<NamedArgs>),
    /// Delete a role with its inline policies; its sessions end with it.
    #[command(after_help = "Examples:\n  lanyard iam role delete deployer")]
    Delete(DeleteArgs<NamedArgs>),
}

/// Who may assume a role.
#[derive(Debug, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    policy: TrustPolicyArgs,
    /// Take a trust policy that trusts an OIDC issuer without saying whom of its people.
    #[arg(long)]
    allow_any_subject: bool,
}

/// The trust policy, or what makes one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct TrustPolicyArgs {
    /// The trust policy (JSON); `-` is standard input.
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<Source>,
    /// A principal that may assume it, in place of a whole document; may be given again.
    #[arg(long, value_name = "ARN")]
    trust: Vec<String>,
}

impl TrustArgs {
    /// The document, and the file that it is from.
    fn document(&self) -> Result<(String, Option<String>), Failure> {
        Ok(match &self.policy.trust_policy {
            Some(source) => (source.read()?, Some(source.name())),
            None => (trusting(&self.policy.trust), None),
        })
    }
}

fn in_file(error: CallError, file: Option<&str>) -> Failure {
    Failure::in_file(error, "trust_policy", file)
}

/// The plainest trust policy: these principals may assume the role.
fn trusting(principals: &[String]) -> String {
    let statement =
        json!({ "Effect": "Allow", "Principal": { "AWS": principals }, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// What ends a role's sessions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lanyard iam revoke-sessions deployer --reason 'runner stolen'")]
pub struct RevokeSessionsArgs {
    /// The role's name.
    role: String,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Row for IamRole {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "PATH", "ACCOUNT", "PRINCIPAL ID", "SESSIONS UP TO", "REVOKED BEFORE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.path.clone(),
            self.account.to_string(),
            self.principal_id.clone(),
            format!("{} s", self.session_seconds_max),
            self.revoked_before.map_or_else(|| "-".to_owned(), moment_text),
        ]
    }
}

impl RoleCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        match self {
            Self::Create { new, trust, session_seconds_max, description } => {
                let (trust_policy, file) = trust.document()?;
                let role = CreateRole {
                    account: new.account(),
                    tags: new.tags(),
                    path: new.path,
                    name: new.name,
                    trust_policy,
                    description,
                    allow_any_subject: trust.allow_any_subject,
                    session_seconds_max,
                };
                let created = remote.create_role(new.change.into(), role).await;
                context.show(&Changed(created.map_err(|error| in_file(error, file.as_deref()))?))
            }
            Self::Get(which) => {
                context.show(&Fields(remote.get_role(admitted_at_the_door(), which.into()).await?))
            }
            Self::List(of) => {
                let roles = all_pages(async |page| {
                    remote.list_roles(admitted_at_the_door(), of.clone().into(), page).await
                });
                context.show(&Listing(roles.await?))
            }
            Self::UpdateTrust { name, trust, account, change } => {
                let ((document, file), any) = (trust.document()?, trust.allow_any_subject);
                let role = account.named(name);
                let updated = remote.update_trust_policy(change.into(), role, document, any).await;
                context.show(&Changed(updated.map_err(|error| in_file(error, file.as_deref()))?))
            }
            Self::Update { name, description, session_seconds_max, account, change } => {
                let update = UpdateRole { description, session_seconds_max };
                context.show(&Changed(remote.update_role(change.into(), account.named(name), update).await?))
            }
            Self::Tag(args) => {
                let (which, tags, change) = args.split();
                context.show(&Changed(remote.tag_role(change.into(), which.into(), tags).await?))
            }
            Self::Untag(args) => {
                let (which, keys, change) = args.split();
                context.show(&Changed(remote.untag_role(change.into(), which.into(), keys).await?))
            }
            Self::Delete(args) => {
                let (which, change) = args.split();
                context.show(&Changed(remote.delete_role(change.into(), which.into(), false).await?))
            }
        }
    }
}

impl RevokeSessionsArgs {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let role = self.account.named(self.role);
        context.show(&Changed(hub.remote().revoke_sessions(self.change.into(), role).await?))
    }
}

#[cfg(test)]
mod tests {
    use lanyard_iam::TrustPolicy;

    use super::*;

    #[test]
    fn the_plainest_trust_policy_is_one() {
        let text = trusting(&["arn:aws:iam::111122223333:user/ana".to_owned(), "444455556666".to_owned()]);
        assert!(TrustPolicy::parse(&text).is_ok(), "{text}");
    }
}
