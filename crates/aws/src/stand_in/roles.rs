//! Roles: who may assume them, and their sessions.

use std::collections::BTreeMap;

use axum::response::Response;
use lanyard_iam::{AccessKeyId, Credentials, SecretAccessKey, SessionToken};
use serde_json::json;
use time::OffsetDateTime;

use super::reply::{Wire, error, good};
use super::web_identity::{has_tags, subject_of};
use super::world::{StandInRole, World, key_of};
use super::{Person, Shared};
use crate::limits::locked;

/// A session, and how STS tells of it.
pub(super) struct Told {
    operation: &'static str,
    session: Person,
    expires_at: OffsetDateTime,
}

/// Status, code and message of an error.
pub(super) type Refused = (u16, &'static str, String);

/// For whoever has signed.
pub(super) fn assume(
    world: &mut World,
    parameters: BTreeMap<String, String>,
    now: OffsetDateTime,
) -> Result<Told, Refused> {
    let role = of(world, &parameters).filter(|role| role.lets(parameters.get("ExternalId")));
    let answer = settle("AssumeRole", role, &parameters, world.assumed.len(), now);
    world.assumed.push(parameters);
    answer
}

/// For whoever bears a token.
pub(super) fn assume_with_web_identity(
    world: &mut World,
    parameters: BTreeMap<String, String>,
    now: OffsetDateTime,
) -> Result<Told, Refused> {
    let text = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    let (account, ..) = key_of(text("RoleArn"));
    let answer = subject_of(text("WebIdentityToken"), &account, &world.providers, now).and_then(|subject| {
        let role = of(world, &parameters);
        let role = role.filter(|role| role.web_identity.as_ref().is_some_and(|trust| trust.lets(&subject)));
        settle("AssumeRoleWithWebIdentity", role, &parameters, world.assumed.len(), now)
    });
    world.assumed.push(parameters);
    answer
}

/// The answer; the session is somebody from here on.
pub(super) fn told(shared: &Shared, answer: Result<Told, Refused>) -> Response {
    let Told { operation, session, expires_at } = match answer {
        Ok(told) => told,
        Err((status, code, message)) => return error(Wire::Sts, status, code, &message),
    };
    let token = session.credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    let body = json!({ format!("{operation}Response"): { format!("{operation}Result"): {
        "AssumedRoleUser": { "Arn": session.arn, "AssumedRoleId": session.user_id },
        "Credentials": {
            "AccessKeyId": session.credentials.access_key_id.as_str(),
            "SecretAccessKey": session.credentials.secret_access_key.expose(),
            "SessionToken": token.unwrap_or_default(),
            "Expiration": expires_at.unix_timestamp(),
        },
        "PackedPolicySize": 3,
    } } });
    locked(&shared.people).insert(session.credentials.access_key_id.clone(), session);
    good(Wire::Sts, body.to_string())
}

fn of<'a>(world: &'a World, parameters: &BTreeMap<String, String>) -> Option<&'a StandInRole> {
    world.assumable.get(parameters.get("RoleArn")?)
}

fn settle(
    operation: &'static str,
    role: Option<&StandInRole>,
    parameters: &BTreeMap<String, String>,
    number: usize,
    now: OffsetDateTime,
) -> Result<Told, Refused> {
    let refused = || (403, "AccessDenied", format!("not authorized to perform sts:{operation}"));
    let role = role.ok_or_else(refused)?;
    let is_tagged = parameters.keys().any(|name| name.starts_with("Tags."))
        || parameters.get("WebIdentityToken").is_some_and(|token| has_tags(token));
    if is_tagged && !role.tag_session {
        return Err((403, "AccessDenied", "not authorized to perform sts:TagSession".to_owned()));
    }
    let seconds = parameters.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3_600u32);
    if !(900..=role.seconds_max).contains(&seconds) {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err((400, "ValidationError", message.to_owned()));
    }
    let (Some(arn), Some(name)) = (parameters.get("RoleArn"), parameters.get("RoleSessionName")) else {
        return Err((400, "ValidationError", "a parameter is missing".to_owned()));
    };
    let (account, _, role_name) = key_of(arn);
    let session = Person {
        credentials: match role.anew {
            true => numbered(&role.session, number),
            false => role.session.clone(),
        },
        arn: format!("arn:aws:sts::{account}:assumed-role/{role_name}/{name}"),
        user_id: format!("AROAASSUMED:{name}"),
        account,
    };
    Ok(Told { operation, session, expires_at: now + time::Duration::seconds(seconds.into()) })
}

/// Credentials like these that no other call gets.
fn numbered(like: &Credentials, number: usize) -> Credentials {
    const KEPT_CHARS: usize = 16;
    let id: String = like.access_key_id.as_str().chars().take(KEPT_CHARS).collect();
    let secret = like.secret_access_key.expose();
    let token = like.session_token.as_ref().map(|token| format!("{} {number}", token.expose()));
    Credentials {
        access_key_id: AccessKeyId::parse(&format!("{id}{number:04}")).expect("an id of a key"),
        secret_access_key: SecretAccessKey::new(format!("{secret} {number}")),
        session_token: token.map(SessionToken::new),
    }
}
