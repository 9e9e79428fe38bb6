//! Role sessions that were opened before, by the very bytes of their tokens.
//!
//! To open one costs more than to verify what it signs: there are a seal, a signature of Ed25519, the claims, and the keys that its
//! secret is good for. All of that says the same each time while the keys are the same, so it is worked out once. Nothing else is
//! kept: the session's time is looked at again, and whether what it descends from is still there is asked behind this, each time.

use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use lanyard_iam::session::{SESSION_SKEW_MAX, SESSION_TOKEN_CHARS_MAX};
use lanyard_iam::{
    AccessKeyId, OpenedSession, SessionClaims, SessionError, SessionOpener, SessionToken, TokenDigest,
};
use quick_cache::{UnitWeighter, sync::Cache};
use time::OffsetDateTime;

use crate::key_secret::KeySecret;

/// Sessions that are kept, those used last; each in some 3 KB.
const SESSIONS_MAX: usize = 10_000;

/// A session, as its token says it.
#[derive(Debug)]
pub(crate) struct KnownSession {
    pub(crate) access_key_id: AccessKeyId,
    pub(crate) secret: Arc<KeySecret>,
    pub(crate) claims: Arc<SessionClaims>,
    /// Made anew with each change of the keys, and then nothing that the one before has opened counts. While there is a [`Weak`], its
    /// place in memory is not used again.
    opened_by: Weak<SessionOpener>,
}

impl KnownSession {
    /// Whether this opener would say the same of the same token now.
    fn holds(&self, opener: &Arc<SessionOpener>, key: &AccessKeyId, now: OffsetDateTime) -> bool {
        std::ptr::eq(self.opened_by.as_ptr(), Arc::as_ptr(opener))
            && self.access_key_id == *key
            && now < self.claims.expires_at
            && self.claims.issued_at <= now + SESSION_SKEW_MAX
    }
}

/// The sessions that are known. A token gets in by being one of the hub's own, so that nobody can make any up.
pub(crate) struct KnownSessions(Cache<TokenDigest, Arc<KnownSession>, UnitWeighter, RandomState>);

impl Default for KnownSessions {
    fn default() -> Self {
        let weight = u64::try_from(SESSIONS_MAX).unwrap_or(u64::MAX);
        Self(Cache::with(SESSIONS_MAX, weight, UnitWeighter, RandomState::default(), Default::default()))
    }
}

impl KnownSessions {
    /// The session that a token and its key are of. A refusal is worked out anew each time.
    ///
    /// # Errors
    /// As [`SessionOpener::open`].
    pub(crate) fn open(
        &self,
        opener: &Arc<SessionOpener>,
        key: &AccessKeyId,
        token: &SessionToken,
        now: OffsetDateTime,
    ) -> Result<Arc<KnownSession>, SessionError> {
        let raw = token.expose();
        // None is as long, and whoever sends much has nothing of it hashed.
        if raw.len() > SESSION_TOKEN_CHARS_MAX {
            return Err(SessionError::Malformed);
        }
        let digest = TokenDigest::of(raw);
        if let Some(known) = self.0.get(&digest).filter(|known| known.holds(opener, key, now)) {
            return Ok(known);
        }
        let OpenedSession { access_key_id, secret_access_key, claims } = opener.open(key, raw, now)?;
        let known = Arc::new(KnownSession {
            access_key_id,
            secret: Arc::new(KeySecret::new(secret_access_key)),
            claims: Arc::new(claims),
            opened_by: Arc::downgrade(opener),
        });
        self.0.insert(digest, Arc::clone(&known));
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use lanyard_iam::session::MintingKeys;
    use lanyard_iam::{Credentials, PrincipalArn, PrincipalId, SessionMinter};
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    struct World {
        keys: MintingKeys,
        opener: Arc<SessionOpener>,
        known: KnownSessions,
    }

    impl World {
        fn new() -> Self {
            let keys = MintingKeys::generate(1, &SystemRandom::new()).unwrap();
            let opener = opener(&[&keys]);
            Self { keys, opener, known: KnownSessions::default() }
        }

        /// A session of an hour, from noon on.
        fn session(&self) -> Credentials {
            let claims = SessionClaims {
                authority: "local".to_owned(),
                principal: PrincipalArn::parse("arn:aws:iam::111122223333:role/Dev").unwrap(),
                principal_id: PrincipalId::parse("AROAABCDEFGHIJKLMNOPQ").unwrap(),
                session_name: "ana@example.com".to_owned(),
                tags: Default::default(),
                transitive_keys: Default::default(),
                source_identity: None,
                session_policy: None,
                issued_at: NOON,
                expires_at: NOON + Duration::HOUR,
                revision: 1,
                chain_depth: 0,
                ancestors: Vec::new(),
            };
            let minter = SessionMinter::new(&self.keys).unwrap();
            minter.mint(&claims, &SystemRandom::new()).unwrap().credentials
        }

        fn open(
            &self,
            session: &Credentials,
            now: OffsetDateTime,
        ) -> Result<Arc<KnownSession>, SessionError> {
            self.open_by(&self.opener, session, now)
        }

        fn open_by(
            &self,
            opener: &Arc<SessionOpener>,
            session: &Credentials,
            now: OffsetDateTime,
        ) -> Result<Arc<KnownSession>, SessionError> {
            let token = session.session_token.as_ref().unwrap();
            self.known.open(opener, &session.access_key_id, token, now)
        }
    }

    fn opener(keys: &[&MintingKeys]) -> Arc<SessionOpener> {
        let keys: Vec<_> = keys.iter().map(|keys| keys.opening_keys().unwrap()).collect();
        Arc::new(SessionOpener::new(&keys).unwrap())
    }

    #[test]
    fn the_same_bytes_are_opened_once_and_say_what_they_said() {
        let world = World::new();
        let (session, other) = (world.session(), world.session());
        let first = world.open(&session, NOON).unwrap();
        let again = world.open(&session, NOON + Duration::minutes(59)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((&again.access_key_id, again.claims.revision), (&session.access_key_id, 1));
        let another = world.open(&other, NOON).unwrap();
        assert_eq!(another.access_key_id, other.access_key_id);
        assert_eq!(world.known.0.len(), 2);
    }

    #[test]
    fn immunity_35_a_session_that_is_known_ends_when_it_ends_and_is_its_keys_alone() {
        let world = World::new();
        let (session, other) = (world.session(), world.session());
        world.open(&session, NOON).unwrap();
        let end = NOON + Duration::HOUR;
        assert_eq!(world.open(&session, end).unwrap_err(), SessionError::Expired(end));
        // A clock that was set back vouches for nothing.
        let before = NOON - SESSION_SKEW_MAX - Duration::SECOND;
        assert_eq!(world.open(&session, before).unwrap_err(), SessionError::Future(NOON));
        let carried = Credentials { access_key_id: other.access_key_id.clone(), ..session.clone() };
        assert_eq!(world.open(&carried, NOON).unwrap_err(), SessionError::OtherAccessKey);
        assert!(world.open(&session, NOON).is_ok(), "what was refused beside it took nothing away");
    }

    #[test]
    fn immunity_35_a_session_that_is_known_goes_with_the_keys_that_opened_it() {
        let world = World::new();
        let session = world.session();
        let first = world.open(&session, NOON).unwrap();
        let next = MintingKeys::generate(2, &SystemRandom::new()).unwrap();
        // After a rotation both generations open: the session is opened anew, and is the same.
        let both = world.open_by(&opener(&[&world.keys, &next]), &session, NOON).unwrap();
        assert!(!Arc::ptr_eq(&first, &both) && first.claims == both.claims);
        let retired = world.open_by(&opener(&[&next]), &session, NOON);
        assert_eq!(retired.unwrap_err(), SessionError::UnknownKey(1));
    }

    #[test]
    fn what_is_no_session_is_not_kept() {
        let world = World::new();
        let session = world.session();
        let (stranger, long) = (World::new().session(), "A".repeat(100_000));
        for token in ["", "AAAA", stranger.session_token.as_ref().unwrap().expose(), long.as_str()] {
            let made_up =
                Credentials { session_token: Some(SessionToken::new(token.to_owned())), ..session.clone() };
            assert!(world.open(&made_up, NOON).is_err(), "{} characters", token.len());
        }
        assert_eq!(world.known.0.len(), 0);
    }
}
