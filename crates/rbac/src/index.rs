//! All RBAC of a cluster, compiled, and the decision.

use crate::attributes::{Attributes, SYSTEM_MASTERS, Target, User};
use crate::bindings::{Binding, Bindings};
use crate::grant::{Grant, RuleGrant, SubjectName};
use crate::key::{ObjectKey, ObjectKeyRef, ObjectKind};
use crate::matcher::{Entry, Matcher};
use crate::names::{NONE, Names};
use crate::problem::Problem;
use crate::rulebook::{Query, Rulebook};
use crate::subjects::Subjects;

/// Stands for the whole cluster where a namespace's number is expected; namespaces are counted from 1.
pub(crate) const CLUSTER: u32 = 0;

/// So many groups of a user are looked up before anything is weighed; few users have more.
const AHEAD: usize = 8;

/// All RBAC of one cluster, compiled: immutable, shared, and asked without allocation.
///
/// A subject leads to what is bound to it, ordered by namespace; so a decision costs one look-up for the user and for each
/// of their groups, and nothing for the bindings of others. Rules, roles and the words of both are the same few for
/// everybody and stay in the processor's caches; what is each subject's own lies in one line of memory.
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
    pub(crate) bindings: Bindings,
    pub(crate) problems: Vec<Problem>,
}

/// A subject, and all that is bound to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundSubject<'a> {
    pub(crate) name: SubjectName<'a>,
    /// The cluster first, then by namespace.
    pub(crate) bounds: &'a [Bound],
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

impl Index {
    /// Whether this is allowed, and by what. `None` is no opinion: nothing here allows it, and RBAC denies nothing.
    ///
    /// Bindings of the user are asked before those of their groups, and those of the cluster before those of the
    /// namespace; so of several grants always the same one is named.
    #[must_use]
    pub fn authorize<'a, G: AsRef<str>>(
        &'a self,
        user: User<'a, G>,
        attributes: &Attributes<'_>,
    ) -> Option<Grant<'a>> {
        if user.groups.iter().any(|group| group.as_ref() == SYSTEM_MASTERS) {
            return Some(Grant::SystemMasters);
        }
        // The order is for speed: what is bound to the user and the groups is on its way from memory, all of it at once,
        // while the question is put into numbers.
        let (first_groups, other_groups) = user.groups.split_at(user.groups.len().min(AHEAD));
        let of_user = self.users.find(user.name);
        let mut of_groups = [None; AHEAD];
        for (bounds, group) in of_groups.iter_mut().zip(first_groups) {
            *bounds = self.groups.find(group.as_ref());
        }
        let query = self.book.query(attributes);
        let namespace = self.namespace_asked(attributes);
        let weigh = |name, bounds: Option<&'a [Bound]>| {
            let subject = BoundSubject { name, bounds: bounds? };
            self.match_of(subject, namespace, &query).map(|found| (name, found))
        };
        let weigh_group = |group: &'a G, bounds| weigh(SubjectName::Group(group.as_ref()), bounds);
        let (subject, (bound, entry)) = weigh(SubjectName::User(user.name), of_user)
            .or_else(|| {
                first_groups.iter().zip(of_groups).find_map(|(group, bounds)| weigh_group(group, bounds))
            })
            .or_else(|| {
                other_groups.iter().find_map(|group| weigh_group(group, self.groups.find(group.as_ref())))
            })?;
        self.grant_from(subject, bound, entry).map(Grant::Rule)
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
        size_of::<Self>()
            + self.book.memory_bytes()
            + self.namespaces.memory_bytes()
            + self.users.memory_bytes()
            + self.groups.memory_bytes()
            + self.merged_bindings.capacity() * size_of::<u32>()
            + self.matchers.iter().map(Matcher::memory_bytes).sum::<usize>()
            + self.roles.capacity() * size_of::<CompiledRole>()
            + self.bindings.memory_bytes()
            + self.problems.capacity() * size_of::<Problem>()
            + roles.sum::<usize>()
    }

    /// The subjects that a user is: itself, then its groups in their order, those to which nothing is bound left out.
    pub(crate) fn subjects_of<'a, G: AsRef<str>>(
        &'a self,
        user: User<'a, G>,
    ) -> impl Iterator<Item = BoundSubject<'a>> {
        let found = |name, bounds: Option<&'a [Bound]>| Some(BoundSubject { name, bounds: bounds? });
        let itself = found(SubjectName::User(user.name), self.users.find(user.name));
        let groups = user.groups.iter().map(AsRef::as_ref);
        let groups = groups.filter_map(move |name| found(SubjectName::Group(name), self.groups.find(name)));
        itself.into_iter().chain(groups)
    }

    /// Every subject to which anything is bound, in no order.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = BoundSubject<'_>> {
        let groups = self.groups.iter().map(|(name, bounds)| (SubjectName::Group(name), bounds));
        let users = self.users.iter().map(|(name, bounds)| (SubjectName::User(name), bounds));
        groups.chain(users).map(|(name, bounds)| BoundSubject { name, bounds })
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
    pub(crate) fn grant_of<'a>(
        &'a self,
        subject: BoundSubject<'a>,
        namespace: Option<u32>,
        query: &Query<'_>,
    ) -> Option<RuleGrant<'a>> {
        let (bound, entry) = self.match_of(subject, namespace, query)?;
        self.grant_from(subject.name, bound, entry)
    }

    /// The same as the bound and the entry of its matcher: little enough to be passed on in registers.
    fn match_of<'a>(
        &'a self,
        subject: BoundSubject<'a>,
        namespace: Option<u32>,
        query: &Query<'_>,
    ) -> Option<(&'a Bound, &'a Entry)> {
        subject.bounds_in(namespace).find_map(|bound| Some((bound, self.entry_of(bound, query)?)))
    }

    /// The first rule for this of a bound's matcher.
    pub(crate) fn entry_of(&self, bound: &Bound, query: &Query<'_>) -> Option<&Entry> {
        self.matchers.get(bound.matcher as usize)?.find(&self.book, query)
    }

    /// Names what an entry of a bound's matcher is. Everything it names is there, or the index would not hold it.
    pub(crate) fn grant_from<'a>(
        &'a self,
        subject: SubjectName<'a>,
        bound: &Bound,
        entry: &'a Entry,
    ) -> Option<RuleGrant<'a>> {
        Some(RuleGrant {
            subject,
            binding: self.bindings.get(self.binding_number(bound, entry.nth)?)?,
            role: self.role(entry.role)?,
            rule: self.book.text(entry.rule)?,
            place: entry.place,
            index: self,
        })
    }

    pub(crate) fn role(&self, number: u32) -> Option<&CompiledRole> {
        self.roles.get(number as usize)
    }

    /// The key of a binding.
    pub(crate) fn binding_key(&self, binding: &Binding) -> ObjectKeyRef<'_> {
        let name = self.bindings.name(binding);
        match self.namespace_name(binding.namespace) {
            Some(namespace) => ObjectKeyRef::role_binding(namespace, name),
            None => ObjectKeyRef::cluster_role_binding(name),
        }
    }

    /// The number of the binding through which a bound has the nth role of its matcher.
    fn binding_number(&self, bound: &Bound, nth: u32) -> Option<u32> {
        let is_merged = bound.matcher != NONE && bound.matcher as usize >= self.roles.len();
        if !is_merged {
            return Some(bound.binding);
        }
        self.merged_bindings.get((bound.binding as usize).checked_add(nth as usize)?).copied()
    }
}

impl<'a> BoundSubject<'a> {
    /// What is bound in the cluster, then what in the namespace.
    pub(crate) fn bounds_in(self, namespace: Option<u32>) -> impl Iterator<Item = &'a Bound> {
        let in_cluster = self.bounds.iter().take_while(|bound| bound.is_in_cluster());
        let in_namespace = namespace.map(|namespace| {
            let start = self.bounds.partition_point(|bound| bound.namespace < namespace);
            self.bounds.iter().skip(start).take_while(move |bound| bound.namespace == namespace)
        });
        in_cluster.chain(in_namespace.into_iter().flatten())
    }

    /// What it has in all other namespaces. Neither the cluster's nor those of this one are walked over, which may be many.
    pub(crate) fn bounds_elsewhere(self, namespace: Option<u32>) -> impl Iterator<Item = &'a Bound> {
        let (_, in_namespaces) = self.bounds.split_at(self.bounds.partition_point(Bound::is_in_cluster));
        let before =
            namespace.map_or(0, |asked| in_namespaces.partition_point(|bound| bound.namespace < asked));
        let (before, rest) = in_namespaces.split_at(before);
        let own = namespace.map_or(0, |asked| rest.partition_point(|bound| bound.namespace == asked));
        before.iter().chain(rest.iter().skip(own))
    }
}

impl Index {
    /// The roles that a binding can give somebody in a namespace, with their numbers: those of the cluster, and the namespace's own.
    /// Those of other namespaces are not walked over, which may be many.
    pub(crate) fn roles_for(&self, namespace: &str) -> impl Iterator<Item = (usize, &CompiledRole)> {
        let asked = (ObjectKind::Role, namespace);
        let place =
            |role: &CompiledRole| (role.key.kind(), role.key.namespace().unwrap_or_default()).cmp(&asked);
        let of_cluster = self.roles.partition_point(|role| role.key.kind() < ObjectKind::Role);
        let own = self.roles.partition_point(|role| place(role).is_lt());
        let after = self.roles.partition_point(|role| place(role).is_le());
        let numbered = self.roles.iter().enumerate();
        numbered.clone().take(of_cluster).chain(numbered.take(after).skip(own))
    }
}

impl Bound {
    pub(crate) const fn is_in_cluster(&self) -> bool {
        self.namespace == CLUSTER
    }
}

#[cfg(test)]
mod tests;
