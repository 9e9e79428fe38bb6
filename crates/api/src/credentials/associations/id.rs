//! The number of a Pod Identity association.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::InvalidName;

/// What stands before the number (EKS).
const PREFIX: &str = "a-";
/// Letters and digits after it (EKS user guide, examples).
const DIGITS: usize = 17;
/// What they are.
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Names a Pod Identity association: one that is made again for the same ServiceAccount has another. In text `a-` and 17
/// lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PodIdentityAssociationId(String);

impl PodIdentityAssociationId {
    /// A new random one.
    #[must_use]
    pub fn random() -> Self {
        // 17 digits of base 36 hold some 88 bits, of which a random UUID has more.
        let mut rest = Uuid::new_v4().as_u128();
        let mut digits = String::with_capacity(PREFIX.len() + DIGITS);
        digits.push_str(PREFIX);
        for _ in 0..DIGITS {
            let digit = ALPHABET.get((rest % 36) as usize).copied().unwrap_or(b'0');
            digits.push(char::from(digit));
            rest /= 36;
        }
        Self(digits)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PodIdentityAssociationId {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let good =
            |digits: &str| digits.len() == DIGITS && digits.bytes().all(|byte| ALPHABET.contains(&byte));
        if input.strip_prefix(PREFIX).is_some_and(good) {
            return Ok(Self(input.to_owned()));
        }
        Err(InvalidName {
            what: "Pod Identity association id",
            input: input.chars().take(64).collect(),
            rule: "`a-` and 17 lower-case letters and digits",
        })
    }
}

impl TryFrom<String> for PodIdentityAssociationId {
    type Error = InvalidName;

    fn try_from(input: String) -> Result<Self, Self::Error> {
        input.parse()
    }
}

impl From<PodIdentityAssociationId> for String {
    fn from(id: PodIdentityAssociationId) -> Self {
        id.0
    }
}

impl fmt::Display for PodIdentityAssociationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_is_read_in_its_one_form() {
        let cases = [
            ("a-0123456789abcdefg", true),
            ("a-h95e6v5a7rbwzf2t9", true),
            ("a-0123456789ABCDEFG", false),
            ("a-0123456789abcdef", false),
            ("a-0123456789abcdefgh", false),
            ("b-0123456789abcdefg", false),
            ("a-0123456789abcde/g", false),
            ("", false),
        ];
        for (input, good) in cases {
            assert_eq!(input.parse::<PodIdentityAssociationId>().is_ok(), good, "{input}");
        }
    }

    #[test]
    fn random_ones_are_of_that_form_and_differ() {
        let made: BTreeSet<String> =
            (0..1_000).map(|_| PodIdentityAssociationId::random().to_string()).collect();
        assert_eq!(made.len(), 1_000);
        for id in made {
            assert!(id.parse::<PodIdentityAssociationId>().is_ok(), "{id}");
        }
    }
}
