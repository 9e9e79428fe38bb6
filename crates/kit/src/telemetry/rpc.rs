//! gRPC calls, counted and timed by method and code, each with a span: as they are served, and as they are sent.
//!
//! A call ends with the trailers of its answer, so the body is looked through on its way: nothing is copied, nothing waits.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::Span;
use tracing::instrument::{Instrument as _, Instrumented};

use super::request_id::{RequestId, Within, within};
use super::set::{LabelSet, Place, SetCounters, SetHistograms};
use super::trace::span;
use super::{Label, names};
use crate::serve::Peer;

macro_rules! codes {
    ($($variant:ident $name:literal,)*) => {
        /// The codes of gRPC, in the order of their numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $name] $variant,)*
        }

        impl Label for Code {
            const KEY: &'static str = names::CODE;
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn value(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

codes! {
    Ok "OK",
    Cancelled "CANCELLED",
    Unknown "UNKNOWN",
    InvalidArgument "INVALID_ARGUMENT",
    DeadlineExceeded "DEADLINE_EXCEEDED",
    NotFound "NOT_FOUND",
    AlreadyExists "ALREADY_EXISTS",
    PermissionDenied "PERMISSION_DENIED",
    ResourceExhausted "RESOURCE_EXHAUSTED",
    FailedPrecondition "FAILED_PRECONDITION",
    Aborted "ABORTED",
    OutOfRange "OUT_OF_RANGE",
    Unimplemented "UNIMPLEMENTED",
    Internal "INTERNAL",
    Unavailable "UNAVAILABLE",
    DataLoss "DATA_LOSS",
    Unauthenticated "UNAUTHENTICATED",
}

impl Code {
    /// What headers or trailers say; none where they say nothing.
    fn said(headers: &HeaderMap) -> Option<Self> {
        let number: usize = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
        Some(Self::ALL.get(number).copied().unwrap_or(Self::Unknown))
    }
}

/// What is counted of calls on one side.
pub struct Calls {
    methods: Arc<LabelSet>,
    counts: SetCounters<Code>,
    seconds: SetHistograms,
}

impl Calls {
    /// Calls that this process answers. `methods` are the paths that are told apart; make it after the recorder.
    pub fn served(methods: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        Self::new(methods, names::GRPC_REQUESTS_TOTAL, names::GRPC_SECONDS)
    }

    /// Calls that this process sends.
    pub fn sent(methods: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        Self::new(methods, names::GRPC_CLIENT_REQUESTS_TOTAL, names::GRPC_CLIENT_SECONDS)
    }

    fn new(
        methods: impl IntoIterator<Item = &'static str>,
        counts: &'static str,
        seconds: &'static str,
    ) -> Arc<Self> {
        let methods = LabelSet::new(names::METHOD, methods);
        Arc::new(Self {
            counts: SetCounters::new(counts, &methods),
            seconds: SetHistograms::new(seconds, &methods),
            methods,
        })
    }

    /// A call is sent.
    #[must_use]
    pub fn send(self: &Arc<Self>, path: &str) -> Call {
        self.begin(path, span::sent)
    }

    /// A call has come.
    fn come<B>(self: &Arc<Self>, request: &Request<B>) -> Call {
        let peer = request.extensions().get::<Peer>();
        self.begin(request.uri().path(), |method| span::served(method, request.headers(), peer))
    }

    fn begin(self: &Arc<Self>, path: &str, span: impl FnOnce(&'static str) -> Span) -> Call {
        let place = self.methods.place(path);
        let span = span(self.methods.value(place));
        Call { calls: Arc::clone(self), place, span, begun: Instant::now(), ended: false }
    }
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

/// One call. Dropped before its end, it is counted as cancelled: nobody waited for the rest.
#[derive(Debug)]
pub struct Call {
    calls: Arc<Calls>,
    place: Place,
    span: Span,
    begun: Instant,
    ended: bool,
}

impl Call {
    /// Its span, for the work that is done on it.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// It has ended so.
    pub fn end(mut self, code: Code) {
        self.count(code);
    }

    fn count(&mut self, code: Code) {
        if !std::mem::replace(&mut self.ended, true) {
            self.calls.counts.increment(self.place, code);
            self.calls.seconds.record(self.place, self.begun.elapsed());
            span::rpc_ended(&self.span, code);
        }
    }

    /// Follows the answer to its end.
    pub fn answered<B>(mut self, response: Response<B>) -> Response<Answer<B>> {
        // An answer without a message has its status in the head.
        if let Some(code) = Code::said(response.headers()) {
            self.count(code);
        }
        response.map(|body| Answer { body, call: self })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.count(Code::Cancelled);
    }
}

pin_project! {
    /// The body of an answer on its way.
    #[derive(Debug)]
    pub struct Answer<B> {
        #[pin]
        body: B,
        call: Call,
    }
}

impl<B: Body<Data = Bytes>> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.call.count(Code::said(trailers).unwrap_or(Code::Unknown));
                }
            }
            // No status at all, or the connection broke before it came.
            None | Some(Err(_)) => this.call.count(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts and times what a server answers.
#[derive(Debug, Clone)]
pub struct ServedLayer(Arc<Calls>);

impl ServedLayer {
    /// Around the methods of a server, outside of all that could refuse a call.
    #[must_use]
    pub fn new(calls: Arc<Calls>) -> Self {
        Self(calls)
    }
}

impl<S> Layer<S> for ServedLayer {
    type Service = ServedCalls<S>;

    fn layer(&self, service: S) -> ServedCalls<S> {
        ServedCalls { service, calls: Arc::clone(&self.0) }
    }
}

/// A server whose calls are counted and timed.
#[derive(Debug, Clone)]
pub struct ServedCalls<S> {
    service: S,
    calls: Arc<Calls>,
}

impl<S> ServedCalls<S> {
    /// Of a whole server, which may be no router.
    #[must_use]
    pub fn new(service: S, calls: Arc<Calls>) -> Self {
        Self { service, calls }
    }
}

impl<S, B, R> Service<Request<B>> for ServedCalls<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<Answer<R>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Answering<S::Future> {
        let call = self.calls.come(&request);
        let of = RequestId::said(request.headers(), request.extensions().get::<Peer>());
        let answer = self.service.call(request).instrument(call.span());
        Answering { answer: within(of, answer), call: Some(call) }
    }
}

pin_project! {
    /// An answer that is being made.
    pub struct Answering<F> {
        #[pin]
        answer: Within<Instrumented<F>>,
        call: Option<Call>,
    }
}

impl<F, R, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Answer<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(context));
        // Polled once more after its end, which is a bug of whoever does so, it waits for ever rather than panic.
        let Some(call) = this.call.take() else { return Poll::Pending };
        Poll::Ready(match answer {
            Ok(response) => Ok(call.answered(response)),
            Err(error) => {
                call.end(Code::Unknown);
                Err(error)
            }
        })
    }
}

#[cfg(test)]
mod tests;
