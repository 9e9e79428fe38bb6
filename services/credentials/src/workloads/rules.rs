//! What a ServiceAccount and an issuer have to be.

use std::fmt;

use lanyard_api::{
    CallError,
    credentials::{ANNOTATION_PREFIX, IssuerDocuments, IssuerKey, ServiceAccount},
};
use lanyard_oidc::{ISSUER_BYTES_MAX, PublishedKey, PublishedKeys};

use crate::names::{is_namespace, is_service_account};

/// Longest uid. Kubernetes writes UUIDs, of 36.
const UID_BYTES_MAX: usize = 128;
/// Most annotations that matter; there are four.
const ANNOTATIONS_MAX: usize = 16;
/// Longest key of an annotation (Kubernetes: a prefix of 253, `/`, a name of 63).
const ANNOTATION_KEY_BYTES_MAX: usize = 317;
/// Longest value: far above a role's ARN, of at most 2048.
const ANNOTATION_VALUE_BYTES_MAX: usize = 4_096;

/// Which rule a ServiceAccount breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Namespace,
    Name,
    Uid,
    AnnotationsMax,
    AnnotationKey,
    AnnotationValue,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "its namespace is not 1 to 63 lower-case letters, digits and inner hyphens",
            Self::Name => "its name is not 1 to 253 lower-case letters, digits, and inner hyphens and dots",
            Self::Uid => "its uid is not 1 to 128 visible ASCII characters",
            Self::AnnotationsMax => "it has more than 16 annotations that begin with `eks.amazonaws.com/`",
            Self::AnnotationKey => {
                "an annotation is none that begins with `eks.amazonaws.com/`, or has a key of more than 317 bytes"
            }
            Self::AnnotationValue => "an annotation has a value of more than 4096 bytes, or with a NUL in it",
        })
    }
}

/// Holds a ServiceAccount against the rules.
pub(super) fn service_account(given: &ServiceAccount) -> Result<(), Broken> {
    let ServiceAccount { namespace, name, uid, annotations } = given;
    let rule = |holds: bool, broken| if holds { Ok(()) } else { Err(broken) };
    rule(is_namespace(namespace), Broken::Namespace)?;
    rule(is_service_account(name), Broken::Name)?;
    rule((1..=UID_BYTES_MAX).contains(&uid.len()) && is_visible(uid), Broken::Uid)?;
    rule(annotations.len() <= ANNOTATIONS_MAX, Broken::AnnotationsMax)?;
    let is_ours = |key: &String| {
        key.len() <= ANNOTATION_KEY_BYTES_MAX && key.starts_with(ANNOTATION_PREFIX) && is_visible(key)
    };
    rule(annotations.keys().all(is_ours), Broken::AnnotationKey)?;
    let is_short = |value: &String| value.len() <= ANNOTATION_VALUE_BYTES_MAX && !value.contains('\0');
    rule(annotations.values().all(is_short), Broken::AnnotationValue)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The keys of an issuer, and what there is to say of those that were left out.
pub(super) fn issuer(pushed: &IssuerDocuments) -> Result<(Vec<IssuerKey>, Vec<String>), CallError> {
    let IssuerDocuments { issuer_url, jwks } = pushed;
    if !(1..=ISSUER_BYTES_MAX).contains(&issuer_url.len()) || !is_visible(issuer_url) {
        let rule =
            "it has to be 1 to 1024 visible ASCII characters, as the API server's --service-account-issuer";
        return Err(CallError::invalid("issuer_url", "issuer_url", rule));
    }
    let set = PublishedKeys::parse(jwks.as_bytes())
        .map_err(|error| CallError::invalid("jwks", "jwks", error.to_string()))?;
    if set.tells_a_secret() {
        let rule = "the private half of a key is published with the others, or a shared secret: whoever has read it can sign \
                    as the cluster, so make a new key and serve the public half alone";
        return Err(CallError::invalid("jwks", "private_key", rule));
    }
    if set.keys.is_empty() {
        let rule = "no key in it can verify tokens, so that none would count any more: what was pushed before stays; serve \
                    at least one key";
        return Err(CallError::invalid("jwks", "no_keys", rule));
    }
    let skipped = set.skipped.iter().map(|key| {
        let kid = key.kid.as_deref().unwrap_or("without an id");
        format!("key `{}` is left out: {}", kid.escape_debug(), key.reason)
    });
    let skipped = skipped.collect();
    Ok((set.keys.into_iter().map(key).collect(), skipped))
}

fn key(published: PublishedKey) -> IssuerKey {
    let PublishedKey { kid, thumbprint, algorithms, jwk } = published;
    IssuerKey { kid, thumbprint, algorithms: algorithms.iter().map(ToString::to_string).collect(), jwk }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn account(change: impl FnOnce(&mut ServiceAccount)) -> ServiceAccount {
        let mut account = ServiceAccount {
            namespace: "team-a".to_owned(),
            name: "bot.v2".to_owned(),
            uid: "0b8e7c1c-0000-4000-8000-000000000000".to_owned(),
            annotations: BTreeMap::from([("eks.amazonaws.com/role-arn".to_owned(), "any text ä".to_owned())]),
        };
        change(&mut account);
        account
    }

    #[test]
    fn a_service_account_is_named_as_kubernetes_names_it_and_bounded() {
        let annotated = |key: &str, value: &str| {
            let one = (key.to_owned(), value.to_owned());
            account(|account| account.annotations = BTreeMap::from([one]))
        };
        let cases = [
            (account(|_| {}), None),
            (account(|account| account.annotations.clear()), None),
            (annotated("eks.amazonaws.com/x", &"v".repeat(4_096)), None),
            (account(|account| account.namespace = "Team".to_owned()), Some(Broken::Namespace)),
            (account(|account| account.namespace = "a/b".to_owned()), Some(Broken::Namespace)),
            (account(|account| account.namespace = "n".repeat(64)), Some(Broken::Namespace)),
            (account(|account| account.name = String::new()), Some(Broken::Name)),
            (account(|account| account.name = "a..b".to_owned()), Some(Broken::Name)),
            (account(|account| account.name = "n".repeat(254)), Some(Broken::Name)),
            (account(|account| account.uid = String::new()), Some(Broken::Uid)),
            (account(|account| account.uid = "a\nb".to_owned()), Some(Broken::Uid)),
            (annotated("example.com/x", "v"), Some(Broken::AnnotationKey)),
            (annotated("eks.amazonaws.com/ x", "v"), Some(Broken::AnnotationKey)),
            (annotated("eks.amazonaws.com/x", &"v".repeat(4_097)), Some(Broken::AnnotationValue)),
            (annotated("eks.amazonaws.com/x", "a\0b"), Some(Broken::AnnotationValue)),
            (
                account(|account| {
                    account.annotations =
                        (0..17).map(|n| (format!("eks.amazonaws.com/{n}"), String::new())).collect();
                }),
                Some(Broken::AnnotationsMax),
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(service_account(&given).err(), expected, "{given:?}");
        }
    }

    #[test]
    fn an_issuers_keys_are_public_usable_and_bounded() {
        const ED: &str =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}"#;
        let private = ED.replace(r#""kid":"a""#, r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#);
        let many = vec![ED; 101].join(",");
        let set = |keys: &str| format!(r#"{{"keys":[{keys}]}}"#);
        let cases = [
            ("https://issuer.example", set(ED), "ok"),
            ("kubernetes/serviceaccount", set(ED), "ok"),
            ("https://issuer.example", set(&format!(r#"{ED},{{"kty":"EC","crv":"P-192"}}"#)), "ok"),
            ("", set(ED), "issuer_url"),
            ("https://issuer example", set(ED), "issuer_url"),
            ("https://issuer.example", set(""), "no_keys"),
            ("https://issuer.example", set(r#"{"kty":"EC","crv":"P-192"}"#), "no_keys"),
            ("https://issuer.example", set(&format!("{ED},{private}")), "private_key"),
            ("https://issuer.example", set(r#"{"kty":"oct","k":"AAAA"}"#), "private_key"),
            ("https://issuer.example", set(&many), "jwks"),
            ("https://issuer.example", "{}".to_owned(), "jwks"),
            ("https://issuer.example", "<html>".to_owned(), "jwks"),
            ("https://issuer.example", format!("{}{}", set(ED), " ".repeat(256 * 1024)), "jwks"),
        ];
        for (issuer_url, jwks, expected) in cases {
            let pushed = IssuerDocuments { issuer_url: issuer_url.to_owned(), jwks };
            let found = match issuer(&pushed) {
                Ok(_) => "ok",
                Err(CallError::Invalid { rule, message, .. }) => {
                    assert!(!message.contains("nWGxne"), "{message}");
                    rule
                }
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{issuer_url} {:.200}", pushed.jwks);
        }
        let long = IssuerDocuments { issuer_url: "x".repeat(1_025), jwks: set(ED) };
        assert!(issuer(&long).is_err());
        let left_out = IssuerDocuments {
            issuer_url: "https://issuer.example".to_owned(),
            jwks: set(&format!(r#"{ED},{{"kty":"EC","crv":"P-192","kid":"old"}}"#)),
        };
        let (keys, notices) = issuer(&left_out).unwrap();
        assert_eq!((keys.len(), keys[0].algorithms.as_slice()), (1, ["EdDSA".to_owned()].as_slice()));
        assert!(notices[0].starts_with("key `old` is left out: its curve"), "{notices:?}");
    }
}
