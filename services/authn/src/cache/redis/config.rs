//! What can be said about the Redis behind the token cache.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanyard_kit::{ConfigSecret, ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::address::{Address, Place};

/// Where the Redis is, how it lets us in, and how long it may take. What is not there, or slow, is done without.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://host[:port][/database]`, `redis-sentinel://host[:port],…/master[/database]` or
    /// `redis-cluster://host[:port],…`; `rediss`, `rediss-sentinel` and `rediss-cluster` for TLS.
    pub url: String,
    /// The ACL user; `default` without one.
    pub username: Option<String>,
    /// Its password. For the environment (`LANYARD_AUTHN__TOKEN_CACHE__REDIS__PASSWORD`), so that it is on no disk.
    pub password: Option<ConfigSecret>,
    /// A file with the password, a line break at its end not counted.
    pub password_file: Option<PathBuf>,
    /// A PEM file with the authorities that its certificate is verified by: these alone. Without one those of the system
    /// count.
    pub ca_file: Option<PathBuf>,
    /// How the Sentinels let us in, where they want a password of their own.
    pub sentinel: RedisLogin,
    /// How long an answer may take; then STS is asked instead. A call to STS takes some ten times as long.
    pub get_milliseconds: u32,
    /// How long it may take to put one there. Nobody waits for it.
    pub put_milliseconds: u32,
    /// How long each step of connecting may take: to a Sentinel, to the server, to the cluster.
    pub connect_milliseconds: u32,
    /// Questions on their way at once; for more STS is asked.
    pub in_flight_max: u32,
    /// Answers that wait to be put there; more are dropped.
    pub puts_waiting_max: u32,
    /// So many failures in a row, and it is left alone for a while.
    pub failures_max: u32,
    /// For so long, from half of it to one and a half, so that replicas do not come back all at once.
    pub pause_milliseconds: u32,
}

/// How a Sentinel lets us in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisLogin {
    /// The ACL user; `default` without one.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<ConfigSecret>,
    /// A file with the password, a line break at its end not counted.
    pub password_file: Option<PathBuf>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            sentinel: RedisLogin::default(),
            get_milliseconds: 20,
            put_milliseconds: 50,
            connect_milliseconds: 1_000,
            in_flight_max: 256,
            puts_waiting_max: 1_024,
            failures_max: 5,
            pause_milliseconds: 1_000,
        }
    }
}

/// A password is far shorter.
const PASSWORD_FILE_BYTES_MAX: u64 = 4_096;

/// A value that breaks its rule. None holds the URL: a password may stand in one by mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedis {
    /// Not the URL of a Redis.
    #[error(
        "authn.token_cache.redis.url {0}; write redis://host[:port][/database], \
         redis-sentinel://host[:port],host[:port]/master[/database] or redis-cluster://host[:port],host[:port], with rediss \
         in place of redis for TLS"
    )]
    Url(&'static str),
    /// A number out of range.
    #[error("authn.token_cache.redis.{key}: `{value}` is out of range, use {min} to {max}")]
    Range {
        /// The key.
        key: &'static str,
        /// What was given.
        value: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// Two passwords.
    #[error(
        "authn.token_cache.redis.{0}: give `password` or `password_file`, the password comes from one place"
    )]
    TwoPasswords(&'static str),
    /// A user without a password.
    #[error("authn.token_cache.redis.{0}: a user needs a password, give `password` or `password_file` too")]
    NoPassword(&'static str),
    /// A password file that cannot be used.
    #[error(
        "authn.token_cache.redis.{key}: `{}` {reason}; give a file that holds the password and nothing else",
        path.display()
    )]
    PasswordFile {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of authorities that cannot be used.
    #[error(
        "authn.token_cache.redis.ca_file: `{}` {reason}; give a PEM file with the certificate of the authority that signed \
         the server's, or leave the key out where that is one of the system's",
        path.display()
    )]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Authorities, and no TLS.
    #[error(
        "authn.token_cache.redis.ca_file: the url is one without TLS, and the file would verify nothing; begin the url with \
         rediss, or leave the file out"
    )]
    CaFileWithoutTls,
    /// How Sentinels let us in, and no Sentinels.
    #[error(
        "authn.token_cache.redis.sentinel: the url names no Sentinels; leave it out, or begin the url with redis-sentinel"
    )]
    NoSentinels,
    /// The driver does not take it.
    #[error("authn.token_cache.redis: {0}; see url and ca_file")]
    Driver(String),
}

/// What was said, judged and read.
pub(super) struct Options {
    pub(super) address: Address,
    pub(super) login: Login,
    pub(super) sentinel_login: Login,
    pub(super) ca_pem: Option<String>,
    pub(super) get: Duration,
    pub(super) put: Duration,
    pub(super) connect: Duration,
    pub(super) pause: Duration,
    pub(super) in_flight_max: usize,
    pub(super) puts_waiting_max: usize,
    pub(super) failures_max: u32,
}

/// Who we are to a server.
#[derive(Clone, Default)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
}

impl RedisConfig {
    /// Judges what types cannot, its files too.
    ///
    /// # Errors
    /// [`InvalidRedis`] names the key, the rule and the next step.
    pub fn validate(&self) -> Result<(), InvalidRedis> {
        self.options().map(drop)
    }

    /// Whether a part of it lies in files, which may be replaced while the process runs.
    pub(super) fn has_files(&self) -> bool {
        [&self.password_file, &self.ca_file, &self.sentinel.password_file].into_iter().any(Option::is_some)
    }

    pub(super) fn options(&self) -> Result<Options, InvalidRedis> {
        let address: Address = self.url.parse().map_err(InvalidRedis::Url)?;
        let ranges = [
            ("get_milliseconds", self.get_milliseconds, 1, 1_000),
            ("put_milliseconds", self.put_milliseconds, 1, 10_000),
            ("connect_milliseconds", self.connect_milliseconds, 10, 30_000),
            ("in_flight_max", self.in_flight_max, 1, 65_536),
            ("puts_waiting_max", self.puts_waiting_max, 1, 65_536),
            ("failures_max", self.failures_max, 1, 1_000),
            ("pause_milliseconds", self.pause_milliseconds, 10, 600_000),
        ];
        for (key, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                return Err(InvalidRedis::Range { key, value, min, max });
            }
        }
        if self.ca_file.is_some() && !address.tls {
            return Err(InvalidRedis::CaFileWithoutTls);
        }
        let RedisLogin { username, password, password_file } = &self.sentinel;
        let said = username.is_some() || password.is_some() || password_file.is_some();
        if said && !matches!(address.place, Place::Sentinel { .. }) {
            return Err(InvalidRedis::NoSentinels);
        }
        let sentinel_login = login(
            username,
            password,
            password_file,
            ["sentinel.username", "sentinel.password", "sentinel.password_file"],
        )?;
        let keys = ["username", "password", "password_file"];
        let milliseconds = |value: u32| Duration::from_millis(value.into());
        Ok(Options {
            login: login(&self.username, &self.password, &self.password_file, keys)?,
            sentinel_login,
            address,
            ca_pem: self.ca_file.as_deref().map(ca_pem).transpose()?,
            get: milliseconds(self.get_milliseconds),
            put: milliseconds(self.put_milliseconds),
            connect: milliseconds(self.connect_milliseconds),
            pause: milliseconds(self.pause_milliseconds),
            in_flight_max: usize::try_from(self.in_flight_max).unwrap_or(usize::MAX),
            puts_waiting_max: usize::try_from(self.puts_waiting_max).unwrap_or(usize::MAX),
            failures_max: self.failures_max,
        })
    }
}

/// The login that these say; `keys` are their names.
fn login(
    username: &Option<String>,
    password: &Option<ConfigSecret>,
    file: &Option<PathBuf>,
    keys: [&'static str; 3],
) -> Result<Login, InvalidRedis> {
    let [username_key, password_key, file_key] = keys;
    let password = match (password, file) {
        (Some(_), Some(_)) => return Err(InvalidRedis::TwoPasswords(password_key)),
        (Some(password), None) => Some(password.clone().into_inner()),
        (None, Some(path)) => {
            let fault = |reason| InvalidRedis::PasswordFile { key: file_key, path: path.clone(), reason };
            Some(password_of(path).map_err(fault)?)
        }
        (None, None) => None,
    };
    match (username, &password) {
        (Some(_), None) => Err(InvalidRedis::NoPassword(username_key)),
        _ => Ok(Login { username: username.clone(), password }),
    }
}

/// What a password file holds, or what is wrong with it. Its mode is not looked at: orchestrators mount such files as links
/// that a group may read.
fn password_of(path: &Path) -> Result<SecretString, String> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(PASSWORD_FILE_BYTES_MAX + 1).read_to_string(&mut text));
    let length = read.map_err(|error| format!("cannot be read ({error})"))?;
    let text = SecretString::from(text);
    if length as u64 > PASSWORD_FILE_BYTES_MAX {
        return Err(format!("is longer than {PASSWORD_FILE_BYTES_MAX} bytes"));
    }
    let line = text.expose_secret().strip_suffix('\n').unwrap_or(text.expose_secret());
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err("is empty".to_owned()) } else { Ok(SecretString::from(line)) }
}

fn ca_pem(path: &Path) -> Result<String, InvalidRedis> {
    let fault = |reason| InvalidRedis::CaFile { path: path.to_owned(), reason };
    lanyard_kit::tls::read_ca_file(path).map(|(_, pem)| pem).map_err(fault)
}

#[cfg(test)]
mod tests;
