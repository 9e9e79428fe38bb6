//! How long a caller waits (`grpc-timeout`): work that nobody waits for any more is let go.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use lanyard_api::{CallError, Fault};
use lanyard_kit::grpc_timeout;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use super::trailers;

/// How long a call may be without an answer whatever its caller says, and without a word from them. A change that waits for its
/// confirmation takes seconds; beyond a minute a client has gone. A stream that has begun is bound by its caller's word alone.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// Ends a call that has no answer by its deadline with DEADLINE_EXCEEDED, and a stream that goes on beyond it. What it would have
/// done is let go: a change is in one transaction, whose commit runs to its end once it has begun.
pub(super) async fn honour(request: Request, next: Next) -> Response {
    let asked = match asked(request.headers()) {
        Ok(asked) => asked,
        Err(error) => return Status::from(error).into_http(),
    };
    let begun = Instant::now();
    let limit = limit(asked);
    let Ok(response) = tokio::time::timeout(limit, next.run(request)).await else {
        return timed_out(limit).into_http();
    };
    // A deadline that no clock can tell is none.
    match asked.and_then(|limit| Some((begun.checked_add(limit)?, limit))) {
        Some((until, limit)) if !response.body().is_end_stream() => {
            response.map(|body| Body::new(Bounded::new(body, until, limit)))
        }
        _ => response,
    }
}

fn timed_out(limit: Duration) -> Status {
    Fault::TimedOut { part: "the call".into(), limit }.into()
}

/// How long there may be no answer.
fn limit(asked: Option<Duration>) -> Duration {
    asked.map_or(CALL_TIME_MAX, |asked| asked.min(CALL_TIME_MAX))
}

/// How long the caller waits, where they say so.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, CallError> {
    let Some(value) = headers.get(grpc_timeout::HEADER) else { return Ok(None) };
    let asked = grpc_timeout::parse(value).ok_or_else(|| {
        let rule = "1 to 8 digits and one of H, M, S, m, u, n, such as 5S";
        let message =
            format!("`{}` is not a timeout: it is {rule}", String::from_utf8_lossy(value.as_bytes()));
        CallError::invalid(grpc_timeout::HEADER, "malformed", message)
    })?;
    Ok(Some(asked))
}

/// An answer that ends at its caller's deadline.
struct Bounded {
    /// None once the deadline has ended it.
    body: Option<Body>,
    until: Pin<Box<Sleep>>,
    limit: Duration,
}

impl Bounded {
    fn new(body: Body, until: Instant, limit: Duration) -> Self {
        Self { body: Some(body), until: Box::pin(sleep_until(until)), limit }
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let next = Pin::new(body).poll_frame(cx);
        // Most answers are there at once, and need no timer. One that is whole but for its last word is not spoilt by it.
        let is_late = match &next {
            Poll::Pending => this.until.as_mut().poll(cx).is_ready(),
            Poll::Ready(Some(Ok(frame))) => frame.is_data() && Instant::now() >= this.until.deadline(),
            Poll::Ready(_) => false,
        };
        if !is_late {
            return next;
        }
        this.body = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers::of(&timed_out(this.limit))))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use axum::{Router, middleware, routing::any};
    use futures::stream;
    use http::HeaderValue;
    use http_body_util::{BodyExt as _, StreamBody};
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn nobody_makes_the_hub_work_longer_than_it_wants_to() {
        let header = |text| {
            HeaderMap::from_iter([(grpc_timeout::HEADER.parse().unwrap(), HeaderValue::from_static(text))])
        };
        let limit = |headers| asked(&headers).map(limit);
        assert_eq!(limit(HeaderMap::new()), Ok(CALL_TIME_MAX));
        assert_eq!(limit(header("9H")), Ok(CALL_TIME_MAX));
        assert_eq!(limit(header("9S")), Ok(Duration::from_secs(9)));
    }

    /// Counts who stopped working because nobody waited any more.
    struct LetGo(Arc<AtomicUsize>);

    impl Drop for LetGo {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The error of a call to a service that never answers, and how many calls it still works on.
    async fn never_answered(timeout: &'static str) -> (CallError, usize) {
        let (begun, let_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&begun), Arc::clone(&let_go));
        let slow = move || {
            counters.0.fetch_add(1, Ordering::Relaxed);
            let working = LetGo(Arc::clone(&counters.1));
            async move {
                std::future::pending::<()>().await;
                drop(working);
            }
        };
        let routes = Router::new().route("/x.Y/Z", any(slow)).layer(middleware::from_fn(honour));
        let request = http::Request::post("/x.Y/Z").header(grpc_timeout::HEADER, timeout);
        let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        (status.into(), begun.load(Ordering::Relaxed) - let_go.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_call_ends_at_its_callers_deadline_and_its_work_with_it() {
        for (timeout, limit) in [("1m", Duration::from_millis(1)), ("0S", Duration::ZERO)] {
            let expected = Fault::TimedOut { part: "the call".into(), limit };
            assert_eq!(never_answered(timeout).await, (CallError::Fault(expected), 0), "{timeout}");
        }
    }

    #[tokio::test]
    async fn what_is_no_timeout_is_a_wrong_argument() {
        let (error, working) = never_answered("soon").await;
        assert!(
            matches!(&error, CallError::Invalid { field, .. } if field == grpc_timeout::HEADER),
            "{error:?}"
        );
        assert_eq!(working, 0);
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// A stream that goes on, a message each second, with its caller's timeout where one is given.
    async fn stream_of_ticks(timeout: Option<&'static str>, let_go: &Arc<AtomicUsize>) -> Body {
        let let_go = Arc::clone(let_go);
        let answer = move || {
            let working = LetGo(Arc::clone(&let_go));
            let ticks = stream::unfold(working, |working| async move {
                tokio::time::sleep(SECOND).await;
                Some((Ok::<_, Infallible>("tick"), working))
            });
            async move { Response::new(Body::from_stream(ticks)) }
        };
        let routes = Router::new().route("/x.Y/Watch", any(answer)).layer(middleware::from_fn(honour));
        let mut request = http::Request::post("/x.Y/Watch").body(Body::empty()).unwrap();
        if let Some(timeout) = timeout {
            request.headers_mut().insert(grpc_timeout::HEADER, HeaderValue::from_static(timeout));
        }
        routes.oneshot(request).await.unwrap().into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_its_callers_deadline_though_they_listen_on() {
        // What is asked for a stream may be beyond what a call may be without an answer.
        for (timeout, limit) in [("3500m", SECOND * 7 / 2), ("90500m", SECOND * 181 / 2)] {
            let let_go = Arc::new(AtomicUsize::new(0));
            let begun = Instant::now();
            let mut body = stream_of_ticks(Some(timeout), &let_go).await;
            let mut ticks = 0;
            let status = loop {
                match body.frame().await.unwrap().unwrap().into_trailers() {
                    Ok(trailers) => break Status::from_header_map(&trailers).unwrap(),
                    Err(_) => ticks += 1,
                }
            };
            assert_eq!(ticks, limit.as_secs(), "{timeout}");
            let late = begun.elapsed() - limit;
            assert!(late < SECOND / 10, "{timeout}: {late:?} late");
            let expected = Fault::TimedOut { part: "the call".into(), limit };
            assert_eq!(CallError::from(status), CallError::Fault(expected), "{timeout}");
            assert_eq!(let_go.load(Ordering::Relaxed), 1, "{timeout}: nobody works on it any more");
            assert!(body.is_end_stream() && body.frame().await.is_none(), "{timeout}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_without_a_deadline_goes_on_beyond_the_time_for_an_answer() {
        let mut body = stream_of_ticks(None, &Arc::default()).await;
        for tick in 0..CALL_TIME_MAX.as_secs() * 2 {
            assert!(body.frame().await.unwrap().unwrap().is_data(), "tick {tick}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_past_the_deadline_is_no_answer_but_for_a_last_word() {
        let frames = || {
            let frames =
                [Frame::data(Bytes::from_static(b"x")), Frame::trailers(trailers::of(&Status::ok("")))];
            let body = Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))));
            Bounded::new(body, Instant::now() + SECOND, SECOND)
        };
        let code = |frame: Option<Result<Frame<Bytes>, axum::Error>>| {
            let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
            Status::from_header_map(&trailers).unwrap().code()
        };
        let mut late = frames();
        tokio::time::advance(SECOND * 2).await;
        assert_eq!(code(late.frame().await), tonic::Code::DeadlineExceeded);
        let mut taken = frames();
        assert!(taken.frame().await.unwrap().unwrap().is_data());
        tokio::time::advance(SECOND * 2).await;
        assert_eq!(code(taken.frame().await), tonic::Code::Ok);
    }
}
