//! STS as the hub, on behalf of others: sessions of roles that trust the hub, or an issuer in whose name the hub signs.
//!
//! These calls have a breaker and limits of their own (`Service::StsForPods`): what the pods of a cluster bring about never keeps
//! the hub from asking for itself. Each role has a limit, and counts as one in the breaker.

mod answer;

use std::collections::{BTreeMap, BTreeSet};

use lanyard_iam::{Credentials, PrincipalArn};
use lanyard_kit::{Clock as _, ExposeSecret as _, SecretString};
use time::OffsetDateTime;

use super::call::{Api, Call, Whose};
use super::wire::Wire;
use super::{AwsClient, AwsFault, AwsRefusal};
use crate::metered::Service;

pub(crate) use answer::{Asked, Operation, assumed_role_in};

const STS: Api =
    Api { service: Service::StsForPods, name: "sts", version: "2011-06-15", wire: Wire::QueryAsJson };

/// The role and the session that are asked for.
#[derive(Debug, Clone, Copy)]
pub struct RoleSessionAsked<'a> {
    /// The role, with its path.
    pub role: &'a PrincipalArn,
    /// 2 to 64 of `[\w+=,.@-]`.
    pub session_name: &'a str,
    /// How long it lives, in seconds.
    pub seconds: u32,
    /// Narrows it.
    pub session_policy: Option<&'a str>,
}

/// What AWS STS `AssumeRole` takes beside that.
#[derive(Debug, Clone, Copy)]
pub struct AssumeRoleAsked<'a> {
    /// The role and the session.
    pub session: RoleSessionAsked<'a>,
    /// Session tags.
    pub tags: &'a BTreeMap<String, String>,
    /// Those of them that a chained session inherits.
    pub transitive_keys: &'a BTreeSet<String>,
    /// What the role's trust policy asks for.
    pub external_id: Option<&'a str>,
}

/// In whose name a role is assumed.
#[derive(Debug, Clone, Copy)]
pub enum AssumedBy<'a> {
    /// The hub's own.
    Hub,
    /// That of a session made before: a second hop.
    Session(&'a Credentials),
}

/// A session that STS has made of the role that was asked for. Its secrets cannot be printed.
#[derive(Debug, Clone)]
pub struct AssumedRole {
    /// What signs.
    pub credentials: Credentials,
    /// The end, as STS says it.
    pub expires_at: OffsetDateTime,
    /// `arn:…:assumed-role/ROLE/SESSION`.
    pub arn: PrincipalArn,
    /// `AROA…:SESSION`.
    pub assumed_role_id: String,
    /// How full the session token is, in percent.
    pub packed_percent: u32,
}

/// What STS means by refusing a role (AWS STS, errors of `AssumeRole` and `AssumeRoleWithWebIdentity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssumeRefusal {
    /// The role's trust policy does not let, or the hub's own policies do not, or there is no such role: STS does not say which.
    NotTrusted,
    /// The token, or the credentials, are past their time.
    Expired,
    /// The account has no provider for the token's issuer, or the token does not fit it.
    TokenRefused,
    /// STS could not fetch the issuer's keys: no refusal of the token.
    IssuerUnreachable,
    /// The session policy is none.
    MalformedPolicy,
    /// Policy and tags do not fit into a session token.
    PackedPolicyTooLarge,
    /// The account has not enabled the region.
    RegionDisabled,
    /// A parameter breaks a rule, such as a length beyond the role's maximum.
    Parameter,
    /// A code without a meaning of its own here.
    Other,
}

impl AwsRefusal {
    /// What it means where a role was asked for.
    #[must_use]
    pub fn of_role(&self) -> AssumeRefusal {
        match self.code.as_str() {
            "AccessDenied" | "AccessDeniedException" => AssumeRefusal::NotTrusted,
            "ExpiredToken" | "ExpiredTokenException" => AssumeRefusal::Expired,
            "InvalidIdentityToken" | "IDPRejectedClaim" => AssumeRefusal::TokenRefused,
            "IDPCommunicationError" => AssumeRefusal::IssuerUnreachable,
            "MalformedPolicyDocument" => AssumeRefusal::MalformedPolicy,
            "PackedPolicyTooLarge" => AssumeRefusal::PackedPolicyTooLarge,
            "RegionDisabledException" | "OptInRequired" => AssumeRefusal::RegionDisabled,
            "ValidationError" => AssumeRefusal::Parameter,
            _ => AssumeRefusal::Other,
        }
    }
}

impl AwsClient {
    /// A session of a role (AWS STS `AssumeRole`), asked of the STS of the hub's region.
    ///
    /// # Errors
    /// [`AwsFault`]. A refusal is one too; [`AwsRefusal::of_role`] says what it means.
    pub async fn assume_role(
        &self,
        by: AssumedBy<'_>,
        asked: AssumeRoleAsked<'_>,
    ) -> Result<AssumedRole, AwsFault> {
        let AssumeRoleAsked { session, tags, transitive_keys, external_id } = asked;
        let mut parameters = Parameters::of(&session);
        for (at, (key, value)) in (1..).zip(tags) {
            parameters.set(format!("Tags.member.{at}.Key"), key);
            parameters.set(format!("Tags.member.{at}.Value"), value);
        }
        for (at, key) in (1..).zip(transitive_keys) {
            parameters.set(format!("TransitiveTagKeys.member.{at}"), key);
        }
        if let Some(id) = external_id {
            parameters.set("ExternalId", id);
        }
        let call = self.role_call("sts:AssumeRole", &session, &parameters)?;
        let question = Asked { operation: Operation::AssumeRole, session, now: self.inner.clock.now() };
        let done = |answer: lanyard_kit::http_client::Answer| assumed_role_in(&answer.body, &question);
        match by {
            AssumedBy::Hub => self.call(Whose::Hub, &call, done).await,
            AssumedBy::Session(credentials) => self.call_once(&call, Some(credentials), &done).await,
        }
    }

    /// A session of a role for the bearer of an OIDC token (AWS STS `AssumeRoleWithWebIdentity`, which nobody signs).
    ///
    /// # Errors
    /// As [`Self::assume_role`].
    pub async fn assume_role_with_web_identity(
        &self,
        token: &SecretString,
        session: RoleSessionAsked<'_>,
    ) -> Result<AssumedRole, AwsFault> {
        let mut parameters = Parameters::of(&session);
        parameters.set("WebIdentityToken", token.expose_secret());
        let call = self.role_call("sts:AssumeRoleWithWebIdentity", &session, &parameters)?;
        let question = Asked { operation: Operation::WebIdentity, session, now: self.inner.clock.now() };
        self.call_once(&call, None, &|answer| assumed_role_in(&answer.body, &question)).await
    }

    fn role_call(
        &self,
        action: &'static str,
        session: &RoleSessionAsked<'_>,
        parameters: &Parameters,
    ) -> Result<Call, AwsFault> {
        let (asked, own) = (session.role.partition, self.inner.partition);
        if asked != own {
            return Err(AwsFault::OtherPartition { asked, own });
        }
        Ok(Call::query(STS, self.sts_place(STS), action, &parameters.pairs()).for_role(session.role))
    }
}

/// Parameters of the Query protocol, whose names have numbers in them.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(session: &RoleSessionAsked<'_>) -> Self {
        let mut parameters = Self(Vec::new());
        parameters.set("RoleArn", session.role.to_string());
        parameters.set("RoleSessionName", session.session_name);
        parameters.set("DurationSeconds", session.seconds.to_string());
        if let Some(policy) = session.session_policy {
            parameters.set("Policy", policy);
        }
        parameters
    }

    fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}
