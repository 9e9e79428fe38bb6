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

/// Reads one of a closed set of names, as they stand on the wire; where the argument ignores case, in any.
fn choice<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(move |name| {
        let known = names.iter().copied().find(|known| known.eq_ignore_ascii_case(&name));
        serde_json::from_value::<T>(serde_json::Value::String(known.unwrap_or(&name).to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command, error::ErrorKind};
    use lanyard_api::mapping::EntryType;

    use super::*;

    #[test]
    fn a_name_is_taken_in_any_case_and_an_unknown_one_is_told_which_there_are() {
        let read = |name: &str| {
            let kind =
                Arg::new("type").ignore_case(true).value_parser(choice::<EntryType>(&["STANDARD", "EC2"]));
            let matches = Command::new("x").arg(kind).try_get_matches_from(["x", name])?;
            Ok::<_, clap::Error>(matches.get_one::<EntryType>("type").copied())
        };
        for (name, expected) in
            [("STANDARD", EntryType::Standard), ("standard", EntryType::Standard), ("Ec2", EntryType::Ec2)]
        {
            assert_eq!(read(name).unwrap(), Some(expected), "{name}");
        }
        let unknown = read("normal").unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::InvalidValue);
        assert!(unknown.to_string().contains("STANDARD, EC2"), "{unknown}");
    }
}
