//! Who has been verified lately, and so has limits of their own.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which keys STS has verified lately, and whose they are. Bounded; the one to go first is the oldest.
pub(crate) struct Proven<K> {
    life: Duration,
    keys_max: usize,
    keys: Mutex<HashMap<K, (String, Instant)>>,
}

impl<K: Hash + Eq + Clone> Proven<K> {
    pub(crate) fn new(life: Duration, keys_max: usize) -> Self {
        Self { life, keys_max, keys: Mutex::new(HashMap::new()) }
    }

    /// The principal of a key that was verified lately.
    pub(crate) fn principal(&self, key: &K, now: Instant) -> Option<String> {
        let keys = locked(&self.keys);
        keys.get(key).filter(|(_, until)| *until > now).map(|(principal, _)| principal.clone())
    }

    /// STS has just verified the key.
    pub(crate) fn insert(&self, key: K, principal: String, now: Instant) {
        let mut keys = locked(&self.keys);
        if !keys.contains_key(&key) && keys.len() >= self.keys_max {
            keys.retain(|_, (_, until)| *until > now);
        }
        if !keys.contains_key(&key) && keys.len() >= self.keys_max {
            let oldest = keys.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| key.clone());
            oldest.map(|key| keys.remove(&key));
        }
        keys.insert(key, (principal, now + self.life));
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

    #[test]
    fn a_proof_ends_and_the_oldest_makes_room() {
        let (proven, start) = (Proven::new(Duration::from_secs(60), 2), Instant::now());
        proven.insert("a", "ana".to_owned(), start);
        assert_eq!(proven.principal(&"a", start + Duration::from_secs(59)).as_deref(), Some("ana"));
        assert_eq!(proven.principal(&"a", start + Duration::from_secs(60)), None);
        proven.insert("b", "bo".to_owned(), start + STEP);
        proven.insert("c", "cy".to_owned(), start + STEP);
        assert_eq!(proven.principal(&"a", start + STEP), None);
        assert_eq!(proven.principal(&"b", start + STEP).as_deref(), Some("bo"));
        proven.remove(&"b");
        assert_eq!(proven.principal(&"b", start + STEP), None);
    }
}
