//! What the shared files say of a profile, for whoever tells of it: without its secrets.

use std::{collections::BTreeMap, path::Path};

use super::{CredentialsError, Lookup, config_file, config_section, credentials_file, ini};

/// Keys of a profile whose values are nobody's to see.
const SECRET_KEYS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

/// What the shared files say of a profile, without its secrets.
#[derive(Debug, Clone, Default)]
pub struct ProfileSettings {
    /// Its name.
    pub profile: String,
    /// What the credentials file says.
    pub credentials_file: BTreeMap<String, String>,
    /// What the config file says.
    pub config_file: BTreeMap<String, String>,
}

impl ProfileSettings {
    /// A value, the credentials file's before the config file's.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        self.credentials_file.get(key).or_else(|| self.config_file.get(key)).cloned()
    }
}

impl Lookup {
    /// What the two files say of the profile in force, without its secrets.
    ///
    /// # Errors
    /// [`CredentialsError`] names a file that cannot be read.
    pub fn settings(&self) -> Result<ProfileSettings, CredentialsError> {
        let profile = self.asked().unwrap_or_else(|| "default".to_owned());
        let of = |path: &Path, section: &str| {
            let found = ini::section(path, section)?.unwrap_or_default();
            let shown = |(key, value): (String, String)| match SECRET_KEYS.contains(&key.as_str()) {
                true => (key, String::new()),
                false => (key, value),
            };
            Ok::<_, CredentialsError>(found.into_iter().map(shown).collect())
        };
        Ok(ProfileSettings {
            credentials_file: of(&credentials_file(), &profile)?,
            config_file: of(&config_file(), &config_section(&profile))?,
            profile,
        })
    }
}
