//! A channel that changes requests before they leave.

use std::task::{Context, Poll};

use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
};

use super::Wire;

/// What changes a request before it leaves.
pub trait Prepare: Clone + Send + Sync + 'static {
    /// The request to send, or the status that the caller gets instead.
    fn prepare(
        &self,
        request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Request<Body>, Status>> + Send;
}

/// A channel whose requests are prepared.
#[derive(Debug, Clone)]
pub struct Prepared<C, P> {
    channel: C,
    prepare: P,
}

impl<C: Wire, P: Prepare> Prepared<C, P> {
    /// Around a channel.
    pub fn new(channel: C, prepare: P) -> Self {
        Self { channel, prepare }
    }
}

impl<C: Wire, P: Prepare> Service<http::Request<Body>> for Prepared<C, P> {
    type Response = http::Response<Body>;
    type Error = C::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The one that is ready goes; its clone waits for the next call.
        let waiting = self.channel.clone();
        let mut ready = std::mem::replace(&mut self.channel, waiting);
        let prepare = self.prepare.clone();
        Box::pin(async move {
            match prepare.prepare(request).await {
                Ok(request) => ready.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}
