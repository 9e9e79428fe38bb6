//! The answer yes, and what gave it.

use std::fmt;

use crate::bindings::Binding;
use crate::index::{CompiledRole, Index};
use crate::key::{ObjectKey, ObjectKeyRef};
use crate::object::{PolicyRule, SERVICE_ACCOUNT_PREFIX, Subject};
use crate::wire::one_line;

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
    pub(crate) binding: &'a Binding,
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
    pub fn binding(&self) -> ObjectKeyRef<'a> {
        self.index.binding_key(self.binding)
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

    /// Namespace and name of the service account whose username this is.
    #[must_use]
    pub fn service_account(self) -> Option<(&'a str, &'a str)> {
        let Self::User(name) = self else { return None };
        let (namespace, name) = name.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
        let is_name = |text: &str| !text.is_empty() && !text.contains([':', '/']);
        (is_name(namespace) && is_name(name)).then_some((namespace, name))
    }
}

impl From<SubjectName<'_>> for Subject {
    /// A service account reads as one, also where a binding names it by its username.
    fn from(subject: SubjectName<'_>) -> Self {
        match (subject, subject.service_account()) {
            (_, Some((namespace, name))) => {
                Self::ServiceAccount { namespace: Some(namespace.to_owned()), name: name.to_owned() }
            }
            (SubjectName::User(name), None) => Self::User(name.to_owned()),
            (SubjectName::Group(name), None) => Self::Group(name.to_owned()),
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
        write!(f, ", bound to {} by `{}`", self.subject, self.binding())
    }
}

impl fmt::Debug for RuleGrant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleGrant")
            .field("subject", &self.subject)
            .field("binding", &self.binding())
            .field("role", &self.role.key)
            .field("rule_index", &self.place)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RuleGrant<'_> {
    /// Two grants are the same if they name the same.
    fn eq(&self, other: &Self) -> bool {
        (self.subject, self.binding(), self.role(), self.place, self.rule)
            == (other.subject, other.binding(), other.role(), other.place, other.rule)
    }
}

impl Eq for RuleGrant<'_> {}

impl fmt::Display for SubjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.service_account()) {
            (_, Some((namespace, name))) => {
                write!(f, "service account `{}/{}`", one_line(namespace), one_line(name))
            }
            (Self::User(name), None) => write!(f, "user `{}`", one_line(name)),
            (Self::Group(name), None) => write!(f, "group `{}`", one_line(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_as_bindings_name_it_and_on_one_line() {
        let service_account = |namespace: &str, name: &str| Subject::ServiceAccount {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        let (user, group) = (|name: &str| Subject::User(name.to_owned()), Subject::Group("devs".to_owned()));
        let bot = "system:serviceaccount:team-a:bot";
        let cases = [
            (SubjectName::User("ana"), user("ana"), "User ana", "user `ana`"),
            (SubjectName::Group("devs"), group, "Group devs", "group `devs`"),
            (
                SubjectName::User(bot),
                service_account("team-a", "bot"),
                "ServiceAccount team-a/bot",
                "service account `team-a/bot`",
            ),
            (
                SubjectName::Group(bot),
                Subject::Group(bot.to_owned()),
                "Group system:serviceaccount:team-a:bot",
                "group `system:serviceaccount:team-a:bot`",
            ),
            (
                SubjectName::User("system:serviceaccount:a:b:c"),
                user("system:serviceaccount:a:b:c"),
                "User system:serviceaccount:a:b:c",
                "user `system:serviceaccount:a:b:c`",
            ),
            (
                SubjectName::User("system:serviceaccount:a/b:c"),
                user("system:serviceaccount:a/b:c"),
                "User system:serviceaccount:a/b:c",
                "user `system:serviceaccount:a/b:c`",
            ),
            (
                SubjectName::User("an\na\u{2028}"),
                user("an\na\u{2028}"),
                "User an\\u{a}a\\u{2028}",
                "user `an\\u{a}a\\u{2028}`",
            ),
            (SubjectName::User("EU\\\"ana\""), user("EU\\\"ana\""), "User EU\\\"ana\"", "user `EU\\\"ana\"`"),
        ];
        for (name, subject, text, in_a_sentence) in cases {
            assert_eq!(Subject::from(name), subject, "{name:?}");
            assert_eq!(subject.to_string(), text, "{name:?}");
            assert_eq!(name.to_string(), in_a_sentence, "{name:?}");
        }
        let endless = SubjectName::User(&"x".repeat(1 << 20)).to_string();
        assert!(endless.len() < 2_000 && endless.ends_with("…`"), "{} bytes", endless.len());
    }
}
