//! What the shared files say of a profile, for whoever tells of it: without its secrets.

use std::collections::BTreeMap;

use super::{CredentialsError, Lookup, config_file, credentials_file, ini, profile_files};

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
    /// What the two files say of the profile in force, without its secrets. One that somebody named has to be there, as for AWS's
    /// tools (`botocore.exceptions.ProfileNotFound`), also where the environment has keys.
    ///
    /// # Errors
    /// [`CredentialsError`] names a file that cannot be read, or the profile that is in none.
    pub fn settings(&self) -> Result<ProfileSettings, CredentialsError> {
        let asked = self.asked();
        let profile = asked.clone().unwrap_or_else(|| "default".to_owned());
        let credentials_section = ini::of_credentials(&credentials_file(), &profile)?;
        let config_section = ini::of_config(&config_file(), &profile)?;
        if let (Some(profile), None, None) = (asked, &credentials_section, &config_section) {
            return Err(CredentialsError::NoProfile { profile, files: profile_files() });
        }
        Ok(ProfileSettings {
            credentials_file: without_secrets(credentials_section),
            config_file: without_secrets(config_section),
            profile,
        })
    }
}

fn without_secrets(section: Option<ini::Section>) -> BTreeMap<String, String> {
    let shown = |(key, value): (String, String)| match SECRET_KEYS.contains(&key.as_str()) {
        true => (key, String::new()),
        false => (key, value),
    };
    section.unwrap_or_default().into_iter().map(shown).collect()
}
