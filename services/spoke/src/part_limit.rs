//! How many objects a part of a list is asked for with.
//!
//! Pure. An API server counts objects, and what is bounded here is bytes: objects come whole, with annotations and the fields' managers,
//! of which nothing is passed on. How long a part is shows only where it comes.

use crate::config::SpokeConfig;

/// The limit of the next part of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartLimit {
    objects: u32,
    objects_max: u32,
    bytes_max: usize,
}

impl PartLimit {
    /// Of a list's first part.
    pub(crate) fn new(config: &SpokeConfig) -> Self {
        let objects_max = config.page_objects;
        Self { objects: objects_max, objects_max, bytes_max: config.answer_bytes_max }
    }

    /// So many.
    pub(crate) fn objects(&self) -> u32 {
        self.objects
    }

    /// A part was too long: half as many objects. False where it was asked for with one alone, and there is no smaller part.
    pub(crate) fn halve(&mut self) -> bool {
        let is_smaller = self.objects > 1;
        self.objects = (self.objects / 2).max(1);
        is_smaller
    }

    /// A part of this length was read. Twice as many objects again where twice as much would have been too, so that a few long objects do not
    /// make a long list of short ones one of as many questions, which API servers let nobody finish (a list expires within minutes).
    pub(crate) fn was_read(&mut self, bytes: usize) {
        if bytes <= self.bytes_max / 2 {
            self.objects = self.objects.saturating_mul(2).min(self.objects_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(page_objects: u32) -> PartLimit {
        PartLimit::new(&SpokeConfig { page_objects, answer_bytes_max: 100, ..SpokeConfig::default() })
    }

    #[test]
    fn parts_become_smaller_down_to_one_object_and_grow_again_to_what_they_were() {
        let mut limit = limit(500);
        for objects in [250, 125, 62, 31, 15, 7, 3, 1] {
            assert!(limit.halve());
            assert_eq!(limit.objects(), objects);
        }
        assert!(!limit.halve(), "there is no smaller part");
        for (bytes, objects) in [(100, 1), (51, 1), (50, 2), (0, 4), (51, 4), (1, 8)] {
            limit.was_read(bytes);
            assert_eq!(limit.objects(), objects, "{bytes}");
        }
        for _ in 0..40 {
            limit.was_read(0);
        }
        assert_eq!(limit.objects(), 500);
    }

    #[test]
    fn a_part_of_one_object_is_the_smallest_at_once() {
        assert!(!limit(1).halve());
    }
}
