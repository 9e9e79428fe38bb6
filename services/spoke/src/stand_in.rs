//! An API server for tests, which answers as it is told.

use std::{net::SocketAddr, path::Path};

use axum::Router;
use lanyard_api::kubeconfig::{KubeCredential, Kubeconfig};
use lanyard_kit::{
    serve::{Options, Server},
    tls::{Authority, ClientCertificates, Names, server_config},
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{api_server::ApiServer, config::SpokeConfig};

/// The credential by which the hub comes.
pub(crate) const CREDENTIAL: &str = "the-hubs";

/// Serves it: where, and who vouches for its certificate.
pub(crate) async fn serve(folder: &Path, routes: Router) -> (SocketAddr, String) {
    let now = OffsetDateTime::now_utc();
    let authority = Authority::create(&folder.join("pki"), "test", now).unwrap();
    let names = Names { dns: Vec::new(), ip: vec![[127, 0, 0, 1].into()] };
    let certificate = authority.issue_server(&names, time::Duration::DAY, now).unwrap();
    let tls = server_config(&certificate, ClientCertificates::NotAsked).unwrap();
    let server = Server::bind(Options::loopback(0).with_tls(tls)).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(routes, CancellationToken::new()));
    (address, std::fs::read_to_string(authority.root_path()).unwrap())
}

/// How the hub calls it.
pub(crate) fn server_at(address: SocketAddr, authority: String, config: &SpokeConfig) -> ApiServer {
    let kubeconfig = Kubeconfig {
        server: format!("https://{address}").parse().unwrap(),
        certificate_authority: Some(authority),
        credential: KubeCredential::Token(CREDENTIAL.into()),
    };
    ApiServer::new(&kubeconfig, config).unwrap()
}
