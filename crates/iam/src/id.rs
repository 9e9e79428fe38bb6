//! Identifiers and secrets: account numbers, regions, access keys, unique principal ids.
//!
//! Generators take their random bytes as input: this crate has no source of randomness of its own.

mod key;
mod principal;
mod text;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shown::shown;

pub use key::{AccessKeyId, Credentials, InvalidAccessKeyId, SecretAccessKey, SessionToken};
pub use principal::{InvalidPrincipalId, PrincipalId, PrincipalIdKind};

/// An AWS-style account number: twelve digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId([u8; 12]);

/// The text is not an account number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an account: it has to be twelve digits, leading zeros included", shown(.0))]
pub struct InvalidAccountId(pub String);

/// Bits of one character of a generated id.
const BITS_PER_CHAR: u32 = 5;

impl AccountId {
    /// Characters of a generated id that hold an account: the largest number has forty bits.
    pub const ID_CHARS: usize = 8;

    /// Reads twelve ASCII digits.
    ///
    /// # Errors
    /// Anything else, surrounding blanks included.
    pub fn parse(text: &str) -> Result<Self, InvalidAccountId> {
        match <[u8; 12]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Self(digits)),
            _ => Err(InvalidAccountId(text.to_owned())),
        }
    }

    /// The twelve digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The number as an id holds it behind its prefix: five bits for each character, the highest first.
    #[must_use]
    pub fn id_values(&self) -> [u8; Self::ID_CHARS] {
        let number = self.0.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        let mut values = [0; Self::ID_CHARS];
        for (place, value) in (0u32..).zip(values.iter_mut().rev()) {
            *value = (number >> (place * BITS_PER_CHAR)) as u8 & 31;
        }
        values
    }

    /// The account that the characters behind an id's prefix begin with; none where that is no number of an account.
    #[must_use]
    pub fn from_id_chars(chars: &str) -> Option<Self> {
        let mut number = 0u64;
        for char in chars.as_bytes().get(..Self::ID_CHARS)? {
            let value = match char {
                b'A'..=b'Z' => char - b'A',
                b'2'..=b'7' => char - b'2' + 26,
                _ => return None,
            };
            number = number << BITS_PER_CHAR | u64::from(value);
        }
        let (account, rest) = Self::of_number(number);
        (rest == 0).then_some(account)
    }

    /// The account of a number's last twelve digits, and what stands before those.
    fn of_number(mut number: u64) -> (Self, u64) {
        let mut digits = [b'0'; 12];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        (Self(digits), number)
    }

    /// A number made from random bytes: never all zeros, and with a first digit other than 0 (which people drop).
    #[must_use]
    pub fn generate(random: u64) -> Self {
        const LOWEST: u64 = 100_000_000_000;
        const COUNT: u64 = 900_000_000_000;
        Self::of_number(LOWEST + random % COUNT).0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for AccountId {
    type Error = InvalidAccountId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.as_str().to_owned()
    }
}

/// The name of a region: one lower-case DNS label. Whether AWS has such a region is another question
/// ([`crate::Partition::has_known_region`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(Box<str>);

/// The text is not the name of a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a region name: use 1 to {max} lower-case letters, digits and inner hyphens, such as us-west-2", shown(.0),
    max = Region::LENGTH_MAX
)]
pub struct InvalidRegion(pub String);

impl Region {
    /// Longest name, in bytes: what a DNS label may have.
    pub const LENGTH_MAX: usize = 63;

    /// Reads a region name.
    ///
    /// # Errors
    /// When it is empty, too long, or not a lower-case DNS label.
    pub fn parse(text: &str) -> Result<Self, InvalidRegion> {
        if is_region_label(text) { Ok(Self(text.into())) } else { Err(InvalidRegion(text.to_owned())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the text is a region label: lower-case letters, digits and inner hyphens. Upper case is left out on purpose:
/// DNS would take `US-GOV-WEST-1` for `us-gov-west-1`, rules by name would not.
pub(crate) fn is_region_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= Region::LENGTH_MAX
        && bytes.first().is_some_and(|&byte| plain(byte))
        && bytes.last().is_some_and(|&byte| plain(byte))
        && bytes.iter().all(|&byte| plain(byte) || byte == b'-')
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidRegion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits() {
        for text in ["000000000000", "111122223333", "012345678901"] {
            assert_eq!(AccountId::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "11112222333", "1111222233334", "11112222333a", " 11112222333", "１11122223333", "aws"]
        {
            assert_eq!(AccountId::parse(text), Err(InvalidAccountId(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_account_is_read_out_of_the_characters_that_hold_it() {
        for text in ["000000000000", "000000000001", "111122223333", "999999999999"] {
            let account = AccountId::parse(text).unwrap();
            let chars: String = account.id_values().into_iter().map(key::id_char).collect();
            assert_eq!(AccountId::from_id_chars(&chars), Some(account), "{chars}");
            assert_eq!(AccountId::from_id_chars(&format!("{chars}2A")), Some(account), "{chars}");
        }
        for chars in ["", "AAAAAAA", "77777777", "aaaaaaaa", "AAAAAAA0", "AAAAAAAä"] {
            assert_eq!(AccountId::from_id_chars(chars), None, "{chars}");
        }
    }

    #[test]
    fn a_generated_account_is_one_that_can_be_read() {
        for random in [0, 1, 899_999_999_999, 900_000_000_000, u64::MAX] {
            let account = AccountId::generate(random);
            assert_eq!(AccountId::parse(account.as_str()), Ok(account), "{random}");
            assert!(!account.as_str().starts_with('0'), "{account}");
        }
    }

    #[test]
    fn a_region_is_one_lower_case_label() {
        for text in ["us-west-2", "not-a-region", "r", "9"] {
            assert_eq!(Region::parse(text).unwrap().as_str(), text);
        }
        let long = "a".repeat(64);
        for text in ["", "-a", "a-", "us.west", "US-WEST-2", "us west", "us_west", "ü", &long] {
            assert!(Region::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_plain_strings_in_json() {
        let account: AccountId = serde_json::from_str("\"111122223333\"").unwrap();
        assert_eq!(serde_json::to_string(&account).unwrap(), "\"111122223333\"");
        assert!(serde_json::from_str::<AccountId>("\"1\"").is_err());
        assert!(serde_json::from_str::<Region>("\"US\"").is_err());
    }
}
