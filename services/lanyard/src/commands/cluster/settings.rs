//! The settings of a cluster, as flags.

mod again;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use lanyard_api::{
    ClusterId, Mutation, TrustedAccount,
    mapping::{AuthenticationMode, AuthorizerMode, CreateCluster, UpdateCluster},
};
use lanyard_iam::{AccountId, Partition, partition_of_region};

pub(super) use self::again::Again;
use crate::{
    cli::{Context, complain},
    commands::choice,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    input::{Source, key_value, meant},
};

pub(super) const CREATE: &str = "\
Examples:
  lanyard cluster create dev --region us-east-1
  lanyard cluster create shop --authentication-mode API --trust aws/111122223333
  lanyard cluster create lab --authorizer-mode full      # RBAC is evaluated here too

You become its administrator by an ordinary, visible, removable access entry; --no-creator-admin leaves that out.";

pub(super) const UPDATE: &str = "\
Examples:
  lanyard cluster update dev --authentication-mode API
  lanyard cluster update dev --trust local/111122223333 --trust aws/444455556666   # all of them
  lanyard cluster update dev --tag lanyard:allow-lockout=true                      # all of them";

const AUTHENTICATION_MODES: &[&str] = &["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
const AUTHORIZER_MODES: &[&str] = &["webhook-first", "full"];

/// What can be set when a cluster is made and later.
#[derive(Debug, Clone, Args)]
struct Settings {
    /// Whether aws-auth, access entries or both count; it changes in this order only.
    // `--mode` is what people type first, and nothing like enough to it for a suggestion. Values that are of the other mode are refused
    // with those of this one.
    #[arg(
        long,
        alias = "mode",
        value_name = "MODE",
        ignore_case = true,
        value_parser = choice::<AuthenticationMode>(AUTHENTICATION_MODES)
    )]
    authentication_mode: Option<AuthenticationMode>,
    /// Whether RBAC is left to the API server, or evaluated here too.
    #[arg(long, value_name = "MODE", ignore_case = true, value_parser = choice::<AuthorizerMode>(AUTHORIZER_MODES))]
    authorizer_mode: Option<AuthorizerMode>,
    /// An account whose identities are let in, as AUTHORITY/ACCOUNT (`aws/111122223333`); may be given again.
    #[arg(long = "trust", value_name = "AUTHORITY/ACCOUNT", value_parser = trusted)]
    trusted: Vec<TrustedAccount>,
    /// An audience that tokens are for here; may be given again.
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// How long the API server may keep an answer, in seconds.
    #[arg(long, value_name = "SECONDS")]
    token_cache_seconds: Option<u32>,
    /// The API server's URL.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The API server's CA (PEM).
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// A tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
}

impl Settings {
    fn certificate_authority(&self) -> Result<Option<String>, Failure> {
        self.certificate_authority.clone().map(|path| Source::File(path).read()).transpose()
    }
}

/// `aws/111122223333`, `local/…`, `sts:lab/…`.
fn trusted(text: &str) -> Result<TrustedAccount, String> {
    let (authority, account) =
        text.rsplit_once('/').ok_or("write AUTHORITY/ACCOUNT, such as aws/111122223333")?;
    Ok(TrustedAccount {
        authority: authority.parse().map_err(|error| format!("{error}"))?,
        account: account.parse().map_err(|error| format!("{error}"))?,
    })
}

/// A hub takes any name for a region, for a site may have its own; one that follows no rule of AWS's may be a slip.
fn region_doubt(region: &str) -> Option<String> {
    if partition_of_region(region).is_some() {
        return None;
    }
    let known = Partition::ALL.into_iter().flat_map(Partition::known_regions).copied();
    let meant = meant(region, known);
    Some(format!(
        "region `{region}`{meant} is not of the form of AWS's, such as us-east-1: it is taken for a name of your own"
    ))
}

/// What makes a cluster.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// Its name.
    name: String,
    /// What tokens sign, and may hold dots; by default the name.
    #[arg(long)]
    id: Option<String>,
    /// Its account; by default your own.
    #[arg(long)]
    account: Option<AccountId>,
    /// Make no access entry for yourself.
    #[arg(long)]
    no_creator_admin: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    change: ChangeArgs,
}

impl CreateArgs {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it is called by: the id that is asked for, else the name.
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }

    /// Why, for each change that it takes.
    pub(super) fn change(&self) -> Mutation {
        self.change.clone().into()
    }

    pub(super) fn split(self, context: &Context, hub: &Hub) -> Result<(ChangeArgs, CreateCluster), Failure> {
        if let Some(doubt) = context.hub.region.as_deref().and_then(region_doubt) {
            complain(&format!("warning: {doubt}"));
        }
        let of_hub = || hub.target.names.as_ref().map(|(_, region)| region.clone());
        let region = context.hub.region.clone().or_else(of_hub);
        let cluster = CreateCluster {
            account: self.account,
            name: self.name,
            id: self.id,
            region: region
                .ok_or_else(|| Failure::usage("which region is it in? Add --region, such as us-east-1"))?,
            certificate_authority: self.settings.certificate_authority()?,
            endpoint: self.settings.endpoint,
            authentication_mode: self.settings.authentication_mode,
            authorizer_mode: self.settings.authorizer_mode,
            trusted_accounts: self.settings.trusted,
            audiences: self.settings.audiences,
            token_cache_seconds: self.settings.token_cache_seconds,
            bootstrap_creator_admin: !self.no_creator_admin,
            tags: BTreeMap::from_iter(self.settings.tags),
        };
        Ok((self.change, cluster))
    }
}

/// What changes a cluster.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The API server's URL is not known any more.
    #[arg(long, conflicts_with = "endpoint")]
    no_endpoint: bool,
    /// The API server's CA is not known any more.
    #[arg(long, conflicts_with = "certificate_authority")]
    no_certificate_authority: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    change: ChangeArgs,
}

impl UpdateArgs {
    pub(super) fn split(self) -> Result<(ChangeArgs, ClusterId, UpdateCluster), Failure> {
        let some = |list: bool| list.then_some(());
        // An empty text takes away what was there.
        let none = |given: bool| given.then(String::new);
        let settings = self.settings;
        let update = UpdateCluster {
            certificate_authority: settings.certificate_authority()?.or(none(self.no_certificate_authority)),
            authentication_mode: settings.authentication_mode,
            authorizer_mode: settings.authorizer_mode,
            trusted_accounts: some(!settings.trusted.is_empty()).map(|()| settings.trusted),
            audiences: some(!settings.audiences.is_empty()).map(|()| settings.audiences),
            token_cache_seconds: settings.token_cache_seconds,
            endpoint: settings.endpoint.or(none(self.no_endpoint)),
            tags: some(!settings.tags.is_empty()).map(|()| BTreeMap::from_iter(settings.tags)),
        };
        Ok((self.change, self.cluster, update))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_account_is_a_pair_of_authority_and_number() {
        for text in ["aws/111122223333", "local/000000000000", "sts:lab/111122223333"] {
            let pair = trusted(text).unwrap();
            assert_eq!(format!("{}/{}", pair.authority, pair.account), text);
        }
        for bad in
            ["", "111122223333", "aws/", "aws/1", "AWS/111122223333", "/111122223333", "sts:/111122223333"]
        {
            assert!(trusted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_region_of_no_partitions_form_is_doubted_and_a_new_one_is_not() {
        for region in ["us-east-1", "eu-west-9", "cn-north-1", "eusc-de-east-1"] {
            assert_eq!(region_doubt(region), None, "{region}");
        }
        let slip = region_doubt("useast1").unwrap();
        assert!(slip.contains("`useast1` (did you mean `us-east-1`?)"), "{slip}");
        assert!(region_doubt("mars-1").unwrap().contains("a name of your own"));
    }
}
