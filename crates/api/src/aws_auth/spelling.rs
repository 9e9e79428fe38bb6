//! What somebody meant by a key that is nearly one of ours.

/// Most letters of a key that is compared at all; ours have at most eleven.
const LETTERS_MAX: usize = 24;

/// The one that a name comes near to. Letter case counts for nothing, nor does what is neither letter nor digit, and of four
/// letters one may be wrong.
pub(super) fn nearest(name: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let name = plain(name);
    if name.is_empty() || name.len() > LETTERS_MAX {
        return None;
    }
    let near = known.into_iter().filter_map(|known| {
        let wanted = plain(known);
        let edits = distance(&name, &wanted);
        (edits <= wanted.len() / 4).then_some((edits, known))
    });
    near.min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

fn plain(name: &str) -> Vec<char> {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).take(LETTERS_MAX + 1).collect()
}

/// How many letters have to be put in, taken out or changed (Levenshtein).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.iter().enumerate() {
        let mut left = line + 1;
        let mut below = vec![left];
        for (pair, b) in row.windows(2).zip(to) {
            let [diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            below.push(left);
        }
        row = below;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_known_and_another_word_is_not() {
        let known = ["mapRoles", "mapUsers", "mapAccounts", "data"];
        for (name, meant) in [
            ("maproles", Some("mapRoles")),
            ("map_roles", Some("mapRoles")),
            ("mapRole", Some("mapRoles")),
            ("mapRoels", Some("mapRoles")),
            ("mapRoles ", Some("mapRoles")),
            ("MapUser", Some("mapUsers")),
            ("mapAcounts", Some("mapAccounts")),
            ("Data", Some("data")),
            ("date", Some("data")),
            ("", None),
            ("?", None),
            ("metadata", None),
            ("binaryData", None),
            ("x-templates", None),
            ("mapGroups", None),
            ("mapRolesOfOld", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(nearest(&"m".repeat(1 << 20), known), None);
    }
}
