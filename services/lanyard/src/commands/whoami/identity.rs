//! Asking the STS in effect who signs; and how a service that speaks the Query protocol is asked.

use std::{collections::BTreeMap, path::Path, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use lanyard_aws::caller_in;
use lanyard_iam::{
    AccessKeyId, CallerIdentity, Credentials, HttpRequest, PayloadHash, Region, Signer, partition_of_region,
};
use lanyard_kit::{
    Clock as _, SystemClock,
    http_client::{AddressRules, Answer, HttpClient, Options, Request},
    tls::read_ca_file,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::{Host, Url};

use crate::{credentials::ProfileSettings, failure::Failure, serve::Ready};

/// What is asked (AWS STS, Query protocol).
const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer, in bytes, and as long as a relay passes one. That of a caller's policies is the longest that there is: 10 240
/// characters of a role's and 2 048 of its session's, of four bytes at most, without the blanks between their parts, and fifty names of
/// 128.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest head before one, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The STS in effect, or the IAM beside it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    url: Url,
    /// Whether somebody named it, so that it may have a private address.
    is_named: bool,
    ca: Option<String>,
}

impl Endpoint {
    /// The STS, by the variables and settings of AWS's tools (AWS SDKs reference guide, "Service-specific endpoints"); where they name
    /// none, that of the hub whose ready-file somebody named. A hub is trusted by what its ready-file says, unless a CA is named.
    pub(super) fn sts(
        environment: &BTreeMap<String, String>,
        settings: &ProfileSettings,
        region: &Region,
        ca: Option<&Path>,
        hub: Option<&Ready>,
    ) -> Result<Self, Failure> {
        let variable = |name: &str| environment.get(name).cloned();
        let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let named = variable("AWS_ENDPOINT_URL_STS")
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| settings.get("endpoint_url"))
            .filter(|_| !ignored)
            .or_else(|| hub.and_then(|ready| ready.aws.clone()));
        let partition = partition_of_region(region.as_str()).unwrap_or(lanyard_iam::Partition::Aws);
        let text =
            named.clone().unwrap_or_else(|| format!("https://{}/", partition.regional_host("sts", region)));
        let url = parsed(&text, "an STS")?;
        let hub = hub.filter(|ready| {
            ready.aws.as_deref().is_some_and(|aws| aws.trim_end_matches('/') == text.trim_end_matches('/'))
        });
        let ca = ca
            .or_else(|| hub.map(|ready| ready.ca.as_path()))
            .map(|path| path.display().to_string())
            .or_else(|| variable("AWS_CA_BUNDLE"))
            .or_else(|| settings.get("ca_bundle"));
        Ok(Self { url, is_named: named.is_some(), ca })
    }

    /// The IAM that goes with this STS, where somebody has named one: by its own variable, or the one of all services, or else at the
    /// same place, for a hub's AWS wire is all of its services. An agent's relay, which is asked over plain HTTP, is STS alone.
    pub(super) fn iam(
        &self,
        environment: &BTreeMap<String, String>,
        settings: &ProfileSettings,
    ) -> Result<Option<Self>, Failure> {
        if !self.is_named {
            return Ok(None);
        }
        let variable = |name: &str| environment.get(name).cloned();
        let named = variable("AWS_ENDPOINT_URL_IAM")
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| settings.get("endpoint_url"));
        let place = match named {
            Some(text) => Self { url: parsed(&text, "an IAM")?, ..self.clone() },
            None => self.clone(),
        };
        Ok(Some(place).filter(|place| place.url.scheme() == "https"))
    }

    /// Whether what a key signs may go there: a hub's own never goes to AWS.
    fn may_be_shown(&self, key: &AccessKeyId) -> bool {
        self.is_named || !key.is_local()
    }

    /// For people: without anything that a URL may carry beside.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.authority())
    }

    fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether the host is on this machine or its link, where plain HTTP goes through no network: an agent's relay.
    fn is_on_link(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
            Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

fn parsed(text: &str, what: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| Failure::usage(format!("`{text}` is no URL of {what}: {error}")))
}

/// A question to a service that speaks the Query protocol.
pub(super) struct Question<'a> {
    /// The name that the signature has of it.
    pub(super) service: &'a str,
    /// The action with its parameters.
    pub(super) form: &'a str,
}

/// Who signs with these.
pub(super) async fn ask(
    place: &Endpoint,
    by: &Credentials,
    region: &Region,
) -> Result<CallerIdentity, Failure> {
    let answer = answer(place, by, region, &Question { service: "sts", form: QUESTION }).await?;
    if answer.status != http::StatusCode::OK {
        return Err(Failure::NoAnswer(format!(
            "{} does not say who this is (status {}): the credentials may have ended, or be of another STS",
            place.shown(),
            answer.status.as_u16()
        )));
    }
    caller_in(&answer)
        .map_err(|error| Failure::NoAnswer(format!("the answer of {} is unusable: {error}", place.shown())))
}

/// What comes of a question, whatever its status.
pub(super) async fn answer(
    place: &Endpoint,
    by: &Credentials,
    region: &Region,
    question: &Question<'_>,
) -> Result<Answer, Failure> {
    if !place.may_be_shown(&by.access_key_id) {
        return Err(Failure::usage(format!(
            "`{}` is a key of a hub, which AWS is not asked about: name the hub's ready-file with --ready-file, where that says `aws`, or \
             its AWS wire in AWS_ENDPOINT_URL",
            by.access_key_id
        )));
    }
    let headers = signed(place, by, region, question)?;
    match place.url.scheme() {
        "https" => over_tls(place, headers, question.form).await,
        "http" if place.is_on_link() => {
            let plain = tokio::time::timeout(TIMEOUT, in_the_clear(place, &headers, question.form)).await;
            plain.map_err(|_| {
                Failure::NoAnswer(format!("{} did not answer within {TIMEOUT:?}", place.shown()))
            })?
        }
        _ => {
            let message =
                "is not called: an STS is called over https, or over http on this machine and its link alone";
            Err(Failure::usage(format!("{} {message}", place.shown())))
        }
    }
}

fn signed(
    place: &Endpoint,
    by: &Credentials,
    region: &Region,
    question: &Question<'_>,
) -> Result<HeaderMap, Failure> {
    let authority = place.authority();
    let plain = [("host", authority.as_str()), ("content-type", FORM), ("accept", "application/json")];
    let asked = HttpRequest { method: "POST", path: place.url.path(), query: "", headers: &plain };
    let signature = Signer::new(by, region.as_str(), question.service)
        .sign_headers(&asked, &PayloadHash::of(question.form.as_bytes()), SystemClock.now())
        .map_err(Failure::usage)?;
    let mut headers = HeaderMap::new();
    let rest = plain.into_iter().filter(|(name, _)| *name != "host");
    for (name, value) in rest.chain(signature.iter()) {
        let mut value = HeaderValue::from_str(value).map_err(Failure::usage)?;
        value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
        headers.insert(HeaderName::from_static(name), value);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(question.form.len()));
    Ok(headers)
}

async fn over_tls(place: &Endpoint, headers: HeaderMap, form: &str) -> Result<Answer, Failure> {
    let mut options = Options { timeout: TIMEOUT, body_bytes_max: ANSWER_BYTES_MAX, ..Options::default() };
    if place.is_named {
        let host = place.url.host_str().unwrap_or_default();
        options.addresses = AddressRules::public_only().allow_private(host);
    }
    if let Some(path) = &place.ca {
        let (roots, _) =
            read_ca_file(Path::new(path)).map_err(|reason| Failure::usage(format!("`{path}` {reason}")))?;
        options.roots = roots;
    }
    let client = HttpClient::new(options).map_err(Failure::usage)?;
    let body = bytes::Bytes::copy_from_slice(form.as_bytes());
    let request = Request { method: Method::POST, url: place.url.clone(), headers, body };
    client.send(request).await.map_err(|fault| Failure::NoAnswer(fault.to_string()))
}

/// One request of HTTP/1.0, whose answer ends with the connection.
async fn in_the_clear(place: &Endpoint, headers: &HeaderMap, form: &str) -> Result<Answer, Failure> {
    let lost =
        |error: std::io::Error| Failure::NoAnswer(format!("{} does not answer: {error}", place.shown()));
    let host = place.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let mut stream =
        TcpStream::connect((host, place.url.port_or_known_default().unwrap_or(80))).await.map_err(lost)?;
    let mut request =
        format!("POST {} HTTP/1.0\r\nhost: {}\r\n", place.url.path(), place.authority()).into_bytes();
    for (name, value) in headers {
        request.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request.extend(form.as_bytes());
    stream.write_all(&request).await.map_err(lost)?;
    let mut bytes = Vec::new();
    let most = (HEAD_BYTES_MAX + ANSWER_BYTES_MAX) as u64;
    stream.take(most).read_to_end(&mut bytes).await.map_err(lost)?;
    read(&bytes).ok_or_else(|| Failure::NoAnswer(format!("{} answers no HTTP", place.shown())))
}

/// Status and body of an answer.
fn read(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let status = head.lines().next()?.split(' ').nth(1)?.parse().ok()?;
    let body = bytes::Bytes::copy_from_slice(bytes.get(end + 4..)?);
    Some(Answer { status, headers: HeaderMap::new(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn place(pairs: &[(&str, &str)]) -> Endpoint {
        let region = Region::parse("eu-west-1").unwrap();
        Endpoint::sts(&environment(pairs), &ProfileSettings::default(), &region, None, None).unwrap()
    }

    #[test]
    fn a_named_ready_file_says_where_the_sts_is_where_nothing_else_does() {
        let ready: Ready = serde_json::from_value(serde_json::json!({
            "gateway": "https://hub:8443", "grpc": "https://hub:8444", "aws": "https://hub:8445", "ca": "/hub/root.crt",
            "credentials": "/hub/credentials", "account": "111122223333", "region": "eu-west-1", "hub_id": "x",
        }))
        .unwrap();
        let region = Region::parse("eu-west-1").unwrap();
        let bundle = ("AWS_CA_BUNDLE", "/bundle.pem");
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str, &'a str);
        let cases: [Case<'_>; 5] = [
            (&[], None, "https://hub:8445", "/hub/root.crt"),
            (&[bundle], None, "https://hub:8445", "/hub/root.crt"),
            (&[bundle], Some("/own.pem"), "https://hub:8445", "/own.pem"),
            (&[("AWS_ENDPOINT_URL", "https://hub:8445/")], None, "https://hub:8445", "/hub/root.crt"),
            (
                &[("AWS_ENDPOINT_URL", "https://other:8445"), bundle],
                None,
                "https://other:8445",
                "/bundle.pem",
            ),
        ];
        for (pairs, ca, url, trusted) in cases {
            let settings = ProfileSettings::default();
            let ca = ca.map(Path::new);
            let found = Endpoint::sts(&environment(pairs), &settings, &region, ca, Some(&ready)).unwrap();
            assert_eq!((found.shown().as_str(), found.ca.as_deref()), (url, Some(trusted)), "{pairs:?}");
            assert!(found.is_named, "{pairs:?}");
        }
    }

    #[test]
    fn the_iam_beside_an_sts_is_one_that_somebody_named() {
        let (own, all) = ("AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL");
        let (sts, relay) = ("AWS_ENDPOINT_URL_STS", "http://169.254.170.23/sts");
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let cases: [Case<'_>; 8] = [
            (&[], None),
            (&[(own, "https://iam:8445")], None),
            (&[(all, "https://hub:8445")], Some("https://hub:8445")),
            (&[(all, "https://hub:8445"), (own, "https://iam:8445")], Some("https://iam:8445")),
            (&[(sts, "https://sts:8445")], Some("https://sts:8445")),
            (&[(sts, relay)], None),
            (&[(sts, relay), (all, "https://hub:8445")], Some("https://hub:8445")),
            (&[(sts, relay), (own, "http://iam:8445")], None),
        ];
        for (pairs, expected) in cases {
            let found = place(pairs).iam(&environment(pairs), &ProfileSettings::default()).unwrap();
            assert_eq!(found.map(|place| place.shown()).as_deref(), expected, "{pairs:?}");
        }
        let settings = ProfileSettings {
            config_file: environment(&[("endpoint_url", "https://hub:8445")]),
            ..ProfileSettings::default()
        };
        let found = place(&[(sts, relay)]).iam(&environment(&[(sts, relay)]), &settings).unwrap();
        assert_eq!(found.unwrap().shown(), "https://hub:8445");
        let wrong = environment(&[(all, "https://hub"), (own, "hub")]);
        assert!(place(&[(all, "https://hub")]).iam(&wrong, &ProfileSettings::default()).is_err());
    }

    #[test]
    fn the_sts_in_effect_is_the_one_that_was_named_last() {
        assert_eq!(place(&[]).shown(), "https://sts.eu-west-1.amazonaws.com");
        let all = ("AWS_ENDPOINT_URL", "https://hub:8445");
        assert_eq!(place(&[all]).shown(), "https://hub:8445");
        let relay = ("AWS_ENDPOINT_URL_STS", "http://169.254.170.23/sts");
        let found = place(&[all, relay]);
        assert_eq!((found.shown().as_str(), found.url.path()), ("http://169.254.170.23", "/sts"));
        assert!(!place(&[all, relay, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]).is_named);
    }

    #[test]
    fn a_hubs_own_key_is_shown_to_an_sts_that_somebody_named_and_not_to_aws() {
        let (local, of_aws) =
            ("LKIAAAAAAAAAAAAAAAAA".parse().unwrap(), "AKIAIOSFODNN7EXAMPLE".parse().unwrap());
        let named = place(&[("AWS_ENDPOINT_URL", "https://hub:8445")]);
        assert!(named.may_be_shown(&local) && place(&[]).may_be_shown(&of_aws));
        assert!(!place(&[]).may_be_shown(&local));
    }

    #[test]
    fn plain_http_is_for_this_machine_and_its_link() {
        let cases = [
            ("http://169.254.170.23/sts", true),
            ("http://[fd00:ec2::23]/sts", true),
            ("http://127.0.0.1:8000/", true),
            ("http://localhost:8000/", true),
            ("http://10.0.0.1/", false),
            ("http://sts.example/", false),
            ("http://localhost.example/", false),
        ];
        for (url, is_on_link) in cases {
            assert_eq!(place(&[("AWS_ENDPOINT_URL_STS", url)]).is_on_link(), is_on_link, "{url}");
        }
    }

    #[test]
    fn an_answer_is_read_and_half_a_one_is_none() {
        let whole = read(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{}").unwrap();
        assert_eq!((whole.status.as_u16(), &whole.body[..]), (200, &b"{}"[..]));
        for bytes in
            [&b""[..], b"HTTP/1.0 200 OK\r\n", b"\r\n\r\n{}", b"HTTP/1.0 x\r\n\r\n", b"HTTP/1.0 99\r\n\r\n"]
        {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
    }
}
