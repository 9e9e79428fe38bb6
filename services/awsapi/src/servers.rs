//! The way to services of this process: their gRPC servers, called as they are.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

/// An answer on its way, as generated servers have it.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A generated server, whatever it serves.
trait Server: Send + Sync {
    fn answer(&self, request: Request<Body>) -> Answering;
}

impl<S> Server for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
        + Clone
        + Send
        + Sync,
{
    fn answer(&self, request: Request<Body>) -> Answering {
        // They are always ready, and clones share what they serve.
        self.clone().call(request)
    }
}

/// Servers by the names of their services. A router would box the server, its answer and both bodies anew for each call, and take the path
/// apart into parameters that nobody reads.
#[derive(Clone, Default)]
pub struct Servers(Arc<HashMap<&'static str, Box<dyn Server>>>);

/// A server with the name of its service.
pub(crate) struct Named(&'static str, Box<dyn Server>);

impl Named {
    pub(crate) fn new<S>(server: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        Self(S::NAME, Box::new(server))
    }
}

impl FromIterator<Named> for Servers {
    fn from_iter<I: IntoIterator<Item = Named>>(servers: I) -> Self {
        Self(Arc::new(servers.into_iter().map(|Named(name, server)| (name, server)).collect()))
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Service<Request<Body>> for Servers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        // `/<service>/<method>`
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.get(service) {
            Some(server) => server.answer(request),
            None => Box::pin(ready(Ok(Status::unimplemented("no such service is served here").into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with its name.
    #[derive(Clone)]
    struct A;
    #[derive(Clone)]
    struct B;

    macro_rules! server {
        ($server:ident = $name:literal) => {
            impl NamedService for $server {
                const NAME: &'static str = $name;
            }

            impl Service<Request<Body>> for $server {
                type Response = Response<Body>;
                type Error = Infallible;
                type Future = Answering;

                fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                    Poll::Ready(Ok(()))
                }

                fn call(&mut self, _: Request<Body>) -> Answering {
                    let response = Response::builder().header("served-by", $name).body(Body::default());
                    Box::pin(ready(Ok(response.unwrap())))
                }
            }
        };
    }
    server!(A = "lanyard.mapping.v1.Entries");
    server!(B = "lanyard.mapping.v1.Entry");

    #[tokio::test]
    async fn a_call_comes_to_the_server_of_its_service_and_else_to_none() {
        let mut servers = Servers::from_iter([Named::new(A), Named::new(B)]);
        let cases = [
            ("/lanyard.mapping.v1.Entries/ListAccessEntries", Some("lanyard.mapping.v1.Entries")),
            ("/lanyard.mapping.v1.Entry/ListAccessEntries", Some("lanyard.mapping.v1.Entry")),
            ("/lanyard.mapping.v1.Entrie/ListAccessEntries", None),
            ("/ListAccessEntries/lanyard.mapping.v1.Entries", None),
            ("/", None),
        ];
        for (path, wanted) in cases {
            let request = Request::builder().uri(path).body(Body::default()).unwrap();
            let response = servers.call(request).await.unwrap();
            let served_by = response.headers().get("served-by").map(|name| name.to_str().unwrap());
            assert_eq!(served_by, wanted, "{path}");
            // 12: UNIMPLEMENTED.
            let status = response.headers().get("grpc-status").map(|status| status.to_str().unwrap());
            assert_eq!(status, wanted.is_none().then_some("12"), "{path}");
        }
    }
}
