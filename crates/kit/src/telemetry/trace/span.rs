//! Every span that there is. Each constructor gives [`Span::none`] where nothing is traced.

use std::future::Future;

use http::{HeaderMap, Method};
use tracing::{Instrument as _, Span, field::Empty};

use super::{context, is_on};
use crate::serve::Peer;
use crate::telemetry::Code;
use crate::telemetry::RequestId;
use crate::telemetry::names::{self, SPAN_TARGET};

/// An HTTP request that comes in, to a route as it is written in the router.
pub fn http(
    method: &Method,
    route: &'static str,
    headers: &HeaderMap,
    peer: Option<&Peer>,
    cluster: &str,
) -> Span {
    if !is_on() {
        return Span::none();
    }
    let Some(incoming) = context::incoming(headers, peer) else { return Span::none() };
    let _guard = incoming.attach();
    tracing::info_span!(
        target: SPAN_TARGET,
        "http",
        { names::OTEL_NAME } = %format_args!("{method} {route}"),
        { names::OTEL_KIND } = "server",
        { names::OTEL_STATUS } = Empty,
        { names::HTTP_METHOD } = %method,
        { names::HTTP_ROUTE } = route,
        { names::HTTP_STATUS } = Empty,
        { names::CLUSTER_NAME } = cluster,
        { names::OUTCOME } = Empty,
        { names::REASON_CODE } = Empty,
        { names::DECISION_ID } = Empty,
    )
}

/// An HTTP request is answered.
pub fn http_answered(span: &Span, status: http::StatusCode) {
    // Other kinds of number would be shown as text.
    span.record(names::HTTP_STATUS, i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record(names::OTEL_STATUS, ERROR);
    }
}

/// A request of the AWS wire that comes in, under the number that its caller is told. What it asks comes to light when it is admitted
/// ([`aws_call_answered`]); until then it has the method for a name, and none that a caller made up.
pub fn aws_call(method: &Method, id: RequestId, headers: &HeaderMap, peer: Option<&Peer>) -> Span {
    if !is_on() {
        return Span::none();
    }
    let Some(incoming) = context::incoming(headers, peer) else { return Span::none() };
    let _guard = incoming.attach();
    made_of_aws_call(method, id)
}

fn made_of_aws_call(method: &Method, id: RequestId) -> Span {
    let method = match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
            method.as_str()
        }
        // What semantic conventions say for methods that are not told apart.
        _ => "_OTHER",
    };
    tracing::info_span!(
        target: SPAN_TARGET,
        "aws_call",
        { names::OTEL_NAME } = method,
        { names::OTEL_KIND } = "server",
        { names::OTEL_STATUS } = Empty,
        { names::HTTP_METHOD } = method,
        { names::HTTP_STATUS } = Empty,
        { names::RPC_SYSTEM } = "aws-api",
        { names::RPC_SERVICE } = Empty,
        { names::RPC_METHOD } = Empty,
        { names::AWS_REQUEST_ID } = %id,
        { names::REASON_CODE } = Empty,
    )
}

/// A request of the AWS wire is answered, with this status and AWS's code; `service` and `action` are AWS's, as far as they are known.
/// Said within the span, whose name it completes.
pub fn aws_call_answered(
    span: &Span,
    service: Option<&'static str>,
    action: Option<&'static str>,
    status: http::StatusCode,
    code: &str,
) {
    if span.is_none() {
        return;
    }
    if let Some(service) = service {
        span.record(names::RPC_SERVICE, service);
    }
    if let Some(action) = action {
        span.record(names::RPC_METHOD, action);
    }
    if let (Some(service), Some(action)) = (service, action) {
        context::rename(format!("{service}/{action}"));
    }
    span.record(names::REASON_CODE, code);
    http_answered(span, status);
}

/// A gRPC call that comes in. `method` is one of those that are told apart: a path is whatever a caller writes there.
pub fn served(method: &'static str, headers: &HeaderMap, peer: Option<&Peer>) -> Span {
    if !is_on() {
        return Span::none();
    }
    let Some(incoming) = context::incoming(headers, peer) else { return Span::none() };
    let _guard = incoming.attach();
    rpc(method, "server")
}

/// A gRPC call to another service.
pub fn sent(method: &'static str) -> Span {
    if !context::is_recorded() {
        return Span::none();
    }
    rpc(method, "client")
}

fn rpc(method: &'static str, kind: &'static str) -> Span {
    let path = method.trim_start_matches('/');
    let (service, name) = path.rsplit_once('/').unwrap_or(("", path));
    tracing::info_span!(
        target: SPAN_TARGET,
        "rpc",
        { names::OTEL_NAME } = path,
        { names::OTEL_KIND } = kind,
        { names::OTEL_STATUS } = Empty,
        { names::RPC_SYSTEM } = "grpc",
        { names::RPC_SERVICE } = service,
        { names::RPC_METHOD } = name,
        { names::RPC_GRPC_STATUS } = Empty,
    )
}

/// A gRPC call has ended.
pub(in crate::telemetry) fn rpc_ended(span: &Span, code: Code) {
    span.record(names::RPC_GRPC_STATUS, code as i64);
    // What semantic conventions count as the server's error; a client's own faults and refusals are answers.
    let is_error = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    if is_error {
        span.record(names::OTEL_STATUS, ERROR);
    }
}

/// A statement to a database. `operation` and `table` are words of the statement's own text, which holds no values.
pub fn statement(system: &'static str, operation: &'static str, table: Option<&'static str>) -> Span {
    if !context::is_recorded() {
        return Span::none();
    }
    let name = table.map_or_else(|| operation.to_owned(), |table| format!("{operation} {table}"));
    tracing::info_span!(
        target: SPAN_TARGET,
        "statement",
        { names::OTEL_NAME } = name,
        { names::OTEL_KIND } = "client",
        { names::OTEL_STATUS } = Empty,
        { names::DB_SYSTEM } = system,
        { names::DB_OPERATION } = operation,
        { names::DB_COLLECTION } = table,
        { names::DB_SUMMARY } = name,
    )
}

/// A question or an answer to Redis. Made where the request is, for what may be done behind it.
pub fn redis(operation: &'static str) -> Span {
    if !context::is_recorded() {
        return Span::none();
    }
    tracing::info_span!(
        target: SPAN_TARGET,
        "redis",
        { names::OTEL_NAME } = operation,
        { names::OTEL_KIND } = "client",
        { names::OTEL_STATUS } = Empty,
        { names::DB_SYSTEM } = "redis",
        { names::DB_OPERATION } = operation,
        { names::OUTCOME } = Empty,
    )
}

/// A call to AWS. `region` is one that this program knows or was configured, or what stands for the others.
pub fn aws(service: &'static str, action: &'static str, region: &str) -> Span {
    if !context::is_recorded() {
        return Span::none();
    }
    tracing::info_span!(
        target: SPAN_TARGET,
        "aws",
        { names::OTEL_NAME } = %format_args!("{service}/{action}"),
        { names::OTEL_KIND } = "client",
        { names::OTEL_STATUS } = Empty,
        { names::RPC_SYSTEM } = "aws-api",
        { names::RPC_SERVICE } = service,
        { names::RPC_METHOD } = action,
        { names::CLOUD_REGION } = region,
        { names::OUTCOME } = Empty,
    )
}

/// Does what nobody asks for at this moment, as a trace of its own that is recorded as often as requests are; an error shows on its
/// span. Where it is begun from a request, that goes on without it.
pub async fn own<T, E>(name: &'static str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    if !is_on() {
        return work.await;
    }
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        parent: None,
        "own",
        { names::OTEL_NAME } = name,
        { names::OTEL_KIND } = "internal",
        { names::OTEL_STATUS } = Empty,
    );
    let done = work.instrument(span.clone()).await;
    if done.is_err() {
        failed(&span);
    }
    done
}

/// A document that an OIDC issuer is asked for: `discovery` or `keys`.
pub fn document(name: &'static str) -> Span {
    if !context::is_recorded() {
        return Span::none();
    }
    asked("GET", name)
}

/// A question to a cluster's API server about a pod, by the resource that is posted: `tokenreviews`.
pub fn question(resource: &'static str) -> Span {
    if !context::is_recorded() {
        return Span::none();
    }
    asked("POST", resource)
}

fn asked(method: &'static str, what: &'static str) -> Span {
    tracing::info_span!(
        target: SPAN_TARGET,
        "asked",
        { names::OTEL_NAME } = %format_args!("{method} {what}"),
        { names::OTEL_KIND } = "client",
        { names::OTEL_STATUS } = Empty,
        { names::HTTP_METHOD } = method,
        { names::HTTP_STATUS } = Empty,
    )
}

/// The document or the question is answered.
pub fn asked_answered(span: &Span, status: http::StatusCode) {
    span.record(names::HTTP_STATUS, i64::from(status.as_u16()));
    if !status.is_success() {
        failed(span);
    }
}

/// How it ended, in a word of a closed set.
pub fn ended(span: &Span, outcome: &'static str, is_error: bool) {
    span.record(names::OUTCOME, outcome);
    if is_error {
        failed(span);
    }
}

/// It came to nothing.
pub fn failed(span: &Span) {
    span.record(names::OTEL_STATUS, ERROR);
}

const ERROR: &str = "ERROR";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use opentelemetry::Context;
    use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
    use tracing_subscriber::layer::SubscriberExt as _;
    use uuid::Uuid;

    use super::*;

    /// Keeps what has ended.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn a_call_of_the_aws_wire_is_called_by_what_it_asks_once_that_is_known() {
        let cases = [
            ("POST", Some("eks"), Some("CreateAccessEntry"), 200_u16, "eks/CreateAccessEntry", false),
            ("POST", Some("sts"), Some("GetCallerIdentity"), 503, "sts/GetCallerIdentity", true),
            ("GET", Some("eks"), None, 403, "GET", false),
            ("FROBNICATE", None, None, 403, "_OTHER", false),
        ];
        for (method, service, action, status, name, is_failed) in cases {
            let kept = Kept::default();
            let provider = SdkTracerProvider::builder().with_span_processor(kept.clone()).build();
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                let span = made_of_aws_call(&method.parse().unwrap(), RequestId::new(Uuid::nil()));
                span.in_scope(|| {
                    aws_call_answered(&span, service, action, status.try_into().unwrap(), "a_code");
                });
            });
            let spans = kept.0.lock().unwrap();
            let [span] = spans.as_slice() else { panic!("{method}: {spans:?}") };
            assert_eq!((&*span.name, &span.span_kind), (name, &SpanKind::Server), "{method}");
            assert_eq!(matches!(span.status, Status::Error { .. }), is_failed, "{method}");
            let told: HashMap<&str, String> = span
                .attributes
                .iter()
                .map(|told| (told.key.as_str(), told.value.as_str().into_owned()))
                .collect();
            assert_eq!(told.get(names::RPC_SERVICE).map(String::as_str), service, "{method}");
            assert_eq!(told.get(names::RPC_METHOD).map(String::as_str), action, "{method}");
            assert_eq!(told[names::HTTP_STATUS], status.to_string(), "{method}");
            assert_eq!(told[names::REASON_CODE], "a_code", "{method}");
            assert_eq!(told[names::AWS_REQUEST_ID], Uuid::nil().to_string(), "{method}");
        }
    }

    #[test]
    fn what_others_are_asked_over_http_is_called_by_method_and_thing_and_fails_with_its_status() {
        for (status, is_failed) in [(201_u16, false), (403, true)] {
            let kept = Kept::default();
            let provider = SdkTracerProvider::builder().with_span_processor(kept.clone()).build();
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                asked_answered(&asked("POST", "tokenreviews"), status.try_into().unwrap());
            });
            let spans = kept.0.lock().unwrap();
            let [span] = spans.as_slice() else { panic!("{status}: {spans:?}") };
            assert_eq!((&*span.name, &span.span_kind), ("POST tokenreviews", &SpanKind::Client));
            assert_eq!(matches!(span.status, Status::Error { .. }), is_failed, "{status}");
            let told = |name: &str| {
                let found = span.attributes.iter().find(|told| told.key.as_str() == name);
                found.map(|told| told.value.as_str().into_owned())
            };
            assert_eq!(told(names::HTTP_METHOD).as_deref(), Some("POST"));
            assert_eq!(told(names::HTTP_STATUS), Some(status.to_string()));
        }
    }

    #[test]
    fn nothing_makes_a_span_while_traces_are_off() {
        let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), sampled.parse().unwrap())]);
        let spans = [
            http(&Method::POST, "/x", &headers, None, "dev"),
            aws_call(&Method::POST, RequestId::new(Uuid::nil()), &headers, None),
            served("/a.B/C", &headers, None),
            sent("/a.B/C"),
            statement("postgresql", "SELECT", Some("clusters")),
            redis("SET"),
            aws("STS", "GetCallerIdentity", "eu-west-1"),
            document("keys"),
            question("tokenreviews"),
        ];
        for span in spans {
            assert!(span.is_none(), "{span:?}");
        }
        let mut onward = headers.clone();
        super::super::inject(&mut onward);
        assert_eq!(onward, headers);
    }
}
