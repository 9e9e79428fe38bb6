//! A look at each request before it comes to a service.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::{Either, Map};
use http::{Request, Response};
use tower::Service;

/// Says which requests go no further.
pub trait Guard<B, R> {
    /// None: it goes on, with what else is to go along in its extensions. Else the answer in place of the service's.
    fn refusal(&self, request: &mut Request<B>) -> Option<Refusal<R>>;
}

/// A refusal that is being made: work on the request, as the service's own answer would be.
pub type Refusal<R> = Pin<Box<dyn Future<Output = Response<R>> + Send>>;

/// An answer as a service's result.
type AsResult<R, E> = fn(Response<R>) -> Result<Response<R>, E>;
/// The same as a service answers.
type Refused<R, E> = Map<Refusal<R>, AsResult<R, E>>;

/// A service behind a guard. A router's layers would box the service and its answer anew for each request; this does not.
#[derive(Debug, Clone)]
pub struct Guarded<S, G> {
    service: S,
    guard: G,
}

impl<S, G> Guarded<S, G> {
    /// Puts the guard before the service.
    pub fn new(service: S, guard: G) -> Self {
        Self { service, guard }
    }
}

impl<S, B, R, G> Service<Request<B>> for Guarded<S, G>
where
    S: Service<Request<B>, Response = Response<R>>,
    G: Guard<B, R>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Refused<R, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.guard.refusal(&mut request) {
            None => Either::Left(self.service.call(request)),
            Some(refusal) => {
                let answered: AsResult<R, S::Error> = Ok;
                Either::Right(refusal.map(answered))
            }
        }
    }
}
