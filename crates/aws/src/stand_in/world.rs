//! What there is in the stand-in's accounts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lanyard_iam::Credentials;

use super::web_identity::{StandInProvider, StandInSubject};

/// Everything beside the people who may ask.
#[derive(Debug, Default)]
pub(super) struct World {
    /// By account, kind and name: ARN and unique id.
    pub(super) principals: HashMap<(String, String, String), (String, String)>,
    /// By ARN: the role's ARN.
    pub(super) profiles: HashMap<String, Option<String>>,
    pub(super) instances: BTreeMap<String, StandInInstance>,
    /// By ARN of key or alias: the key's ARN.
    pub(super) kms_keys: HashMap<String, String>,
    /// What KMS has wrapped: the key, the context, the plaintext.
    pub(super) wrapped: HashMap<Vec<u8>, (String, serde_json::Value, Vec<u8>)>,
    /// By ARN: roles that can be assumed.
    pub(super) assumable: HashMap<String, StandInRole>,
    /// What has been asked of them, with all parameters.
    pub(super) assumed: Vec<BTreeMap<String, String>>,
    pub(super) denied: BTreeSet<String>,
    /// The OIDC providers of all accounts.
    pub(super) providers: Vec<StandInProvider>,
}

/// A role that can be assumed, and whom its trust policy lets.
#[derive(Debug, Clone)]
pub struct StandInRole {
    /// What its sessions sign with.
    pub session: Credentials,
    /// Whether each session has keys of its own, made like these.
    pub anew: bool,
    /// Whether people who sign may assume it, and which external id they have to name.
    pub people: Option<StandInTrust>,
    /// Whether web identities of its account's providers may, and which.
    pub web_identity: Option<StandInSubject>,
    /// Whether whoever may assume it may tag the session too.
    pub tag_session: bool,
    /// Its `MaxSessionDuration`.
    pub seconds_max: u32,
}

/// On which condition people who sign may assume a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandInTrust {
    /// On none.
    Anyone,
    /// They name this external id.
    ExternalId(String),
    /// They name one that begins so.
    ExternalIdLike(String),
}

impl StandInRole {
    /// A role whose sessions last an hour at most, and which trusts nobody yet.
    #[must_use]
    pub fn new(session: &Credentials) -> Self {
        Self {
            session: session.clone(),
            anew: false,
            people: None,
            web_identity: None,
            tag_session: true,
            seconds_max: 3_600,
        }
    }

    /// Lets people who sign assume it.
    #[must_use]
    pub fn trusting(self, people: StandInTrust) -> Self {
        Self { people: Some(people), ..self }
    }

    /// Whether people who name this external id may assume it.
    pub(super) fn lets(&self, external_id: Option<&String>) -> bool {
        match &self.people {
            None => false,
            Some(StandInTrust::Anyone) => true,
            Some(StandInTrust::ExternalId(id)) => external_id == Some(id),
            Some(StandInTrust::ExternalIdLike(start)) => external_id.is_some_and(|id| id.starts_with(start)),
        }
    }
}

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct StandInInstance {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) profile: Option<String>,
    pub(super) state: &'static str,
}

/// Account, kind and name of a principal: in an account two roles cannot differ by their path alone.
pub(super) fn key_of(arn: &str) -> (String, String, String) {
    let sections: Vec<&str> = arn.splitn(6, ':').collect();
    let (account, resource) = match sections.as_slice() {
        [_, _, _, _, account, resource] => (*account, *resource),
        _ => ("", ""),
    };
    let kind = resource.split('/').next().unwrap_or_default();
    let name = resource.rsplit('/').next().unwrap_or_default();
    (account.to_owned(), kind.to_owned(), name.to_ascii_lowercase())
}
