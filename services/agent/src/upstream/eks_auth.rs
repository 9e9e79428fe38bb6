//! An EKS Auth endpoint: AWS's own, or a hub's AWS wire. `POST /clusters/<name>/assume-role-for-pod-identity`, signed by SigV4 with
//! the node's credentials for the service `eks-auth` (service model of EKS Auth, 2023-11-26).

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lanyard_aws::CredentialSource;
use lanyard_iam::sigv4::sign_headers;
use lanyard_iam::{Credentials as NodeCredentials, HttpRequest, PayloadHash, Region};
use lanyard_kit::Clock;
use lanyard_kit::http_client::{AddressRules, Answer, HttpClient, HttpClientError, Options, Request};
use lanyard_kit::tls::CertificateDer;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tracing::warn;
use url::Url;

use super::{AuthError, Upstream, UpstreamError};
use crate::credentials::Credentials;
use crate::token::PodToken;

/// The service of the signature.
const SERVICE: &str = "eks-auth";
/// Longest answer, in bytes; session tokens have one or two KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// For one connection, as the published agent's dialer has it.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the node's credentials are used before they are looked for anew: files and roles of instances change in place.
const CREDENTIALS_AGE_MAX: time::Duration = time::Duration::minutes(1);
/// How long they are used at least, where the endpoint does not take them: a crowd of pods has no file or instance asked for each of
/// its questions.
const CREDENTIALS_AGE_MIN: time::Duration = time::Duration::seconds(1);
/// Longest name of an error that is repeated, in bytes; AWS's have under 50.
const NAME_BYTES_MAX: usize = 96;
/// Most of an error's words that is logged, where the error is not the model's.
const WORDS_CHARS_MAX: usize = 300;
/// Who it is, in messages.
const WHOM: &str = "the EKS Auth endpoint";

/// Where the endpoint is, and as whom it is asked.
pub struct EksAuthOptions {
    /// `https://…`.
    pub endpoint: Url,
    /// The cluster's name there.
    pub cluster: String,
    /// The region of the signature.
    pub region: Region,
    /// Trusted in place of the system's authorities, when there are any here.
    pub roots: Vec<CertificateDer<'static>>,
    /// For one request.
    pub timeout: Duration,
    /// Where the node's credentials come from.
    pub source: CredentialSource,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The endpoint.
pub struct EksAuth {
    client: HttpClient,
    url: Url,
    host: String,
    region: Region,
    source: CredentialSource,
    kept: Mutex<Option<Kept>>,
    clock: Arc<dyn Clock>,
}

/// The node's credentials.
struct Kept {
    credentials: NodeCredentials,
    /// Where that is told.
    ends_at: Option<OffsetDateTime>,
    /// When they were last looked for.
    looked_at: OffsetDateTime,
}

impl EksAuth {
    /// The endpoint by its address. It may be a private one: VPC endpoints are.
    ///
    /// # Errors
    /// [`HttpClientError`] where the roots cannot be used.
    pub fn new(options: EksAuthOptions) -> Result<Self, HttpClientError> {
        let EksAuthOptions { endpoint, cluster, region, roots, timeout, source, clock } = options;
        let name = endpoint.host_str().unwrap_or_default();
        let host = endpoint.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let client = HttpClient::new(Options {
            timeout,
            connect_timeout: CONNECT_TIMEOUT,
            body_bytes_max: ANSWER_BYTES_MAX,
            addresses: AddressRules::public_only().allow_private(name),
            roots,
            ..Options::default()
        })?;
        let mut url = endpoint.clone();
        url.set_path(&format!("/clusters/{cluster}/assume-role-for-pod-identity"));
        Ok(Self { client, url, host, region, source, kept: Mutex::new(None), clock })
    }

    async fn node_credentials(&self) -> Result<NodeCredentials, UpstreamError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        kept.take_if(|kept| kept.ends_at.is_some_and(|end| end <= now));
        if let Some(kept) = kept.as_ref().filter(|kept| now - kept.looked_at < CREDENTIALS_AGE_MAX) {
            return Ok(kept.credentials.clone());
        }
        let error = match self.source.found(now).await {
            Ok((credentials, ends_at)) => {
                *kept = Some(Kept { credentials: credentials.clone(), ends_at, looked_at: now });
                return Ok(credentials);
            }
            Err(error) => error,
        };
        // A file that is half written, a service that is away: what is there is good until the endpoint says otherwise.
        let before = kept.as_mut().ok_or_else(|| fault(format!("the node's own credentials: {error}")))?;
        warn!(%error, "the node's own credentials cannot be read anew; those from before are used on");
        before.looked_at = now;
        Ok(before.credentials.clone())
    }

    /// The endpoint did not take the node's credentials: they are looked for anew with the next question.
    async fn doubt_node_credentials(&self) {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        kept.take_if(|kept| now - kept.looked_at >= CREDENTIALS_AGE_MIN);
    }

    async fn request(&self, token: &PodToken) -> Result<Request, UpstreamError> {
        let body = serde_json::json!({ "token": token.expose() }).to_string();
        let own = [("host", self.host.as_str()), ("content-type", "application/json")];
        let unsigned = HttpRequest { method: "POST", path: self.url.path(), query: "", headers: &own };
        let credentials = self.node_credentials().await?;
        let signed = sign_headers(
            &credentials,
            self.region.as_str(),
            SERVICE,
            &unsigned,
            &PayloadHash::of(body.as_bytes()),
            self.clock.now(),
        );
        let signed = signed.map_err(|error| fault(format!("the request cannot be signed: {error}")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in signed.iter().chain([("content-type", "application/json")]) {
            let mut value = HeaderValue::from_str(value).map_err(|error| fault(error.to_string()))?;
            value.set_sensitive(name != "content-type");
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(Request { method: Method::POST, url: self.url.clone(), headers, body: body.into() })
    }
}

impl Upstream for EksAuth {
    async fn assume(&self, token: &PodToken) -> Result<Credentials, UpstreamError> {
        let request = self.request(token).await?;
        let answer = self.client.send(request).await.map_err(|error| fault(error.to_string()))?;
        let read = read(&answer);
        if let Err(UpstreamError::Other { status: 401 | 403, .. }) = read {
            self.doubt_node_credentials().await;
        }
        read
    }
}

impl std::fmt::Debug for EksAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EksAuth({})", self.url)
    }
}

fn fault(reason: String) -> UpstreamError {
    UpstreamError::Fault { whom: WHOM, reason }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vended {
    assumed_role_user: AssumedRoleUser,
    credentials: Secrets,
}

#[derive(Deserialize)]
struct AssumedRoleUser {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Secrets {
    session_token: String,
    secret_access_key: String,
    access_key_id: String,
    expiration: f64,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(alias = "Message", default)]
    message: String,
    #[serde(rename = "__type", alias = "code", default)]
    kind: String,
}

/// Reads an answer of the endpoint (AWS restJson1 protocol: the error's name is in a header, or in the body).
fn read(answer: &Answer) -> Result<Credentials, UpstreamError> {
    if answer.status.is_success() {
        let vended: Vended = serde_json::from_slice(&answer.body)
            // What stands there may be secret; where it broke is not.
            .map_err(|error| fault(format!("its answer is not understood at column {}", error.column())))?;
        let Secrets { session_token, secret_access_key, access_key_id, expiration } = vended.credentials;
        let expires_at = OffsetDateTime::from_unix_timestamp(expiration as i64)
            .map_err(|_| fault("the end of the credentials is no time".to_owned()))?;
        return Ok(Credentials {
            access_key_id,
            secret_access_key: secret_access_key.into(),
            session_token: session_token.into(),
            expires_at,
            assumed_role_arn: vended.assumed_role_user.arn,
        });
    }
    let refused: Refused = serde_json::from_slice(&answer.body)
        .unwrap_or(Refused { message: String::new(), kind: String::new() });
    let header = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let name = name(header.unwrap_or(&refused.kind));
    let status = answer.status.as_u16();
    if !(400..=599).contains(&status) {
        return Err(fault(format!("its status {status} is no answer to this")));
    }
    let message = match refused.message {
        message if message.is_empty() => format!("status {status}"),
        message => message,
    };
    // What a status alone would mean is not asked: a gateway on the way has a 404 for all paths, and a key of the node that is none
    // any more is a 403. Neither says that a pod has lost what it has.
    match name.and_then(AuthError::named).filter(|code| !is_of_signature(*code, status)) {
        Some(code) => Err(UpstreamError::Answered { code, status, message }),
        None => {
            let name = name.map_or_else(|| format!("{WHOM} answered"), str::to_owned);
            // On a signature that does not fit AWS says, further down, what should have been signed: the session's token is in it.
            let message = message.lines().next().unwrap_or_default().chars().take(WORDS_CHARS_MAX).collect();
            Err(UpstreamError::Other { status, name, message })
        }
    }
}

/// The name of an error: of `aws.protocoltests#FooError:http://…`, namespace and address are left out.
fn name(kind: &str) -> Option<&str> {
    let name = kind.split(':').next()?.rsplit('#').next()?;
    let is_one = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    is_one.then_some(name)
}

/// Whether an error is of the node's own session, and not of the pod's token: AWS has one name for both, and 403 for the first (common
/// errors of all services), 400 for the second (service model).
fn is_of_signature(code: AuthError, status: u16) -> bool {
    code == AuthError::ExpiredToken && status == 403
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lanyard_aws::CredentialPlace;
    use lanyard_iam::{AccessKeyId, SecretAccessKey};
    use lanyard_kit::TestClock;
    use lanyard_kit::tls::Authority;
    use secrecy::ExposeSecret as _;
    use time::macros::datetime;

    use super::*;
    use crate::token::tests::NOW;
    use crate::vault::tests::token;

    fn answer(status: u16, kind: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert("x-amzn-errortype", kind.parse().unwrap());
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned().into() }
    }

    #[test]
    fn an_answer_of_the_model_is_read() {
        let body = r#"{
            "subject": { "namespace": "shop", "serviceAccount": "cart" },
            "audience": "pods.eks.amazonaws.com",
            "podIdentityAssociation": { "associationArn": "arn", "associationId": "a-1" },
            "assumedRoleUser": { "arn": "arn:aws:sts::111122223333:assumed-role/cart/s", "assumeRoleId": "AROA:s" },
            "credentials": { "sessionToken": "t", "secretAccessKey": "s", "accessKeyId": "ASIA", "expiration": 1795532400.5 }
        }"#;
        let credentials = read(&answer(200, "", body)).unwrap();
        assert_eq!(credentials.account(), "111122223333");
        assert_eq!(credentials.secret_access_key.expose_secret(), "s");
        assert_eq!(credentials.expires_at, datetime!(2026-11-24 15:00 UTC));
    }

    /// What an error of the endpoint is read as: its code, if it is the model's, its status, and whether kept credentials go.
    fn read_as(status: u16, kind: &str, body: &str) -> (Option<AuthError>, u16, bool) {
        let error = read(&answer(status, kind, body)).unwrap_err();
        match &error {
            UpstreamError::Answered { code, status, .. } => (Some(*code), *status, error.is_final()),
            UpstreamError::Other { status, .. } => (None, *status, error.is_final()),
            UpstreamError::Fault { reason, .. } => panic!("{status} {kind}: {reason}"),
        }
    }

    #[test]
    fn an_error_is_known_by_its_name_in_header_or_body() {
        let cases = [
            (404, "ResourceNotFoundException", "{}", Some(AuthError::ResourceNotFound)),
            (400, "AccessDeniedException:http://x/", r#"{"message":"no"}"#, Some(AuthError::AccessDenied)),
            (400, "", r#"{"__type":"com.amazonaws#ExpiredTokenException"}"#, Some(AuthError::ExpiredToken)),
            (400, "", r#"{"code":"InvalidTokenException"}"#, Some(AuthError::InvalidToken)),
            (403, "MissingAuthenticationTokenException", "", None),
            (429, "", "slow down", None),
            (400, "Odd", "{}", None),
            (400, "accessdeniedexception", "{}", None),
        ];
        for (status, kind, body, expected) in cases {
            let found = read_as(status, kind, body);
            assert_eq!((found.0, found.1), (expected, status), "{status} {kind} {body}");
        }
        let odd = read(&answer(400, "", r#"{"__type":"no name\nat all","message":"no"}"#)).unwrap_err();
        assert_eq!(odd.to_string(), "the EKS Auth endpoint answered: no");
        let long = r#"{"message":"The signature does not match.\n\nx-amz-security-token:hush"}"#;
        let error = read(&answer(403, "InvalidSignatureException", long)).unwrap_err();
        assert_eq!(error.to_string(), "InvalidSignatureException: The signature does not match.");
        assert_eq!(
            read(&answer(502, "", "<html>")).unwrap_err().to_string(),
            "the EKS Auth endpoint answered: status 502"
        );
    }

    /// Over statuses and names: the status passes as it came, and what is kept goes upon four names alone.
    #[test]
    fn kept_credentials_go_by_the_errors_name_and_by_no_status() {
        let others = [
            "",
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "IncompleteSignatureException",
            "MissingAuthenticationTokenException",
            "AccessDenied",
            "ResourceNotFound",
            "RequestExpired",
            "UnknownOperationException",
        ];
        for status in [400, 401, 403, 404, 408, 413, 418, 429, 500, 502, 503, 504] {
            for name in others {
                assert_eq!(read_as(status, name, ""), (None, status, false), "{status} {name}");
            }
            for code in AuthError::ALL {
                let of_signature = code == AuthError::ExpiredToken && status == 403;
                let expected = (!of_signature).then_some(code);
                let is_final = expected.is_some_and(AuthError::is_final);
                assert_eq!(
                    read_as(status, code.name(), ""),
                    (expected, status, is_final),
                    "{status} {code:?}"
                );
            }
        }
    }

    #[test]
    fn what_helps_to_ask_again_is_told_by_the_status_where_the_name_says_nothing() {
        for (status, expected) in [
            (400, false),
            (403, false),
            (404, false),
            (408, true),
            (413, false),
            (429, true),
            (502, true),
            (504, true),
        ] {
            assert_eq!(read(&answer(status, "", "")).unwrap_err().is_passing(), expected, "{status}");
        }
        // No status of an error at all.
        assert!(matches!(read(&answer(304, "", "")).unwrap_err(), UpstreamError::Fault { .. }));
    }

    fn own() -> NodeCredentials {
        NodeCredentials {
            access_key_id: AccessKeyId::parse("AKIAEXAMPLEEXAMPLE01").unwrap(),
            secret_access_key: SecretAccessKey::new("of-the-node".to_owned()),
            session_token: None,
        }
    }

    fn endpoint(url: &str, timeout: Duration, clock: &TestClock) -> EksAuth {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(&folder.path().join("pki"), "endpoint", OffsetDateTime::now_utc());
        EksAuth::new(EksAuthOptions {
            endpoint: Url::parse(url).unwrap(),
            cluster: "dev".to_owned(),
            region: Region::parse("eu-west-1").unwrap(),
            roots: authority.unwrap().roots().unwrap(),
            timeout,
            source: CredentialSource::fixed(&own()),
            clock: Arc::new(clock.clone()),
        })
        .unwrap()
    }

    /// The connection is taken by nobody, and so never secured. Time is the runtime's, which goes on once all there is to do is to wait.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_comes_to_nothing_is_given_up_after_half_a_second() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", silent.local_addr().unwrap());
        let endpoint = endpoint(&url, Duration::from_secs(60), &TestClock::new(NOW));
        endpoint.node_credentials().await.unwrap();
        let began = tokio::time::Instant::now();
        let error = endpoint.assume(&token("pod-1", 0)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Fault { .. }), "{error}");
        let waited = began.elapsed().as_millis();
        assert!((500..600).contains(&waited), "{waited} ms");
    }

    #[tokio::test]
    async fn the_nodes_credentials_outlive_a_place_that_gives_none_until_they_are_refused() {
        let (clock, region) = (TestClock::new(NOW), Region::parse("eu-west-1").unwrap());
        let own = own();
        let mut endpoint = endpoint("https://eks-auth.example", Duration::from_secs(1), &clock);
        endpoint.node_credentials().await.unwrap();
        endpoint.source = CredentialSource::at(CredentialPlace::Profile, Some("nobody-has-such"), &region);
        for _ in 0..3 {
            clock.advance(time::Duration::minutes(2));
            assert_eq!(endpoint.node_credentials().await.unwrap().access_key_id, own.access_key_id);
        }
        endpoint.doubt_node_credentials().await;
        assert!(endpoint.node_credentials().await.is_ok(), "they were looked for a moment ago");
        clock.advance(time::Duration::seconds(1));
        endpoint.doubt_node_credentials().await;
        let fault = endpoint.node_credentials().await.unwrap_err();
        assert!(fault.to_string().contains("the node's own credentials"), "{fault}");
    }

    #[test]
    fn what_is_not_understood_is_a_fault_that_repeats_nothing() {
        let error = read(&answer(200, "", r#"{"credentials":{"secretAccessKey":"hush"}}"#)).unwrap_err();
        assert!(matches!(error, UpstreamError::Fault { .. }));
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
