//! One key of an issuer (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2), as far as it can verify signatures.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::jwt::KID_BYTES_MAX;

/// Shortest RSA modulus, in bits (RFC 7518 section 3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// Longest RSA modulus, in bits: verifying costs more with each, and no issuer has one.
pub const RSA_BITS_MAX: usize = 8192;
/// Members that only private keys have, and `k`, which is a shared secret.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// Why a key of a key set is left out. The set is used without it (RFC 7517 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// No object, or no `kty` that is known here.
    KeyType,
    /// A shared secret (`oct`), or the private half of a key: whoever reads the set can sign with it.
    Private,
    /// `use` is not `sig`.
    Use,
    /// `key_ops` is no list with `verify` in it.
    KeyOps,
    /// `alg` is none of the known algorithms.
    Algorithm,
    /// `alg` is not for keys of this type or curve.
    AlgorithmOfOtherType,
    /// A curve that is not known here.
    Curve,
    /// `kid` is not text of a sensible length.
    KeyId,
    /// RSA with fewer than [`RSA_BITS_MIN`] bits.
    TooShort,
    /// RSA with more than [`RSA_BITS_MAX`] bits.
    TooLong,
    /// A number that is missing, no base64url, of the wrong length, or no key.
    Malformed,
}

impl SkipReason {
    /// A stable name, in snake case.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::KeyType => "key_type",
            Self::Private => "private",
            Self::Use => "use",
            Self::KeyOps => "key_ops",
            Self::Algorithm => "algorithm",
            Self::AlgorithmOfOtherType => "algorithm_of_other_type",
            Self::Curve => "curve",
            Self::KeyId => "key_id",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyType => "its type is not RSA, EC or OKP",
            Self::Private => "the private half is published with it, make a new key",
            Self::Use => "it is not for signatures",
            Self::KeyOps => "it is not for verifying",
            Self::Algorithm => "its algorithm is not known",
            Self::AlgorithmOfOtherType => "its algorithm is one for keys of another type",
            Self::Curve => "its curve is not P-256, P-384, P-521 or Ed25519",
            Self::KeyId => "its id is not text of a sensible length",
            Self::TooShort => "it has fewer than 2048 bits",
            Self::TooLong => "it has more than 8192 bits",
            Self::Malformed => "its numbers are not those of a key",
        })
    }
}

/// A public key, parsed once for each algorithm that it may verify.
pub(crate) struct Key {
    pub(crate) kid: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

impl Key {
    /// Reads a key that can verify signatures.
    pub(crate) fn read(jwk: &Value) -> Result<Self, SkipReason> {
        let jwk = jwk.as_object().ok_or(SkipReason::KeyType)?;
        let kty = jwk.get("kty").and_then(Value::as_str).ok_or(SkipReason::KeyType)?;
        if kty == "oct" || PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member)) {
            return Err(SkipReason::Private);
        }
        if !matches!(kty, "RSA" | "EC" | "OKP") {
            return Err(SkipReason::KeyType);
        }
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return Err(SkipReason::Use);
        }
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.get("key_ops").is_some_and(|ops| !verifies(ops)) {
            return Err(SkipReason::KeyOps);
        }
        let own = match jwk.get("alg") {
            None => None,
            Some(alg) => Some(alg.as_str().and_then(Algorithm::parse).ok_or(SkipReason::Algorithm)?),
        };
        let verifiers = match kty {
            "RSA" => rsa(jwk, own)?,
            "EC" => vec![curve(jwk, own)?],
            _ => vec![edwards(jwk, own)?],
        };
        Ok(Self { kid: kid_of(jwk)?, verifiers })
    }

    /// What it may verify.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// The key as it verifies signatures of an algorithm, if its type, curve and own `alg` permit that.
    pub(crate) fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(of, _)| *of == algorithm).map(|(_, key)| key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<Algorithm> = self.algorithms().collect();
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &algorithms).finish()
    }
}

/// The key's id as it is written, whatever else is wrong with the key.
pub(crate) fn kid_of(jwk: &Map<String, Value>) -> Result<Option<String>, SkipReason> {
    match jwk.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if (1..=KID_BYTES_MAX).contains(&kid.len()) => Ok(Some(kid.clone())),
        Some(_) => Err(SkipReason::KeyId),
    }
}

/// One key for each algorithm that it may be for: its own alone where it names one, all six where it names none.
fn rsa(
    jwk: &Map<String, Value>,
    own: Option<Algorithm>,
) -> Result<Vec<(Algorithm, ParsedPublicKey)>, SkipReason> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    // Some libraries write the zero that DER needs before a high bit, against RFC 7518 section 6.3.1.1.
    let n = n.iter().position(|byte| *byte != 0).and_then(|start| n.get(start..)).unwrap_or_default();
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if bits < RSA_BITS_MIN {
        return Err(SkipReason::TooShort);
    }
    if bits > RSA_BITS_MAX {
        return Err(SkipReason::TooLong);
    }
    let e = odd_exponent(&e)?;
    let permitted = RSA.iter().filter(|(algorithm, _)| own.is_none_or(|own| own == *algorithm));
    let components = RsaPublicKeyComponents { n, e: &e[..] };
    let verifiers: Vec<_> = permitted
        .map(|(algorithm, parameters)| {
            let key = components.to_parsed_public_key(parameters).map_err(|_| SkipReason::Malformed)?;
            Ok((*algorithm, key))
        })
        .collect::<Result<_, _>>()?;
    if verifiers.is_empty() { Err(SkipReason::AlgorithmOfOtherType) } else { Ok(verifiers) }
}

/// The exponent without leading zeros. With 1, anything would be its own signature; beyond 32 bits nobody is, and
/// verifying gets slow.
fn odd_exponent(e: &[u8]) -> Result<Vec<u8>, SkipReason> {
    let e: Vec<u8> = e.iter().copied().skip_while(|byte| *byte == 0).collect();
    let odd = e.last().is_some_and(|last| last % 2 == 1);
    if odd && e.len() <= 4 && e != [1] { Ok(e) } else { Err(SkipReason::Malformed) }
}

/// A point on one of the three curves, each of which has one algorithm (RFC 7518 section 3.4).
fn curve(
    jwk: &Map<String, Value>,
    own: Option<Algorithm>,
) -> Result<(Algorithm, ParsedPublicKey), SkipReason> {
    let (algorithm, parameters, bytes): (_, &'static dyn VerificationAlgorithm, _) =
        match jwk.get("crv").and_then(Value::as_str) {
            Some("P-256") => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
            Some("P-384") => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
            Some("P-521") => (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED, 66),
            _ => return Err(SkipReason::Curve),
        };
    if own.is_some_and(|own| own != algorithm) {
        return Err(SkipReason::AlgorithmOfOtherType);
    }
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    // Each as long as the curve's field, zeros before it (section 6.2.1.2).
    if x.len() != bytes || y.len() != bytes {
        return Err(SkipReason::Malformed);
    }
    let mut point = Vec::with_capacity(1 + 2 * bytes);
    point.push(4); // uncompressed (SEC 1, section 2.3.3)
    point.extend_from_slice(&x);
    point.extend_from_slice(&y);
    let key = ParsedPublicKey::new(parameters, point).map_err(|_| SkipReason::Malformed)?;
    Ok((algorithm, key))
}

/// Ed25519 (RFC 8037 section 2); X25519 and the others are not used.
fn edwards(
    jwk: &Map<String, Value>,
    own: Option<Algorithm>,
) -> Result<(Algorithm, ParsedPublicKey), SkipReason> {
    if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err(SkipReason::Curve);
    }
    if own.is_some_and(|own| own != Algorithm::EdDsa) {
        return Err(SkipReason::AlgorithmOfOtherType);
    }
    let x = number(jwk, "x")?;
    if x.len() != 32 {
        return Err(SkipReason::Malformed);
    }
    let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| SkipReason::Malformed)?;
    Ok((Algorithm::EdDsa, key))
}

fn number(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, SkipReason> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(SkipReason::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| SkipReason::Malformed)
}
