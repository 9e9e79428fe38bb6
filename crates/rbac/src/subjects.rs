//! Subjects of one kind, and what is bound to each: the one table that is asked and grows with the cluster.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use crate::index::Bound;
use crate::names::{NONE, number_of};
use crate::placement::Placement;

/// Bytes of a name that lies in its record. Longer ones are as rare as they cost: one more wait for memory.
const NAME_HERE_MAX: usize = 46;

/// All subjects of one kind.
///
/// Where a subject is has not to be searched for ([`Placement`]), and what a decision needs of it lies in one cache line:
/// so for whoever asks, the processor waits for memory once, however many subjects there are.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    hasher: RandomState,
    placement: Placement,
    /// Each in its place; beyond the places those few that have none.
    records: Box<[Option<Record>]>,
    /// The names that lie in no record.
    text: String,
    /// What is bound to those to whom several things are.
    bounds: Vec<Bound>,
}

/// A subject, in one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Record {
    name: Name,
    bounds: Bounds,
}

#[derive(Clone, Debug)]
enum Name {
    Here {
        len: u8,
        bytes: [u8; NAME_HERE_MAX],
    },
    /// In the text of all subjects.
    Elsewhere {
        start: u32,
        len: u32,
    },
}

#[derive(Clone, Debug)]
enum Bounds {
    One(Bound),
    /// Among the bounds of all subjects.
    Several {
        start: u32,
        len: u32,
    },
}

impl Subjects {
    /// Of distinct names, each with what is bound to it: at least one thing, ordered by namespace and the cluster first.
    /// One that finds no room in 4 GB of text or bounds is left out.
    pub(crate) fn compile<'a>(all: impl Iterator<Item = (&'a str, &'a [Bound])> + Clone) -> Self {
        let mut subjects = Self::default();
        let hashes: Vec<u64> = all.clone().map(|(name, _)| subjects.hash(name)).collect();
        let (placement, places) = Placement::compile(&hashes);
        let mut records = vec![None; placement.places()];
        let mut displaced = Vec::new();
        for ((name, bounds), place) in all.zip(places) {
            let Some(record) = subjects.record(name, bounds) else { continue };
            match records.get_mut(place as usize) {
                Some(own) => *own = Some(record),
                None => displaced.push(Some(record)),
            }
        }
        records.append(&mut displaced);
        subjects.records = records.into();
        subjects.placement = placement;
        subjects.text.shrink_to_fit();
        subjects.bounds.shrink_to_fit();
        subjects
    }

    /// What is bound to a name, if anything is: the cluster first, then by namespace.
    pub(crate) fn find(&self, name: &str) -> Option<&[Bound]> {
        let place = self.placement.of(self.hash(name));
        let own = self.records.get(place).and_then(Option::as_ref);
        let found = own.filter(|record| self.is_named(record, name)).or_else(|| {
            let displaced = self.records.get(self.placement.places()..).unwrap_or_default();
            displaced.iter().flatten().find(|record| self.is_named(record, name))
        });
        found.map(|record| self.bounds_of(record))
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[Bound])> {
        let records = self.records.iter().flatten();
        records.filter_map(|record| Some((self.name_of(record)?, self.bounds_of(record))))
    }

    /// The bytes it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.placement.memory_bytes()
            + size_of_val(&*self.records)
            + self.text.capacity()
            + self.bounds.capacity() * size_of::<Bound>()
    }

    fn record(&mut self, name: &str, bounds: &[Bound]) -> Option<Record> {
        let bounds = match bounds {
            [] => return None,
            [one] => Bounds::One(*one),
            several => {
                let (start, len) = span(self.bounds.len(), several.len())?;
                self.bounds.extend_from_slice(several);
                Bounds::Several { start, len }
            }
        };
        let mut bytes = [0; NAME_HERE_MAX];
        let name = match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(here), Ok(len)) => {
                here.copy_from_slice(name.as_bytes());
                Name::Here { len, bytes }
            }
            _ => {
                let (start, len) = span(self.text.len(), name.len())?;
                self.text.push_str(name);
                Name::Elsewhere { start, len }
            }
        };
        Some(Record { name, bounds })
    }

    fn is_named(&self, record: &Record, name: &str) -> bool {
        match &record.name {
            Name::Here { len, bytes } => bytes.get(..usize::from(*len)) == Some(name.as_bytes()),
            Name::Elsewhere { .. } => self.name_of(record) == Some(name),
        }
    }

    fn name_of<'a>(&'a self, record: &'a Record) -> Option<&'a str> {
        match &record.name {
            Name::Here { len, bytes } => std::str::from_utf8(bytes.get(..usize::from(*len))?).ok(),
            Name::Elsewhere { start, len } => {
                let start = *start as usize;
                self.text.get(start..start.checked_add(*len as usize)?)
            }
        }
    }

    fn bounds_of<'a>(&'a self, record: &'a Record) -> &'a [Bound] {
        match &record.bounds {
            Bounds::One(bound) => std::slice::from_ref(bound),
            Bounds::Several { start, len } => {
                let start = *start as usize;
                self.bounds.get(start..start.saturating_add(*len as usize)).unwrap_or_default()
            }
        }
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

/// Where something comes to lie that is put at the end; none where numbers do not reach.
fn span(start: usize, len: usize) -> Option<(u32, u32)> {
    let (start, len) = (number_of(start), number_of(len));
    (start != NONE && len != NONE).then_some((start, len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subject_is_one_cache_line() {
        assert_eq!(size_of::<Option<Record>>(), 64);
    }

    #[test]
    fn an_empty_table_knows_nobody() {
        for subjects in [Subjects::default(), Subjects::compile([("ana", &[][..])].into_iter())] {
            assert_eq!(subjects.find(""), None);
            assert_eq!(subjects.find("ana"), None);
            assert_eq!(subjects.iter().count(), 0);
        }
    }

    #[test]
    fn those_without_a_place_are_found_all_the_same() {
        let bound = |binding| [Bound { namespace: 0, matcher: 0, binding }];
        let (ana, ben, bounds) = ("ana", "ben", [bound(1), bound(2)]);
        let all = [(ana, &bounds[0][..]), (ben, &bounds[1][..])];
        let mut subjects = Subjects::compile(all.into_iter());
        let mut records = std::mem::take(&mut subjects.records).into_vec();
        let places = subjects.placement.places();
        records.extend((0..places).map(|_| None));
        records.rotate_right(places);
        subjects.records = records.into();
        assert_eq!(subjects.find(ana), Some(&bounds[0][..]));
        assert_eq!(subjects.find(ben), Some(&bounds[1][..]));
        assert_eq!(subjects.find("eve"), None);
    }

    proptest! {
        #[test]
        fn each_name_leads_to_what_is_bound_to_it(
            all in prop::collection::btree_map("[ab]{0,3}|\\PC{0,30}|x{44,50}", 1_u32..5, 0..200),
        ) {
            let bounds = |name: &str, count: u32| -> Vec<Bound> {
                let matcher = number_of(name.len());
                (0..count).map(|namespace| Bound { namespace, matcher, binding: count }).collect()
            };
            let all: Vec<(&str, Vec<Bound>)> =
                all.iter().map(|(name, &count)| (name.as_str(), bounds(name, count))).collect();
            let subjects = Subjects::compile(all.iter().map(|(name, bounds)| (*name, bounds.as_slice())));
            let mut listed: Vec<_> = subjects.iter().map(|(name, bounds)| (name, bounds.to_vec())).collect();
            listed.sort_by_key(|&(name, _)| name);
            prop_assert_eq!(&listed, &all);
            for (name, bounds) in &all {
                prop_assert_eq!(subjects.find(name), Some(bounds.as_slice()));
                let absent = format!("{name}\0");
                prop_assert_eq!(subjects.find(&absent), None);
            }
        }
    }
}
