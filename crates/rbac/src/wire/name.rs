//! The names that Kubernetes gives objects, namespaces and service accounts.

use super::fault::{Fault, Flaw};
use super::member::text;
use super::tree::Node;

/// Characters of a namespace at the most, as of any DNS label.
const LABEL_CHARS_MAX: usize = 63;

/// Characters of a service account's name at the most, as of any DNS name.
const SUBDOMAIN_CHARS_MAX: usize = 253;

/// Reads the name of an RBAC object: anything that can be one part of a path.
pub(super) fn object(node: &Node) -> Result<&str, Flaw> {
    let allowed = "a name is neither `.` nor `..` and has no `/` and no `%`";
    checked(node, |name| !matches!(name, "" | "." | "..") && !name.contains(['/', '%']), allowed)
}

/// Reads the name of a namespace.
pub(super) fn namespace(node: &Node) -> Result<&str, Flaw> {
    let allowed = "a namespace has at most 63 lower-case letters, digits and inner hyphens";
    checked(node, is_namespace, allowed)
}

/// Whether a namespace can have this name.
pub(crate) fn is_namespace(name: &str) -> bool {
    name.len() <= LABEL_CHARS_MAX && is_label(name)
}

/// Reads the name of a service account.
pub(super) fn service_account(node: &Node) -> Result<&str, Flaw> {
    let allowed = "a service account has at most 253 lower-case letters, digits, and inner hyphens and dots";
    checked(node, |name| name.len() <= SUBDOMAIN_CHARS_MAX && name.split('.').all(is_label), allowed)
}

fn checked<'n>(
    node: &'n Node,
    is_name: impl Fn(&str) -> bool,
    allowed: &'static str,
) -> Result<&'n str, Flaw> {
    let name = text(node)?;
    if is_name(name) { Ok(name) } else { Err(Flaw::new(node.at, Fault::value(name, allowed))) }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}
