//! Places for watches: so many in all, and so many for the clusters of one account, so that no account has them all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lanyard_iam::AccountId;

use crate::CallError;

/// The watches under way, by the account of the cluster that is watched.
#[derive(Debug)]
pub struct WatchPlaces {
    most: usize,
    most_of_account: usize,
    /// Of accounts that have any.
    held: Mutex<HashMap<AccountId, usize>>,
}

/// A watch's place; it is given back when this is dropped.
#[derive(Debug)]
pub struct WatchPlace {
    of: Arc<WatchPlaces>,
    account: AccountId,
}

impl WatchPlaces {
    /// So many in all, and of each account.
    pub fn new(most: usize, most_of_account: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_account, held: Mutex::default() })
    }

    /// One more, on a cluster of this account.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] where the account has its share, or all are taken.
    pub fn take(self: &Arc<Self>, account: AccountId) -> Result<WatchPlace, CallError> {
        let full = |what: &'static str, limit: usize| {
            Err(CallError::LimitExceeded { what: what.into(), limit: limit as u64 })
        };
        let mut held = self.held();
        if held.get(&account).copied().unwrap_or_default() >= self.most_of_account {
            return full("watches at one time on the clusters of one account", self.most_of_account);
        }
        if held.values().sum::<usize>() >= self.most {
            return full("watches at one time", self.most);
        }
        *held.entry(account).or_default() += 1;
        Ok(WatchPlace { of: Arc::clone(self), account })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        let mut held = self.of.held();
        if let Some(count) = held.get_mut(&self.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_share_and_leaves_the_rest_to_others() {
        let places = WatchPlaces::new(3, 2);
        let [one, other, third]: [AccountId; 3] =
            ["111122223333", "444455556666", "777788889999"].map(|text| text.parse().unwrap());
        let limit = |account| match places.take(account).map(drop) {
            Err(CallError::LimitExceeded { what, limit }) => Some((what.contains("one account"), limit)),
            _ => None,
        };
        let (first, second) = (places.take(one).unwrap(), places.take(one).unwrap());
        assert_eq!(limit(one), Some((true, 2)));
        let others = places.take(other).unwrap();
        assert_eq!(limit(third), Some((false, 3)));
        drop(first);
        let again = places.take(third).unwrap();
        assert_eq!(limit(one), Some((false, 3)), "the place is another's now");
        drop((second, others, again));
        assert!(places.held().is_empty(), "who holds none takes no memory");
    }
}
