//! Claims by their names, for those who map them: top-level ones alone, as Kubernetes has it, and each of one type.

use serde_json::Value;

use super::{Claims, present, wrong_type};
use crate::refusal::JwtRefusal;
use crate::shown::shown;

/// Longest text that a claim is used as, in bytes; usernames and groups of Kubernetes are far shorter.
pub const CLAIM_BYTES_MAX: usize = 1024;

/// What `email` is worth without a word on whether it was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailVerified {
    /// Nothing: anybody may have entered anybody's address.
    Required,
    /// As much as any other claim. For issuers that leave `email_verified` out, such as Entra ID, whose administrators alone
    /// set addresses.
    MayBeAbsent,
}

impl Claims {
    /// Every claim by its name, as the token has it; `null` is not there. Of what kind one is, and how long, is for the reader to
    /// look at.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), value))
    }

    /// A claim that is text, if it is there; `null` is not there.
    ///
    /// # Errors
    /// [`JwtRefusal::ClaimType`] when it is something else, [`JwtRefusal::ClaimTooLong`] beyond [`CLAIM_BYTES_MAX`].
    pub fn text(&self, name: &str) -> Result<Option<&str>, JwtRefusal> {
        let Some(value) = present(&self.members, name) else { return Ok(None) };
        bounded(name, value, "text").map(Some)
    }

    /// A claim that is a list of texts, or one text, if it is there.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, JwtRefusal> {
        const EXPECTED: &str = "text or a list of texts";
        match present(&self.members, name) {
            None => Ok(None),
            Some(Value::Array(list)) => {
                list.iter().map(|item| bounded(name, item, EXPECTED)).collect::<Result<_, _>>().map(Some)
            }
            Some(value) => bounded(name, value, EXPECTED).map(|one| Some(vec![one])),
        }
    }

    /// A claim that is true or false, if it is there. `"true"` is neither, though Cognito and Apple write it so: Kubernetes
    /// refuses it, and whoever can make a text of it may not be who may say it.
    ///
    /// # Errors
    /// [`JwtRefusal::ClaimType`] when it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, JwtRefusal> {
        let Some(value) = present(&self.members, name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong_type(name, "true or false"))
    }

    /// Whether a claim is an object that has a member of this name.
    #[must_use]
    pub fn has_member(&self, name: &str, member: &str) -> bool {
        present(&self.members, name).is_some_and(|value| value.get(member).is_some())
    }

    /// The address in `email`, if the issuer stands by it (OpenID Connect Core section 5.1): never where it says that the
    /// address is not verified, and where it says nothing only if that is allowed.
    ///
    /// # Errors
    /// [`JwtRefusal`] when there is no address, or none to rely on.
    pub fn email(&self, verified: EmailVerified) -> Result<&str, JwtRefusal> {
        let missing = || JwtRefusal::ClaimMissing("email".to_owned());
        let email = self.text("email")?.filter(|email| !email.is_empty()).ok_or_else(missing)?;
        match (self.flag("email_verified")?, verified) {
            (Some(true), _) | (None, EmailVerified::MayBeAbsent) => Ok(email),
            (Some(false), _) => Err(JwtRefusal::EmailNotVerified),
            (None, EmailVerified::Required) => Err(JwtRefusal::EmailVerifiedMissing),
        }
    }

    /// Holds the claim to a value: text, and equal, as Kubernetes' `requiredClaims` are.
    ///
    /// # Errors
    /// [`JwtRefusal`] when it is missing, no text, or another.
    pub fn require(&self, name: &str, value: &str) -> Result<(), JwtRefusal> {
        match present(&self.members, name) {
            None => Err(JwtRefusal::ClaimMissing(shown(name))),
            Some(Value::String(found)) if found == value => Ok(()),
            Some(Value::String(_)) => Err(JwtRefusal::RequiredClaim(shown(name))),
            Some(_) => Err(wrong_type(name, "text")),
        }
    }
}

fn bounded<'v>(name: &str, value: &'v Value, expected: &'static str) -> Result<&'v str, JwtRefusal> {
    let text = value.as_str().ok_or_else(|| wrong_type(name, expected))?;
    if text.len() > CLAIM_BYTES_MAX {
        let (name, max) = (shown(name), CLAIM_BYTES_MAX);
        return Err(JwtRefusal::ClaimTooLong { name, max, unit: "bytes" });
    }
    Ok(text)
}
