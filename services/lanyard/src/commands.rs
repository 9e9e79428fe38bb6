//! The commands, a file for each noun.

pub mod access_policies;
pub mod associate;
pub mod association;
pub mod authorize;
pub mod aws_auth;
pub mod block;
pub mod cluster;
pub mod completion;
pub mod credential_process;
pub mod db;
pub mod entry;
pub mod explain;
pub mod health;
pub mod iam;
pub mod identity_provider;
pub mod keys;
pub mod kubeconfig;
pub mod node;
pub mod pki;
pub mod rbac;
pub mod rules;
pub mod sign;
pub mod spoke;
pub mod tag;
pub mod token;
pub mod who_can;
pub mod whoami;
pub mod workload;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;

/// Reads one of a closed set of names, as they stand on the wire.
fn choice<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names)
        .try_map(|name| serde_json::from_value::<T>(serde_json::Value::String(name)))
}
