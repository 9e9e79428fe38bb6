//! The rules of policy associations (EKS user guide, "Access policies").

use lanyard_api::{
    access_policies::{AUTO_NODE_POLICY, AccessPolicies, AccessPolicy},
    mapping::{AccessScope, EntryType},
};
use lanyard_iam::Partition;

use super::{Broken, Rule, shown};

/// Longest name of a namespace, in bytes (RFC 1123 label).
const NAMESPACE_BYTES_MAX: usize = 63;

/// A published policy of the cluster's partition, which an ordinary principal may have.
pub(crate) fn policy(arn: &str, partition: Partition) -> Result<&'static AccessPolicy, Broken> {
    let policy = AccessPolicies::published()
        .by_arn(arn, partition)
        .ok_or_else(|| Broken::new("policy_arn", Rule::PolicyUnknown, shown(arn)))?;
    if policy.service_linked_only {
        let message = format!("`{}` can only be associated with service-linked roles", policy.name);
        return Err(Broken::new("policy_arn", Rule::PolicyServiceLinked, message));
    }
    Ok(policy)
}

/// Policies are for STANDARD entries, and one for Auto Mode's nodes.
pub(crate) fn fits_type(policy: &AccessPolicy, entry_type: EntryType) -> Result<(), Broken> {
    match entry_type {
        EntryType::Standard => Ok(()),
        EntryType::Ec2 if policy.name == AUTO_NODE_POLICY => Ok(()),
        _ => {
            let message =
                "access policies are for entries of type STANDARD: nodes have their rights by their group";
            Err(Broken::new("policy_arn", Rule::NotStandard, message))
        }
    }
}

/// A scope of namespaces names some, each a name or a pattern that one can fit.
pub(crate) fn scope(scope: &AccessScope, most: usize) -> Result<(), Broken> {
    let AccessScope::Namespace(namespaces) = scope else { return Ok(()) };
    if namespaces.is_empty() {
        let message = "a scope of namespaces names at least one: use the scope `cluster` for all";
        return Err(Broken::new("access_scope", Rule::NamespacesMissing, message));
    }
    let broken = |message: String| Err(Broken::new("access_scope", Rule::NamespaceInvalid, message));
    if namespaces.len() > most {
        return broken(format!("a scope has at most {most} namespaces, these are {}", namespaces.len()));
    }
    for (at, namespace) in namespaces.iter().enumerate() {
        if !is_namespace_pattern(namespace) {
            return broken(format!(
                "`{}` is not a namespace: use lower-case letters, digits and `-`, with `*` for any characters",
                shown(namespace)
            ));
        }
        if namespaces.iter().take(at).any(|other| other == namespace) {
            return broken(format!("the namespace `{namespace}` stands here twice"));
        }
    }
    Ok(())
}

fn is_namespace_pattern(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'*';
    let bytes = text.as_bytes();
    (1..=NAMESPACE_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|&b| plain(b) || b == b'-')
        && bytes.first().is_some_and(|&b| plain(b))
        && bytes.last().is_some_and(|&b| plain(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule<T>(result: Result<T, Broken>) -> Option<Rule> {
        result.err().map(|broken| broken.rule)
    }

    #[test]
    fn an_association_is_of_a_published_policy_that_ordinary_principals_may_have() {
        let arn = |name: &str| format!("arn:aws:eks::aws:cluster-access-policy/{name}");
        let cases = [
            (arn("AmazonEKSClusterAdminPolicy"), Partition::Aws, None),
            (arn("AmazonEKSViewPolicy"), Partition::AwsCn, Some(Rule::PolicyUnknown)),
            (arn("AmazonEKSNoPolicy"), Partition::Aws, Some(Rule::PolicyUnknown)),
            (
                String::from("arn:aws:iam::aws:policy/AdministratorAccess"),
                Partition::Aws,
                Some(Rule::PolicyUnknown),
            ),
            (String::new(), Partition::Aws, Some(Rule::PolicyUnknown)),
            (arn("AmazonEKSHybridPolicy"), Partition::Aws, Some(Rule::PolicyServiceLinked)),
        ];
        for (arn, partition, broken) in cases {
            assert_eq!(rule(policy(&arn, partition)), broken, "{arn}");
        }
        assert_eq!(Rule::PolicyUnknown.eks_text(), Some("The specified policyArn could not be found."));
        assert_eq!(
            Rule::PolicyServiceLinked.eks_text(),
            Some("The specified policyArn can only be associated with service-linked roles")
        );
    }

    #[test]
    fn policies_are_for_standard_entries_and_one_for_auto_nodes() {
        let named = |name: &str| AccessPolicies::published().by_name(name).unwrap();
        let (view, auto) = (named("AmazonEKSViewPolicy"), named(AUTO_NODE_POLICY));
        let cases = [
            (view, EntryType::Standard, None),
            (auto, EntryType::Standard, None),
            (auto, EntryType::Ec2, None),
            (view, EntryType::Ec2, Some(Rule::NotStandard)),
            (view, EntryType::Ec2Linux, Some(Rule::NotStandard)),
            (auto, EntryType::Ec2Linux, Some(Rule::NotStandard)),
            (view, EntryType::FargateLinux, Some(Rule::NotStandard)),
        ];
        for (policy, entry_type, broken) in cases {
            assert_eq!(rule(fits_type(policy, entry_type)), broken, "{} {entry_type:?}", policy.name);
        }
    }

    #[test]
    fn a_scope_of_namespaces_names_namespaces() {
        let of = |names: &[&str]| AccessScope::Namespace(names.iter().map(ToString::to_string).collect());
        let long = "a".repeat(NAMESPACE_BYTES_MAX + 1);
        let cases = [
            (AccessScope::Cluster, None),
            (of(&["team-a"]), None),
            (of(&["dev-*", "*", "a*b", "0"]), None),
            (of(&[]), Some(Rule::NamespacesMissing)),
            (of(&[""]), Some(Rule::NamespaceInvalid)),
            (of(&["Team"]), Some(Rule::NamespaceInvalid)),
            (of(&["-a"]), Some(Rule::NamespaceInvalid)),
            (of(&["a-"]), Some(Rule::NamespaceInvalid)),
            (of(&["a.b"]), Some(Rule::NamespaceInvalid)),
            (of(&["a b"]), Some(Rule::NamespaceInvalid)),
            (of(&["a", "b", "a"]), Some(Rule::NamespaceInvalid)),
            (of(&[&long]), Some(Rule::NamespaceInvalid)),
            (of(&["a", "b", "c", "d", "e"]), Some(Rule::NamespaceInvalid)),
        ];
        for (asked, broken) in cases {
            assert_eq!(rule(scope(&asked, 4)), broken, "{asked:?}");
        }
    }
}
