//! Finding credentials as AWS tools do: environment, then profile, then the profile's `credential_process`.

mod expand;
mod ini;
mod process;
mod settings;
mod words;

use std::{
    env,
    path::{Path, PathBuf},
};

use lanyard_iam::{AccessKeyId, Credentials, SecretAccessKey, SessionToken};

pub use settings::ProfileSettings;

/// In a profile: the certificate by which calls to the hub are signed.
const CERTIFICATE_KEY: &str = "client_certificate";
/// In a profile: its key.
const KEY_KEY: &str = "client_key";
/// Keys of a profile by which AWS's own tools come to credentials, and this program does not.
const NOT_READ: [&str; 6] = [
    "role_arn",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "login_session",
];
/// Set for a command that `lanyard credential-process` runs, so that it is not run again by that one.
pub const WITHIN: &str = "LANYARD_WITHIN_CREDENTIAL_PROCESS";
/// Most profiles that are sources of one another.
const SOURCES_MAX: usize = 16;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nothing was configured anywhere, and nobody chose anything: another may stand in.
    #[error(
        "no credentials: profile `{profile}` has none in {files}, and AWS_ACCESS_KEY_ID is not set, or does not count beside --profile; \
         set it with AWS_SECRET_ACCESS_KEY, or name another profile with --profile or AWS_PROFILE (`lanyard serve` writes one for its \
         administrator)"
    )]
    None {
        /// The profile looked for.
        profile: String,
        /// The files looked at.
        files: String,
    },
    /// A profile, or a file of profiles, was chosen and has no credentials. Nobody else stands in for whom it means.
    #[error(
        "no credentials: profile `{profile}` has none in {files}, and AWS_ACCESS_KEY_ID is not set, or does not count beside --profile; \
         add aws_access_key_id with aws_secret_access_key, or a credential_process, or name another profile with --profile or \
         AWS_PROFILE; a hub's administrator signs only where none of --profile, AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE and \
         AWS_CONFIG_FILE says who does{unread}"
    )]
    NoKeys {
        /// The profile looked for.
        profile: String,
        /// The files looked at.
        files: String,
        /// What it has that only AWS's own tools read, and what to do then; else empty.
        unread: String,
    },
    /// A profile that was asked for does not exist.
    #[error("profile `{profile}` is not in {files}: name another with --profile or AWS_PROFILE")]
    NoProfile {
        /// The profile asked for.
        profile: String,
        /// The files looked at.
        files: String,
    },
    /// Half of a pair.
    #[error("{place} has `{have}` without `{lack}`: give both")]
    Half {
        /// Where: the environment, or a profile.
        place: String,
        /// What is there.
        have: &'static str,
        /// What is not.
        lack: &'static str,
    },
    /// A certificate where a key is needed.
    #[error(
        "profile `{profile}` has a client certificate, which signs calls to the hub and no tokens of clusters: add \
         aws_access_key_id and aws_secret_access_key, or name another with --profile"
    )]
    OnlyCertificate {
        /// Whose.
        profile: String,
    },
    /// An access key id of the wrong form.
    #[error("the access key id in {place} is not one: 16 to 128 letters, digits and `_`")]
    AccessKeyId {
        /// Where.
        place: String,
    },
    /// A file that cannot be read.
    #[error("`{path}` cannot be read: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        reason: std::io::Error,
    },
    /// A line that is none.
    #[error("`{path}` line {line} is neither `[section]` nor `key = value`")]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A value that takes in the lines below its own, which may hold secrets: its text is nobody's to see.
    #[error(
        "`{path}` line {line}: the value of `{key}` goes on in deeper lines, as only that of `credential_process` may here: begin each \
         line below where line {line} begins, if it is a setting of its own"
    )]
    Deeper {
        /// Which file.
        path: PathBuf,
        /// The key's, from 1.
        line: usize,
        /// Whose value it is.
        key: String,
    },
    /// `credential_process` failed.
    #[error("the credential_process of profile `{profile}` {reason}")]
    Process {
        /// Whose.
        profile: String,
        /// What it did.
        reason: String,
    },
}

/// Where to look; every part defaults as AWS tools have it.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// `--profile`; then the environment's keys are not used.
    pub profile: Option<String>,
}

/// A profile's settings, or the environment's.
#[derive(Debug)]
pub struct Found {
    /// What to sign with.
    pub credentials: Credentials,
    /// `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's.
    pub region: Option<String>,
    /// Whether somebody chose them.
    pub origin: Origin,
}

/// How credentials came to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By the environment, or by a profile or file that was named.
    Chosen,
    /// They stand in the default profile of the default files.
    DefaultProfile,
}

impl Lookup {
    /// Finds credentials.
    ///
    /// # Errors
    /// [`CredentialsError`] names the place and what is wrong there.
    pub fn find(&self) -> Result<Found, CredentialsError> {
        self.find_by(process::Caller::Command)
    }

    /// The same for `lanyard credential-process`: a command that is run for them is told by [`WITHIN`] not to call that again.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_within_process(&self) -> Result<Found, CredentialsError> {
        self.find_by(process::Caller::CredentialProcess)
    }

    fn find_by(&self, caller: process::Caller) -> Result<Found, CredentialsError> {
        let region = region_of_environment();
        if self.profile.is_none()
            && let Some(credentials) = from_environment()?
        {
            return Ok(Found { credentials, region, origin: Origin::Chosen });
        }
        let profile = self.profile()?;
        let (place, asked) = (format!("profile `{}`", profile.name), self.asked());
        let named_file = ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"]
            .into_iter()
            .any(|name| variable(name).is_some());
        let origin = if asked.is_some() || named_file { Origin::Chosen } else { Origin::DefaultProfile };
        if profile.sections.is_empty() {
            return Err(match asked {
                Some(profile) => CredentialsError::NoProfile { profile, files: profile_files() },
                None => profile.without_keys(origin),
            });
        }
        let get = |key: &str| profile.get(key).map(|(value, _)| value.to_owned());
        let region = region.or_else(|| get("region"));
        let pair = (get("aws_access_key_id"), get("aws_secret_access_key"));
        if let Some(credentials) = assemble(pair, get("aws_session_token"), &place)? {
            return Ok(Found { credentials, region, origin });
        }
        match get("credential_process") {
            Some(command) => {
                Ok(Found { credentials: process::run(&profile.name, &command, caller)?, region, origin })
            }
            None if profile.certificate()?.is_some() => {
                Err(CredentialsError::OnlyCertificate { profile: profile.name })
            }
            None => Err(profile.without_keys(origin)),
        }
    }

    /// The certificate by which calls to the hub are signed, before any key: that of the profile. None where it has none, or where
    /// the environment has keys and no profile is named.
    ///
    /// # Errors
    /// [`CredentialsError`] names the place and what is wrong there.
    pub fn certificate(&self) -> Result<Option<CertificateFiles>, CredentialsError> {
        if self.profile.is_none() && from_environment()?.is_some() {
            return Ok(None);
        }
        self.profile()?.certificate()
    }

    /// The profile, of those that the credentials come from, whose `credential_process` is `lanyard credential-process`: that one
    /// itself, or one that it names as its source.
    ///
    /// # Errors
    /// [`CredentialsError`] names a file that cannot be read.
    pub fn comes_back(&self) -> Result<Option<String>, CredentialsError> {
        if self.profile.is_none() && from_environment()?.is_some() {
            return Ok(None);
        }
        let mut profile = self.profile()?;
        for _ in 0..SOURCES_MAX {
            if profile.get("credential_process").is_some_and(|(command, _)| process::is_this(command)) {
                return Ok(Some(profile.name));
            }
            let Some((source, _)) = profile.get("source_profile") else { break };
            profile = Profile::read(source.to_owned(), credentials_file(), config_file())?;
        }
        Ok(None)
    }

    /// What the profile's `credential_process` prints, although the files may have keys of it too.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn of_process(&self) -> Result<Credentials, CredentialsError> {
        let profile = self.profile()?;
        let command = profile.get("credential_process").map(|(command, _)| command.to_owned());
        let command = command.ok_or_else(|| CredentialsError::None {
            profile: profile.name.clone(),
            files: profile_files(),
        })?;
        process::run(&profile.name, &command, process::Caller::Command)
    }

    /// The region that the environment or the profile names.
    ///
    /// # Errors
    /// [`CredentialsError`] names a file that cannot be read.
    pub fn region(&self) -> Result<Option<String>, CredentialsError> {
        match region_of_environment() {
            Some(region) => Ok(Some(region)),
            None => Ok(self.profile()?.get("region").map(|(region, _)| region.to_owned())),
        }
    }

    /// The profile that was asked for.
    #[must_use]
    pub fn asked(&self) -> Option<String> {
        self.profile.clone().or_else(|| variable("AWS_PROFILE"))
    }

    fn profile(&self) -> Result<Profile, CredentialsError> {
        let name = self.asked().unwrap_or_else(|| "default".to_owned());
        Profile::read(name, credentials_file(), config_file())
    }
}

/// Where a profile's certificate and its key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate with those above it, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// What the two files say of a profile, the credentials file first.
struct Profile {
    name: String,
    sections: Vec<(ini::Section, PathBuf)>,
}

impl Profile {
    fn read(name: String, credentials: PathBuf, config: PathBuf) -> Result<Self, CredentialsError> {
        let of_credentials = ini::of_credentials(&credentials, &name)?.map(|section| (section, credentials));
        let of_config = ini::of_config(&config, &name)?.map(|section| (section, config));
        Ok(Self { name, sections: of_credentials.into_iter().chain(of_config).collect() })
    }

    /// A value, with the file that it stands in.
    fn get(&self, key: &str) -> Option<(&str, &Path)> {
        self.sections.iter().find_map(|(section, file)| Some((section.get(key)?.as_str(), file.as_path())))
    }

    /// A path: from the home folder where it begins with `~/`, else from the folder of the file that has it.
    fn path(&self, key: &str) -> Option<PathBuf> {
        let (value, file) = self.get(key)?;
        Some(match value.strip_prefix("~/") {
            Some(below) => home(below),
            None => file.parent().unwrap_or(Path::new("")).join(value),
        })
    }

    /// That it has no keys: only where nobody chose it is there nobody whom it means.
    fn without_keys(&self, origin: Origin) -> CredentialsError {
        let (profile, files) = (self.name.clone(), profile_files());
        match origin {
            Origin::Chosen => CredentialsError::NoKeys { profile, files, unread: self.unread() },
            Origin::DefaultProfile => CredentialsError::None { profile, files },
        }
    }

    /// What an error adds where it has something in place of keys that is not read here.
    fn unread(&self) -> String {
        let has: Vec<String> =
            NOT_READ.iter().filter(|key| self.get(key).is_some()).map(|key| format!("`{key}`")).collect();
        match has.is_empty() {
            true => String::new(),
            false => format!(
                "; of it {} is not read here: a profile with `credential_process = aws configure export-credentials --profile {}` hands \
                 over what the AWS CLI makes of that",
                has.join(", "),
                self.name
            ),
        }
    }

    fn certificate(&self) -> Result<Option<CertificateFiles>, CredentialsError> {
        let half =
            |have, lack| CredentialsError::Half { place: format!("profile `{}`", self.name), have, lack };
        match (self.path(CERTIFICATE_KEY), self.path(KEY_KEY)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(CERTIFICATE_KEY, KEY_KEY)),
            (None, Some(_)) => Err(half(KEY_KEY, CERTIFICATE_KEY)),
            (Some(certificate), Some(key)) => Ok(Some(CertificateFiles { certificate, key })),
        }
    }
}

fn region_of_environment() -> Option<String> {
    variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn from_environment() -> Result<Option<Credentials>, CredentialsError> {
    let pair = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    assemble(pair, variable("AWS_SESSION_TOKEN"), "the environment")
}

/// Credentials out of their parts; none where there is no part.
fn assemble(
    pair: (Option<String>, Option<String>),
    token: Option<String>,
    place: &str,
) -> Result<Option<Credentials>, CredentialsError> {
    let half = |have, lack| CredentialsError::Half { place: place.to_owned(), have, lack };
    match pair {
        (None, None) => Ok(None),
        (Some(_), None) => Err(half("access key id", "secret access key")),
        (None, Some(_)) => Err(half("secret access key", "access key id")),
        (Some(id), Some(secret)) => {
            let access_key_id = AccessKeyId::parse(&id)
                .map_err(|_| CredentialsError::AccessKeyId { place: place.to_owned() })?;
            Ok(Some(Credentials {
                access_key_id,
                secret_access_key: SecretAccessKey::new(secret),
                session_token: token.map(SessionToken::new),
            }))
        }
    }
}

fn home(below: &str) -> PathBuf {
    variable("HOME").map(PathBuf::from).unwrap_or_default().join(below)
}

fn credentials_file() -> PathBuf {
    named_file("AWS_SHARED_CREDENTIALS_FILE").unwrap_or_else(|| home(".aws/credentials"))
}

fn config_file() -> PathBuf {
    named_file("AWS_CONFIG_FILE").unwrap_or_else(|| home(".aws/config"))
}

/// The file that a variable names, with the variables in its path and a `~` in front of it put in, as botocore has it.
fn named_file(name: &str) -> Option<PathBuf> {
    Some(expanded(&variable(name)?, |name| env::var(name).ok()))
}

fn expanded(path: &str, value_of: impl Fn(&str) -> Option<String>) -> PathBuf {
    let path = expand::variables(path, value_of);
    match path.strip_prefix('~') {
        Some(below) if below.is_empty() || below.starts_with('/') => home(below.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

/// Both, as errors name them.
fn profile_files() -> String {
    format!("`{}` or `{}`", credentials_file().display(), config_file().display())
}

/// Reads the credentials of one profile of one file: how `lanyard` finds the administrator that `serve` made.
///
/// # Errors
/// [`CredentialsError`] names the file and what is wrong there.
pub fn of_file(path: &Path, profile: &str) -> Result<Credentials, CredentialsError> {
    let none = || CredentialsError::NoProfile {
        profile: profile.to_owned(),
        files: format!("`{}`", path.display()),
    };
    let mut section = ini::of_credentials(path, profile)?.ok_or_else(none)?;
    let mut take = |key: &str| section.remove(key);
    let pair = (take("aws_access_key_id"), take("aws_secret_access_key"));
    let token = take("aws_session_token");
    assemble(pair, token, &format!("profile `{profile}`"))?.ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn half_a_pair_is_named_and_no_pair_is_nothing() {
        assert!(assemble((None, None), None, "x").unwrap().is_none());
        assert!(matches!(assemble((some("LKIA"), None), None, "x"), Err(CredentialsError::Half { .. })));
        assert!(matches!(assemble((None, some("s")), None, "x"), Err(CredentialsError::Half { .. })));
        let bad = assemble((some("short"), some("s")), None, "x");
        assert!(matches!(bad, Err(CredentialsError::AccessKeyId { .. })));
        let good = assemble((some("LKIAAAAAAAAAAAAAAAAA"), some("s")), some("t"), "x").unwrap().unwrap();
        assert!(good.session_token.is_some());
    }

    #[test]
    fn a_profile_names_a_certificate_in_either_file_and_its_key_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, config) = (folder.path().join("credentials"), folder.path().join("config"));
        std::fs::write(&credentials, "[ana]\nclient_key = /etc/ana.key\n[half]\nclient_key = x\n").unwrap();
        std::fs::write(
            &config,
            "[profile ana]\nclient_certificate = pki/ana.crt\nregion = eu-west-1\n[profile home]\n\
             client_certificate = ~/ana.crt\nclient_key = ~/ana.key\n",
        )
        .unwrap();
        let read = |name: &str| Profile::read(name.to_owned(), credentials.clone(), config.clone()).unwrap();
        let expected = CertificateFiles {
            certificate: folder.path().join("pki/ana.crt"),
            key: PathBuf::from("/etc/ana.key"),
        };
        assert_eq!(read("ana").certificate().unwrap(), Some(expected));
        assert_eq!(read("ana").get("region").unwrap(), ("eu-west-1", config.as_path()));
        let of_home = read("home").certificate().unwrap().unwrap();
        assert_eq!((of_home.certificate, of_home.key), (home("ana.crt"), home("ana.key")));
        let error = read("half").certificate().unwrap_err().to_string();
        assert!(error.contains("`client_key` without `client_certificate`"), "{error}");
        assert_eq!(read("none").certificate().unwrap(), None);
    }

    #[test]
    fn a_file_that_a_variable_names_is_found_where_botocore_finds_it() {
        let value_of = |name: &str| (name == "X").then(|| "~/x".to_owned());
        let names = |path: &str| expanded(path, value_of);
        assert_eq!(names("~/x"), home("x"));
        assert_eq!(names("~"), home(""));
        assert_eq!(names("$X/config"), home("x/config"));
        for other in ["~ana/x", "/a/~/b", "x", "$Y/x"] {
            assert_eq!(names(other), PathBuf::from(other));
        }
    }

    #[test]
    fn a_profile_of_a_file_is_read_and_a_missing_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(
            &path,
            "# by hand\n[default]\naws_access_key_id = LKIAAAAAAAAAAAAAAAAA\naws_secret_access_key=abc=\n",
        )
        .unwrap();
        let found = of_file(&path, "default").unwrap();
        assert_eq!(found.access_key_id.as_str(), "LKIAAAAAAAAAAAAAAAAA");
        assert_eq!(found.secret_access_key.expose(), "abc=");
        let missing = of_file(&path, "other").unwrap_err().to_string();
        assert!(missing.contains("`other`"), "{missing}");
    }
}
