//! The few things that the hub has settled about itself.

use lanyard_api::{HubId, Scope};
use lanyard_iam::AccountId;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record},
    sql::Value,
    store::Store,
};

/// Something settled at first start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name; the record's key.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

impl Setting {
    /// Name of the hub's id.
    pub const HUB_ID: &'static str = "hub_id";
    /// Name of the URL that webhook files, endpoints and issuers derive from.
    pub const EXTERNAL_URL: &'static str = "external_url";
    /// Name of the number of the embedded account.
    pub const EMBEDDED_ACCOUNT: &'static str = "embedded_account";

    /// A setting.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// The hub's id.
    pub fn hub_id(id: HubId) -> Self {
        Self::new(Self::HUB_ID, id.to_string())
    }

    /// The URL that webhook files, endpoints and issuers derive from.
    pub fn external_url(url: &str) -> Self {
        Self::new(Self::EXTERNAL_URL, url)
    }

    /// The embedded account.
    pub fn embedded_account(account: AccountId) -> Self {
        Self::new(Self::EMBEDDED_ACCOUNT, account.to_string())
    }

    /// What its text says.
    pub(crate) fn settled<T: std::str::FromStr>(&self) -> Result<T, StoreError> {
        let broken =
            |_| StoreError::Broken(format!("setting `{}` is `{}`, which is not one", self.name, self.value));
        self.value.parse().map_err(broken)
    }
}

impl Record for Setting {
    const KIND: Kind = Kind::Setting;

    fn scope(&self) -> Scope {
        Scope::Hub
    }

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Columns for Setting {
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Store {
    /// The hub's id, once settled.
    ///
    /// # Errors
    /// When the database does not answer, or what it holds is no id.
    pub async fn hub_id(&self) -> Result<Option<HubId>, StoreError> {
        self.settled(Setting::HUB_ID).await
    }

    /// The external URL, once settled.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn external_url(&self) -> Result<Option<String>, StoreError> {
        self.settled(Setting::EXTERNAL_URL).await
    }

    /// The embedded account, once settled.
    ///
    /// # Errors
    /// When the database does not answer, or what it holds is no account.
    pub async fn embedded_account(&self) -> Result<Option<AccountId>, StoreError> {
        self.settled(Setting::EMBEDDED_ACCOUNT).await
    }

    async fn settled<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let setting = self.get::<Setting>(Scope::Hub, name).await?;
        setting.map(|setting| setting.settled()).transpose()
    }
}
