//! STS.

use std::{net::IpAddr, time::Duration};

use lanyard_api::{
    CallError, Fault,
    authn::accounts::{CallerPolicies, InlinePolicy},
    credentials::{
        AssumeRoleWithWebIdentity, CallerIdentity, RoleSession, SessionCredentials, Sessions as _,
        WebIdentitySession,
    },
    grpc::Remote,
    voucher::Audience,
};
use lanyard_iam::{AccessKeyId, session::SESSION_TOKEN_CHARS_MAX};
use lanyard_kit::ExposeSecret as _;
use lanyard_proto::{authn::v1 as authn, credentials::v1 as pb};
use time::OffsetDateTime;

use super::Call;
use crate::{
    answer::{Answer, Members, Node},
    backend::Backend,
};

type Answered = Result<Answer, CallError>;

pub(super) async fn get_caller_identity<B: Backend>(call: &Call<'_, B>) -> Answered {
    let CallerIdentity { account, arn, user_id } =
        call.ask::<pb::GetCallerIdentityRequest, pb::CallerIdentity, _>().await?;
    Ok(Answer::Query(vec![
        ("Arn", Node::Text(arn)),
        ("UserId", Node::Text(user_id)),
        ("Account", Node::Text(account.to_string())),
    ]))
}

/// The secrets of a session, for whoever asked for it.
fn credentials(key: &AccessKeyId, secret: &str, token: &str, expires_at: OffsetDateTime) -> Node {
    Node::Members(vec![
        ("AccessKeyId", Node::Text(key.to_string())),
        ("SecretAccessKey", Node::Text(secret.to_owned())),
        ("SessionToken", Node::Text(token.to_owned())),
        ("Expiration", Node::Moment(expires_at)),
    ])
}

/// How long a session token is, and how much that is of the longest that there is, in percent. A token has bytes of ASCII alone.
fn token_size(token: &str) -> [(&'static str, Node); 2] {
    let size = token.len();
    let number = |value: usize| Node::Number(i64::try_from(value).unwrap_or(i64::MAX));
    [
        ("SessionTokenUtilization", number(size * 100 / SESSION_TOKEN_CHARS_MAX)),
        ("SessionTokenSize", number(size)),
    ]
}

fn role_session(session: &RoleSession) -> (Members, i64) {
    let RoleSession { access_key_id, secret_access_key, session_token, expires_at, .. } = session;
    let credentials = credentials(
        access_key_id,
        secret_access_key.expose_secret(),
        session_token.expose_secret(),
        *expires_at,
    );
    let user = Node::Members(vec![
        ("AssumedRoleId", Node::Text(session.assumed_role_id.clone())),
        ("Arn", Node::Text(session.arn.clone())),
    ]);
    (vec![("Credentials", credentials), ("AssumedRoleUser", user)], session.packed_policy_percent.into())
}

pub(super) async fn assume_role<B: Backend>(call: &Call<'_, B>) -> Answered {
    let session = call.ask::<pb::AssumeRoleRequest, pb::RoleSession, RoleSession>().await?;
    let (mut members, packed) = role_session(&session);
    let size = token_size(session.session_token.expose_secret());
    members.push(("PackedPolicySize", Node::Number(packed)));
    members.extend(session.source_identity.map(|identity| ("SourceIdentity", Node::Text(identity))));
    members.extend(size);
    Ok(Answer::Query(members))
}

pub(super) async fn get_session_token<B: Backend>(call: &Call<'_, B>) -> Answered {
    let SessionCredentials { access_key_id, secret_access_key, session_token, expires_at } =
        call.ask::<pb::GetSessionTokenRequest, pb::SessionCredentials, _>().await?;
    let (secret, token) = (secret_access_key.expose_secret(), session_token.expose_secret());
    let mut members = vec![("Credentials", credentials(&access_key_id, secret, token, expires_at))];
    members.extend(token_size(token));
    Ok(Answer::Query(members))
}

/// The account that a key is of.
struct AccountOfKey(String);

impl TryFrom<authn::AccessKeyInfo> for AccountOfKey {
    type Error = CallError;

    fn try_from(info: authn::AccessKeyInfo) -> Result<Self, CallError> {
        Ok(Self(info.account))
    }
}

pub(super) async fn get_access_key_info<B: Backend>(call: &Call<'_, B>) -> Answered {
    let AccountOfKey(account) = call.ask::<authn::GetAccessKeyInfoRequest, authn::AccessKeyInfo, _>().await?;
    Ok(Answer::Query(vec![("Account", Node::Text(account))]))
}

/// Lanyard's own: what the caller's calls are weighed by.
pub(super) async fn get_caller_policies<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found: CallerPolicies =
        call.ask::<authn::GetCallerPoliciesRequest, authn::CallerPolicies, _>().await?;
    Ok(Answer::Query(caller_policies(&found)))
}

fn caller_policies(found: &CallerPolicies) -> Members {
    let policy = |policy: &InlinePolicy| {
        Node::Members(vec![
            ("PolicyName", Node::Text(policy.name.clone())),
            ("PolicyDocument", Node::Text(without_blanks(&policy.document))),
        ])
    };
    let mut members = vec![
        ("OwnerKind", Node::Text(found.owner.kind().to_owned())),
        ("OwnerName", Node::Text(found.owner.name().to_owned())),
        ("Policies", Node::List(found.policies.iter().map(policy).collect())),
    ];
    members.extend(
        found.session_policy.as_deref().map(|json| ("SessionPolicy", Node::Text(without_blanks(json)))),
    );
    members
}

/// A document of JSON without the blanks between its parts, which no quota counts: so as it is, all that a role has fits into what an
/// agent's relay passes and a client reads.
fn without_blanks(json: &str) -> String {
    let (mut is_in_text, mut is_escaped) = (false, false);
    let is_kept = |char: &char| {
        let is_kept = is_in_text || !char.is_ascii_whitespace();
        is_in_text ^= *char == '"' && !is_escaped;
        is_escaped = is_in_text && *char == '\\' && !is_escaped;
        is_kept
    };
    json.chars().filter(is_kept).collect()
}

/// A session for whoever bears the token: nobody was admitted, and credentials judges it.
pub(crate) async fn with_web_identity<B: Backend>(
    backend: &B,
    from: Option<IpAddr>,
    asked: pb::AssumeRoleWithWebIdentityRequest,
    timeout: Duration,
) -> Answered {
    let way = backend.way(Audience::Credentials).ok_or(Fault::Internal)?;
    let remote = Remote::new(way).with_timeout(timeout);
    let asked = AssumeRoleWithWebIdentity::try_from(asked)?;
    let made = remote.assume_role_with_web_identity(from, asked).await?;
    let WebIdentitySession { session, provider, audience, subject, source_identity } = made;
    let (mut members, packed) = role_session(&session);
    members.insert(1, ("SubjectFromWebIdentityToken", Node::Text(subject)));
    members.extend([
        ("PackedPolicySize", Node::Number(packed)),
        ("Provider", Node::Text(provider)),
        ("Audience", Node::Text(audience)),
    ]);
    members.extend(source_identity.map(|identity| ("SourceIdentity", Node::Text(identity))));
    members.extend(token_size(session.session_token.expose_secret()));
    Ok(Answer::Query(members))
}

#[cfg(test)]
mod tests {
    use lanyard_api::authn::accounts::PolicyOwner;

    use super::*;

    fn policy(document: &str) -> InlinePolicy {
        InlinePolicy {
            account: "111122223333".parse().unwrap(),
            owner: PolicyOwner::Role("Dev".to_owned()),
            name: "p".to_owned(),
            document: document.to_owned(),
        }
    }

    #[test]
    fn a_callers_policies_are_told_with_their_owner_and_the_sessions_own_where_there_is_one() {
        let text = |text: &str| Node::Text(text.to_owned());
        let mut found = CallerPolicies {
            owner: PolicyOwner::Role("Dev".to_owned()),
            policies: vec![policy("{\n  \"a\": 1\n}")],
            session_policy: None,
        };
        let listed = Node::List(vec![Node::Members(vec![
            ("PolicyName", text("p")),
            ("PolicyDocument", text("{\"a\":1}")),
        ])]);
        let mut expected =
            vec![("OwnerKind", text("role")), ("OwnerName", text("Dev")), ("Policies", listed)];
        assert_eq!(caller_policies(&found), expected);
        found.session_policy = Some("{ }".to_owned());
        expected.push(("SessionPolicy", text("{}")));
        assert_eq!(caller_policies(&found), expected);
    }

    #[test]
    fn blanks_go_between_the_parts_of_a_document_and_stay_within_its_texts() {
        let cases = [
            ("", ""),
            (" { \"a b\" :\t[ 1 ,\r\n true ] } ", r#"{"a b":[1,true]}"#),
            (r#"{"a\" b" : " c "}"#, r#"{"a\" b":" c "}"#),
            (r#"{ "a\\" : "\\\" b" }"#, r#"{"a\\":"\\\" b"}"#),
            ("\"\u{a0} \u{e4}\" ", "\"\u{a0} \u{e4}\""),
        ];
        for (given, expected) in cases {
            assert_eq!(without_blanks(given), expected, "{given}");
        }
    }

    #[test]
    fn a_tokens_size_is_told_with_its_part_of_the_longest() {
        for (size, percent) in [(0, 0), (501, 25), (2_000, 100)] {
            let told = token_size(&"a".repeat(size));
            let size = i64::try_from(size).unwrap();
            let expected = [
                ("SessionTokenUtilization", Node::Number(percent)),
                ("SessionTokenSize", Node::Number(size)),
            ];
            assert_eq!(told, expected);
        }
    }
}
