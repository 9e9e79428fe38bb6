//! The HTTP listener's door: nearly all that comes is a review, and a review's way is as short as it can be.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{Router, body::Body};
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::Service;

use super::{
    router::{self, knock, review},
    state::Gateway,
};
use crate::{reviews::Kind, services::Services};

/// What the HTTP listener asks: reviews, which are nearly all that comes, without a detour, and everything else by the paths
/// of the router.
pub struct HttpDoor<S> {
    gateway: Arc<Gateway<S>>,
    others: Router,
}

impl<S: Services> HttpDoor<S> {
    /// For everything that comes to this gateway's HTTP listener.
    pub fn new(gateway: Arc<Gateway<S>>) -> Self {
        Self { others: router::router(Arc::clone(&gateway)), gateway }
    }
}

impl<S> Clone for HttpDoor<S> {
    fn clone(&self) -> Self {
        Self { gateway: Arc::clone(&self.gateway), others: self.others.clone() }
    }
}

impl<S> std::fmt::Debug for HttpDoor<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpDoor")
    }
}

impl<S: Services> Service<Request<Incoming>> for HttpDoor<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let Some((id, kind)) = plainly(request.uri().path()) else {
            return Box::pin(self.others.call(request));
        };
        let (gateway, begun) = (Arc::clone(&self.gateway), Instant::now());
        let known = knock(&gateway, id, &request);
        Box::pin(async move { Ok(review(&gateway, kind, begun, known, request).await) })
    }
}

/// The cluster's id and the kind of review, of a path that says them without percent signs; the router reads all others.
fn plainly(path: &str) -> Option<(&str, Kind)> {
    let (id, review) = path.strip_prefix("/clusters/")?.split_once('/')?;
    let kind = match review {
        "tokenreview" => Kind::Token,
        "subjectaccessreview" => Kind::Access,
        _ => return None,
    };
    (!id.is_empty() && !id.contains('%')).then_some((id, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_needs_reading_is_left_to_the_router() {
        for (path, expected) in [
            ("/clusters/dev/tokenreview", Some(("dev", Kind::Token))),
            ("/clusters/dev-1/subjectaccessreview", Some(("dev-1", Kind::Access))),
            ("/clusters/dev/mutate", None),
            ("/clusters/d%65v/tokenreview", None),
            ("/clusters//tokenreview", None),
            ("/clusters/dev/tokenreview/", None),
            ("/clusters/dev//tokenreview", None),
            ("/clusters/dev/x/tokenreview", None),
            ("/clusters/dev/apis", None),
            ("/clusters/dev/TokenReview", None),
            ("clusters/dev/tokenreview", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(plainly(path), expected, "{path}");
        }
    }
}
