//! The number of a request of the AWS wire, in each line of the log that is written about it, in whatever process.
//!
//! Its caller is told the number (`x-amzn-RequestId`), so that whoever asks about a request can be answered from the logs. The
//! door that makes it works within it ([`within`]); it goes along with the calls that are made there (`inject`), and the service
//! that answers one works within it too. A line of the log has it because it is written there, not because somebody said it.

use std::fmt;
use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

use crate::serve::Peer;
use crate::tls::PeerIdentity;

/// The metadata in which a number goes from one service of the hub to another.
const HEADER: HeaderName = HeaderName::from_static("lanyard-request-id");

tokio::task_local! {
    static CURRENT: Option<RequestId>;
}

/// The number of a request: random, and the hub's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Of the request that has this number.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The one form that a number is written in: 36 digits and dashes, in lower case.
    fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        let is_its_form = *text == *id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer());
        is_its_form.then_some(Self(id))
    }

    /// What a call bears that another service of the hub makes. Nobody else's word counts: a line of the log has no number that a
    /// stranger made up.
    pub(crate) fn said(headers: &HeaderMap, peer: Option<&Peer>) -> Option<Self> {
        let identity = peer.and_then(|peer| peer.identity.as_deref());
        let Some(PeerIdentity::Service { .. }) = identity else { return None };
        let mut said = headers.get_all(HEADER).iter();
        let (Some(value), None) = (said.next(), said.next()) else { return None };
        Self::parse(value.to_str().ok()?)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Work on a request, or on none that has a number.
pub type Within<F> = TaskLocalFuture<Option<RequestId>, F>;

/// Does work on a request: its lines of the log have the number, and its calls to other services bear it. Tasks that it spawns are
/// work of their own, unless they are spawned within [`current`] again.
pub fn within<F: Future>(id: Option<RequestId>, work: F) -> Within<F> {
    CURRENT.scope(id, work)
}

/// The same for work that waits for nothing.
pub(crate) fn during<T>(id: Option<RequestId>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(id, work)
}

/// The number of what is worked on now; none where that has none.
#[must_use]
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok().flatten()
}

/// Puts the number of what is worked on now on a call to another service; what a caller said goes no further.
pub(crate) fn inject(headers: &mut HeaderMap) {
    headers.remove(HEADER);
    let Some(RequestId(id)) = current() else { return };
    // Digits and dashes are always a header's value.
    if let Ok(value) = HeaderValue::from_str(id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
        headers.insert(HEADER, value);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    pub(crate) const ID: &str = "0b8e1f7a-95d5-4f0c-8f14-1d1f9a7b2c3d";

    /// Who calls: somebody of this certificate.
    fn peer(identity: Option<PeerIdentity>) -> Peer {
        let address = "127.0.0.1:1".parse().unwrap();
        Peer { address, identity: identity.map(Arc::new), certificate_sha256: None }
    }

    /// A door of the hub.
    pub(crate) fn door() -> Peer {
        peer(Some(PeerIdentity::service("hub", "awsapi").unwrap()))
    }

    pub(crate) fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_number_counts_from_a_service_once_and_in_its_form() {
        let said = |values: &[&str], peer: Option<&Peer>| {
            RequestId::said(&headers(values), peer).map(|id| id.to_string())
        };
        assert_eq!(said(&[ID], Some(&door())).as_deref(), Some(ID));
        let spoke = PeerIdentity::Spoke { hub: "hub".to_owned(), cluster_uid: "c1".to_owned() };
        for stranger in [None, Some(&peer(None)), Some(&peer(Some(spoke)))] {
            assert_eq!(said(&[ID], stranger), None, "{stranger:?}");
        }
        let braced = format!("{{{ID}}}");
        let bad: [&[&str]; 7] = [
            &[],
            &[""],
            &[ID, ID],
            &[&ID.to_uppercase()],
            &[&ID.replace('-', "")],
            &[&braced],
            &["not a number: \" , \"level\": \"ERROR"],
        ];
        for values in bad {
            assert_eq!(said(values, Some(&door())), None, "{values:?}");
        }
    }

    #[tokio::test]
    async fn what_is_worked_on_bears_its_number_and_nothing_else_does() {
        let id = RequestId::parse(ID);
        let sent = || {
            let mut headers = headers(&["made up"]);
            inject(&mut headers);
            headers.get(HEADER).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(sent(), None);
        let (inside, other) = within(id, async {
            let other = within(None, async { sent() }).await;
            tokio::task::yield_now().await;
            (sent(), other)
        })
        .await;
        assert_eq!((inside.as_deref(), other), (Some(ID), None));
        assert_eq!((sent(), current()), (None, None));
        // A task that goes on with the work is spawned within its number.
        let (own, same) = within(id, async {
            let own = tokio::spawn(async { current() }).await.unwrap();
            (own, tokio::spawn(within(current(), async { current() })).await.unwrap())
        })
        .await;
        assert_eq!((own, same), (None, id));
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_in_its_one_form_or_none(text in "\\PC{0,40}|[0-9a-fA-F-]{30,40}") {
            prop_assert!(RequestId::parse(&text).is_none_or(|id| id.to_string() == text));
        }
    }
}
