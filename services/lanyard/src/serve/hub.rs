//! The hub's folder and store: opened, or made at the first start.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use lanyard_api::{HubId, Scope, authn::accounts::AccessKey};
use lanyard_authn::Hub;
use lanyard_aws::AwsClient;
use lanyard_iam::{AccountId, Region};
use lanyard_kit::{Clock, tls::secure_dir};
use lanyard_store::{Store, StoreOptions, WAIT_MAX, require_migrated};

use super::{config::ServeConfig, credentials_file::CredentialsFile, envelope};

/// A hub whose store is open.
pub struct OpenedHub {
    /// The store.
    pub store: Store,
    /// What the hub is.
    pub hub: Hub,
    /// The administrator's shared-credentials file.
    pub credentials_file: PathBuf,
    /// Held as long as the hub lives.
    _taken: File,
}

/// Another process has the folder: two would answer from snapshots that do not know of each other's changes.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{}` is in use by a running `lanyard serve`, which has it for itself: stop that first, or name another folder with --data-dir",
    .0.display()
)]
pub struct InUse(PathBuf);

/// Takes the folder for this process alone. The system lets go of it when the process ends, however it ends.
///
/// # Errors
/// [`InUse`] where another has it.
pub fn alone(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot open `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(InUse(folder.to_owned()).into()),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock `{}`", path.display()))
        }
    }
}

/// The data folder, made where it is not there, for this process [`alone`].
///
/// # Errors
/// Where it is not secure, or another has it.
pub fn take(folder: &Path) -> anyhow::Result<File> {
    secure_dir(folder)?;
    alone(folder)
}

/// Opens the hub of a data folder that was [taken](take); at the first start makes its number, account and administrator. `renew_administrator`
/// puts the administrator of an older hub back.
///
/// # Errors
/// Where the store does not open, or a value breaks its rule.
pub async fn open(
    config: &ServeConfig,
    clock: &Arc<dyn Clock>,
    aws: Option<&AwsClient>,
    renew_administrator: bool,
    taken: File,
) -> anyhow::Result<OpenedHub> {
    let url = config.store_url()?;
    let place = format!("store: {url}");
    if !config.migrate {
        require_migrated(&url, WAIT_MAX).await.with_context(|| place.clone())?;
    }
    let envelopes = envelope::open(&config.envelope, &config.data_dir, &url, aws).await?;
    let mut options = StoreOptions::new(url, envelopes.keyring);
    options.clock = Arc::clone(clock);
    let store = Store::open(&options).await.context(place)?;
    let region = Region::parse(&config.region)?;
    let account = config.account.as_deref().map(AccountId::parse).transpose()?;
    let credentials_file = CredentialsFile::of(&config.data_dir);
    let id = envelopes.hub.unwrap_or_else(HubId::random);
    let (hub, made) = lanyard_authn::bootstrap_as(id, &store, account, region, &credentials_file).await?;
    if renew_administrator && made.is_none() {
        let renewed = lanyard_authn::renew_administrator(&store, &hub, &credentials_file).await?;
        for block in &renewed.lifted {
            tracing::warn!(block = %block.id, reason = block.reason, "lifted a block that stopped the administrator");
        }
        tracing::warn!(access_key_id = %renewed.key.key.id, "renewed the administrator; the keys before it count no more");
    }
    settle(&credentials_file, &store, &hub).await?;
    if !credentials_file.exists() {
        let path = credentials_file.path().display();
        tracing::warn!("`{path}` is missing: where its key is missed, start once with --renew-administrator");
    }
    Ok(OpenedHub { store, hub, credentials_file: credentials_file.path().to_owned(), _taken: taken })
}

/// Brings a key to its place that this or an earlier start handed over, if the store has it.
async fn settle(file: &CredentialsFile, store: &Store, hub: &Hub) -> anyhow::Result<()> {
    let Some(id) = file.staged_key()? else { return Ok(()) };
    let key: Option<AccessKey> = store.get(Scope::Account(hub.account), id.as_str()).await?;
    Ok(file.settle(key.is_some())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use lanyard_api::{
        Authority, BlockId, Mutation,
        authn::accounts::{InlinePolicy, PolicyOwner, User},
        mapping::{Block, BlockTarget},
    };
    use lanyard_iam::AccessKeyId;
    use lanyard_kit::SystemClock;
    use lanyard_store::Record as _;

    use super::*;

    #[test]
    fn a_folder_has_one_hub_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = alone(folder.path()).unwrap();
        let second = alone(folder.path()).unwrap_err();
        assert!(second.downcast_ref::<InUse>().is_some(), "{second}");
        drop(first);
        assert!(alone(folder.path()).is_ok());
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        async fn open(&self, renew: bool) -> OpenedHub {
            let config = ServeConfig { data_dir: self.0.path().to_owned(), ..ServeConfig::default() };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            open(&config, &clock, None, renew, take(self.0.path()).unwrap()).await.unwrap()
        }

        /// The key of the file.
        fn key(&self) -> AccessKeyId {
            crate::credentials::of_file(&self.file("credentials"), "default").unwrap().access_key_id
        }
    }

    async fn keys(hub: &OpenedHub) -> Vec<AccessKeyId> {
        let (_, keys) = hub.store.load::<AccessKey>(Scope::Account(hub.hub.account)).await.unwrap();
        keys.into_iter().map(|key| key.id).collect()
    }

    #[tokio::test]
    async fn a_key_that_was_committed_and_not_put_in_place_is_put_there_at_the_next_start() {
        let folder = Folder::new();
        let made = folder.open(false).await;
        let key = folder.key();
        assert_eq!(keys(&made).await, std::slice::from_ref(&key));
        drop(made);
        // As it is when the process dies between the commit and the last step.
        std::fs::rename(folder.file("credentials"), folder.file("credentials.staged")).unwrap();
        drop(folder.open(false).await);
        assert_eq!(folder.key(), key);
        assert!(!folder.file("credentials.staged").exists());
    }

    #[tokio::test]
    async fn a_key_that_was_never_committed_is_let_go() {
        let folder = Folder::new();
        drop(folder.open(false).await);
        let key = folder.key();
        // As it is when the process dies between writing the file and the commit.
        let text = std::fs::read_to_string(folder.file("credentials")).unwrap();
        let other = text.replace(key.as_str(), "LKIAOTHEROTHEROTHERO");
        std::fs::write(folder.file("credentials.staged"), other).unwrap();
        std::fs::set_permissions(folder.file("credentials.staged"), std::fs::Permissions::from_mode(0o600))
            .unwrap();
        drop(folder.open(false).await);
        assert_eq!(folder.key(), key);
        assert!(!folder.file("credentials.staged").exists());

        // The same before there was any hub: the start after it makes one.
        let folder = Folder::new();
        std::fs::write(folder.file("credentials.staged"), text).unwrap();
        std::fs::set_permissions(folder.file("credentials.staged"), std::fs::Permissions::from_mode(0o600))
            .unwrap();
        let made = folder.open(false).await;
        assert_eq!(keys(&made).await, [folder.key()]);
        assert_ne!(folder.key(), key);
    }

    #[tokio::test]
    async fn a_lost_key_is_renewed_by_name_alone_and_the_administrator_is_as_at_first() {
        let folder = Folder::new();
        drop(folder.open(false).await);
        let lost = folder.key();
        std::fs::remove_file(folder.file("credentials")).unwrap();
        let hub = folder.open(false).await;
        assert!(!folder.file("credentials").exists(), "nobody is made administrator unasked");
        assert_eq!(keys(&hub).await, std::slice::from_ref(&lost));

        let account = hub.hub.account;
        let home = Scope::Account(account);
        let local = |target| (home, target);
        let arn = format!("arn:aws:iam::{account}:user/administrator");
        let (authority, other) = (Authority::Local, format!("arn:aws:iam::{account}:user/ana"));
        let blocks = [
            local(BlockTarget::Account { authority: authority.clone(), account }),
            (
                Scope::Hub,
                BlockTarget::Principal { authority: authority.clone(), canonical_arn: arn.parse().unwrap() },
            ),
            (Scope::Hub, BlockTarget::Principal { authority, canonical_arn: other.parse().unwrap() }),
        ];
        let policy = InlinePolicy {
            account,
            owner: PolicyOwner::User("administrator".to_owned()),
            name: "deny".to_owned(),
            document: "{}".to_owned(),
        };
        let forced = Mutation { allow_lockout: true, ..Mutation::system("test") };
        let mut transaction = hub.store.begin("test", &forced, &[Scope::Hub, home]).await.unwrap();
        for (scope, target) in blocks {
            let (reason, created_by) = ("test".to_owned(), "test".to_owned());
            let created_at = transaction.now();
            let block = Block { id: BlockId::random(), scope, target, reason, created_by, created_at };
            transaction.insert(&block).await.unwrap();
        }
        transaction.insert(&policy).await.unwrap();
        transaction.commit_unrecorded().await.unwrap();
        drop(hub);

        let hub = folder.open(true).await;
        let key = folder.key();
        assert_ne!(key, lost);
        assert_eq!(keys(&hub).await, std::slice::from_ref(&key));
        let policies = hub.store.load::<InlinePolicy>(home).await.unwrap().1;
        assert_eq!(policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["administrator"]);
        assert_eq!(hub.store.load::<Block>(home).await.unwrap().1, []);
        assert_eq!(hub.store.load::<Block>(Scope::Hub).await.unwrap().1.len(), 1, "another's stays");
        drop(hub);

        // The user itself may be gone as well.
        let hub = folder.open(false).await;
        let mut transaction = hub.store.begin("test", &forced, &[home]).await.unwrap();
        transaction.delete::<InlinePolicy>(home, &policies[0].key()).await.unwrap();
        transaction.delete::<User>(home, "administrator").await.unwrap();
        transaction.commit_unrecorded().await.unwrap();
        drop(hub);
        let hub = folder.open(true).await;
        assert_eq!(keys(&hub).await, [folder.key()]);
        assert_ne!(folder.key(), key);
    }
}
