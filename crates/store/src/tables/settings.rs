//! The few things that the hub has settled about itself.

use lanyard_api::{HubId, Mutation, Scope};
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

    /// Name of the rules by which mapping has made the rows of administrators, a number that counts up.
    pub const ADMINISTRATOR_RULES: &'static str = "administrator_rules";

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

/// Under which URL the hub is known, to a process that may have been told one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalUrl {
    /// Nobody has said it.
    Unsaid,
    /// As it is stored.
    Settled(String),
    /// The process was told another one than what is stored.
    Disputed {
        /// By its own configuration.
        told: String,
        /// What is stored.
        settled: String,
    },
}

impl ExternalUrl {
    /// What is stored, held against what a process was told. A slash at the end makes no other URL.
    #[must_use]
    pub fn of(settled: Option<&str>, told: Option<&str>) -> Self {
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        match (settled.map(plain), told.map(plain)) {
            (None, None) => Self::Unsaid,
            (Some(url), None) | (None, Some(url)) => Self::Settled(url),
            (Some(settled), Some(told)) if settled == told => Self::Settled(settled),
            (Some(settled), Some(told)) => Self::Disputed { told, settled },
        }
    }

    /// What the process goes by: what it was told, else what is stored.
    #[must_use]
    pub fn used(&self) -> Option<&str> {
        match self {
            Self::Unsaid => None,
            Self::Settled(url) | Self::Disputed { told: url, .. } => Some(url),
        }
    }

    /// What is stored.
    #[must_use]
    pub fn settled(&self) -> Option<&str> {
        match self {
            Self::Unsaid => None,
            Self::Settled(url) | Self::Disputed { settled: url, .. } => Some(url),
        }
    }

    /// What whoever runs the process should look at; `key` is where it was told.
    #[must_use]
    pub fn doubt(&self, key: &str) -> Option<String> {
        let Self::Disputed { told, settled } = self else { return None };
        Some(format!(
            "{key} is `{told}`, and the hub is known by `{settled}` since it was first told: issuers, webhook files and STS hosts that \
             were made name that. This process goes by what it was told; let all be told the same, or store the new one by `lanyard db \
             external-url {told}`"
        ))
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

    /// The external URL as it is from now on, to a process that was told `told`: that is stored where nothing is, and changes nothing
    /// that is. What nobody has told, such as where a process happens to listen, is not for storing: it may be elsewhere tomorrow.
    ///
    /// # Errors
    /// As any mutation.
    pub async fn settle_external_url(&self, told: Option<&str>) -> Result<ExternalUrl, StoreError> {
        let settled = match (self.external_url().await?, told) {
            (None, Some(told)) => Some(self.first_external_url(told.trim_end_matches('/')).await?),
            (settled, _) => settled,
        };
        Ok(ExternalUrl::of(settled.as_deref(), told))
    }

    /// Stores it, unless another process was faster; answers what is stored.
    async fn first_external_url(&self, told: &str) -> Result<String, StoreError> {
        let by = Mutation::system("external URL");
        let mut transaction = self.begin("settle_external_url", &by, &[Scope::Hub]).await?;
        if let Some(before) = transaction.get::<Setting>(Scope::Hub, Setting::EXTERNAL_URL).await? {
            return Ok(before.value);
        }
        transaction.insert(&Setting::external_url(told)).await?;
        transaction.commit_unrecorded().await?;
        Ok(told.to_owned())
    }

    /// Stores another external URL, or none; answers the one before. Processes go by it from their next start on.
    ///
    /// # Errors
    /// As any mutation.
    pub async fn put_external_url(
        &self,
        by: &Mutation,
        url: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let mut transaction = self.begin("put_external_url", by, &[Scope::Hub]).await?;
        let before = transaction.get::<Setting>(Scope::Hub, Setting::EXTERNAL_URL).await?;
        match url {
            Some(url) => transaction.put(&Setting::external_url(url.trim_end_matches('/'))).await?,
            None => drop(transaction.delete::<Setting>(Scope::Hub, Setting::EXTERNAL_URL).await?),
        }
        transaction.commit_unrecorded().await?;
        Ok(before.map(|before| before.value))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_the_default_and_another_word_is_a_doubt_that_names_both() {
        const A: &str = "https://a.example";
        for (settled, told, used, is_doubted) in [
            (None, None, None, false),
            (None, Some(A), Some(A), false),
            (Some(A), None, Some(A), false),
            (Some(A), Some("https://a.example/"), Some(A), false),
            (Some(A), Some("https://b.example"), Some("https://b.example"), true),
        ] {
            let url = ExternalUrl::of(settled, told);
            assert_eq!((url.used(), url.doubt("external_url").is_some()), (used, is_doubted), "{url:?}");
            assert_eq!(url.settled(), settled.or(told), "{url:?}");
        }
        let doubt =
            ExternalUrl::of(Some(A), Some("https://b.example")).doubt("credentials.external_url").unwrap();
        assert!(
            doubt.starts_with("credentials.external_url is `https://b.example`") && doubt.contains(A),
            "{doubt}"
        );
        assert!(doubt.contains("`lanyard db external-url https://b.example`"), "{doubt}");
    }
}
