//! The published access policies: what `AssociateAccessPolicy` can put on an entry.
//!
//! They are data, compiled into the binary from `data/access-policies.yaml`, where each names its source and how much of
//! it is known. A policy whose rules are not published is listed, so that tools find it, and grants nothing.

use std::{collections::HashMap, sync::LazyLock};

use lanyard_iam::Partition;
use lanyard_rbac::{PolicyRule, RuleSet};
use serde::Deserialize;
use smol_str::SmolStr;

/// The policy that makes an administrator of the cluster where its access scope is the cluster.
pub const CLUSTER_ADMIN_POLICY: &str = "AmazonEKSClusterAdminPolicy";

/// The one policy that entries of type `EC2` (EKS Auto Mode nodes) may have.
pub const AUTO_NODE_POLICY: &str = "AmazonEKSAutoNodePolicy";

const SOURCE: &str = include_str!("../data/access-policies.yaml");

/// A published permission set.
#[derive(Debug)]
pub struct AccessPolicy {
    /// Its name, such as `AmazonEKSViewPolicy`; compared exactly.
    pub name: SmolStr,
    /// Whether the rules are all that the published policy grants; where not, Lanyard grants less, never more.
    pub rules_complete: bool,
    /// Only service-linked roles may have it, so that no entry made here can.
    pub service_linked_only: bool,
    /// What people should know of it.
    pub note: Option<String>,
    /// What it allows, compiled once for all its associations.
    pub rules: RuleSet,
}

impl AccessPolicy {
    /// Its ARN: `arn:<partition>:eks::aws:cluster-access-policy/<name>`, with no region, and the word `aws` as account.
    #[must_use]
    pub fn arn(&self, partition: Partition) -> String {
        AccessPolicies::arn_of(&self.name, partition)
    }
}

const ARN_MIDDLE: &str = ":eks::aws:cluster-access-policy/";

/// All published access policies, in the order of their file.
#[derive(Debug)]
pub struct AccessPolicies {
    list: Vec<AccessPolicy>,
    by_name: HashMap<SmolStr, usize>,
}

impl AccessPolicies {
    /// Those compiled in.
    #[must_use]
    pub fn published() -> &'static Self {
        static PUBLISHED: LazyLock<AccessPolicies> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
            AccessPolicies::parse(SOURCE).expect("the compiled-in access policies are well formed")
        });
        &PUBLISHED
    }

    /// The ARN of the policy of that name in a partition.
    #[must_use]
    pub fn arn_of(name: &str, partition: Partition) -> String {
        format!("arn:{partition}{ARN_MIDDLE}{name}")
    }

    /// The policy of that name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&AccessPolicy> {
        self.by_name.get(name).and_then(|&at| self.list.get(at))
    }

    /// The policy of that ARN, in the partition given: a cluster has those of its own partition only.
    #[must_use]
    pub fn by_arn(&self, arn: &str, partition: Partition) -> Option<&AccessPolicy> {
        let rest = arn.strip_prefix("arn:")?.strip_prefix(partition.as_str())?;
        self.by_name(rest.strip_prefix(ARN_MIDDLE)?)
    }

    /// The policy of an association that stands in the store, whatever its partition.
    #[must_use]
    pub fn of_association(&self, policy_arn: &str) -> Option<&AccessPolicy> {
        policy_arn.split_once(ARN_MIDDLE).and_then(|(_, name)| self.by_name(name))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &AccessPolicy> {
        self.list.iter()
    }

    fn parse(source: &str) -> Result<Self, serde_saphyr::Error> {
        let file: File = serde_saphyr::from_str(source)?;
        let list: Vec<AccessPolicy> = file.policies.into_iter().map(AccessPolicy::from).collect();
        let by_name = list.iter().enumerate().map(|(at, policy)| (policy.name.clone(), at)).collect();
        Ok(Self { list, by_name })
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policies: Vec<PolicyText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    name: SmolStr,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "confidence")]
    _confidence: Confidence,
    rules_complete: bool,
    service_linked_only: bool,
    #[serde(rename = "scope_types")]
    _scope_types: Vec<ScopeType>,
    #[serde(rename = "typical_scope", default)]
    _typical_scope: Option<ScopeType>,
    #[serde(default)]
    note: Option<String>,
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Confidence {
    High,
    Medium,
    Low,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScopeType {
    Cluster,
    Namespace,
}

/// A rule with Kubernetes' member names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuleText {
    verbs: Vec<String>,
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
}

impl From<PolicyText> for AccessPolicy {
    fn from(text: PolicyText) -> Self {
        Self {
            name: text.name,
            rules_complete: text.rules_complete,
            service_linked_only: text.service_linked_only,
            note: text.note,
            rules: RuleSet::compile(text.rules.into_iter().map(PolicyRule::from)),
        }
    }
}

impl From<RuleText> for PolicyRule {
    fn from(text: RuleText) -> Self {
        Self {
            verbs: text.verbs,
            api_groups: text.api_groups,
            resources: text.resources,
            resource_names: text.resource_names,
            non_resource_urls: text.non_resource_urls,
        }
    }
}

#[cfg(test)]
mod tests {
    use lanyard_rbac::{Attributes, ResourceAttributes};

    use super::*;

    fn ask<'a>(verb: &'a str, api_group: &'a str, resource: &'a str) -> Attributes<'a> {
        let asked = ResourceAttributes { api_group, resource, namespace: "team-a", ..Default::default() };
        Attributes::resource(verb, asked)
    }

    #[test]
    fn every_published_policy_is_found_by_its_name_and_by_its_arn_in_its_partition() {
        let published = AccessPolicies::published();
        assert_eq!(published.iter().count(), 36);
        for policy in published.iter() {
            assert_eq!(published.by_name(&policy.name).map(|p| &p.name), Some(&policy.name));
            for partition in Partition::ALL {
                let found = published.by_arn(&policy.arn(partition), partition);
                assert_eq!(found.map(|p| &p.name), Some(&policy.name), "{partition}");
            }
            assert!(published.by_arn(&policy.arn(Partition::AwsCn), Partition::Aws).is_none());
        }
    }

    #[test]
    fn an_arn_of_another_form_names_no_policy() {
        let published = AccessPolicies::published();
        for arn in [
            "",
            "AmazonEKSViewPolicy",
            "arn:aws:iam::aws:policy/AmazonEKSViewPolicy",
            "arn:aws:eks:us-west-2:aws:cluster-access-policy/AmazonEKSViewPolicy",
            "arn:aws:eks::111122223333:cluster-access-policy/AmazonEKSViewPolicy",
            "arn:aws:eks::aws:cluster-access-policy/amazoneksviewpolicy",
            "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy ",
        ] {
            assert!(published.by_arn(arn, Partition::Aws).is_none(), "{arn}");
        }
    }

    #[test]
    fn the_best_known_policies_allow_what_their_tables_say() {
        let cases = [
            (CLUSTER_ADMIN_POLICY, ask("escalate", "rbac.authorization.k8s.io", "clusterroles"), true),
            (CLUSTER_ADMIN_POLICY, Attributes::non_resource("get", "/metrics"), true),
            ("AmazonEKSAdminPolicy", ask("create", "rbac.authorization.k8s.io", "rolebindings"), true),
            ("AmazonEKSEditPolicy", ask("get", "", "secrets"), true),
            ("AmazonEKSEditPolicy", ask("create", "rbac.authorization.k8s.io", "rolebindings"), false),
            ("AmazonEKSViewPolicy", ask("list", "", "pods"), true),
            ("AmazonEKSViewPolicy", ask("get", "", "secrets"), false),
            ("AmazonEKSViewPolicy", ask("delete", "", "pods"), false),
            (AUTO_NODE_POLICY, ask("get", "", "pods"), false),
        ];
        for (name, asked, allowed) in cases {
            let policy = AccessPolicies::published().by_name(name).unwrap();
            assert_eq!(policy.rules.first_match(&asked).is_some(), allowed, "{name} {asked:?}");
        }
    }

    #[test]
    fn a_policy_without_published_rules_is_listed_and_grants_nothing() {
        let event = AccessPolicies::published().by_name("AmazonEKSEventPolicy").unwrap();
        assert!(event.rules.rules().is_empty() && !event.rules_complete);
        let linked: Vec<&str> = AccessPolicies::published()
            .iter()
            .filter(|p| p.service_linked_only)
            .map(|p| p.name.as_str())
            .collect();
        assert!(linked.contains(&"AmazonEKSHybridPolicy"), "{linked:?}");
        assert!(!linked.contains(&"AmazonEKSViewPolicy"), "{linked:?}");
    }

    #[test]
    fn a_file_with_an_unknown_member_is_refused() {
        for bad in ["policies: [{name: x}]", "policies: []\nmore: 1", "[]"] {
            assert!(AccessPolicies::parse(bad).is_err(), "{bad}");
        }
    }
}
