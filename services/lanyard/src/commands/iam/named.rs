//! What is said alike of users, roles, instance profiles and OIDC providers.

use std::collections::BTreeMap;

use clap::Args;
use lanyard_api::authn::accounts::Named;
use lanyard_iam::AccountId;

use super::AccountArg;
use crate::{hub::ChangeArgs, input::key_value};

/// Names a user, a role or an instance profile.
#[derive(Debug, Args)]
pub struct NamedArgs {
    /// Its name.
    name: String,
    #[command(flatten)]
    account: AccountArg,
}

impl From<NamedArgs> for Named {
    fn from(which: NamedArgs) -> Self {
        Self { account: which.account.account, name: which.name }
    }
}

/// What is said of each user, role or instance profile that is made.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Unique in the account, whatever the path and letter case.
    pub(super) name: String,
    /// `/`, or a path such as `/team/`.
    #[arg(long, default_value = "/")]
    pub(super) path: String,
    /// A tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) account: AccountArg,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

impl CreateArgs {
    pub(super) fn account(&self) -> Option<AccountId> {
        self.account.account
    }

    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        self.tags.iter().cloned().collect()
    }
}

/// Tags for something that is named by `W`.
#[derive(Debug, Args)]
pub struct TagArgs<W: Args> {
    #[command(flatten)]
    which: W,
    /// The tags; may be given again.
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl<W: Args> TagArgs<W> {
    pub(super) fn split(self) -> (W, BTreeMap<String, String>, ChangeArgs) {
        (self.which, BTreeMap::from_iter(self.tags), self.change)
    }
}

/// Tags that something is to lose.
#[derive(Debug, Args)]
pub struct UntagArgs<W: Args> {
    #[command(flatten)]
    which: W,
    /// Their keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl<W: Args> UntagArgs<W> {
    pub(super) fn split(self) -> (W, Vec<String>, ChangeArgs) {
        (self.which, self.keys, self.change)
    }
}

/// What is to go.
#[derive(Debug, Args)]
pub struct DeleteArgs<W: Args> {
    #[command(flatten)]
    which: W,
    #[command(flatten)]
    change: ChangeArgs,
}

impl<W: Args> DeleteArgs<W> {
    pub(super) fn split(self) -> (W, ChangeArgs) {
        (self.which, self.change)
    }
}
