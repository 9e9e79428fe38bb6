//! The client token: `k8s-aws-v1.` and a presigned `GetCallerIdentity` URL in base64.
//!
//! [`ParsedToken::parse`] judges a token by the full allow-list. Nothing of it is ever used as given: what may be called
//! is rebuilt from the parsed fields ([`ParsedToken::rebuild_url`]), what may be verified here is verified over them
//! ([`ParsedToken::verify_local`]).
//!
//! [`HubProof`] is the same URL bound to a hub instead of a cluster, by which a principal of AWS gets a session there.

mod err;
mod hub_proof;
mod life;
mod mint;
mod parse;
mod parsed;
mod query;
mod rules;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use time::Duration;

pub use err::{TokenError, TokenPart};
pub use hub_proof::{
    HUB_ID_HEADER, HUB_PROOF_AGE_MAX, HUB_PROOF_BYTES_MAX, HubProof, HubProofError, mint_hub_proof,
};
pub use life::TokenLife;
pub use mint::{MintError, TOKEN_EXPIRES, mint_token};
pub use parsed::ParsedToken;
pub use rules::{StsAuthority, StsAuthorityError, StsHost, TokenRules};

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "k8s-aws-v1.";
/// Longest token, in bytes, prefix included.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// How long a token is accepted after its date, whatever lifetime it gives itself: STS does not look at that (aws-iam-authenticator,
/// pkg/token), nor does the hub where it is the STS.
pub const TOKEN_AGE_MAX: Duration = Duration::minutes(15);
/// How far ahead of this clock a token may be dated.
pub const TOKEN_SKEW_MAX: Duration = Duration::minutes(5);
/// The header that binds a token to a cluster.
pub const CLUSTER_ID_HEADER: &str = "x-k8s-aws-id";
/// The service of the credential scope.
pub const TOKEN_SERVICE: &str = "sts";

/// A client token. Whoever has it is its bearer for a quarter of an hour, so it does not print: `Debug` shows the digest.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// Takes over a token as it came.
    #[must_use]
    pub fn new(raw: String) -> Self {
        Self(SecretString::from(raw))
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The name by which the token may be spoken of.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.expose())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.digest())
    }
}

/// The SHA-256 of a token. Shown as its first 12 hex digits: enough to find a token again, of no use to anyone else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Hashes a token.
    #[must_use]
    pub fn of(raw: &str) -> Self {
        Self(Sha256::digest(raw.as_bytes()).into())
    }

    /// All 32 bytes, for cache keys.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 12];
        hex::encode_to_slice(&self.0[..6], &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the text is of this kind of token at all; everything else is somebody else's to judge.
#[must_use]
pub fn looks_like_token(raw: &str) -> bool {
    raw.starts_with(TOKEN_PREFIX)
}
