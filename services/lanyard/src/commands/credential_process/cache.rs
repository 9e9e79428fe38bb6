//! The session that is kept between two commands: a file for its owner alone, and a lock beside it, so that one process at a time
//! makes a new one.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lanyard_iam::AccessKeyId;
use lanyard_kit::{
    ExposeSecret as _, SecretBytes,
    tls::{FileError, read_secret_file, secure_dir, write_secret_file},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{failure::Failure, hub::Target};

/// A session is made anew so long before its end: AWS's own tools take none that ends within ten minutes for a good one.
const RENEWED_BEFORE: time::Duration = time::Duration::minutes(10);
/// How long another process's exchange is waited for.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(45);
/// How often the lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What is kept of one hub for one key of AWS.
pub(super) struct Cache {
    file: PathBuf,
    lock: PathBuf,
}

/// The lock, held.
pub(super) struct Held(#[expect(dead_code, reason = "held for as long as it is open")] File);

/// What of the kept text has to be known.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    version: u32,
    expiration: String,
}

impl Cache {
    /// Of the hub that is called so and known by this CA, for the key that signs the exchange. So a new login of AWS is exchanged anew,
    /// and what was kept of a hub is nothing to another one.
    pub(super) fn of(target: &Target, key: &AccessKeyId, seconds: u32) -> Result<Self, Failure> {
        let folder = folder(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"))?;
        secure_dir(&folder).map_err(|error| cannot_be_kept(&error))?;
        let mut hash = Sha256::new();
        for part in [&target.url, &target.ca_pem, key.as_str(), &seconds.to_string()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let name = hex::encode(hash.finalize());
        Ok(Self { file: folder.join(format!("{name}.json")), lock: folder.join(format!("{name}.lock")) })
    }

    /// What is kept, where that is good for a while yet. What cannot be read is made anew.
    pub(super) fn read(&self, now: OffsetDateTime) -> Option<String> {
        let (text, end) = kept(&self.file)?;
        (end - RENEWED_BEFORE > now).then_some(text)
    }

    /// Waits until no other process exchanges.
    pub(super) async fn lock(&self) -> Result<Held, Failure> {
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock);
        let file = open.map_err(|error| cannot_be_locked(&self.lock, &error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT_MAX => {
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::NoAnswer(format!(
                        "another `lanyard credential-process` has held `{}` for {} s: try again, or see what keeps it",
                        self.lock.display(),
                        LOCK_WAIT_MAX.as_secs()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(cannot_be_locked(&self.lock, &error)),
            }
        }
    }

    /// Keeps a session in place of an earlier one, and takes away those that are over.
    pub(super) fn write(&self, _: &Held, text: &str, now: OffsetDateTime) -> Result<(), Failure> {
        let written = write_secret_file(&self.file, &SecretBytes::from(text.as_bytes().to_vec()));
        written.map_err(|error| cannot_be_kept(&error))?;
        self.sweep(now);
        Ok(())
    }

    /// Each login of AWS has a key of its own, and with it a file here: those of sessions that are over go, with their locks. Who waits
    /// for such a lock meanwhile may exchange beside the next one, and no harm comes of that.
    fn sweep(&self, now: OffsetDateTime) {
        let Some(entries) = self.file.parent().and_then(|folder| fs::read_dir(folder).ok()) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_session = path.extension().is_some_and(|extension| extension == "json");
            if is_session && path != self.file && kept(&path).is_some_and(|(_, end)| end < now) {
                // What cannot be taken away is of no use to anybody, and in nobody's way.
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(path.with_extension("lock"));
            }
        }
    }
}

/// What a file keeps, and when that ends; none where it cannot be read.
fn kept(file: &Path) -> Option<(String, OffsetDateTime)> {
    let bytes = read_secret_file(file).ok()?;
    let text = std::str::from_utf8(bytes.expose_secret()).ok()?;
    let kept: Kept = serde_json::from_str(text).ok()?;
    let end = OffsetDateTime::parse(&kept.expiration, &Rfc3339).ok()?;
    (kept.version == 1).then(|| (text.to_owned(), end))
}

/// `$XDG_CACHE_HOME/lanyard/sessions`, or `~/.cache/lanyard/sessions`. A relative one is none (XDG Base Directory Specification): sessions
/// would lie wherever the command happens to be started.
fn folder(cache: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, Failure> {
    let whole = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = whole(cache).or_else(|| Some(whole(home)?.join(".cache")));
    let cache = cache.ok_or_else(|| {
        Failure::usage(
            "there is no folder to keep the session in: set HOME, or XDG_CACHE_HOME to a folder of your own",
        )
    })?;
    Ok(cache.join("lanyard").join("sessions"))
}

fn cannot_be_kept(error: &FileError) -> Failure {
    Failure::usage(format!("the session cannot be kept: {error}; set XDG_CACHE_HOME to a folder of your own"))
}

fn cannot_be_locked(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!(
        "`{}` cannot be locked: {error}; set XDG_CACHE_HOME to a folder of your own",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SESSION: &str =
        r#"{"Version":1,"AccessKeyId":"LSIAAAAAAAAAAAAAAAAA","Expiration":"2026-01-01T12:00:00Z"}"#;

    fn cache(folder: &Path) -> Cache {
        Cache { file: folder.join("x.json"), lock: folder.join("x.lock") }
    }

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    fn private() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    #[tokio::test]
    async fn a_session_is_kept_for_its_owner_until_ten_minutes_before_its_end() {
        let folder = private();
        let cache = cache(folder.path());
        assert_eq!(cache.read(at("2026-01-01T11:00:00Z")), None);
        let held = cache.lock().await.unwrap();
        cache.write(&held, SESSION, at("2026-01-01T11:00:00Z")).unwrap();
        assert_eq!(cache.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(cache.read(at("2026-01-01T11:49:59Z")).as_deref(), Some(SESSION));
        assert_eq!(cache.read(at("2026-01-01T11:50:00Z")), None);
        for spoilt in ["", "{}", r#"{"Version":2,"Expiration":"2026-01-01T12:00:00Z"}"#] {
            cache.write(&held, spoilt, at("2026-01-01T11:00:00Z")).unwrap();
            assert_eq!(cache.read(at("2026-01-01T11:00:00Z")), None, "{spoilt}");
        }
    }

    #[tokio::test]
    async fn immunity_57_what_others_may_read_is_not_taken() {
        let folder = private();
        let (cache, now) = (cache(folder.path()), at("2026-01-01T11:00:00Z"));
        cache.write(&cache.lock().await.unwrap(), SESSION, now).unwrap();
        fs::set_permissions(&cache.file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(cache.read(now), None);
        assert!(cache.write(&cache.lock().await.unwrap(), SESSION, now).is_err());
    }

    #[tokio::test]
    async fn what_is_over_goes_with_the_next_session() {
        let folder = private();
        let of = |name: &str| Cache {
            file: folder.path().join(format!("{name}.json")),
            lock: folder.path().join(format!("{name}.lock")),
        };
        let over = SESSION.replace("12:00:00", "10:59:59");
        for (name, text) in [("over", over.as_str()), ("good", SESSION), ("spoilt", "{}")] {
            let cache = of(name);
            cache.write(&cache.lock().await.unwrap(), text, at("2026-01-01T09:00:00Z")).unwrap();
        }
        let own = of("own");
        own.write(&own.lock().await.unwrap(), &over, at("2026-01-01T11:00:00Z")).unwrap();
        let is_there = |name: &str| (of(name).file.exists(), of(name).lock.exists());
        assert_eq!(is_there("over"), (false, false));
        for name in ["good", "spoilt", "own"] {
            assert_eq!(is_there(name), (true, true), "{name}");
        }
    }

    #[test]
    fn sessions_lie_in_ones_own_folder_wherever_the_command_is_started() {
        let of = |cache: &str, home: &str| folder(Some(cache.into()), Some(home.into())).ok();
        assert_eq!(of("/c", "/h"), Some(PathBuf::from("/c/lanyard/sessions")));
        for none in ["", "c", "./c"] {
            assert_eq!(of(none, "/h"), Some(PathBuf::from("/h/.cache/lanyard/sessions")), "{none}");
            assert_eq!(of(none, none), None, "{none}");
        }
        let said = folder(None, None).unwrap_err().to_string();
        assert!(said.contains("set HOME, or XDG_CACHE_HOME"), "{said}");
    }

    #[tokio::test]
    async fn one_process_at_a_time_has_the_lock() {
        let folder = private();
        let cache = cache(folder.path());
        let held = cache.lock().await.unwrap();
        let other = OpenOptions::new().write(true).open(&cache.lock).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
