//! The ServiceAccounts of a cluster, and what of them the hub has not taken yet.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::credentials::{ServiceAccount, ServiceAccountBatch, ServiceAccountName};

use super::{Bounds, Limited, TooLarge};
use crate::wire::{Content, Seen};

/// As they are seen.
#[derive(Debug)]
pub(super) struct Accounts {
    bounds: Bounds,
    kept: BTreeMap<String, Kept>,
    bytes: usize,
    is_listed: bool,
    /// New, or others than those the hub has.
    changed: BTreeSet<String>,
    /// The hub may have them still.
    gone: BTreeMap<String, ServiceAccountName>,
    /// The hub's part is not known.
    whole: bool,
    /// What is due goes with all the others.
    whole_if_due: bool,
}

#[derive(Debug)]
struct Kept {
    account: ServiceAccount,
    bytes: usize,
}

impl Accounts {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            kept: BTreeMap::new(),
            bytes: 0,
            is_listed: false,
            changed: BTreeSet::new(),
            gone: BTreeMap::new(),
            whole: true,
            whole_if_due: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// A whole list: what is not in it is gone.
    pub(super) fn listed(&mut self, objects: Vec<Seen>) -> Result<(), TooLarge> {
        self.admit(objects.len(), objects.iter().map(|seen| seen.content.bytes()).sum())?;
        let there: BTreeSet<&String> = objects.iter().map(|seen| &seen.key).collect();
        let gone: Vec<String> = self.kept.keys().filter(|key| !there.contains(key)).cloned().collect();
        for key in gone {
            self.forget(&key);
        }
        for seen in objects {
            self.keep(seen);
        }
        self.is_listed = true;
        Ok(())
    }

    /// One is new, or another than before.
    pub(super) fn put(&mut self, seen: Seen) -> Result<(), TooLarge> {
        let (count, bytes) = match self.kept.get(&seen.key) {
            Some(before) => (self.kept.len(), self.bytes.saturating_sub(before.bytes)),
            None => (self.kept.len() + 1, self.bytes),
        };
        self.admit(count, bytes + seen.content.bytes())?;
        self.keep(seen);
        Ok(())
    }

    pub(super) fn forget(&mut self, key: &str) {
        let Some(before) = self.kept.remove(key) else { return };
        self.bytes = self.bytes.saturating_sub(before.bytes);
        self.changed.remove(key);
        self.gone.insert(key.to_owned(), before.account.key());
    }

    /// What the hub has not taken yet; it counts as taken from here on.
    pub(super) fn take(&mut self) -> Option<ServiceAccountBatch> {
        let is_due = self.whole || !self.changed.is_empty() || !self.gone.is_empty();
        if !(self.is_listed && is_due) {
            return None;
        }
        let replace = self.whole || self.whole_if_due;
        let (changed, gone) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.gone));
        (self.whole, self.whole_if_due) = (false, false);
        let all = |kept: &Kept| kept.account.clone();
        Some(if replace {
            let service_accounts = self.kept.values().map(all).collect();
            ServiceAccountBatch { service_accounts, removed: Vec::new(), replace }
        } else {
            let service_accounts = changed.iter().filter_map(|key| self.kept.get(key)).map(all).collect();
            ServiceAccountBatch { service_accounts, removed: gone.into_values().collect(), replace }
        })
    }

    pub(super) fn untaken(&mut self) {
        self.whole = true;
    }

    pub(super) fn whole_if_due(&mut self) {
        self.whole_if_due = true;
    }

    fn admit(&self, count: usize, bytes: usize) -> Result<(), TooLarge> {
        self.bounds.admit(Limited::ServiceAccounts, count, bytes)
    }

    fn keep(&mut self, Seen { key, content }: Seen) {
        let bytes = content.bytes();
        // Of another resource there is none here.
        let Content::ServiceAccount(account) = content else { return };
        if let Some(before) = self.kept.get(&key) {
            if before.account == account {
                return;
            }
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
        self.bytes += bytes;
        self.gone.remove(&key);
        self.changed.insert(key.clone());
        self.kept.insert(key, Kept { account, bytes });
    }
}
