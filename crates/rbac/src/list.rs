//! The questions that list: what may a user do, who may do this.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::attributes::{Attributes, SYSTEM_MASTERS, User};
use crate::grant::{Grant, SubjectName};
use crate::index::Index;
use crate::matcher::Matcher;
use crate::names::NONE;
use crate::object::PolicyRule;

/// What a user may do in a namespace, as a SelfSubjectRulesReview answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Rules on the resource API.
    pub resource: Vec<ResourceRule>,
    /// Rules on paths outside it.
    pub non_resource: Vec<NonResourceRule>,
    /// Whether something may be missing, because a binding of the user names a role that does not exist.
    pub incomplete: bool,
}

/// Verbs on resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceRule {
    /// Verbs; `*` is any.
    pub verbs: Vec<String>,
    /// API groups; `*` is any.
    pub api_groups: Vec<String>,
    /// Resources; `*` is any.
    pub resources: Vec<String>,
    /// Object names; empty is any.
    pub resource_names: Vec<String>,
}

/// Verbs on paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NonResourceRule {
    /// Verbs; `*` is any.
    pub verbs: Vec<String>,
    /// Paths, exact or with a trailing `*`.
    pub non_resource_urls: Vec<String>,
}

/// Somebody to whom something is allowed, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The user or the group.
    pub subject: SubjectName<'a>,
    /// What allows it: the same grant that the check would name for a user who is, or is in, only this.
    pub via: Grant<'a>,
}

impl Index {
    /// All rules that a user has in a namespace, those of the whole cluster included; each distinct rule once.
    /// Without a namespace (the empty name) only those of the whole cluster.
    ///
    /// A RoleBinding gives nothing outside the resource API, so rules on paths are listed from ClusterRoleBindings
    /// only: the list and the check agree.
    #[must_use]
    pub fn rules_for<G: AsRef<str>>(&self, user: User<'_, G>, namespace: &str) -> Rules {
        let mut rules = Rules::default();
        if user.groups.iter().any(|group| group.as_ref() == SYSTEM_MASTERS) {
            rules.add_everything();
        }
        let namespace = self.namespace_number(namespace);
        let bounds = || self.subjects_of(user).flat_map(|subject| subject.bounds_in(namespace));
        let in_cluster = bounds().filter(|bound| bound.is_in_cluster());
        let in_namespace = bounds().filter(|bound| !bound.is_in_cluster());
        let mut seen = HashSet::<u32, RandomState>::default();
        for bound in in_cluster.chain(in_namespace) {
            rules.incomplete |= bound.matcher == NONE;
            let entries = self.matchers.get(bound.matcher as usize).map_or(&[][..], Matcher::entries);
            let new = entries.iter().filter(|entry| seen.insert(entry.rule));
            new.filter_map(|entry| self.book.text(entry.rule))
                .for_each(|rule| rules.add(rule, bound.is_in_cluster()));
        }
        rules
    }

    /// Everyone to whom this is allowed, groups first, then by name, each once.
    ///
    /// Answered by the same comparison as [`Index::authorize`], so that a user is allowed exactly if they, or one of
    /// their groups, are named here. Takes time in the number of subjects: it is a question for people.
    #[must_use]
    pub fn who_can(&self, attributes: &Attributes<'_>) -> Vec<Holder<'_>> {
        let query = self.book.query(attributes);
        let namespace = self.namespace_asked(attributes);
        let masters = Holder { subject: SubjectName::Group(SYSTEM_MASTERS), via: Grant::SystemMasters };
        let granted = self.subjects().filter_map(|subject| self.grant_of(subject, namespace, &query));
        let granted = granted.map(|grant| Holder { subject: grant.subject(), via: Grant::Rule(grant) });
        let others = granted.filter(|holder| holder.subject != masters.subject);
        let mut holders: Vec<_> = std::iter::once(masters).chain(others).collect();
        holders
            .sort_unstable_by_key(|holder| (matches!(holder.subject, SubjectName::User(_)), holder.subject));
        holders
    }
}

impl Rules {
    fn add(&mut self, rule: &PolicyRule, in_cluster: bool) {
        if !rule.resources.is_empty() {
            self.resource.push(ResourceRule {
                verbs: rule.verbs.clone(),
                api_groups: rule.api_groups.clone(),
                resources: rule.resources.clone(),
                resource_names: rule.resource_names.clone(),
            });
        }
        if in_cluster && !rule.non_resource_urls.is_empty() {
            self.non_resource.push(NonResourceRule {
                verbs: rule.verbs.clone(),
                non_resource_urls: rule.non_resource_urls.clone(),
            });
        }
    }

    fn add_everything(&mut self) {
        let all = || vec!["*".to_owned()];
        self.resource.push(ResourceRule {
            verbs: all(),
            api_groups: all(),
            resources: all(),
            resource_names: Vec::new(),
        });
        self.non_resource.push(NonResourceRule { verbs: all(), non_resource_urls: all() });
    }
}
