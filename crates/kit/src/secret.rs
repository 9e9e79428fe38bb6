//! Values that cannot be printed: neither `Debug` nor `Display` nor serialization shows what they hold.
//!
//! Memory is wiped when the last owner drops it. To use the value, say so: `secret.expose_secret()`.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};

/// Secret bytes: keys, digests that authenticate, sealed things once opened.
pub type SecretBytes = secrecy::SecretSlice<u8>;

/// What stands where a secret would be printed.
pub const REDACTED: &str = "[redacted]";

/// What a [`ConfigSecret`] is read from. Errors that say so do not say what was there instead.
pub(crate) const EXPECTED: &str = "a secret, which is a string";

/// A secret in a configuration: read as a string, written back as [`REDACTED`], which is read as none.
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
        struct Secret;

        impl Visitor<'_> for Secret {
            type Value = ConfigSecret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ConfigSecret, E> {
                self.visit_string(text.to_owned())
            }

            fn visit_string<E: Error>(self, text: String) -> Result<ConfigSecret, E> {
                match text == REDACTED {
                    true => Err(E::custom(format_args!(
                        "`{REDACTED}` is what --print-config shows in place of a secret: put the secret itself there, or take the \
                         key out and give it in the environment"
                    ))),
                    false => Ok(ConfigSecret::from(text)),
                }
            }
        }

        deserializer.deserialize_string(Secret)
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
        let refused = serde_json::from_str::<ConfigSecret>(r#""[redacted]""#).unwrap_err().to_string();
        assert!(refused.contains("--print-config") && refused.contains("environment"), "{refused}");
    }
}
