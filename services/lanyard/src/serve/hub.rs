//! The hub's folder and store: opened, or made at the first start.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use lanyard_authn::Hub;
use lanyard_iam::{AccountId, Region};
use lanyard_kit::{Clock, ExposeSecret as _, tls::secure_dir};
use lanyard_store::{EnvelopeKey, Keyring, Store, StoreOptions, StoreUrl};

use super::{config::ServeConfig, credentials_file};

/// A hub whose store is open.
pub struct OpenedHub {
    /// The store.
    pub store: Store,
    /// What the hub is.
    pub hub: Hub,
    /// The administrator's shared-credentials file.
    pub credentials_file: PathBuf,
    /// Held as long as the hub lives.
    _alone: File,
}

/// Another process has the folder: two would answer from snapshots that do not know of each other's changes.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is in use by another `lanyard serve`: stop that one, or give this one a folder of its own with --data-dir", .0.display())]
pub struct InUse(PathBuf);

/// Takes the folder for this process alone. The system lets go of it when the process ends, however it ends.
fn alone(folder: &Path) -> anyhow::Result<File> {
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

/// Opens the hub of a data folder; at the first start makes its number, account and administrator.
///
/// # Errors
/// Where the folder is not secure, the store does not open, or a value breaks its rule.
pub async fn open(config: &ServeConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<OpenedHub> {
    secure_dir(&config.data_dir)?;
    let alone = alone(&config.data_dir)?;
    let keyring = Keyring::new(EnvelopeKey::load_or_create(&config.data_dir.join("envelope.key"))?);
    let url = match &config.store {
        Some(text) => text.clone().into_inner().expose_secret().parse()?,
        None => StoreUrl::Sqlite(config.data_dir.join("lanyard.db")),
    };
    let mut options = StoreOptions::new(url, keyring);
    options.clock = Arc::clone(clock);
    let store = Store::open(&options).await?;
    let region = Region::parse(&config.region)?;
    let account = config.account.as_deref().map(AccountId::parse).transpose()?;
    let (hub, administrator) = lanyard_authn::bootstrap(&store, account, region).await?;
    let credentials_file = config.data_dir.join("credentials");
    if let Some(key) = administrator {
        credentials_file::write(&credentials_file, key.key.id.as_str(), &key.secret, hub.region.as_str())?;
    }
    Ok(OpenedHub { store, hub, credentials_file, _alone: alone })
}

#[cfg(test)]
mod tests {
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
}
