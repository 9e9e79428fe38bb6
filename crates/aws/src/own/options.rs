//! What the hub's own calls may be told.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lanyard_iam::{AccountId, PrincipalArn, PrincipalKind, Region};
use lanyard_kit::config::{OutOfRange, SECONDS_MAX, in_range};
use lanyard_kit::http_client::Options;
use lanyard_kit::limits::Quota;
use serde::{Deserialize, Serialize};

use super::endpoint::StsEndpoint;
use super::instances::InstanceOptions;
use crate::breaker::BreakerOptions;

/// AWS mode: what the hub asks of AWS as itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AwsOptions {
    /// Whether access entries learn the unique ids of their principals from IAM, and nodes their names from EC2.
    pub enabled: bool,
    /// The profile of the shared files whose credentials are used, where it is not that of the environment.
    pub profile: Option<String>,
    /// The region whose STS is asked, and by it the partition; the hub's own by default.
    pub region: Option<String>,
    /// Accounts other than that of the hub's own credentials, each with a role that the hub assumes there.
    pub accounts: Vec<AssumedAccount>,
    /// The STS that is asked, in place of the region's own host.
    pub sts: Option<StsEndpoint>,
    /// Hosts of AWS that may have a private address: interface endpoints in the hub's network.
    pub private_hosts: Vec<String>,
    /// Times and limits.
    pub calls: CallOptions,
    /// How long nodes are remembered.
    pub instances: InstanceOptions,
    /// How much of an account is listed, for previews.
    pub listing: ListingOptions,
}

/// Bounds of one list of an account's users or roles. What is beyond them is not read, and the answer says that it is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListingOptions {
    /// Most users, or roles, that are read.
    pub principals_max: usize,
    /// Most time that is taken for it, the waits for the limit of calls included. Less than whoever asks waits.
    pub milliseconds: u64,
}

impl Default for ListingOptions {
    fn default() -> Self {
        // IAM lets an account have 5 000 users, and up to 10 000 roles where somebody has asked for as many.
        Self { principals_max: 10_000, milliseconds: 8_000 }
    }
}

/// An account that is asked by a role there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumedAccount {
    /// Its number.
    pub account: AccountId,
    /// The role, with its path.
    pub role_arn: String,
    /// What its trust policy asks for as `sts:ExternalId`.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// Times, limits and breaker of the hub's own calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallOptions {
    /// From the first try to the last byte of the last answer.
    pub deadline_milliseconds: u64,
    /// One try.
    pub attempt_milliseconds: u64,
    /// Of that, for a connection.
    pub connect_milliseconds: u64,
    /// Tries where AWS throttles.
    pub attempts_max: u32,
    /// Before the second try a random time up to this is waited, before each further one up to twice that of the last.
    pub backoff_milliseconds: u64,
    /// For each host. AWS lets an account read with some 15 to 100 calls a second, which others share.
    pub endpoint: Quota,
    /// For sessions of workloads' roles, of each host. STS lets an account have 600 a second in each region.
    pub roles: Quota,
    /// Of these for each role.
    pub role: Quota,
    /// What of that each role has for itself, whatever others use: it is not taken out of `roles`. 400 roles have it at once, so that all
    /// together stay below what STS lets an account have; as all of these limits, in each process of the hub.
    pub role_guaranteed: Quota,
    /// When an endpoint counts as down: `principals_min` faults, with no answer in between.
    pub breaker: BreakerOptions,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            deadline_milliseconds: 8_000,
            attempt_milliseconds: 5_000,
            connect_milliseconds: 2_000,
            attempts_max: 3,
            backoff_milliseconds: 100,
            endpoint: Quota { per_second: 10, burst: 20 },
            roles: Quota { per_second: 100, burst: 200 },
            role: Quota { per_second: 20, burst: 50 },
            role_guaranteed: Quota { per_second: 1, burst: 2 },
            breaker: BreakerOptions::default(),
        }
    }
}

/// A value that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsOptionsError {
    /// A region of the wrong form.
    #[error("aws.region: {0}")]
    Region(String),
    /// Not a role of the account that it is given for.
    #[error(
        "aws.accounts: `{role_arn}` is not a role of account {account}, write arn:aws:iam::{account}:role/NAME"
    )]
    Role {
        /// The account.
        account: AccountId,
        /// What was given.
        role_arn: String,
    },
    /// An external id that STS would refuse.
    #[error(
        "aws.accounts: the external id for account {0} is not one: it has 2 to 1224 letters, digits and `_+=,.@:/-`"
    )]
    ExternalId(AccountId),
    /// An account that stands twice.
    #[error("aws.accounts: account {0} stands twice, it has one role")]
    Twice(AccountId),
    /// A host that is none.
    #[error(
        "aws.sts.host: `{0}` is not a host: write its name in small letters, with `:` and its port where that is not 443"
    )]
    StsHost(String),
    /// A file of authorities that cannot be used.
    #[error("aws.sts.ca_file: `{}` {reason}; give a PEM file with the authority of its certificate", path.display())]
    StsCaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A time that is no time.
    #[error("aws.{0}: 0 lets nothing through, give at least 1")]
    Zero(&'static str),
    /// A time that no clock gets to the end of.
    #[error("aws.{0}")]
    OutOfRange(#[from] OutOfRange),
}

impl AwsOptions {
    /// Judges what types cannot.
    ///
    /// # Errors
    /// [`AwsOptionsError`] names the key and the rule.
    pub fn validate(&self) -> Result<(), AwsOptionsError> {
        if let Some(region) = &self.region {
            Region::parse(region).map_err(|error| AwsOptionsError::Region(error.to_string()))?;
        }
        if let Some(sts) = &self.sts {
            sts.added_to(Options::default())?;
        }
        let mut seen = BTreeSet::new();
        for account in &self.accounts {
            account.validate()?;
            if !seen.insert(account.account) {
                return Err(AwsOptionsError::Twice(account.account));
            }
        }
        let times = [
            ("calls.deadline_milliseconds", self.calls.deadline_milliseconds),
            ("calls.attempt_milliseconds", self.calls.attempt_milliseconds),
            ("calls.connect_milliseconds", self.calls.connect_milliseconds),
            ("instances.wait_milliseconds", self.instances.wait_milliseconds),
            ("instances.kept_max", self.instances.kept_max),
            ("listing.principals_max", self.listing.principals_max as u64),
            ("listing.milliseconds", self.listing.milliseconds),
        ];
        if let Some((key, _)) = times.into_iter().find(|(_, value)| *value == 0) {
            return Err(AwsOptionsError::Zero(key));
        }
        let breaker = &self.calls.breaker;
        let times = [
            ("calls.breaker.window_seconds", breaker.window_seconds),
            ("calls.breaker.open_seconds", breaker.open_seconds),
        ];
        Ok(in_range(0..=SECONDS_MAX, &times)?)
    }
}

impl AssumedAccount {
    fn validate(&self) -> Result<(), AwsOptionsError> {
        let role = PrincipalArn::parse(&self.role_arn).ok();
        let fits = |arn: &PrincipalArn| {
            arn.account == self.account && matches!(arn.kind, PrincipalKind::Role { .. })
        };
        if !role.as_ref().is_some_and(fits) {
            return Err(AwsOptionsError::Role { account: self.account, role_arn: self.role_arn.clone() });
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        let is_one = |id: &String| (2..=1224).contains(&id.len()) && id.bytes().all(plain);
        match &self.external_id {
            Some(id) if !is_one(id) => Err(AwsOptionsError::ExternalId(self.account)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: &str, role_arn: &str, external_id: Option<&str>) -> AssumedAccount {
        AssumedAccount {
            account: AccountId::parse(number).unwrap(),
            role_arn: role_arn.to_owned(),
            external_id: external_id.map(str::to_owned),
        }
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        assert_eq!(AwsOptions::default().validate(), Ok(()));
        let role = "arn:aws:iam::111122223333:role/team/reader";
        let good = account("111122223333", role, Some("hub-7"));
        let with = |accounts: Vec<AssumedAccount>| AwsOptions { accounts, ..AwsOptions::default() };
        assert_eq!(with(vec![good.clone()]).validate(), Ok(()));
        let cases = [
            (with(vec![good.clone(), good.clone()]), "stands twice"),
            (with(vec![account("444455556666", role, None)]), "not a role of account 444455556666"),
            (with(vec![account("111122223333", "arn:aws:iam::111122223333:user/ana", None)]), "not a role"),
            (with(vec![account("111122223333", "reader", None)]), "not a role"),
            (with(vec![account("111122223333", role, Some("x"))]), "external id"),
            (with(vec![account("111122223333", role, Some("with blank"))]), "external id"),
            (AwsOptions { region: Some("EU".to_owned()), ..AwsOptions::default() }, "aws.region"),
            (
                AwsOptions {
                    calls: CallOptions { deadline_milliseconds: 0, ..CallOptions::default() },
                    ..AwsOptions::default()
                },
                "calls.deadline_milliseconds",
            ),
            (
                AwsOptions {
                    listing: ListingOptions { principals_max: 0, ..ListingOptions::default() },
                    ..AwsOptions::default()
                },
                "listing.principals_max",
            ),
        ];
        for (options, words) in cases {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<AwsOptions>(r#"{"enabeld":true}"#).is_err());
        assert!(serde_json::from_str::<AwsOptions>(r#"{"enabled":true}"#).is_ok());
    }
}
