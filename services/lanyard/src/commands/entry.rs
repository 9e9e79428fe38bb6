//! `lanyard entry`: access entries and the access policies on them.

mod watch;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use lanyard_api::{
    ClusterId,
    access_policies::AccessPolicies,
    grpc::admitted_at_the_door,
    mapping::{
        AccessScope, Clusters, CreateAccessEntry, Entries, EntryDetail, EntryMatches, EntryRef, EntryType,
        PolicyAssociation, UpdateAccessEntry,
    },
};
use lanyard_iam::{EntryPrincipal, Partition};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    input::{key_value, moment, moment_text},
    output::{Tabular, one_a_line},
    show::{Changed, Fields, Listing, Row, wire_name},
};

use super::choice;

const CREATE: &str = "\
Examples:
  lanyard entry create dev arn:aws:iam::111122223333:user/ana --group devs
  lanyard entry create dev arn:aws:iam::111122223333:role/ci --username 'ci:{{SessionName}}'
  lanyard entry create dev arn:aws:iam::111122223333:role/nodes --type EC2_LINUX
  lanyard entry create dev arn:aws:iam::111122223333:user/ben --ends-at 2030-01-31T17:00:00Z
  lanyard entry create dev arn:aws:iam::111122223333:role/admin --pin-until 2030-01-31T17:00:00Z

An entry can name several principals of an account:
  lanyard entry create dev arn:aws:sso::111122223333:permission-set/Developers --group devs
  lanyard entry create dev arn:aws:sso::111122223333:permission-set/Developers/0123456789abcdef --group devs
  lanyard entry create dev 'arn:aws:iam::111122223333:role/team-a-*' --username 'a:{{PrincipalName}}:{{SessionName}}'

The first is everyone with the permission set Developers of IAM Identity Center there, the second is its role with this suffix \
alone, the third all roles whose name fits (IAM's ArnLike, on the ARN without path). `lanyard entry preview` shows whom they mean. \
An entry for one principal goes before them.";

const UPDATE: &str = "\
Examples:
  lanyard entry update dev arn:aws:iam::111122223333:user/ana --group devs --group oncall     # these alone from now on
  lanyard entry update dev arn:aws:iam::111122223333:role/ci --username 'ci:{{SessionName}}'
  lanyard entry update dev arn:aws:iam::111122223333:user/ben --endless
  lanyard entry update dev arn:aws:iam::111122223333:role/ops --rebind                        # stale: the role was made anew

Whoever loses a group or gets another username is refused from the next request until the API server looks at their token anew; what \
is added counts from then on. Type and principal stay as they are: delete the entry and make another.";

const WATCH: &str = "\
Examples:
  lanyard entry watch dev
  lanyard entry watch dev --output json | jq -r 'select(.kind == \"deleted\") | .entry.entry.principal_arn'

With --output json each event is a line. The hub weighs you anew before each event; when the call's signature ends, the watch is \
begun again where it was.";

const PREVIEW: &str = "\
Examples:
  lanyard entry preview dev arn:aws:sso::111122223333:permission-set/Developers
  lanyard entry preview dev 'arn:aws:iam::111122223333:role/team-a-*'

The hub knows the users and roles of accounts that it keeps; of an account of AWS it asks IAM, in AWS mode.";

const ASSOCIATE: &str = "\
Examples:
  lanyard entry associate dev arn:aws:iam::111122223333:user/ana AmazonEKSViewPolicy -n team-a
  lanyard entry associate dev arn:aws:iam::111122223333:user/ana AmazonEKSClusterAdminPolicy

`lanyard access-policies` lists them.";

/// What there is to do with access entries.
#[derive(Debug, Subcommand)]
pub enum EntryCommand {
    /// Map a principal in a cluster.
    #[command(after_help = CREATE)]
    Create(CreateArgs),
    /// One entry, with its state and access policies.
    #[command(after_help = "Examples:\n  lanyard entry get dev arn:aws:iam::111122223333:user/ana")]
    Get(WhichArgs),
    /// The entries of a cluster.
    #[command(
        after_help = "Examples:\n  lanyard entry list dev\n  lanyard entry list dev --policy AmazonEKSViewPolicy"
    )]
    List {
        /// The cluster's id.
        cluster: ClusterId,
        /// Only those with this access policy, by name or ARN.
        #[arg(long, value_name = "POLICY")]
        policy: Option<String>,
    },
    /// Follow the entries of a cluster: those that there are, then each change, until you stop it.
    #[command(after_help = WATCH)]
    Watch {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Whom an entry means, or would mean: nothing is written.
    #[command(after_help = PREVIEW)]
    Preview(WhichArgs),
    /// Change an entry; what is not given stays.
    #[command(after_help = UPDATE)]
    Update(UpdateArgs),
    /// Delete an entry; the notices say what its principal still resolves to.
    #[command(
        after_help = "Examples:\n  lanyard entry delete dev arn:aws:iam::111122223333:user/ana --reason 'left the team'"
    )]
    Delete {
        #[command(flatten)]
        which: WhichArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Put an access policy on an entry, or change where it holds.
    #[command(after_help = ASSOCIATE)]
    Associate {
        #[command(flatten)]
        which: WhichArgs,
        /// The access policy, by name or ARN.
        policy: String,
        /// Where it holds, `*` standing for any characters; without it, in the whole cluster. May be given again.
        #[arg(long, short, value_name = "NAMESPACE")]
        namespace: Vec<String>,
        /// From then on it does not count (RFC 3339).
        #[arg(long, value_name = "WHEN", value_parser = moment)]
        ends_at: Option<OffsetDateTime>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take an access policy off an entry.
    #[command(
        after_help = "Examples:\n  lanyard entry disassociate dev arn:aws:iam::111122223333:user/ana AmazonEKSViewPolicy"
    )]
    Disassociate {
        #[command(flatten)]
        which: WhichArgs,
        /// The access policy, by name or ARN.
        policy: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Names an entry.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The user or role, with its path; or a permission set or an ARN pattern.
    principal_arn: String,
}

impl From<WhichArgs> for EntryRef {
    fn from(which: WhichArgs) -> Self {
        Self { cluster: which.cluster, principal_arn: which.principal_arn }
    }
}

/// What makes an entry.
#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// What kind of thing knocks.
    #[arg(long = "type", value_name = "TYPE", ignore_case = true, value_parser = choice::<EntryType>(&[
        "STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "EC2", "HYPERPOD_LINUX",
    ]))]
    entry_type: Option<EntryType>,
    /// The username, or a template with `{{SessionName}}` and the like; by default made from the principal.
    #[arg(long)]
    username: Option<String>,
    /// A Kubernetes group; may be given again.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    /// From then on it does not count (RFC 3339).
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    ends_at: Option<OffsetDateTime>,
    /// The principal's unique id (`AIDA…`, `AROA…`), where you know it and the hub cannot; IAM is not asked then.
    #[arg(long, value_name = "ID")]
    principal_id: Option<String>,
    /// Bind it to the unique id of whoever logs in first, until then (RFC 3339); nobody else gets in by it from then on.
    #[arg(long, value_name = "WHEN", value_parser = moment, conflicts_with = "principal_id")]
    pin_until: Option<OffsetDateTime>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What changes an entry.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// A new username or template.
    #[arg(long)]
    username: Option<String>,
    /// The groups from now on, all of them; may be given again.
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "no_groups")]
    groups: Vec<String>,
    /// No groups from now on.
    #[arg(long)]
    no_groups: bool,
    /// From then on it does not count (RFC 3339).
    #[arg(long, value_name = "WHEN", value_parser = moment, conflicts_with = "endless")]
    ends_at: Option<OffsetDateTime>,
    /// Take its end away.
    #[arg(long)]
    endless: bool,
    /// Bind a stale entry to the principal that bears the ARN now.
    #[arg(long)]
    rebind: bool,
    /// Forget whom it is bound to, and bind it to whoever logs in first, until then (RFC 3339).
    #[arg(long, value_name = "WHEN", value_parser = moment, conflicts_with = "rebind")]
    pin_until: Option<OffsetDateTime>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Row for EntryDetail {
    const COLUMNS: &'static [&'static str] =
        &["PRINCIPAL", "TYPE", "STATE", "USERNAME", "GROUPS", "POLICIES"];
    const LAST_HAS_LINES: bool = true;

    fn cells(&self) -> Vec<String> {
        vec![
            self.entry.principal_arn.to_string(),
            wire_name(&self.entry.entry_type),
            wire_name(&self.state),
            self.entry.username.clone(),
            self.entry.groups.join(", "),
            one_a_line(self.associations.iter().map(policy_text)),
        ]
    }
}

fn policy_text(association: &PolicyAssociation) -> String {
    format!("{} {}", policy_name(&association.policy_arn), scope_text(&association.scope))
}

fn policy_name(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, name)| name)
}

fn scope_text(scope: &AccessScope) -> String {
    match scope {
        AccessScope::Cluster => "in the cluster".to_owned(),
        AccessScope::Namespace(names) => format!("in {}", names.join(", ")),
    }
}

impl Row for PolicyAssociation {
    const COLUMNS: &'static [&'static str] = &["ENTRY", "POLICY", "SCOPE", "ENDS AT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.entry.to_string(),
            policy_name(&self.policy_arn).to_owned(),
            scope_text(&self.scope),
            self.ends_at.map_or_else(|| "-".to_owned(), moment_text),
        ]
    }
}

/// Whom an entry means, as shown.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Matches(EntryMatches);

impl Tabular for Matches {
    fn columns(&self) -> Vec<&'static str> {
        vec!["PRINCIPAL", "ID", "MAPPED BY"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let principals = self.0.principals.iter();
        principals
            .map(|one| vec![one.principal_arn.to_string(), shown(&one.principal_id), shown(&one.mapped_by)])
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let overlaps = self.0.overlaps.iter().map(|other| {
            format!("it overlaps the entry for {other}, and would be refused: narrow one of the two")
        });
        let rest = (!self.0.complete).then(|| "incomplete: there may be others who fit".to_owned());
        overlaps.chain(self.0.notices.iter().cloned()).chain(rest).collect()
    }
}

/// The ARN of an access policy, in the partition of the principal that gets it.
fn policy_arn(policy: &str, principal_arn: &str) -> Result<String, Failure> {
    if policy.starts_with("arn:") {
        return Ok(policy.to_owned());
    }
    let principal = EntryPrincipal::parse(principal_arn).map_err(Failure::usage)?;
    named_policy(policy, principal.partition())
}

/// The ARN of an access policy, by its name.
fn named_policy(policy: &str, partition: Partition) -> Result<String, Failure> {
    match AccessPolicies::published().by_name(policy) {
        Some(policy) => Ok(policy.arn(partition)),
        None => Err(Failure::usage(format!(
            "`{policy}` is not an access policy: `lanyard access-policies` lists them"
        ))),
    }
}

impl EntryCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        let remote = hub.remote();
        match self {
            Self::Create(args) => {
                let (change, entry) = args.split();
                context.show(&Changed(remote.create_entry(change.into(), entry).await?))
            }
            Self::Get(which) => {
                context.show(&Fields(remote.get_entry(admitted_at_the_door(), which.into()).await?))
            }
            Self::List { cluster, policy } => {
                let policy = match policy {
                    Some(policy) if !policy.starts_with("arn:") => {
                        // Whoever may list entries and not see the cluster gives the whole ARN where its partition is another.
                        let found = remote.get_cluster(admitted_at_the_door(), cluster.clone()).await;
                        let partition = found.map_or(Partition::Aws, |cluster| cluster.partition);
                        Some(named_policy(&policy, partition)?)
                    }
                    whole => whole,
                };
                let entries = all_pages(async |page| {
                    remote.list_entries(admitted_at_the_door(), cluster.clone(), policy.clone(), page).await
                });
                context.show(&Listing(entries.await?))
            }
            Self::Watch { cluster } => watch::run(context, &remote, &cluster).await,
            Self::Preview(which) => {
                context.show(&Matches(remote.preview_entry(admitted_at_the_door(), which.into()).await?))
            }
            Self::Update(args) => {
                let (change, update) = args.split();
                context.show(&Changed(remote.update_entry(change.into(), update).await?))
            }
            Self::Delete { which, change } => {
                context.show(&Changed(remote.delete_entry(change.into(), which.into()).await?))
            }
            Self::Associate { which, policy, namespace, ends_at, change } => {
                let policy = policy_arn(&policy, &which.principal_arn)?;
                let scope = match namespace.is_empty() {
                    true => AccessScope::Cluster,
                    false => AccessScope::Namespace(namespace),
                };
                let made =
                    remote.associate_policy(change.into(), which.into(), policy, scope, ends_at).await?;
                context.show(&Changed(made))
            }
            Self::Disassociate { which, policy, change } => {
                let policy = policy_arn(&policy, &which.principal_arn)?;
                context.show(&Changed(remote.disassociate_policy(change.into(), which.into(), policy).await?))
            }
        }
    }
}

impl CreateArgs {
    fn split(self) -> (ChangeArgs, CreateAccessEntry) {
        let entry = CreateAccessEntry {
            entry: self.which.into(),
            entry_type: self.entry_type,
            username: self.username,
            groups: self.groups,
            tags: BTreeMap::from_iter(self.tags),
            ends_at: self.ends_at,
            principal_id: self.principal_id,
            pin_until: self.pin_until,
        };
        (self.change, entry)
    }
}

impl UpdateArgs {
    fn split(self) -> (ChangeArgs, UpdateAccessEntry) {
        let update = UpdateAccessEntry {
            entry: self.which.into(),
            username: self.username,
            groups: (self.no_groups || !self.groups.is_empty()).then_some(self.groups),
            ends_at: if self.endless { Some(None) } else { self.ends_at.map(Some) },
            rebind: self.rebind,
            pin_until: self.pin_until,
        };
        (self.change, update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_shortly_or_by_its_arn() {
        let ana = "arn:aws-cn:iam::111122223333:user/ana";
        let named = policy_arn("AmazonEKSViewPolicy", ana).unwrap();
        assert_eq!(named, "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSViewPolicy");
        assert_eq!(policy_arn(&named, "whatever").unwrap(), named);
        for (policy, principal) in [("ViewPolicy", ana), ("AmazonEKSViewPolicy", "ana"), ("", ana)] {
            assert!(matches!(policy_arn(policy, principal), Err(Failure::Usage(_))), "{policy} {principal}");
        }
        assert_eq!(named_policy("AmazonEKSViewPolicy", Partition::AwsCn).unwrap(), named);
    }
}
