//! Text → number, so that matching compares numbers: built once, then only asked.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

/// Of the slots, at most this share (numerator, denominator) is in use, which keeps probes short.
const LOAD: (usize, usize) = (3, 4);

/// Slots of a table that has just received its first name; a power of two.
const SLOTS_MIN: usize = 8;

/// Stands for "no number". No name ever gets it, so whatever is looked up under it is not found.
pub(crate) const NONE: u32 = u32::MAX;

/// A set of names, each with a number counted from 0 in order of arrival.
///
/// A slot is eight bytes, so asking for a name that is not there reads one cache line, and for one that is
/// there three, however many names there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    hasher: RandomState,
    slots: Vec<Slot>,
    ends: Vec<u32>,
    text: String,
    longest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the hash: tells nearly all strangers without looking at their text.
    tag: u32,
    number: u32,
}

impl Slot {
    const EMPTY: Self = Self { tag: 0, number: NONE };
}

impl Names {
    /// The number of a name, a new one if it has none yet. [`NONE`] when numbers or text are used up.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.find(name.as_bytes()) {
            return number;
        }
        let number = number_of(self.ends.len());
        let end = number_of(self.text.len().saturating_add(name.len()));
        if number == NONE || end == NONE {
            return NONE;
        }
        self.text.push_str(name);
        self.ends.push(end);
        self.longest = self.longest.max(name.len());
        if self.ends.len() * LOAD.1 > self.slots.len() * LOAD.0 {
            self.grow();
        } else {
            self.place(self.hash(name.as_bytes()), number);
        }
        number
    }

    /// The number of a name, if it has one.
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let hash = self.hash(name);
        let tag = tag_of(hash);
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = slot_of(hash) & mask;
        // An empty slot always comes, as the table is never full; an empty table has none to give.
        loop {
            let slot = self.slots.get(at)?;
            if slot.number == NONE {
                return None;
            }
            if slot.tag == tag && self.get(slot.number).is_some_and(|found| found.as_bytes() == name) {
                return Some(slot.number);
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of `left` + `/` + `right`, if that is a name.
    pub(crate) fn find_joined(&self, left: &str, right: &str) -> Option<u32> {
        /// Longer than any resource with subresource that exists; only beyond it is memory taken.
        const INLINE: usize = 128;
        let len = left.len().saturating_add(right.len()).saturating_add(1);
        if len > self.longest {
            return None;
        }
        let mut joined = smallvec::SmallVec::<[u8; INLINE]>::new();
        joined.extend_from_slice(left.as_bytes());
        joined.push(b'/');
        joined.extend_from_slice(right.as_bytes());
        self.find(&joined)
    }

    /// The name of a number.
    pub(crate) fn get(&self, number: u32) -> Option<&str> {
        let at = number as usize;
        let end = *self.ends.get(at)? as usize;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.text.get(start..end)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.ends.capacity() * size_of::<u32>()
            + self.text.capacity()
    }

    /// Gives back what growing took too much.
    pub(crate) fn shrink(&mut self) {
        self.ends.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(SLOTS_MIN);
        self.slots.clear();
        self.slots.resize(slots, Slot::EMPTY);
        for at in 0..self.ends.len() {
            let number = number_of(at);
            let hash = self.get(number).map(|name| self.hash(name.as_bytes()));
            hash.into_iter().for_each(|hash| self.place(hash, number));
        }
    }

    fn place(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = slot_of(hash) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.number == NONE {
                *slot = Slot { tag: tag_of(hash), number };
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        hasher.finish()
    }
}

/// A count as a number; [`NONE`] where it does not fit, so that what is looked up under it is not found.
pub(crate) fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn slot_of(hash: u64) -> usize {
    hash as u32 as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_table_knows_no_name() {
        let names = Names::default();
        assert_eq!(names.find(b""), None);
        assert_eq!(names.find(b"pods"), None);
        assert_eq!(names.find_joined("pods", "log"), None);
        assert_eq!(names.get(0), None);
        assert_eq!(names.get(NONE), None);
    }

    #[test]
    fn a_joined_name_is_found_as_its_text_reads() {
        let mut names = Names::default();
        let long = "x".repeat(300);
        let (log, odd, longest) =
            (names.intern("pods/log"), names.intern("a/b/c"), names.intern(&format!("{long}/y")));
        names.intern("pods");
        assert_eq!(names.find_joined("pods", "log"), Some(log));
        assert_eq!(names.find_joined("a", "b/c"), Some(odd));
        assert_eq!(names.find_joined("a/b", "c"), Some(odd));
        assert_eq!(names.find_joined(&long, "y"), Some(longest));
        assert_eq!(names.find_joined("pods", ""), None);
        assert_eq!(names.find_joined(&long, &long), None);
    }

    proptest! {
        #[test]
        fn numbers_are_dense_and_names_are_told_apart(all in prop::collection::vec("[a-c]{0,6}|\\PC{0,40}", 0..300)) {
            let mut names = Names::default();
            let mut model: Vec<String> = Vec::new();
            for name in &all {
                let expected = model.iter().position(|known| known == name).unwrap_or_else(|| {
                    model.push(name.clone());
                    model.len() - 1
                });
                prop_assert_eq!(names.intern(name) as usize, expected);
            }
            prop_assert_eq!(names.len(), model.len());
            for (number, name) in model.iter().enumerate() {
                prop_assert_eq!(names.find(name.as_bytes()), Some(number as u32));
                prop_assert_eq!(names.get(number as u32), Some(name.as_str()));
                let absent = format!("{name}\0");
                prop_assert_eq!(names.find(absent.as_bytes()), None);
            }
        }
    }
}
