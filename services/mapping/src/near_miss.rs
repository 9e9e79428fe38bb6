//! What came near to mapping somebody: for people who may know the cluster.

use lanyard_api::{ClusterId, mapping::Cluster};
use lanyard_iam::{
    EntryPrincipal, PatternSubject, PermissionSet, PrincipalArn, SSO_ROLE_PREFIX, without_sso_suffix,
};

use crate::{
    key,
    knock::Knock,
    resolution::{World, counts_aws_auth, counts_entries},
    snapshot::ClusterSnapshot,
};

/// Most near misses that are told.
pub(crate) const NEAR_MISSES_MAX: usize = 5;

/// Most letters by which a name may differ and still be meant.
const DISTANCE_MAX: usize = 2;

/// What came near in the cluster itself.
pub(crate) fn in_cluster(world: &World<'_>, knock: &Knock<'_>) -> Vec<String> {
    let (cluster, snapshot) = (world.cluster, world.snapshot);
    let canonical = knock.canonical.as_str();
    let mut misses = Vec::new();
    ignored_by_mode(cluster, snapshot, knock, &mut misses);
    if let Some(in_force) = world.aws_auth() {
        for dead in
            in_force.auth.dead.iter().filter(|dead| dead.canonical.as_str().eq_ignore_ascii_case(canonical))
        {
            misses.push(format!(
                "{} of aws-auth has `{}`: the canonical ARN is `{}`, write that",
                dead.path, dead.written, dead.canonical
            ));
        }
    }
    if let Ok(own) = PrincipalArn::parse(canonical) {
        // One that was found would not count either.
        if counts_entries(cluster.authentication_mode) {
            near_entries(snapshot, &own, knock, &mut misses);
        }
        near_lines(world, &own, knock, &mut misses);
    }
    misses.truncate(NEAR_MISSES_MAX);
    misses
}

/// Lines of aws-auth that nearly name whoever knocks. STS tells a user with its path, so that a line without is another one's.
fn near_lines(world: &World<'_>, own: &PrincipalArn, knock: &Knock<'_>, misses: &mut Vec<String>) {
    for line in world.aws_auth().into_iter().flat_map(|in_force| &in_force.auth.lines) {
        if misses.len() >= NEAR_MISSES_MAX {
            break;
        }
        let other = PrincipalArn::parse(line.arn.as_str()).ok();
        if let Some(difference) = other.and_then(|other| difference(own, knock, &other, knock.authority)) {
            misses.push(format!("{} of aws-auth maps `{}`: {difference}", line.path(), line.arn));
        }
    }
}

/// Entries that nearly name whoever knocks.
fn near_entries(snapshot: &ClusterSnapshot, own: &PrincipalArn, knock: &Knock<'_>, misses: &mut Vec<String>) {
    let canonical = knock.canonical.as_str();
    for entry in snapshot.entries() {
        if misses.len() >= NEAR_MISSES_MAX {
            break;
        }
        let record = &entry.record;
        let difference = match &record.principal_arn {
            EntryPrincipal::One(other) => difference(own, knock, other, &record.authority),
            several if several.means(canonical) => other_authority(knock, &record.authority),
            EntryPrincipal::PermissionSet(set) if set.account == own.account => {
                set_difference(canonical, set)
            }
            EntryPrincipal::Pattern(pattern) if pattern.account == own.account => {
                PatternSubject::of(canonical)
                    .and_then(|subject| pattern_difference(subject, pattern.start(), pattern.name()))
            }
            EntryPrincipal::PermissionSet(_) | EntryPrincipal::Pattern(_) => None,
        };
        if let Some(difference) = difference {
            misses.push(format!("an access entry exists for `{}`: {difference}", record.principal_arn));
        }
    }
}

/// Where else the principal is mapped.
pub(crate) fn elsewhere(id: &ClusterId) -> String {
    format!("it is mapped in cluster `{id}`: is that the one you meant?")
}

fn ignored_by_mode(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    knock: &Knock<'_>,
    misses: &mut Vec<String>,
) {
    let mode = cluster.authentication_mode;
    let canonical = knock.canonical.as_str();
    if !counts_entries(mode)
        && let Some(entry) = snapshot
            .entry_of(knock.authority, canonical)
            .or_else(|| snapshot.entry_of_several(knock.authority, canonical))
    {
        misses.push(format!(
            "an access entry exists for `{}`, and mode CONFIG_MAP ignores it",
            entry.record.principal_arn
        ));
    }
    if !counts_aws_auth(mode)
        && let Some(line) = snapshot.aws_auth.as_ref().and_then(|in_force| in_force.line(canonical))
    {
        misses.push(format!("{} of aws-auth maps it, and mode API ignores aws-auth", line.path()));
    }
}

/// That the entry's principal is of another authority than whoever knocks, where it is.
fn other_authority(knock: &Knock<'_>, authority: &lanyard_api::Authority) -> Option<String> {
    (authority != knock.authority).then(|| {
        format!("it is for the account of authority {authority}, this one is of {}", knock.authority)
    })
}

/// What sets an entry's principal apart from whoever knocks, where it is one thing.
fn difference(
    own: &PrincipalArn,
    knock: &Knock<'_>,
    other: &PrincipalArn,
    authority: &lanyard_api::Authority,
) -> Option<String> {
    let (name, other_name) = (own.name()?, other.name()?);
    let same_name = name.eq_ignore_ascii_case(other_name);
    let same_kind = std::mem::discriminant(&own.kind) == std::mem::discriminant(&other.kind);
    if same_name && same_kind && own.account == other.account {
        if authority != knock.authority {
            return other_authority(knock, authority);
        }
        // A role knocks without its path. Where it is the very one, something else than its name refused it.
        let is_it = key::known_as(other).folded() == knock.canonical.folded();
        return (!is_it).then(|| format!("its path is `{}`", other.path().unwrap_or("/")));
    }
    if same_name && same_kind {
        return Some(format!("it is in account {}", other.account));
    }
    if same_name && own.account == other.account {
        return Some(String::from("that is another kind of principal"));
    }
    let near = own.account == other.account && same_kind && is_near(name, other_name);
    near.then(|| String::from("the names are nearly the same"))
}

/// What sets a permission set apart from a role that is named much as its own are.
fn set_difference(canonical: &str, set: &PermissionSet) -> Option<String> {
    let start = PermissionSet::new(set.partition, set.account, set.name(), None).ok()?.role_arn();
    if set.suffix().is_some() && without_sso_suffix(canonical) == Some(&*start) {
        return Some(String::from("it is pinned to the role with another suffix"));
    }
    let head = canonical.get(..start.len())?;
    if !head.eq_ignore_ascii_case(&start) {
        return None;
    }
    Some(match without_sso_suffix(canonical) {
        Some(own) if own.len() == start.len() => String::from("the names differ in letter case"),
        Some(_) => String::from("the set of this role has a longer name"),
        None => {
            format!("its roles are named `{SSO_ROLE_PREFIX}{}_` and 16 digits, 0 to 9 and a to f", set.name())
        }
    })
}

/// What keeps a name from fitting a pattern that it nearly fits.
fn pattern_difference(subject: PatternSubject<'_>, start: String, pattern: &str) -> Option<String> {
    let fits = |pattern: &str, name: &str| lanyard_iam::arn::name_matches(pattern, name);
    let folded = fits(&pattern.to_ascii_lowercase(), &subject.name.to_ascii_lowercase());
    if folded && subject.start == start {
        return Some(String::from("letter case counts in patterns"));
    }
    (fits(pattern, subject.name) && subject.start != start)
        .then(|| String::from("that is another kind of principal"))
}

/// Whether two names differ by a slip: at most two letters put in, left out or changed, and in less than half of them.
fn is_near(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let shorter = a.len().min(b.len());
    if a.len().abs_diff(b.len()) > DISTANCE_MAX || shorter < 2 * DISTANCE_MAX {
        return false;
    }
    distance(a.as_bytes(), b.as_bytes()) <= DISTANCE_MAX
}

/// Levenshtein's distance.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, from) in a.iter().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, to) in row.iter_mut().zip(std::iter::once(&0).chain(b)).skip(1) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = changed.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_name_is_not() {
        for (a, b, near) in [
            ("developers", "developer", true),
            ("developers", "devlopers", true),
            ("Developers", "develoeprs", true),
            ("developers", "operators", false),
            ("dev", "ops", false),
            ("dev", "dex", false),
            ("abcd", "abce", true),
        ] {
            assert_eq!(is_near(a, b), near, "{a} {b}");
        }
        for (a, b, wanted) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("abc", "abc", 0)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), wanted, "{a} {b}");
        }
    }
}
