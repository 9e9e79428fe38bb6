//! Watches on a service whose first replica hangs: it has said something, or nothing at all, and is silent from then on.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::Instant;
use tonic::{
    body::Body,
    codegen::{Service, http},
};

use super::*;
use crate::{
    Revision,
    mapping::{
        Clusters as _, DIRECTORY_HEARD_WITHIN, DIRECTORY_SILENCE_MAX, REVISIONS_HEARD_WITHIN,
        REVISIONS_SILENCE_MAX, RevisionReport,
    },
};

/// A service: of each call the first words, in the order of calls, and silence behind them.
#[derive(Clone)]
struct Hangs {
    words: Arc<[Vec<u8>]>,
    calls: Arc<AtomicUsize>,
}

impl Hangs {
    /// The first call hears nothing at all.
    fn before(word: &impl prost::Message) -> Self {
        Self { words: [Vec::new(), word.encode_to_vec()].into(), calls: Arc::default() }
    }
}

impl Service<http::Request<Body>> for Hangs {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let said = self.words.get(call).filter(|word| !word.is_empty()).map(|word| {
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(word.len()).unwrap());
            framed.put_slice(word);
            Ok::<_, Infallible>(Frame::data(framed.freeze()))
        });
        let frames = stream::iter(said).chain(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        ready(Ok(http::Response::new(Body::new(StreamBody::new(frames)))))
    }
}

#[test]
fn a_watch_is_patient_for_more_than_one_word_that_is_late() {
    assert!(DIRECTORY_HEARD_WITHIN > 2 * DIRECTORY_SILENCE_MAX);
    assert!(REVISIONS_HEARD_WITHIN > 2 * REVISIONS_SILENCE_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_directory_of_a_replica_that_hangs_is_heard_of_another() {
    let (begun, word) = (Instant::now(), pb::ClusterDirectory { revision: 7, ..Default::default() });
    let hangs = Hangs::before(&word);
    let mut directory = Remote::new(hangs.clone()).directory();
    directory.changed().await.unwrap();
    assert_eq!(directory.borrow_and_update().revision, Revision(7));
    assert_eq!(hangs.calls.load(Ordering::SeqCst), 2);
    let waited = begun.elapsed();
    assert!(waited >= DIRECTORY_HEARD_WITHIN && waited < 2 * DIRECTORY_HEARD_WITHIN, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn revisions_of_a_replica_that_hangs_are_lost_and_heard_of_another() {
    let (begun, word) = (Instant::now(), pb::Revisions { is_all: true, ..Default::default() });
    let hangs = Hangs::before(&word);
    let reports: Vec<RevisionReport> = Remote::new(hangs.clone()).revisions().take(2).collect().await;
    assert_eq!(reports, [RevisionReport::Lost, RevisionReport::All(Vec::new())]);
    assert_eq!(hangs.calls.load(Ordering::SeqCst), 2);
    let waited = begun.elapsed();
    assert!(waited >= REVISIONS_HEARD_WITHIN && waited < 2 * REVISIONS_HEARD_WITHIN, "{waited:?}");
}
