//! What it costs to verify the token of a pod, its issuer's key kept parsed, and what of that is the signature alone.

use std::hint::black_box;

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lanyard_api::credentials::POD_IDENTITY_AUDIENCE;
use lanyard_oidc::stand_in::SigningKey;
use lanyard_oidc::{Algorithm, Jwks, ServiceAccountToken};
use serde_json::json;
use time::OffsetDateTime;

use super::pods;
use crate::figure::say;
use crate::turn::nanoseconds;

/// What the figures stand under.
const GROUP: &str = "ServiceAccount token verification";
/// Rounds that are measured; each is some tens of microseconds.
const ROUNDS: u32 = 20_000;

/// Verifies one token of each algorithm that API servers sign with by default, over and over.
pub(super) fn measure() -> Result<()> {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let key = SigningKey::generate(algorithm, "bench");
        let keys = Jwks::parse(json!({ "keys": [key.jwk()] }).to_string().as_bytes())?;
        let token = key.mint(&pods::claims(0));
        let now = OffsetDateTime::now_utc();
        let whole = nanoseconds(ROUNDS, || {
            let token = black_box(&token);
            ServiceAccountToken::verify(token, pods::issuer(), &keys, POD_IDENTITY_AUDIENCE, now)?;
            Ok(())
        })?;
        let (input, signature) = token.rsplit_once('.').context("a token has a signature")?;
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        let public = public(algorithm, &key.pkcs8())?;
        let alone = nanoseconds(ROUNDS, || {
            let verified = public.verify_sig(black_box(input).as_bytes(), &signature);
            verified.map_err(|_| anyhow!("the signature is not good"))
        })?;
        say(GROUP, &format!("{algorithm}, the key kept parsed"), whole, "ns", None);
        say(GROUP, &format!("{algorithm}, the signature alone"), alone, "ns", None);
        say(GROUP, &format!("{algorithm}, whole to signature"), whole / alone, "×", None);
    }
    Ok(())
}

/// The public half, parsed.
fn public(algorithm: Algorithm, pkcs8: &[u8]) -> Result<ParsedPublicKey> {
    Ok(match algorithm {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)?;
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?
        }
        _ => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8)?;
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())?
        }
    })
}
