//! Objects → index.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;

use crate::aggregation::{self, ClusterRoles};
use crate::index::{Bound, CLUSTER, CompiledRole, Index};
use crate::key::ObjectKeyRef;
use crate::matcher::{Matcher, Source};
use crate::names::{NONE, Names, number_of};
use crate::object::{Object, PolicyRule, SERVICE_ACCOUNT_PREFIX, Subject};
use crate::problem::Problem;
use crate::rulebook::Rulebook;
use crate::subjects::Subjects;
use crate::wire::is_namespace;

/// Up to so many roles of a subject in one place are asked one after the other; beyond, they are put together.
const SINGLE_ROLES_MAX: usize = 4;

/// What roles that are put together may weigh in all, in rules and resource words (some 20 bytes each). Real
/// clusters use a thousandth; past it, further ones are asked one after the other.
const MERGED_WEIGHT_MAX: usize = 2_000_000;

impl Index {
    /// Compiles all RBAC objects of a cluster, in any order. Of two objects with the same key the later counts.
    #[must_use]
    pub fn compile<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let objects: Objects<'a> = objects.into_iter().map(|object| (object.key_ref(), object)).collect();
        let mut compiler = Compiler::default();
        let role_numbers = compiler.compile_roles(&objects);
        for (&key, object) in &objects {
            compiler.add_binding(key, object, &role_numbers);
        }
        compiler.finish()
    }
}

/// All objects of a cluster, by key.
type Objects<'a> = BTreeMap<ObjectKeyRef<'a>, &'a Object>;

/// The numbers of all roles.
type RoleNumbers<'a> = HashMap<ObjectKeyRef<'a>, u32, RandomState>;

#[derive(Default)]
struct Compiler {
    index: Index,
    users: Links,
    groups: Links,
}

/// All links to subjects of one kind.
#[derive(Default)]
struct Links {
    names: Names,
    links: Vec<Link>,
}

/// That a subject has a role in a place by a binding; in the order in which an index keeps them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    subject: u32,
    namespace: u32,
    /// [`NONE`] where it is missing, so that such links come last.
    role: u32,
    binding: u32,
}

/// A role whose rules are known, each with the role it is written in where that is another one.
struct ResolvedRole<'a> {
    rules: Vec<&'a PolicyRule>,
    origins: Vec<ObjectKeyRef<'a>>,
}

impl Compiler {
    fn compile_roles<'a>(&mut self, objects: &Objects<'a>) -> RoleNumbers<'a> {
        let roles = self.resolve(objects);
        let numbers: RoleNumbers<'a> = roles.iter().map(|&(key, _)| key).zip(0..).collect();
        let (book, rules) = Rulebook::compile(roles.iter().flat_map(|(_, role)| role.rules.iter().copied()));
        let mut rules = rules.into_iter();
        for ((key, resolved), role) in roles.into_iter().zip(0..) {
            let entries = rules.by_ref().take(resolved.rules.len()).zip(0..);
            let sources = entries.map(|(rule, place)| Source { rule, role, nth: 0, place });
            self.index.matchers.push(Matcher::compile(&book, sources));
            let origins = resolved.origins.iter().map(|origin| numbers.get(origin).copied().unwrap_or(NONE));
            self.index.roles.push(CompiledRole { key: key.to_key(), origins: origins.collect() });
        }
        self.index.book = book;
        numbers
    }

    /// The roles in the order of their keys.
    fn resolve<'a>(&mut self, objects: &Objects<'a>) -> Vec<(ObjectKeyRef<'a>, ResolvedRole<'a>)> {
        let cluster_roles: ClusterRoles<'a> = objects
            .values()
            .filter_map(|object| match *object {
                Object::ClusterRole(role) => Some((role.name.as_str(), role)),
                _ => None,
            })
            .collect();
        let mut gathered = aggregation::gather(&cluster_roles);
        let mut roles = Vec::new();
        for (&key, object) in objects {
            let resolved = match *object {
                Object::Role(role) => ResolvedRole::written(&role.rules),
                Object::ClusterRole(role) => match gathered.remove(role.name.as_str()) {
                    None => ResolvedRole::written(&role.rules),
                    Some(gathered) => {
                        if gathered.cut {
                            let problem =
                                Problem::TooManyRules { role: key.to_key(), gathered: gathered.rules.len() };
                            self.index.problems.push(problem);
                        }
                        ResolvedRole {
                            origins: gathered
                                .rules
                                .iter()
                                .map(|&(name, _)| ObjectKeyRef::cluster_role(name))
                                .collect(),
                            rules: gathered.rules.into_iter().map(|(_, rule)| rule).collect(),
                        }
                    }
                },
                Object::RoleBinding(_) | Object::ClusterRoleBinding(_) => continue,
            };
            roles.push((key, resolved));
        }
        roles
    }

    fn add_binding<'a>(&mut self, key: ObjectKeyRef<'a>, object: &'a Object, roles: &RoleNumbers<'a>) {
        let (namespace, subjects, role) = match object {
            Object::RoleBinding(binding) => {
                (binding.namespace.as_str(), &binding.subjects, binding.role.key_ref(&binding.namespace))
            }
            Object::ClusterRoleBinding(binding) => {
                ("", &binding.subjects, ObjectKeyRef::cluster_role(&binding.cluster_role))
            }
            Object::Role(_) | Object::ClusterRole(_) => return,
        };
        let place = match object {
            Object::RoleBinding(_) => self.index.namespaces.intern(namespace).saturating_add(1),
            _ => CLUSTER,
        };
        let found = roles.get(&role).copied();
        let missing = found.is_none().then(|| role.to_key());
        if let Some(role) = &missing {
            self.index.problems.push(Problem::MissingRole { binding: key.to_key(), role: role.clone() });
        }
        let number = self.index.bindings.push(place, key.name(), missing);
        for subject in subjects {
            if has_no_namespace(subject) {
                let problem = Problem::NoNamespace { binding: key.to_key(), subject: subject.clone() };
                self.index.problems.push(problem);
            }
            self.link(
                subject,
                namespace,
                Link { subject: NONE, namespace: place, role: found.unwrap_or(NONE), binding: number },
            );
        }
    }

    fn link(&mut self, subject: &Subject, binding_namespace: &str, link: Link) {
        match subject {
            Subject::User(name) => self.users.add(name, link),
            Subject::Group(name) => self.groups.add(name, link),
            Subject::ServiceAccount { namespace, name } => {
                let namespace = namespace.as_deref().filter(|namespace| !namespace.is_empty());
                let namespace = namespace.unwrap_or(binding_namespace);
                if !namespace.is_empty() {
                    self.users.add(&format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"), link);
                }
            }
        }
    }

    fn finish(mut self) -> Index {
        let mut merged = Merged::default();
        let users = std::mem::take(&mut self.users);
        let groups = std::mem::take(&mut self.groups);
        self.index.users = self.bind(users, &mut merged);
        self.index.groups = self.bind(groups, &mut merged);
        let mut index = self.index;
        index.namespaces.shrink();
        index.merged_bindings.shrink_to_fit();
        index.matchers.shrink_to_fit();
        index.bindings.shrink();
        index
    }

    fn bind(&mut self, Links { names, mut links }: Links, merged: &mut Merged) -> Subjects {
        links.sort_unstable();
        // One binding is enough for a role; a missing role has no number, so there each binding stays.
        links.dedup_by(|later, kept| {
            later.role != NONE
                && (later.subject, later.namespace, later.role) == (kept.subject, kept.namespace, kept.role)
        });
        let mut bounds = Vec::new();
        let mut subjects = Vec::with_capacity(names.len());
        for of_subject in links.chunk_by(|left, right| left.subject == right.subject) {
            let start = bounds.len();
            for in_place in of_subject.chunk_by(|left, right| left.namespace == right.namespace) {
                self.bind_in_place(in_place, &mut bounds, merged);
            }
            let name = of_subject.first().and_then(|link| names.get(link.subject));
            subjects.extend(name.map(|name| (name, start..bounds.len())));
        }
        let bounds_of = |place: &Range<usize>| bounds.get(place.clone()).unwrap_or_default();
        Subjects::compile(subjects.iter().map(|(name, place)| (*name, bounds_of(place))))
    }

    fn bind_in_place(&mut self, links: &[Link], bounds: &mut Vec<Bound>, merged: &mut Merged) {
        let (found, missing) = links.split_at(links.partition_point(|link| link.role != NONE));
        let together =
            (found.len() > SINGLE_ROLES_MAX).then(|| merged.matcher(&mut self.index, found)).flatten();
        match (together, found.first()) {
            (Some(matcher), Some(first)) => {
                let binding = number_of(self.index.merged_bindings.len());
                self.index.merged_bindings.extend(found.iter().map(|link| link.binding));
                bounds.push(Bound { namespace: first.namespace, matcher, binding });
            }
            _ => bounds.extend(found.iter().map(Link::bound)),
        }
        bounds.extend(missing.iter().map(Link::bound));
    }
}

/// Whether a subject is a service account that no cluster can have, by its namespace.
fn has_no_namespace(subject: &Subject) -> bool {
    match subject {
        Subject::ServiceAccount { namespace: Some(namespace), .. } => {
            !namespace.is_empty() && !is_namespace(namespace)
        }
        Subject::ServiceAccount { namespace: None, .. } | Subject::User(_) | Subject::Group(_) => false,
    }
}

impl Links {
    fn add(&mut self, name: &str, link: Link) {
        let subject = self.names.intern(name);
        if subject != NONE {
            self.links.push(Link { subject, ..link });
        }
    }
}

impl Link {
    fn bound(&self) -> Bound {
        Bound { namespace: self.namespace, matcher: self.role, binding: self.binding }
    }
}

/// Matchers of several roles, shared by all who have exactly these.
#[derive(Default)]
struct Merged {
    known: HashMap<Box<[u32]>, u32, RandomState>,
    weight: usize,
}

impl Merged {
    fn matcher(&mut self, index: &mut Index, links: &[Link]) -> Option<u32> {
        let roles: Box<[u32]> = links.iter().map(|link| link.role).collect();
        if let Some(&matcher) = self.known.get(&roles) {
            return Some(matcher);
        }
        let weigh = |&role: &u32| index.matchers.get(role as usize).map_or(0, Matcher::weight);
        let weight = roles.iter().map(weigh).fold(self.weight, usize::saturating_add);
        if weight > MERGED_WEIGHT_MAX {
            return None;
        }
        let mut seen = HashSet::<u32, RandomState>::default();
        let sources = roles.iter().zip(0..).flat_map(|(&role, nth)| {
            let entries = index.matchers.get(role as usize).map_or(&[][..], Matcher::entries);
            entries.iter().map(move |entry| Source { rule: entry.rule, role, nth, place: entry.place })
        });
        let sources = sources.filter(|source| seen.insert(source.rule));
        let compiled = Matcher::compile(&index.book, sources);
        let matcher = number_of(index.matchers.len());
        self.weight = weight;
        index.matchers.push(compiled);
        self.known.insert(roles, matcher);
        Some(matcher)
    }
}

impl<'a> ResolvedRole<'a> {
    fn written(rules: &'a [PolicyRule]) -> Self {
        Self { rules: rules.iter().collect(), origins: Vec::new() }
    }
}
