//! What can be told of a review that was not read: too long, not there in time, or no review.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lanyard_kit::serve::BodyError;

use super::wire::{ReviewVersion, api_version};

/// Most bytes that are kept of the head of a body that may not be read: kind and version are what API servers write first.
const HEAD_BYTES_MAX: usize = 1024;

/// The member of a review that names its version, as JSON.
const API_VERSION: &[u8] = br#""apiVersion""#;

/// Why a body was not read.
pub(super) struct Unread {
    pub(super) error: BodyError,
    /// What it began with, as far as that came.
    pub(super) head: Vec<u8>,
}

/// The version that bytes name as a review does: an API server cannot read an answer in another than it asked in, and would go on to
/// RBAC. In a text that somebody chose the quotes are escaped, so that none passes for the member.
pub(super) fn version(bytes: &[u8], group: &'static str) -> ReviewVersion {
    let places = bytes.windows(API_VERSION.len()).enumerate().filter(|(_, window)| *window == API_VERSION);
    let named = places.filter_map(|(at, _)| {
        let value = bytes.get(at + API_VERSION.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        value.trim_ascii_start().strip_prefix(b"\"")
    });
    let older = api_version(group, ReviewVersion::V1Beta1).as_bytes();
    match named.map(|text| text.strip_prefix(older)).next() {
        Some(Some([b'"', ..])) => ReviewVersion::V1Beta1,
        _ => ReviewVersion::V1,
    }
}

/// A body of which the first bytes are kept as they pass, unless they are all and sure to be read.
pub(super) struct Headed<B> {
    body: B,
    head: Vec<u8>,
    read_at_once_max: usize,
}

impl<B: Body<Data = Bytes>> Headed<B> {
    /// For a body that is read for certain where it comes in one piece of at most so many bytes.
    pub(super) fn of(body: B, read_at_once_max: usize) -> Self {
        Self { body, head: Vec::new(), read_at_once_max }
    }

    /// That it was not read, with what was kept.
    pub(super) fn unread(self, error: BodyError) -> Unread {
        Unread { error, head: self.head }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Headed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let polled = ready!(Pin::new(&mut this.body).poll_frame(context));
        let data = match &polled {
            Some(Ok(frame)) => frame.data_ref(),
            Some(Err(_)) | None => None,
        };
        if let Some(data) = data {
            // Nearly every review comes in one piece, which is read: nothing of it needs room.
            let is_read =
                this.head.is_empty() && data.len() <= this.read_at_once_max && this.body.is_end_stream();
            let room = HEAD_BYTES_MAX.saturating_sub(this.head.len());
            if !is_read {
                this.head.extend_from_slice(data.get(..room).unwrap_or(data));
            }
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;
    use crate::kubernetes::wire::{AUTHENTICATION, AUTHORIZATION};

    #[test]
    fn immunity_59_what_is_not_read_is_answered_in_the_version_that_it_names() {
        for (bytes, expected) in [
            (
                r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1beta1","spec":{"us"#,
                "v1beta1",
            ),
            ("{\"apiVersion\" :\n \"authorization.k8s.io/v1beta1\"", "v1beta1"),
            (r#"{"apiVersion":"authorization.k8s.io/v1","#, "v1"),
            (r#"{"apiVersion":"authorization.k8s.io/v9""#, "v1"),
            (r#"{"apiVersion":"authorization.k8s.io/v1beta1"#, "v1"),
            (r#"{"apiVersion":"authorization.k8s.io/v1beta12""#, "v1"),
            (r#"{"apiVersion":"authentication.k8s.io/v1beta1""#, "v1"),
            (r#"{"apiVersion":7,"spec":{}}"#, "v1"),
            (r#"{"apiVersion""#, "v1"),
            ("", "v1"),
            // The first one counts,
            (r#"{"apiVersion":"authorization.k8s.io/v1","apiVersion":"authorization.k8s.io/v1beta1""#, "v1"),
            // and none that somebody chose: a path, a key of the extra, a text within a text.
            (r#"{"spec":{"nonResourceAttributes":{"path":"/apis/authorization.k8s.io/v1beta1""#, "v1"),
            (r#"{"spec":{"extra":{"apiVersion":["authorization.k8s.io/v1beta1"]"#, "v1"),
            (r#"{"spec":{"user":"{\"apiVersion\":\"authorization.k8s.io/v1beta1\"}""#, "v1"),
        ] {
            assert_eq!(version(bytes.as_bytes(), AUTHORIZATION).name(), expected, "{bytes}");
        }
        let other = br#"{"apiVersion":"authentication.k8s.io/v1beta1","#;
        assert_eq!(version(other, AUTHENTICATION), ReviewVersion::V1Beta1);
    }

    #[tokio::test]
    async fn immunity_59_of_a_body_that_may_not_be_read_the_head_is_kept_whatever_pieces_it_comes_in() {
        let sent: Vec<u8> = (0..HEAD_BYTES_MAX * 3).map(|at| at.to_le_bytes()[0]).collect();
        for piece in [1, 7, HEAD_BYTES_MAX, HEAD_BYTES_MAX + 1, sent.len()] {
            let pieces: Vec<Result<_, Infallible>> =
                sent.chunks(piece).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
            let mut body = Headed::of(StreamBody::new(stream::iter(pieces)), sent.len());
            assert_eq!((&mut body).collect().await.unwrap().to_bytes(), sent, "{piece}");
            let unread = body.unread(BodyError::Incomplete);
            assert_eq!(unread.head, sent[..HEAD_BYTES_MAX], "{piece}");
        }
        for (bytes_max, kept) in [(sent.len(), 0), (sent.len() - 1, HEAD_BYTES_MAX)] {
            let mut body = Headed::of(Full::new(Bytes::from(sent.clone())), bytes_max);
            assert_eq!(body.size_hint().exact(), Some(sent.len() as u64));
            assert_eq!((&mut body).collect().await.unwrap().to_bytes(), sent);
            assert_eq!(body.unread(BodyError::Incomplete).head.len(), kept, "{bytes_max}");
        }
    }

    #[tokio::test]
    async fn immunity_59_of_a_body_that_would_fit_and_stalls_the_head_is_kept() {
        const HEAD: &[u8] = br#"{"apiVersion":"authorization.k8s.io/v1beta1","#;
        let piece: Result<_, Infallible> = Ok(Frame::data(Bytes::from_static(HEAD)));
        let stalls = stream::iter([piece]).chain(stream::pending());
        let mut body = Headed::of(StreamBody::new(stalls), HEAD_BYTES_MAX);
        assert!(body.frame().await.is_some() && futures::poll!(body.frame()).is_pending());
        let unread = body.unread(BodyError::Incomplete);
        assert_eq!(version(&unread.head, AUTHORIZATION), ReviewVersion::V1Beta1);
    }
}
