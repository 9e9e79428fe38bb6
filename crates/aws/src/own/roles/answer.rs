//! Reading the session that STS has made: of the role and under the name that were asked for, or no answer at all.

use lanyard_iam::{AccessKeyId, Credentials, PrincipalArn, PrincipalKind, SecretAccessKey, SessionToken};
use serde::Deserialize;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AssumedRole, RoleSessionAsked};
use crate::own::wire::Unreadable;

/// How far STS's clock may be ahead of ours.
const SKEW: Duration = Duration::minutes(5);
/// Longest session token that is taken. AWS gives no limit; theirs have some 2 KiB at most.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Which operation was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    AssumeRole,
    WebIdentity,
}

/// What was asked, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) operation: Operation,
    pub(crate) session: RoleSessionAsked<'a>,
    pub(crate) now: OffsetDateTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleEnvelope {
    assume_role_response: AssumeRoleResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResponse {
    assume_role_result: SessionResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WebIdentityEnvelope {
    assume_role_with_web_identity_response: WebIdentityResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WebIdentityResponse {
    assume_role_with_web_identity_result: SessionResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionResult {
    credentials: SessionCredentials,
    assumed_role_user: AssumedRoleUser,
    #[serde(default)]
    packed_policy_size: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Moment,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    arn: String,
    assumed_role_id: String,
}

/// A moment: in STS's JSON seconds since 1970, in others' the text of its XML.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Seconds(f64),
    Text(String),
}

impl Moment {
    fn read(&self) -> Option<OffsetDateTime> {
        match self {
            // The cast saturates, and what is out of a date's range is refused.
            Self::Seconds(seconds) => OffsetDateTime::from_unix_timestamp(*seconds as i64).ok(),
            Self::Text(text) => OffsetDateTime::parse(text, &Rfc3339).ok(),
        }
    }
}

/// The session in STS's answer, asked for as JSON. Nothing of it is repeated in an error, for it holds secrets.
pub(crate) fn assumed_role_in(body: &[u8], asked: &Asked<'_>) -> Result<AssumedRole, Unreadable> {
    let unreadable = || Unreadable::new("it is not the JSON of a role session");
    let SessionResult { credentials, assumed_role_user, packed_policy_size } = match asked.operation {
        Operation::AssumeRole => serde_json::from_slice::<AssumeRoleEnvelope>(body)
            .map(|read| read.assume_role_response.assume_role_result),
        Operation::WebIdentity => serde_json::from_slice::<WebIdentityEnvelope>(body)
            .map(|read| read.assume_role_with_web_identity_response.assume_role_with_web_identity_result),
    }
    .map_err(|_| unreadable())?;
    let arn = PrincipalArn::parse(&assumed_role_user.arn).map_err(|_| unreadable())?;
    if !is_of(&arn, &asked.session) {
        return Err(Unreadable::new("it is a session of another role, or of another name"));
    }
    let assumed_role_id = assumed_role_user.assumed_role_id;
    let role_id =
        assumed_role_id.strip_suffix(asked.session.session_name).and_then(|id| id.strip_suffix(':'));
    let is_id = |id: &str| id.starts_with("AROA") && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !role_id.is_some_and(is_id) {
        return Err(Unreadable::new("its id is not that of a role session of this name"));
    }
    let access_key_id = AccessKeyId::parse(&credentials.access_key_id).map_err(|_| unreadable())?;
    if access_key_id.is_local() {
        return Err(Unreadable::new("its access key is a hub's own, which STS never gives"));
    }
    let token = credentials.session_token;
    if credentials.secret_access_key.is_empty() || !(1..=TOKEN_BYTES_MAX).contains(&token.len()) {
        return Err(unreadable());
    }
    let expires_at = credentials.expiration.read().ok_or_else(unreadable)?;
    let longest = Duration::seconds(i64::from(asked.session.seconds)) + SKEW;
    if expires_at <= asked.now || expires_at - asked.now > longest {
        return Err(Unreadable::new("it ends at another time than was asked for"));
    }
    Ok(AssumedRole {
        credentials: Credentials {
            access_key_id,
            secret_access_key: SecretAccessKey::new(credentials.secret_access_key),
            session_token: Some(SessionToken::new(token)),
        },
        expires_at,
        arn,
        assumed_role_id,
        packed_percent: packed_policy_size.unwrap_or_default(),
    })
}

/// Whether the session is of the role and of the name that were asked for. STS leaves a role's path out.
fn is_of(session: &PrincipalArn, asked: &RoleSessionAsked<'_>) -> bool {
    let PrincipalKind::AssumedRole { role, session: name } = &session.kind else { return false };
    (session.partition, session.account) == (asked.role.partition, asked.role.account)
        && asked.role.name().is_some_and(|named| named == role)
        && name == asked.session_name
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-03-01 12:00 UTC);
    const ROLE: &str = "arn:aws:iam::111122223333:role/team/app";
    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/eks-dev-bot-1";

    fn body(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut result = serde_json::json!({
            "AssumedRoleUser": { "Arn": SESSION, "AssumedRoleId": "AROAAPP:eks-dev-bot-1" },
            "Credentials": {
                "AccessKeyId": "ASIAPODPODPODPODPODP",
                "SecretAccessKey": "the pod's secret",
                "SessionToken": "the pod's token",
                "Expiration": NOW.unix_timestamp() as f64 + 3_600.0,
            },
            "PackedPolicySize": 7,
        });
        change(&mut result);
        serde_json::json!({ "AssumeRoleResponse": { "AssumeRoleResult": result } }).to_string().into_bytes()
    }

    fn read(body: &[u8], operation: Operation) -> Result<AssumedRole, String> {
        let role = PrincipalArn::parse(ROLE).unwrap();
        let session = RoleSessionAsked {
            role: &role,
            session_name: "eks-dev-bot-1",
            seconds: 3_600,
            session_policy: None,
        };
        assumed_role_in(body, &Asked { operation, session, now: NOW }).map_err(|error| error.to_string())
    }

    #[test]
    fn a_session_is_read_with_its_end_and_prints_no_secret() {
        let session = read(&body(|_| {}), Operation::AssumeRole).unwrap();
        assert_eq!(session.arn.to_string(), SESSION);
        assert_eq!((session.expires_at, session.packed_percent), (NOW + Duration::HOUR, 7));
        assert_eq!(session.credentials.secret_access_key.expose(), "the pod's secret");
        assert!(!format!("{session:?}").contains("the pod's"), "{session:?}");
        let text = body(|result| result["Credentials"]["Expiration"] = "2026-03-01T13:00:00Z".into());
        assert_eq!(read(&text, Operation::AssumeRole).unwrap().expires_at, NOW + Duration::HOUR);
        assert!(read(&body(|_| {}), Operation::WebIdentity).is_err(), "the answer of another operation");
    }

    #[test]
    fn immunity_02_a_session_that_was_not_asked_for_is_no_answer() {
        type Change = fn(&mut serde_json::Value);
        let cases: [(Change, &str); 13] = [
            (
                |r| {
                    r["AssumedRoleUser"]["Arn"] =
                        "arn:aws:sts::111122223333:assumed-role/other/eks-dev-bot-1".into()
                },
                "another role",
            ),
            (
                |r| {
                    r["AssumedRoleUser"]["Arn"] =
                        "arn:aws:sts::444455556666:assumed-role/app/eks-dev-bot-1".into()
                },
                "another role",
            ),
            (
                |r| r["AssumedRoleUser"]["Arn"] = "arn:aws:sts::111122223333:assumed-role/app/else".into(),
                "another name",
            ),
            (|r| r["AssumedRoleUser"]["Arn"] = ROLE.into(), "another role"),
            (|r| r["AssumedRoleUser"]["Arn"] = "app".into(), "not the JSON"),
            (|r| r["AssumedRoleUser"]["AssumedRoleId"] = "AROAAPP:else".into(), "its id"),
            (|r| r["AssumedRoleUser"]["AssumedRoleId"] = "AIDAANA:eks-dev-bot-1".into(), "its id"),
            (|r| r["Credentials"]["AccessKeyId"] = "LSIAPODPODPODPODPODP".into(), "hub's own"),
            (|r| r["Credentials"]["SessionToken"] = "".into(), "not the JSON"),
            (|r| r["Credentials"]["SessionToken"] = "t".repeat(TOKEN_BYTES_MAX + 1).into(), "not the JSON"),
            (|r| r["Credentials"]["Expiration"] = NOW.unix_timestamp().into(), "another time"),
            (|r| r["Credentials"]["Expiration"] = 1.0e300.into(), "not the JSON"),
            (|r| r["Credentials"]["Expiration"] = (NOW.unix_timestamp() + 7_200).into(), "another time"),
        ];
        for (place, (change, words)) in cases.into_iter().enumerate() {
            let error = read(&body(change), Operation::AssumeRole).unwrap_err();
            assert!(error.contains(words), "case {place}: {error}");
            assert!(!error.contains("the pod's"), "case {place}: {error}");
        }
        for bytes in [&b""[..], b"{", b"<xml/>", b"[]"] {
            assert!(read(bytes, Operation::AssumeRole).is_err());
        }
    }
}
