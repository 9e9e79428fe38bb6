//! Whether a review asks to impersonate the proof itself.

use lanyard_api::{
    authz::{Attributes, ResourceAttributes},
    proof::EXTRA_KEY,
};

/// How often a name is percent-decoded. API servers do so once; what is encoded deeper is nothing that an honest client asks.
const DECODINGS_MAX: usize = 8;

/// The resource whose subresources are extra keys.
const RESOURCE: &str = "userextras";

/// What the API server asks about in place of every key, where a request impersonates several extra values: if that is allowed, it
/// asks about no single one (`isLargeExtra` of Kubernetes' constrained impersonation). Denied, it asks about each.
const EVERY_KEY: &str = "*";

/// Whether the review is about impersonating our extra key, or every key at once: with any of Kubernetes' verbs for it, in any letter
/// case and however percent-encoded, wherever in the attributes the key stands. The API group does not matter.
pub(crate) fn impersonates_the_proof(attributes: &Attributes) -> bool {
    match attributes {
        Attributes::Resource(asked) if begins_with_impersonate(&asked.verb) => names_the_key(asked),
        Attributes::Resource(_) | Attributes::NonResource { .. } => false,
    }
}

fn begins_with_impersonate(verb: &str) -> bool {
    let word = "impersonate";
    verb.as_bytes().get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
}

/// The key has a slash in it, so that a door may have split it between resource, subresource and name in several ways.
fn names_the_key(asked: &ResourceAttributes) -> bool {
    let resource = plain(&asked.resource);
    let (Some(resource), Some(subresource), Some(name)) =
        (resource, plain(&asked.subresource), plain(&asked.name))
    else {
        return true;
    };
    let Some(rest) = resource.strip_prefix(RESOURCE).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    else {
        return false;
    };
    let parts = [rest.trim_start_matches('/'), &subresource, &name];
    let path: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let is_key = |text: &str| {
        text.strip_prefix(EXTRA_KEY).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    path.first() == Some(&EVERY_KEY) || is_key(&path.join("/")) || parts.into_iter().any(is_key)
}

/// In lower case and decoded until nothing is left to decode; none where there is no end to it.
fn plain(text: &str) -> Option<String> {
    let mut plain = text.to_lowercase();
    for _ in 0..DECODINGS_MAX {
        match decoded(&plain) {
            Some(next) => plain = next.to_lowercase(),
            None => return Some(plain),
        }
    }
    None
}

/// Decoded once; none where there is nothing to decode. What is no UTF-8 cannot be the key, and becomes a mark.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    (bytes.len() < text.len()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(verb: &str, resource: &str, subresource: &str, name: &str) -> bool {
        impersonates_the_proof(&Attributes::Resource(ResourceAttributes {
            verb: verb.into(),
            group: "authentication.k8s.io".into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.into(),
            ..Default::default()
        }))
    }

    #[test]
    fn immunity_40_the_proof_is_recognized_in_any_letter_case_and_encoding() {
        let cases = [
            ("impersonate", "userextras", "lanyard.dev/proof", "value", true),
            ("impersonate", "userextras", "lanyard.dev/proof", "", true),
            ("impersonate", "userextras", "Lanyard.Dev/PROOF", "value", true),
            ("impersonate", "userextras", "lanyard.dev%2Fproof", "value", true),
            ("impersonate", "userextras", "lanyard.dev%2fpr%6Fof", "value", true),
            ("impersonate", "userextras", "lanyard.dev%252Fproof", "value", true),
            ("impersonate", "userextras", "%6C%61nyard.dev/%50roof", "value", true),
            ("impersonate", "userextras", "%25252525252525252525252F", "value", true),
            ("impersonate", "UserExtras", "lanyard.dev/proof", "value", true),
            ("impersonate", "userextras/lanyard.dev/proof", "", "", true),
            ("impersonate", "userextras/lanyard.dev", "proof", "", true),
            ("impersonate", "userextras", "lanyard.dev", "proof", true),
            ("impersonate", "userextras", "", "lanyard.dev/proof", true),
            ("Impersonate", "userextras", "lanyard.dev/proof", "value", true),
            ("impersonate:user-info", "userextras", "lanyard.dev/proof", "value", true),
            ("impersonate-on:user-info:list", "userextras", "lanyard.dev/proof", "", true),
            ("impersonate:user-info", "userextras", "*", "*", true),
            ("impersonate:user-info", "userextras", "*", "", true),
            ("impersonate:user-info", "userextras", "", "*", true),
            ("impersonate:user-info", "userextras/*", "", "", true),
            ("impersonate:user-info", "userextras", "%2A", "value", true),
            ("impersonate:user-info", "users", "*", "*", false),
            ("impersonate:user-info", "userextras", "arn", "*", false),
            ("impersonate:user-info", "userextras", "", "", false),
            ("get", "userextras", "*", "*", false),
            ("impersonate", "userextras", "arn", "value", false),
            ("impersonate", "userextras", "lanyard.dev/proofs", "value", false),
            ("impersonate", "userextras", "xlanyard.dev/proof", "value", false),
            ("impersonate", "userextras", "100%", "50%", false),
            ("impersonate", "users", "", "lanyard.dev/proof", false),
            ("impersonate", "userextrasx", "lanyard.dev/proof", "", false),
            ("get", "userextras", "lanyard.dev/proof", "value", false),
            ("imperson", "userextras", "lanyard.dev/proof", "value", false),
        ];
        for (verb, resource, subresource, name, expected) in cases {
            assert_eq!(
                ask(verb, resource, subresource, name),
                expected,
                "{verb} {resource} {subresource} {name}"
            );
        }
    }

    #[test]
    fn a_path_is_never_an_impersonation() {
        let path = "/userextras/lanyard.dev/proof".into();
        assert!(!impersonates_the_proof(&Attributes::NonResource { path, verb: "impersonate".into() }));
    }

    proptest! {
        #[test]
        fn however_the_key_is_cased_and_encoded_it_is_recognized(
            choices in prop::collection::vec(0..4u8, EXTRA_KEY.len()),
            verb in "impersonate[a-z:-]{0,12}",
        ) {
            let encoded: String = EXTRA_KEY.chars().zip(choices).map(|(char, choice)| match choice {
                0 => char.to_string(),
                1 => char.to_ascii_uppercase().to_string(),
                2 => format!("%{:02X}", u32::from(char)),
                _ => format!("%25{:02x}", u32::from(char.to_ascii_uppercase())),
            }).collect();
            prop_assert!(ask(&verb, "userextras", &encoded, "value"), "{}", encoded);
        }

        #[test]
        fn no_text_makes_the_comparison_panic(resource in "\\PC{0,20}", subresource in "[%0-9a-fA-F\\PC]{0,20}") {
            ask("impersonate", &resource, &subresource, "");
            ask("impersonate", "userextras", &subresource, &resource);
        }
    }
}
