//! A role of AWS, for keys of AWS: STS's `AssumeRole`, signed, over public HTTPS alone.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use lanyard_aws::session_in;
use lanyard_iam::{Credentials, HttpRequest, PayloadHash, PrincipalArn, Region, Signer, shown_within};
use lanyard_kit::{
    Clock, SystemClock,
    http_client::{Answer, HttpClient, Options, Request},
};
use serde::Deserialize;
use time::OffsetDateTime;
use url::{Url, form_urlencoded};

use super::partition;
use crate::failure::Failure;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const JSON: &str = "application/json";

/// A session of the role, from the region's STS.
pub(super) async fn assume(
    by: &Credentials,
    region: &Region,
    role: &PrincipalArn,
    session_name: &str,
) -> Result<Credentials, Failure> {
    let request = request(by, region, role, session_name, SystemClock.now())?;
    let client = HttpClient::new(Options::default()).map_err(|error| Failure::NoAnswer(error.to_string()))?;
    let answer = client.send(request).await;
    read(&answer.map_err(|fault| Failure::NoAnswer(format!("AWS STS gives no answer: {fault}")))?)
}

fn request(
    by: &Credentials,
    region: &Region,
    role: &PrincipalArn,
    session_name: &str,
    now: OffsetDateTime,
) -> Result<Request, Failure> {
    let host = partition(region).sts_host(region);
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &role.to_string()),
            ("RoleSessionName", session_name),
        ])
        .finish();
    let plain = [("host", host.as_str()), ("content-type", FORM), ("accept", JSON)];
    let asked = HttpRequest { method: "POST", path: "/", query: "", headers: &plain };
    let signed = Signer::new(by, region.as_str(), "sts")
        .sign_headers(&asked, &PayloadHash::of(body.as_bytes()), now)
        .map_err(Failure::usage)?;
    let mut headers = HeaderMap::new();
    for (name, value) in plain.into_iter().filter(|(name, _)| *name != "host").chain(signed.iter()) {
        let mut value = HeaderValue::from_str(value).map_err(Failure::usage)?;
        value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
        headers.insert(HeaderName::from_static(name), value);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let url = Url::parse(&format!("https://{host}/")).map_err(Failure::usage)?;
    Ok(Request { method: Method::POST, url, headers, body: Bytes::from(body) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    error: StsError,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StsError {
    code: String,
    #[serde(default)]
    message: String,
}

/// Most characters of STS's own words that are repeated.
const WORDS_CHARS_MAX: usize = 500;

fn read(answer: &Answer) -> Result<Credentials, Failure> {
    if answer.status.is_success() {
        let unreadable = |_| Failure::NoAnswer("AWS STS answered what is no session: try again".to_owned());
        return session_in(answer).map_err(unreadable);
    }
    let refused: Option<Refused> = serde_json::from_slice(&answer.body).ok();
    let (code, words) =
        refused.map_or_else(Default::default, |refused| (refused.error.code, refused.error.message));
    let [words, shown_code] = [&words, &code].map(|said| shown_within(said, WORDS_CHARS_MAX));
    let message = format!(
        "AWS STS refuses to assume the role: {words} ({shown_code}, status {})",
        answer.status.as_u16()
    );
    if answer.status.is_server_error() || answer.status.as_u16() == 429 || code.contains("Throttl") {
        return Err(Failure::NoAnswer(format!("{message}: this is no refusal, try again")));
    }
    Err(Failure::Refused(lanyard_api::CallError::Denied(lanyard_api::Denial {
        code: "aws_sts".into(),
        message,
    })))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lanyard_iam::sigv4::{Expected, SignedRequest};
    use lanyard_iam::{AccessKeyId, SecretAccessKey, SessionToken, SigningKey};

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn the_request_is_signed_for_the_regions_own_sts() {
        let by = Credentials {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
            secret_access_key: SecretAccessKey::new("secret".to_owned()),
            session_token: Some(SessionToken::new("token".to_owned())),
        };
        let (region, now) = (
            Region::parse("cn-north-1").unwrap(),
            OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap(),
        );
        let role = PrincipalArn::parse("arn:aws-cn:iam::111122223333:role/team/deployer").unwrap();
        let request = request(&by, &region, &role, "ana", now).unwrap();
        assert_eq!(request.url.as_str(), "https://sts.cn-north-1.amazonaws.com.cn/");
        let body = std::str::from_utf8(&request.body).unwrap();
        assert!(
            body.contains("RoleArn=arn%3Aaws-cn%3Aiam%3A%3A111122223333%3Arole%2Fteam%2Fdeployer"),
            "{body}"
        );
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .chain([("host", "sts.cn-north-1.amazonaws.com.cn")])
            .collect();
        let sent = HttpRequest { method: "POST", path: "/", query: "", headers: &headers };
        let parsed = SignedRequest::parse(&sent, &Expected::new("cn-north-1", "sts", now)).unwrap();
        let key = SigningKey::derive(&by.secret_access_key, parsed.date().day(), "cn-north-1", "sts");
        parsed.verify(&sent, &PayloadHash::of(&request.body), &key).unwrap();
    }

    #[test]
    fn a_session_a_refusal_and_a_fault_are_told_apart_and_no_secret_is_repeated() {
        let good = r#"{"AssumeRoleResponse":{"AssumeRoleResult":{"AssumedRoleUser":{},"Credentials":{"AccessKeyId":
            "ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"s3cret","SessionToken":"t0ken","Expiration":1.9e9}}}}"#;
        let session = read(&answer(200, good)).unwrap();
        assert_eq!(session.secret_access_key.expose(), "s3cret");
        let broken = good.replace("SessionToken", "Other");
        let fault = read(&answer(200, &broken)).unwrap_err();
        assert!(matches!(&fault, Failure::NoAnswer(text) if !text.contains("s3cret")), "{fault}");
        let denied = r#"{"Error":{"Code":"AccessDenied","Message":"not authorized","Type":"Sender"}}"#;
        assert!(matches!(read(&answer(403, denied)), Err(Failure::Refused(_))));
        let throttled = r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded"}}"#;
        for (status, body) in [(400, throttled), (429, ""), (500, "<html>"), (503, denied)] {
            assert!(matches!(read(&answer(status, body)), Err(Failure::NoAnswer(_))), "{status}");
        }
    }
}
