//! Rules, and the selectors by which cluster roles aggregate others.

use super::fault::{Fault, Flaw};
use super::member::{self, Members};
use super::tree::Node;
use crate::object::{AggregationRule, LabelRequirement, LabelSelector, PolicyRule};

/// Reads a rule as Kubernetes validates it; one of a Role is namespaced.
pub(super) fn read(node: &Node, namespaced: bool) -> Result<PolicyRule, Flaw> {
    let members = Members::of(node)?;
    let rule = PolicyRule {
        verbs: members.texts("verbs")?,
        api_groups: members.texts("apiGroups")?,
        resources: members.texts("resources")?,
        resource_names: members.texts("resourceNames")?,
        non_resource_urls: members.texts("nonResourceURLs")?,
    };
    if rule.verbs.is_empty() {
        return Err(members.missing("verbs", "write at least one verb"));
    }
    if rule.non_resource_urls.is_empty() {
        resource_rule(&members, &rule)?;
    } else {
        non_resource_rule(&members, &rule, namespaced)?;
    }
    Ok(rule)
}

fn resource_rule(members: &Members<'_>, rule: &PolicyRule) -> Result<(), Flaw> {
    if rule.api_groups.is_empty() {
        return Err(members.missing("apiGroups", "write at least one API group; the core group is `\"\"`"));
    }
    if rule.resources.is_empty() {
        return Err(members.missing("resources", "write at least one resource"));
    }
    Ok(())
}

fn non_resource_rule(members: &Members<'_>, rule: &PolicyRule, namespaced: bool) -> Result<(), Flaw> {
    if namespaced {
        let because = "a Role has no paths outside the resource API, put the rule into a ClusterRole";
        return Err(members.fault_in("nonResourceURLs", Fault::Unexpected { because }));
    }
    let others = [
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("resourceNames", &rule.resource_names),
    ];
    match others.into_iter().find(|(_, texts)| !texts.is_empty()) {
        None => Ok(()),
        Some((name, _)) => {
            let because = "a rule is for resources or for `nonResourceURLs`, make two rules of it";
            Err(members.fault_in(name, Fault::Unexpected { because }))
        }
    }
}

/// Reads an aggregation rule.
pub(super) fn aggregation(node: &Node) -> Result<AggregationRule, Flaw> {
    let members = Members::of(node)?;
    let selectors = members.list("clusterRoleSelectors", selector)?;
    if selectors.is_empty() {
        return Err(members.missing("clusterRoleSelectors", "write at least one selector"));
    }
    Ok(AggregationRule { selectors })
}

fn selector(node: &Node) -> Result<LabelSelector, Flaw> {
    let members = Members::of(node)?;
    Ok(LabelSelector {
        match_labels: members.optional("matchLabels", member::texts_by_name)?.unwrap_or_default(),
        match_expressions: members.list("matchExpressions", requirement)?,
    })
}

fn requirement(node: &Node) -> Result<LabelRequirement, Flaw> {
    let members = Members::of(node)?;
    let key = members.required("key", "write the label", member::text)?.to_owned();
    let operator =
        members.required("operator", "write `In`, `NotIn`, `Exists` or `DoesNotExist`", member::text)?;
    let values = members.texts("values")?;
    match (operator, values.is_empty()) {
        ("In", false) => Ok(LabelRequirement::In { key, values }),
        ("NotIn", false) => Ok(LabelRequirement::NotIn { key, values }),
        ("Exists", true) => Ok(LabelRequirement::Exists { key }),
        ("DoesNotExist", true) => Ok(LabelRequirement::DoesNotExist { key }),
        ("In" | "NotIn", true) => Err(members.missing("values", "write at least one value")),
        ("Exists" | "DoesNotExist", false) => {
            let because = "`Exists` and `DoesNotExist` compare with nothing, take the values out";
            Err(members.fault_in("values", Fault::Unexpected { because }))
        }
        _ => {
            let allowed = "use In, NotIn, Exists or DoesNotExist";
            Err(members.fault_in("operator", Fault::value(operator, allowed)))
        }
    }
}
