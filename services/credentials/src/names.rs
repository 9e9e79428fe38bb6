//! How Kubernetes names namespaces and ServiceAccounts.

/// Longest namespace (Kubernetes: a DNS label).
const NAMESPACE_BYTES_MAX: usize = 63;
/// Longest name (Kubernetes: a DNS subdomain).
const NAME_BYTES_MAX: usize = 253;

/// Whether it can be a namespace's name.
pub(crate) fn is_namespace(text: &str) -> bool {
    text.len() <= NAMESPACE_BYTES_MAX && is_label(text)
}

/// Whether it can be a ServiceAccount's name.
pub(crate) fn is_service_account(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_subdomains() {
        let (label, over) = ("n".repeat(63), "n".repeat(64));
        let cases = [
            ("team-a", true, true),
            ("0", true, true),
            (label.as_str(), true, true),
            (over.as_str(), false, true),
            ("bot.v2", false, true),
            ("Team", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a..b", false, false),
            ("a/b", false, false),
            ("a_b", false, false),
            ("ä", false, false),
            ("", false, false),
        ];
        for (text, namespace, service_account) in cases {
            assert_eq!(is_namespace(text), namespace, "{text}");
            assert_eq!(is_service_account(text), service_account, "{text}");
        }
        assert!(is_service_account(&"n".repeat(253)) && !is_service_account(&"n".repeat(254)));
    }
}
