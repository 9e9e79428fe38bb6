//! Streams that go on: whoever was admitted when one began may not be any more when its next message comes.
//!
//! What tells such a stream holds one of few places. So it is in a task of its own, which ends it when its caller may listen no
//! more also where they take nothing: then nobody asks for its next piece.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    response::Response,
};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use lanyard_api::{
    authn::{Admission, Admit as _, AdmitQuery},
    grpc::{forbidden, unauthenticated},
};
use lanyard_kit::{Panicked, caught};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::trailers;
use crate::{kubernetes::Gateway, services::Services};

/// How often the caller of a stream is weighed who takes nothing of it: as often as who takes what a silent one says.
const WEIGHED_EVERY: Duration = Duration::from_secs(20);

/// A piece of a body.
type Piece = Result<Frame<Bytes>, axum::Error>;

/// Says how long a stream goes on.
trait Weigh: Send + Sync + 'static {
    /// Whether its caller may listen, as things are now.
    fn admitted(&self) -> impl Future<Output = Result<(), Status>> + Send;

    /// Waits until the hub stops.
    fn stopping(&self) -> impl Future<Output = ()> + Send;
}

/// Who began a stream, by the call that did so.
struct Caller<S: Services> {
    gateway: Arc<Gateway<S>>,
    call: AdmitQuery,
}

impl<S: Services> Weigh for Caller<S> {
    async fn admitted(&self) -> Result<(), Status> {
        match self.gateway.parts.services.authn().admit(self.call.clone()).await? {
            Admission::Admitted(_) => Ok(()),
            Admission::Unauthenticated(denial) => Err(unauthenticated(&denial)),
            Admission::Forbidden(denial) => Err(forbidden(&denial)),
        }
    }

    async fn stopping(&self) {
        self.gateway.parts.readiness.stopping().await;
    }
}

/// The same answer, its caller admitted anew before each piece of it, by the call that began it. Its signature has an end, and
/// so has the stream.
pub(super) fn admitted_throughout<S: Services>(
    gateway: Arc<Gateway<S>>,
    call: AdmitQuery,
    response: Response,
) -> Response {
    weighed(Caller { gateway, call }, response)
}

fn weighed<W: Weigh>(weigh: W, response: Response) -> Response {
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| {
        let (wanted, asked) = mpsc::channel(1);
        let telling = Telling { weigh, asked, reader: None };
        let telling = AbortOnDropHandle::new(tokio::spawn(caught("a watch", telling.tell(body))));
        let told = Told { wanted, _telling: telling };
        Body::new(StreamBody::new(stream::unfold(told, Told::next)))
    })
}

/// The reader's side of a stream.
struct Told {
    wanted: mpsc::Sender<oneshot::Sender<Piece>>,
    /// Whoever reads no more lets go of what would be told.
    _telling: AbortOnDropHandle<Result<(), Panicked>>,
}

impl Told {
    async fn next(self) -> Option<(Piece, Self)> {
        let (give, given) = oneshot::channel();
        self.wanted.send(give).await.ok()?;
        Some((given.await.ok()?, self))
    }
}

/// The side of a stream that tells. A piece is weighed when it is wanted and not before: none lies about for later.
struct Telling<W> {
    weigh: W,
    asked: mpsc::Receiver<oneshot::Sender<Piece>>,
    /// Who wants the next piece.
    reader: Option<oneshot::Sender<Piece>>,
}

impl<W: Weigh> Telling<W> {
    async fn tell(mut self, body: Body) {
        // What was to be told is let go here, whenever the reader comes for the last word.
        let Err(status) = self.pass_on(body).await else { return };
        if self.reader.is_none() {
            self.reader = self.asked.recv().await;
        }
        self.give(Ok(Frame::trailers(trailers::of(&status))));
    }

    /// Until there is no more, or nobody who reads; an error where the door ends it.
    async fn pass_on(&mut self, mut body: Body) -> Result<(), Status> {
        loop {
            let next = tokio::select! {
                next = body.frame() => next,
                () = self.weigh.stopping() => return Err(stopping()),
            };
            let Some(piece) = next else { return Ok(()) };
            if !self.is_wanted().await? {
                return Ok(());
            }
            if piece.as_ref().is_ok_and(Frame::is_data) {
                self.weigh.admitted().await?;
            }
            self.give(piece);
        }
    }

    /// Waits until the reader wants a piece; false where they have gone.
    async fn is_wanted(&mut self) -> Result<bool, Status> {
        while self.reader.is_none() {
            tokio::select! {
                reader = self.asked.recv() => match reader {
                    Some(reader) => self.reader = Some(reader),
                    None => return Ok(false),
                },
                () = self.weigh.stopping() => return Err(stopping()),
                () = tokio::time::sleep(WEIGHED_EVERY) => self.weigh.admitted().await?,
            }
        }
        Ok(true)
    }

    fn give(&mut self, piece: Piece) {
        if let Some(reader) = self.reader.take() {
            // An error: they have gone meanwhile, which ends this task.
            let _ = reader.send(piece);
        }
    }
}

fn stopping() -> Status {
    Status::unavailable("the hub is stopping: begin the watch again")
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use tokio::time::{Instant, sleep};
    use tokio_util::sync::CancellationToken;
    use tonic::Code;

    use super::*;

    const SIGNATURE_TIME: Duration = Duration::from_secs(300);

    /// A caller who may listen until a moment, and how often they were weighed.
    struct Until {
        end: Instant,
        weighed: Arc<AtomicUsize>,
        stop: CancellationToken,
    }

    impl Weigh for Until {
        async fn admitted(&self) -> Result<(), Status> {
            self.weighed.fetch_add(1, Ordering::Relaxed);
            if Instant::now() < self.end { Ok(()) } else { Err(Status::unauthenticated("it is too old")) }
        }

        async fn stopping(&self) {
            self.stop.cancelled().await;
        }
    }

    /// A place that is given back.
    struct Place(Arc<AtomicBool>);

    impl Drop for Place {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// A stream with more to tell than anybody takes, a piece in so much time.
    struct Stage {
        body: Body,
        weighed: Arc<AtomicUsize>,
        stop: CancellationToken,
        given_back: Arc<AtomicBool>,
    }

    impl Stage {
        fn new(each: Duration) -> Self {
            let (weighed, given_back) = (Arc::default(), Arc::<AtomicBool>::default());
            let stop = CancellationToken::new();
            let pieces = stream::unfold(Place(Arc::clone(&given_back)), move |place| async move {
                sleep(each).await;
                Some((Ok::<_, Infallible>("piece"), place))
            });
            let end = Instant::now() + SIGNATURE_TIME;
            let until = Until { end, weighed: Arc::clone(&weighed), stop: stop.clone() };
            let body = super::weighed(until, Response::new(Body::from_stream(pieces))).into_body();
            Self { body, weighed, stop, given_back }
        }

        fn is_given_back(&self) -> bool {
            self.given_back.load(Ordering::Relaxed)
        }

        /// How many pieces there were until the last word, and which that was.
        async fn rest(&mut self) -> (usize, Code) {
            let mut pieces = 0;
            loop {
                match self.body.frame().await.unwrap().unwrap().into_trailers() {
                    Ok(trailers) => {
                        assert!(self.body.frame().await.is_none(), "the last word is the last");
                        return (pieces, Status::from_header_map(&trailers).unwrap().code());
                    }
                    Err(_) => pieces += 1,
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_gives_the_place_back_when_they_may_listen_no_more() {
        for taken in [0, 1] {
            let mut stage = Stage::new(Duration::ZERO);
            for _ in 0..taken {
                assert!(stage.body.frame().await.unwrap().unwrap().is_data());
            }
            sleep(SIGNATURE_TIME - WEIGHED_EVERY).await;
            assert!(!stage.is_given_back(), "{taken} taken: they may listen still");
            sleep(WEIGHED_EVERY * 2).await;
            assert!(stage.is_given_back(), "{taken} taken");
            assert_eq!(
                stage.rest().await,
                (0, Code::Unauthenticated),
                "{taken} taken: nothing after the end"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_is_weighed_as_it_is_taken() {
        let mut stage = Stage::new(Duration::from_secs(7));
        let (pieces, code) = stage.rest().await;
        assert_eq!((pieces, code), (42, Code::Unauthenticated), "as many as come in five minutes");
        assert_eq!(stage.weighed.load(Ordering::Relaxed), pieces + 1);
        assert!(stage.is_given_back());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_its_reader_and_with_the_hub() {
        for each in [Duration::ZERO, SIGNATURE_TIME] {
            let Stage { body, given_back, .. } = Stage::new(each);
            sleep(WEIGHED_EVERY / 2).await;
            drop(body);
            sleep(Duration::from_millis(1)).await;
            assert!(given_back.load(Ordering::Relaxed), "{each:?}: nobody reads");

            let mut stage = Stage::new(each);
            sleep(WEIGHED_EVERY / 2).await;
            stage.stop.cancel();
            sleep(Duration::from_millis(1)).await;
            assert!(stage.is_given_back(), "{each:?}: the hub stops");
            assert_eq!(stage.rest().await, (0, Code::Unavailable), "{each:?}");
        }
    }
}
