//! Decisions in words: one line each, for people.

use std::fmt;

use super::{Attributes, Reason};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rbac { subject, binding, role, rule } => {
                write!(f, "allowed by RBAC: {binding} gives {role}, rule {}, to {subject}", rule + 1)
            }
            Self::SystemMasters => f.write_str("allowed by the group system:masters"),
            Self::AccessPolicy { policy, rule, scope } => {
                write!(f, "allowed by access policy {policy}, rule {}, scope {scope}", rule + 1)
            }
            Self::Blocked => f.write_str("denied: a block holds for this principal, account, key or session"),
            Self::Gone(gone) => write!(f, "denied: {gone}"),
            Self::GrantRevoked => f.write_str(
                "denied: what mapped this user is gone, has ended or gives less now; log in again to get what is left",
            ),
            Self::ProofImpersonation => f.write_str("denied: Lanyard's proof cannot be impersonated"),
            Self::ProofInvalid => {
                f.write_str("denied: the proof does not fit this user, groups and cluster; log in again")
            }
            Self::Unanswerable => f.write_str("denied: the review could not be evaluated; try again"),
            Self::NothingMatched => f.write_str("no access policy or rule of Lanyard's allows it"),
        }
    }
}

impl fmt::Display for Attributes {
    /// As a person would ask: `get pods/log in namespace team-a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = match self {
            Self::NonResource { path, verb } => return write!(f, "{verb} {path}"),
            Self::Resource(asked) => asked,
        };
        write!(f, "{} {}", asked.verb, asked.resource)?;
        if !asked.group.is_empty() {
            write!(f, ".{}", asked.group)?;
        }
        if !asked.subresource.is_empty() {
            write!(f, "/{}", asked.subresource)?;
        }
        if !asked.name.is_empty() {
            write!(f, " {}", asked.name)?;
        }
        match asked.namespace.as_str() {
            "" => f.write_str(" in the whole cluster"),
            namespace => write!(f, " in namespace {namespace}"),
        }
    }
}
