//! The door behind a real listener, with strangers at it who do not finish what they begin.

use std::{net::SocketAddr, time::Duration};

use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lanyard_api::{ClusterUid, Denial, credentials::FoundIssuer, voucher::Audience};
use lanyard_kit::serve::{Options, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::*;
use crate::recorder::Recorder;

/// Far above what anything here takes, so that a hang is a failure rather than a wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Knows nobody, for this reason where there is one, and panics where a signature says so.
struct Nobody(Option<&'static str>);

impl Backend for Nobody {
    type Way = Routes;

    async fn admit(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        assert!(query.headers.iter().all(|(_, value)| !value.contains("PANIC")), "as a service might");
        let is_signed = query.headers.iter().any(|(name, _)| name == "authorization");
        let code = self.0.unwrap_or(if is_signed { "malformed_authorization" } else { "unsigned" });
        Ok(AwsAdmission::Unauthenticated(Denial { code: code.into(), message: "nobody".to_owned() }))
    }

    fn way(&self, _: Audience) -> Option<Routes> {
        None
    }

    fn recorder(&self) -> Option<&Recorder> {
        None
    }

    async fn issuer(&self, _: ClusterUid) -> Result<FoundIssuer, Fault> {
        Err(Fault::Internal)
    }
}

/// A door that waits for bodies so long, and has so many requests open.
async fn door(body_timeout_ms: u64, requests_in_flight_max: usize) -> SocketAddr {
    door_of(Nobody(None), body_timeout_ms, requests_in_flight_max).await
}

async fn door_of(backend: Nobody, body_timeout_ms: u64, requests_in_flight_max: usize) -> SocketAddr {
    let server = Server::bind(Options::loopback(0)).await.unwrap();
    let address = server.address();
    let door = AwsDoor::new(Parts {
        backend,
        config: AwsApiConfig { body_timeout_ms, requests_in_flight_max, ..AwsApiConfig::default() },
        hub: Hub { gateway_url: None, certificate_authority: tokio::sync::watch::channel(Arc::from("")).1 },
        readiness: Readiness::new(),
    });
    tokio::spawn(server.run(door, CancellationToken::new()));
    address
}

/// All that comes back of these bytes until the door ends the connection; the client does not.
async fn spoken(address: SocketAddr, sent: &str) -> String {
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, io.read_to_string(&mut answer)).await.expect("the door lets go").unwrap();
    answer
}

const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 x\r\n";
const OF_SDK: &str = "x-amz-date: x\r\n";
const QUERY: &str = "content-type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn immunity_28_a_body_that_stalls_is_ended_over_http_1() {
    let address = door(50, 8).await;
    let cases = [
        ("", "403", "This is the AWS endpoint"),
        (SIGNED, "408", "RequestTimeoutException"),
        (OF_SDK, "408", "RequestTimeoutException"),
        (QUERY, "408", "<Code>RequestTimeout</Code>"),
    ];
    for (head, status, text) in cases {
        for framing in ["content-length: 100\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
            let answer =
                spoken(address, &format!("POST /clusters HTTP/1.1\r\nhost: x\r\n{head}{framing}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{framing}: {answer}");
            assert!(
                answer.contains(text) && answer.contains("x-amzn-requestid: "),
                "{head}{framing}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_that_has_ended_is_told_in_the_code_of_the_service_that_was_signed_for() {
    let address = door_of(Nobody(Some("session_expired")), 1_000, 8).await;
    let cases = [
        ("eks", "/clusters", "x-amzn-errortype: ExpiredTokenException\r\n"),
        (
            "eks-auth",
            "/clusters/a/assume-role-for-pod-identity",
            "x-amzn-errortype: ExpiredTokenException\r\n",
        ),
        ("sts", "/?Action=GetCallerIdentity&Version=2011-06-15", "<Code>ExpiredToken</Code>"),
        ("iam", "/?Action=ListUsers&Version=2010-05-08", "<Code>ExpiredToken</Code>"),
    ];
    for (service, path, code) in cases {
        let credential = format!("LSIAAAAAAAAAAAAAAAAA/20261129/us-east-1/{service}/aws4_request");
        let answer = spoken(
            address,
            &format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: AWS4-HMAC-SHA256 \
                 Credential={credential}, SignedHeaders=host, Signature=00\r\n\r\n"
            ),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{service}: {answer}");
        assert!(answer.contains(code), "{service}: {answer}");
        assert!(
            answer.contains("The security token included in the request is expired"),
            "{service}: {answer}"
        );
    }
}

type H2 = hyper::client::conn::http2::SendRequest<Unfinished>;

/// A body that begins, if at all, and does not end.
struct Unfinished(Option<Bytes>, bool);

impl http_body::Body for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match (self.0.take(), self.1) {
            (Some(data), _) => Poll::Ready(Some(Ok(http_body::Frame::data(data)))),
            (None, true) => Poll::Ready(None),
            (None, false) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none() && self.1
    }
}

async fn http_2(address: SocketAddr) -> H2 {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn immunity_28_bodies_that_stall_are_ended_over_http_2() {
    let address = door(50, 64).await;
    let mut sender = http_2(address).await;
    let mut open = Vec::new();
    for (name, value, status) in
        [("x-note", "none", 403), ("authorization", "AWS4-HMAC-SHA256 x", 408), ("x-amz-date", "x", 408)]
    {
        for _ in 0..20 {
            let request = Request::post(format!("http://{address}/clusters")).header(name, value);
            let body = Unfinished(Some(Bytes::from_static(b"abc")), false);
            open.push((status, sender.send_request(request.body(body).unwrap())));
        }
    }
    for (status, answer) in open {
        let answer = timeout(PATIENCE, answer).await.expect("the door lets go").unwrap();
        assert_eq!(answer.status(), status);
        assert!(answer.headers().contains_key("x-amzn-requestid"));
    }
}

#[tokio::test]
async fn immunity_28_bodies_that_do_not_come_take_no_place_and_an_address_has_so_many() {
    let address = door(2_000, 1).await;
    let mut sender = http_2(address).await;
    let ask = |sender: &mut H2, is_whole: bool| {
        let request = Request::post(format!("http://{address}/clusters")).header("x-amz-date", "x");
        sender.send_request(request.body(Unfinished(None, is_whole)).unwrap())
    };
    let stalled = [(); 2].map(|()| tokio::spawn(ask(&mut sender, false)));
    for _ in 0..3 {
        let whole = timeout(PATIENCE, ask(&mut sender, true)).await.expect("nothing is in its way");
        assert_eq!(whole.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let mut statuses = Vec::new();
    for answer in stalled {
        statuses.push(timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap().status());
    }
    statuses.sort_unstable();
    let expected = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    assert_eq!(statuses, expected, "one is waited for, and the other one has lost its place to it");
}

#[tokio::test]
async fn an_answer_to_head_has_the_length_of_its_body_and_none_over_either_protocol() {
    let address = door(1000, 8).await;
    let head = "HEAD /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = spoken(address, head).await;
    assert!(answer.contains("content-length: 3\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let mut sender = http_2(address).await;
    for (path, status) in [("/livez", 200), ("/", 403), ("/clusters", 403)] {
        let request = Request::head(format!("http://{address}{path}")).body(Unfinished(None, true)).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_ne!(answer.headers()["content-length"], "0", "{path}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "", "{path}");
    }
}

#[tokio::test]
async fn people_get_help_and_clients_the_error_of_their_protocol() {
    let address = door(1000, 8).await;
    let form = "content-length: 35\r\n\r\nAction=ListUsers&Version=2010-05-08";
    let cases = [
        ("user-agent: curl/7.88.1\r\n", "This is the AWS endpoint"),
        ("user-agent: Mozilla/5.0 (X11)\r\n", "This is the AWS endpoint"),
        (
            "user-agent: Mozilla/5.0 (X11)\r\nx-amz-user-agent: aws-sdk-js/3\r\n",
            "<Code>MissingAuthenticationToken</Code>",
        ),
        ("user-agent: Go-http-client/1.1\r\n", "<Code>MissingAuthenticationToken</Code>"),
        ("", "lanyard iam access-key create"),
    ];
    for (agent, text) in cases {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{QUERY}{agent}{form}");
        let answer = spoken(address, &head).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(text), "{agent}: {answer}");
    }
    let looked =
        "GET /?Action=ListUsers HTTP/1.1\r\nhost: x\r\nconnection: close\r\nuser-agent: Mozilla/5.0\r\n\r\n";
    assert!(spoken(address, looked).await.contains("This is the AWS endpoint"));
}

#[tokio::test]
async fn who_has_not_signed_is_answered_by_the_service_of_the_version_that_they_name() {
    let address = door(1000, 8).await;
    let cases = [
        ("Action=ListUsers&Version=2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"),
        ("Action=Unknown&Version=2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"),
        ("Action=GetCallerIdentity&Version=2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"),
        ("Action=Unknown&Version=1999-01-01", "https://sts.amazonaws.com/doc/2011-06-15/"),
    ];
    let head = "host: x\r\nconnection: close\r\n";
    for (asked, namespace) in cases {
        let in_query = format!("GET /?{asked} HTTP/1.1\r\n{head}\r\n");
        let length = asked.len();
        let in_body = format!("POST / HTTP/1.1\r\n{head}{QUERY}content-length: {length}\r\n\r\n{asked}");
        for sent in [in_query, in_body] {
            let answer = spoken(address, &sent).await;
            assert!(answer.starts_with("HTTP/1.1 403 "), "{sent}: {answer}");
            let error =
                format!("<ErrorResponse xmlns=\"{namespace}\"><Error><Type>Sender</Type><Code>MissingAuth");
            assert!(answer.contains(&error), "{sent}: {answer}");
        }
    }
    // The one operation that nobody signs is STS's, and IAM's version has none of that name.
    let other = "Action=AssumeRoleWithWebIdentity&Version=2010-05-08";
    let answer = spoken(address, &format!("GET /?{other} HTTP/1.1\r\n{head}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("<Code>InvalidAction</Code>"), "{answer}");
}

#[tokio::test]
async fn where_the_hub_panics_its_callers_are_answered_in_their_protocol() {
    let address = door(1000, 8).await;
    let scope = "AWS4-HMAC-SHA256 Credential=PANIC/20260101/us-east-1/SERVICE/aws4_request, SignedHeaders=host, Signature=0";
    for (service, code) in
        [("sts", "<Code>InternalFailure</Code>"), ("eks", "x-amzn-errortype: ServerException")]
    {
        let scope = scope.replace("SERVICE", service);
        let head =
            format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {scope}\r\n\r\n");
        let answer = spoken(address, &head).await;
        assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains(code), "{service}: {answer}");
        assert!(answer.contains("x-amzn-requestid: "), "{service}: {answer}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_ascii_is_refused_in_the_code_of_its_service() {
    let address = door(1000, 8).await;
    let scope = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/SERVICE/aws4_request, SignedHeaders=host, Signature=0";
    for (service, code) in [
        ("sts", "<Code>SignatureDoesNotMatch</Code>"),
        ("iam", "<Code>SignatureDoesNotMatch</Code>"),
        ("eks", "x-amzn-errortype: InvalidSignatureException"),
    ] {
        let scope = scope.replace("SERVICE", service);
        let head = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {scope}\r\nx-note: é\r\n\r\n"
        );
        let answer = spoken(address, &head).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(code), "{service}: {answer}");
    }
}
