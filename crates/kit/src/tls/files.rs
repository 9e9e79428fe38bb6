//! Files and folders that hold secrets: only their owner may read them, and nobody can put another in their place.
//!
//! Rules: a folder is 0700, a file 0600, both are ours and neither is a symbolic link. What breaks a rule is refused,
//! never repaired: loose modes mean that somebody may already have read it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::secret::{ExposeSecret, SecretBytes};

/// Folders: their owner alone.
const DIR_MODE: u32 = 0o700;
/// Secret files: their owner alone.
const SECRET_MODE: u32 = 0o600;
/// Certificates and the like may be read by all whom the folder lets in.
const PUBLIC_MODE: u32 = 0o644;
/// The bits that let others in.
const OTHERS: u32 = 0o077;
/// Keys, certificates and credential files are far below this.
const SECRET_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a file or folder may not hold secrets, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A symbolic link stands where the thing itself must.
    #[error("`{}` is a symbolic link; name the file or folder itself", path.display())]
    Symlink {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("`{}` is not a {expected}; move it away", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What must be there.
        expected: &'static str,
    },
    /// Others may read or write it.
    #[error(
        "`{}` has mode {mode:04o} and must be {required:04o}; others may have read it, so renew what it holds, or run \
         chmod {required:o} if you know that nobody did", path.display()
    )]
    LooseMode {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        required: u32,
    },
    /// It belongs to somebody else.
    #[error("`{}` belongs to user {owner}, this process runs as {user}; use a folder of your own", path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// It was exchanged for another while it was opened.
    #[error("`{}` changed while it was opened; see who writes there", path.display())]
    Raced {
        /// The path.
        path: PathBuf,
    },
    /// It is too long for what it should be.
    #[error("`{}` is longer than {SECRET_FILE_BYTES_MAX} bytes; it cannot be what belongs there", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl FileError {
    /// Whether the file or folder is just not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Makes the folder (mode 0700, with its parents), or verifies that the one there may hold secrets.
///
/// # Errors
/// [`FileError`] names the rule that it breaks.
pub fn secure_dir(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => verify(path, &metadata, Expected::Dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new().recursive(true).mode(DIR_MODE).create(path);
            made.map_err(|source| io_fault("create", path, source))?;
            let metadata = fs::symlink_metadata(path).map_err(|source| io_fault("look at", path, source))?;
            verify(path, &metadata, Expected::Dir)
        }
        Err(source) => Err(io_fault("look at", path, source)),
    }
}

/// Writes a file that only its owner may read: whole or not at all, in place of an earlier one.
///
/// # Errors
/// [`FileError`] when the folder is not [secure](secure_dir) or something other than such a file stands there.
pub fn write_secret_file(path: &Path, contents: &SecretBytes) -> Result<(), FileError> {
    write_file(path, contents.expose_secret(), SECRET_MODE)
}

/// Writes a file that everybody whom the folder lets in may read, such as a certificate. The folder must be secure too,
/// so that nobody can exchange it.
///
/// # Errors
/// As [`write_secret_file`].
pub fn write_public_file(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    write_file(path, contents, PUBLIC_MODE)
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// [`FileError`] names the rule that it breaks; [`FileError::is_not_found`] tells a missing one.
pub fn read_secret_file(path: &Path) -> Result<SecretBytes, FileError> {
    let before = fs::symlink_metadata(path).map_err(|source| io_fault("look at", path, source))?;
    verify(path, &before, Expected::SecretFile)?;
    let file = File::open(path).map_err(|source| io_fault("open", path, source))?;
    let opened = file.metadata().map_err(|source| io_fault("look at", path, source))?;
    // What was opened must be what was verified: whoever puts a link there in between changes one of these numbers.
    if (before.dev(), before.ino()) != (opened.dev(), opened.ino()) {
        return Err(FileError::Raced { path: path.to_owned() });
    }
    verify(path, &opened, Expected::SecretFile)?;
    let mut contents =
        Vec::with_capacity(usize::try_from(opened.len().min(SECRET_FILE_BYTES_MAX)).unwrap_or(0) + 1);
    file.take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_end(&mut contents)
        .map_err(|source| io_fault("read", path, source))?;
    if contents.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(FileError::TooLong { path: path.to_owned() });
    }
    Ok(SecretBytes::from(contents))
}

/// Reads a text that anybody may read, such as a certificate.
///
/// # Errors
/// [`FileError`] where it is not there, is no text, or is far longer than such a file is.
pub fn read_public_file(path: &Path) -> Result<String, FileError> {
    let file = File::open(path).map_err(|source| io_fault("open", path, source))?;
    let mut contents = String::new();
    file.take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut contents)
        .map_err(|source| io_fault("read", path, source))?;
    if contents.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(FileError::TooLong { path: path.to_owned() });
    }
    Ok(contents)
}

fn write_file(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let dir = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let metadata = fs::symlink_metadata(dir).map_err(|source| io_fault("look at", dir, source))?;
    verify(dir, &metadata, Expected::Dir)?;
    match fs::symlink_metadata(path) {
        Ok(there) if mode == SECRET_MODE => verify(path, &there, Expected::SecretFile)?,
        Ok(there) => verify(path, &there, Expected::PublicFile)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io_fault("look at", path, source)),
    }
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, contents, mode)
        .and_then(|()| fs::rename(&temporary, path).map_err(|source| io_fault("replace", path, source)))
        .and_then(|()| sync_dir(dir));
    if written.is_err() {
        // Nothing of a secret may lie about; that it could not be removed is less than why it could not be written.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    // `create_new` fails on whatever stands there, symbolic links included, instead of following it.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|source| io_fault("create", path, source))?;
    // The umask may have taken bits away that readers of a public file need.
    file.set_permissions(fs::Permissions::from_mode(mode))
        .and_then(|()| file.write_all(contents))
        .and_then(|()| file.sync_all())
        .map_err(|source| io_fault("write", path, source))
}

fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| io_fault("flush", dir, source))
}

/// A name that no other process of ours uses at the same time.
fn temporary_beside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

#[derive(Clone, Copy)]
enum Expected {
    Dir,
    SecretFile,
    PublicFile,
}

fn verify(path: &Path, metadata: &Metadata, expected: Expected) -> Result<(), FileError> {
    if metadata.is_symlink() {
        return Err(FileError::Symlink { path: path.to_owned() });
    }
    let (is_kind, kind, required) = match expected {
        Expected::Dir => (metadata.is_dir(), "folder", Some(DIR_MODE)),
        Expected::SecretFile => (metadata.is_file(), "regular file", Some(SECRET_MODE)),
        Expected::PublicFile => (metadata.is_file(), "regular file", None),
    };
    if !is_kind {
        return Err(FileError::Kind { path: path.to_owned(), expected: kind });
    }
    if let Some(user) = user().filter(|user| *user != metadata.uid()) {
        return Err(FileError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o7777;
    match required.filter(|_| mode & OTHERS != 0) {
        Some(required) => Err(FileError::LooseMode { path: path.to_owned(), mode, required }),
        None => Ok(()),
    }
}

/// The user this process runs as, which the standard library does not tell; on Linux its own entry in `/proc` does.
/// Where there is no `/proc`, owners are not compared: the modes still are.
fn user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

fn io_fault(action: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
