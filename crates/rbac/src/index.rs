//! All RBAC of a cluster, compiled, and the decision.

use crate::attributes::{Attributes, SYSTEM_MASTERS, Target, User};
use crate::grant::{Grant, RuleGrant, SubjectName};
use crate::key::ObjectKey;
use crate::matcher::{Entry, Matcher};
use crate::names::{NONE, Names};
use crate::problem::Problem;
use crate::rulebook::{Query, Rulebook};
use crate::subjects::Subjects;

/// Stands for the whole cluster where a namespace's number is expected; namespaces are counted from 1.
pub(crate) const CLUSTER: u32 = 0;

/// All RBAC of one cluster, compiled: immutable, shared, and asked without allocation.
///
/// A subject leads to what is bound to it, ordered by namespace; so a decision costs a few look-ups for the user
/// and for each of their groups, and nothing for the bindings of others.
#[derive(Debug, Default)]
pub struct Index {
    pub(crate) book: Rulebook,
    pub(crate) namespaces: Names,
    pub(crate) users: Subjects,
    pub(crate) groups: Subjects,
    /// The bindings of those bounds that are of several roles at once.
    pub(crate) merged_bindings: Vec<u32>,
    /// Those of the single roles first, under the role's number, then those of several roles at once.
    pub(crate) matchers: Vec<Matcher>,
    /// In the order of their keys.
    pub(crate) roles: Vec<CompiledRole>,
    /// In the order of their keys.
    pub(crate) bindings: Vec<Binding>,
    pub(crate) problems: Vec<Problem>,
}

/// A subject of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectId {
    User(u32),
    Group(u32),
}

/// One or several roles that a subject has in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Its number, or [`CLUSTER`].
    pub(crate) namespace: u32,
    /// The rules: for one role its number, beyond those of roles for several at once, [`NONE`] for a missing role.
    pub(crate) matcher: u32,
    /// For one role the binding; for several where their bindings begin.
    pub(crate) binding: u32,
}

/// A role, bound or not.
#[derive(Debug)]
pub(crate) struct CompiledRole {
    pub(crate) key: ObjectKey,
    /// For an aggregated role, the role that each of its rules is written in.
    pub(crate) origins: Box<[u32]>,
}

/// A binding.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) key: ObjectKey,
    /// The role that it names, if there is none of that key.
    pub(crate) missing: Option<Box<ObjectKey>>,
}

impl Index {
    /// Whether this is allowed, and by what. `None` is no opinion: nothing here allows it, and RBAC denies nothing.
    ///
    /// Bindings of the user are asked before those of their groups, and those of the cluster before those of the
    /// namespace; so of several grants always the same one is named.
    #[must_use]
    pub fn authorize<G: AsRef<str>>(
        &self,
        user: User<'_, G>,
        attributes: &Attributes<'_>,
    ) -> Option<Grant<'_>> {
        if user.groups.iter().any(|group| group.as_ref() == SYSTEM_MASTERS) {
            return Some(Grant::SystemMasters);
        }
        let query = self.book.query(attributes);
        let namespace = self.namespace_asked(attributes);
        let grant = self.subjects_of(user).find_map(|subject| self.grant_of(subject, namespace, &query));
        grant.map(Grant::Rule)
    }

    /// What grants nothing, though somebody may expect it to: roles, then bindings, in the order of their keys.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many RoleBindings and ClusterRoleBindings are compiled in.
    #[must_use]
    pub fn bindings(&self) -> usize {
        self.bindings.len()
    }

    /// How many Roles and ClusterRoles are compiled in.
    #[must_use]
    pub fn roles(&self) -> usize {
        self.roles.len()
    }

    /// The bytes it holds, reckoned from what it keeps and without what the allocator adds.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let key = |key: &ObjectKey| key.name().len() + key.namespace().map_or(0, str::len);
        let roles = self.roles.iter().map(|role| key(&role.key) + size_of_val(&*role.origins));
        let bindings = self.bindings.iter().map(|binding| key(&binding.key));
        size_of::<Self>()
            + self.book.memory_bytes()
            + self.namespaces.memory_bytes()
            + self.users.memory_bytes()
            + self.groups.memory_bytes()
            + self.merged_bindings.capacity() * size_of::<u32>()
            + self.matchers.iter().map(Matcher::memory_bytes).sum::<usize>()
            + self.roles.capacity() * size_of::<CompiledRole>()
            + self.bindings.capacity() * size_of::<Binding>()
            + self.problems.capacity() * size_of::<Problem>()
            + roles.sum::<usize>()
            + bindings.sum::<usize>()
    }

    /// The subjects that a user is: itself, then its groups in their order, those to which nothing is bound left out.
    pub(crate) fn subjects_of<'s, G: AsRef<str>>(
        &'s self,
        user: User<'s, G>,
    ) -> impl Iterator<Item = SubjectId> + 's {
        let itself = self.users.find(user.name).map(SubjectId::User);
        let groups = user.groups.iter().filter_map(|group| self.groups.find(group.as_ref()));
        itself.into_iter().chain(groups.map(SubjectId::Group))
    }

    /// The number of the namespace that bindings have to be in to count, besides those of the cluster; none where
    /// only those of the cluster count.
    pub(crate) fn namespace_asked(&self, attributes: &Attributes<'_>) -> Option<u32> {
        match attributes.target {
            Target::Resource(asked) => self.namespace_number(asked.namespace),
            Target::NonResource(_) => None,
        }
    }

    /// The number of a namespace in which anything is bound. The empty name is no namespace.
    pub(crate) fn namespace_number(&self, namespace: &str) -> Option<u32> {
        if namespace.is_empty() {
            return None;
        }
        self.namespaces.find(namespace.as_bytes()).map(|number| number.saturating_add(1))
    }

    /// The name of a namespace's number; none for the cluster.
    pub(crate) fn namespace_name(&self, number: u32) -> Option<&str> {
        self.namespaces.get(number.checked_sub(1)?)
    }

    /// The first rule that a subject has for this.
    pub(crate) fn grant_of(
        &self,
        subject: SubjectId,
        namespace: Option<u32>,
        query: &Query<'_>,
    ) -> Option<RuleGrant<'_>> {
        self.bounds_in(subject, namespace).find_map(|bound| self.grant_by(subject, bound, query))
    }

    /// The first rule that a subject has for this by one of its bounds.
    pub(crate) fn grant_by(
        &self,
        subject: SubjectId,
        bound: &Bound,
        query: &Query<'_>,
    ) -> Option<RuleGrant<'_>> {
        let entry = self.matchers.get(bound.matcher as usize)?.find(&self.book, query)?;
        self.grant_from(subject, bound, entry)
    }

    /// Names what an entry of a bound's matcher is. Everything it names is there, or the index would not hold it.
    pub(crate) fn grant_from<'a>(
        &'a self,
        subject: SubjectId,
        bound: &Bound,
        entry: &'a Entry,
    ) -> Option<RuleGrant<'a>> {
        Some(RuleGrant {
            subject: self.subject_name(subject)?,
            binding: &self.binding(bound, entry.nth)?.key,
            role: self.role(entry.role)?,
            rule: self.book.text(entry.rule)?,
            place: entry.place,
            index: self,
        })
    }

    /// What is bound to a subject in the cluster, then what in the namespace.
    pub(crate) fn bounds_in(
        &self,
        subject: SubjectId,
        namespace: Option<u32>,
    ) -> impl Iterator<Item = &Bound> {
        let all = self.bounds_of(subject);
        let in_cluster = all.iter().take_while(|bound| bound.namespace == CLUSTER);
        let in_namespace = namespace.map(|namespace| {
            let start = all.partition_point(|bound| bound.namespace < namespace);
            all.iter().skip(start).take_while(move |bound| bound.namespace == namespace)
        });
        in_cluster.chain(in_namespace.into_iter().flatten())
    }

    /// All that is bound to a subject, the cluster first, then by namespace.
    pub(crate) fn bounds_of(&self, subject: SubjectId) -> &[Bound] {
        match subject {
            SubjectId::User(number) => self.users.bounds(number),
            SubjectId::Group(number) => self.groups.bounds(number),
        }
    }

    pub(crate) fn subject_name(&self, subject: SubjectId) -> Option<SubjectName<'_>> {
        match subject {
            SubjectId::User(number) => self.users.name(number).map(SubjectName::User),
            SubjectId::Group(number) => self.groups.name(number).map(SubjectName::Group),
        }
    }

    pub(crate) fn role(&self, number: u32) -> Option<&CompiledRole> {
        self.roles.get(number as usize)
    }

    /// The binding through which a bound has the nth role of its matcher.
    pub(crate) fn binding(&self, bound: &Bound, nth: u32) -> Option<&Binding> {
        let is_merged = bound.matcher != NONE && bound.matcher as usize >= self.roles.len();
        let number = if is_merged {
            *self.merged_bindings.get((bound.binding as usize).checked_add(nth as usize)?)?
        } else {
            bound.binding
        };
        self.bindings.get(number as usize)
    }
}

impl Bound {
    pub(crate) const fn is_in_cluster(&self) -> bool {
        self.namespace == CLUSTER
    }
}

#[cfg(test)]
mod tests;
