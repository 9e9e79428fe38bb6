//! Decisions in words: one line each, for people.

use std::fmt;

use lanyard_iam::shown_within;

use super::{Attributes, Reason, SelectorRequirement};

/// Most characters of one selector that are told: what is longer is cut.
const SELECTOR_CHARS_MAX: usize = 256;

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
            "" => f.write_str(" in the whole cluster")?,
            namespace => write!(f, " in namespace {namespace}")?,
        }
        let Some(selectors) = &asked.selectors else { return Ok(()) };
        for (name, selector) in [("labels", &selectors.label), ("fields", &selectors.field)] {
            if !selector.is_empty() {
                write!(f, ", {name} {}", told(selector))?;
            }
        }
        Ok(())
    }
}

/// A selector as kubectl takes it, on one line and bounded.
fn told(selector: &[SelectorRequirement]) -> String {
    let mut text = String::new();
    for requirement in selector {
        if !text.is_empty() {
            text.push(',');
        }
        let SelectorRequirement { key, operator, values } = requirement;
        let values = || values.join(",");
        match operator.as_str() {
            "In" => text.extend([key.as_str(), " in (", values().as_str(), ")"]),
            "NotIn" => text.extend([key.as_str(), " notin (", values().as_str(), ")"]),
            "DoesNotExist" => text.extend(["!", key]),
            _ => text.push_str(key),
        }
        if text.chars().nth(SELECTOR_CHARS_MAX).is_some() {
            break;
        }
    }
    shown_within(&text, SELECTOR_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{ResourceAttributes, Selectors};

    fn requirement(key: &str, operator: &str, values: &[&str]) -> SelectorRequirement {
        let values = values.iter().map(ToString::to_string).collect();
        SelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values }
    }

    fn listing(field: Vec<SelectorRequirement>, label: Vec<SelectorRequirement>) -> String {
        let asked = ResourceAttributes {
            namespace: "a".into(),
            verb: "list".into(),
            resource: "pods".into(),
            selectors: Some(Box::new(Selectors { field, label })),
            ..ResourceAttributes::default()
        };
        Attributes::Resource(asked).to_string()
    }

    #[test]
    fn selectors_are_told_as_kubectl_takes_them() {
        let label = vec![
            requirement("app", "In", &["web", "api"]),
            requirement("tier", "NotIn", &["x"]),
            requirement("new", "Exists", &[]),
            requirement("old", "DoesNotExist", &[]),
        ];
        let field = vec![requirement("spec.nodeName", "In", &["n\n1"])];
        assert_eq!(
            listing(field, label),
            "list pods in namespace a, labels app in (web,api),tier notin (x),new,!old, fields spec.nodeName in (n\\n1)"
        );
        assert_eq!(listing(Vec::new(), Vec::new()), "list pods in namespace a");
    }

    #[test]
    fn a_long_selector_is_cut() {
        let label = (0..64).map(|_| requirement(&"é".repeat(100), "Exists", &[])).collect();
        let told = listing(Vec::new(), label);
        assert!(told.ends_with('…') && told.chars().count() < 300, "{told}");
    }
}
