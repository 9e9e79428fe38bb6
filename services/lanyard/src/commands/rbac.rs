//! `lanyard rbac`: the RBAC objects of a cluster; and decisions from files, offline.

mod apply;
mod check;
pub(super) mod review;

use clap::Subcommand;
use lanyard_api::{
    ClusterId,
    authz::{ApplySummary, Objects},
    grpc::admitted_at_the_door,
};
use lanyard_rbac::{Object, ObjectKey};

use self::apply::Given;
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    input::Source,
    output::{Tabular, one_a_line},
    show::{Row, changed},
};

pub use check::CheckArgs;

/// What there is to do with RBAC objects.
#[derive(Debug, Subcommand)]
pub enum RbacCommand {
    /// Put objects in place.
    #[command(after_help = apply::HELP)]
    Apply {
        /// The cluster's id.
        cluster: ClusterId,
        /// Any output of `kubectl get -o yaml` or `-o json`; `-` is standard input.
        #[arg(long, short, value_name = "FILE")]
        file: Source,
        /// Also remove the objects that are not in it.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// The objects of a cluster; with --output json or yaml a List, as `kubectl apply` and `lanyard rbac apply` take it.
    #[command(
        after_help = "Examples:\n  lanyard rbac list dev\n  lanyard rbac list dev --output json | kubectl apply -f -"
    )]
    List {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Remove an object.
    #[command(after_help = "Examples:\n  lanyard rbac delete dev RoleBinding/team-a/devs")]
    Delete {
        /// The cluster's id.
        cluster: ClusterId,
        /// `ClusterRole/NAME`, `RoleBinding/NAMESPACE/NAME` and so on.
        key: ObjectKey,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Decide SubjectAccessReviews by objects in files, without a hub.
    #[command(after_help = check::HELP)]
    Check(CheckArgs),
}

impl Row for ApplySummary {
    const COLUMNS: &'static [&'static str] = &["CREATED", "CHANGED", "UNCHANGED", "REMOVED", "SKIPPED"];
    const LAST_HAS_LINES: bool = true;

    fn cells(&self) -> Vec<String> {
        let skipped = if self.skipped.is_empty() { "-".to_owned() } else { one_a_line(&self.skipped) };
        let counts = [self.created, self.changed, self.unchanged, self.removed];
        counts.map(|count| count.to_string()).into_iter().chain([skipped]).collect()
    }
}

impl Row for Object {
    const COLUMNS: &'static [&'static str] = &["KIND", "NAMESPACE", "NAME"];

    fn cells(&self) -> Vec<String> {
        let key = self.key();
        vec![key.kind().as_str().to_owned(), key.namespace().unwrap_or("-").to_owned(), key.name().to_owned()]
    }
}

/// A cluster's objects; in JSON and YAML the list that `kubectl get` would print, for an array alone nobody applies.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct KubernetesList {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Object>,
}

impl KubernetesList {
    fn of(items: Vec<Object>) -> Self {
        Self { api_version: "v1", kind: "List", items }
    }
}

impl Tabular for KubernetesList {
    fn columns(&self) -> Vec<&'static str> {
        Object::COLUMNS.to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.items.iter().map(Row::cells).collect()
    }
}

/// A removed object, by its key.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Gone(String);

impl Row for Gone {
    const COLUMNS: &'static [&'static str] = &["REMOVED"];

    fn cells(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}

impl RbacCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self {
            Self::Check(args) => args.run(context),
            Self::Apply { cluster, file, replace, change } => {
                let (given, batch) = Given::read(&file, replace)?;
                let remote = context.connect().await?.remote();
                let applied = remote.apply_objects(change.into(), cluster, batch).await;
                let applied = applied.map_err(|error| given.refused(error))?;
                context.show(&changed(applied, |summary| given.told(summary)))
            }
            Self::List { cluster } => {
                let remote = context.connect().await?.remote();
                let objects = all_pages(async |page| {
                    remote.list_objects(admitted_at_the_door(), cluster.clone(), page).await
                });
                context.show(&KubernetesList::of(objects.await?))
            }
            Self::Delete { cluster, key, change } => {
                let remote = context.connect().await?.remote();
                let gone = remote.delete_object(change.into(), cluster, key).await?;
                context.show(&changed(gone, |key| Gone(key.to_string())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all, labels: {rbac.authorization.k8s.io/aggregate-to-admin: "true"}}
rules: [{verbs: ["*"], apiGroups: ["", "*"], resources: ["*"]}, {verbs: [get], nonResourceURLs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: devs, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}]
"#;

    #[test]
    fn a_list_is_read_again_as_what_it_was_made_of() {
        let objects = lanyard_rbac::parse(OBJECTS.as_bytes()).unwrap().objects;
        let list = KubernetesList::of(objects.clone());
        let json = serde_json::to_string_pretty(&list).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&shown["apiVersion"], &shown["kind"]), (&"v1".into(), &"List".into()), "{json}");
        for text in [json, serde_saphyr::to_string(&list).unwrap()] {
            assert_eq!(lanyard_rbac::parse(text.as_bytes()).unwrap().objects, objects, "{text}");
        }
        assert_eq!(list.rows(), [["ClusterRole", "-", "all"], ["RoleBinding", "team-a", "devs"]]);
        let none = serde_json::to_string(&KubernetesList::of(Vec::new())).unwrap();
        assert_eq!(none, r#"{"apiVersion":"v1","kind":"List","items":[]}"#);
    }
}
