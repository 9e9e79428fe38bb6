//! A list of rules without bindings, as an access policy is one.

use crate::attributes::{Attributes, Target};
use crate::matcher::{Matcher, Source};
use crate::object::PolicyRule;
use crate::rulebook::Rulebook;

/// A compiled list of rules, matched exactly as a role's rules are, and asked without allocation.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<PolicyRule>,
    book: Rulebook,
    matcher: Matcher,
}

impl RuleSet {
    /// Compiles rules; their order is kept.
    #[must_use]
    pub fn compile(rules: impl IntoIterator<Item = PolicyRule>) -> Self {
        let rules: Vec<PolicyRule> = rules.into_iter().collect();
        let (book, numbers) = Rulebook::compile(&rules);
        let sources =
            numbers.into_iter().zip(0..).map(|(rule, place)| Source { rule, role: 0, nth: 0, place });
        let matcher = Matcher::compile(&book, sources);
        Self { rules, book, matcher }
    }

    /// The place of the first rule that allows this, as if the set were bound for the whole cluster.
    #[must_use]
    pub fn first_match(&self, attributes: &Attributes<'_>) -> Option<usize> {
        self.matcher.find(&self.book, &self.book.query(attributes)).map(|entry| entry.place as usize)
    }

    /// The place of the first rule that allows this, as if the set were bound by a RoleBinding in the namespace asked
    /// about: nothing cluster-scoped, across all namespaces, or outside the resource API. Whether that namespace is
    /// one of those in question is for the caller to say.
    #[must_use]
    pub fn first_match_in_namespace(&self, attributes: &Attributes<'_>) -> Option<usize> {
        match attributes.target {
            Target::Resource(asked) if !asked.namespace.is_empty() => self.first_match(attributes),
            Target::Resource(_) | Target::NonResource(_) => None,
        }
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::ResourceAttributes;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn rule(verbs: &str, groups: &[&str], resources: &str, names: &str) -> PolicyRule {
        PolicyRule {
            verbs: words(verbs),
            api_groups: groups.iter().map(|&group| group.to_owned()).collect(),
            resources: words(resources),
            resource_names: words(names),
            non_resource_urls: vec![],
        }
    }

    fn urls(verbs: &str, urls: &str) -> PolicyRule {
        PolicyRule { verbs: words(verbs), non_resource_urls: words(urls), ..PolicyRule::default() }
    }

    fn ask<'a>(
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> Attributes<'a> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = ResourceAttributes {
            api_group: group,
            resource,
            subresource,
            namespace,
            name,
            ..Default::default()
        };
        Attributes::resource(verb, attributes)
    }

    #[test]
    fn a_rule_allows_what_each_of_its_lists_names() {
        let pods = || rule("get list", &[""], "pods pods/log", "");
        let cases = [
            (pods(), ask("get", "", "pods", "a", ""), true),
            (pods(), ask("get", "", "pods/log", "a", "web"), true),
            (pods(), ask("list", "", "pods", "", ""), true),
            (pods(), ask("watch", "", "pods", "a", ""), false),
            (pods(), ask("GET", "", "pods", "a", ""), false),
            (pods(), ask("*", "", "pods", "a", ""), false),
            (pods(), ask("", "", "pods", "a", ""), false),
            (pods(), ask("get", "apps", "pods", "a", ""), false),
            (pods(), ask("get", "", "pods/exec", "a", ""), false),
            (pods(), ask("get", "", "pod", "a", ""), false),
            (rule("*", &["apps"], "deployments", ""), ask("anything", "apps", "deployments", "a", ""), true),
            (
                rule("get", &["*"], "deployments", ""),
                ask("get", "never.heard.of", "deployments", "a", ""),
                true,
            ),
            (rule("get", &["apps"], "*", ""), ask("get", "apps", "daemonsets/status", "a", ""), true),
            (rule("get", &["apps"], "*", ""), ask("get", "", "daemonsets", "a", ""), false),
            (rule("get", &["*"], "*/scale", ""), ask("get", "apps", "deployments/scale", "a", ""), true),
            (rule("get", &["*"], "*/scale", ""), ask("get", "apps", "deployments", "a", ""), false),
            (rule("get", &["*"], "*/scale", ""), ask("get", "apps", "deployments/status", "a", ""), false),
            (
                rule("get", &["*"], "deployments/*", ""),
                ask("get", "apps", "deployments/scale", "a", ""),
                false,
            ),
            (rule("get", &["*"], "*/*", ""), ask("get", "apps", "deployments/scale", "a", ""), false),
            (rule("get", &[""], "pods", "web db"), ask("get", "", "pods", "a", "db"), true),
            (rule("get", &[""], "pods", "web db"), ask("get", "", "pods", "a", "d"), false),
            (rule("get", &[""], "pods", "web*"), ask("get", "", "pods", "a", "web1"), false),
            (rule("list watch create", &[""], "pods", "web"), ask("list", "", "pods", "a", ""), false),
            (rule("list watch create", &[""], "pods", "web"), ask("create", "", "pods", "a", ""), false),
            (rule("", &["*"], "*", ""), ask("get", "", "pods", "a", ""), false),
            (rule("*", &[], "*", ""), ask("get", "", "pods", "a", ""), false),
            (rule("*", &["*"], "", ""), ask("get", "", "pods", "a", ""), false),
            (rule("*", &["*"], "*", ""), Attributes::non_resource("get", "/healthz"), false),
            (urls("get", "/healthz /api/*"), Attributes::non_resource("get", "/healthz"), true),
            (urls("get", "/healthz /api/*"), Attributes::non_resource("get", "/healthz/"), false),
            (urls("get", "/healthz /api/*"), Attributes::non_resource("get", "/api/v1/x"), true),
            (urls("get", "/healthz /api/*"), Attributes::non_resource("get", "/api"), false),
            (urls("get", "/healthz /api/*"), Attributes::non_resource("post", "/api/"), false),
            (urls("get", "/he*z"), Attributes::non_resource("get", "/healthz"), false),
            (urls("get", "/he*z"), Attributes::non_resource("get", "/he*z"), true),
            (urls("get", "/a**"), Attributes::non_resource("get", "/ab"), true),
            (urls("*", "*"), Attributes::non_resource("get", "/../x"), true),
            (urls("*", "*"), ask("get", "", "pods", "a", ""), false),
        ];
        for (rule, asked, expected) in cases {
            let set = RuleSet::compile([rule.clone()]);
            assert_eq!(set.first_match(&asked).is_some(), expected, "{rule:?} {asked:?}");
        }
    }

    #[test]
    fn a_namespaced_set_gives_nothing_cluster_scoped_and_no_path() {
        let set = RuleSet::compile([rule("*", &["*"], "*", ""), urls("*", "*")]);
        let cases = [
            (ask("get", "", "pods", "a", ""), Some(0), Some(0)),
            (ask("get", "", "nodes", "", "n1"), Some(0), None),
            (ask("list", "", "pods", "", ""), Some(0), None),
            (Attributes::non_resource("get", "/healthz"), Some(1), None),
        ];
        for (asked, cluster, namespaced) in cases {
            assert_eq!(set.first_match(&asked), cluster, "{asked:?}");
            assert_eq!(set.first_match_in_namespace(&asked), namespaced, "{asked:?}");
        }
    }

    #[test]
    fn the_first_of_several_rules_is_named_however_long_the_list() {
        // Long enough to be searched by resource, with rules of all three ways to name one.
        let mut rules: Vec<PolicyRule> = (0..40).map(|n| rule("get", &[""], &format!("r{n}"), "")).collect();
        rules.push(rule("get", &[""], "*/log", ""));
        rules.push(rule("get list", &[""], "*", "db"));
        rules.push(rule("get", &[""], "r7/log r7", ""));
        rules.push(rule("get", &[""], "r7", ""));
        let set = RuleSet::compile(rules);
        let cases = [
            (ask("get", "", "r7", "a", ""), Some(7)),
            (ask("get", "", "r7", "a", "db"), Some(7)),
            (ask("get", "", "r39", "", ""), Some(39)),
            (ask("get", "", "r7/log", "a", ""), Some(40)),
            (ask("get", "", "r40/log", "a", ""), Some(40)),
            (ask("get", "", "r40", "a", "db"), Some(41)),
            (ask("list", "", "r7", "a", "db"), Some(41)),
            (ask("get", "", "r40", "a", ""), None),
            (ask("get", "apps", "r7", "a", ""), None),
        ];
        for (asked, expected) in cases {
            assert_eq!(set.first_match(&asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn verbs_beyond_those_with_a_bit_are_told_apart_too() {
        let rules = (0..200).map(|n| rule(&format!("verb{n} also{n}"), &["*"], "things", ""));
        let set = RuleSet::compile(rules);
        for n in 0..200 {
            let (verb, also) = (format!("verb{n}"), format!("also{n}"));
            assert_eq!(set.first_match(&ask(&verb, "", "things", "a", "")), Some(n), "{verb}");
            assert_eq!(set.first_match(&ask(&also, "", "things", "a", "")), Some(n), "{also}");
        }
        assert_eq!(set.first_match(&ask("verb200", "", "things", "a", "")), None);
    }
}
