//! A list of rules, and which of them is the first to allow something.

use crate::names::{NONE, number_of};
use crate::rulebook::{Query, Rulebook, TargetQuery};

/// Up to so many rules are looked at one by one; beyond, they are found by their resource.
const LINEAR_MAX: usize = 16;

/// The rules of one role, or of several that are always asked together.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    entries: Box<[Entry]>,
    /// Resource word → entry, sorted; empty for short lists.
    by_resource: Box<[(u32, u32)]>,
    /// Entries for all resources.
    any_resource: Box<[u32]>,
    /// Entries for paths.
    paths: Box<[u32]>,
}

/// A rule in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    verb_bits: u64,
    /// Its number in the rulebook.
    pub(crate) rule: u32,
    /// The number of the role that it is from.
    pub(crate) role: u32,
    /// Which of the matcher's roles that is.
    pub(crate) nth: u32,
    /// Its place among that role's rules.
    pub(crate) place: u32,
}

/// A rule as it comes into a matcher; see [`Entry`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) rule: u32,
    pub(crate) role: u32,
    pub(crate) nth: u32,
    pub(crate) place: u32,
}

impl Matcher {
    /// Of rules in the order in which they are to be asked: by role, then by place.
    pub(crate) fn compile(book: &Rulebook, rules: impl IntoIterator<Item = Source>) -> Self {
        let mut entries = Vec::new();
        let mut by_resource = Vec::new();
        let mut any_resource = Vec::new();
        let mut paths = Vec::new();
        for Source { rule: number, role, nth, place } in rules {
            let Some(rule) = book.rule(number) else { continue };
            let at = number_of(entries.len());
            entries.push(Entry { verb_bits: rule.verb_bits(), rule: number, role, nth, place });
            by_resource.extend(rule.resource_words().iter().map(|&word| (word, at)));
            any_resource.extend(rule.is_for_any_resource().then_some(at));
            paths.extend(rule.is_for_paths().then_some(at));
        }
        if entries.len() > LINEAR_MAX {
            by_resource.sort_unstable();
        } else {
            by_resource.clear();
            any_resource.clear();
        }
        Self {
            entries: entries.into(),
            by_resource: by_resource.into(),
            any_resource: any_resource.into(),
            paths: paths.into(),
        }
    }

    /// The first rule that allows this.
    pub(crate) fn find(&self, book: &Rulebook, query: &Query<'_>) -> Option<&Entry> {
        match query.target() {
            TargetQuery::NonResource { .. } => self.first(book, query, self.paths.iter().copied()),
            TargetQuery::Resource(_) if self.entries.len() <= LINEAR_MAX => {
                self.entries.iter().find(|entry| entry.allows(book, query))
            }
            TargetQuery::Resource(asked) => {
                let [exact, all] = asked.resources.map(|word| self.named(book, query, word));
                let any = self.first(book, query, self.any_resource.iter().copied());
                [exact, all, any].into_iter().flatten().min_by_key(|entry| (entry.nth, entry.place))
            }
        }
    }

    /// Every rule, in order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How much it is to ask and to keep, in rules and resource words.
    pub(crate) fn weight(&self) -> usize {
        self.entries.len() + self.by_resource.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.entries.len() * size_of::<Entry>()
            + self.by_resource.len() * size_of::<(u32, u32)>()
            + (self.any_resource.len() + self.paths.len()) * size_of::<u32>()
    }

    fn named(&self, book: &Rulebook, query: &Query<'_>, word: u32) -> Option<&Entry> {
        if word == NONE {
            return None;
        }
        let start = self.by_resource.partition_point(|&(named, _)| named < word);
        let from = self.by_resource.get(start..)?;
        self.first(book, query, from.iter().take_while(|(named, _)| *named == word).map(|&(_, at)| at))
    }

    fn first(
        &self,
        book: &Rulebook,
        query: &Query<'_>,
        mut places: impl Iterator<Item = u32>,
    ) -> Option<&Entry> {
        places.find_map(|at| self.entries.get(at as usize).filter(|entry| entry.allows(book, query)))
    }
}

impl Entry {
    fn allows(&self, book: &Rulebook, query: &Query<'_>) -> bool {
        self.verb_bits & query.verb_bit() != 0 && book.rule(self.rule).is_some_and(|rule| rule.allows(query))
    }
}
