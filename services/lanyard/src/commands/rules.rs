//! `lanyard rules --as ARN --cluster C`: what somebody may do.

use std::sync::Arc;

use clap::Args;
use lanyard_api::{
    Authority, ClusterId, ClusterUid, EntryId, UserInfo,
    authz::{Rules, RulesQuery},
    grpc::admitted_at_the_door,
    mapping::{Clusters, Entries, EntryRef, GrantKind, Preview, PreviewQuery, Resolution},
};
use lanyard_iam::PrincipalArn;
use lanyard_rbac::PolicyRule;
use serde::Serialize;

use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    hub::{Hub, request},
    output::Tabular,
};

const HELP: &str = "\
Examples:
  lanyard rules --as arn:aws:iam::111122223333:user/ana --cluster dev -n team-a
  lanyard rules --as arn:aws:sts::111122223333:assumed-role/deployer/ci --cluster dev
  lanyard rules --entry arn:aws:iam::111122223333:role/deployer --cluster dev -n team-a

Nobody is let in by asking: the ARN is taken as if it were proved. For what a token gives, use \
`lanyard explain`.";

/// The flags of `lanyard rules`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct RulesArgs {
    #[command(flatten)]
    who: WhoArgs,
    /// Whose identity the ARN would be; by default the authority of its account on this hub.
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<Authority>,
    /// The cluster's id.
    #[arg(long, value_name = "CLUSTER")]
    cluster: ClusterId,
    /// The namespace; without it, only what holds in the whole cluster.
    #[arg(long, short, value_name = "NAMESPACE", default_value = "")]
    namespace: String,
}

/// Who is asked about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhoArgs {
    /// A principal or session, mapped as if it knocked now.
    #[arg(long = "as", value_name = "ARN")]
    arn: Option<PrincipalArn>,
    /// The access entry of this principal, whether it counts now or not.
    #[arg(long, value_name = "ARN")]
    entry: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    username: String,
    groups: Vec<String>,
    namespace: String,
    resource: Vec<Rule>,
    non_resource: Vec<Rule>,
    incomplete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rule {
    verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    non_resource_urls: Vec<String>,
}

impl From<PolicyRule> for Rule {
    fn from(rule: PolicyRule) -> Self {
        Self {
            verbs: rule.verbs,
            api_groups: rule.api_groups,
            resources: rule.resources,
            resource_names: rule.resource_names,
            non_resource_urls: rule.non_resource_urls,
        }
    }
}

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["RESOURCES OR PATHS", "GROUPS", "NAMES", "VERBS"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let groups = |rule: &Rule| {
            let shown = rule.api_groups.iter().map(|group| if group.is_empty() { "core" } else { group });
            shown.collect::<Vec<_>>().join(", ")
        };
        let row = |rule: &Rule| {
            let what = [rule.resources.as_slice(), &rule.non_resource_urls].concat().join(", ");
            vec![what, groups(rule), rule.resource_names.join(", "), rule.verbs.join(", ")]
        };
        self.resource.iter().chain(&self.non_resource).map(row).collect()
    }

    fn notes(&self) -> Vec<String> {
        let place = match self.namespace.as_str() {
            "" => "in the whole cluster".to_owned(),
            namespace => format!("in namespace {namespace}"),
        };
        let mut notes = vec![
            String::new(),
            format!("`{}` with groups [{}], {place}", self.username, self.groups.join(", ")),
        ];
        if self.incomplete {
            notes.push("incomplete: there may be more that cannot be listed".to_owned());
        }
        notes.extend(self.evaluation_error.iter().map(|error| format!("evaluation error: {error}")));
        notes
    }
}

impl RulesArgs {
    /// Asks.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        let cluster = hub.remote().get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        let Some((user, grant)) = self.user(&hub, cluster.uid).await? else { return Ok(Ending::No) };
        let (username, groups) = (user.username.clone(), user.groups.clone());
        let query = RulesQuery { cluster: cluster.uid, user, namespace: self.namespace.clone(), grant };
        let rules = Rules::try_from(hub.authorize().rules_for(request(query.into())).await?.into_inner())?;
        let each = |rules: Vec<PolicyRule>| rules.into_iter().map(Rule::from).collect();
        context.show(&Shown {
            username,
            groups,
            namespace: self.namespace,
            resource: each(rules.resource),
            non_resource: each(rules.non_resource),
            incomplete: rules.incomplete,
            evaluation_error: rules.evaluation_error,
        })
    }

    /// The badge, and the entry that gives it; none, with the reason said, where there is no badge.
    async fn user(&self, hub: &Hub, uid: ClusterUid) -> Result<Option<(UserInfo, Option<EntryId>)>, Failure> {
        if let Some(principal_arn) = &self.who.entry {
            let which = EntryRef { cluster: self.cluster.clone(), principal_arn: principal_arn.clone() };
            let entry = hub.remote().get_entry(admitted_at_the_door(), which).await?.entry;
            let user = UserInfo { username: entry.username, groups: entry.groups, ..UserInfo::default() };
            return Ok(Some((user.let_in(), Some(entry.id))));
        }
        let arn = self.who.arn.as_ref().ok_or_else(|| Failure::usage("about whom? Add --as or --entry"))?;
        badge(hub, uid, arn, self.authority.as_ref()).await
    }
}

/// The badge that somebody would get, taken as if they were proved, and the entry that gives it; none, with the reason said, where
/// there is no badge.
pub(super) async fn badge(
    hub: &Hub,
    cluster: ClusterUid,
    arn: &PrincipalArn,
    authority: Option<&Authority>,
) -> Result<Option<(UserInfo, Option<EntryId>)>, Failure> {
    let authority = match authority {
        Some(authority) => authority.clone(),
        None => hub.authority_of(arn.account).await?,
    };
    let query = PreviewQuery { cluster, authority, arn: arn.clone(), principal_id: None };
    match hub.remote().preview(admitted_at_the_door(), query).await? {
        Resolution::Mapped(mapped) => {
            let entry = (mapped.grant.kind == GrantKind::AccessEntry).then_some(mapped.grant.id);
            Ok(Some((Arc::unwrap_or_clone(mapped).user.into_info().let_in(), entry)))
        }
        Resolution::Blocked(id) => {
            complain(&format!(
                "lanyard: a block holds: `lanyard block list`, with --cluster or --in-account where it holds there alone, says who \
                 put up {id} and why"
            ));
            Ok(None)
        }
        Resolution::Unmapped(unmapped) => {
            complain(&format!("lanyard: nothing may be done: {}", unmapped.denial));
            unmapped.near_misses.iter().for_each(|miss| complain(&format!("near miss: {miss}")));
            Ok(None)
        }
    }
}
