//! What every mutation takes and answers, and how lists page.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Bound, Range},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    identity::{Actor, Vouched},
    ids::{InvalidName, Revision},
    mapping::ClusterUpdate,
};

/// Most items of one page.
pub const PAGE_ITEMS_MAX: u32 = 100;

/// Who asks for a change, and why.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// Admitted by authn for this very request.
    pub actor: Vouched<Actor>,
    /// What the caller gave as reason; it stands in the change line.
    pub reason: Option<String>,
    /// The caller accepts that the write leaves a cluster without an administrator.
    pub allow_lockout: bool,
    /// The term of the lease under which a cluster is watched: with another holder since, the change is refused.
    pub lease_term: Option<u64>,
    /// The caller's own name for this request: sent again with it, it does nothing again and is answered the same.
    pub client_request_token: Option<ClientRequestToken>,
}

/// A caller's own name for a request (EKS `clientRequestToken`): 1 to 256 visible ASCII characters, such as a UUID. It is one's of an
/// account, a principal and an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequestToken(String);

impl ClientRequestToken {
    /// Longest token, in characters.
    pub const CHARS_MAX: usize = 256;

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientRequestToken {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let is_visible = input.bytes().all(|byte| byte.is_ascii_graphic());
        if (1..=Self::CHARS_MAX).contains(&input.len()) && is_visible {
            return Ok(Self(input.to_owned()));
        }
        Err(InvalidName {
            what: "client request token",
            input: lanyard_iam::shown(input),
            rule: "1 to 256 visible ASCII characters",
        })
    }
}

impl fmt::Display for ClientRequestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mutation {
    /// A change by Lanyard itself.
    pub fn system(purpose: &str) -> Self {
        Self::by(Vouched::in_process(Actor::system(purpose)))
    }

    /// A change by an actor, with no reason given.
    pub fn by(actor: Vouched<Actor>) -> Self {
        Self { actor, reason: None, allow_lockout: false, lease_term: None, client_request_token: None }
    }
}

/// The answer of a mutation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutated<T> {
    /// What it made, changed or removed.
    pub value: T,
    /// The scope's revision that holds it.
    pub revision: Revision,
    /// Whether every live replica that serves the scope has applied it.
    pub confirmed: bool,
    /// Who has not yet, with the moment it must have stopped.
    pub pending: Vec<String>,
    /// What the caller should know: near collisions, what a deleted entry's principal still resolves to.
    pub notices: Vec<String>,
    /// What an EKS client follows the change by, where it makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<ClusterUpdate>,
}

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// At most this many; 0 means the most.
    pub items_max: u32,
    /// Where the page before ended; empty for the first.
    pub token: String,
}

impl PageQuery {
    /// How many items the page has at most.
    #[must_use]
    pub fn most(&self) -> usize {
        match self.items_max {
            0 => PAGE_ITEMS_MAX as usize,
            n => n.min(PAGE_ITEMS_MAX) as usize,
        }
    }

    /// Where the page lies in what is in the order of its keys: of what is not on the page some steps of a search are looked at, and
    /// nothing else. `was_given` says of an item whether the page before, whose end is the token, or an earlier one had it.
    pub fn range<T>(&self, sorted: &[T], was_given: impl Fn(&T) -> bool) -> Range<usize> {
        let start = if self.token.is_empty() { 0 } else { sorted.partition_point(was_given) };
        start..sorted.len().min(start.saturating_add(self.most()))
    }
}

/// A part of a list, in the order of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// For the next page; none on the last.
    pub next_token: Option<String>,
}

impl<T> Page<T> {
    /// Cuts the page that was asked for out of items in the order of their keys. The token is the last key given, so that
    /// pages stay whole under concurrent writes.
    pub fn cut(items: impl Iterator<Item = T>, query: &PageQuery, key: impl Fn(&T) -> String) -> Self {
        let most = query.most();
        let mut rest = items.skip_while(|item| !query.token.is_empty() && key(item) <= query.token);
        let items: Vec<T> = rest.by_ref().take(most).collect();
        let next_token = rest.next().and_then(|_| items.last().map(key));
        Self { items, next_token }
    }
}

impl<'a, T> Page<&'a T> {
    /// The same out of what lies in the order of its keys, by [`PageQuery::range`].
    pub fn of_sorted(
        items: &'a [T],
        query: &PageQuery,
        was_given: impl Fn(&T) -> bool,
        key: impl Fn(&T) -> String,
    ) -> Self {
        let range = query.range(items, was_given);
        let has_more = range.end < items.len();
        let page = items.get(range).unwrap_or_default();
        let next_token = page.last().filter(|_| has_more).map(key);
        Self { items: page.iter().collect(), next_token }
    }
}

impl<T: Clone> Page<T> {
    /// The same out of a map, whose keys are the tokens: nothing before the page is looked at.
    #[must_use]
    pub fn of_map(items: &BTreeMap<String, Arc<T>>, query: &PageQuery) -> Self {
        let token = query.token.as_str();
        let from = if token.is_empty() { Bound::Unbounded } else { Bound::Excluded(token) };
        let mut rest = items.range::<str, _>((from, Bound::Unbounded));
        let taken: Vec<_> = rest.by_ref().take(query.most()).collect();
        let next_token = rest.next().and_then(|_| taken.last().map(|(key, _)| (*key).clone()));
        Self { items: taken.into_iter().map(|(_, item)| T::clone(item)).collect(), next_token }
    }
}

/// Most texts that an answer names of a kind.
pub const NAMED_MAX: usize = 50;

/// The first [`NAMED_MAX`] texts, and how many more there are.
pub fn named(texts: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = texts.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<String> = texts.take(NAMED_MAX).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_put_together_are_the_list() {
        let all: Vec<String> = (0..250).map(|n| format!("{n:04}")).collect();
        let mut seen = Vec::new();
        let mut query = PageQuery { items_max: 99, token: String::new() };
        loop {
            let page = Page::cut(all.iter().cloned(), &query, Clone::clone);
            seen.extend(page.items);
            match page.next_token {
                Some(token) => query.token = token,
                None => break,
            }
        }
        assert_eq!(seen, all);
        for (items_max, token) in [(99, ""), (99, "0098"), (7, "0242"), (0, "0100x"), (0, "0249"), (0, "z")] {
            let query = PageQuery { items_max, token: token.to_owned() };
            let sorted = Page::of_sorted(&all, &query, |key| *key <= query.token, Clone::clone);
            let cut = Page::cut(all.iter(), &query, |key| (*key).clone());
            assert_eq!(sorted, cut, "{query:?}");
        }
        let map = all.iter().map(|key| (key.clone(), Arc::new(key.clone()))).collect();
        let queries = [(99, ""), (99, "0098"), (7, "0242"), (0, "0100x"), (1_000, ""), (0, "0249"), (0, "z")];
        for (items_max, token) in queries {
            let query = PageQuery { items_max, token: token.to_owned() };
            assert_eq!(
                Page::of_map(&map, &query),
                Page::cut(all.iter().cloned(), &query, Clone::clone),
                "{query:?}"
            );
        }
    }

    #[test]
    fn a_request_token_is_short_and_visible() {
        let long = "t".repeat(257);
        let cases = [
            ("t", true),
            (&long[1..], true),
            (&long, false),
            ("", false),
            ("a b", false),
            ("ä", false),
            ("a\n", false),
        ];
        for (text, good) in cases {
            assert_eq!(text.parse::<ClientRequestToken>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn what_is_too_much_to_name_is_counted() {
        let texts = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(named(texts(50).into_iter()), texts(50));
        assert_eq!(named(texts(60).into_iter()).last().map(String::as_str), Some("and 10 more"));
    }
}
