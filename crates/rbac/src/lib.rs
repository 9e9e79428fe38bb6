//! Kubernetes RBAC without a cluster: objects in, decisions out.
//!
//! This crate answers what the RBAC authorizer of Kubernetes 1.35 answers, from memory and in well under a
//! microsecond, however many bindings there are. It is pure: no files, no sockets, no clock, no log. Whoever uses it
//! brings the objects and asks.
//!
//! ```
//! use lanyard_rbac::{Attributes, Grant, Index, ResourceAttributes, User, parse};
//!
//! let input = "
//! apiVersion: rbac.authorization.k8s.io/v1
//! kind: ClusterRole
//! metadata: {name: view}
//! rules: [{verbs: [get, list], apiGroups: [''], resources: [pods]}]
//! ---
//! apiVersion: rbac.authorization.k8s.io/v1
//! kind: RoleBinding
//! metadata: {name: devs, namespace: team-a}
//! roleRef: {kind: ClusterRole, name: view}
//! subjects: [{kind: Group, name: devs}]
//! ";
//! let index = Index::compile(&parse(input.as_bytes())?.objects);
//!
//! let pods = ResourceAttributes { resource: "pods", namespace: "team-a", ..Default::default() };
//! let ana = User { name: "ana", groups: &["devs"] };
//! let Some(Grant::Rule(grant)) = index.authorize(ana, &Attributes::resource("list", pods)) else {
//!     panic!("ana may list pods in team-a");
//! };
//! assert_eq!(grant.binding().to_string(), "RoleBinding/team-a/devs");
//! assert!(index.authorize(ana, &Attributes::resource("delete", pods)).is_none());
//! # Ok::<(), lanyard_rbac::ParseError>(())
//! ```
//!
//! # The parts
//! - [`parse`] reads what `kubectl get -o yaml` and `-o json` print into [`Object`]s; a wrong one is refused with line,
//!   column and member. Each object has an [`ObjectKey`], which reads `RoleBinding/team-a/devs`.
//! - [`Index::compile`] turns all objects of a cluster into an immutable [`Index`]: aggregated roles are resolved, words
//!   become numbers, and each subject leads to what is bound to it, the cluster first, then by namespace. What grants
//!   nothing though somebody may expect it to is in [`Index::problems`].
//! - [`Index::authorize`] takes a [`User`] and [`Attributes`], all borrowed, and gives the [`Grant`] or nothing. It does
//!   not allocate, and its cost is that of the user's own names and roles.
//! - [`Index::explain`] says for a refusal what would have allowed it, [`Index::rules_for`] lists a user's rules,
//!   [`Index::who_can`] lists who is allowed. All go through the one comparison of rule and question that the decision
//!   goes through, so they cannot differ from it.
//! - [`RuleSet`] is a list of rules without bindings, matched the same way: what an access policy is.
//!
//! # Rules worth knowing
//! - RBAC only ever allows. No grant is *no opinion*, and what follows from that is for others to say.
//! - `system:masters` passes everything, before any rule; [`Grant::SystemMasters`] says so.
//! - An aggregated ClusterRole has the rules that its selectors reach and none of those written in it, as Kubernetes'
//!   controller overwrites them. That is taken to its end from nothing: rules that only a circle of aggregated roles
//!   holds alive do not count.
//! - A rule with `resourceNames` does not match a request without a name (`list`, `create`, …), unless the empty name
//!   is itself listed, which is what Kubernetes does too.
//! - Selectors of a request ([`Requirement`]) are for the record: RBAC decides without them, and one that cannot be read
//!   makes the request the unscoped one.

mod aggregation;
mod attributes;
mod bindings;
mod compile;
mod explain;
mod grant;
mod index;
mod key;
mod list;
mod matcher;
mod names;
mod object;
mod parse;
mod placement;
mod problem;
mod rule_set;
mod rulebook;
mod selector;
mod subjects;
mod wire;

pub use attributes::{Attributes, NonResourceAttributes, ResourceAttributes, SYSTEM_MASTERS, Target, User};
pub use explain::{EXPLAINED_RULES_MAX, Explanation, NEAR_MISSES_PER_SORT_MAX, NearMiss};
pub use grant::{Grant, RuleGrant, SubjectName};
pub use index::Index;
pub use key::{ObjectKey, ObjectKeyError, ObjectKeyRef, ObjectKind};
pub use list::{Holder, NonResourceRule, ResourceRule, Rules};
pub use object::{
    API_GROUP, API_VERSION, AggregationRule, ClusterRole, ClusterRoleBinding, LabelRequirement,
    LabelSelector, Object, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
pub use parse::{
    Format, Limits, ParseError, Parsed, Place, Refused, Skipped, parse, parse_partially, parse_within,
};
pub use problem::Problem;
pub use rule_set::RuleSet;
pub use selector::{
    Operator, REQUIREMENT_VALUES_MAX, REQUIREMENTS_MAX, Requirement, SelectorError, SelectorKind, Selectors,
};
pub use wire::{Fault, ObjectError, Position};
