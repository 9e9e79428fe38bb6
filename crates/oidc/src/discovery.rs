//! What an issuer says about itself (OpenID Connect Discovery section 3), as far as it is used: whose it is, and where its
//! keys are.

use lanyard_kit::json::{Bounds, JsonFault, read_object};
use serde_json::Value;
use url::Url;

use crate::fault::OidcFault;
use crate::shown::shown;

/// Discovery documents are flat, with long lists of what is supported.
const BOUNDS: Bounds = Bounds { depth_max: 8, items_max: 1_000 };

/// Longest address of a key set, in bytes.
const KEYS_URL_BYTES_MAX: usize = 2048;

/// Finds the address of the keys in the discovery document of an issuer.
pub(crate) fn keys_url(document: &[u8], issuer: &str) -> Result<Url, OidcFault> {
    let members = read_object(document, BOUNDS).map_err(|fault| {
        OidcFault::Discovery(match fault {
            JsonFault::Syntax | JsonFault::NotAnObject => "is not a JSON object",
            JsonFault::Duplicate(_) => "has a member twice",
            JsonFault::TooDeep(_) | JsonFault::TooMany(_) => {
                "is nested too deep, or has a list that is too long"
            }
        })
    })?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let found = text("issuer").ok_or(OidcFault::Discovery("does not name its issuer"))?;
    if found != issuer {
        return Err(OidcFault::OtherIssuer { found: shown(found), expected: shown(issuer) });
    }
    let written =
        text("jwks_uri").ok_or(OidcFault::Discovery("does not say where the keys are (`jwks_uri`)"))?;
    let refused = |rule| OidcFault::KeysUrl { url: shown(written), rule };
    if written.len() > KEYS_URL_BYTES_MAX {
        return Err(refused("that is longer than 2048 bytes"));
    }
    let url = Url::parse(written).map_err(|_| refused("that is not a URL"))?;
    if url.scheme() != "https" {
        return Err(refused("keys are fetched by https alone"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("URLs with a user or a password are not called"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer.example/a";

    #[test]
    fn a_discovery_document_is_its_own_issuers_and_says_where_the_keys_are() {
        let long = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"https://{}.example/"}}"#, "a".repeat(2048));
        let cases = [
            (long.as_str(), "issuer_keys_url"),
            (r#"{"issuer":"https://issuer.example/a","jwks_uri":"https://issuer.example/keys?v=1"}"#, "ok"),
            (r#"{"jwks_uri":"https://keys.example/","issuer":"https://issuer.example/a","x":[{}]}"#, "ok"),
            (
                r#"{"issuer":"https://issuer.example/a/","jwks_uri":"https://issuer.example/"}"#,
                "issuer_mismatch",
            ),
            (
                r#"{"issuer":"https://Issuer.example/a","jwks_uri":"https://issuer.example/"}"#,
                "issuer_mismatch",
            ),
            (r#"{"issuer":"https://evil.example","jwks_uri":"https://issuer.example/"}"#, "issuer_mismatch"),
            (r#"{"jwks_uri":"https://issuer.example/"}"#, "issuer_discovery"),
            (
                r#"{"issuer":["https://issuer.example/a"],"jwks_uri":"https://issuer.example/"}"#,
                "issuer_discovery",
            ),
            (r#"{"issuer":"https://issuer.example/a"}"#, "issuer_discovery"),
            (r#"{"issuer":"https://issuer.example/a","jwks_uri":7}"#, "issuer_discovery"),
            (r#"{"issuer":"https://issuer.example/a","jwks_uri":"/keys"}"#, "issuer_keys_url"),
            (
                r#"{"issuer":"https://issuer.example/a","jwks_uri":"http://issuer.example/"}"#,
                "issuer_keys_url",
            ),
            (r#"{"issuer":"https://issuer.example/a","jwks_uri":"file:///etc/keys"}"#, "issuer_keys_url"),
            (
                r#"{"issuer":"https://issuer.example/a","jwks_uri":"https://u@issuer.example/"}"#,
                "issuer_keys_url",
            ),
            (
                r#"{"issuer":"https://issuer.example/a","issuer":"https://issuer.example/a","jwks_uri":"https://a.example"}"#,
                "issuer_discovery",
            ),
            (r#"{"issuer":"https://issuer.example/a","jwks_u"#, "issuer_discovery"),
            ("[]", "issuer_discovery"),
            ("<html>", "issuer_discovery"),
            ("", "issuer_discovery"),
        ];
        for (document, expected) in cases {
            let found = keys_url(document.as_bytes(), ISSUER).map_or_else(|fault| fault.code(), |_| "ok");
            assert_eq!(found, expected, "{document}");
        }
    }

    #[test]
    fn a_fault_shows_what_the_issuer_said_short_and_on_one_line() {
        let evil = format!(r#"{{"issuer":"a\n\u001b[31m{}"}}"#, "b".repeat(500));
        let message = keys_url(evil.as_bytes(), ISSUER).unwrap_err().to_string();
        assert!(message.len() < 300 && !message.contains(['\n', '\u{1b}']), "{message}");
    }
}
