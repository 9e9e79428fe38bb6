//! Who has been verified lately, and so has limits of their own.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pieces of evidence that are remembered of one key, in 8 bytes each: an IAM user whose key many jobs have makes a token in each.
const EVIDENCE_MAX: usize = 64;

/// Which keys STS has verified lately, whose they are, and by which evidence. Bounded; the one to go first is the oldest.
pub(crate) struct Proven<K> {
    life: Duration,
    keys_max: usize,
    keys: Mutex<HashMap<K, Known>>,
    /// What it makes of evidence is known to nobody, and so neither found nor forged.
    hasher: RandomState,
}

struct Known {
    principal: String,
    until: Instant,
    /// Hashes, the latest last.
    evidence: VecDeque<u64>,
}

/// Whose a key is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) principal: String,
    /// Whether STS has verified the key by this very evidence.
    pub(crate) has_shown: bool,
}

impl<K: Hash + Eq + Clone> Proven<K> {
    pub(crate) fn new(life: Duration, keys_max: usize) -> Self {
        Self { life, keys_max, keys: Mutex::new(HashMap::new()), hasher: RandomState::new() }
    }

    /// The holder of a key that was verified lately.
    pub(crate) fn holder(&self, key: &K, evidence: &str, now: Instant) -> Option<Holder> {
        let hash = self.hasher.hash_one(evidence);
        let keys = locked(&self.keys);
        let known = keys.get(key).filter(|known| known.until > now)?;
        Some(Holder { principal: known.principal.clone(), has_shown: known.evidence.contains(&hash) })
    }

    /// STS has just verified the key by this evidence.
    pub(crate) fn insert(&self, key: K, principal: String, evidence: &str, now: Instant) {
        let hash = self.hasher.hash_one(evidence);
        let mut keys = locked(&self.keys);
        if !keys.contains_key(&key) && keys.len() >= self.keys_max {
            keys.retain(|_, known| known.until > now);
        }
        if !keys.contains_key(&key) && keys.len() >= self.keys_max {
            let oldest = keys.iter().min_by_key(|(_, known)| known.until).map(|(key, _)| key.clone());
            oldest.map(|key| keys.remove(&key));
        }
        let mut evidence = keys.remove(&key).map(|known| known.evidence).unwrap_or_default();
        evidence.retain(|other| *other != hash);
        if evidence.len() >= EVIDENCE_MAX {
            evidence.pop_front();
        }
        evidence.push_back(hash);
        keys.insert(key, Known { principal, until: now + self.life, evidence });
    }

    /// STS has just said that the key is none.
    pub(crate) fn remove(&self, key: &K) {
        locked(&self.keys).remove(key);
    }
}

/// The tables hold no invariant that a panic elsewhere could break half-way.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    fn principal(proven: &Proven<&'static str>, key: &'static str, now: Instant) -> Option<String> {
        proven.holder(&key, "token", now).map(|holder| holder.principal)
    }

    #[test]
    fn a_proof_ends_and_the_oldest_makes_room() {
        let (proven, start) = (Proven::new(Duration::from_secs(60), 2), Instant::now());
        proven.insert("a", "ana".to_owned(), "token", start);
        assert_eq!(principal(&proven, "a", start + Duration::from_secs(59)).as_deref(), Some("ana"));
        assert_eq!(principal(&proven, "a", start + Duration::from_secs(60)), None);
        proven.insert("b", "bo".to_owned(), "token", start + STEP);
        proven.insert("c", "cy".to_owned(), "token", start + STEP);
        assert_eq!(principal(&proven, "a", start + STEP), None);
        assert_eq!(principal(&proven, "b", start + STEP).as_deref(), Some("bo"));
        proven.remove(&"b");
        assert_eq!(principal(&proven, "b", start + STEP), None);
    }

    #[test]
    fn of_a_key_so_many_pieces_of_evidence_are_known_and_the_one_that_was_verified_longest_ago_goes_first() {
        let (proven, start) = (Proven::new(Duration::from_secs(60), 2), Instant::now());
        let has_shown = |key: &'static str, evidence: &str| {
            proven.holder(&key, evidence, start).map(|known| known.has_shown)
        };
        proven.insert("b", "bo".to_owned(), "bo's", start);
        for number in 0..EVIDENCE_MAX {
            proven.insert("a", "ana".to_owned(), &number.to_string(), start);
        }
        assert_eq!((has_shown("a", "0"), has_shown("a", "forged")), (Some(true), Some(false)));
        proven.insert("a", "ana".to_owned(), "0", start);
        proven.insert("a", "ana".to_owned(), "one more", start);
        assert_eq!(
            ["0", "1", "2", "one more"].map(|evidence| has_shown("a", evidence)),
            [true, false, true, true].map(Some)
        );
        assert_eq!(
            (has_shown("b", "bo's"), has_shown("b", "0")),
            (Some(true), Some(false)),
            "each key has its own"
        );
        proven.remove(&"a");
        assert_eq!(has_shown("a", "0"), None);
    }
}
