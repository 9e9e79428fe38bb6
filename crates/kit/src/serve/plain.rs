//! A listener of HTTP/1 without TLS, of which all have one kind of service.
//!
//! HTTP itself is generic over the service and over what it is spoken on, and all of it is in a program once for each of
//! these. Here it is there once, whatever answers, and nothing of TLS or HTTP/2 beside it: for processes that are to be small.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{Limits, Options, ServeError, Server};

/// An answer that is being made.
type Answering = BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>>;

/// What answers requests with bodies that are there whole: of one type, whatever it is.
#[derive(Clone)]
pub struct Answerer(Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>);

impl Answerer {
    /// By a function.
    pub fn new<W, F>(answer: W) -> Self
    where
        W: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self(Arc::new(move |request: Request<Incoming>| -> Answering { answer(request).map(Ok).boxed() }))
    }
}

impl Service<Request<Incoming>> for Answerer {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        (self.0)(request)
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answerer")
    }
}

/// A bound listener of HTTP/1 without TLS that does not serve yet.
#[derive(Debug)]
pub struct PlainServer(Server);

impl PlainServer {
    /// Binds the address, as [`Server::bind`]; answers go over so many routers at most, or over as many as the system has it.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the system refuses.
    pub async fn bind(
        address: SocketAddr,
        hops_max: Option<u32>,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        Server::bind(Options { address, hops_max, limits, ..Options::loopback(0) }).await.map(Self)
    }

    /// Where it listens; with the port that was free where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Where programs of this machine reach it, as [`Server::reached_at`].
    #[must_use]
    pub fn reached_at(&self) -> SocketAddr {
        self.0.reached_at()
    }

    /// Serves until `stop`, as [`Server::run`].
    // Boxed, so that it is made here, and not anew in each crate that calls it.
    pub fn run(self, service: Answerer, stop: CancellationToken) -> BoxFuture<'static, ()> {
        self.0.each(move |accepted| accepted.serve_http1(service.clone()), stop).boxed()
    }
}
