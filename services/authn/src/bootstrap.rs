//! The first start: the hub gets its id, its own account, and one administrator.

use std::collections::BTreeMap;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use lanyard_api::authn::accounts::{AccessKey, Account, InlinePolicy, NewAccessKey, PolicyOwner, User};
use lanyard_api::{Authority, HubId, Mutation, Scope};
use lanyard_iam::{AccountId, Partition, Region, partition_of_region};
use lanyard_store::{Kind, Place, Purpose, Setting, Store, StoreError, Transaction};
use secrecy::SecretString;

use crate::engine::Hub;
use crate::numbers::{NoRandomness, new_access_key_id, new_secret, new_user_id};

/// The user made at first start, who operates the hub.
pub const ADMINISTRATOR: &str = "administrator";
/// The name of their policy.
const ADMINISTRATOR_POLICY: &str = "administrator";
/// Everything in the hub's own account, and the hub itself.
const ADMINISTRATOR_DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Administrator","Effect":"Allow","Action":"*","Resource":"*"}]}"#;
/// The name of the hub's own account.
const ACCOUNT_NAME: &str = "hub";

/// Why the hub could not be made or found.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be made without randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The store holds half of a hub.
    #[error("the store holds a hub without its {0}: it was not made by this program, or was altered")]
    Incomplete(&'static str),
    /// The configuration names another account than the hub has.
    #[error(
        "the hub's account is `{found}`, made at first start, and the configuration says `{asked}`: leave it out"
    )]
    OtherAccount {
        /// The hub's.
        found: AccountId,
        /// The configuration's.
        asked: AccountId,
    },
}

/// What the hub is; at its first start made in one transaction, with the administrator's key, which is answered this once.
///
/// `account` is the number of the hub's own account where it should not be a random one.
///
/// # Errors
/// [`BootstrapError`].
pub async fn bootstrap(
    store: &Store,
    account: Option<AccountId>,
    region: Region,
) -> Result<(Hub, Option<NewAccessKey>), BootstrapError> {
    if let Some(hub) = found(store, account, &region).await? {
        return Ok((hub, None));
    }
    match make(store, account, &region).await {
        Ok((hub, key)) => Ok((hub, Some(key))),
        // Another process was quicker.
        Err(BootstrapError::Store(StoreError::Exists { kind: Kind::Setting, .. })) => {
            let hub = found(store, account, &region).await?;
            Ok((hub.ok_or(BootstrapError::Incomplete("id"))?, None))
        }
        Err(error) => Err(error),
    }
}

async fn found(
    store: &Store,
    asked: Option<AccountId>,
    region: &Region,
) -> Result<Option<Hub>, BootstrapError> {
    let Some(id) = store.hub_id().await? else { return Ok(None) };
    let account = store.embedded_account().await?.ok_or(BootstrapError::Incomplete("account"))?;
    if let Some(asked) = asked.filter(|asked| *asked != account) {
        return Err(BootstrapError::OtherAccount { found: account, asked });
    }
    let record = store.get::<Account>(Scope::Hub, account.as_str()).await?;
    let partition = record.ok_or(BootstrapError::Incomplete("account"))?.partition;
    Ok(Some(Hub { id, account, partition, region: region.clone() }))
}

async fn make(
    store: &Store,
    account: Option<AccountId>,
    region: &Region,
) -> Result<(Hub, NewAccessKey), BootstrapError> {
    let random = SystemRandom::new();
    let account = match account {
        Some(account) => account,
        None => {
            let mut bytes = [0; 8];
            random.fill(&mut bytes).map_err(|_| NoRandomness)?;
            AccountId::generate(u64::from_be_bytes(bytes))
        }
    };
    let partition = partition_of_region(region.as_str()).unwrap_or(Partition::Aws);
    let hub = Hub { id: HubId::random(), account, partition, region: region.clone() };
    let scopes = [Scope::Hub, Scope::Account(account)];
    let mut transaction = store.begin("bootstrap", &Mutation::system("first start"), &scopes).await?;
    transaction.insert(&Setting::hub_id(hub.id)).await?;
    transaction.insert(&Setting::embedded_account(account)).await?;
    let created_at = transaction.now();
    let record = Account {
        id: account,
        partition,
        authority: Authority::Local,
        name: ACCOUNT_NAME.to_owned(),
        created_at,
    };
    transaction.insert(&record).await?;
    let key = administrator(store, &mut transaction, account, &random).await?;
    transaction.commit_unrecorded().await?;
    Ok((hub, key))
}

async fn administrator(
    store: &Store,
    transaction: &mut Transaction,
    account: AccountId,
    random: &SystemRandom,
) -> Result<NewAccessKey, BootstrapError> {
    let created_at = transaction.now();
    let user = User {
        account,
        path: "/".to_owned(),
        name: ADMINISTRATOR.to_owned(),
        principal_id: new_user_id(account, random)?.to_string(),
        tags: BTreeMap::new(),
        created_at,
    };
    transaction.insert(&user).await?;
    let policy = InlinePolicy {
        account,
        owner: PolicyOwner::User(user.name.clone()),
        name: ADMINISTRATOR_POLICY.to_owned(),
        document: ADMINISTRATOR_DOCUMENT.to_owned(),
    };
    transaction.insert(&policy).await?;
    let id = new_access_key_id(account, random)?;
    let key = AccessKey { id, account, user: user.name, active: true, created_at };
    let secret = new_secret(random)?;
    let place = Place::of(&key);
    let sealed = store.keyring().seal(Purpose::AccessKeySecret, &place, secret.expose().as_bytes());
    transaction.insert(&key).await?;
    transaction.put_secret(&place, &sealed.map_err(StoreError::from)?).await?;
    Ok(NewAccessKey { key, secret: SecretString::from(secret.expose()) })
}
