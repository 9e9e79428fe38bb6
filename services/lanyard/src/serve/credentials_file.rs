//! The AWS shared-credentials file of the embedded account's administrator.
//!
//! The secret in it is told once. So it is written beside its place before the store commits the key, and moved there
//! afterwards; whoever dies in between finds it at the next start, and the key's record tells whether it counts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lanyard_api::authn::accounts::NewAccessKey;
use lanyard_authn::{HandOver, Hub};
use lanyard_iam::AccessKeyId;
use lanyard_kit::{
    SecretBytes,
    tls::{FileError, read_secret_file, write_secret_file},
};
use secrecy::ExposeSecret;

use crate::credentials::{self, CredentialsError};

/// Its name in the data folder.
const NAME: &str = "credentials";
/// The name under which it waits for the commit.
const STAGED_NAME: &str = "credentials.staged";

/// The file of a data folder. Mode 0600, in a folder of mode 0700.
#[derive(Debug)]
pub struct CredentialsFile {
    path: PathBuf,
    staged: PathBuf,
}

/// Why the staged file could not be brought to an end.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// It is none of ours.
    #[error("`{}` cannot be read: move it away, and start with --renew-administrator where its key is missed: {source}", path.display())]
    Unreadable {
        /// The staged file.
        path: PathBuf,
        /// What is wrong with it.
        source: CredentialsError,
    },
    /// A file breaks a rule.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system refused.
    #[error("cannot remove `{}`: {source}", path.display())]
    Remove {
        /// The staged file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl CredentialsFile {
    /// That of a folder.
    pub fn of(folder: &Path) -> Self {
        Self { path: folder.join(NAME), staged: folder.join(STAGED_NAME) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The key that waits for its commit, if one does.
    ///
    /// # Errors
    /// [`SettleError::Unreadable`].
    pub fn staged_key(&self) -> Result<Option<AccessKeyId>, SettleError> {
        if !self.staged.exists() {
            return Ok(None);
        }
        let read = credentials::of_file(&self.staged, "default");
        let read = read.map_err(|source| SettleError::Unreadable { path: self.staged.clone(), source })?;
        Ok(Some(read.access_key_id))
    }

    /// Ends the waiting: a staged key that was committed takes its place, one that was not is gone.
    ///
    /// # Errors
    /// [`SettleError`]; trying again brings it to the same end.
    pub fn settle(&self, is_committed: bool) -> Result<(), SettleError> {
        if is_committed {
            let contents: SecretBytes = read_secret_file(&self.staged)?;
            write_secret_file(&self.path, &contents)?;
        }
        fs::remove_file(&self.staged)
            .map_err(|source| SettleError::Remove { path: self.staged.clone(), source })
    }
}

impl HandOver for CredentialsFile {
    fn keep(&self, hub: &Hub, key: &NewAccessKey) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let text = format!(
            "# The administrator of this hub's embedded account. Whoever reads this file is that administrator.\n\
             [default]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = {}\n",
            key.key.id,
            key.secret.expose_secret(),
            hub.region
        );
        Ok(write_secret_file(&self.staged, &SecretBytes::from(text.into_bytes()))?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use lanyard_api::{HubId, authn::accounts::AccessKey};
    use lanyard_iam::{Partition, Region};
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_file_is_its_owners_alone_and_reads_back_as_aws_tools_read_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let account = "111122223333".parse().unwrap();
        let region = Region::parse("us-east-1").unwrap();
        let hub = Hub { id: HubId::random(), account, partition: Partition::Aws, region };
        let id = AccessKeyId::parse("LKIAAAAAAAAAAAAAAAAA").unwrap();
        let created_at = OffsetDateTime::UNIX_EPOCH;
        let key =
            AccessKey { id: id.clone(), account, user: "administrator".to_owned(), active: true, created_at };
        let key = NewAccessKey { key, secret: "s3cret/+=".into() };

        let file = CredentialsFile::of(folder.path());
        assert_eq!(file.staged_key().unwrap(), None);
        file.keep(&hub, &key).unwrap();
        assert!(!file.exists(), "not before the commit");
        assert_eq!(file.staged_key().unwrap(), Some(id));
        file.settle(true).unwrap();
        assert_eq!(file.staged_key().unwrap(), None);
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let read = credentials::of_file(file.path(), "default").unwrap();
        assert_eq!(read.secret_access_key.expose(), "s3cret/+=");

        file.keep(&hub, &NewAccessKey { secret: "other".into(), ..key }).unwrap();
        file.settle(false).unwrap();
        let read = credentials::of_file(file.path(), "default").unwrap();
        assert_eq!(
            read.secret_access_key.expose(),
            "s3cret/+=",
            "one that was not committed changes nothing"
        );
    }
}
