//! The projected token of a pod, as the agent reads it: taken apart and held to its times, never verified.
//!
//! Whether a token is genuine only its cluster's keys tell, and these the other side has. So nothing that stands in a token opens
//! anything here: it is compared with what the kubelet says of the pod, and credentials are found by the hash of the whole text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lanyard_iam::TokenDigest;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

/// Longest token, in bytes. Kubernetes' have 1 to 1.5 KiB; names of 253 bytes each and an RSA-8192 signature stay below 4 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// What a ServiceAccount's `sub` begins with (Kubernetes, "Service account tokens").
const SUBJECT_PREFIX: &str = "system:serviceaccount:";

/// A token as it came, with what it claims.
#[derive(Clone)]
pub struct PodToken {
    text: SecretString,
    digest: TokenDigest,
    claims: PodClaims,
}

/// What a token says of itself. Nobody has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodClaims {
    /// The namespace of the ServiceAccount.
    pub namespace: String,
    /// Its name.
    pub service_account: String,
    /// The uid of the pod that the token is bound to, if it is bound to one.
    pub pod_uid: Option<String>,
    /// The name of that pod's node, if the token says it (KEP-4193, Kubernetes 1.30 on).
    pub node: Option<String>,
    /// Until when it counts.
    pub life: Life,
}

/// From when to when a token counts (RFC 7519 sections 4.1.4 and 4.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Not before this, where the token says so.
    pub not_before: Option<OffsetDateTime>,
    /// Not from this on.
    pub expires_at: OffsetDateTime,
}

impl Life {
    /// Whether a token of this life counts now. No leeway is given: API servers write `nbf` as the time of issue, and node and API
    /// server agree about the time closely or nothing else works.
    ///
    /// # Errors
    /// [`TokenError::Expired`] and [`TokenError::NotYet`].
    pub fn check(&self, now: OffsetDateTime) -> Result<(), TokenError> {
        if now >= self.expires_at {
            return Err(TokenError::Expired);
        }
        match self.not_before {
            Some(not_before) if now < not_before => Err(TokenError::NotYet),
            _ => Ok(()),
        }
    }
}

/// Why a text is no token that anybody could be asked about. Every one of them is status 400, as with the published agent; none
/// repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("Service account token cannot be empty: send the projected token as the Authorization header")]
    Empty,
    /// It is longer than any token.
    #[error("Service account token cannot be parsed: it has more than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// It is not three parts of base64url, or these hold no JSON; with a prefix such as `Bearer ` it is neither.
    #[error("Service account token cannot be parsed: it is no JWT; send the token alone, without a prefix")]
    Form,
    /// It lacks `sub` or `exp`, or these are none.
    #[error("Service account token cannot be parsed: it is no token of a ServiceAccount with an end")]
    Claims,
    /// Its time is over.
    #[error("Service account token is expired: read the token's file anew for each request")]
    Expired,
    /// Its time has not come.
    #[error("Service account token is not valid yet: see whether the node's clock is right")]
    NotYet,
}

impl TokenError {
    /// A stable name, for logs.
    #[must_use]
    pub fn reason_code(self) -> &'static str {
        match self {
            Self::Empty => "token_empty",
            Self::TooLong => "token_too_long",
            Self::Form => "token_form",
            Self::Claims => "token_claims",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
        }
    }
}

impl PodToken {
    /// Takes a token apart: form, claims, and whether its time is now. The signature is not looked at.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(text: &str, now: OffsetDateTime) -> Result<Self, TokenError> {
        let claims = claims(text)?;
        claims.life.check(now)?;
        Ok(Self { digest: TokenDigest::of(text), text: SecretString::from(text), claims })
    }

    /// The SHA-256 of its text.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        self.digest
    }

    /// What it claims.
    #[must_use]
    pub fn claims(&self) -> &PodClaims {
        &self.claims
    }

    /// The text, for the one who can verify it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for PodToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PodToken({})", self.digest)
    }
}

fn claims(text: &str) -> Result<PodClaims, TokenError> {
    if text.is_empty() {
        return Err(TokenError::Empty);
    }
    if text.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let mut parts = text.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Form);
    };
    let _: Header<'_> = serde_json::from_slice(&decoded(header)?).map_err(|_| TokenError::Form)?;
    if decoded(signature)?.is_empty() {
        return Err(TokenError::Form);
    }
    let payload = decoded(payload)?;
    // A payload that is JSON but lacks something is a JWT, and no token of a ServiceAccount.
    let _: IgnoredAny = serde_json::from_slice(&payload).map_err(|_| TokenError::Form)?;
    let payload: Payload<'_> = serde_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
    payload.claims().ok_or(TokenError::Claims)
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    // RFC 7515 has no padding; the EKS Auth model's pattern lets it pass, and some encoders write it.
    URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| TokenError::Form)
}

/// The header has to be one; what it says about algorithm and key is for who verifies.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(rename = "alg", borrow)]
    _alg: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    sub: Cow<'a, str>,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(rename = "kubernetes.io", borrow, default)]
    kubernetes: Option<Kubernetes<'a>>,
}

#[derive(Deserialize)]
struct Kubernetes<'a> {
    #[serde(borrow, default)]
    pod: Option<Bound<'a>>,
    #[serde(borrow, default)]
    node: Option<Bound<'a>>,
}

#[derive(Deserialize)]
struct Bound<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
}

impl Payload<'_> {
    fn claims(self) -> Option<PodClaims> {
        // The subject is what the issuer is asked about; the names inside `kubernetes.io` say the same once more.
        let (namespace, service_account) = self.sub.strip_prefix(SUBJECT_PREFIX)?.split_once(':')?;
        if namespace.is_empty() || service_account.is_empty() || service_account.contains(':') {
            return None;
        }
        let (pod, node) = self.kubernetes.map_or((None, None), |claim| (claim.pod, claim.node));
        Some(PodClaims {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            pod_uid: pod.map(|pod| pod.uid.into_owned()).filter(|uid| !uid.is_empty()),
            node: node.map(|node| node.name.into_owned()).filter(|name| !name.is_empty()),
            life: Life {
                not_before: match self.nbf {
                    Some(seconds) => Some(moment(seconds)?),
                    None => None,
                },
                expires_at: moment(self.exp)?,
            },
        })
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, which may have a fraction, that is cut off.
fn moment(seconds: f64) -> Option<OffsetDateTime> {
    /// The end of the year 9999, beyond which no time can be told.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return None;
    }
    OffsetDateTime::from_unix_timestamp(seconds as i64).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    /// A token of these claims, signed by nobody.
    pub(crate) fn unsigned(payload: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "kid": "k" })), part(payload))
    }

    /// The claims of a pod's projected token, good for an hour.
    pub(crate) fn payload(uid: &str) -> Value {
        json!({
            "aud": ["pods.eks.amazonaws.com"],
            "exp": NOW.unix_timestamp() + 3600,
            "nbf": NOW.unix_timestamp(),
            "iss": "https://issuer.example",
            "sub": "system:serviceaccount:shop:cart",
            "kubernetes.io": {
                "namespace": "shop",
                "serviceaccount": { "name": "cart", "uid": "sa-1" },
                "pod": { "name": "cart-0", "uid": uid },
                "node": { "name": "node-a", "uid": "n-1" },
            },
        })
    }

    fn with(key: &str, value: Value) -> String {
        let mut payload = payload("pod-1");
        payload[key] = value;
        unsigned(&payload)
    }

    #[test]
    fn a_projected_token_says_which_pod_it_is_of() {
        let text = unsigned(&payload("pod-1"));
        let token = PodToken::parse(&text, NOW).unwrap();
        let claims = token.claims();
        assert_eq!((claims.namespace.as_str(), claims.service_account.as_str()), ("shop", "cart"));
        assert_eq!((claims.pod_uid.as_deref(), claims.node.as_deref()), (Some("pod-1"), Some("node-a")));
        assert_eq!(token.digest(), TokenDigest::of(&text));
        assert_eq!(token.expose(), text);
        assert!(!format!("{token:?}").contains(&text[..20]));
    }

    #[test]
    fn a_token_is_held_to_its_form_its_claims_and_its_times() {
        let good = unsigned(&payload("pod-1"));
        let (header, rest) = good.split_once('.').unwrap();
        let (body, _) = rest.split_once('.').unwrap();
        let long = "a".repeat(TOKEN_BYTES_MAX + 1);
        let now = NOW.unix_timestamp();
        let cases = [
            (String::new(), TokenError::Empty),
            (long, TokenError::TooLong),
            (format!("Bearer {good}"), TokenError::Form),
            (format!("{good}\n"), TokenError::Form),
            (format!("{header}.{body}"), TokenError::Form),
            (format!("{header}.{body}."), TokenError::Form),
            (format!("{good}.x"), TokenError::Form),
            (format!("{header}.bm8.eA"), TokenError::Form),
            (format!("bm8.{body}.eA"), TokenError::Form),
            (unsigned(&json!([1])), TokenError::Claims),
            (unsigned(&json!({ "exp": now + 9 })), TokenError::Claims),
            (with("exp", Value::Null), TokenError::Claims),
            (with("exp", json!("tomorrow")), TokenError::Claims),
            (with("exp", json!(1e300)), TokenError::Claims),
            (with("exp", json!(-1)), TokenError::Claims),
            (with("sub", json!("ana")), TokenError::Claims),
            (with("sub", json!("system:serviceaccount:shop")), TokenError::Claims),
            (with("sub", json!("system:serviceaccount:shop:cart:x")), TokenError::Claims),
            (with("exp", json!(now)), TokenError::Expired),
            (with("nbf", json!(now + 1)), TokenError::NotYet),
        ];
        for (text, refused) in cases {
            assert_eq!(PodToken::parse(&text, NOW).unwrap_err(), refused, "{}", &text[..text.len().min(99)]);
        }
        for text in
            [with("exp", json!(now as f64 + 0.5 + 1.0)), with("nbf", Value::Null), format!("{good}==")]
        {
            assert!(PodToken::parse(&text, NOW).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_token_without_a_pod_is_bound_to_none() {
        let token = PodToken::parse(&with("kubernetes.io", Value::Null), NOW).unwrap();
        assert_eq!((&token.claims().pod_uid, &token.claims().node), (&None, &None));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_in_one_line(text in "\\PC{0,300}|[A-Za-z0-9_=.-]{0,300}") {
            if let Err(error) = PodToken::parse(&text, NOW) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }

        #[test]
        fn what_is_claimed_is_read_back(uid in "[a-z0-9-]{1,40}", sa in "[a-z0-9.-]{1,40}", exp in 1i64..9_000_000) {
            let mut payload = payload(&uid);
            payload["sub"] = json!(format!("system:serviceaccount:shop:{sa}"));
            payload["exp"] = json!(NOW.unix_timestamp() + exp);
            let token = PodToken::parse(&unsigned(&payload), NOW).unwrap();
            prop_assert_eq!(token.claims().pod_uid.as_deref(), Some(uid.as_str()));
            prop_assert_eq!(&token.claims().service_account, &sa);
            prop_assert_eq!(token.claims().life.expires_at, NOW + time::Duration::seconds(exp));
        }
    }
}
