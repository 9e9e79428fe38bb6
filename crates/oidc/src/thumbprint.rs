//! Certificates that are known by their SHA-1, as IAM's OpenID Connect providers name them.
//!
//! SHA-1 is weak against who makes two certificates of one digest, and not against who has to meet the digest of one that somebody else
//! has chosen; IAM has no other. What a thumbprint stands for is chosen by whoever makes the provider.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, digest};
use lanyard_kit::tls::PinnedRoots;

use crate::issuer::IssuerError;
use crate::shown::shown;

/// The SHA-1 of a certificate in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thumbprint([u8; SHA1_OUTPUT_LEN]);

impl Thumbprint {
    /// Reads 40 hex digits, in any letter case.
    pub(crate) fn parse(text: &str) -> Result<Self, IssuerError> {
        let refused = || IssuerError::Thumbprint(shown(text));
        if text.len() != 2 * SHA1_OUTPUT_LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let mut bytes = [0; SHA1_OUTPUT_LEN];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            let pair = text.get(at..at + 2).ok_or_else(refused)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        Ok(Self(bytes))
    }

    /// That of a certificate, in hex.
    #[cfg(any(test, feature = "stand-in"))]
    pub(crate) fn text_of(der: &[u8]) -> String {
        use std::fmt::Write as _;
        digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn is_of(&self, der: &[u8]) -> bool {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref() == self.0
    }
}

/// The certificates that have one of the thumbprints; none where there are none.
pub(crate) fn pinned(thumbprints: &[Thumbprint]) -> Option<PinnedRoots> {
    if thumbprints.is_empty() {
        return None;
    }
    let own = thumbprints.to_vec();
    Some(PinnedRoots::new(move |der| own.iter().any(|thumbprint| thumbprint.is_of(der))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_the_sha1_of_a_certificate_in_hex_of_any_letter_case() {
        // FIPS 180-4's example.
        for text in ["a9993e364706816aba3e25717850c26c9cd0d89d", "A9993E364706816ABA3E25717850C26C9CD0D89D"] {
            let thumbprint = Thumbprint::parse(text).unwrap();
            assert!(thumbprint.is_of(b"abc") && !thumbprint.is_of(b"abd"), "{text}");
        }
        for bad in ["", "a9", &"g".repeat(40), &"a".repeat(41), &"é".repeat(20)] {
            assert_eq!(Thumbprint::parse(bad), Err(IssuerError::Thumbprint(bad.to_owned())), "{bad}");
        }
    }
}
