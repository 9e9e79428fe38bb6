//! A key pair of an issuer of one's own, and the tokens that it signs.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// Characters of a line of PEM (RFC 7468 section 2).
const PEM_LINE_CHARS: usize = 64;

/// Why there is no key pair, or no token by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyPairError {
    /// The system gives no random bytes, or the crypto library refuses its work.
    #[error("no key pair can be made: the system gives no random bytes")]
    Generate,
    /// What was kept is no private key.
    #[error("the private key is no RSA key in PKCS #8")]
    Unreadable,
    /// The crypto library refuses its work.
    #[error("the token cannot be signed")]
    Sign,
}

/// An RSA key pair of 2048 bits for RS256, which every verifier of ServiceAccount tokens knows, AWS's included.
pub struct IssuerKeyPair {
    kid: String,
    pair: RsaKeyPair,
}

impl IssuerKeyPair {
    /// Makes one. It takes some hundred milliseconds of CPU.
    ///
    /// # Errors
    /// [`KeyPairError::Generate`]
    pub fn generate() -> Result<Self, KeyPairError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyPairError::Generate)?;
        Self::of(pair)
    }

    /// Reads one that was kept.
    ///
    /// # Errors
    /// [`KeyPairError::Unreadable`]
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyPairError> {
        Self::of(RsaKeyPair::from_pkcs8(der).map_err(|_| KeyPairError::Unreadable)?)
    }

    fn of(pair: RsaKeyPair) -> Result<Self, KeyPairError> {
        let spki = public_der(&pair)?;
        // As kube-apiserver names its keys (`keyIDFromPublicKey`), so that the id is known before it has signed anything.
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &spki));
        Ok(Self { kid, pair })
    }

    /// The id by which tokens name the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK.
    #[must_use]
    pub fn jwk(&self) -> String {
        let key = self.pair.public_key();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({
            "kty": "RSA",
            "n": encode(key.modulus().big_endian_without_leading_zero()),
            "e": encode(key.exponent().big_endian_without_leading_zero()),
            "kid": self.kid,
            "use": "sig",
            "alg": "RS256",
        });
        jwk.to_string()
    }

    /// The private half (PKCS #8, DER). Secret.
    ///
    /// # Errors
    /// [`KeyPairError::Unreadable`] where the crypto library does not give it.
    pub fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyPairError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyPairError::Unreadable)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The private half as kube-apiserver takes it (`--service-account-signing-key-file`). Secret.
    ///
    /// # Errors
    /// As [`Self::pkcs8`].
    pub fn private_pem(&self) -> Result<Zeroizing<String>, KeyPairError> {
        Ok(Zeroizing::new(pem("PRIVATE KEY", &self.pkcs8()?)))
    }

    /// The public half as kube-apiserver takes it (`--service-account-key-file`).
    ///
    /// # Errors
    /// [`KeyPairError::Unreadable`] where the crypto library does not give it.
    pub fn public_pem(&self) -> Result<String, KeyPairError> {
        Ok(pem("PUBLIC KEY", &public_der(&self.pair)?))
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// [`KeyPairError::Sign`]
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, KeyPairError> {
        let header = json!({ "alg": "RS256", "kid": self.kid, "typ": "JWT" });
        let claims = serde_json::to_vec(claims).map_err(|_| KeyPairError::Sign)?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let input = format!("{}.{}", encode(header.to_string().as_bytes()), encode(&claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed =
            self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature);
        signed.map_err(|_| KeyPairError::Sign)?;
        Ok(format!("{input}.{}", encode(&signature)))
    }
}

impl fmt::Debug for IssuerKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKeyPair({})", self.kid)
    }
}

fn public_der(pair: &RsaKeyPair) -> Result<Vec<u8>, KeyPairError> {
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyPairError::Unreadable)?;
    Ok(der.as_ref().to_vec())
}

/// The textual form of RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut written = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(PEM_LINE_CHARS.min(rest.len()));
        written.push_str(line);
        written.push('\n');
        rest = after;
    }
    written.push_str(&format!("-----END {label}-----\n"));
    written
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::{Algorithm, Expected, Jwks, Jwt, PublishedKeys, verify};

    #[test]
    fn a_token_is_verified_by_the_public_half_and_the_key_survives_being_kept() {
        let made = IssuerKeyPair::generate().unwrap();
        let kept = IssuerKeyPair::from_pkcs8(&made.pkcs8().unwrap()).unwrap();
        assert_eq!((kept.kid(), kept.jwk()), (made.kid(), made.jwk()));
        let document = format!(r#"{{"keys":[{}]}}"#, made.jwk());
        let published = PublishedKeys::parse(document.as_bytes()).unwrap();
        assert_eq!(published.keys[0].kid.as_deref(), Some(made.kid()));
        assert_eq!(published.keys[0].algorithms, [Algorithm::Rs256]);
        let claims =
            json!({ "iss": "https://hub.example", "sub": "s", "aud": "a", "iat": 1_000, "exp": 2_000 });
        let token = kept.sign(claims.as_object().unwrap()).unwrap();
        let expected = Expected {
            issuer: "https://hub.example",
            audiences: &["a"],
            algorithms: Algorithm::ALL.into_iter().collect(),
        };
        let now = OffsetDateTime::from_unix_timestamp(1_500).unwrap();
        let jwks = Jwks::parse(document.as_bytes()).unwrap();
        assert!(verify(Jwt::parse(&token).unwrap(), &jwks, &expected, now).is_ok());
        assert_eq!(IssuerKeyPair::from_pkcs8(b"no key").err(), Some(KeyPairError::Unreadable));
    }

    #[test]
    fn pem_is_what_openssl_writes() {
        let made = IssuerKeyPair::generate().unwrap();
        let (private, public) = (made.private_pem().unwrap(), made.public_pem().unwrap());
        for (text, label) in [(private.as_str(), "PRIVATE KEY"), (public.as_str(), "PUBLIC KEY")] {
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], format!("-----BEGIN {label}-----"));
            assert_eq!(lines.last().copied(), Some(format!("-----END {label}-----").as_str()));
            assert!(lines[1..lines.len() - 2].iter().all(|line| line.len() == 64), "{text}");
        }
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn the_id_is_the_one_that_kube_apiserver_gives() {
        // SHA-256 of the DER of the public key, in base64url without padding (kubernetes pkg/serviceaccount/jwt.go).
        let made = IssuerKeyPair::generate().unwrap();
        let public = made.public_pem().unwrap();
        let body: String = public.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).unwrap();
        let digest = digest::digest(&digest::SHA256, &der);
        assert_eq!(made.kid(), URL_SAFE_NO_PAD.encode(digest));
        assert_eq!(made.kid().len(), 43);
    }
}
