//! What nobody can be faster than: an axum handler on the same HTTP stack that sends the body back as it came; and beside
//! it one that reads the body as JSON and writes it again, as whoever answers a review has to.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::routing::post;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use lanyard_kit::serve;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use crate::client::Server;
use crate::process::{self, Placement, Process};

/// The first argument by which this program becomes the echo.
pub(crate) const ROLE: &str = "echo";
/// Where the bytes come back as they are.
pub(crate) const BYTES_PATH: &str = "/bytes";
/// Where they are read and written as JSON.
pub(crate) const JSON_PATH: &str = "/json";
/// The name of its authority.
const AUTHORITY: &str = "echo";

/// The running echo.
pub(crate) struct Echo {
    pub(crate) server: Server,
    pub(crate) process: Process,
}

impl Echo {
    pub(crate) async fn start(folder: &Path, placement: Placement) -> Result<Self> {
        let mut command = process::server(&std::env::current_exe()?, placement);
        let mut process = Process::spawn("the echo", command.arg(ROLE).arg(folder).stdout(Stdio::piped()))?;
        let output = process.child.stdout.take().context("a piped command has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("the echo says `{}`", line.trim()))?;
        let roots = Authority::load(folder, AUTHORITY)?.roots()?;
        Ok(Self { server: Server::new(address, &roots)?, process })
    }
}

/// Is the echo, until it is killed. TLS as the hub has it: clients may show a certificate.
pub(crate) fn run(folder: &Path) -> Result<()> {
    lanyard_kit::tls::install_provider();
    let now = OffsetDateTime::now_utc();
    let authority = Authority::create(folder, AUTHORITY, now)?;
    let certificate = authority.issue_server(&Names::loopback(), Duration::DAY, now)?;
    let tls = server_config(&certificate, ClientCertificates::Optional(&authority.roots()?))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = serve::Server::bind(serve::Options::loopback(0).with_tls(tls)).await?;
        println!("{}", server.address());
        let bytes = |body: Bytes| async move { ([(CONTENT_TYPE, "application/json")], body) };
        let json = |body: Json<serde_json::Value>| async move { body };
        let router = Router::new().route(BYTES_PATH, post(bytes)).route(JSON_PATH, post(json));
        server.run(router, CancellationToken::new()).await;
        Ok(())
    })
}
