//! moto's server, whom `LANYARD_MOTO` names: what people test their AWS tools against, with a call that it has too.
//!
//! It answers over plain HTTP and closes the connection after each answer, so each request opens one.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::{self, Placement, Process};
use crate::turn::{Measured, Phase, Plan, during};

/// The program.
const PROGRAM: &str = "LANYARD_MOTO";
/// How long its start may take.
const START_WAIT: Duration = Duration::from_secs(60);
/// How often it is asked whether it is there.
const POLL: Duration = Duration::from_millis(50);
/// By whom and for which service a call claims to be signed, which moto believes.
const AUTHORIZATION: &str = "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/eks/\
                             aws4_request, SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";
const CLUSTER: &str = r#"{"name":"dev","roleArn":"arn:aws:iam::123456789012:role/cluster","resourcesVpcConfig":{"subnetIds":["subnet-1"]}}"#;

/// A running server with one cluster.
pub(super) struct Moto {
    address: SocketAddr,
    process: Process,
    describe: Vec<u8>,
}

impl Moto {
    /// Starts it on a core as the hub has one; none where there is no such program, which is said.
    pub(super) async fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            println!(
                "moto is skipped: {PROGRAM} names no moto_server, `cargo xtask bench` installs one where it can"
            );
            return Ok(None);
        };
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = std::fs::File::create(folder.join("moto.log"))?;
        let mut command = process::server(program.as_ref(), Placement::Apart);
        command.args(["--host", "127.0.0.1", "--port", &free.port().to_string()]);
        command.stdout(Stdio::null()).stderr(log);
        let process = Process::spawn("moto", &mut command)?;
        let moto = Self { address: free, process, describe: call("GET", "/clusters/dev", "") };
        let begun = Instant::now();
        while TcpStream::connect(free).await.is_err() {
            ensure!(begun.elapsed() < START_WAIT, "moto was not there within {START_WAIT:?}");
            tokio::time::sleep(POLL).await;
        }
        moto.ask(&call("POST", "/clusters", CLUSTER)).await.context("moto makes no cluster")?;
        Ok(Some(moto))
    }

    /// Describes its cluster for one turn, on so many connections.
    pub(super) async fn measure(&self, connections: usize, plan: Plan) -> Result<Measured> {
        let phase = &Phase::default();
        let workers = (0..connections).map(|_| async {
            let mut nanoseconds = Vec::new();
            while !phase.is_over() {
                let begun = Instant::now();
                let answer = self.ask(&self.describe).await?;
                phase.count(begun, &mut nanoseconds);
                ensure!(answer.contains(r#""cluster""#), "moto answers {answer}");
            }
            Ok(nanoseconds)
        });
        during(phase, plan, &[self.process.usage()], workers).await
    }

    async fn ask(&self, request: &[u8]) -> Result<String> {
        let mut connection = TcpStream::connect(self.address).await?;
        connection.set_nodelay(true)?;
        connection.write_all(request).await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        let answer = String::from_utf8(answer)?;
        match answer.lines().next() {
            Some(status) if status.contains(" 200 ") => Ok(answer),
            _ => bail!("moto answers {answer}"),
        }
    }
}

fn call(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: eks.us-east-1.amazonaws.com\r\n{AUTHORIZATION}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
