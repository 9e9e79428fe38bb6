//! Tokens that were verified before, by the hash of their whole text.
//!
//! Pods and the agents of nodes show one token for an hour and longer, and its signature costs more to verify than all else that is
//! looked at. That a key has signed these very bytes stays true; what may end is the key, the time, and whatever the token is of. The
//! first two are asked here each time, the last is the affair of whoever asks.

use std::sync::{Arc, Weak};

use quick_cache::sync::Cache;
use time::{Duration, OffsetDateTime};

use super::ServiceAccountToken;

/// Verified tokens, all for one audience. `I` is what holds an issuer's keys, made anew whenever these change: what the one before has
/// verified counts no more.
pub struct KeptTokens<I> {
    entries: Cache<[u8; 32], Arc<Kept<I>>>,
    kept_max: Duration,
}

struct Kept<I> {
    token: Arc<ServiceAccountToken>,
    /// While there is a [`Weak`], its place in memory is not used again.
    issuer: Weak<I>,
    at: OffsetDateTime,
}

impl<I> KeptTokens<I> {
    /// Keeps so many tokens, those used last, each in about 1 KB; and none for longer than this.
    #[must_use]
    pub fn new(tokens_max: usize, kept_max: Duration) -> Self {
        Self { entries: Cache::new(tokens_max.max(1)), kept_max }
    }

    /// The token with this SHA-256, if the issuer that it was verified by is still the one that would verify it, and the token has not
    /// ended.
    pub fn again(
        &self,
        sha256: &[u8; 32],
        would_verify: impl FnOnce(&Arc<I>) -> bool,
        now: OffsetDateTime,
    ) -> Option<Arc<ServiceAccountToken>> {
        let kept = self.entries.get(sha256)?;
        let issuer = kept.issuer.upgrade()?;
        // A clock that was set back vouches for nothing: the token may not have begun yet.
        let is_young = kept.at <= now && now - kept.at < self.kept_max;
        let holds = is_young && now < kept.token.expires_at && would_verify(&issuer);
        holds.then(|| Arc::clone(&kept.token))
    }

    /// Keeps a token that an issuer has verified just now.
    pub fn keep(
        &self,
        sha256: [u8; 32],
        token: ServiceAccountToken,
        issuer: &Arc<I>,
        now: OffsetDateTime,
    ) -> Arc<ServiceAccountToken> {
        let token = Arc::new(token);
        if self.kept_max.is_positive() {
            let kept = Kept { token: Arc::clone(&token), issuer: Arc::downgrade(issuer), at: now };
            self.entries.insert(sha256, Arc::new(kept));
        }
        token
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::service_account::BoundObject;

    const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
    const HASH: [u8; 32] = [7; 32];

    /// One of ten minutes.
    fn token() -> ServiceAccountToken {
        let object = |name: &str| BoundObject { name: name.to_owned(), uid: "u".to_owned() };
        ServiceAccountToken {
            namespace: "team-a".to_owned(),
            service_account: object("bot"),
            pod: object("web-1"),
            node: object("node-1"),
            expires_at: NOON + Duration::minutes(10),
        }
    }

    #[test]
    fn a_token_is_known_again_while_it_lives_and_no_longer_than_it_is_kept() {
        for (kept_max, after, is_known) in [
            (Duration::HOUR, Duration::ZERO, true),
            (Duration::HOUR, Duration::seconds(599), true),
            (Duration::HOUR, Duration::minutes(10), false),
            (Duration::minutes(5), Duration::seconds(299), true),
            (Duration::minutes(5), Duration::minutes(5), false),
            (Duration::HOUR, -Duration::SECOND, false),
            (Duration::ZERO, Duration::ZERO, false),
        ] {
            let (kept, issuer) = (KeptTokens::new(10, kept_max), Arc::new("keys"));
            let first = kept.keep(HASH, token(), &issuer, NOON);
            let again = kept.again(&HASH, |known| Arc::ptr_eq(known, &issuer), NOON + after);
            assert_eq!(again.is_some(), is_known, "{kept_max} {after}");
            assert!(again.is_none_or(|again| Arc::ptr_eq(&again, &first)), "{kept_max} {after}");
            assert!(kept.again(&[8; 32], |_| true, NOON).is_none(), "another text");
        }
    }

    #[test]
    fn immunity_10_a_token_counts_no_longer_than_the_keys_that_verified_it() {
        let (kept, before, after) = (KeptTokens::new(10, Duration::HOUR), Arc::new("keys"), Arc::new("keys"));
        kept.keep(HASH, token(), &before, NOON);
        assert!(
            kept.again(&HASH, |known| Arc::ptr_eq(known, &after), NOON).is_none(),
            "equal is not the same"
        );
        assert!(kept.again(&HASH, |known| Arc::ptr_eq(known, &before), NOON).is_some());
        drop(before);
        assert!(kept.again(&HASH, |_| true, NOON).is_none(), "they are gone");
    }
}
