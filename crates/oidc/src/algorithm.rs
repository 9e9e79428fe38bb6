//! The signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1), and sets of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A signature by a private key whose public half an issuer publishes. There is no variant for `none` nor for the `HS…`
/// family, so that neither can be allowed: an HMAC by a key that everybody can read proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256, the salt as long as the digest.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384, the salt as long as the digest.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512, the salt as long as the digest.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA on P-521 with SHA-512.
    #[serde(rename = "ES512")]
    Es512,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The name in `alg`, which is case-sensitive.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of algorithms: what an issuer may sign with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Algorithms(u16);

impl Algorithms {
    /// Every algorithm.
    #[must_use]
    pub fn all() -> Self {
        Algorithm::ALL.into_iter().collect()
    }

    /// Whether the set has it.
    #[must_use]
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |set, algorithm| set | (1 << algorithm as u16)))
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Algorithm::ALL.into_iter().filter(|one| self.contains(*one))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_its_own_letter_case_alone() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.as_str();
            assert_eq!(Algorithm::parse(name), Some(algorithm), "{name}");
            assert_eq!(serde_json::to_value(algorithm).unwrap(), name, "as in a configuration");
        }
        for name in ["", "rs256", "none", "HS256", "ES256K", "RS1", "EDDSA", "RS256 "] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_has_what_was_put_into_it_and_nothing_else() {
        let set: Algorithms = [Algorithm::Es256, Algorithm::EdDsa].into_iter().collect();
        for algorithm in Algorithm::ALL {
            let expected = matches!(algorithm, Algorithm::Es256 | Algorithm::EdDsa);
            assert_eq!(set.contains(algorithm), expected, "{algorithm}");
            assert!(Algorithms::all().contains(algorithm), "{algorithm}");
        }
        assert!([].into_iter().collect::<Algorithms>().is_empty() && !set.is_empty());
    }
}
