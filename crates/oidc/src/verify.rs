//! A token against keys, rules and a time: no I/O, no clock.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::algorithm::Algorithms;
use crate::claims::Claims;
use crate::jwks::Jwks;
use crate::jwt::{Jwt, JwtHeader, Signed};
use crate::refusal::JwtRefusal;

/// What a token has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e, A> {
    /// The issuer, byte for byte.
    pub issuer: &'e str,
    /// For whom it may be; one is enough, and where there is none, no token is good.
    pub audiences: &'e [A],
    /// What the issuer may sign with.
    pub algorithms: Algorithms,
}

/// Proves that the issuer has said this, to one of the audiences, and that it holds now.
///
/// # Errors
/// [`JwtRefusal`]: the token does not prove it.
pub fn verify<A: AsRef<str>>(
    jwt: Jwt<'_>,
    keys: &Jwks,
    expected: &Expected<'_, A>,
    now: OffsetDateTime,
) -> Result<Claims, JwtRefusal> {
    let judged = Judged::new(jwt, expected, now)?;
    judged.verify(keys)?;
    Ok(judged.into_claims())
}

/// What a token says of itself. Nothing of it is verified: it is for people who look at one.
#[derive(Debug)]
pub struct Inspected {
    /// The header.
    pub header: JwtHeader,
    /// Every claim.
    pub claims: Map<String, Value>,
    /// Why every verifier refuses it now, whoever has signed it and for whomever it is.
    pub refusal: Option<JwtRefusal>,
}

/// Looks at a token without keys, and takes its issuer and audiences for the expected ones.
///
/// # Errors
/// [`JwtRefusal`] when its parts cannot be read, or nobody could believe them.
pub fn inspect(raw: &str, now: OffsetDateTime) -> Result<Inspected, JwtRefusal> {
    let Jwt { signed, members } = Jwt::parse(raw)?;
    let claims = members.clone();
    let refusal = Claims::judge_as_it_says(members, now).err();
    Ok(Inspected { header: signed.header, claims, refusal })
}

/// A token of which everything but the signature is in order. Claims come first, for that is cheaper: who has no key makes
/// nobody compute, and an old token does not make anybody ask for new keys. They do not leave before the signature is
/// verified.
pub(crate) struct Judged<'t> {
    signed: Signed<'t>,
    claims: Claims,
}

impl<'t> Judged<'t> {
    pub(crate) fn new<A: AsRef<str>>(
        jwt: Jwt<'t>,
        expected: &Expected<'_, A>,
        now: OffsetDateTime,
    ) -> Result<Self, JwtRefusal> {
        let Jwt { signed, members } = jwt;
        let algorithm = signed.header.algorithm;
        if !expected.algorithms.contains(algorithm) {
            return Err(JwtRefusal::AlgorithmNotAllowed(algorithm));
        }
        let claims = Claims::judge(members, expected.issuer, expected.audiences, now)?;
        Ok(Self { signed, claims })
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.signed.header.kid.as_deref()
    }

    pub(crate) fn verify(&self, keys: &Jwks) -> Result<(), JwtRefusal> {
        keys.verify(&self.signed)
    }

    /// Only after [`Self::verify`].
    pub(crate) fn into_claims(self) -> Claims {
        self.claims
    }
}
