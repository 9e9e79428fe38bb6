//! The answer yes, and what gave it.

use std::fmt;

use crate::index::{CompiledRole, Index};
use crate::key::ObjectKey;
use crate::object::PolicyRule;

/// Why something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant<'a> {
    /// The user is in `system:masters`, which passes every check and has no binding.
    SystemMasters,
    /// A rule of a role that is bound to the user or to one of their groups.
    Rule(RuleGrant<'a>),
}

/// The binding, the role and the rule that allow something.
#[derive(Clone, Copy)]
pub struct RuleGrant<'a> {
    pub(crate) index: &'a Index,
    pub(crate) subject: SubjectName<'a>,
    pub(crate) binding: &'a ObjectKey,
    pub(crate) role: &'a CompiledRole,
    pub(crate) rule: &'a PolicyRule,
    pub(crate) place: u32,
}

/// Whom a binding reaches: a username or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectName<'a> {
    /// The user of this name; a service account is the user `system:serviceaccount:<namespace>:<name>`.
    User(&'a str),
    /// The members of this group.
    Group(&'a str),
}

impl<'a> RuleGrant<'a> {
    /// The RoleBinding or ClusterRoleBinding.
    #[must_use]
    pub const fn binding(&self) -> &'a ObjectKey {
        self.binding
    }

    /// The Role or ClusterRole that it gives.
    #[must_use]
    pub const fn role(&self) -> &'a ObjectKey {
        &self.role.key
    }

    /// The rule that matched: its place among the role's rules, counted from 0. For an aggregated role these are the
    /// gathered ones, in the order in which Kubernetes' controller writes them.
    #[must_use]
    pub const fn rule_index(&self) -> usize {
        self.place as usize
    }

    /// The rule that matched, as it is written.
    #[must_use]
    pub const fn rule(&self) -> &'a PolicyRule {
        self.rule
    }

    /// The role that the rule is written in: the bound one, or one whose rules it aggregates.
    #[must_use]
    pub fn origin(&self) -> &'a ObjectKey {
        let origin = self.role.origins.get(self.rule_index()).and_then(|&origin| self.index.role(origin));
        &origin.unwrap_or(self.role).key
    }

    /// Whom the binding names: the user, or that one of their groups that counted.
    #[must_use]
    pub const fn subject(&self) -> SubjectName<'a> {
        self.subject
    }
}

impl<'a> SubjectName<'a> {
    /// The username, or the group's name.
    #[must_use]
    pub const fn name(self) -> &'a str {
        match self {
            Self::User(name) | Self::Group(name) => name,
        }
    }
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemMasters => {
                write!(f, "group `{}` may do everything", crate::attributes::SYSTEM_MASTERS)
            }
            Self::Rule(grant) => fmt::Display::fmt(grant, f),
        }
    }
}

impl fmt::Display for RuleGrant<'_> {
    /// One line, with rules counted from 1 as people do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule_index().saturating_add(1);
        write!(f, "rule {rule} of `{}`", self.role())?;
        if self.origin() != self.role() {
            write!(f, ", from `{}`", self.origin())?;
        }
        write!(f, ", bound to {} by `{}`", self.subject, self.binding)
    }
}

impl fmt::Debug for RuleGrant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleGrant")
            .field("subject", &self.subject)
            .field("binding", &self.binding)
            .field("role", &self.role.key)
            .field("rule_index", &self.place)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RuleGrant<'_> {
    /// Two grants are the same if they name the same.
    fn eq(&self, other: &Self) -> bool {
        (self.subject, self.binding, self.role(), self.place, self.rule)
            == (other.subject, other.binding, other.role(), other.place, other.rule)
    }
}

impl Eq for RuleGrant<'_> {}

impl fmt::Display for SubjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user `{name}`"),
            Self::Group(name) => write!(f, "group `{name}`"),
        }
    }
}
