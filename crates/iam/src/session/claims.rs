//! What a session says about itself.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::ancestor::{Ancestor, is_short};
use super::err::SessionError;
use super::{
    SESSION_ANCESTORS_MAX, SESSION_CHAIN_DEPTH_MAX, SESSION_LIFETIME_MAX, SESSION_TAG_KEY_MAX,
    SESSION_TAG_VALUE_MAX, SESSION_TAGS_MAX, USER_SESSION_LIFETIME_MAX,
};
use crate::arn::{PrincipalArn, PrincipalKind, is_session_name};
use crate::id::PrincipalId;
use crate::policy::PolicyDocument;

/// The claims of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClaims {
    /// Who vouches for the account: `aws`, `local`, or the name of a self-hosted STS.
    pub authority: String,
    /// The IAM role with its path; the user, of a session of its own; or, after an exchange, the AWS principal.
    pub principal: PrincipalArn,
    /// Its unique id.
    pub principal_id: PrincipalId,
    /// The session's name, chosen by whoever assumed the role.
    pub session_name: String,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
    /// Which tags go on to sessions made from this one; each is a key of [`Self::tags`].
    pub transitive_keys: BTreeSet<String>,
    /// Who stands behind it, if that was said.
    pub source_identity: Option<String>,
    /// What narrows it.
    pub session_policy: Option<PolicyDocument>,
    /// When it was issued, in whole seconds.
    pub issued_at: OffsetDateTime,
    /// When it ends, in whole seconds.
    pub expires_at: OffsetDateTime,
    /// The revision of the account's state that it was made from: a verifier whose state is older cannot judge it.
    pub revision: u64,
    /// 0 when a user or provider assumed the role, one more for each role in between.
    pub chain_depth: u8,
    /// All that it descends from.
    pub ancestors: Vec<Ancestor>,
}

impl SessionClaims {
    /// The ARN that the session acts under: for a role `arn:P:sts::A:assumed-role/ROLE/SESSION` (without the role's path),
    /// for any other principal its own.
    #[must_use]
    pub fn session_arn(&self) -> PrincipalArn {
        match &self.principal.kind {
            PrincipalKind::Role { name, .. } => PrincipalArn {
                kind: PrincipalKind::AssumedRole { role: name.clone(), session: self.session_name.clone() },
                ..self.principal
            },
            _ => self.principal.clone(),
        }
    }

    /// Judges the claims as those of a session that may exist.
    ///
    /// # Errors
    /// [`SessionError::InvalidClaim`] with the rule that is broken.
    pub fn validate(&self) -> Result<(), SessionError> {
        let lifetime = self.expires_at - self.issued_at;
        let whole_seconds = self.issued_at.nanosecond() == 0 && self.expires_at.nanosecond() == 0;
        ensure(is_short(&self.authority), "authority", "1 to 512 bytes")?;
        ensure(is_session_name(&self.session_name), "name", "2 to 64 letters, digits and `_+=,.@-`")?;
        let (lifetime_max, rule) = match self.principal.kind {
            PrincipalKind::User { .. } => (USER_SESSION_LIFETIME_MAX, "whole seconds, at most 36 hours"),
            _ => (SESSION_LIFETIME_MAX, "whole seconds, at most 12 hours"),
        };
        ensure(lifetime.is_positive() && lifetime <= lifetime_max && whole_seconds, "lifetime", rule)?;
        ensure(self.chain_depth <= SESSION_CHAIN_DEPTH_MAX, "chain", "at most 8 roles one from another")?;
        ensure(self.ancestors.len() <= SESSION_ANCESTORS_MAX, "ancestors", "at most 32")?;
        ensure(self.ancestors.iter().all(Ancestor::is_bounded), "ancestors", "1 to 512 bytes each")?;
        ensure(
            self.source_identity.as_deref().is_none_or(|text| text.len() <= 256 && is_source_identity(text)),
            "source identity",
            "2 to 256 letters, digits and `_+=,.@-`",
        )?;
        self.validate_tags()
    }

    fn validate_tags(&self) -> Result<(), SessionError> {
        ensure(self.tags.len() <= SESSION_TAGS_MAX, "tags", "at most 50")?;
        let is_tag = |(key, value): (&String, &String)| {
            (1..=SESSION_TAG_KEY_MAX).contains(&key.chars().count())
                && value.chars().count() <= SESSION_TAG_VALUE_MAX
                && key.chars().chain(value.chars()).all(is_tag_character)
        };
        ensure(
            self.tags.iter().all(is_tag),
            "tags",
            "keys of 1 to 128 and values of up to 256 letters, digits, blanks and `_.:/=+-@`",
        )?;
        let folded: BTreeSet<String> = self.tags.keys().map(|key| key.to_lowercase()).collect();
        ensure(folded.len() == self.tags.len(), "tags", "keys differ by more than letter case")?;
        ensure(
            self.transitive_keys.iter().all(|key| self.tags.contains_key(key)),
            "transitive tag keys",
            "each is the key of a tag",
        )
    }
}

fn ensure(holds: bool, claim: &'static str, rule: &'static str) -> Result<(), SessionError> {
    if holds { Ok(()) } else { Err(SessionError::InvalidClaim { claim, rule }) }
}

fn is_source_identity(text: &str) -> bool {
    text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// Whether a character may stand in the key or value of a tag: `[\p{L}\p{Z}\p{N}_.:/=+\-@]` (IAM's and STS's models). The blanks of other
/// scripts are blanks, and what controls a terminal is none.
#[must_use]
pub fn is_tag_character(character: char) -> bool {
    character.is_alphanumeric()
        || (character.is_whitespace() && !character.is_control())
        || "_.:/=+-@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::is_tag_character;

    #[test]
    fn a_tag_has_letters_digits_blanks_and_a_few_signs_of_any_script() {
        for good in "aÄ本7٣_.:/=+-@ \u{a0}\u{3000}\u{2028}".chars() {
            assert!(is_tag_character(good), "{good:?}");
        }
        for bad in "\0\t\n\r\u{85}\u{1b}\u{200b}\u{202e}*?<>\"'\\{}$,;".chars() {
            assert!(!is_tag_character(bad), "{bad:?}");
        }
    }
}
