//! The keys of an issuer as others may have them: public members alone, in one form, each with its thumbprint.
//!
//! [`crate::Jwks`] is for verifying; this is for who keeps an issuer's keys, gives them out again, or has to see that two
//! issuers share one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::jwk::{Key, SkipReason, kid_of};
use crate::jwks::{JwksError, SkippedKey, key_list};

/// A public key of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its id, where it has one.
    pub kid: Option<String>,
    /// SHA-256 of its required members (RFC 7638), in base64url: the same for one key however it was written.
    pub thumbprint: String,
    /// What it may verify.
    pub algorithms: Vec<Algorithm>,
    /// The key as a JWK with public members alone, written the same way each time.
    pub jwk: String,
}

/// The keys of an issuer, and those that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedKeys {
    /// In the order of the document.
    pub keys: Vec<PublishedKey>,
    /// Keys that cannot verify tokens.
    pub skipped: Vec<SkippedKey>,
}

impl PublishedKeys {
    /// Reads a key set, by the rules and limits of [`crate::Jwks::parse`].
    ///
    /// # Errors
    /// [`JwksError`] when it is no key set, or too big to be an honest one.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let mut set = Self::default();
        for jwk in key_list(document)? {
            match Key::read(&jwk).and_then(|key| published(&jwk, &key)) {
                Ok(key) => set.keys.push(key),
                Err(reason) => {
                    let kid = jwk.as_object().and_then(|jwk| kid_of(jwk).ok()).flatten();
                    set.skipped.push(SkippedKey { kid, reason });
                }
            }
        }
        Ok(set)
    }

    /// Whether the private half of a key, or a shared secret, is published with the others: who has read the document can
    /// sign as the issuer.
    #[must_use]
    pub fn tells_a_secret(&self) -> bool {
        self.skipped.iter().any(|key| key.reason == SkipReason::Private)
    }
}

/// The public members of a key that was read.
fn published(jwk: &Value, key: &Key) -> Result<PublishedKey, SkipReason> {
    let jwk = jwk.as_object().ok_or(SkipReason::KeyType)?;
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(SkipReason::Malformed);
    let kty = text("kty")?;
    // In the order of RFC 7638 section 3.2, which is that of the map's keys.
    let mut members: BTreeMap<&str, Value> = BTreeMap::from([("kty", kty.into())]);
    let required: &[&str] = match kty {
        "RSA" => {
            members.insert("e", minimal(text("e")?)?.into());
            members.insert("n", minimal(text("n")?)?.into());
            &[]
        }
        "EC" => &["crv", "x", "y"],
        _ => &["crv", "x"],
    };
    for member in required {
        members.insert(member, text(member)?.into());
    }
    let canonical = serde_json::to_vec(&members).map_err(|_| SkipReason::Malformed)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical);
    members.insert("use", "sig".into());
    for member in ["alg", "kid"] {
        if let Some(value) = jwk.get(member) {
            members.insert(member, value.clone());
        }
    }
    Ok(PublishedKey {
        kid: key.kid.clone(),
        thumbprint: URL_SAFE_NO_PAD.encode(digest),
        algorithms: key.algorithms().collect(),
        jwk: serde_json::to_string(&members).map_err(|_| SkipReason::Malformed)?,
    })
}

/// A number without leading zeros (RFC 7518 section 2, Base64urlUInt): some libraries write them.
fn minimal(text: &str) -> Result<String, SkipReason> {
    let number = URL_SAFE_NO_PAD.decode(text).map_err(|_| SkipReason::Malformed)?;
    let start = number.iter().position(|byte| *byte != 0).ok_or(SkipReason::Malformed)?;
    Ok(URL_SAFE_NO_PAD.encode(number.get(start..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Jwks;

    /// The key of RFC 7638 section 3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                     oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
                     ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
                     kEgU8awapJzKnqDKgw";
    const THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn parse(keys: Value) -> PublishedKeys {
        PublishedKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_has_the_thumbprint_of_the_rfc_however_it_is_written() {
        let padded = URL_SAFE_NO_PAD.encode([vec![0], URL_SAFE_NO_PAD.decode(N).unwrap()].concat());
        let cases = [
            json!({ "kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" }),
            json!({ "kid": "other", "e": "AQAB", "n": N, "kty": "RSA", "use": "sig", "x5c": ["AA"] }),
            json!({ "kty": "RSA", "n": padded, "e": "AAEAAQ" }),
        ];
        for key in cases {
            let read = parse(json!([key]));
            assert_eq!(read.keys.first().map(|key| key.thumbprint.as_str()), Some(THUMBPRINT), "{key}");
            let again = parse(json!([serde_json::from_str::<Value>(&read.keys[0].jwk).unwrap()]));
            assert_eq!(again, read, "its own form reads back");
            assert!(!read.keys[0].jwk.contains("x5c"));
        }
        // RFC 8037 appendix A.3.
        let edwards = parse(json!([{ "kty": "OKP", "crv": "Ed25519", "x": X }]));
        assert_eq!(edwards.keys[0].thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_private_half_is_told_and_none_of_it_kept() {
        let set = parse(json!([
            { "kty": "OKP", "crv": "Ed25519", "x": X, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "kid": "leaky" },
            { "kty": "OKP", "crv": "Ed25519", "x": X },
        ]));
        assert!(set.tells_a_secret());
        assert_eq!((set.keys.len(), set.skipped[0].kid.as_deref()), (1, Some("leaky")));
        assert!(!format!("{set:?}").contains("nWGxne"));
        assert!(!parse(json!([{ "kty": "RSA", "n": "AQ", "e": "AQAB" }])).tells_a_secret());
    }

    proptest! {
        #[test]
        fn what_is_published_is_what_verifies(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (published, verifying) = (PublishedKeys::parse(&bytes), Jwks::parse(&bytes));
            prop_assert_eq!(published.map(|set| set.keys.len()), verifying.map(|set| set.len()));
        }
    }
}
