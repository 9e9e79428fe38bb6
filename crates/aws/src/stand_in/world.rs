//! What there is in the stand-in's accounts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lanyard_iam::Credentials;

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
    /// By role: external id and the session's credentials.
    pub(super) assumable: HashMap<String, (Option<String>, Credentials)>,
    pub(super) denied: BTreeSet<String>,
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
