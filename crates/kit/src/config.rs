//! One configuration from three places: a TOML file, then the environment, then flags; the later one wins.
//!
//! The struct decides what exists: give it (and every struct in it) `#[serde(default, deny_unknown_fields)]`, and a
//! misspelt key is refused with the nearest right one named. In the environment `LANYARD_STORE__URL` is `store.url`.
//! Errors name the place that a bad value came from.

mod error;
mod nearest;
mod password;
mod print;
mod range;
mod source;
mod wrong;

pub use error::ConfigError;
pub use nearest::nearest;
pub use password::without_passwords;
pub use print::print_config;
pub use range::{COUNT_MAX, OutOfRange, SECONDS_MAX, in_range};
pub use source::{ENVIRONMENT_PREFIX, Environment, NOT_CONFIGURATION, Sources};

use serde::de::DeserializeOwned;

/// Reads the configuration, complete and checked for shape. What its values mean is for the caller to validate, before
/// any port is bound.
///
/// # Errors
/// [`ConfigError`] names the key, the place it came from, and what would be right.
pub fn load<T: DeserializeOwned>(sources: &Sources) -> Result<T, ConfigError> {
    source::extract(sources)
}

#[cfg(test)]
mod tests;
