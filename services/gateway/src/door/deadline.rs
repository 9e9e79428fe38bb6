//! How long a caller waits (`grpc-timeout`): work that nobody waits for any more is let go.

use std::time::Duration;

use axum::{extract::Request, middleware::Next, response::Response};
use http::HeaderMap;
use lanyard_api::{CallError, Fault};
use lanyard_kit::grpc_timeout;
use tonic::Status;

/// How long a call may take whatever its caller says, and without a word from them. A change that waits for its confirmation
/// takes seconds; beyond a minute a client has gone.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// Ends a call that has no answer by its deadline with DEADLINE_EXCEEDED. What it would have done is let go: a change is in one
/// transaction, whose commit runs to its end once it has begun. A stream counts until it begins.
pub(super) async fn honour(request: Request, next: Next) -> Response {
    let limit = match limit(request.headers()) {
        Ok(limit) => limit,
        Err(error) => return Status::from(error).into_http(),
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Status::from(Fault::TimedOut { part: "the call".into(), limit }).into_http(),
    }
}

fn limit(headers: &HeaderMap) -> Result<Duration, CallError> {
    let Some(value) = headers.get(grpc_timeout::HEADER) else { return Ok(CALL_TIME_MAX) };
    let asked = grpc_timeout::parse(value).ok_or_else(|| {
        let rule = "1 to 8 digits and one of H, M, S, m, u, n, such as 5S";
        let message =
            format!("`{}` is not a timeout: it is {rule}", String::from_utf8_lossy(value.as_bytes()));
        CallError::invalid(grpc_timeout::HEADER, "malformed", message)
    })?;
    Ok(asked.min(CALL_TIME_MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{Router, body::Body, middleware, routing::any};
    use http::HeaderValue;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn nobody_makes_the_hub_work_longer_than_it_wants_to() {
        let header = |text| {
            HeaderMap::from_iter([(grpc_timeout::HEADER.parse().unwrap(), HeaderValue::from_static(text))])
        };
        assert_eq!(limit(&HeaderMap::new()), Ok(CALL_TIME_MAX));
        assert_eq!(limit(&header("9H")), Ok(CALL_TIME_MAX));
        assert_eq!(limit(&header("9S")), Ok(Duration::from_secs(9)));
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
}
