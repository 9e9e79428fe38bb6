//! `lanyard association`: which ServiceAccount's pods get which role.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use lanyard_api::{
    ClusterId,
    credentials::{
        Associations, AwsRoad, CreatePodIdentityAssociation, PodIdentityAssociationDetail,
        PodIdentityAssociationFilter, PodIdentityAssociationId, PodIdentityAssociationRef,
        UpdatePodIdentityAssociation,
    },
    grpc::admitted_at_the_door,
};

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    input::{Source, key_value},
    show::{Changed, Fields, Listing, Row, or_dash},
};

const CREATE: &str = "\
Examples:
  lanyard association create dev team-a/bot --role arn:aws:iam::111122223333:role/app
  lanyard association create dev team-a/bot --role arn:aws:iam::111122223333:role/app \\
    --target-role arn:aws:iam::444455556666:role/data
  lanyard association create dev team-a/bot --role arn:aws:iam::111122223333:role/app --disable-session-tags --policy narrow.json

The role is of the cluster's own account, and its trust policy lets the service pods.eks.amazonaws.com do sts:AssumeRole and \
sts:TagSession, in this cluster alone by a condition on aws:SourceArn (or --allow-any-cluster, or the role's tag \
lanyard:any-cluster=true). You need iam:PassRole on it. A target role is of any account: it is assumed with the role, and its trust policy \
should ask for the external id that the answer shows. A ServiceAccount has one association at most; neither it nor its namespace \
need exist.";

const UPDATE: &str = "\
Examples:
  lanyard association update dev a-h95e6v5a7rbwzf2t9 --role arn:aws:iam::111122223333:role/other
  lanyard association update dev a-h95e6v5a7rbwzf2t9 --no-target-role

What is not named stays. For another ServiceAccount make another association.";

const DELETE: &str = "\
Examples:
  lanyard association delete dev a-h95e6v5a7rbwzf2t9

Pods of the ServiceAccount get no credentials any more. Those that they have last until they end.";

/// What there is to do with Pod Identity associations.
#[derive(Debug, Subcommand)]
pub enum AssociationCommand {
    /// Give a ServiceAccount's pods a role.
    #[command(after_help = CREATE)]
    Create(Box<CreateArgs>),
    /// One association, whole.
    #[command(after_help = "Examples:\n  lanyard association describe dev a-h95e6v5a7rbwzf2t9")]
    Describe(WhichArgs),
    /// The associations of a cluster.
    #[command(
        after_help = "Examples:\n  lanyard association list dev\n  lanyard association list dev --namespace team-a"
    )]
    List {
        /// The cluster's id.
        cluster: ClusterId,
        /// Of this namespace alone.
        #[arg(long, short, value_name = "NAME")]
        namespace: Option<String>,
        /// Of ServiceAccounts of this name alone.
        #[arg(long, value_name = "NAME")]
        service_account: Option<String>,
    },
    /// Another role, target role or policy.
    #[command(after_help = UPDATE)]
    Update(Box<UpdateArgs>),
    /// Give the pods no role any more.
    #[command(after_help = DELETE)]
    Delete {
        #[command(flatten)]
        which: WhichArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Names an association.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The association's id, `a-…`, as lists show it.
    id: PodIdentityAssociationId,
}

impl From<WhichArgs> for PodIdentityAssociationRef {
    fn from(which: WhichArgs) -> Self {
        Self { cluster: which.cluster, id: which.id }
    }
}

/// What makes an association.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The cluster's id.
    pub(super) cluster: ClusterId,
    /// Whose pods.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_account)]
    pub(super) service_account: (String, String),
    /// The role, of the cluster's own account.
    #[arg(long, value_name = "ARN")]
    pub(super) role: String,
    /// Whom a role of AWS trusts, `hub-principal` or `issuer`; by default what the hub is configured to.
    #[arg(long, value_name = "ROAD")]
    pub(super) road: Option<AwsRoad>,
    /// Do not try a role of AWS now, but before its first use.
    #[arg(long)]
    unprobed: bool,
    /// The role, of any account, that is assumed with the first one.
    #[arg(long, value_name = "ARN")]
    target_role: Option<String>,
    /// Leave out the six session tags that tell of cluster and pod.
    #[arg(long)]
    disable_session_tags: bool,
    /// A file with a session policy, `-` for standard input; it narrows what the pods may do.
    #[arg(long, value_name = "FILE", requires = "disable_session_tags")]
    policy: Option<Source>,
    /// A tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    /// Take a role that the pods of any cluster of the account may use.
    #[arg(long)]
    allow_any_cluster: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What changes an association.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The role, of the cluster's own account.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// The role that is assumed with the first one.
    #[arg(long, value_name = "ARN")]
    target_role: Option<String>,
    /// No target role any more.
    #[arg(long, conflicts_with = "target_role")]
    no_target_role: bool,
    /// Whether the six session tags are left out.
    #[arg(long, value_name = "true|false")]
    disable_session_tags: Option<bool>,
    /// A file with a session policy, `-` for standard input.
    #[arg(long, value_name = "FILE")]
    policy: Option<Source>,
    /// No session policy any more.
    #[arg(long, conflicts_with = "policy")]
    no_policy: bool,
    /// Take a role that the pods of any cluster of the account may use.
    #[arg(long)]
    allow_any_cluster: bool,
    /// Whom a role of AWS trusts, `hub-principal` or `issuer`.
    #[arg(long, value_name = "ROAD")]
    road: Option<AwsRoad>,
    /// Do not try a role of AWS now, but before its first use.
    #[arg(long)]
    unprobed: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// `<namespace>/<name>`.
fn service_account(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) => Ok((namespace.to_owned(), name.to_owned())),
        None => Err("write it with its namespace, such as team-a/bot".to_owned()),
    }
}

impl Row for PodIdentityAssociationDetail {
    const COLUMNS: &'static [&'static str] = &["ID", "NAMESPACE", "SERVICE ACCOUNT", "ROLE", "TARGET ROLE"];

    fn cells(&self) -> Vec<String> {
        let association = &self.association;
        vec![
            association.id.to_string(),
            association.namespace.clone(),
            association.service_account.clone(),
            association.role_arn.to_string(),
            or_dash(association.target_role_arn.as_ref()),
        ]
    }
}

impl AssociationCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self {
            Self::Create(args) => {
                let file = args.policy.as_ref().map(Source::name);
                let (change, asked) = args.split()?;
                let remote = context.connect().await?.remote();
                let made = remote.create_pod_identity_association(change.into(), asked).await;
                let made = made.map_err(|error| Failure::in_file(error, "policy", file.as_deref()))?;
                context.show(&Changed(made))
            }
            Self::Describe(which) => {
                let remote = context.connect().await?.remote();
                let found = remote.get_pod_identity_association(admitted_at_the_door(), which.into()).await?;
                context.show(&Fields(found))
            }
            Self::List { cluster, namespace, service_account } => {
                let remote = context.connect().await?.remote();
                let filter = PodIdentityAssociationFilter { namespace, service_account };
                let found = all_pages(async |page| {
                    let by = admitted_at_the_door();
                    remote.list_pod_identity_associations(by, cluster.clone(), filter.clone(), page).await
                });
                context.show(&Listing(found.await?))
            }
            Self::Update(args) => {
                let file = args.policy.as_ref().map(Source::name);
                let (named, by, change) = args.split()?;
                let remote = context.connect().await?.remote();
                let after = remote.update_pod_identity_association(by.into(), named, change).await;
                let after = after.map_err(|error| Failure::in_file(error, "policy", file.as_deref()))?;
                context.show(&Changed(after))
            }
            Self::Delete { which, change } => {
                let remote = context.connect().await?.remote();
                let gone = remote.delete_pod_identity_association(change.into(), which.into()).await?;
                context.show(&Changed(gone))
            }
        }
    }
}

impl CreateArgs {
    pub(super) fn split(self) -> Result<(ChangeArgs, CreatePodIdentityAssociation), Failure> {
        let (namespace, service_account) = self.service_account;
        let asked = CreatePodIdentityAssociation {
            cluster: self.cluster,
            namespace,
            service_account,
            role_arn: self.role,
            target_role_arn: self.target_role,
            disable_session_tags: Some(self.disable_session_tags),
            policy: self.policy.map(|source| source.read()).transpose()?,
            tags: BTreeMap::from_iter(self.tags),
            allow_any_cluster: self.allow_any_cluster,
            aws_road: self.road,
            unprobed: self.unprobed,
        };
        Ok((self.change, asked))
    }
}

impl UpdateArgs {
    fn split(self) -> Result<(PodIdentityAssociationRef, ChangeArgs, UpdatePodIdentityAssociation), Failure> {
        // On the wire an empty text takes away.
        let policy = match self.no_policy {
            true => Some(String::new()),
            false => self.policy.map(|source| source.read()).transpose()?,
        };
        let change = UpdatePodIdentityAssociation {
            role_arn: self.role,
            target_role_arn: if self.no_target_role { Some(String::new()) } else { self.target_role },
            disable_session_tags: self.disable_session_tags,
            policy,
            allow_any_cluster: self.allow_any_cluster,
            aws_road: self.road,
            unprobed: self.unprobed,
        };
        Ok((self.which.into(), self.change, change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_written_with_its_namespace() {
        assert_eq!(service_account("team-a/bot"), Ok(("team-a".to_owned(), "bot".to_owned())));
        assert!(service_account("bot").is_err());
    }
}
