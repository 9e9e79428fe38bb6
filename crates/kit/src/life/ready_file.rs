//! The ready-file: it says for scripts that everything answers, and where, as long as that is so.

use std::fs::{self, File};
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
    /// What this process wrote there. It is held open, so that the system gives its number to no file that another process puts in
    /// its place.
    own: Option<File>,
}

impl ReadyFile {
    /// Takes away what a process of before has left there: nobody need answer where it says.
    ///
    /// # Errors
    /// When that cannot be removed.
    pub fn begin(path: &Path) -> Result<Self, ReadyFileError> {
        let begun = Self { path: path.to_owned(), own: None };
        match begun.remove() {
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
        let half = self.path.with_extension("partial");
        let mut file = File::create(&half)?;
        file.write_all(contents)?;
        fs::rename(&half, &self.path)?;
        Ok(Some(file))
    }

    /// Removes a file that is there, and nothing but a file.
    fn remove(&self) -> io::Result<()> {
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(there) if there.is_file() => fs::remove_file(&self.path),
            Ok(_) => Ok(()),
            Err(fault) => Err(fault),
        };
        removed.or_else(|fault| if fault.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(fault) })
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
        if self.is_own() {
            // There is nobody to be told: the process has ended its work.
            let _ = self.remove();
        }
    }
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
    use std::os::unix::fs::symlink;

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
    fn the_ready_file_of_a_process_that_has_begun_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        let mut first = ReadyFile::begin(&path).unwrap();
        first.write(b"here").unwrap();
        let mut second = ReadyFile::begin(&path).unwrap();
        assert!(!path.exists());
        second.write(b"here").unwrap();
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), "here", "of the second");
        drop(second);
        assert!(!path.exists());
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
