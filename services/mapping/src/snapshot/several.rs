//! Entries that name several principals, found by whoever knocks.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use lanyard_api::Authority;
use lanyard_iam::{EntryPrincipal, PatternSubject, without_sso_suffix};

use crate::key;

/// Where the entries stand, by whom they name. No two of them can mean the same principal, so whichever is found is the one.
#[derive(Debug, Default)]
pub(super) struct Several {
    /// By the ARN of the set's role: without its suffix where that is not pinned.
    sets: HashMap<Box<str>, usize, RandomState>,
    /// The patterns over the users or the roles of an account. As many as a cluster may have are tried in turn.
    patterns: HashMap<Box<str>, Vec<Pattern>, RandomState>,
}

/// A pattern of names, and where its entry stands.
type Pattern = (Box<str>, usize);

impl Several {
    pub(super) fn add(&mut self, authority: &Authority, principal: &EntryPrincipal, at: usize) {
        match principal {
            EntryPrincipal::One(_) => {}
            EntryPrincipal::PermissionSet(set) => {
                key::exact(authority, &set.role_arn(), |key| self.sets.insert(key.into(), at));
            }
            EntryPrincipal::Pattern(pattern) => {
                let of_account = key::exact(authority, &pattern.start(), |key| {
                    self.patterns.entry(key.into()).or_default()
                });
                of_account.push((pattern.name().into(), at));
            }
        }
    }

    /// Where the entry stands that means whoever knocks as this.
    pub(super) fn find(&self, authority: &Authority, canonical: &str) -> Option<usize> {
        self.by_set(authority, canonical).or_else(|| self.by_pattern(authority, canonical))
    }

    fn by_set(&self, authority: &Authority, canonical: &str) -> Option<usize> {
        if self.sets.is_empty() {
            return None;
        }
        let start = without_sso_suffix(canonical)?;
        let named = |arn| key::exact(authority, arn, |key| self.sets.get(key).copied());
        named(canonical).or_else(|| named(start))
    }

    fn by_pattern(&self, authority: &Authority, canonical: &str) -> Option<usize> {
        if self.patterns.is_empty() {
            return None;
        }
        let subject = PatternSubject::of(canonical)?;
        let of_account = key::exact(authority, subject.start, |key| self.patterns.get(key))?;
        let fits = |(pattern, _): &&Pattern| lanyard_iam::arn::name_matches(pattern, subject.name);
        of_account.iter().find(fits).map(|(_, at)| *at)
    }
}
