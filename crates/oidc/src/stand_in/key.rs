//! A key pair of the stand-in, and the tokens that it signs.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair, RsaSignatureEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::algorithm::Algorithm;

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// A key pair for one algorithm.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    pair: Arc<Pair>,
}

impl SigningKey {
    /// Makes a key; RSA has 2048 bits.
    #[must_use]
    pub fn generate(algorithm: Algorithm, kid: &str) -> Self {
        let ec = |parameters| Pair::Ec(EcdsaKeyPair::generate(parameters).expect("a key"));
        let pair = match algorithm {
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Es512 => ec(&ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().expect("a key")),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        };
        Self { kid: kid.to_owned(), algorithm, pair: Arc::new(pair) }
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half, with `kid`, `use` and `alg`.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &*self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                json!({
                    "kty": "RSA",
                    "n": encode(n.big_endian_without_leading_zero()),
                    "e": encode(e.big_endian_without_leading_zero()),
                })
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": self.curve(), "x": encode(x), "y": encode(y) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
        };
        for (name, value) in [("kid", self.kid()), ("use", "sig"), ("alg", self.algorithm.as_str())] {
            if let Some(members) = jwk.as_object_mut() {
                members.insert(name.to_owned(), value.into());
            }
        }
        jwk
    }

    fn curve(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Es384 => "P-384",
            Algorithm::Es512 => "P-521",
            _ => "P-256",
        }
    }

    /// The private half, for signers of another make.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key");
                der.as_ref().to_vec()
            }
            Pair::Ec(pair) => pair.to_pkcs8v1().expect("a key").as_ref().to_vec(),
            Pair::Ed(pair) => pair.to_pkcs8().expect("a key").as_ref().to_vec(),
        }
    }

    /// The same RSA key for another algorithm of RSA, under another id: making one takes its time.
    #[must_use]
    pub fn again(&self, algorithm: Algorithm, kid: &str) -> Self {
        Self { kid: kid.to_owned(), algorithm, pair: Arc::clone(&self.pair) }
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding(self.algorithm), &random, message, &mut signature).expect("a signature");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with these claims, and the header that issuers make.
    #[must_use]
    pub fn mint(&self, claims: &Value) -> String {
        self.mint_with(&json!({ "alg": self.algorithm.as_str(), "kid": self.kid, "typ": "JWT" }), claims)
    }

    /// A token with another header, signed by the key's own algorithm all the same.
    #[must_use]
    pub fn mint_with(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = self.sign(input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }
}

/// What the signature of a token is over.
#[must_use]
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn encoding(algorithm: Algorithm) -> &'static RsaSignatureEncoding {
    match algorithm {
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, {})", self.kid, self.algorithm)
    }
}
