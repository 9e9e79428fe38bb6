//! Aggregated cluster roles: whose rules a role has in the end.
//!
//! Kubernetes' controller writes, again and again until nothing changes, into each role with an aggregation rule
//! the rules of all other cluster roles that its selectors match. Started from nothing, that ends where a role has
//! the rules of every role without aggregation that can be reached from it, which is what is computed here.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;

use crate::object::{AggregationRule, ClusterRole, PolicyRule};

/// Rules that one aggregated role can gather. In a cluster it has to fit the 1.5 MiB of one stored object, which
/// is fewer of even the shortest rules.
pub(crate) const AGGREGATED_RULES_MAX: usize = 16_384;

/// Roles looked at for all aggregated roles together: a bound on the work that objects made to be slow can cause,
/// about a second of it. A thousand aggregated roles over ten thousand others stay below.
const STEPS_MAX: usize = 20_000_000;

/// What all aggregated roles together can gather, in rules and the resources they name: a bound on the memory, some
/// hundred megabytes. The three aggregated roles of a new cluster gather some five hundred.
const WEIGHT_MAX: usize = 2_000_000;

/// All cluster roles by name.
pub(crate) type ClusterRoles<'a> = BTreeMap<&'a str, &'a ClusterRole>;

/// The rules of an aggregated role, each with the role that it is written in.
#[derive(Debug, Default)]
pub(crate) struct Gathered<'a> {
    pub(crate) rules: Vec<(&'a str, &'a PolicyRule)>,
    /// Whether a limit kept rules out.
    pub(crate) cut: bool,
}

/// What every aggregated role gathers, by its name.
pub(crate) fn gather<'a>(roles: &ClusterRoles<'a>) -> BTreeMap<&'a str, Gathered<'a>> {
    let mut budget = Budget { steps: STEPS_MAX, weight: WEIGHT_MAX };
    let aggregated = roles.values().filter_map(|role| Some((role.name.as_str(), role.aggregation.as_ref()?)));
    let mut selected: BTreeMap<&str, Selected<'_>> = BTreeMap::new();
    for (name, rule) in aggregated {
        selected.insert(name, select(roles, name, rule, &mut budget));
    }
    selected.keys().map(|&name| (name, reach(&selected, name, &mut budget))).collect()
}

/// What is left of the limits for all aggregated roles together.
struct Budget {
    steps: usize,
    weight: usize,
}

impl Budget {
    fn take_step(&mut self) -> bool {
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    fn take_rule(&mut self, rule: &PolicyRule) -> bool {
        let left = self.weight.checked_sub(rule.resources.len().saturating_add(1));
        self.weight = left.unwrap_or(0);
        left.is_some()
    }
}

/// The roles that one role's selectors match, in the controller's order: by selector, then by name.
#[derive(Debug, Default)]
struct Selected<'a> {
    roles: Vec<&'a ClusterRole>,
    cut: bool,
}

fn select<'a>(
    roles: &ClusterRoles<'a>,
    name: &str,
    rule: &AggregationRule,
    budget: &mut Budget,
) -> Selected<'a> {
    let mut selected = Selected::default();
    for selector in &rule.selectors {
        for role in roles.values() {
            if !budget.take_step() {
                selected.cut = true;
                return selected;
            }
            if role.name != name && selector.matches(&role.labels) {
                selected.roles.push(role);
            }
        }
    }
    selected
}

fn reach<'a>(selected: &BTreeMap<&'a str, Selected<'a>>, name: &'a str, budget: &mut Budget) -> Gathered<'a> {
    let mut gathered = Gathered::default();
    let mut seen_roles: HashSet<&str, RandomState> = HashSet::from_iter([name]);
    let mut seen_rules: HashSet<&PolicyRule, RandomState> = HashSet::default();
    let Some(start) = selected.get(name) else { return gathered };
    gathered.cut = start.cut;
    let mut open = vec![start.roles.iter()];
    while let Some(roles) = open.last_mut() {
        let Some(role) = roles.next() else {
            open.pop();
            continue;
        };
        if !budget.take_step() {
            gathered.cut = true;
            return gathered;
        }
        if !seen_roles.insert(&role.name) {
            continue;
        }
        if let Some(further) = selected.get(role.name.as_str()) {
            gathered.cut |= further.cut;
            open.push(further.roles.iter());
            continue;
        }
        for rule in role.rules.iter().filter(|rule| seen_rules.insert(rule)) {
            if gathered.rules.len() == AGGREGATED_RULES_MAX || !budget.take_rule(rule) {
                gathered.cut = true;
                return gathered;
            }
            gathered.rules.push((&role.name, rule));
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{LabelRequirement, LabelSelector};

    fn role(name: &str, labels: &[(&str, &str)], verbs: &[&str]) -> ClusterRole {
        let rule = |verb: &&str| PolicyRule { verbs: vec![(*verb).to_owned()], ..PolicyRule::default() };
        ClusterRole {
            name: name.to_owned(),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            rules: verbs.iter().map(rule).collect(),
            aggregation: None,
        }
    }

    fn aggregated(name: &str, labels: &[(&str, &str)], select: &[(&str, &str)]) -> ClusterRole {
        let one = |(key, value): &(&str, &str)| LabelSelector {
            match_labels: [((*key).to_owned(), (*value).to_owned())].into(),
            match_expressions: vec![],
        };
        let aggregation = Some(AggregationRule { selectors: select.iter().map(one).collect() });
        ClusterRole { aggregation, ..role(name, labels, &["stale"]) }
    }

    fn verbs(roles: &[ClusterRole], name: &str) -> String {
        let by_name: ClusterRoles<'_> = roles.iter().map(|role| (role.name.as_str(), role)).collect();
        let gathered = gather(&by_name);
        let rules = gathered[name].rules.iter();
        rules.map(|(origin, rule)| format!("{origin}:{}", rule.verbs[0])).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_aggregated_role_has_the_rules_it_selects_and_none_of_its_own() {
        let roles = [
            role("b", &[("to", "view")], &["get", "list"]),
            role("a", &[("to", "view")], &["list", "watch"]),
            role("c", &[("to", "edit")], &["delete"]),
            aggregated("view", &[], &[("to", "view")]),
            aggregated("none", &[], &[("to", "nowhere")]),
            aggregated("empty", &[], &[]),
        ];
        assert_eq!(verbs(&roles, "view"), "a:list a:watch b:get");
        assert_eq!(verbs(&roles, "none"), "");
        assert_eq!(verbs(&roles, "empty"), "");
    }

    #[test]
    fn selectors_are_tried_in_order_and_roles_by_name() {
        let roles = [
            role("a", &[("to", "edit")], &["delete"]),
            role("b", &[("to", "view")], &["get"]),
            aggregated("edit", &[], &[("to", "view"), ("to", "edit")]),
        ];
        assert_eq!(verbs(&roles, "edit"), "b:get a:delete");
    }

    #[test]
    fn roles_that_aggregate_aggregated_roles_reach_through_them_even_in_a_circle() {
        let roles = [
            role("leaf", &[("to", "view")], &["get"]),
            role("other", &[("to", "edit")], &["delete"]),
            aggregated("view", &[("to", "edit"), ("loop", "1")], &[("to", "view"), ("loop", "1")]),
            aggregated("edit", &[("loop", "1"), ("to", "admin")], &[("to", "edit")]),
            aggregated("admin", &[], &[("to", "admin")]),
        ];
        assert_eq!(verbs(&roles, "view"), "leaf:get other:delete");
        assert_eq!(verbs(&roles, "edit"), "other:delete leaf:get");
        assert_eq!(verbs(&roles, "admin"), "other:delete leaf:get");
    }

    #[test]
    fn every_selector_operator_means_what_kubernetes_means() {
        let labels: BTreeMap<_, _> = [("env".to_owned(), "dev".to_owned())].into();
        let key = |key: &str| key.to_owned();
        let values = |all: &[&str]| all.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let cases = [
            (LabelRequirement::In { key: key("env"), values: values(&["dev", "test"]) }, true),
            (LabelRequirement::In { key: key("env"), values: values(&["prod"]) }, false),
            (LabelRequirement::In { key: key("tier"), values: values(&["dev"]) }, false),
            (LabelRequirement::NotIn { key: key("env"), values: values(&["dev"]) }, false),
            (LabelRequirement::NotIn { key: key("env"), values: values(&["prod"]) }, true),
            (LabelRequirement::NotIn { key: key("tier"), values: values(&["dev"]) }, true),
            (LabelRequirement::Exists { key: key("env") }, true),
            (LabelRequirement::Exists { key: key("tier") }, false),
            (LabelRequirement::DoesNotExist { key: key("env") }, false),
            (LabelRequirement::DoesNotExist { key: key("tier") }, true),
        ];
        for (requirement, expected) in cases {
            assert_eq!(requirement.matches(&labels), expected, "{requirement:?}");
        }
        assert!(LabelSelector::default().matches(&labels), "a selector without requirements selects all");
        assert!(LabelSelector::default().matches(&BTreeMap::new()));
    }

    #[test]
    fn a_role_gathers_no_more_rules_than_the_limit_and_says_so() {
        let many: Vec<String> = (0..=AGGREGATED_RULES_MAX).map(|verb| format!("v{verb}")).collect();
        let verbs: Vec<&str> = many.iter().map(String::as_str).collect();
        let roles = [role("many", &[("to", "all")], &verbs), aggregated("all", &[], &[("to", "all")])];
        let by_name: ClusterRoles<'_> = roles.iter().map(|role| (role.name.as_str(), role)).collect();
        let gathered = gather(&by_name);
        assert!(gathered["all"].cut);
        assert_eq!(gathered["all"].rules.len(), AGGREGATED_RULES_MAX);
    }

    #[test]
    fn all_roles_together_gather_no_more_than_the_limit_and_the_last_say_so() {
        let resources = vec!["pods".to_owned(); 999];
        let rule = |verb: usize| PolicyRule {
            verbs: vec![verb.to_string()],
            resources: resources.clone(),
            ..PolicyRule::default()
        };
        let mut roles =
            vec![ClusterRole { rules: (0..100).map(rule).collect(), ..role("all", &[("to", "all")], &[]) }];
        roles.extend((0..25).map(|number| aggregated(&format!("gather-{number:02}"), &[], &[("to", "all")])));
        let by_name: ClusterRoles<'_> = roles.iter().map(|role| (role.name.as_str(), role)).collect();
        let gathered = gather(&by_name);
        let sizes: Vec<_> = gathered.values().map(|gathered| (gathered.rules.len(), gathered.cut)).collect();
        assert_eq!(sizes[..20], [(100, false); 20]);
        assert_eq!(sizes[20..], [(0, true); 5]);
    }
}
