//! The chain of HMACs from a secret to a signature.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{ALGORITHM, AmzDate, SCOPE_END, hex_of};
use crate::id::SecretAccessKey;

type HmacSha256 = Hmac<Sha256>;

/// Block size of SHA-256, to which HMAC pads its keys.
const BLOCK_BYTES: usize = 64;

/// A key that signs for one secret, day, region and service. Deriving it takes four HMACs; keep it while the day lasts.
/// Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(HmacSha256);

impl SigningKey {
    /// Derives the key. `day` is the scope's, `YYYYMMDD` ([`AmzDate::day`]).
    #[must_use]
    pub fn derive(secret: &SecretAccessKey, day: &str, region: &str, service: &str) -> Self {
        let secret = secret.expose();
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.as_bytes());
        let mut key = hmac_keyed(&first);
        for part in [day, region, service, SCOPE_END] {
            let tag = Zeroizing::new(tag_of(key, part.as_bytes()));
            key = hmac_keyed(tag.as_slice());
        }
        Self(key)
    }

    /// Signs a string to sign.
    pub(crate) fn sign(&self, text: &StringToSign<'_>) -> Signature {
        let mut mac = self.0.clone();
        for part in
            [ALGORITHM, "\n", text.date.as_str(), "\n", text.date.day(), "/", text.region, "/", text.service]
        {
            mac.update(part.as_bytes());
        }
        for part in ["/", SCOPE_END, "\n"] {
            mac.update(part.as_bytes());
        }
        mac.update(&hex_of(&text.canonical_request_sha256));
        Signature(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What is signed: the algorithm, the date, the scope and the hash of the canonical request.
pub(crate) struct StringToSign<'a> {
    pub(crate) date: AmzDate,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) canonical_request_sha256: [u8; 32],
}

/// A key shorter than a block is padded with zeros, a longer one hashed first: HMAC's own rule, done here so that
/// there is no length that could fail.
fn hmac_keyed(key: &[u8]) -> HmacSha256 {
    let mut block = Zeroizing::new([0u8; BLOCK_BYTES]);
    let hashed;
    let key = if key.len() > BLOCK_BYTES {
        hashed = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(key)));
        hashed.as_slice()
    } else {
        key
    };
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    HmacSha256::new(&(*block).into())
}

fn tag_of(mut mac: HmacSha256, data: &[u8]) -> [u8; 32] {
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// A signature. Compared in constant time; shown in full only where it goes on the wire.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = <[u8; 64]>::try_from(text.as_bytes()).ok()?;
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let nibble = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = *byte << 4 | nibble;
            }
        }
        Some(Self(bytes))
    }

    /// The 32 bytes, for recognising a signature that comes twice.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Appends the 64 hex digits.
    pub(crate) fn push_hex(&self, out: &mut String) {
        out.push_str(std::str::from_utf8(&hex_of(&self.0)).unwrap_or_default());
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_64_lower_case_hex_digits() {
        let text = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        let signature = Signature::parse(text).unwrap();
        let mut hex = String::new();
        signature.push_hex(&mut hex);
        assert_eq!(hex, text);
        assert!(!format!("{signature:?}").contains("5fa0"));
        for text in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('5', "g")] {
            assert!(Signature::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn hmac_pads_and_hashes_its_keys_as_published() {
        // RFC 4231, test cases 2 and 6 (a key of 131 bytes).
        let cases = [
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, data, tag) in cases {
            assert_eq!(hex::encode(tag_of(hmac_keyed(&key), data.as_bytes())), tag, "{data}");
        }
    }
}
