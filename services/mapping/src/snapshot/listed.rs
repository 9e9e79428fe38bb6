//! Entries as they are listed.

use std::sync::{Arc, OnceLock};

use lanyard_api::{
    Page, PageQuery,
    mapping::{PrincipalArnList, PrincipalPage},
};

use super::{Entry, Place};

/// Entries in the order of [`Entry::place`], of which pages are cut.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    entries: Vec<Arc<Entry>>,
    /// Whom they name, in one piece: a page is a part of it, where texts out of a hundred entries would be fetched from all over the memory.
    /// It is made when it is first asked for, since most lists are never asked for, and each change makes new ones.
    principals: OnceLock<PrincipalArnList>,
}

impl Listed {
    /// Takes them into order.
    pub(super) fn new(mut entries: Vec<Arc<Entry>>) -> Self {
        entries.sort_by(|a, b| a.place().cmp(&b.place()));
        Self { entries, principals: OnceLock::new() }
    }

    /// One more, which stands behind all others.
    pub(super) fn push(&mut self, entry: Arc<Entry>) {
        self.entries.push(entry);
        self.principals.take();
    }

    /// All of them.
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// Those of a page.
    pub(crate) fn page(&self, query: &PageQuery) -> Page<&Arc<Entry>> {
        let end = Place::of_token(&query.token);
        Page::of_sorted(&self.entries, query, |entry| entry.place() <= end, |entry| entry.place().token())
    }

    /// Whom those of a page name: of its entries the last one alone is looked at.
    pub(crate) fn principals(&self, query: &PageQuery) -> PrincipalPage {
        let end = Place::of_token(&query.token);
        let range = query.range(&self.entries, |entry| entry.place() <= end);
        let last = range.end.checked_sub(1).filter(|_| range.end < self.entries.len());
        let next_token = last.and_then(|last| self.entries.get(last)).map(|entry| entry.place().token());
        let all = || self.entries.iter().map(|entry| entry.principals()).collect();
        PrincipalPage { principal_arns: self.principals.get_or_init(all).page(range), next_token }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lanyard_api::{
        Authority, ClusterUid, EntryId,
        mapping::{AccessEntry, EntryType},
    };
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;

    /// An entry of one of two authorities, as there may be where an account changed its own.
    fn entry(number: u8) -> Arc<Entry> {
        let authority = if number.is_multiple_of(2) { Authority::Aws } else { Authority::Local };
        let record = AccessEntry {
            id: EntryId::random(),
            cluster: ClusterUid::random(),
            authority,
            principal_arn: format!("arn:aws:iam::111122223333:role/r{}", number / 2).parse().unwrap(),
            principal_id: None,
            pin_until: None,
            entry_type: EntryType::Standard,
            username: "somebody".to_owned(),
            groups: Vec::new(),
            tags: BTreeMap::new(),
            ends_at: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            modified_at: OffsetDateTime::UNIX_EPOCH,
        };
        Arc::new(Entry::compile(record).unwrap())
    }

    fn listed(numbers: &BTreeMap<u8, Arc<Entry>>) -> Listed {
        // In any order: by the number's bits from behind.
        let mut entries: Vec<_> = numbers.iter().collect();
        entries.sort_by_key(|(number, _)| number.reverse_bits());
        Listed::new(entries.into_iter().map(|(_, entry)| Arc::clone(entry)).collect())
    }

    proptest! {
        // Whatever comes and goes between the pages, each has what is behind the one before, in order, as the list says that is whole.
        #[test]
        fn pages_are_what_the_whole_list_has_behind_the_page_before(
            first in prop::collection::btree_set(any::<u8>(), 0..60),
            between in prop::collection::vec(prop::collection::vec((any::<u8>(), any::<bool>()), 0..12), 1..12),
            items_max in 1_u32..9,
        ) {
            let mut numbers: BTreeMap<u8, Arc<Entry>> = first.into_iter().map(|number| (number, entry(number))).collect();
            let mut query = PageQuery { items_max, token: String::new() };
            for changes in between {
                let now = listed(&numbers);
                let mut whole: Vec<(&str, String)> =
                    now.entries().iter().map(|entry| (entry.principals(), entry.place().token())).collect();
                whole.sort();
                let mut behind = whole.iter().filter(|(_, token)| query.token.is_empty() || *token > query.token);
                let wanted: Vec<_> = behind.by_ref().take(query.most()).collect();
                let token = behind.next().and_then(|_| wanted.last().map(|(_, token)| token.clone()));

                // Twice, for the second finds the list made.
                for _ in 0..2 {
                    let page = now.principals(&query);
                    prop_assert!(page.principal_arns.iter().eq(wanted.iter().map(|(principals, _)| *principals)));
                    prop_assert_eq!(&page.next_token, &token);
                }
                let page = now.page(&query);
                let names = page.items.iter().map(|entry| entry.principals());
                prop_assert!(names.eq(wanted.iter().map(|(principals, _)| *principals)));
                prop_assert_eq!(&page.next_token, &token);

                query.token = token.unwrap_or_default();
                for (number, is_there) in changes {
                    if is_there {
                        numbers.entry(number).or_insert_with(|| entry(number));
                    } else {
                        numbers.remove(&number);
                    }
                }
            }
        }
    }

    #[test]
    fn one_more_is_listed_too() {
        let mut list = Listed::default();
        for number in [0, 2, 4] {
            list.push(entry(number));
            let names = list.principals(&PageQuery::default()).principal_arns;
            assert!(names.iter().eq(list.entries().iter().map(|entry| entry.principals())), "{names:?}");
        }
    }
}
