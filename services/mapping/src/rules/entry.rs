//! The rules of access entries (EKS user guide, "Create access entries").

use std::collections::BTreeMap;

use lanyard_api::{
    Authority,
    aws_auth::{NODES_GROUP, RESERVED_USERNAME_PREFIXES},
    mapping::{AuthenticationMode, Cluster, EntryType},
    template::{Placeholder, Template},
};
use lanyard_iam::{
    CanonicalArn, EntryPrincipal, PatternKind, PrincipalArn, PrincipalId, PrincipalIdKind, PrincipalKind,
};
use lanyard_kit::clock::moment_text;
use time::OffsetDateTime;

use super::{Broken, Rule, issuers::Issuers, shown, sure};
use crate::key;

/// Longest group, in bytes.
pub(crate) const GROUP_BYTES_MAX: usize = 256;
/// The path of service-linked roles.
const SERVICE_LINKED_PATH: &str = "/aws-service-role/";

const PRINCIPAL: &str = "principal_arn";

/// An entry is for an IAM user or role, by its whole ARN, or for those whom a permission set or a pattern picks.
pub(crate) fn principal(text: &str) -> Result<EntryPrincipal, Broken> {
    let invalid = |why: String| Broken::new(PRINCIPAL, Rule::PrincipalInvalid, why);
    match EntryPrincipal::parse(text).map_err(|error| invalid(shown(&error.to_string())))? {
        EntryPrincipal::One(arn) => one(arn).map(EntryPrincipal::One),
        several => Ok(several),
    }
}

fn one(arn: PrincipalArn) -> Result<PrincipalArn, Broken> {
    let invalid = |why: String| Broken::new(PRINCIPAL, Rule::PrincipalInvalid, why);
    match &arn.kind {
        PrincipalKind::User { .. } => Ok(arn),
        PrincipalKind::Role { path, .. } if path.starts_with(SERVICE_LINKED_PATH) => {
            Err(invalid(format!("`{arn}` is a service-linked role: entries are for roles that you made")))
        }
        PrincipalKind::Role { .. } => Ok(arn),
        PrincipalKind::AssumedRole { role, .. } => {
            Err(invalid(format!("`{arn}` is a session: name its role, with its path, such as role/{role}")))
        }
        PrincipalKind::FederatedUser { .. } => {
            Err(invalid(format!("`{arn}` is a federated user: entries are for users and roles")))
        }
        PrincipalKind::Root => {
            Err(invalid(format!("`{arn}` is an account: entries are for users and roles")))
        }
    }
}

/// The account's authority, if the cluster trusts the account.
pub(crate) fn trusted(principal: &EntryPrincipal, cluster: &Cluster) -> Result<Authority, Broken> {
    let account = principal.account();
    if principal.partition() != cluster.partition {
        let message = format!(
            "`{principal}` is of partition {}, the cluster of {}",
            principal.partition(),
            cluster.partition
        );
        return Err(Broken::new(PRINCIPAL, Rule::PrincipalInvalid, message));
    }
    let pair = cluster.trusted_accounts.iter().find(|pair| pair.account == account);
    pair.map(|pair| pair.authority.clone()).ok_or_else(|| {
        let message = format!(
            "the cluster does not trust account {account}: add it first, by `lanyard cluster update {} --trust \
             AUTHORITY/{account}` with each other account that it is to trust",
            cluster.id
        );
        Broken::new(PRINCIPAL, Rule::UntrustedAccount, message)
    })
}

/// A permission set's roles are made by AWS.
pub(crate) fn has_permission_sets(authority: &Authority, principal: &EntryPrincipal) -> Result<(), Broken> {
    if !matches!(principal, EntryPrincipal::PermissionSet(_)) || *authority != Authority::Local {
        return Ok(());
    }
    let message = format!(
        "`{principal}` is a permission set, and account {} is kept by this hub, which has none: name the role",
        principal.account()
    );
    Err(Broken::new(PRINCIPAL, Rule::PrincipalInvalid, message))
}

/// An id can be pinned where one principal is meant that the hub does not know yet, before a moment to come.
pub(crate) fn pin(
    until: Option<OffsetDateTime>,
    authority: &Authority,
    principal: &EntryPrincipal,
    now: OffsetDateTime,
) -> Result<(), Broken> {
    let Some(until) = until else { return Ok(()) };
    let message = match principal {
        _ if until <= now => {
            let until = moment_text(&until);
            format!("`{until}` has passed: give a later moment until which it can be pinned")
        }
        EntryPrincipal::Pattern(_) => {
            format!("`{principal}` is there for all who fit it: only what means one principal can be pinned")
        }
        _ if *authority == Authority::Local => {
            format!("the hub knows the unique id of `{principal}`: there is nothing to wait for")
        }
        _ => return Ok(()),
    };
    Err(Broken::new("pin_until", Rule::Pin, message))
}

/// A unique id is of the kind that its principal has.
pub(crate) fn principal_id(id: &str, principal: &EntryPrincipal) -> Result<(), Broken> {
    let kind = match principal {
        EntryPrincipal::One(arn) => &arn.kind,
        EntryPrincipal::PermissionSet(_) => &PrincipalKind::Role { path: String::new(), name: String::new() },
        EntryPrincipal::Pattern(_) => {
            let message = format!("`{principal}` names several: each of them has a unique id of its own");
            return Err(Broken::new("principal_id", Rule::PrincipalId, message));
        }
    };
    let wanted = match kind {
        PrincipalKind::User { .. } => PrincipalIdKind::User,
        _ => PrincipalIdKind::Role,
    };
    match PrincipalId::parse(id) {
        Ok(parsed) if parsed.kind() == wanted => Ok(()),
        _ => {
            let form = if wanted == PrincipalIdKind::User { "AIDA…" } else { "AROA…" };
            let message =
                format!("`{}` is not the unique id of `{principal}`: it begins as {form}", shown(id));
            Err(Broken::new("principal_id", Rule::PrincipalId, message))
        }
    }
}

/// Nodes are roles of the cluster's own account.
pub(crate) fn node_principal(
    entry_type: EntryType,
    principal: &EntryPrincipal,
    cluster: &Cluster,
) -> Result<(), Broken> {
    let is_role = principal.one().is_some_and(|arn| matches!(arn.kind, PrincipalKind::Role { .. }));
    if !is_node_type(entry_type) || (is_role && principal.account() == cluster.account) {
        return Ok(());
    }
    let message =
        format!("an entry for nodes is for a role of account {}, `{principal}` is none", cluster.account);
    Err(Broken::new(PRINCIPAL, Rule::NodePrincipal, message))
}

/// Whether nodes knock with it.
pub(crate) fn is_node_type(entry_type: EntryType) -> bool {
    entry_type != EntryType::Standard
}

/// Only STANDARD entries have a username and groups of their own.
pub(crate) fn custom_badge(entry_type: EntryType, field: &'static str) -> Result<(), Broken> {
    if entry_type == EntryType::Standard {
        return Ok(());
    }
    let message = format!("{field} is for entries of type STANDARD: nodes have theirs by their type");
    Err(Broken::new(field, Rule::NotStandard, message))
}

/// The username that an entry has when none is given.
pub(crate) fn default_username(entry_type: EntryType, principal: &EntryPrincipal) -> String {
    let session = |name: &str| {
        let (partition, account) = (principal.partition(), principal.account());
        format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
    };
    match (entry_type, principal) {
        (EntryType::Ec2Linux | EntryType::Ec2Windows | EntryType::Ec2, _) => {
            String::from("system:node:{{EC2PrivateDNSName}}")
        }
        (EntryType::FargateLinux | EntryType::HybridLinux | EntryType::HyperpodLinux, _) => {
            String::from("system:node:{{SessionName}}")
        }
        (EntryType::Standard, EntryPrincipal::One(arn)) => match &arn.kind {
            PrincipalKind::Role { name, .. } => session(name),
            _ => arn.to_string(),
        },
        (EntryType::Standard, EntryPrincipal::Pattern(pattern)) if pattern.kind == PatternKind::User => {
            [&pattern.start(), "{{PrincipalName}}"].concat()
        }
        (EntryType::Standard, _) => session("{{PrincipalName}}"),
    }
}

/// The groups that an entry has by its type.
pub(crate) fn default_groups(entry_type: EntryType) -> Vec<String> {
    if is_node_type(entry_type) { vec![NODES_GROUP.to_owned()] } else { Vec::new() }
}

/// Of which kind whoever it means is.
pub(crate) fn kind(principal: &EntryPrincipal) -> PrincipalKind {
    let (path, name) = (String::new(), String::new());
    match principal {
        EntryPrincipal::One(arn) => arn.kind.clone(),
        EntryPrincipal::Pattern(pattern) if pattern.kind == PatternKind::User => {
            PrincipalKind::User { path, name }
        }
        EntryPrincipal::PermissionSet(_) | EntryPrincipal::Pattern(_) => PrincipalKind::Role { path, name },
    }
}

/// A username of one's own choice. What its principal has nothing for would let nobody in, and lock out an administrator.
pub(crate) fn username(text: &str, principal: &EntryPrincipal) -> Result<Template, Broken> {
    let broken = |rule, message: String| Err(Broken::new("username", rule, message));
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return broken(Rule::UsernameInvalid, error.to_string()),
    };
    if text.trim() != text {
        return broken(Rule::UsernameInvalid, format!("`{}` begins or ends with a blank", shown(text)));
    }
    if let Some(prefix) = reserved_prefix(text) {
        return broken(
            Rule::UsernameReserved,
            format!("`{}` begins with `{prefix}`, which is reserved", shown(text)),
        );
    }
    if template.placeholders().any(|placeholder| placeholder == Placeholder::Ec2PrivateDnsName) {
        return broken(Rule::UsernameNode, format!("`{}` names a node: only node types do", shown(text)));
    }
    if !session_has_prefix(text) {
        let message = format!(
            "`{}` lets its bearer choose the whole name: put a `:` before the session's name",
            shown(text)
        );
        return broken(Rule::UsernameSession, message);
    }
    if let Some(placeholder) = template.lacks(&kind(principal)) {
        let message = format!(
            "`{}` holds {{{{{}}}}}, which a user never has, so that `{principal}` could not log in: take it out, or make the \
             entry for a role",
            shown(text),
            placeholder.name()
        );
        return broken(Rule::UsernameUser, message);
    }
    Ok(template)
}

/// A username is none that an issuer of the cluster gives: by a template of one nobody is let in, and a name that stands as it is would be
/// one of the issuer's people.
pub(crate) fn beside_issuers(
    username: &str,
    principal: &EntryPrincipal,
    issuers: &Issuers,
) -> Result<(), Broken> {
    let known = key::one_of(principal);
    let canonical = known.as_ref().map(CanonicalArn::as_str);
    let Some(issuer) = issuers.taking(&sure::filled(username, principal.account(), canonical)) else {
        return Ok(());
    };
    let message = format!("`{}` {}", shown(username), issuer.why());
    Err(Broken::new("username", Rule::UsernameReserved, message))
}

/// The reserved prefix that a name begins with.
pub(crate) fn reserved_prefix(name: &str) -> Option<&'static str> {
    RESERVED_USERNAME_PREFIXES.into_iter().find(|prefix| name.starts_with(prefix))
}

/// What the caller chooses stands behind a `:`, which no session's name holds.
fn session_has_prefix(text: &str) -> bool {
    text.find("{{SessionName").is_none_or(|at| text.get(..at).is_some_and(|before| before.contains(':')))
}

/// Groups of one's own choice.
pub(crate) fn groups(groups: &[String], most: usize) -> Result<(), Broken> {
    let broken = |rule, message: String| Err(Broken::new("groups", rule, message));
    if groups.len() > most {
        return broken(
            Rule::GroupInvalid,
            format!("an entry has at most {most} groups, these are {}", groups.len()),
        );
    }
    for group in groups {
        let prefix = ["system:", "lanyard:"].into_iter().find(|prefix| group.starts_with(prefix));
        if let Some(prefix) = prefix {
            let message = format!(
                "the kubernetes group name {} is invalid, it cannot start with {prefix}",
                shown(group)
            );
            return broken(Rule::GroupReserved, message);
        }
        let fault = if group.is_empty() || group.trim() != group {
            "is empty or has blanks around it"
        } else if group.len() > GROUP_BYTES_MAX {
            "is too long"
        } else if group.chars().any(char::is_control) {
            "holds a control character"
        } else if group.contains("{{") {
            "is a template: an entry's groups are names, so that nobody chooses their own"
        } else {
            continue;
        };
        return broken(Rule::GroupInvalid, format!("the group `{}` {fault}", shown(group)));
    }
    Ok(())
}

/// Tags, of any resource here.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), Broken> {
    lanyard_api::tags::refusal(tags).map_or(Ok(()), |message| Err(Broken::new("tags", Rule::Tags, message)))
}

/// An end lies in the future.
pub(crate) fn end(ends_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Broken> {
    match ends_at {
        Some(end) if end <= now => Err(Broken::new(
            "ends_at",
            Rule::End,
            format!("the end `{}` has passed: give a later one, or none", moment_text(&end)),
        )),
        _ => Ok(()),
    }
}

/// Entries can be worked on in the modes in which they count.
pub(crate) fn mode(mode: AuthenticationMode) -> Result<(), Broken> {
    if mode == AuthenticationMode::ConfigMap {
        let message =
            "entries do not count in mode CONFIG_MAP: set the cluster's mode to API_AND_CONFIG_MAP first";
        return Err(Broken::new("cluster", Rule::AuthenticationMode, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
