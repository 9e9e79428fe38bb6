//! Proves that a JWT was issued by a configured OIDC issuer, and knows nothing of what that is good for.
//!
//! Three things come out of it, and are never taken for one another: **claims** ([`Claims`]) of a token that proved itself;
//! a **refusal** ([`JwtRefusal`]), which says what is wrong with the token; a **fault** ([`OidcFault`]), which says why there
//! is no answer: the issuer's keys are not to be had.
//!
//! The rules need neither I/O nor a clock:
//!
//! 1. [`Jwt::parse`] takes a token apart, within limits, and knows no algorithm that others than the issuer could sign with;
//! 2. [`Jwks::parse`] reads an issuer's keys, each for the algorithms that its type, curve and own words permit;
//! 3. [`verify()`] holds the claims against what is [`Expected`] at a time, and the signature against the keys;
//! 4. [`Claims`] are read by name and type, `email` only as far as the issuer stands by it;
//! 5. [`ServiceAccountToken`] is what a token of Kubernetes proves of a pod and its node.
//!
//! Around them, for each issuer ([`Issuer`], from [`IssuerOptions`]), a [`Provider`] finds the keys by OpenID Connect Discovery
//! and keeps them: fetched by kit's client alone (https, no redirects, public addresses, bounded), from the configured issuer
//! and from where its discovery document says, never from where a token says; renewed before they are old; asked for again
//! when a token has a key that is not known, but not more often than an issuer can be asked to bear.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use lanyard_oidc::{EmailVerified, Issuer, IssuerOptions, Jwt, JwtAnswer, Provider};
//! # async fn example(raw: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::new(IssuerOptions::new("https://accounts.google.com"))?;
//! let provider = Provider::new(issuer, Arc::new(lanyard_kit::SystemClock))?;
//! let jwt = Jwt::parse(raw)?;
//! match provider.verify(jwt, &["my-cluster"]).await? {
//!     JwtAnswer::Verified(claims) => {
//!         let who = (claims.subject(), claims.email(EmailVerified::Required)?);
//!     }
//!     JwtAnswer::Refused(refusal) => {
//!         let why = (refusal.code(), refusal.part().as_str());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The feature `stand-in` has the issuer of the tests: real discovery over TLS on loopback, keys of every kind, and every
//! misbehaviour on command.

mod algorithm;
mod claims;
mod discovery;
mod fault;
mod issuer;
mod jwk;
mod jwks;
mod jwt;
mod key_pair;
mod provider;
mod providers;
mod published;
mod refusal;
mod service_account;
mod shown;
#[cfg(any(test, feature = "stand-in"))]
pub mod stand_in;
mod thumbprint;
mod verify;

pub use algorithm::{Algorithm, Algorithms};
pub use claims::{AUDIENCES_MAX, CLAIM_BYTES_MAX, CLOCK_LEEWAY, Claims, EmailVerified, SUBJECT_BYTES_MAX};
pub use fault::{Document, OidcFault};
pub use issuer::{ISSUER_BYTES_MAX, Issuer, IssuerError, IssuerOptions, KeyOptions};
pub use jwk::{RSA_BITS_MAX, RSA_BITS_MIN, SkipReason};
pub use jwks::{CANDIDATES_MAX, JWKS_BYTES_MAX, Jwks, JwksError, KEYS_MAX, SkippedKey};
pub use jwt::{
    HEADER_BYTES_MAX, Jwt, JwtHeader, KID_BYTES_MAX, TOKEN_BYTES_MAX, looks_like_jwt, unverified_issuer,
};
pub use key_pair::{IssuerKeyPair, KeyPairError};
pub use provider::{JwtAnswer, Provider, ProviderStatus};
pub use providers::{KeptProvider, OidcConfig, Providers};
pub use published::{PublishedKey, PublishedKeys};
pub use refusal::{JwtPart, JwtRefusal};
pub use service_account::{BoundObject, KeptTokens, ServiceAccountRefusal, ServiceAccountToken};
pub use verify::{Expected, Inspected, inspect, verify};

#[cfg(test)]
mod immunity;
#[cfg(test)]
mod test_keys;
#[cfg(test)]
mod vectors;
