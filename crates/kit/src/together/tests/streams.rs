//! How many streams a connection has, and whose the calls are once it ends.

use http::Version;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;

/// What opens a stream, or the body of a call by itself.
type Sent = Either<Outbox, Full<Bytes>>;

/// A client that opens as many streams as it likes.
async fn connect(house: &House, running: &Running) -> http2::SendRequest<Sent> {
    connect_by(house.client_tls(), running).await
}

/// One that shows this certificate.
async fn connect_by(tls: ClientConfig, running: &Running) -> http2::SendRequest<Sent> {
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (tls, name) = (Arc::new(tls), ServerName::from(running.address.ip()));
    let stream = TlsConnector::from(tls).connect(name, stream).await.unwrap();
    let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(
    sender: &mut http2::SendRequest<Sent>,
    running: &Running,
    path: &str,
    body: Sent,
) -> Response<Incoming> {
    let uri = format!("https://{}{path}", running.address);
    let request = Request::post(uri).version(Version::HTTP_2).header("content-type", "application/grpc");
    let answered = sender.send_request(request.body(body).unwrap());
    tokio::time::timeout(PATIENCE, answered).await.expect("in time").unwrap()
}

/// A stream that is asked for, and what is answered to that.
async fn ask_for_stream(
    sender: &mut http2::SendRequest<Sent>,
    running: &Running,
) -> (Arc<Carrier>, Reading, Response<Incoming>) {
    let (carrier, outbox) = Carrier::new();
    let reading = Reading::of(Arc::clone(&carrier));
    let answer = send(sender, running, PATH, Either::Left(outbox)).await;
    (carrier, reading, answer)
}

/// Which way a call by a stream came.
async fn way(carrier: &Arc<Carrier>) -> String {
    let carried = carrier.take(ECHO, &HeaderMap::new(), &Bytes::new()).unwrap();
    let outcome = tokio::time::timeout(PATIENCE, carried.outcome()).await.expect("in time");
    let Ok(response) = outcome else { panic!("it has no answer") };
    response.headers()["x-way"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_connection_has_one_stream_and_another_once_that_has_ended() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let mut sender = connect(&house, &running).await;
    let (first, reading, answer) = ask_for_stream(&mut sender, &running).await;
    assert!(Carrier::is_welcome(&answer));
    first.open();
    let reading = tokio::spawn(reading.read(answer.into_body()));
    assert_eq!(way(&first).await, "together");

    let (second, _reading, answer) = ask_for_stream(&mut sender, &running).await;
    assert_eq!(answer.headers()["grpc-status"], "12");
    assert!(!Carrier::is_welcome(&answer));
    assert!(second.take(ECHO, &HeaderMap::new(), &Bytes::new()).is_none(), "it goes by itself");
    let alone = send(&mut sender, &running, ECHO, Either::Right(Full::default())).await;
    assert_eq!(alone.headers()["x-way"], "alone");
    assert_eq!(way(&first).await, "together", "the first is as it was");

    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    assert!(!first.is_open());
    // The server hears of that a moment later.
    let welcome = async {
        loop {
            let (carrier, reading, answer) = ask_for_stream(&mut sender, &running).await;
            if Carrier::is_welcome(&answer) {
                break (carrier, reading, answer);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (third, reading, answer) = tokio::time::timeout(PATIENCE, welcome).await.expect("in time");
    third.open();
    tokio::spawn(reading.read(answer.into_body()));
    assert_eq!(way(&third).await, "together");
}

#[tokio::test]
async fn immunity_41_no_certificate_but_a_services_opens_a_stream() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let (now, day) = (OffsetDateTime::now_utc(), time::Duration::DAY);
    let spoke = house.authority.issue_spoke("9f0c", day, now).unwrap();
    let principal = house.authority.issue_principal("local", "111122223333", "AIDAX", day, now).unwrap();
    for certificate in [spoke, principal] {
        let mut tls = client_config(&house.authority.roots().unwrap(), Some(&certificate)).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let mut sender = connect_by(tls, &running).await;
        let (_, _reading, answer) = ask_for_stream(&mut sender, &running).await;
        assert_eq!(answer.headers()["grpc-status"], "12", "there is no such method");
        assert!(!Carrier::is_welcome(&answer));
    }
    let mut sender = connect(&house, &running).await;
    let (_, _reading, answer) = ask_for_stream(&mut sender, &running).await;
    assert!(Carrier::is_welcome(&answer));
}

#[tokio::test]
async fn a_stream_that_has_not_heard_of_its_connections_end_is_in_no_later_ones_way() {
    let (house, heard) = (House::new(), Heard::new());
    // No stream is cut off while this waits.
    let drain_timeout = PATIENCE * 2;
    let limits =
        Limits { connection_age_max: Duration::from_millis(100), drain_timeout, ..Limits::default() };
    let (server, stop) = (house.bind(limits).await, CancellationToken::new());
    let service = tower::service_fn(move |request: Request<Whole>| answer(heard.clone(), request));
    let mut together = Together::new(service, METHODS);
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        // One that is never told.
        if request.extensions().get::<OfConnection>().is_some() {
            request.extensions_mut().insert(OfConnection::new(CancellationToken::new()));
        }
        tower::Service::call(&mut together, request)
    });
    let address = server.address();
    let running = Running { address, task: tokio::spawn(server.run(service, stop.clone())), stop };
    let peers = house.peers(&running);
    until_together(&peers).await;
    let first = ask(&peers, ECHO, "").await.unwrap().connection;
    let by_another = async {
        loop {
            // Who goes by themselves meet the connection's end, which the stream does not tell of.
            ask(&peers, ECHO, vec![b'x'; BODY_BYTES_MAX + 1]).await.unwrap();
            let got = ask(&peers, ECHO, "").await.unwrap();
            if got.way == "together" && got.connection != first {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, by_another).await.expect("in time");
}
