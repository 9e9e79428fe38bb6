//! What mapping grants, as far as decisions need it: the badge it gives, its end, and its access policies.

use lanyard_api::{
    EntryId, UserInfo,
    access_policies::{AccessPolicies, AccessPolicy},
    authz::Reason,
    grants::identity_provider_grant,
    mapping::{AccessEntry, AccessScope, EntryType, GrantKind, IdentityProviderConfig, PolicyAssociation},
    proof::AUTHENTICATED_GROUP,
    template::{Placeholder, Template},
};
use lanyard_iam::{AccountId, PrincipalArn};
use lanyard_rbac::{Attributes, PolicyRule};
use time::OffsetDateTime;

use crate::namespaces::NamespacePattern;

/// How the username of a break-glass identity begins; the cluster's id follows.
pub(crate) const BREAK_GLASS_USERNAME_PREFIX: &str = "lanyard:break-glass:";

/// The one group of a break-glass identity.
pub(crate) const BREAK_GLASS_GROUP: &str = "lanyard:break-glass";

/// Something that gives a badge, compiled.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) id: EntryId,
    pub(crate) kind: GrantKind,
    badge: Badge,
    ends_at: Option<OffsetDateTime>,
    policies: Box<[Association]>,
}

/// Which usernames and groups a grant gives.
#[derive(Debug)]
pub(crate) enum Badge {
    /// These, where placeholders have become something.
    Named { username: Template, groups: Box<[Template]> },
    /// The same of a node, whose placeholder becomes the name that the session's instance is bound to, or that EC2 gives it.
    Node { username: Template, groups: Box<[Template]> },
    /// The username is the ARN of whichever principal of the account it is; no groups (`mapAccounts`).
    PrincipalOf(AccountId),
    /// What an OIDC issuer's claims become: whatever stands behind these prefixes, but nothing reserved.
    Prefixed { username: String, groups: Option<String> },
    /// The cluster's break-glass identity, whose name and group nothing can change.
    BreakGlass,
    /// None: what is stored is no badge.
    None,
}

/// An access policy of a grant, and where it holds.
#[derive(Debug)]
pub(crate) struct Association {
    policy: &'static AccessPolicy,
    scope: Scope,
    ends_at: Option<OffsetDateTime>,
}

#[derive(Debug)]
enum Scope {
    Cluster,
    Namespaces(Box<[NamespacePattern]>),
}

/// What a grant does not give (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss<'a> {
    /// This username.
    Username(&'a str),
    /// This group.
    Group(&'a str),
}

/// The rule of an access policy that allows something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolicyMatch<'a> {
    pub(crate) policy: &'static AccessPolicy,
    /// From 0.
    pub(crate) rule: usize,
    /// `cluster`, or the pattern that matched.
    pub(crate) scope: &'a str,
}

impl Grant {
    pub(crate) fn new(
        id: EntryId,
        kind: GrantKind,
        badge: Badge,
        ends_at: Option<OffsetDateTime>,
        policies: impl IntoIterator<Item = Association>,
    ) -> Self {
        Self { id, kind, badge, ends_at, policies: policies.into_iter().collect() }
    }

    /// Of an access entry with its associations.
    pub(crate) fn of_entry<'a>(
        entry: &AccessEntry,
        associations: impl IntoIterator<Item = &'a PolicyAssociation>,
    ) -> Self {
        let groups = entry.groups.iter().filter_map(|group| Template::parse(group).ok()).collect();
        let badge = match Template::parse(&entry.username) {
            Ok(username) if is_node(entry.entry_type) => Badge::Node { username, groups },
            Ok(username) => Badge::Named { username, groups },
            Err(_) => Badge::None,
        };
        let policies = associations.into_iter().filter_map(Association::compile);
        Self::new(entry.id, GrantKind::AccessEntry, badge, entry.ends_at, policies)
    }

    /// Of an identity-provider configuration. Which claims it reads is part of its number, so that what is left to see are its
    /// prefixes.
    pub(crate) fn of_identity_provider(config: &IdentityProviderConfig) -> Self {
        let settings = &config.settings;
        let badge = Badge::Prefixed {
            username: settings.username_prefix().into_owned(),
            groups: settings.groups_claim.as_ref().map(|_| settings.groups_prefix().to_owned()),
        };
        Self::new(identity_provider_grant(config), GrantKind::IdentityProvider, badge, None, [])
    }

    /// Whether it still counts.
    pub(crate) fn is_live(&self, now: OffsetDateTime) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }

    /// Whether it gives this username and all of these groups; more groups than these may be given. Which names nodes have is asked
    /// of `is_node`, which is told whether EC2 may be who says it.
    pub(crate) fn gives<'u>(
        &self,
        user: &'u UserInfo,
        is_node: impl Fn(&str, bool) -> bool,
    ) -> Result<(), Loss<'u>> {
        let username = user.username.as_str();
        let mut claimed =
            user.groups.iter().map(String::as_str).filter(|group| *group != AUTHENTICATED_GROUP);
        let (named, lost) = match &self.badge {
            Badge::Named { username: template, groups } => {
                (template.admits(username), claimed.find(|group| !admitted(groups, group)))
            }
            Badge::Node { username: template, groups } => {
                let name = username.strip_prefix(template.literal_prefix());
                let may_be_ec2s = template.placeholders().any(|one| one == Placeholder::Ec2PrivateDnsName)
                    && template.admits(username);
                (
                    name.is_some_and(|name| is_node(name, may_be_ec2s)),
                    claimed.find(|group| !admitted(groups, group)),
                )
            }
            Badge::PrincipalOf(account) => {
                let is_theirs = PrincipalArn::parse(username).is_ok_and(|arn| arn.account == *account);
                (is_theirs, claimed.next())
            }
            Badge::Prefixed { username: prefix, groups } => {
                let given = |group: &&str| match groups {
                    Some(prefix) => group.starts_with(prefix.as_str()) && !is_reserved(group),
                    None => false,
                };
                (
                    username.starts_with(prefix.as_str()) && !is_reserved(username),
                    claimed.find(|group| !given(group)),
                )
            }
            Badge::BreakGlass => {
                let is_theirs = username.starts_with(BREAK_GLASS_USERNAME_PREFIX);
                (is_theirs, claimed.find(|group| *group != BREAK_GLASS_GROUP))
            }
            Badge::None => (false, None),
        };
        if !named {
            return Err(Loss::Username(username));
        }
        lost.map_or(Ok(()), |group| Err(Loss::Group(group)))
    }

    /// Whether everyone of an account has it who has nothing of their own.
    pub(crate) fn is_by_account(&self) -> bool {
        matches!(self.badge, Badge::PrincipalOf(_))
    }

    /// The first of its access policies that allows this.
    pub(crate) fn allows(&self, asked: &Attributes<'_>, now: OffsetDateTime) -> Option<PolicyMatch<'_>> {
        self.live_policies(now).find_map(|association| association.allows(asked))
    }

    /// Its access policies that have not ended.
    pub(crate) fn live_policies(&self, now: OffsetDateTime) -> impl Iterator<Item = &Association> {
        self.policies.iter().filter(move |association| association.ends_at.is_none_or(|end| now < end))
    }

    /// All of its access policies, ended ones too.
    pub(crate) fn policies(&self) -> &[Association] {
        &self.policies
    }
}

impl Association {
    /// None where the policy is not published, or not for entries: it then grants nothing.
    pub(crate) fn compile(association: &PolicyAssociation) -> Option<Self> {
        let policy = AccessPolicies::published().of_association(&association.policy_arn)?;
        let scope = match &association.scope {
            AccessScope::Cluster => Scope::Cluster,
            AccessScope::Namespace(names) => {
                Scope::Namespaces(names.iter().map(|name| NamespacePattern::new(name)).collect())
            }
        };
        (!policy.service_linked_only).then_some(Self { policy, scope, ends_at: association.ends_at })
    }

    /// A published policy for the whole cluster.
    pub(crate) fn in_cluster(policy: &'static AccessPolicy) -> Self {
        Self { policy, scope: Scope::Cluster, ends_at: None }
    }

    pub(crate) fn policy(&self) -> &'static AccessPolicy {
        self.policy
    }

    /// The rule that allows this where the policy holds.
    pub(crate) fn allows(&self, asked: &Attributes<'_>) -> Option<PolicyMatch<'_>> {
        let (rule, scope) = match &self.scope {
            Scope::Cluster => (self.policy.rules.first_match(asked)?, "cluster"),
            Scope::Namespaces(_) => {
                let pattern = self.pattern_of(asked.namespace())?;
                (self.policy.rules.first_match_in_namespace(asked)?, pattern.as_str())
            }
        };
        Some(PolicyMatch { policy: self.policy, rule, scope })
    }

    /// Whether the policy would allow this, did it hold for the whole cluster.
    pub(crate) fn would_allow(&self, asked: &Attributes<'_>) -> bool {
        self.policy.rules.first_match(asked).is_some()
    }

    /// The rules that hold in a namespace, and whether those on paths outside the resource API do.
    pub(crate) fn rules_in(&self, namespace: &str) -> Option<(&'static [PolicyRule], bool)> {
        let in_cluster = matches!(self.scope, Scope::Cluster);
        (in_cluster || self.pattern_of(namespace).is_some())
            .then_some((self.policy.rules.rules(), in_cluster))
    }

    /// Where it holds, for people: `the cluster`, `namespaces dev-*, team-a`.
    pub(crate) fn place(&self) -> String {
        match &self.scope {
            Scope::Cluster => "the cluster".to_owned(),
            Scope::Namespaces(patterns) => {
                let names: Vec<&str> = patterns.iter().map(NamespacePattern::as_str).collect();
                format!("namespaces {}", names.join(", "))
            }
        }
    }

    /// Whether its own end has passed.
    pub(crate) fn has_ended(&self, now: OffsetDateTime) -> bool {
        self.ends_at.is_some_and(|end| now >= end)
    }

    fn pattern_of(&self, namespace: &str) -> Option<&NamespacePattern> {
        match &self.scope {
            Scope::Cluster => None,
            Scope::Namespaces(patterns) => patterns.iter().find(|pattern| pattern.matches(namespace)),
        }
    }
}

impl PolicyMatch<'_> {
    pub(crate) fn reason(&self) -> Reason {
        Reason::AccessPolicy {
            policy: self.policy.name.clone(),
            rule: u32::try_from(self.rule).unwrap_or(u32::MAX),
            scope: self.scope.into(),
        }
    }
}

/// What no issuer's claims become (mapping refuses it too).
fn is_reserved(name: &str) -> bool {
    name.starts_with("system:") || name.starts_with("lanyard:")
}

fn admitted(templates: &[Template], group: &str) -> bool {
    templates.iter().any(|template| template.admits(group))
}

const fn is_node(entry_type: EntryType) -> bool {
    match entry_type {
        EntryType::Standard => false,
        EntryType::Ec2Linux
        | EntryType::Ec2Windows
        | EntryType::FargateLinux
        | EntryType::HybridLinux
        | EntryType::Ec2
        | EntryType::HyperpodLinux => true,
    }
}

#[cfg(test)]
mod tests;
