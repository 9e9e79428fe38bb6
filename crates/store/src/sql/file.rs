//! The file of a SQLite database: only its owner may read it.

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use lanyard_kit::tls::FileError;

/// Its owner alone. SQLite gives the files that it puts beside (`-wal`, `-shm`) the mode of the database's.
const MODE: u32 = 0o600;
/// The bits that let others in.
const OTHERS: u32 = 0o077;

/// Makes the file, or verifies that the one there is a file that only its owner may read.
pub(super) fn make_private(path: &Path) -> Result<(), FileError> {
    let io = |action, source| FileError::Io { action, path: path.to_owned(), source };
    // `create_new` fails on whatever stands there, symbolic links included, instead of following it.
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(io("create", source)),
    }
    let there = fs::symlink_metadata(path).map_err(|source| io("look at", source))?;
    if there.is_symlink() {
        return Err(FileError::Symlink { path: path.to_owned() });
    }
    if !there.is_file() {
        return Err(FileError::Kind { path: path.to_owned(), expected: "file" });
    }
    let mode = there.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(FileError::LooseMode { path: path.to_owned(), mode, required: MODE });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn immunity_57_the_database_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lanyard.db");
        make_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        make_private(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(make_private(&path), Err(FileError::LooseMode { mode: 0o640, .. })));

        let link = folder.path().join("link.db");
        symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(matches!(make_private(&link), Err(FileError::Symlink { .. })));
        assert!(!folder.path().join("nowhere").exists());
        assert!(matches!(make_private(folder.path()), Err(FileError::Kind { .. })));
        assert!(matches!(make_private(&folder.path().join("no/such")), Err(FileError::Io { .. })));
    }
}
