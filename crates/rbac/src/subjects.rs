//! Subjects of one kind, and what is bound to each: the one table that is asked and grows with the cluster.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use crate::index::Bound;
use crate::names::{NONE, number_of};

/// Slots for so many subjects (numerator, denominator): enough empty ones that a search is short.
const SLOTS: (usize, usize) = (4, 3);

/// All subjects of one kind. A subject goes by the number of its slot.
///
/// That a name is not here shows in one cache line. Of one that is, the same line holds what is bound to it, if that is
/// one thing, as it mostly is; only the text, to be compared in full, and what more is bound lie elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    hasher: RandomState,
    slots: Box<[Slot]>,
    text: String,
    /// What is bound to those to whom several things are.
    bounds: Vec<Bound>,
}

/// Half a cache line, and never in two.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Slot {
    /// Half of the name's hash: tells nearly all strangers without a look at their text.
    tag: u32,
    text_start: u32,
    text_len: u32,
    /// How many things are bound; in an empty slot none.
    bounds_len: u32,
    /// Where they begin, if there are several.
    bounds_start: u32,
    /// What is bound, if it is one thing.
    bound: Bound,
}

impl Slot {
    const EMPTY: Self = Self {
        tag: 0,
        text_start: 0,
        text_len: 0,
        bounds_len: 0,
        bounds_start: 0,
        bound: Bound { namespace: NONE, matcher: NONE, binding: NONE },
    };
}

impl Subjects {
    /// A table for so many subjects, which are then inserted.
    pub(crate) fn with_capacity(subjects: usize) -> Self {
        // One more than the subjects, so that a search always ends.
        let slots = (subjects.saturating_mul(SLOTS.0) / SLOTS.1).max(subjects.saturating_add(1));
        Self { slots: vec![Slot::EMPTY; slots].into(), ..Self::default() }
    }

    /// Adds a subject that is not there yet, with what is bound to it, ordered by namespace and the cluster first.
    /// Nothing is added without bounds, or where the table, its text or its bounds are full.
    pub(crate) fn insert(&mut self, name: &str, bounds: &[Bound]) {
        let Some(&first) = bounds.first() else { return };
        let (text_start, bounds_start) = (number_of(self.text.len()), number_of(self.bounds.len()));
        let (text_len, bounds_len) = (number_of(name.len()), number_of(bounds.len()));
        if [text_start, bounds_start, text_len, bounds_len].contains(&NONE) {
            return;
        }
        let hash = self.hash(name);
        let start = self.start(hash);
        let (before, from) = self.slots.split_at_mut(start);
        let Some(slot) = from.iter_mut().chain(before).find(|slot| slot.bounds_len == 0) else { return };
        *slot = Slot { tag: tag_of(hash), text_start, text_len, bounds_len, bounds_start, bound: first };
        self.text.push_str(name);
        if bounds.len() > 1 {
            self.bounds.extend_from_slice(bounds);
        }
    }

    /// Gives back what growing took too much.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.bounds.shrink_to_fit();
    }

    /// The number of a name, if anything is bound to it.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let hash = self.hash(name);
        let tag = tag_of(hash);
        let mut at = self.start(hash);
        // Ends at an empty slot, of which there is always one, if not with the table.
        for _ in 0..self.slots.len() {
            let slot = self.slots.get(at)?;
            if slot.bounds_len == 0 {
                return None;
            }
            if slot.tag == tag && self.text_of(slot) == Some(name) {
                return Some(number_of(at));
            }
            at = if at + 1 < self.slots.len() { at + 1 } else { 0 };
        }
        None
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        self.slots.get(number as usize).and_then(|slot| self.text_of(slot))
    }

    /// What is bound to a number: the cluster first, then by namespace.
    pub(crate) fn bounds(&self, number: u32) -> &[Bound] {
        let bounds = self.slots.get(number as usize).and_then(|slot| match slot.bounds_len {
            1 => Some(std::slice::from_ref(&slot.bound)),
            len => {
                let start = slot.bounds_start as usize;
                self.bounds.get(start..start.checked_add(len as usize)?)
            }
        });
        bounds.unwrap_or_default()
    }

    /// The numbers of all subjects, in no order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().zip(0..).filter(|(slot, _)| slot.bounds_len > 0).map(|(_, number)| number)
    }

    /// The bytes it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots) + self.text.capacity() + self.bounds.capacity() * size_of::<Bound>()
    }

    fn text_of(&self, slot: &Slot) -> Option<&str> {
        let start = slot.text_start as usize;
        self.text.get(start..start.checked_add(slot.text_len as usize)?)
    }

    /// The slot at which a search begins: the lower half of the hash, scaled to the table.
    fn start(&self, hash: u64) -> usize {
        let slots = self.slots.len() as u64;
        ((hash & u64::from(u32::MAX)).saturating_mul(slots) >> 32) as usize
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slot_is_half_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 32);
    }

    #[test]
    fn an_empty_table_knows_nobody() {
        for subjects in [Subjects::default(), Subjects::with_capacity(0), Subjects::with_capacity(3)] {
            assert_eq!(subjects.find(""), None);
            assert_eq!(subjects.find("ana"), None);
            assert_eq!(subjects.bounds(0), []);
            assert_eq!(subjects.bounds(NONE), []);
            assert_eq!(subjects.numbers().count(), 0);
        }
    }

    #[test]
    fn a_full_table_takes_no_more_and_loses_nothing() {
        let bound = |binding| Bound { namespace: 0, matcher: 0, binding };
        let mut subjects = Subjects::with_capacity(1);
        for name in ["a", "b", "c"] {
            subjects.insert(name, &[bound(7)]);
        }
        let found = ["a", "b", "c", "d"].map(|name| subjects.find(name).is_some());
        assert_eq!(found, [true, true, false, false]);
    }

    proptest! {
        #[test]
        fn each_name_leads_to_what_is_bound_to_it(
            all in prop::collection::btree_map("[ab]{0,3}|\\PC{0,30}", 1_u32..5, 0..200),
        ) {
            let mut subjects = Subjects::with_capacity(all.len());
            let bounds = |name: &str, count: u32| -> Vec<Bound> {
                let matcher = number_of(name.len());
                (0..count).map(|namespace| Bound { namespace, matcher, binding: count }).collect()
            };
            for (name, &count) in &all {
                subjects.insert(name, &bounds(name, count));
            }
            subjects.shrink();
            prop_assert_eq!(subjects.numbers().count(), all.len());
            for (name, &count) in &all {
                let number = subjects.find(name).unwrap();
                prop_assert_eq!(subjects.name(number), Some(name.as_str()));
                prop_assert_eq!(subjects.bounds(number), bounds(name, count));
                let absent = format!("{name}\0");
                prop_assert_eq!(subjects.find(&absent), None);
            }
        }
    }
}
