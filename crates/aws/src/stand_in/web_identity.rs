//! Web identities: the OIDC providers of accounts, and what tokens of their issuers are worth there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use time::OffsetDateTime;

use super::roles::Refused;

/// An OIDC provider of an account.
#[derive(Debug, Clone)]
pub struct StandInProvider {
    /// The account that has it.
    pub account: String,
    /// Its issuer, as tokens write it.
    pub issuer_url: String,
    /// The audience that it takes.
    pub client_id: String,
    /// What is found where the issuer's keys are.
    pub keys: StandInKeys,
}

/// What AWS finds where it looks for an issuer's keys.
#[derive(Clone)]
pub enum StandInKeys {
    /// Such as verify everything: for tests whose tokens nobody signs.
    Any,
    /// Such as verify the tokens of which this is true.
    Verifying(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    /// Nothing, for the issuer is not reached.
    Unreachable,
}

impl std::fmt::Debug for StandInKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Any => "Any",
            Self::Verifying(_) => "Verifying",
            Self::Unreachable => "Unreachable",
        })
    }
}

/// Which subjects of its issuer a role trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandInSubject {
    /// All of them: its trust policy has no condition.
    Any,
    /// This one.
    Is(String),
    /// Those that begin so.
    Like(String),
}

impl StandInSubject {
    pub(super) fn lets(&self, subject: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(one) => subject == one,
            Self::Like(start) => subject.starts_with(start.as_str()),
        }
    }
}

/// The subject of a token that is good for the account, or what STS says of it otherwise.
pub(super) fn subject_of(
    token: &str,
    account: &str,
    providers: &[StandInProvider],
    now: OffsetDateTime,
) -> Result<String, Refused> {
    let claims = claims_of(token);
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let invalid = |message: String| (400, "InvalidIdentityToken", message);
    let issuer = claim("iss");
    let provider = providers.iter().find(|of| of.account == account && of.issuer_url == issuer);
    let provider = provider
        .ok_or_else(|| invalid(format!("No OpenIDConnect provider found in your account for {issuer}")))?;
    if claim("aud") != provider.client_id {
        return Err(invalid("Incorrect token audience".to_owned()));
    }
    match &provider.keys {
        StandInKeys::Any => {}
        StandInKeys::Verifying(verify) if verify(token) => {}
        StandInKeys::Verifying(_) => {
            return Err(invalid("Couldn't retrieve verification key from your identity provider".to_owned()));
        }
        StandInKeys::Unreachable => {
            return Err((400, "IDPCommunicationError", "the issuer does not answer".to_owned()));
        }
    }
    match claims.get("exp").and_then(Value::as_i64) {
        Some(end) if end > now.unix_timestamp() => Ok(claim("sub").to_owned()),
        _ => Err((400, "ExpiredTokenException", "Token expired".to_owned())),
    }
}

/// Whether a token brings session tags along (IAM user guide, "Passing session tags in AWS STS").
pub(super) fn has_tags(token: &str) -> bool {
    claims_of(token).get("https://aws.amazon.com/tags").is_some()
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
