//! The namespaces of an access scope: names, or patterns such as `dev-*`.

/// A namespace, or a pattern in which `*` stands for any characters, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamespacePattern {
    source: Box<str>,
    is_pattern: bool,
}

impl NamespacePattern {
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.into(), is_pattern: source.contains('*') }
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether this namespace is meant. The empty name is no namespace, so that not even `*` means it.
    pub(crate) fn matches(&self, namespace: &str) -> bool {
        match (namespace.is_empty(), self.is_pattern) {
            (true, _) => false,
            (false, false) => *self.source == *namespace,
            (false, true) => wildcard_matches(&self.source, namespace),
        }
    }
}

/// Compares in at most pattern times text steps: only the last `*` is ever tried again.
fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_means_the_namespaces_that_its_stars_can_become() {
        let cases = [
            ("team-a", "team-a", true),
            ("team-a", "team-ab", false),
            ("team-a", "Team-a", false),
            ("dev-*", "dev-1", true),
            ("dev-*", "dev-", true),
            ("dev-*", "dev", false),
            ("dev-*", "my-dev-1", false),
            ("*-dev", "a-dev", true),
            ("*-dev", "a-dev-b", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*ab", "aab", true),
            ("**", "x", true),
            ("*", "x", true),
            ("*", "", false),
            ("", "", false),
            ("", "x", false),
        ];
        for (pattern, namespace, expected) in cases {
            assert_eq!(NamespacePattern::new(pattern).matches(namespace), expected, "{pattern} {namespace}");
        }
    }

    /// As plainly as the rule is said: a star is nothing, or one character and a star.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => model(rest, text),
            (Some((b'*', rest)), Some((_, after))) => model(rest, text) || model(pattern, after),
            (Some((p, rest)), Some((t, after))) => p == t && model(rest, after),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_the_rule_as_it_is_said(pattern in "[ab*]{0,8}", text in "[ab]{1,8}") {
            let compiled = NamespacePattern::new(&pattern);
            prop_assert_eq!(compiled.matches(&text), model(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
