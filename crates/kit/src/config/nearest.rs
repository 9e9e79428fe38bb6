//! The nearest right name to a wrong one.

/// The candidate with the fewest edits from `name`; none if even that is another word altogether.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = plain(name);
    let distances = candidates.into_iter().map(|candidate| (distance(&name, &plain(candidate)), candidate));
    let (edits, candidate) = distances.min_by_key(|(edits, _)| *edits)?;
    // A third of the letters may be wrong: `lisen` is `listen`, `port` is not `host`.
    let allowed = name.len().max(candidate.chars().count()).div_ceil(3);
    (edits <= allowed).then_some(candidate)
}

/// Without what people forget first: case and word separators.
fn plain(name: &str) -> Vec<char> {
    name.chars().filter(|letter| !matches!(letter, '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance with neighbouring letters exchanged counted as one edit, in O(n·m) time, three rows of memory.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut from_before = None;
    for (line, a) in from.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        let mut left = line + 1;
        row.push(left);
        let mut to_before = None;
        for (column, b) in to.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&above, column) + usize::from(a != b)).min(at(&above, column + 1) + 1).min(left + 1);
            if to_before == Some(a) && from_before == Some(b) && column > 0 {
                best = best.min(at(&before, column - 1) + 1);
            }
            row.push(best);
            left = best;
            to_before = Some(b);
        }
        before = std::mem::replace(&mut above, row);
        from_before = Some(a);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn edits_are_counted_one_by_one() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("lsiten", "listen", 1),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ];
        for (from, to, expected) in cases {
            assert_eq!(distance(&chars(from), &chars(to)), expected, "{from} to {to}");
        }
    }

    #[test]
    fn the_nearest_name_is_close_or_none() {
        let known = ["listen", "data_dir", "external_url", "log"];
        let cases = [
            ("lisen", Some("listen")),
            ("data-dir", Some("data_dir")),
            ("dataDir", Some("data_dir")),
            ("externalurl", Some("external_url")),
            ("LISTEN", Some("listen")),
            ("frobnicate", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest("listen", []), None);
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(a in "[a-d]{0,8}", b in "[a-d]{0,8}") {
            let (a, b) = (chars(&a), chars(&b));
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
        }
    }
}
