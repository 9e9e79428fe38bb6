//! Unique principal ids.

use serde::{Deserialize, Serialize};

use super::key::id_char;
use super::text::text_id;
use crate::shown::shown;

/// The characters of generated ids: 32, so that five random bits make one.
pub(super) const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The unique id of a principal, which a name made anew does not get again: `AIDA…` for a user, `AROA…` for a role, the
/// account number for its root, `<account>:<name>` for a federated user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalId(Box<str>);

/// What the prefix of a unique id says about its principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalIdKind {
    /// `AIDA…`
    User,
    /// `AROA…`
    Role,
    /// Anything else: an account's root, a federated user.
    Other,
}

/// The text is not a unique id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a principal id: use 1 to {max} letters, digits and `_+=,.@:-`", shown(.0), max = PrincipalId::LENGTH_MAX)]
pub struct InvalidPrincipalId(pub String);

impl PrincipalId {
    /// Longest id, in characters.
    pub const LENGTH_MAX: usize = 128;
    /// Random bytes that a generated id needs, one for each character after the prefix (85 bits of use).
    pub const RANDOM_BYTES: usize = 17;

    /// Reads a unique id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a character that no id has.
    pub fn parse(text: &str) -> Result<Self, InvalidPrincipalId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:-".contains(&byte);
        if !text.is_empty() && text.len() <= Self::LENGTH_MAX && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPrincipalId(text.to_owned()))
        }
    }

    /// A user's id made from random bytes.
    #[must_use]
    pub fn generate_user(random: [u8; Self::RANDOM_BYTES]) -> Self {
        Self::generate("AIDA", random)
    }

    /// A role's id made from random bytes.
    #[must_use]
    pub fn generate_role(random: [u8; Self::RANDOM_BYTES]) -> Self {
        Self::generate("AROA", random)
    }

    /// An instance profile's id made from random bytes: of the same form, though it is nobody.
    #[must_use]
    pub fn generate_instance_profile(random: [u8; Self::RANDOM_BYTES]) -> Self {
        Self::generate("AIPA", random)
    }

    fn generate(prefix: &str, random: [u8; Self::RANDOM_BYTES]) -> Self {
        let mut text = String::with_capacity(prefix.len() + random.len());
        text.push_str(prefix);
        text.extend(random.iter().map(|&byte| id_char(byte)));
        Self(text.into())
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What kind of principal the prefix names.
    #[must_use]
    pub fn kind(&self) -> PrincipalIdKind {
        match self.0.get(..4) {
            Some("AIDA") => PrincipalIdKind::User,
            Some("AROA") => PrincipalIdKind::Role,
            _ => PrincipalIdKind::Other,
        }
    }
}

text_id!(PrincipalId, InvalidPrincipalId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_names_the_kind() {
        let cases = [
            ("AIDAX", PrincipalIdKind::User),
            ("AROAX", PrincipalIdKind::Role),
            ("111122223333", PrincipalIdKind::Other),
            ("111122223333:ana", PrincipalIdKind::Other),
            ("aroax", PrincipalIdKind::Other),
        ];
        for (text, kind) in cases {
            assert_eq!(PrincipalId::parse(text).unwrap().kind(), kind, "{text}");
        }
        for text in ["", "a b", "a/b", "ä", &"a".repeat(129)] {
            assert!(PrincipalId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_generated_id_can_be_read() {
        let id = PrincipalId::generate_role([0x55; 17]);
        assert_eq!((id.kind(), id.as_str().len()), (PrincipalIdKind::Role, 21));
        assert_eq!(PrincipalId::generate_user([0; 17]).kind(), PrincipalIdKind::User);
        assert!(PrincipalId::generate_instance_profile([0; 17]).as_str().starts_with("AIPA"));
        assert_eq!(PrincipalId::parse(id.as_str()), Ok(id));
    }
}
