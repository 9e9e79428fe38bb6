//! Tags of EKS's resources: clusters, access entries, identity-provider configurations and Pod Identity associations.

use std::collections::BTreeMap;

use lanyard_iam::shown;

/// Most tags of a resource (EKS).
pub const TAGS_MAX: usize = 50;
/// Longest tag key, in characters (EKS).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest tag value, in characters (EKS).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// What neither key nor value may begin with, in any letter case: AWS's own.
const RESERVED: &str = "aws:";

/// Why a resource cannot have these tags; none where it can.
#[must_use]
pub fn refusal(tags: &BTreeMap<String, String>) -> Option<String> {
    if tags.len() > TAGS_MAX {
        return Some(format!("a resource has at most {TAGS_MAX} tags, these are {}", tags.len()));
    }
    tags.iter().find_map(|(key, value)| refusal_of_key(key).or_else(|| refusal_of_value(key, value)))
}

fn refusal_of_key(key: &str) -> Option<String> {
    if !(1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count()) {
        return Some(format!("the tag key `{}` is not 1 to {TAG_KEY_CHARS_MAX} characters long", shown(key)));
    }
    refusal_of_text(key, key)
}

fn refusal_of_value(key: &str, value: &str) -> Option<String> {
    if value.chars().count() > TAG_VALUE_CHARS_MAX {
        return Some(format!("the value of tag `{key}` is longer than {TAG_VALUE_CHARS_MAX} characters"));
    }
    refusal_of_text(key, value)
}

fn refusal_of_text(key: &str, text: &str) -> Option<String> {
    if text.get(..RESERVED.len()).is_some_and(|head| head.eq_ignore_ascii_case(RESERVED)) {
        return Some(format!("the tag `{}` begins with `{RESERVED}`, which is reserved", shown(key)));
    }
    let has_control = text.chars().any(char::is_control);
    has_control.then(|| format!("the tag `{}` holds a control character", shown(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn tags_are_bounded_and_keep_off_what_is_awss_own() {
        let numbered = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        let cases = [
            (BTreeMap::new(), true),
            (one("team", "äpfel & birnen"), true),
            (one(&"ä".repeat(128), &"ä".repeat(256)), true),
            (one("xaws:team", "xaws:"), true),
            (numbered(50), true),
            (numbered(51), false),
            (one("", ""), false),
            (one(&"k".repeat(129), ""), false),
            (one("team", &"v".repeat(257)), false),
            (one("aws:team", ""), false),
            (one("AwS:team", ""), false),
            (one("team", "AWS:x"), false),
            (one("team\n", ""), false),
            (one("team", "a\u{0}"), false),
        ];
        for (tags, good) in cases {
            assert_eq!(refusal(&tags).is_none(), good, "{tags:?}");
        }
    }
}
