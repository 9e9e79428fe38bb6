use lanyard_oidc::{JWKS_BYTES_MAX, Jwks, KEYS_MAX};

use super::promise;

/// An issuer's key set. Keys that cannot be used are left out, each with its reason; what is no key set is refused.
pub fn jwks(input: &[u8]) -> bool {
    let keys = match Jwks::parse(input) {
        Ok(keys) => keys,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            return false;
        }
    };
    assert!(
        input.len() <= JWKS_BYTES_MAX && keys.len() + keys.skipped().len() <= KEYS_MAX,
        "more than the limits"
    );
    for skipped in keys.skipped() {
        promise::is_one_bounded_line(&format!("{skipped:?}"));
    }
    !keys.is_empty()
}
