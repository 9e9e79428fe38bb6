//! A perfect hash: each of many hashes has a place of its own, which is known without a look at what lies there.
//!
//! The hashes are dealt to small buckets, and each bucket gets the first *pilot* that leads all of its hashes to places
//! still free; the fullest buckets choose first. So to find a place is to read one byte, and there is one of them for
//! two hashes: 50 kB for a hundred thousand, which stay in the processor's nearer caches, whoever asks.

use std::cmp::Reverse;

use crate::names::{NONE, number_of};

/// Hashes of a bucket, on average: with more, fewer pilots would do, and the last of them be long to find.
const BUCKET_HASHES: usize = 2;

/// Places for so many hashes (numerator, denominator): the last buckets need some free ones to choose from.
const PLACES: (usize, usize) = (16, 15);

/// Odd and without a pattern: a hash that differs in anything becomes another one everywhere.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash in its bucket, with its place among those given.
struct Dealt {
    bucket: usize,
    hash: u64,
    at: usize,
}

/// Where each of the hashes has its place.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    pilots: Box<[u8]>,
    places: usize,
}

impl Placement {
    /// Finds a place for each of the hashes, and says them in the order of the hashes: [`NONE`] for one that is there
    /// twice, or, in a million hashes perhaps once, has come into a bucket that no pilot fits.
    pub(crate) fn compile(hashes: &[u64]) -> (Self, Vec<u32>) {
        let mut placement = Self {
            pilots: vec![0; hashes.len().div_ceil(BUCKET_HASHES)].into(),
            places: hashes.len().saturating_mul(PLACES.0).div_ceil(PLACES.1),
        };
        let mut dealt: Vec<Dealt> = hashes
            .iter()
            .enumerate()
            .map(|(at, &hash)| Dealt { bucket: placement.bucket(hash), hash, at })
            .collect();
        dealt.sort_unstable_by_key(|dealt| dealt.bucket);
        let mut buckets: Vec<&[Dealt]> = dealt.chunk_by(|left, right| left.bucket == right.bucket).collect();
        buckets.sort_by_key(|bucket| Reverse(bucket.len()));
        let mut taken = vec![false; placement.places];
        let mut places = vec![NONE; hashes.len()];
        for bucket in buckets {
            let end = placement.places;
            let fits =
                |pilot: &u8| take_all(&mut taken, bucket.iter().map(|dealt| place(dealt.hash, *pilot, end)));
            let Some(pilot) = (0..=u8::MAX).find(fits) else { continue };
            for &Dealt { bucket, hash, at } in bucket {
                placement.pilots.get_mut(bucket).into_iter().for_each(|its| *its = pilot);
                places.get_mut(at).into_iter().for_each(|its| *its = number_of(place(hash, pilot, end)));
            }
        }
        (placement, places)
    }

    /// How many places there are, one in sixteen of them free.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    /// The place of a hash; of one that was not among those compiled, that of another, or a free one.
    pub(crate) fn of(&self, hash: u64) -> usize {
        let pilot = self.pilots.get(self.bucket(hash)).copied().unwrap_or_default();
        place(hash, pilot, self.places)
    }

    /// The bytes it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.pilots.len()
    }

    fn bucket(&self, hash: u64) -> usize {
        scale(hash, self.pilots.len())
    }
}

/// Where a pilot leads a hash.
fn place(hash: u64, pilot: u8, places: usize) -> usize {
    let other = (hash ^ u64::from(pilot).wrapping_mul(SPREAD)).wrapping_mul(SPREAD);
    scale(other >> 32, places)
}

/// The lower half of a number, brought below `end` evenly.
fn scale(number: u64, end: usize) -> usize {
    ((number & u64::from(u32::MAX)).saturating_mul(end as u64) >> 32) as usize
}

/// Takes places, if all of them are free and none is named twice; else leaves them as they were.
fn take_all(taken: &mut [bool], places: impl Iterator<Item = usize> + Clone) -> bool {
    for (count, place) in places.clone().enumerate() {
        let is_free = taken.get_mut(place).is_some_and(|taken| !std::mem::replace(taken, true));
        if !is_free {
            let own = places.take(count);
            own.for_each(|place| taken.get_mut(place).into_iter().for_each(|taken| *taken = false));
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Numbers as a good hash gives them.
    fn hashes(count: u64) -> Vec<u64> {
        let mixed = |number: u64| {
            let product = u128::from(number.wrapping_add(SPREAD)) * 0xd6e8_feb8_6659_fd93_u128;
            (product >> 64) as u64 ^ product as u64
        };
        (0..count).map(|number| mixed(mixed(number))).collect()
    }

    #[test]
    fn each_hash_has_a_place_of_its_own_and_few_places_are_free() {
        for count in [0, 1, 2, 3, 10, 1_000, 30_000] {
            let hashes = hashes(count);
            let (placement, places) = Placement::compile(&hashes);
            let settled: HashSet<u32> = places.iter().copied().filter(|&place| place != NONE).collect();
            assert!(settled.len() + 1 >= hashes.len(), "{} of {count} have a place", settled.len());
            for (&hash, &place) in hashes.iter().zip(&places).filter(|&(_, &place)| place != NONE) {
                assert_eq!(placement.of(hash), place as usize);
                assert!((place as usize) < placement.places());
            }
            assert!(placement.places() <= hashes.len() + hashes.len() / 15 + 1, "{}", placement.places());
        }
    }

    #[test]
    fn a_hash_that_is_there_twice_has_no_place_and_takes_none_from_the_others() {
        let mut hashes = hashes(1_000);
        hashes.push(hashes[7]);
        let (placement, places) = Placement::compile(&hashes);
        let lacking = places.iter().filter(|&&place| place == NONE).count();
        assert!((2..=8).contains(&lacking), "{lacking}: the two, and those of their bucket");
        let settled: HashSet<u32> = places.into_iter().filter(|&place| place != NONE).collect();
        assert_eq!(settled.len() + lacking, hashes.len());
        assert!(placement.places() > hashes.len());
    }
}
