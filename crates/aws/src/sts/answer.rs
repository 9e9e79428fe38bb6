//! Reading what STS says, strictly: JSON alone, and an identity only where its parts agree with each other and with the
//! question.

use lanyard_iam::{CallerIdentity, PrincipalKind};
use lanyard_kit::http_client::Answer;
use serde::Deserialize;

use super::{GetCallerIdentity, StsRefusalReason};
use crate::codes::{is_throttling, is_trouble};

/// What one answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Verified(CallerIdentity),
    Refused(StsRefusalReason),
    Throttled,
    ServerError,
    /// Why it is unusable, without its content.
    Bad(String),
}

/// The one answer to `GetCallerIdentity` as JSON. Members that are not named here are passed over; one that stands twice
/// is refused.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "GetCallerIdentityResponse")]
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "GetCallerIdentityResult")]
    result: CallerIdentityResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallerIdentityResult {
    account: String,
    arn: String,
    user_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorEnvelope {
    error: ErrorBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    code: String,
    #[serde(default)]
    message: String,
}

/// How AWS words a stale date under the code of a bad signature.
const EXPIRED_WORDS: [&str; 2] = ["Signature expired", "Signature not yet current"];

pub(super) fn read(answer: &Answer, call: &GetCallerIdentity<'_>) -> Reading {
    let status = answer.status.as_u16();
    match status {
        200 => read_identity(answer, call),
        429 => Reading::Throttled,
        400 | 401 | 403 => read_refusal(answer, status),
        503 if names_throttling(&answer.body) => Reading::Throttled,
        500..=599 => Reading::ServerError,
        _ => Reading::Bad(format!("status {status} is none that STS gives")),
    }
}

fn read_identity(answer: &Answer, call: &GetCallerIdentity<'_>) -> Reading {
    let content_type = answer.headers.get(http::header::CONTENT_TYPE);
    if content_type.is_some_and(|value| !is_json(value.as_bytes())) {
        return Reading::Bad("it is not JSON".to_owned());
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&answer.body) else {
        return Reading::Bad("it is not the JSON of a caller's identity".to_owned());
    };
    let CallerIdentityResult { account, arn, user_id } = envelope.response.result;
    let identity = match CallerIdentity::parse(&account, &user_id, &arn) {
        Ok(identity) => identity,
        Err(error) => return Reading::Bad(error.to_string()),
    };
    match unbound(&identity, call) {
        None => Reading::Verified(identity),
        Some(reason) => Reading::Bad(reason.to_owned()),
    }
}

/// Why the identity cannot be the answer to this question, if it cannot. STS's answer names no key, so that nothing in it is held against
/// the one that asked but what keys of its sort can be: a long-term one is of its partition, and a user's or the account's own. A
/// temporary one may be anybody's (`GetSessionToken` gives a user's). The rest is bound by the way: the request is made anew from what
/// was judged, to a host of a fixed list, over TLS, and nobody follows a redirect; and of which accounts an STS may speak, its caller asks.
fn unbound(identity: &CallerIdentity, call: &GetCallerIdentity<'_>) -> Option<&'static str> {
    if identity.arn.partition != call.partition {
        return Some("it is of another partition than the endpoint");
    }
    let long_term = call.access_key_id.as_str().starts_with("AKIA");
    let own = matches!(identity.arn.kind, PrincipalKind::User { .. } | PrincipalKind::Root);
    if !call.self_hosted && long_term && !own {
        return Some("it names a session, and the key is a long-term one");
    }
    None
}

fn read_refusal(answer: &Answer, status: u16) -> Reading {
    let Ok(ErrorEnvelope { error }) = serde_json::from_slice(&answer.body) else {
        return match status {
            // Whatever the body is: this is how STS itself, and everything that speaks for it, says no.
            _ if names_throttling(&answer.body) => Reading::Throttled,
            403 | 401 => Reading::Refused(StsRefusalReason::Other),
            _ => Reading::Bad(format!("status {status} without an error code")),
        };
    };
    // By the code alone: the message quotes what the caller has signed, and so may hold any word.
    let code = error.code.as_str();
    let reason = match code {
        _ if is_throttling(code) => return Reading::Throttled,
        _ if is_trouble(code) => return Reading::ServerError,
        "SignatureDoesNotMatch" if EXPIRED_WORDS.iter().any(|words| error.message.starts_with(words)) => {
            StsRefusalReason::Expired
        }
        "SignatureDoesNotMatch" => StsRefusalReason::SignatureOrCluster,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => StsRefusalReason::Expired,
        "InvalidClientTokenId" | "UnrecognizedClientException" => StsRefusalReason::InvalidKey,
        "IncompleteSignature" | "IncompleteSignatureException" | "MissingAuthenticationToken" => {
            StsRefusalReason::Incomplete
        }
        "RegionDisabledException" | "OptInRequired" => StsRefusalReason::RegionDisabled,
        _ => StsRefusalReason::Other,
    };
    Reading::Refused(reason)
}

fn is_json(content_type: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    matches!(essence, "application/json" | "text/json") || essence.starts_with("application/x-amz-json")
}

/// For bodies that are not STS's JSON: the word that stock verifiers look for.
fn names_throttling(body: &[u8]) -> bool {
    const WORD: &[u8] = b"Throttling";
    body.windows(WORD.len()).any(|window| window == WORD)
}

#[cfg(test)]
mod tests {
    use lanyard_iam::{AccessKeyId, Partition};
    use lanyard_kit::SecretString;

    use super::*;

    fn reading_of(status: u16, content_type: &str, body: &str, key: &str) -> Reading {
        let (url, key) = (SecretString::from("https://unused"), AccessKeyId::parse(key).unwrap());
        let call = GetCallerIdentity {
            url: &url,
            host: "sts.us-east-1.amazonaws.com",
            region: "us-east-1",
            partition: Partition::Aws,
            self_hosted: false,
            access_key_id: &key,
            bound_to: crate::sts::BoundTo::Cluster("dev"),
            spoke: "spoke",
        };
        let headers = [(http::header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        let status = http::StatusCode::from_u16(status).unwrap();
        read(&Answer { status, headers, body: body.to_owned().into() }, &call)
    }

    fn read_json(status: u16, body: &str) -> Reading {
        reading_of(status, "application/json", body, "ASIAEXAMPLE123456789")
    }

    fn identity(account: &str, arn: &str, user_id: &str) -> String {
        let result = serde_json::json!({ "Account": account, "Arn": arn, "UserId": user_id });
        serde_json::json!({ "GetCallerIdentityResponse": {
            "GetCallerIdentityResult": result, "ResponseMetadata": { "RequestId": "1" },
        } })
        .to_string()
    }

    fn error(code: &str, message: &str) -> String {
        serde_json::json!({ "Error": { "Code": code, "Message": message, "Type": "Sender" }, "RequestId": "1" }).to_string()
    }

    #[test]
    fn a_refusal_is_told_by_its_code() {
        use StsRefusalReason::*;
        let cases = [
            (403, "SignatureDoesNotMatch", "The request signature we calculated…", SignatureOrCluster),
            (403, "SignatureDoesNotMatch", "Signature expired: 2026… is now earlier than…", Expired),
            (403, "ExpiredToken", "", Expired),
            (400, "ExpiredTokenException", "", Expired),
            (403, "InvalidClientTokenId", "", InvalidKey),
            (400, "IncompleteSignature", "", Incomplete),
            (403, "MissingAuthenticationToken", "", Incomplete),
            (403, "RegionDisabledException", "", RegionDisabled),
            (403, "AccessDenied", "", Other),
            (400, "SomethingNew", "", Other),
        ];
        for (status, code, message, reason) in cases {
            assert_eq!(read_json(status, &error(code, message)), Reading::Refused(reason), "{status} {code}");
        }
        assert_eq!(read_json(403, "no"), Reading::Refused(Other), "V69");
    }

    #[test]
    fn immunity_14_throttling_is_never_a_refusal() {
        let cases = [
            (400, error("Throttling", "Rate exceeded")),
            (403, error("Throttling", "Rate exceeded")),
            (400, error("ThrottlingException", "")),
            (400, error("RequestLimitExceeded", "")),
            (503, error("Throttling", "")),
            (400, "<Code>Throttling</Code>".to_owned()),
            (403, "Throttling".to_owned()),
            (429, String::new()),
        ];
        for (status, body) in cases {
            assert_eq!(read_json(status, &body), Reading::Throttled, "V68: {status} {body}");
        }
    }

    #[test]
    fn immunity_55_a_caller_cannot_make_a_refusal_look_like_throttling() {
        let body = error(
            "SignatureDoesNotMatch",
            "The Canonical String should have been 'GET /?Version=Throttling'",
        );
        assert_eq!(read_json(403, &body), Reading::Refused(StsRefusalReason::SignatureOrCluster));
    }

    #[test]
    fn what_is_neither_yes_nor_no_is_a_fault() {
        for status in [500, 502, 503, 504] {
            assert_eq!(read_json(status, "oops"), Reading::ServerError, "{status}");
        }
        assert_eq!(read_json(400, &error("InternalFailure", "")), Reading::ServerError);
        for (status, body) in [(400, "no"), (404, "{}"), (204, ""), (201, "{}"), (418, "")] {
            assert!(matches!(read_json(status, body), Reading::Bad(_)), "{status} {body}");
        }
    }

    #[test]
    fn immunity_02_an_identity_is_json_whole_and_agrees_with_itself() {
        let user = "arn:aws:iam::111122223333:user/ana";
        let good = identity("111122223333", user, "AIDAX");
        assert!(matches!(read_json(200, &good), Reading::Verified(_)));
        let twice = good.replacen("\"Account\"", "\"Account\":\"444455556666\",\"Account\"", 1);
        let cases = [
            ("V70 not JSON", "<GetCallerIdentityResponse/>".to_owned()),
            ("V70 cut off", good[..good.len() - 2].to_owned()),
            ("empty", String::new()),
            ("another action's answer", good.replace("GetCallerIdentity", "AssumeRole")),
            ("the account twice", twice),
            ("another account", identity("444455556666", user, "AIDAX")),
            ("V72", identity("111122223333", "arn:aws:sts::111122223333:assumed-role/R/S", "AROAX")),
            ("V73", identity("111122223333", "arn:aws:sts::111122223333:assumed-role/R/S", "AROAX:S:T")),
            ("V76", identity("111122223333", "arn:aws:sts::111122223333:assumed-role/R", "AROAX:S")),
            ("V77", identity("111122223333", "arn:aws:ec2::111122223333:instance/i-1", "AROAX:S")),
            ("V78", identity("111122223333", "arn:aws-moon:iam::111122223333:user/ana", "AIDAX")),
            ("another partition", identity("111122223333", "arn:aws-cn:iam::111122223333:user/ana", "AIDAX")),
        ];
        for (what, body) in cases {
            assert!(matches!(read_json(200, &body), Reading::Bad(_)), "{what}");
        }
        assert!(matches!(reading_of(200, "text/xml", &good, "ASIAEXAMPLE123456789"), Reading::Bad(_)));
    }

    #[test]
    fn v71_v74_v75_sessions_users_and_federated_users_are_identities() {
        let cases = [
            (
                "V71",
                "arn:aws:sts::111122223333:assumed-role/R/S",
                "AROAX:S",
                "arn:aws:iam::111122223333:role/R",
            ),
            ("V74", "arn:aws:iam::111122223333:user/ana", "AIDAX", "arn:aws:iam::111122223333:user/ana"),
            (
                "V75",
                "arn:aws:sts::111122223333:federated-user/Bob",
                "111122223333:Bob",
                "arn:aws:sts::111122223333:federated-user/Bob",
            ),
        ];
        for (id, arn, user_id, canonical) in cases {
            match read_json(200, &identity("111122223333", arn, user_id)) {
                Reading::Verified(found) => assert_eq!(found.canonical_arn().as_str(), canonical, "{id}"),
                other => panic!("{id}: {other:?}"),
            }
        }
    }

    #[test]
    fn immunity_02_a_long_term_key_is_no_session() {
        let session = identity("111122223333", "arn:aws:sts::111122223333:assumed-role/R/S", "AROAX:S");
        let user = identity("111122223333", "arn:aws:iam::111122223333:user/ana", "AIDAX");
        let key = "AKIAEXAMPLE123456789";
        assert!(matches!(reading_of(200, "application/json", &session, key), Reading::Bad(_)));
        assert!(matches!(reading_of(200, "application/json", &user, key), Reading::Verified(_)));
    }
}
