//! Session tokens of the instance-metadata road (IMDSv2): nothing is kept of them, for each says itself until when it counts, and
//! for which address.

use std::net::IpAddr;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

/// Longest life of a session, in seconds (Amazon EC2 User Guide, "Use the Instance Metadata Service").
pub(super) const SESSION_SECONDS_MAX: u32 = 21_600;
/// Bytes of a token: its end, and the MAC over end and address.
const TOKEN_BYTES: usize = 8 + 32;

/// Makes sessions and knows them again. They end with the process: SDKs then begin another.
pub struct Sessions(hmac::Key);

/// There is no randomness to be had.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl Sessions {
    /// Under a key of its own.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn new() -> Result<Self, NoRandomness> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        key.map(Self).map_err(|_| NoRandomness)
    }

    /// A session for an address, of so many seconds.
    #[must_use]
    pub fn begin(&self, address: IpAddr, seconds: u32, now: OffsetDateTime) -> String {
        let ends = now.unix_timestamp() + i64::from(seconds.min(SESSION_SECONDS_MAX));
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.extend_from_slice(&ends.to_be_bytes());
        bytes.extend_from_slice(hmac::sign(&self.0, &signed(ends, address)).as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether the token is a session of that address, and its time is not over.
    #[must_use]
    pub fn admit(&self, token: &[u8], address: IpAddr, now: OffsetDateTime) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((ends, mac)) = bytes.split_first_chunk::<8>() else { return false };
        let ends = i64::from_be_bytes(*ends);
        hmac::verify(&self.0, &signed(ends, address), mac).is_ok() && now.unix_timestamp() < ends
    }
}

fn signed(ends: i64, address: IpAddr) -> Vec<u8> {
    let mut bytes = ends.to_be_bytes().to_vec();
    match address.to_canonical() {
        IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
    }
    bytes
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_session_is_its_addresses_until_its_end() {
        const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
        let (sessions, others) = (Sessions::new().unwrap(), Sessions::new().unwrap());
        let (one, other) = (IpAddr::from([10, 88, 0, 5]), IpAddr::from([10, 88, 0, 6]));
        let token = sessions.begin(one, 60, NOW);
        let admit = |sessions: &Sessions, token: &str, address, seconds| {
            sessions.admit(token.as_bytes(), address, NOW + Duration::seconds(seconds))
        };
        assert!(admit(&sessions, &token, one, 59));
        assert!(!admit(&sessions, &token, one, 60), "over");
        assert!(!admit(&sessions, &token, other, 0), "another pod's");
        assert!(!admit(&others, &token, one, 0), "of another process");
        let mut longer = token.clone().into_bytes();
        longer[6] ^= 1;
        for text in ["", "x", "====", std::str::from_utf8(&longer).unwrap()] {
            assert!(!admit(&sessions, text, one, 0), "{text}");
        }
        let endless = sessions.begin(one, u32::MAX, NOW);
        assert!(!admit(&sessions, &endless, one, i64::from(SESSION_SECONDS_MAX)));
    }
}
