use std::net::SocketAddr;

use axum::http::HeaderMap;
use axum::routing::{any, get, put};

use super::*;

/// A metadata service, plain HTTP on loopback.
async fn service() -> SocketAddr {
    let token = |headers: HeaderMap, body: String| async move {
        let seconds = headers.get("x-seconds").and_then(|value| value.to_str().ok()).unwrap_or_default();
        ([("x-given", seconds.to_owned())], format!("token for {body}"))
    };
    let router = axum::Router::new()
        .route("/token", put(token))
        .route("/role", get(|headers: HeaderMap| async move { format!("{:?}", headers.get("x-token")) }))
        .route("/gone", get(|| async { (http::StatusCode::NOT_FOUND, "no such role") }))
        .route("/elsewhere", get(|| async { axum::response::Redirect::temporary("/role") }))
        .route("/hang", any(std::future::pending::<()>))
        .route("/long", get(|| async { vec![b'x'; 1024 * 1024] }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

fn quick() -> HttpConnectorSettings {
    let limit = Duration::from_millis(500);
    HttpConnectorSettings::builder().connect_timeout(limit).read_timeout(limit).build()
}

fn ask(address: SocketAddr, path: &str) -> HttpRequest {
    HttpRequest::get(format!("http://{address}{path}")).unwrap()
}

async fn answer(request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    ChainClients::default().connector(&quick()).call(request).await
}

fn text(response: &HttpResponse) -> &str {
    std::str::from_utf8(response.body().bytes().unwrap()).unwrap()
}

#[tokio::test]
async fn a_plain_address_on_this_machine_is_called_with_method_headers_and_body() {
    let address = service().await;
    let mut asked = HttpRequest::new("a role".into());
    asked.set_method("PUT").unwrap();
    asked.set_uri(format!("http://{address}/token")).unwrap();
    asked.headers_mut().insert("x-seconds", "21600");
    let given = answer(asked).await.unwrap();
    assert_eq!((given.status().as_u16(), text(&given)), (200, "token for a role"));
    assert_eq!(given.headers().get("x-given"), Some("21600"));

    let mut asked = ask(address, "/role");
    asked.headers_mut().insert("x-token", "t");
    let given = answer(asked).await.unwrap();
    assert_eq!(text(&given), "Some(\"t\")");

    let gone = answer(ask(address, "/gone")).await.unwrap();
    assert_eq!((gone.status().as_u16(), text(&gone)), (404, "no such role"), "that is an answer");
}

#[tokio::test]
async fn who_asks_with_the_same_limits_shares_connections() {
    let clients = ChainClients::default();
    clients.connector(&quick());
    clients.connector(&quick());
    clients.connector(&HttpConnectorSettings::builder().build());
    assert_eq!(clients.made.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_error_is_of_the_kind_by_which_the_chain_asks_again_or_does_not() {
    let address = service().await;
    let hung = answer(ask(address, "/hang")).await.unwrap_err();
    assert!(hung.is_timeout(), "{hung:?}");

    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = answer(ask(vacant, "/role")).await.unwrap_err();
    assert!(nobody.is_io(), "{nobody:?}");

    for path in ["/elsewhere", "/long"] {
        let error = answer(ask(address, path)).await.unwrap_err();
        assert!(error.is_other() && error.as_other().is_none(), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_the_fault_of_who_asks() {
    let address = service().await;
    let mut streamed = ask(address, "/role");
    streamed.take_body();
    let error = answer(streamed).await.unwrap_err();
    assert!(error.is_user(), "{error:?}");
    assert!(format!("{error:?}").contains("its body is a stream"), "{error:?}");

    let nowhere = answer(HttpRequest::empty()).await.unwrap_err();
    assert!(nowhere.is_user(), "{nowhere:?}");
}
