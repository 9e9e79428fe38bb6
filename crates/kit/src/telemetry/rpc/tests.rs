use std::convert::Infallible;

use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;

use super::super::metrics::tests::shown;
use super::*;

const METHOD: &str = "/lanyard.authn.v1.Authenticate/Authenticate";

/// A frame of an answer: a message, or the status that ends it.
#[derive(Clone, Copy)]
enum Part {
    Message,
    Status(&'static str),
}

fn frame(part: Part) -> Result<Frame<Bytes>, Infallible> {
    Ok(match part {
        Part::Message => Frame::data(Bytes::from_static(b"12345")),
        Part::Status(code) => Frame::trailers(HeaderMap::from_iter([(
            "grpc-status".parse().unwrap(),
            HeaderValue::from_static(code),
        )])),
    })
}

/// What is shown of a call to `path` whose answer has this head and these parts, of which so many are read.
fn served(path: &str, head: Option<&'static str>, parts: &[Part], read: usize) -> String {
    let parts = parts.to_vec();
    shown(move || {
        let layer = ServedLayer::new(Calls::served([METHOD]));
        let service = layer.layer(tower::service_fn(move |_: Request<()>| {
            let mut response = Response::new(StreamBody::new(stream::iter(parts.clone()).map(frame)));
            if let Some(status) = head {
                response.headers_mut().insert("grpc-status", HeaderValue::from_static(status));
            }
            std::future::ready(Ok::<_, Infallible>(response))
        }));
        let request = Request::post(path).body(()).unwrap();
        futures::executor::block_on(async {
            let mut body = service.oneshot(request).await.unwrap().into_body();
            for _ in 0..read {
                let _ = body.frame().await;
            }
        });
    })
}

#[test]
fn a_call_is_counted_once_by_method_and_the_code_that_ends_its_answer() {
    use Part::{Message, Status};
    let cases = [
        (METHOD, None, &[Message, Status("0")][..], 3, METHOD, "OK"),
        (METHOD, None, &[Message, Status("7")], 2, METHOD, "PERMISSION_DENIED"),
        (METHOD, Some("16"), &[], 0, METHOD, "UNAUTHENTICATED"),
        (METHOD, None, &[Status("99")], 1, METHOD, "UNKNOWN"),
        (METHOD, None, &[Message], 2, METHOD, "UNKNOWN"),
        (METHOD, None, &[Message, Status("0")], 1, METHOD, "CANCELLED"),
        ("/some.other.Service/Method", None, &[Status("12")], 1, "other", "UNIMPLEMENTED"),
    ];
    for (path, head, parts, read, method, code) in cases {
        let text = served(path, head, parts, read);
        let line = format!(r#"lanyard_grpc_requests_total{{method="{method}",code="{code}"}} 1"#);
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        let counted = text.lines().filter(|line| line.starts_with("lanyard_grpc_requests_total{"));
        assert_eq!(counted.filter(|line| line.ends_with(" 1")).count(), 1, "{text}");
        let timed = format!(r#"lanyard_grpc_seconds_count{{method="{method}"}} 1"#);
        assert!(text.contains(&timed), "{timed} is not in\n{text}");
    }
}

#[test]
fn codes_stand_at_their_numbers() {
    for (number, name) in [(0, "OK"), (5, "NOT_FOUND"), (13, "INTERNAL"), (16, "UNAUTHENTICATED")] {
        assert_eq!(Code::ALL[number].value(), name);
    }
    assert!(Code::ALL.iter().enumerate().all(|(at, code)| code.index() == at));
}

#[test]
fn a_call_is_worked_on_within_the_request_that_a_service_says() {
    use super::super::request_id::{
        current,
        tests::{ID, door, headers},
    };
    let within = |peer: Option<Peer>| {
        let (told, heard) = std::sync::mpsc::channel();
        let layer = ServedLayer::new(Calls::served([METHOD]));
        let service = layer.layer(tower::service_fn(move |_: Request<()>| {
            let told = told.clone();
            async move {
                let _ = told.send(current().map(|id| id.to_string()));
                Ok::<_, Infallible>(Response::new(http_body_util::Empty::<Bytes>::new()))
            }
        }));
        let mut request = Request::post(METHOD).body(()).unwrap();
        *request.headers_mut() = headers(&[ID]);
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        futures::executor::block_on(service.oneshot(request)).unwrap();
        heard.recv().unwrap()
    };
    assert_eq!(within(Some(door())).as_deref(), Some(ID));
    assert_eq!(within(None), None);
}
