//! STS as the hub: whose its credentials are, and the roles that it assumes elsewhere.

use lanyard_iam::{AccessKeyId, CallerIdentity, Credentials, SecretAccessKey, SessionToken};
use lanyard_kit::Clock as _;
use lanyard_kit::http_client::Answer;
use serde::Deserialize;

use super::call::{Api, Call, Whose};
use super::credentials::{Kept, SESSION_SECONDS};
use super::wire::{Unreadable, Wire};
use super::{AssumedAccount, AwsClient, AwsFault};
use crate::codes::is_about_credentials;
use crate::metered::Service;

/// The name of the hub's sessions, as CloudTrail shows it.
const SESSION_NAME: &str = "lanyard-hub";

const STS: Api =
    Api { service: Service::StsAsHub, name: "sts", version: "2011-06-15", wire: Wire::QueryAsJson };

#[derive(Deserialize)]
struct CallerAnswer {
    #[serde(rename = "GetCallerIdentityResponse")]
    response: CallerResponse,
}

#[derive(Deserialize)]
struct CallerResponse {
    #[serde(rename = "GetCallerIdentityResult")]
    result: CallerResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallerResult {
    account: String,
    arn: String,
    user_id: String,
}

impl AwsClient {
    /// Whose credentials are.
    pub(super) async fn caller_of(&self, by: &Credentials) -> Result<CallerIdentity, AwsFault> {
        let place = self.sts_place(STS);
        let call = Call::query(STS, place, "sts:GetCallerIdentity", &[]);
        self.call_once(&call, Some(by), &|answer| caller_in(&answer)).await
    }
}

/// The identity in STS's answer to `GetCallerIdentity`, asked for as JSON.
///
/// # Errors
/// [`Unreadable`] for anything else.
pub fn caller_in(answer: &Answer) -> Result<CallerIdentity, Unreadable> {
    let read: CallerAnswer = serde_json::from_slice(&answer.body)
        .map_err(|_| Unreadable::new("it is not the JSON of a caller's identity"))?;
    let CallerResult { account, arn, user_id } = read.response.result;
    CallerIdentity::parse(&account, &user_id, &arn).map_err(|error| Unreadable::new(error.to_string()))
}

/// A session of the role that is configured for an account.
pub(super) async fn assume(client: &AwsClient, role: &AssumedAccount) -> Result<Kept, AwsFault> {
    let seconds = SESSION_SECONDS.to_string();
    let mut parameters = vec![
        ("RoleArn", role.role_arn.as_str()),
        ("RoleSessionName", SESSION_NAME),
        ("DurationSeconds", &seconds),
    ];
    parameters.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
    let place = client.sts_place(STS);
    let call = Call::query(STS, place, "sts:AssumeRole", &parameters);
    let by = client.own_credentials().await?;
    let answer = client.call_once(&call, Some(&*by), &|answer| session_in(&answer)).await;
    if let Err(AwsFault::Refused(refusal)) = &answer
        && is_about_credentials(&refusal.code)
    {
        client.forget(Whose::Hub, &by).await;
    }
    let credentials = answer?;
    let now = client.inner.clock.now();
    Ok(Kept::new(credentials, Some(now + time::Duration::seconds(SESSION_SECONDS.into())), now))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeAnswer {
    assume_role_response: AssumeResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeResponse {
    assume_role_result: AssumeResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeResult {
    credentials: SessionCredentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

/// The credentials in STS's answer to `AssumeRole`, asked for as JSON.
///
/// # Errors
/// [`Unreadable`]; the answer holds secrets, so nothing of it is repeated.
pub fn session_in(answer: &Answer) -> Result<Credentials, Unreadable> {
    let unreadable = || Unreadable::new("it is not the JSON of a role session");
    let read: AssumeAnswer = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    let session = read.assume_role_response.assume_role_result.credentials;
    Ok(Credentials {
        access_key_id: AccessKeyId::parse(&session.access_key_id).map_err(|_| unreadable())?,
        secret_access_key: SecretAccessKey::new(session.secret_access_key),
        session_token: Some(SessionToken::new(session.session_token)),
    })
}
