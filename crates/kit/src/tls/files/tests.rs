use super::*;
use std::os::unix::fs::symlink;

fn secret(text: &str) -> SecretBytes {
    SecretBytes::from(text.as_bytes().to_vec())
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn dir() -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("data");
    secure_dir(&path).unwrap();
    (scratch, path)
}

#[test]
fn immunity_57_secret_files_and_folders_are_for_their_owner_alone() {
    let (_scratch, dir) = dir();
    let file = dir.join("key");
    write_secret_file(&file, &secret("one")).unwrap();
    write_secret_file(&file, &secret("two")).unwrap();
    assert_eq!((mode_of(&dir), mode_of(&file)), (0o700, 0o600));
    assert_eq!(read_secret_file(&file).unwrap().expose_secret(), b"two");
    write_public_file(&dir.join("crt"), b"open").unwrap();
    assert_eq!(mode_of(&dir.join("crt")), 0o644);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "no temporary file may be left");
}

#[test]
fn immunity_57_a_folder_with_loose_modes_or_a_symlink_in_its_place_is_refused() {
    let (scratch, dir) = dir();
    for mode in [0o755, 0o750, 0o770, 0o701, 0o1777] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(secure_dir(&dir), Err(FileError::LooseMode { .. })), "{mode:o}");
        let written = write_secret_file(&dir.join("key"), &secret("x"));
        assert!(matches!(written, Err(FileError::LooseMode { .. })), "{mode:o}");
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    let link = scratch.path().join("link");
    symlink(&dir, &link).unwrap();
    assert!(matches!(secure_dir(&link), Err(FileError::Symlink { .. })));
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(secure_dir(&file), Err(FileError::Kind { expected: "folder", .. })));
}

#[test]
fn immunity_57_a_secret_file_with_loose_modes_is_neither_read_nor_replaced() {
    let (_scratch, dir) = dir();
    let file = dir.join("key");
    write_secret_file(&file, &secret("x")).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(read_secret_file(&file), Err(FileError::LooseMode { .. })), "{mode:o}");
        let written = write_secret_file(&file, &secret("y"));
        assert!(matches!(written, Err(FileError::LooseMode { .. })), "{mode:o}");
    }
}

#[test]
fn immunity_57_a_symlink_is_neither_read_through_nor_written_through() {
    let (scratch, dir) = dir();
    let victim = scratch.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    let link = dir.join("key");
    symlink(&victim, &link).unwrap();
    assert!(matches!(read_secret_file(&link), Err(FileError::Symlink { .. })));
    assert!(matches!(write_secret_file(&link, &secret("x")), Err(FileError::Symlink { .. })));
    assert!(matches!(write_public_file(&link, b"x"), Err(FileError::Symlink { .. })));
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    symlink(scratch.path().join("nowhere"), dir.join("dangling")).unwrap();
    assert!(matches!(write_secret_file(&dir.join("dangling"), &secret("x")), Err(FileError::Symlink { .. })));
    assert!(!scratch.path().join("nowhere").exists());
}

/// A folder as the kubelet mounts a Secret: `key` → `..data/key`, `..data` → `..first`.
fn mounted(dir: &Path, version: &str, text: &str, mode: u32) {
    fs::create_dir(dir.join(version)).unwrap();
    let file = dir.join(version).join("key");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    symlink(version, dir.join("..new")).unwrap();
    fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    if fs::symlink_metadata(dir.join("key")).is_err() {
        symlink("..data/key", dir.join("key")).unwrap();
    }
}

#[test]
fn immunity_57_a_mounted_secret_is_read_through_its_links_and_never_written() {
    let (_scratch, dir) = dir();
    mounted(&dir, "..first", "one", 0o440);
    let read = || read_secret_file(&dir.join("key")).unwrap().expose_secret().to_vec();
    assert_eq!(read(), b"one");
    mounted(&dir, "..second", "two", 0o400);
    assert_eq!(read(), b"two", "the kubelet turns one link");
    assert!(matches!(write_secret_file(&dir.join("key"), &secret("x")), Err(FileError::Symlink { .. })));
    for (number, mode) in [0o444, 0o460, 0o640 | 0o020, 0o604, 0o777].into_iter().enumerate() {
        mounted(&dir, &format!("..loose{number}"), "x", mode);
        let refused = read_secret_file(&dir.join("key")).unwrap_err();
        assert!(matches!(refused, FileError::LooseMode { required: 0o440, .. }), "{mode:o}: {refused}");
    }
}

#[test]
fn immunity_57_a_link_that_leads_out_of_its_folder_or_nowhere_is_refused() {
    let (scratch, dir) = dir();
    mounted(&dir, "..first", "one", 0o400);
    let elsewhere = scratch.path().join("data-elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    mounted(&elsewhere, "..first", "theirs", 0o400);
    fs::remove_file(dir.join("..data")).unwrap();
    symlink(&elsewhere, dir.join("..data")).unwrap();
    let refused = read_secret_file(&dir.join("key")).unwrap_err();
    assert!(matches!(refused, FileError::LinkOutside { .. }), "{refused}");
    fs::remove_file(dir.join("..data")).unwrap();
    symlink("..gone", dir.join("..data")).unwrap();
    write_secret_file(&dir.join("own"), &secret("own")).unwrap();
    assert!(read_secret_file(&dir.join("key")).unwrap_err().is_not_found());
    for (name, target) in
        [("beside", "own"), ("folder", "..first"), ("circle", "circle"), ("other", "..data/key")]
    {
        symlink(target, dir.join(name)).unwrap();
        let refused = read_secret_file(&dir.join(name)).unwrap_err();
        assert!(matches!(refused, FileError::Symlink { .. }), "{name}, which no kubelet makes: {refused}");
    }
}

#[test]
fn a_missing_file_is_told_from_a_refused_one() {
    let (_scratch, dir) = dir();
    assert!(read_secret_file(&dir.join("none")).unwrap_err().is_not_found());
    fs::create_dir(dir.join("folder")).unwrap();
    let refused = read_secret_file(&dir.join("folder")).unwrap_err();
    assert!(matches!(refused, FileError::Kind { expected: "regular file", .. }) && !refused.is_not_found());
}

#[test]
fn an_overlong_file_is_refused_before_it_fills_the_memory() {
    let (_scratch, dir) = dir();
    let file = dir.join("key");
    write_secret_file(&file, &secret("")).unwrap();
    let length = SECRET_FILE_BYTES_MAX + 1;
    OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
    assert!(matches!(read_secret_file(&file), Err(FileError::TooLong { .. })));
}
