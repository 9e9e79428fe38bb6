//! A key's opened secret, and the signing keys that were derived from it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use lanyard_iam::{SecretAccessKey, SigningKey};

/// Derived keys kept for one secret: two days around midnight, in a few regions, for two services.
const DERIVED_MAX: usize = 8;

/// An opened secret. Deriving a signing key takes four HMACs, and one is good for a day: those that verified something are
/// kept, so that most verifications skip the derivation.
pub(crate) struct KeySecret {
    secret: SecretAccessKey,
    derived: ArcSwap<Vec<Arc<Derived>>>,
}

struct Derived {
    day: Box<str>,
    region: Box<str>,
    service: &'static str,
    key: SigningKey,
}

impl KeySecret {
    pub(crate) fn new(secret: SecretAccessKey) -> Self {
        Self { secret, derived: ArcSwap::default() }
    }

    /// Hands the signing key of a day, region and service to `verify`, and keeps it if that succeeds. A caller who has no
    /// secret can thus name as many regions as they like without pushing out what others use.
    pub(crate) fn verify<E>(
        &self,
        day: &str,
        region: &str,
        service: &'static str,
        verify: impl Fn(&SigningKey) -> Result<(), E>,
    ) -> Result<(), E> {
        let derived = self.derived.load();
        let is_it =
            |one: &&Arc<Derived>| one.service == service && *one.day == *day && *one.region == *region;
        if let Some(known) = derived.iter().find(is_it) {
            return verify(&known.key);
        }
        let key = SigningKey::derive(&self.secret, day, region, service);
        verify(&key)?;
        let fresh = Arc::new(Derived { day: day.into(), region: region.into(), service, key });
        self.derived.rcu(|old| {
            let kept = old.iter().take(DERIVED_MAX - 1).cloned();
            std::iter::once(Arc::clone(&fresh)).chain(kept).collect::<Vec<_>>()
        });
        Ok(())
    }

    #[cfg(test)]
    fn kept(&self) -> usize {
        self.derived.load().len()
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_verified_is_kept_and_what_did_not_is_not() {
        let secret = KeySecret::new(SecretAccessKey::new("guess me".to_owned()));
        assert_eq!(secret.verify("20261124", "eu-west-1", "sts", |_| Err(())), Err(()));
        assert_eq!(secret.kept(), 0);
        for day in 10..30 {
            secret.verify(&format!("202611{day}"), "eu-west-1", "sts", |_| Ok::<_, ()>(())).unwrap();
        }
        assert_eq!(secret.kept(), DERIVED_MAX);
        secret.verify("20261129", "eu-west-1", "sts", |_| Ok::<_, ()>(())).unwrap();
        assert_eq!(secret.kept(), DERIVED_MAX, "known already");
        assert!(!format!("{secret:?}").contains("guess"));
    }
}
