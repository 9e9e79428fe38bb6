//! Values that cannot be printed: neither `Debug` nor `Display` nor serialization shows what they hold.
//!
//! Memory is wiped when the last owner drops it. To use the value, say so: `secret.expose_secret()`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};

/// Secret bytes: keys, digests that authenticate, sealed things once opened.
pub type SecretBytes = secrecy::SecretSlice<u8>;

/// What stands where a secret would be printed.
pub const REDACTED: &str = "[redacted]";

/// A secret in a configuration: read as a string, written back as [`REDACTED`].
#[derive(Clone, Default)]
pub struct ConfigSecret(SecretString);

impl ConfigSecret {
    /// Takes the secret out, for the one place that uses it.
    #[must_use]
    pub fn into_inner(self) -> SecretString {
        self.0
    }
}

impl ExposeSecret<str> for ConfigSecret {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for ConfigSecret {
    fn from(value: String) -> Self {
        Self(SecretString::from(value))
    }
}

impl fmt::Debug for ConfigSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for ConfigSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for ConfigSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "correct-horse";

    #[test]
    fn a_secret_is_not_printed_in_any_way() {
        let config = ConfigSecret::from(VALUE.to_owned());
        let string = SecretString::from(VALUE);
        let bytes = SecretBytes::from(VALUE.as_bytes().to_vec());
        let printed = [
            format!("{config:?}"),
            format!("{string:?}"),
            format!("{bytes:?}"),
            serde_json::to_string(&config).unwrap(),
        ];
        for text in printed {
            assert!(!text.contains(VALUE), "{text}");
            assert!(!text.contains("99, 111, 114"), "{text}"); // the bytes of "cor"
        }
    }

    #[test]
    fn a_configured_secret_reads_as_it_is_written_in_the_file() {
        let secret: ConfigSecret = serde_json::from_str(r#""correct-horse""#).unwrap();
        assert_eq!(secret.expose_secret(), VALUE);
        assert_eq!(secret.into_inner().expose_secret(), VALUE);
    }
}
