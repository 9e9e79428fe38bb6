//! For a refusal: what would have allowed it.

use std::fmt;

use crate::attributes::{Attributes, Target, User};
use crate::grant::{RuleGrant, SubjectName};
use crate::index::{Bound, BoundSubject, Index};
use crate::key::{ObjectKey, ObjectKeyRef};
use crate::matcher::Matcher;
use crate::names::{NONE, number_of};
use crate::rulebook::Query;

/// Near misses of each sort that are told at the most.
pub const NEAR_MISSES_PER_SORT_MAX: usize = 2;

/// Rules looked at for one explanation at the most; some milliseconds of work.
pub const EXPLAINED_RULES_MAX: usize = 100_000;

/// Words of a rule that a message repeats at the most.
const WORDS_SHOWN_MAX: usize = 5;

/// How much broader a word that means all is taken to be than a word that means one.
const ALL_BREADTH: usize = 1_000;

/// What comes nearest to allowing something that is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The nearest sort first, at most [`NEAR_MISSES_PER_SORT_MAX`] of each.
    pub near_misses: Vec<NearMiss<'a>>,
    /// Whether there were more, or not everything was looked at.
    pub truncated: bool,
    /// How many rules were looked at, of so many as might be: for those who share these among several.
    pub rules: usize,
}

/// Something that nearly allows what was asked. The grants in it name rules that do *not* allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearMiss<'a> {
    /// A binding of the user, in a place that would count, names a role that does not exist.
    MissingRole {
        /// Whom it names.
        subject: SubjectName<'a>,
        /// The binding.
        binding: ObjectKeyRef<'a>,
        /// The role that is not there.
        role: &'a ObjectKey,
    },
    /// The user may do it to objects of certain names only.
    OtherName(RuleGrant<'a>),
    /// The user may do other things to it.
    OtherVerb(RuleGrant<'a>),
    /// The user may do it to a resource of that name in another API group.
    OtherApiGroup(RuleGrant<'a>),
    /// The user may do it to the resource and not the subresource, or the reverse.
    OtherSubresource(RuleGrant<'a>),
    /// The user may do it in another namespace.
    OtherNamespace {
        /// What allows it there.
        grant: RuleGrant<'a>,
        /// The namespace.
        namespace: &'a str,
    },
    /// A role allows it and is not bound to the user where it would count. Of several, the narrowest are named.
    UnboundRole {
        /// The role.
        role: &'a ObjectKey,
    },
}

impl Index {
    /// For something that is not allowed: what comes nearest to allowing it. Takes bounded time, but far longer than
    /// the decision: it is for those who are refused, and only for them.
    #[must_use]
    pub fn explain<'a, G: AsRef<str>>(
        &'a self,
        user: User<'a, G>,
        attributes: &Attributes<'_>,
    ) -> Explanation<'a> {
        self.explain_within(user, attributes, EXPLAINED_RULES_MAX)
    }

    /// The same, looking at so many rules at the most: for those who have less time.
    #[must_use]
    pub fn explain_within<'a, G: AsRef<str>>(
        &'a self,
        user: User<'a, G>,
        attributes: &Attributes<'_>,
        rules_max: usize,
    ) -> Explanation<'a> {
        let mut search = Search {
            index: self,
            query: self.book.query(attributes),
            namespace: self.namespace_asked(attributes),
            steps: rules_max,
            explanation: Explanation::default(),
        };
        for subject in self.subjects_of(user) {
            search.look_where_it_counts(subject, attributes);
            search.look_elsewhere(subject);
        }
        search.look_at_roles(attributes);
        let mut explanation = search.explanation;
        explanation.rules = rules_max.saturating_sub(search.steps);
        explanation.near_misses.sort_by_key(NearMiss::sort);
        explanation
    }
}

struct Search<'i, 'q> {
    index: &'i Index,
    query: Query<'q>,
    namespace: Option<u32>,
    steps: usize,
    explanation: Explanation<'i>,
}

impl<'i> Search<'i, '_> {
    /// Whether there is work left to spend on so many rules.
    fn spend(&mut self, rules: usize) -> bool {
        let left = self.steps.checked_sub(rules.max(1));
        self.explanation.truncated |= left.is_none();
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    fn add(&mut self, near_miss: NearMiss<'i>) {
        let near_misses = &mut self.explanation.near_misses;
        if near_misses.contains(&near_miss) {
            return;
        }
        if near_misses.iter().filter(|known| known.sort() == near_miss.sort()).count()
            < NEAR_MISSES_PER_SORT_MAX
        {
            near_misses.push(near_miss);
        } else {
            self.explanation.truncated = true;
        }
    }

    /// Rules that the user has in the right place and that miss by one thing; and roles that are not there.
    fn look_where_it_counts(&mut self, subject: BoundSubject<'i>, attributes: &Attributes<'_>) {
        let index = self.index;
        for bound in subject.bounds_in(self.namespace) {
            let entries = index.matchers.get(bound.matcher as usize).map_or(&[][..], Matcher::entries);
            if !self.spend(entries.len()) {
                return;
            }
            if bound.matcher == NONE {
                self.missing_role(subject.name, bound).into_iter().for_each(|near_miss| self.add(near_miss));
            }
            for entry in entries {
                let Some(rule) = index.book.rule(entry.rule) else { continue };
                let agreement = rule.agreement(&self.query);
                let Some(grant) =
                    index.grant_from(subject.name, bound, entry).filter(|_| agreement.misses() == 1)
                else {
                    continue;
                };
                if !agreement.name {
                    self.add(NearMiss::OtherName(grant));
                } else if !agreement.verb {
                    self.add(NearMiss::OtherVerb(grant));
                } else if !agreement.group {
                    self.add(NearMiss::OtherApiGroup(grant));
                } else if is_of_same_resource(&grant, attributes) {
                    self.add(NearMiss::OtherSubresource(grant));
                }
            }
        }
    }

    fn missing_role(&self, subject: SubjectName<'i>, bound: &Bound) -> Option<NearMiss<'i>> {
        let bindings = &self.index.bindings;
        let role = bindings.missing_role(bound.binding)?;
        let binding = self.index.binding_key(bindings.get(bound.binding)?);
        Some(NearMiss::MissingRole { subject, binding, role })
    }

    /// Namespaces in which the user may do it.
    fn look_elsewhere(&mut self, subject: BoundSubject<'i>) {
        let index = self.index;
        if !self.query.is_for_resource() {
            return;
        }
        for bound in subject.bounds_elsewhere(self.namespace) {
            let rules =
                index.matchers.get(bound.matcher as usize).map_or(0, |matcher| matcher.entries().len());
            if !self.spend(rules) {
                return;
            }
            let entry = index.entry_of(bound, &self.query);
            let grant = entry.and_then(|entry| index.grant_from(subject.name, bound, entry));
            if let Some((grant, namespace)) = grant.zip(index.namespace_name(bound.namespace)) {
                self.add(NearMiss::OtherNamespace { grant, namespace });
            }
        }
    }

    /// Roles that allow it, the narrowest first.
    fn look_at_roles(&mut self, attributes: &Attributes<'_>) {
        let index = self.index;
        let mut found = Vec::new();
        for (number, role) in index.roles_for(attributes.namespace()) {
            let Some(matcher) = index.matchers.get(number) else { continue };
            if !self.spend(matcher.entries().len()) {
                break;
            }
            if matcher.find(&index.book, &self.query).is_some() {
                found.push((index.breadth(matcher), number_of(number), &role.key));
            }
        }
        found.sort_unstable();
        found.into_iter().for_each(|(_, _, role)| self.add(NearMiss::UnboundRole { role }));
    }
}

impl Index {
    /// How much the rules of a role allow, roughly.
    fn breadth(&self, matcher: &Matcher) -> usize {
        let words = |words: &[String]| {
            words.iter().map(|word| if word == "*" { ALL_BREADTH } else { 1 }).sum::<usize>()
        };
        let rules = matcher.entries().iter().filter_map(|entry| self.book.text(entry.rule));
        rules.map(|rule| words(&rule.verbs) * (words(&rule.resources) + words(&rule.non_resource_urls))).sum()
    }
}

/// Whether a rule names the resource asked about with another subresource, or with none.
fn is_of_same_resource(grant: &RuleGrant<'_>, attributes: &Attributes<'_>) -> bool {
    match attributes.target {
        Target::Resource(asked) => {
            grant.rule().resources.iter().any(|word| word.split('/').next() == Some(asked.resource))
        }
        Target::NonResource(_) => false,
    }
}

impl NearMiss<'_> {
    /// The nearest first: what is plainly a mistake, then what differs least.
    const fn sort(&self) -> u8 {
        match self {
            Self::MissingRole { .. } => 0,
            Self::OtherName(_) => 1,
            Self::OtherVerb(_) => 2,
            Self::OtherApiGroup(_) => 3,
            Self::OtherSubresource(_) => 4,
            Self::OtherNamespace { .. } => 5,
            Self::UnboundRole { .. } => 6,
        }
    }
}

impl fmt::Display for NearMiss<'_> {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingRole { subject, binding, role } => {
                write!(f, "`{binding}` gives {subject} the role `{role}`, which does not exist")
            }
            Self::OtherName(grant) => {
                write!(f, "{grant}, allows it for objects named {} only", Words(&grant.rule().resource_names))
            }
            Self::OtherVerb(grant) => write!(f, "{grant}, allows {} only", Words(&grant.rule().verbs)),
            Self::OtherApiGroup(grant) => {
                write!(f, "{grant}, allows it in API group {} only", Words(&grant.rule().api_groups))
            }
            Self::OtherSubresource(grant) => {
                write!(f, "{grant}, allows it for {} only", Words(&grant.rule().resources))
            }
            Self::OtherNamespace { grant, namespace } => {
                write!(f, "{grant}, allows it in namespace `{namespace}` only")
            }
            Self::UnboundRole { role } => {
                write!(f, "`{role}` would allow it and is not bound to the user here")
            }
        }
    }
}

/// A list of words for a message.
struct Words<'a>(&'a [String]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().take(WORDS_SHOWN_MAX).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{word}`")?;
        }
        match self.0.len().checked_sub(WORDS_SHOWN_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests;
