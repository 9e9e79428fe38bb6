//! Role sessions as sealed, signed claim sets: verified from memory, without a row anywhere.
//!
//! A session token is AES-256-GCM over an Ed25519 signature and the claims. The service that mints holds [`MintingKeys`];
//! one that verifies holds [`OpeningKeys`], with which nothing can be minted. The session's secret key is an HMAC of the
//! token under a third key: the token, which every cluster's client sends along, gives nothing away. A session is known by
//! its access key id (`LSIA…`), which is among the claims.

mod ancestor;
mod claims;
mod err;
mod keys;
mod mint;
mod open;
mod wire;

#[cfg(test)]
mod tests;

pub use ancestor::Ancestor;
pub use claims::{SessionClaims, is_tag_character};
pub use err::SessionError;
pub use keys::{MintingKeys, OpeningKeys};
pub use mint::{MintedSession, SessionMinter};
pub use open::{OpenedSession, SessionOpener};

use time::Duration;

/// Longest session token, in characters, so that a client token with it inside stays under 4096 bytes.
pub const SESSION_TOKEN_CHARS_MAX: usize = 2000;
/// Longest life of a session: AWS's maximum for a role.
pub const SESSION_LIFETIME_MAX: Duration = Duration::hours(12);
/// Longest session of a user (AWS STS `GetSessionToken`).
pub const USER_SESSION_LIFETIME_MAX: Duration = Duration::hours(36);
/// How far ahead of this clock a session may have been issued.
pub const SESSION_SKEW_MAX: Duration = Duration::minutes(5);
/// Most tags of a session.
pub const SESSION_TAGS_MAX: usize = 50;
/// Longest tag key, in characters.
pub const SESSION_TAG_KEY_MAX: usize = 128;
/// Longest tag value, in characters.
pub const SESSION_TAG_VALUE_MAX: usize = 256;
/// Most roles that may be assumed one from another.
pub const SESSION_CHAIN_DEPTH_MAX: u8 = 8;
/// Most ancestors of a session: a few for each link of the longest chain.
pub const SESSION_ANCESTORS_MAX: usize = 32;
