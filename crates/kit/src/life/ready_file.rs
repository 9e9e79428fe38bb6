//! The ready-file: it says for scripts that everything answers, and where, as long as that is so.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tracing::info;

use super::Life;

/// The ready-file cannot be written, or one of before not be removed.
#[derive(Debug, thiserror::Error)]
#[error("ready-file `{}`", path.display())]
pub struct ReadyFileError {
    path: PathBuf,
    source: io::Error,
}

/// Where a process says that everything answers; the file is gone when this is dropped.
#[derive(Debug)]
pub struct ReadyFile {
    path: PathBuf,
    /// What this process wrote there. It is held open and locked: others see by that that whoever wrote it lives, and the system gives its
    /// number to no file that another process puts in its place.
    own: Option<File>,
}

impl ReadyFile {
    /// Takes away what a process of before has left there: nobody answers where it says. That of a process which lives stays until
    /// this one has something to say itself, for it may end without that.
    ///
    /// # Errors
    /// When what is left cannot be removed.
    pub fn begin(path: &Path) -> Result<Self, ReadyFileError> {
        let begun = Self { path: path.to_owned(), own: None };
        if is_somebodys(path) {
            return Ok(begun);
        }
        match remove(path) {
            Ok(()) => Ok(begun),
            Err(source) => Err(begun.fault(source)),
        }
    }

    /// Writes it whole or not at all, so that who waits for it never reads half.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn write(&mut self, contents: &[u8]) -> Result<(), ReadyFileError> {
        match self.put(contents) {
            Ok(own) => self.own = own,
            Err(source) => return Err(self.fault(source)),
        }
        Ok(())
    }

    fn put(&self, contents: &[u8]) -> io::Result<Option<File>> {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            // Such as a pipe or /dev/stdout: it is written to, and neither replaced nor removed.
            fs::write(&self.path, contents)?;
            return Ok(None);
        }
        match self.put_whole(contents) {
            // Somebody has made the file for this process, in a folder that is not its own or as a mount: it is written where it lies.
            Err(fault) if is_in_place(&fault) => {
                let mut file = File::create(&self.path)?;
                file.write_all(contents)?;
                lock(&file);
                Ok(Some(file))
            }
            put => put.map(Some),
        }
    }

    fn put_whole(&self, contents: &[u8]) -> io::Result<File> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}.partial", std::process::id()));
        let half = PathBuf::from(name);
        // Of a process of before that had this one's number.
        remove(&half)?;
        let mut file = File::create_new(&half)?;
        let put = file.write_all(contents).and_then(|()| {
            lock(&file);
            fs::rename(&half, &self.path)
        });
        if put.is_err() {
            // What is told is why it could not be put in its place.
            let _ = remove(&half);
        }
        put.map(|()| file)
    }

    /// Whether what is there is what this process wrote, and not of another that has begun since.
    fn is_own(&self) -> bool {
        let Some(Ok(own)) = self.own.as_ref().map(File::metadata) else { return false };
        let number = (own.dev(), own.ino());
        fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == number)
    }

    fn fault(&self, source: io::Error) -> ReadyFileError {
        ReadyFileError { path: self.path.clone(), source }
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if !self.is_own() {
            return;
        }
        // There is nobody to be told: the process has ended its work.
        if remove(&self.path).is_err()
            && let Some(own) = &self.own
        {
            let _ = own.set_len(0);
        }
    }
}

/// Removes a file that is there, and nothing but a file; empties one that may not be removed.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => {}
        Ok(_) => return Ok(()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(fault),
    }
    match fs::remove_file(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(fault) if is_in_place(&fault) => File::create(path).map(drop),
        removed => removed,
    }
}

/// Whether a file may be written that cannot be replaced or removed: it is mounted there, or lies in a folder of somebody else's.
fn is_in_place(fault: &io::Error) -> bool {
    // A file that is mounted into a root that may not be written: the kernel asks about the folder first.
    matches!(
        fault.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Says that whoever wrote a file lives, as long as it is open. Where the file system has no locks nobody is told.
fn lock(file: &File) {
    let _ = file.try_lock();
}

/// Whether the process that wrote a file lives.
fn is_somebodys(path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    is_file && File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

impl Life {
    /// Says that everything answers, and where: in the log, and for scripts in the ready-file, where there is one. Nothing is said
    /// by a process that was told to stop while it started.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tell_ready(
        &self,
        about: &serde_json::Value,
        ready_file: Option<&mut ReadyFile>,
    ) -> Result<(), ReadyFileError> {
        if self.readiness().is_stopping() {
            return Ok(());
        }
        if let Some(file) = ready_file {
            file.write(format!("{about:#}\n").as_bytes())?;
        }
        info!(%about, "ready");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use serde_json::json;

    use super::*;

    const OF_BEFORE: &str = "of before";

    #[test]
    fn a_ready_file_is_there_from_its_writing_to_its_end_and_what_was_there_before_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        fs::write(&path, OF_BEFORE).unwrap();
        let mut file = ReadyFile::begin(&path).unwrap();
        assert!(!path.exists(), "where a process of before answered");
        file.write(b"here").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "here");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_can_be_neither_replaced_nor_removed_is_written_where_it_lies() {
        // EACCES and EPERM in a folder of somebody else's, EBUSY of a mount, EROFS of one in a root that is read-only; ENOSPC is a fault.
        for (number, is_in_place_there) in [(13, true), (1, true), (16, true), (30, true), (28, false)] {
            let fault = io::Error::from_raw_os_error(number);
            assert_eq!(is_in_place(&fault), is_in_place_there, "{fault}");
        }
    }

    #[test]
    fn the_ready_file_of_a_process_that_has_begun_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        let mut first = ReadyFile::begin(&path).unwrap();
        first.write(b"here").unwrap();
        drop(ReadyFile::begin(&path).unwrap());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "here",
            "who began in vain has taken nothing from who lives"
        );
        let mut second = ReadyFile::begin(&path).unwrap();
        second.write(b"there").unwrap();
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), "there", "of the second");
        drop(second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_whose_names_differ_in_their_ends_alone_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let [mut authn, mut authz] =
            ["ready.authn", "ready.authz"].map(|name| ReadyFile::begin(&folder.path().join(name)).unwrap());
        fs::write(folder.path().join("ready.partial"), OF_BEFORE).unwrap();
        authn.write(b"authn").unwrap();
        authz.write(b"authz").unwrap();
        for (name, expected) in
            [("ready.authn", "authn"), ("ready.authz", "authz"), ("ready.partial", OF_BEFORE)]
        {
            assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_is_written_where_it_lies_and_emptied_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        fs::write(&path, OF_BEFORE).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
        if fs::write(folder.path().join("other"), "").is_ok() {
            // Whom no mode stops.
            return;
        }
        let mut file = ReadyFile::begin(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        file.write(b"here").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "here");
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, OF_BEFORE).unwrap();
        symlink(&target, &path).unwrap();
        let mut file = ReadyFile::begin(&path).unwrap();
        file.write(b"here").unwrap();
        drop(file);
        assert!(path.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "here");
    }

    #[test]
    fn a_ready_file_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere").join("ready.json");
        let fault = ReadyFile::begin(&path).unwrap().write(b"here").unwrap_err();
        assert_eq!(fault.to_string(), format!("ready-file `{}`", path.display()));
    }

    #[tokio::test]
    async fn who_is_told_to_stop_while_it_starts_is_never_ready() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        let mut file = ReadyFile::begin(&path).unwrap();
        let life = Life::detached();
        life.end(std::time::Duration::ZERO).await;
        life.tell_ready(&json!({}), Some(&mut file)).unwrap();
        assert!(!path.exists());
        let life = Life::detached();
        life.tell_ready(&json!({"grpc": "here"}), Some(&mut file)).unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("}\n"));
    }
}
