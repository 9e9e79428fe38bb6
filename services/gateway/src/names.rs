//! Access entries by their principals, for callers who may list a cluster's entries.
//!
//! authz answers about people with the numbers of entries, for it knows no ARNs; a door makes names of them. What a caller
//! may not list keeps its number.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use lanyard_api::{
    CallError, ClusterUid, EntryId, Fault, PageQuery,
    authn::{Admission, Admit, AdmitQuery, Beside},
    mapping::Entries,
    methods::Managed,
};
use lanyard_proto::mapping::v1::{AccessEntryView, ListAccessEntriesRequest};
use prost::Message as _;

use crate::{kubernetes::Gateway, services::Services};

/// How authz names an entry, before its number.
const ENTRY: &str = "access entry ";

/// Characters of an entry's number.
const NUMBER_CHARS: usize = 36;

/// Most pages that are read for names; a page holds what the service gives at once.
const PAGES_MAX: usize = 100;

/// The call as it was signed, for what else its caller may see.
#[derive(Debug, Clone)]
pub(crate) struct Signed(pub(crate) AdmitQuery);

/// The principals of entries, by number.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<EntryId, String>);

impl FromIterator<(EntryId, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (EntryId, String)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Names {
    /// Those of a cluster; none where the caller may not list them.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) async fn of<S: Services>(
        gateway: &Gateway<S>,
        signed: Option<&Signed>,
        cluster: ClusterUid,
    ) -> Result<Self, Fault> {
        let mut names = BTreeMap::new();
        let (Some(signed), Some(spoke)) = (signed, gateway.parts.directory.by_uid(cluster)) else {
            return Ok(Self(names));
        };
        let services = &gateway.parts.services;
        let id = spoke.cluster.id.clone();
        let mut page = PageQuery::default();
        for _ in 0..PAGES_MAX {
            let message = ListAccessEntriesRequest {
                cluster: id.to_string(),
                policy_arn: None,
                page: Some(page.clone().into()),
                view: AccessEntryView::Full.into(),
            };
            let beside = Beside {
                method: ListAccessEntriesRequest::METHOD.path.to_owned(),
                body: Bytes::from(message.encode_to_vec()),
            };
            let asked = AdmitQuery { beside: Some(beside), ..signed.0.clone() };
            let Admission::Admitted(by) = services.authn().admit(asked).await? else { break };
            let listed = match services.mapping().list_entries(*by, id.clone(), None, page).await {
                Ok(listed) => listed,
                Err(CallError::Fault(fault)) => return Err(fault),
                // The cluster went meanwhile, or is not the caller's.
                Err(_) => break,
            };
            let entries = listed.items.into_iter().map(|detail| detail.entry);
            names.extend(entries.map(|entry| (entry.id, entry.principal_arn.to_string())));
            match listed.next_token {
                Some(token) => page = PageQuery { token, ..PageQuery::default() },
                None => break,
            }
        }
        Ok(Self(names))
    }

    /// The principal of an entry.
    pub(crate) fn get(&self, id: EntryId) -> Option<&str> {
        self.0.get(&id).map(String::as_str)
    }

    /// A text with the principals of entries in place of their numbers.
    pub(crate) fn in_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut named = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(ENTRY) {
            let number = after.get(..NUMBER_CHARS).unwrap_or_default();
            named.push_str(before);
            named.push_str(ENTRY);
            match number.parse().ok().and_then(|id| self.get(id)) {
                Some(arn) => {
                    named.push_str(arn);
                    rest = after.get(NUMBER_CHARS..).unwrap_or_default();
                }
                None => rest = after,
            }
        }
        if named.is_empty() {
            return Cow::Borrowed(text);
        }
        named.push_str(rest);
        Cow::Owned(named)
    }
}

/// Whether a text names an entry by its number.
pub(crate) fn names_an_entry(text: &str) -> bool {
    text.contains(ENTRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_known_entry_becomes_its_principal_and_nothing_else_does() {
        let (known, unknown) = (EntryId::random(), EntryId::random());
        let names = Names::from_iter([(known, "arn:aws:iam::111122223333:user/ana".to_owned())]);
        let cases = [
            (
                format!("the access entry {known} is gone"),
                "the access entry arn:aws:iam::111122223333:user/ana is gone".to_owned(),
            ),
            (
                format!("access entry {known}, access entry {known}"),
                "access entry arn:aws:iam::111122223333:user/ana, access entry arn:aws:iam::111122223333:user/ana"
                    .to_owned(),
            ),
            (format!("access entry {unknown} has ended"), format!("access entry {unknown} has ended")),
            (format!("entry {known}"), format!("entry {known}")),
            ("the access entry has no access policies".to_owned(), "the access entry has no access policies".to_owned()),
            ("access entry é".to_owned(), "access entry é".to_owned()),
            (String::new(), String::new()),
        ];
        for (text, expected) in cases {
            assert_eq!(names.in_text(&text), expected, "{text}");
        }
    }
}
