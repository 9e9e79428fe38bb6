//! The first start: the hub gets its id, its own account, and one administrator; and how that administrator is put back when
//! the key is lost.
//!
//! The administrator's secret is sealed at rest and told once. So it is handed over before the transaction commits: who dies
//! in between has it already, and sees by the key's record whether it counts.

use std::collections::BTreeMap;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use lanyard_api::authn::accounts::{AccessKey, Account, InlinePolicy, NewAccessKey, PolicyOwner, User};
use lanyard_api::mapping::{Block, BlockTarget};
use lanyard_api::{Authority, HubId, Mutation, Scope};
use lanyard_iam::{AccountId, Partition, PrincipalArn, PrincipalKind, Region, partition_of_region};
use lanyard_store::{Kind, Place, Purpose, Record as _, Setting, Store, StoreError, Transaction};
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
    /// Whoever was to keep the administrator's key could not; so nothing was made.
    #[error("the administrator's key could not be kept, so that nothing was made: {0}")]
    HandOver(#[source] Box<dyn std::error::Error + Send + Sync>),
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

/// Keeps the administrator's key before it counts.
pub trait HandOver {
    /// Keeps it, or says why not.
    ///
    /// # Errors
    /// Then nothing is made.
    fn keep(&self, hub: &Hub, key: &NewAccessKey) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Keeps nothing: for tests, which have the answer.
impl HandOver for () {
    fn keep(&self, _: &Hub, _: &NewAccessKey) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// What the hub is; at its first start made in one transaction, with the administrator's key, which is handed over before the
/// commit and answered this once.
///
/// `account` is the number of the hub's own account where it should not be a random one.
///
/// # Errors
/// [`BootstrapError`].
pub async fn bootstrap(
    store: &Store,
    account: Option<AccountId>,
    region: Region,
    hand_over: &impl HandOver,
) -> Result<(Hub, Option<NewAccessKey>), BootstrapError> {
    bootstrap_as(HubId::random(), store, account, region, hand_over).await
}

/// The same, for a hub whose id had to be settled before its store could be opened.
///
/// # Errors
/// [`BootstrapError`].
pub async fn bootstrap_as(
    id: HubId,
    store: &Store,
    account: Option<AccountId>,
    region: Region,
    hand_over: &impl HandOver,
) -> Result<(Hub, Option<NewAccessKey>), BootstrapError> {
    if let Some(hub) = found(store, account, &region).await? {
        return Ok((hub, None));
    }
    match make(id, store, account, &region, hand_over).await {
        Ok((hub, key)) => Ok((hub, Some(key))),
        // Another process was quicker.
        Err(BootstrapError::Store(StoreError::Exists { kind: Kind::Setting, .. })) => {
            let hub = found(store, account, &region).await?;
            Ok((hub.ok_or(BootstrapError::Incomplete("id"))?, None))
        }
        Err(error) => Err(error),
    }
}

/// The hub of a store, where one was made.
///
/// # Errors
/// [`BootstrapError::Incomplete`] where the store has lost a part of it.
pub async fn hub_of(store: &Store, region: &Region) -> Result<Option<Hub>, BootstrapError> {
    found(store, None, region).await
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
    id: HubId,
    store: &Store,
    account: Option<AccountId>,
    region: &Region,
    hand_over: &impl HandOver,
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
    let hub = Hub { id, account, partition, region: region.clone() };
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
    new_administrator(&mut transaction, account, &random).await?;
    let key = new_key(store, &mut transaction, account, &random).await?;
    hand_over.keep(&hub, &key).map_err(BootstrapError::HandOver)?;
    transaction.commit_unrecorded().await?;
    Ok((hub, key))
}

/// An administrator who was put back.
#[derive(Debug)]
pub struct Renewed {
    /// The one key.
    pub key: NewAccessKey,
    /// The blocks that were lifted, for they stopped the administrator.
    pub lifted: Vec<Block>,
}

/// Puts the administrator back as at first start, for whoever holds the store and its keys: the user with its one policy and
/// one new key in place of all that it had, and without the blocks that stop it. One transaction of the system, in the lines
/// of changes.
///
/// # Errors
/// [`BootstrapError`]; then nothing is changed.
pub async fn renew_administrator(
    store: &Store,
    hub: &Hub,
    hand_over: &impl HandOver,
) -> Result<Renewed, BootstrapError> {
    let random = SystemRandom::new();
    let home = Scope::Account(hub.account);
    let mut transaction = store
        .begin("renew_administrator", &Mutation::system("renew administrator"), &[Scope::Hub, home])
        .await?;
    let user = match transaction.get::<User>(home, ADMINISTRATOR).await? {
        Some(user) => user,
        None => new_administrator(&mut transaction, hub.account, &random).await?,
    };
    let owner = PolicyOwner::User(ADMINISTRATOR.to_owned());
    for policy in transaction.list::<InlinePolicy>(home).await? {
        if policy.owner == owner {
            transaction.delete::<InlinePolicy>(home, &policy.key()).await?;
        }
    }
    transaction.put(&administrator_policy(hub.account)).await?;
    for key in transaction.list::<AccessKey>(home).await? {
        if key.user == ADMINISTRATOR {
            transaction.delete::<AccessKey>(home, &key.key()).await?;
        }
    }
    let key = new_key(store, &mut transaction, hub.account, &random).await?;
    let lifted = lift(&mut transaction, hub, &user).await?;
    hand_over.keep(hub, &key).map_err(BootstrapError::HandOver)?;
    transaction.commit_unrecorded().await?;
    Ok(Renewed { key, lifted })
}

/// Lifts the blocks of the hub and of its account that stop the administrator.
async fn lift(transaction: &mut Transaction, hub: &Hub, user: &User) -> Result<Vec<Block>, StoreError> {
    let kind = PrincipalKind::User { path: user.path.clone(), name: user.name.clone() };
    let arn = PrincipalArn { partition: hub.partition, account: hub.account, kind }.canonical().folded();
    let stops = |block: &Block| match &block.target {
        BlockTarget::Principal { authority, canonical_arn } => {
            *authority == Authority::Local && canonical_arn.folded() == arn
        }
        BlockTarget::Account { authority, account } => {
            *authority == Authority::Local && *account == hub.account
        }
        BlockTarget::AccessKey { .. }
        | BlockTarget::Session { .. }
        | BlockTarget::OidcSubject { .. }
        | BlockTarget::OidcIssuer { .. }
        | BlockTarget::Certificate { .. } => false,
    };
    let mut lifted = Vec::new();
    for scope in [Scope::Hub, Scope::Account(hub.account)] {
        for block in transaction.list::<Block>(scope).await?.into_iter().filter(stops) {
            transaction.delete::<Block>(scope, &block.key()).await?;
            lifted.push(block);
        }
    }
    Ok(lifted)
}

/// The user with its policy, which has no key yet.
async fn new_administrator(
    transaction: &mut Transaction,
    account: AccountId,
    random: &SystemRandom,
) -> Result<User, BootstrapError> {
    let user = User {
        account,
        path: "/".to_owned(),
        name: ADMINISTRATOR.to_owned(),
        principal_id: new_user_id(account, random)?.to_string(),
        tags: BTreeMap::new(),
        created_at: transaction.now(),
    };
    transaction.insert(&user).await?;
    transaction.insert(&administrator_policy(account)).await?;
    Ok(user)
}

fn administrator_policy(account: AccountId) -> InlinePolicy {
    InlinePolicy {
        account,
        owner: PolicyOwner::User(ADMINISTRATOR.to_owned()),
        name: ADMINISTRATOR_POLICY.to_owned(),
        document: ADMINISTRATOR_DOCUMENT.to_owned(),
    }
}

async fn new_key(
    store: &Store,
    transaction: &mut Transaction,
    account: AccountId,
    random: &SystemRandom,
) -> Result<NewAccessKey, BootstrapError> {
    let id = new_access_key_id(account, random)?;
    let user = ADMINISTRATOR.to_owned();
    let key = AccessKey { id, account, user, active: true, created_at: transaction.now() };
    let secret = new_secret(random)?;
    let place = Place::of(&key);
    let sealed = store.keyring().seal(Purpose::AccessKeySecret, &place, secret.expose().as_bytes());
    transaction.insert(&key).await?;
    transaction.put_secret(&place, &sealed.map_err(StoreError::from)?).await?;
    Ok(NewAccessKey { key, secret: SecretString::from(secret.expose()) })
}
