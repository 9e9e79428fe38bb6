//! The entries, bounded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;
use lanyard_iam::TokenDigest;
use time::OffsetDateTime;

use super::{Answer, Entry, NEVER};
use crate::limits::Share;
use crate::token::PodToken;

/// Most tokens of one pod: the one that it had, the one that it has, and what else its containers may be projected.
pub(super) const TOKENS_OF_POD_MAX: usize = 4;

type Entries = HashMap<TokenDigest, Arc<Entry>, RandomState>;

/// All entries, by the hash of their token.
pub(super) struct Shelf {
    entries_max: usize,
    entries: RwLock<Entries>,
}

impl Shelf {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries_max, entries: RwLock::default() }
    }

    pub(super) fn find(&self, digest: &TokenDigest) -> Option<Arc<Entry>> {
        self.read().get(digest).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.read().values().cloned().collect()
    }

    pub(super) fn remove(&self, digest: &TokenDigest) -> bool {
        self.write().remove(digest).is_some()
    }

    /// Keeps what came for a token. Where it is new, the eldest of its pod's tokens may have to go, and, on a full shelf, what was
    /// not asked for longest.
    pub(super) fn put(
        &self,
        token: &PodToken,
        answer: &Arc<Answer>,
        due: OffsetDateTime,
        now: OffsetDateTime,
        share: impl FnOnce() -> Arc<Share>,
    ) {
        if self.entries_max == 0 {
            return;
        }
        let mut entries = self.write();
        if let Some(entry) = entries.get(&token.digest()) {
            entry.answer.store(Arc::clone(answer));
            entry.asked_at.store(now.unix_timestamp(), Ordering::Relaxed);
            entry.told_at.store(now.unix_timestamp(), Ordering::Relaxed);
            entry.due(due);
            return;
        }
        let mut of_pod = of_same_pod(&entries, token);
        let share = of_pod.first().map_or_else(share, |entry| Arc::clone(&entry.share));
        for entry in &of_pod {
            // The newest token is the one that the pod shows from now on; the credentials of those before it end by themselves.
            entry.renew_at.store(NEVER, Ordering::Relaxed);
        }
        if of_pod.len() >= TOKENS_OF_POD_MAX {
            of_pod.sort_unstable_by_key(|entry| entry.claims().life.expires_at);
            let surplus = of_pod.len() + 1 - TOKENS_OF_POD_MAX;
            for entry in of_pod.iter().take(surplus) {
                entries.remove(&entry.token.digest());
            }
        }
        if entries.len() >= self.entries_max {
            let eldest = entries.iter().min_by_key(|(_, entry)| entry.used_at.load(Ordering::Relaxed));
            if let Some(digest) = eldest.map(|(digest, _)| *digest) {
                entries.remove(&digest);
            }
        }
        let entry = Entry {
            token: token.clone(),
            answer: ArcSwap::new(Arc::clone(answer)),
            share,
            used_at: AtomicI64::new(now.unix_timestamp()),
            asked_at: AtomicI64::new(now.unix_timestamp()),
            told_at: AtomicI64::new(now.unix_timestamp()),
            renew_at: AtomicI64::new(due.unix_timestamp()),
        };
        entries.insert(token.digest(), Arc::new(entry));
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        // Nothing panics while it holds the lock.
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries of the pod that the token is of; of none where it is bound to none.
fn of_same_pod(entries: &Entries, token: &PodToken) -> Vec<Arc<Entry>> {
    let Some(uid) = &token.claims().pod_uid else { return Vec::new() };
    entries.values().filter(|entry| entry.claims().pod_uid.as_ref() == Some(uid)).cloned().collect()
}
