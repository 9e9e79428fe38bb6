//! Access keys and what goes with them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::AccountId;
use super::principal::ID_ALPHABET;
use super::text::text_id;

/// The public half of an access key: 16 to 128 letters, digits and `_`.
///
/// `AKIA…` and `ASIA…` are AWS's; `LKIA…` (long-term) and `LSIA…` (a role session's) are Lanyard's own, and never leave for
/// AWS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(Box<str>);

/// The text is not an access key id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access key id is malformed: it has to be 16 to 128 letters, digits and underscores")]
pub struct InvalidAccessKeyId;

impl AccessKeyId {
    /// Fewest characters.
    pub const LENGTH_MIN: usize = 16;
    /// Most characters.
    pub const LENGTH_MAX: usize = 128;
    /// Prefix of Lanyard's long-term keys.
    pub const LOCAL_PREFIX: &'static str = "LKIA";
    /// Prefix of the keys of Lanyard's role sessions.
    pub const LOCAL_SESSION_PREFIX: &'static str = "LSIA";
    /// Random bytes that a generated id needs, one for each character after the prefix.
    pub const RANDOM_BYTES: usize = 16;
    /// Random bytes that the id of a session's key needs, one for each character behind its account: as many as any other id, so that
    /// what its account takes costs none of them. It is eight characters longer than those that told no account.
    pub const SESSION_RANDOM_BYTES: usize = Self::RANDOM_BYTES;

    /// Reads an access key id.
    ///
    /// # Errors
    /// When the length or a character is outside the rule. The error does not repeat the text: a secret pasted into the
    /// wrong field must not come back.
    pub fn parse(text: &str) -> Result<Self, InvalidAccessKeyId> {
        if is_access_key_id(text) { Ok(Self(text.into())) } else { Err(InvalidAccessKeyId) }
    }

    /// Takes over what a signature names as its key. Shorter ids than [`Self::LENGTH_MIN`] pass, as in AWS's published
    /// examples of signatures: they belong to nobody, and the lookup says so.
    pub(crate) fn from_signature(text: &str) -> Option<Self> {
        let fits = (1..=Self::LENGTH_MAX).contains(&text.len()) && has_key_characters(text);
        fits.then(|| Self(text.into()))
    }

    /// A long-term local key id made from random bytes.
    #[must_use]
    pub fn generate_local(random: [u8; Self::RANDOM_BYTES]) -> Self {
        Self::generate(Self::LOCAL_PREFIX, random)
    }

    /// The key id of a local session of an account's principal, made from random bytes. It tells the account, as long-term ones do.
    #[must_use]
    pub fn generate_local_session(account: AccountId, random: [u8; Self::SESSION_RANDOM_BYTES]) -> Self {
        Self::generate(Self::LOCAL_SESSION_PREFIX, account.id_values().into_iter().chain(random))
    }

    fn generate(prefix: &str, values: impl IntoIterator<Item = u8>) -> Self {
        let mut text = prefix.to_owned();
        text.extend(values.into_iter().map(id_char));
        Self(text.into())
    }

    /// The account that the id of a local session's key tells; none for any other id. Whether there is such a session it does not
    /// tell: that is for showing, and nothing to believe.
    #[must_use]
    pub fn local_session_account(&self) -> Option<AccountId> {
        let behind = self.0.strip_prefix(Self::LOCAL_SESSION_PREFIX)?;
        let tells = behind.len() == AccountId::ID_CHARS + Self::SESSION_RANDOM_BYTES;
        AccountId::from_id_chars(behind).filter(|_| tells)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the key is one of Lanyard's own: looked up here, and never sent to AWS.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.starts_with(Self::LOCAL_PREFIX) || self.0.starts_with(Self::LOCAL_SESSION_PREFIX)
    }

    /// Whether the key belongs to a session (`ASIA…`, `LSIA…`) and so comes with a session token.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.0.starts_with("ASIA") || self.0.starts_with(Self::LOCAL_SESSION_PREFIX)
    }
}

/// Whether the text has the length and the characters of an access key id.
fn is_access_key_id(text: &str) -> bool {
    (AccessKeyId::LENGTH_MIN..=AccessKeyId::LENGTH_MAX).contains(&text.len()) && has_key_characters(text)
}

fn has_key_characters(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// One of the 32 characters of generated ids: five of the byte's bits, so that none is likelier than another.
pub(super) fn id_char(byte: u8) -> char {
    ID_ALPHABET.get(usize::from(byte & 31)).copied().map_or('A', char::from)
}

text_id!(AccessKeyId, InvalidAccessKeyId);

/// The secret half of an access key. It cannot be printed, compared or serialized, and is wiped when dropped.
#[derive(Clone)]
pub struct SecretAccessKey(SecretString);

impl SecretAccessKey {
    /// Random bytes that a generated secret needs: 240 bits, 40 characters of base64.
    pub const RANDOM_BYTES: usize = 30;

    /// Takes over a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(SecretString::from(secret))
    }

    /// A secret made from random bytes.
    #[must_use]
    pub fn generate(random: &Zeroizing<[u8; Self::RANDOM_BYTES]>) -> Self {
        Self::new(STANDARD.encode(random.as_slice()))
    }

    /// The secret itself, for signing and sealing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretAccessKey(..)")
    }
}

/// The opaque token that comes with a session's access key. A bearer value, so treated as a secret.
#[derive(Clone)]
pub struct SessionToken(SecretString);

impl SessionToken {
    /// Takes over a session token.
    #[must_use]
    pub fn new(token: String) -> Self {
        Self(SecretString::from(token))
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// What a caller signs with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The public id of the key.
    pub access_key_id: AccessKeyId,
    /// Its secret.
    pub secret_access_key: SecretAccessKey,
    /// The session's token, for keys of a session.
    pub session_token: Option<SessionToken>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_id_is_16_to_128_word_characters() {
        let longest = "A".repeat(128);
        for text in ["AKIAIOSFODNN7EXAMPLE", "LKIA_aaaaaaaaaaa", &longest] {
            assert_eq!(AccessKeyId::parse(text).unwrap().as_str(), text);
        }
        let long = "A".repeat(129);
        for text in [
            "",
            "AKIAIOSFODNN7EX",
            "AKIAIOSFODNN7EXAMPL/",
            "AKIAIOSFODNN7EXAMPLE ",
            "ÄKIAIOSFODNN7EXAMPLE",
            &long,
        ] {
            assert_eq!(AccessKeyId::parse(text), Err(InvalidAccessKeyId), "{text}");
        }
    }

    #[test]
    fn only_lanyards_own_prefixes_are_local() {
        let cases = [
            ("LKIAAAAAAAAAAAAAAAAA", true, false),
            ("LSIAAAAAAAAAAAAAAAAA", true, true),
            ("ASIAAAAAAAAAAAAAAAAA", false, true),
            ("AKIAAAAAAAAAAAAAAAAA", false, false),
            ("lkiaAAAAAAAAAAAAAAAA", false, false),
            ("XLKIAAAAAAAAAAAAAAAA", false, false),
        ];
        for (text, local, session) in cases {
            let id = AccessKeyId::parse(text).unwrap();
            assert_eq!((id.is_local(), id.is_session()), (local, session), "{text}");
        }
    }

    #[test]
    fn a_generated_id_can_be_read_and_follows_its_bytes() {
        let id = AccessKeyId::generate_local([0xff; 16]);
        assert_eq!(AccessKeyId::parse(id.as_str()), Ok(id.clone()));
        assert_eq!(id.as_str().len(), 20);
        assert_ne!(id, AccessKeyId::generate_local([0; 16]));
        let account = AccountId::parse("111122223333").unwrap();
        let session = AccessKeyId::generate_local_session(account, [7; 16]);
        assert!(session.is_session() && session.is_local());
        assert_eq!(session.as_str().len(), 28, "80 random bits, as before it told its account");
        assert_ne!(session, AccessKeyId::generate_local_session(account, [8; 16]));
    }

    #[test]
    fn a_sessions_key_tells_its_account_and_no_other_does() {
        let account = AccountId::parse("012345678901").unwrap();
        let session = AccessKeyId::generate_local_session(account, [31; 16]);
        assert_eq!(session.local_session_account(), Some(account));
        let behind = session.as_str().strip_prefix("LSIA").unwrap();
        for text in [
            // Of before they told it.
            "LSIAAAAAAAAAAAAAAAAA".to_owned(),
            format!("LKIA{behind}"),
            format!("ASIA{behind}"),
            format!("LSIA{behind}A"),
            format!("LSIA{}", "7".repeat(24)),
            format!("LSIA{}", behind.to_ascii_lowercase()),
        ] {
            assert_eq!(AccessKeyId::parse(&text).unwrap().local_session_account(), None, "{text}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let credentials = Credentials {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
            secret_access_key: SecretAccessKey::new("hush-hush".to_owned()),
            session_token: Some(SessionToken::new("very-quiet".to_owned())),
        };
        let printed = format!("{credentials:?}");
        assert!(printed.contains("AKIAIOSFODNN7EXAMPLE"), "{printed}");
        assert!(!printed.contains("hush") && !printed.contains("quiet"), "{printed}");
    }

    #[test]
    fn a_generated_secret_has_forty_characters() {
        assert_eq!(SecretAccessKey::generate(&Zeroizing::new([1; 30])).expose().len(), 40);
    }
}
