//! An STS that believes every signature at once: it is not what is measured, only where answers to be kept come from.

use std::path::{Path, PathBuf};

use anyhow::Result;
use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use lanyard_iam::{AccessKeyId, Credentials, SecretAccessKey, SessionToken};
use lanyard_kit::serve;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The account that it vouches for.
pub(crate) const ACCOUNT: &str = "444455556666";
/// The region of its credential scope.
pub(crate) const REGION: &str = "eu-lab-1";
/// Its name in the hub's configuration.
pub(crate) const NAME: &str = "lab";
/// Roles that sessions are of.
pub(crate) const ROLES: usize = 1_000;
/// As long as AWS's own are in a small account.
const SESSION_TOKEN_BYTES: usize = 600;
/// What stands before a session's number in its access key id.
const KEY_PREFIX: &str = "ASIABENCH";

/// The running stand-in.
pub(crate) struct StandIn {
    /// `localhost:<port>`, as clients sign it.
    pub(crate) host: String,
    /// Its CA's certificate, PEM.
    pub(crate) ca: PathBuf,
    _stop: DropGuard,
}

impl StandIn {
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let now = OffsetDateTime::now_utc();
        let authority = Authority::create(folder, "sts", now)?;
        let certificate = authority.issue_server(&Names::loopback(), Duration::DAY, now)?;
        let tls = server_config(&certificate, ClientCertificates::NotAsked)?;
        let server = serve::Server::bind(serve::Options::loopback(0).with_tls(tls)).await?;
        let host = format!("localhost:{}", server.address().port());
        let stop = CancellationToken::new();
        tokio::spawn(server.run(Router::new().fallback(answer), stop.clone()));
        Ok(Self { host, ca: authority.root_path().to_owned(), _stop: stop.drop_guard() })
    }
}

/// The credentials of a session.
pub(crate) fn credentials(number: usize) -> Credentials {
    let token = format!("{number:08}").repeat(SESSION_TOKEN_BYTES / 8);
    Credentials {
        access_key_id: AccessKeyId::parse(&format!("{KEY_PREFIX}{number:011}"))
            .unwrap_or_else(|_| unreachable!()),
        secret_access_key: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: Some(SessionToken::new(token)),
    }
}

/// The role of a session.
pub(crate) fn role(number: usize) -> String {
    format!("engineer-{}", number % ROLES)
}

async fn answer(request: Request) -> impl IntoResponse {
    let query = request.uri().query().unwrap_or_default();
    let key = query.split_once(KEY_PREFIX).and_then(|(_, rest)| rest.get(..11)?.parse::<usize>().ok());
    let Some(number) = key else { return StatusCode::FORBIDDEN.into_response() };
    let (role, session) = (role(number), format!("person-{number}"));
    let body = json!({ "GetCallerIdentityResponse": {
        "GetCallerIdentityResult": {
            "Account": ACCOUNT,
            "Arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"),
            "UserId": format!("AROABENCH{:012}:{session}", number % ROLES),
        },
        "ResponseMetadata": { "RequestId": "00000000-0000-0000-0000-000000000000" },
    } });
    axum::Json(body).into_response()
}
