//! The server's end of such a stream.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future as _, Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use futures::future::{AbortHandle, Abortable, BoxFuture, Either as EitherFuture, Map, abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use http::uri::{Parts, PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame};
use http_body_util::{Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::{Service, ServiceExt as _};

use super::body::whole;
use super::wire::{self, Answer, Call, Given, Messages, USUAL_OF_CALLS};
use super::{
    ANSWER_BODY_BYTES_MAX, CALL_BYTES_MAX, CALLS_MAX, FIELDS_MAX, OfConnection, PATH, WAITING_BYTES_MAX,
};
use crate::serve::{Peer, Shape};
use crate::telemetry::{Code, RequestId};
use crate::tls::PeerIdentity;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Pieces that are read before answers are written again.
const PIECES_AT_ONCE: usize = 32;

/// Most bytes of an answer's headers, or of its trailers: both with what frames them are well within what the other end reads.
pub(super) const METADATA_BYTES_MAX: usize = 256 * 1024;

/// The body of a request, whether it came by itself or with others.
pub type Whole = Either<Incoming, Full<Bytes>>;

/// An answer to a call that came by itself.
type AsEither<R> = fn(Result<Response<R>, Infallible>) -> Result<Response<Either<R, Carrying>>, Infallible>;

/// A server that takes calls which travel together, beside those that come by themselves. It stands outside of all that looks at a
/// call, so that the service within, with its layers, is given each of them as if it were alone.
#[derive(Debug, Clone)]
pub struct Together<S> {
    service: S,
    methods: &'static [&'static str],
}

impl<S> Together<S> {
    /// Takes calls of these methods together, whose answers are no streams.
    pub fn new(service: S, methods: &'static [&'static str]) -> Self {
        Self { service, methods }
    }
}

impl<S, R> Service<Request<Incoming>> for Together<S>
where
    S: Service<Request<Whole>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Either<R, Carrying>>;
    type Error = Infallible;
    type Future = EitherFuture<Map<S::Future, AsEither<R>>, Ready<Result<Self::Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().filter(|_| request.uri().path() == PATH);
        let peer = peer.filter(|peer| is_service(peer)).cloned();
        let opened = peer.and_then(|peer| Some((peer, slot(&request)?)));
        match opened {
            Some((peer, slot)) => {
                let body = Carrying::new(self.service.clone(), self.methods, peer, request, slot);
                let mut response = Response::new(Either::Right(body));
                let media_type = const { HeaderValue::from_static("application/grpc") };
                response.headers_mut().insert(header::CONTENT_TYPE, media_type);
                EitherFuture::Right(ready(Ok(response)))
            }
            // To anybody else, and for one more on the connection, there is no such method, which the service within says.
            None => {
                let answered: AsEither<R> = |answer| answer.map(|response| response.map(Either::Left));
                EitherFuture::Left(self.service.call(request.map(Either::Left)).map(answered))
            }
        }
    }
}

/// Where calls of a method go: its path, behind what the stream has before it.
fn uri_of(method: &'static str, stream: &Uri) -> Option<Uri> {
    let mut parts = Parts::from(stream.clone());
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from_static(method.as_bytes())).ok()?);
    Uri::from_parts(parts).ok()
}

fn is_service(peer: &Peer) -> bool {
    matches!(peer.identity.as_deref(), Some(PeerIdentity::Service { .. }))
}

/// The place of a stream among those of its connection; none where there are as many as may be.
fn slot(request: &Request<Incoming>) -> Option<OwnedSemaphorePermit> {
    let of = request.extensions().get::<OfConnection>()?;
    Arc::clone(&of.slots).try_acquire_owned().ok()
}

/// Begins to work on a call.
type Begin = Box<dyn Fn(u64, Request<Whole>) -> BoxFuture<'static, Given> + Send>;

/// The answers of one stream, which are worked on while they are asked for: one task has all of its calls, so that nothing is spawned
/// or woken between them. One that waits holds up no other; one that computes does, as it does whatever shares its thread.
pub struct Carrying {
    /// Calls, until the client ends them.
    incoming: Option<Incoming>,
    messages: Messages,
    begin: Begin,
    calls: FuturesUnordered<Abortable<BoxFuture<'static, Given>>>,
    handles: HashMap<u64, AbortHandle, RandomState>,
    /// The client has to be told yet.
    ending: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    queue: BytesMut,
    /// What is taken, and where it goes: scheme and authority are the stream's.
    methods: Box<[(&'static str, Uri)]>,
    peer: Peer,
    _slot: OwnedSemaphorePermit,
}

impl fmt::Debug for Carrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrying").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Carrying {
    fn new<S, R>(
        service: S,
        methods: &'static [&'static str],
        peer: Peer,
        request: Request<Incoming>,
        slot: OwnedSemaphorePermit,
    ) -> Self
    where
        S: Service<Request<Whole>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let begin: Begin = Box::new(move |number: u64, request: Request<Whole>| {
            let shape = Shape::of(request.headers());
            let id = RequestId::said(request.headers(), request.extensions().get::<Peer>());
            let service = service.clone();
            Box::pin(async move {
                let work = async move {
                    let Ok(response) = service.oneshot(request).await;
                    given(number, response).await
                };
                match AssertUnwindSafe(work).catch_unwind().await {
                    Ok(answer) => answer,
                    Err(panic) => {
                        let answer = shape.answer(id, &*panic);
                        drop(panic);
                        given(number, answer).await
                    }
                }
            })
        });
        let (parts, incoming) = request.into_parts();
        let of = parts.extensions.get::<OfConnection>();
        let with_uri = |&method: &&'static str| Some((method, uri_of(method, &parts.uri)?));
        Self {
            incoming: Some(incoming),
            messages: Messages::new(CALL_BYTES_MAX),
            begin,
            calls: FuturesUnordered::new(),
            handles: HashMap::default(),
            ending: of.map(|of| Box::pin(of.ending.clone().cancelled_owned())),
            queue: BytesMut::new(),
            methods: methods.iter().filter_map(with_uri).collect(),
            peer,
            _slot: slot,
        }
    }

    /// Reads calls, and begins to work on them.
    fn read(&mut self, context: &mut Context<'_>) -> Result<(), BoxError> {
        for _ in 0..PIECES_AT_ONCE {
            let Some(incoming) = &mut self.incoming else { return Ok(()) };
            match Pin::new(incoming).poll_frame(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => self.incoming = None,
                Poll::Ready(Some(frame)) => {
                    let Ok(piece) = frame?.into_data() else { continue };
                    self.messages.push(&piece);
                    while let Some(call) = self.messages.next_message()? {
                        self.take(call);
                    }
                }
            }
        }
        // There may be more, after what these come to.
        context.waker().wake_by_ref();
        Ok(())
    }

    fn take(&mut self, call: Call) {
        let number = call.number;
        if call.is_cancelled {
            self.handles.remove(&number).iter().for_each(AbortHandle::abort);
            return;
        }
        let method = self.methods.iter().find(|(method, _)| *method.as_bytes() == *call.path);
        let is_taken = self.handles.len() < CALLS_MAX && !self.handles.contains_key(&number);
        match method.filter(|_| is_taken).and_then(|(_, uri)| self.request(uri.clone(), call)) {
            Some(request) => {
                let (work, handle) = abortable((self.begin)(number, request));
                self.handles.insert(number, handle);
                self.calls.push(work);
            }
            None => wire::put(&mut self.queue, &Answer { number, alone: true, ..Answer::default() }),
        }
    }

    /// The request that a call is, of the stream's peer; none where it could not be one.
    fn request(&self, uri: Uri, call: Call) -> Option<Request<Whole>> {
        let Call { headers, body, .. } = call;
        let mut request = Request::new(Either::Right(Full::new(body)));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        *request.headers_mut() = wire::headers(headers, &USUAL_OF_CALLS)?;
        request.extensions_mut().insert(self.peer.clone());
        Some(request)
    }

    /// Works on what can go on, and writes what is answered.
    fn work(&mut self, context: &mut Context<'_>) {
        while self.queue.len() < WAITING_BYTES_MAX {
            match self.calls.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(given))) => {
                    self.handles.remove(&given.number);
                    given.put(&mut self.queue);
                }
                // Cancelled: nobody waits for it.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }
}

impl Body for Carrying {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let carrying = self.get_mut();
        if let Some(ending) = &mut carrying.ending
            && ending.as_mut().poll(context).is_ready()
        {
            carrying.ending = None;
            wire::put(&mut carrying.queue, &Answer { ending: true, ..Answer::default() });
        }
        if let Err(error) = carrying.read(context) {
            return Poll::Ready(Some(Err(error)));
        }
        carrying.work(context);
        if !carrying.queue.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(carrying.queue.split().freeze()))));
        }
        if carrying.incoming.is_none() && carrying.calls.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

/// An answer for the wire, once it is whole.
async fn given<R>(number: u64, response: Response<R>) -> Given
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    match whole(Limited::new(body, ANSWER_BODY_BYTES_MAX)).await {
        Ok((_, trailers)) if !is_readable(&parts.headers) || !trailers.as_ref().is_none_or(is_readable) => {
            broken(number, Code::ResourceExhausted, "the answer has more metadata than one may have")
        }
        Ok((body, trailers)) => {
            Given { number, status: parts.status, headers: parts.headers, body, trailers }
        }
        Err(error) if error.is::<LengthLimitError>() => {
            broken(number, Code::ResourceExhausted, "the answer is longer than a message may be")
        }
        Err(_) => broken(number, Code::Internal, "the answer broke off: the log of the service may say why"),
    }
}

/// Whether the other end reads as much; else it would take the stream for broken.
fn is_readable(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() <= FIELDS_MAX && bytes <= METADATA_BYTES_MAX
}

/// An answer that is a status alone.
fn broken(number: u64, code: Code, message: &'static str) -> Given {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(code as usize));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    Given { number, status: StatusCode::OK, headers, body: Bytes::new(), trailers: None }
}
