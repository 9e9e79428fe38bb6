//! The signature parts of a query.

use std::borrow::Cow;

use super::encode::{decode_into, has_valid_escapes};
use super::{QUERY_PARAMETERS_MAX, SigV4Error};

/// The parameter that is not itself signed.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";
/// The session token, which some services want added after signing.
pub(super) const SECURITY_TOKEN: &str = "X-Amz-Security-Token";

/// The signature parameters of a query, decoded, each at most once ignoring letter case.
#[derive(Default)]
pub(super) struct PresignedParts<'a> {
    pub(super) algorithm: Option<Cow<'a, str>>,
    pub(super) credential: Option<Cow<'a, str>>,
    pub(super) date: Option<Cow<'a, str>>,
    pub(super) expires: Option<Cow<'a, str>>,
    pub(super) signed_headers: Option<Cow<'a, str>>,
    pub(super) security_token: Option<Cow<'a, str>>,
    pub(super) signature: Option<Cow<'a, str>>,
}

impl<'a> PresignedParts<'a> {
    /// Reads a query. Letter case of names is ignored, so that no second spelling slips by unseen; what is signed is
    /// still the query as sent.
    pub(super) fn parse(query: &'a str) -> Result<Self, SigV4Error> {
        let mut parts = Self::default();
        let mut count = 0;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            count += 1;
            if count > QUERY_PARAMETERS_MAX {
                return Err(SigV4Error::TooManyParameters);
            }
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let name = decode(name)?;
            let value = decode(value)?;
            if let Some(slot) = parts.slot(&name)
                && slot.replace(value).is_some()
            {
                return Err(SigV4Error::DuplicateParameter(name.into_owned()));
            }
        }
        Ok(parts)
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Cow<'a, str>>> {
        const NAMES: [&str; 7] = [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-SignedHeaders",
            SECURITY_TOKEN,
            SIGNATURE,
        ];
        let slots = [
            &mut self.algorithm,
            &mut self.credential,
            &mut self.date,
            &mut self.expires,
            &mut self.signed_headers,
            &mut self.security_token,
            &mut self.signature,
        ];
        NAMES.iter().zip(slots).find(|(wanted, _)| wanted.eq_ignore_ascii_case(name)).map(|(_, slot)| slot)
    }

    /// Whether any part is there: the request claims to be presigned.
    pub(super) fn is_signed(&self) -> bool {
        self.algorithm.is_some() || self.credential.is_some() || self.signature.is_some()
    }
}

/// A decoded name or value; borrowed when there is nothing to decode.
fn decode(text: &str) -> Result<Cow<'_, str>, SigV4Error> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    if !has_valid_escapes(text) {
        return Err(SigV4Error::MalformedQuery);
    }
    let mut bytes = Vec::with_capacity(text.len());
    decode_into(text, &mut bytes);
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| SigV4Error::MalformedQuery)
}
