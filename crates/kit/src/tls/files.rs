//! Files and folders that hold secrets: only their owner may read them, and nobody can put another in their place.
//!
//! Rules: a folder is 0700, a file 0600, both are ours and neither is a symbolic link. What breaks a rule is refused,
//! never repaired: loose modes mean that somebody may already have read it.
//!
//! One kind of link is read through: that of a Secret which Kubernetes mounts. There `key` leads to `..data/key` and `..data` to a
//! folder beside it, all of it in the mounted folder, so that whoever can change the link can change the file. Such a file may be
//! root's, and its group may read it, for so it reaches a process that is not root.

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
/// Files of a mounted Secret: `defaultMode: 0440` with the pod's `fsGroup`.
const MOUNTED_MODE: u32 = 0o440;
/// The bits that let others than their group in, or let that write.
const BEYOND_MOUNTED: u32 = 0o037;
/// The link that the kubelet turns when a mounted Secret changes.
const MOUNTED_DATA: &str = "..data";
/// Who mounts.
const ROOT: u32 = 0;
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
    /// A symbolic link leads out of its folder, where others may decide what is there.
    #[error("`{}` is a symbolic link out of its folder, to `{}`; name that file itself", path.display(), target.display())]
    LinkOutside {
        /// The path.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
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

/// Reads a file that only its owner may read, or one of a mounted Secret.
///
/// # Errors
/// [`FileError`] names the rule that it breaks; [`FileError::is_not_found`] tells a missing one.
pub fn read_secret_file(path: &Path) -> Result<SecretBytes, FileError> {
    let there = fs::symlink_metadata(path).map_err(|source| io_fault("look at", path, source))?;
    if there.is_symlink() {
        return read_verified(&target_in_folder(path)?, Expected::MountedSecret);
    }
    read_verified(path, Expected::SecretFile)
}

/// Where the link of a mounted Secret leads: to a file below the link's own folder. Any other link is refused.
fn target_in_folder(path: &Path) -> Result<PathBuf, FileError> {
    let leads_to = fs::read_link(path).map_err(|source| io_fault("follow", path, source))?;
    if path.file_name().is_none_or(|name| leads_to != Path::new(MOUNTED_DATA).join(name)) {
        return Err(FileError::Symlink { path: path.to_owned() });
    }
    let real = |path: &Path| fs::canonicalize(path).map_err(|source| io_fault("follow", path, source));
    let (folder, target) = (real(folder_of(path))?, real(path)?);
    if target.starts_with(&folder) {
        return Ok(target);
    }
    Err(FileError::LinkOutside { path: path.to_owned(), target })
}

fn read_verified(path: &Path, expected: Expected) -> Result<SecretBytes, FileError> {
    let before = fs::symlink_metadata(path).map_err(|source| io_fault("look at", path, source))?;
    verify(path, &before, expected)?;
    let file = File::open(path).map_err(|source| io_fault("open", path, source))?;
    let opened = file.metadata().map_err(|source| io_fault("look at", path, source))?;
    // What was opened must be what was verified: whoever puts a link there in between changes one of these numbers.
    if (before.dev(), before.ino()) != (opened.dev(), opened.ino()) {
        return Err(FileError::Raced { path: path.to_owned() });
    }
    verify(path, &opened, expected)?;
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
    let dir = folder_of(path);
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

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Dir,
    SecretFile,
    MountedSecret,
    PublicFile,
}

fn verify(path: &Path, metadata: &Metadata, expected: Expected) -> Result<(), FileError> {
    if metadata.is_symlink() {
        return Err(FileError::Symlink { path: path.to_owned() });
    }
    let (is_kind, kind, required) = match expected {
        Expected::Dir => (metadata.is_dir(), "folder", Some((DIR_MODE, OTHERS))),
        Expected::SecretFile => (metadata.is_file(), "regular file", Some((SECRET_MODE, OTHERS))),
        Expected::MountedSecret => (metadata.is_file(), "regular file", Some((MOUNTED_MODE, BEYOND_MOUNTED))),
        Expected::PublicFile => (metadata.is_file(), "regular file", None),
    };
    if !is_kind {
        return Err(FileError::Kind { path: path.to_owned(), expected: kind });
    }
    let is_roots = expected == Expected::MountedSecret && metadata.uid() == ROOT;
    if let Some(user) = user().filter(|user| *user != metadata.uid() && !is_roots) {
        return Err(FileError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o7777;
    match required.filter(|(_, beyond)| mode & beyond != 0) {
        Some((required, _)) => Err(FileError::LooseMode { path: path.to_owned(), mode, required }),
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
