//! Why a token is refused.

use lanyard_kit::clock::moment_text;
use time::OffsetDateTime;

use crate::algorithm::Algorithm;
use crate::claims::{AUDIENCES_MAX, CLOCK_LEEWAY, SUBJECT_BYTES_MAX};
use crate::jwk::SkipReason;
use crate::jwks::CANDIDATES_MAX;
use crate::jwt::{HEADER_BYTES_MAX, KID_BYTES_MAX, TOKEN_BYTES_MAX};

/// Which part of a token was refused: of the three that it is made of, or a member by its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtPart {
    /// The token as a whole.
    Token,
    /// What is before the first dot.
    Header,
    /// What is between the dots.
    Payload,
    /// What is after the second dot.
    Signature,
    /// `alg` of the header.
    Alg,
    /// `crit` of the header.
    Crit,
    /// `typ` of the header.
    Typ,
    /// `kid` of the header.
    Kid,
    /// The claim `iss`.
    Iss,
    /// The claim `aud`.
    Aud,
    /// The claim `azp`.
    Azp,
    /// The claim `exp`.
    Exp,
    /// The claim `nbf`.
    Nbf,
    /// The claim `iat`.
    Iat,
    /// The claim `sub`.
    Sub,
    /// The claim `email`.
    Email,
    /// The claim `email_verified`.
    EmailVerified,
    /// Another claim, which the message names.
    Claim,
}

impl JwtPart {
    /// The part's name, stable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
            Self::Alg => "alg",
            Self::Crit => "crit",
            Self::Typ => "typ",
            Self::Kid => "kid",
            Self::Iss => "iss",
            Self::Aud => "aud",
            Self::Azp => "azp",
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Iat => "iat",
            Self::Sub => "sub",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
            Self::Claim => "claim",
        }
    }

    /// The part that a claim of this name is.
    pub(crate) fn of_claim(name: &str) -> Self {
        let named = [Self::Iss, Self::Aud, Self::Azp, Self::Exp, Self::Nbf, Self::Iat, Self::Sub];
        let email = [Self::Email, Self::EmailVerified];
        named.into_iter().chain(email).find(|part| part.as_str() == name).unwrap_or(Self::Claim)
    }
}

/// Why a token is refused. No variant repeats more of the token than the beginning of one value, escaped and cut short.
///
/// The order in which things are judged is that of the variants, but for the signature, which comes last: a refusal says
/// nothing about what was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefusal {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token has {0} bytes, at most {max} are allowed", max = TOKEN_BYTES_MAX)]
    TooLong(usize),
    /// Not header, payload and signature with a dot between them: no JWS in compact form.
    #[error("the token is not three parts with a dot between them")]
    Parts,
    /// The header is longer than [`HEADER_BYTES_MAX`].
    #[error("the header has {0} bytes of base64, at most {max} are allowed", max = HEADER_BYTES_MAX)]
    HeaderTooLong(usize),
    /// Not base64 of the URL alphabet, without padding, blanks or stray bits.
    #[error("the {} is not base64url without padding", .0.as_str())]
    Encoding(JwtPart),
    /// Not a JSON object.
    #[error("the {} is not a JSON object", .0.as_str())]
    Json(JwtPart),
    /// A member stands twice, so that two readers could see two tokens in one.
    #[error("the {} has the member `{name}` twice", part.as_str())]
    DuplicateMember {
        /// Header or payload.
        part: JwtPart,
        /// The member, cut short.
        name: String,
    },
    /// More, or deeper, than anything that an issuer says about somebody.
    #[error("the {} is nested too deep, or has a list with too many items", .0.as_str())]
    TooMuch(JwtPart),
    /// No `alg`, or one that is no text.
    #[error("the header does not say its algorithm as text")]
    AlgorithmMissing,
    /// `none`: anybody can make that.
    #[error("the token says that it is not signed (alg `none`), sign it")]
    Unsigned,
    /// An HMAC, which whoever can verify it can make.
    #[error(
        "the token is signed by an HMAC (alg `{0}`), whose key is not the issuer's alone: use RS256 or ES256"
    )]
    Symmetric(String),
    /// An algorithm that is not known here.
    #[error("the algorithm `{0}` is not known, use RS256 or ES256")]
    AlgorithmUnknown(String),
    /// Header members that have to be understood, and are not.
    #[error("the header has `crit`: members that have to be understood are not known here")]
    Critical,
    /// A token for another use.
    #[error("the token is of type `{0}`, only `JWT` is an ID token")]
    Type(String),
    /// A key id that none could be.
    #[error("the key id `kid` has to be text of 1 to {max} bytes", max = KID_BYTES_MAX)]
    KeyId,
    /// An algorithm that this issuer may not use.
    #[error("the issuer may not sign with {0}, see the algorithms that its configuration allows")]
    AlgorithmNotAllowed(Algorithm),
    /// A claim that has to be there.
    #[error("the claim `{0}` is missing")]
    ClaimMissing(String),
    /// A claim of another type.
    #[error("the claim `{name}` is not {expected}")]
    ClaimType {
        /// The claim, cut short.
        name: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// A claim longer than can be of use.
    #[error("the claim `{name}` is longer than {max} {unit}")]
    ClaimTooLong {
        /// The claim, cut short.
        name: String,
        /// The limit.
        max: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// Another issuer, were it only by a slash.
    #[error("the token is of the issuer `{found}`, not of `{expected}`")]
    Issuer {
        /// What the token says, cut short.
        found: String,
        /// The configured one.
        expected: String,
    },
    /// Not meant for anybody here.
    #[error("the token is for the audience `{0}`, which is none of the expected ones")]
    Audience(String),
    /// Meant for more parties than anybody logs in to.
    #[error("the token has {0} audiences, at most {max} are allowed", max = AUDIENCES_MAX)]
    TooManyAudiences(usize),
    /// Issued to another party, with one of ours among several audiences.
    #[error("the token has several audiences and was issued to `{0}`, which is none of the expected ones")]
    AuthorizedParty(String),
    /// A date that is none: not a number, negative, or beyond the year 9999.
    #[error("the claim `{}` is not a date in seconds since 1970", .0.as_str())]
    Date(JwtPart),
    /// Past its time.
    #[error("the token expired at {}: log in again", moment_text(.0))]
    Expired(OffsetDateTime),
    /// Not good yet.
    #[error(
        "the token is not valid before {}: see whether the clocks agree, {max} s are allowed",
        moment_text(.0),
        max = CLOCK_LEEWAY.whole_seconds()
    )]
    NotYetValid(OffsetDateTime),
    /// Dated ahead by more than clocks may differ.
    #[error(
        "the token was issued at {}, which is yet to come: see whether the clocks agree, {max} s are allowed",
        moment_text(.0),
        max = CLOCK_LEEWAY.whole_seconds()
    )]
    IssuedInFuture(OffsetDateTime),
    /// A subject that OpenID Connect does not allow.
    #[error("the claim `sub` has to be 1 to {max} printable ASCII characters", max = SUBJECT_BYTES_MAX)]
    Subject,
    /// The issuer publishes no such key, and was asked lately.
    #[error("the issuer publishes no key `{0}`")]
    UnknownKey(String),
    /// The issuer publishes the key, in a form that is not used.
    #[error("the issuer's key `{kid}` is not used: {reason}")]
    UnusableKey {
        /// The key, cut short.
        kid: String,
        /// Why it was left out.
        reason: SkipReason,
    },
    /// The key is for another algorithm; the token does not choose.
    #[error("the issuer's key `{kid}` is not for {algorithm}")]
    KeyAlgorithm {
        /// The key, cut short.
        kid: String,
        /// What the token says.
        algorithm: Algorithm,
    },
    /// The token names no key, and there is none for its algorithm.
    #[error("the issuer publishes no key for {0}")]
    NoKeyFor(Algorithm),
    /// The token fits more keys than are tried.
    #[error("{0} keys of the issuer could have signed the token, at most {max} are tried: a `kid` has to tell them apart", max = CANDIDATES_MAX)]
    AmbiguousKey(usize),
    /// The signature is not that of the key.
    #[error("the signature does not verify")]
    Signature,
    /// The issuer says that the address may be anybody's.
    #[error("the issuer says that `email` is not verified")]
    EmailNotVerified,
    /// The issuer does not say whose the address is.
    #[error(
        "the token has `email` without `email_verified`: use another claim, or allow it in the configuration"
    )]
    EmailVerifiedMissing,
    /// A claim that the configuration requires to have one value.
    #[error("the claim `{0}` does not have the required value")]
    RequiredClaim(String),
}

impl JwtRefusal {
    /// A stable name for the refusal, in snake case, for machine-readable answers, metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "jwt_too_long",
            Self::Parts => "jwt_parts",
            Self::HeaderTooLong(_) => "jwt_header_too_long",
            Self::Encoding(_) => "jwt_encoding",
            Self::Json(_) => "jwt_json",
            Self::DuplicateMember { .. } => "jwt_duplicate_member",
            Self::TooMuch(_) => "jwt_too_much",
            Self::AlgorithmMissing => "jwt_algorithm_missing",
            Self::Unsigned => "jwt_unsigned",
            Self::Symmetric(_) => "jwt_symmetric",
            Self::AlgorithmUnknown(_) => "jwt_algorithm_unknown",
            Self::Critical => "jwt_critical",
            Self::Type(_) => "jwt_type",
            Self::KeyId => "jwt_key_id",
            Self::AlgorithmNotAllowed(_) => "jwt_algorithm_not_allowed",
            Self::ClaimMissing(_) => "claim_missing",
            Self::ClaimType { .. } => "claim_type",
            Self::ClaimTooLong { .. } => "claim_too_long",
            Self::Issuer { .. } => "issuer",
            Self::Audience(_) => "audience",
            Self::TooManyAudiences(_) => "too_many_audiences",
            Self::AuthorizedParty(_) => "authorized_party",
            Self::Date(_) => "claim_date",
            Self::Expired(_) => "token_expired",
            Self::NotYetValid(_) => "token_not_yet_valid",
            Self::IssuedInFuture(_) => "token_from_future",
            Self::Subject => "subject",
            Self::UnknownKey(_) => "unknown_key",
            Self::UnusableKey { .. } => "unusable_key",
            Self::KeyAlgorithm { .. } => "key_algorithm",
            Self::NoKeyFor(_) => "no_key_for_algorithm",
            Self::AmbiguousKey(_) => "ambiguous_key",
            Self::Signature => "jwt_signature",
            Self::EmailNotVerified => "email_not_verified",
            Self::EmailVerifiedMissing => "email_verified_missing",
            Self::RequiredClaim(_) => "required_claim",
        }
    }

    /// Which part of the token failed.
    #[must_use]
    pub fn part(&self) -> JwtPart {
        match self {
            Self::TooLong(_) | Self::Parts => JwtPart::Token,
            Self::HeaderTooLong(_) => JwtPart::Header,
            Self::Encoding(part)
            | Self::Json(part)
            | Self::TooMuch(part)
            | Self::Date(part)
            | Self::DuplicateMember { part, .. } => *part,
            Self::AlgorithmMissing
            | Self::Unsigned
            | Self::Symmetric(_)
            | Self::AlgorithmUnknown(_)
            | Self::AlgorithmNotAllowed(_)
            | Self::KeyAlgorithm { .. }
            | Self::NoKeyFor(_) => JwtPart::Alg,
            Self::Critical => JwtPart::Crit,
            Self::Type(_) => JwtPart::Typ,
            Self::KeyId | Self::UnknownKey(_) | Self::UnusableKey { .. } | Self::AmbiguousKey(_) => {
                JwtPart::Kid
            }
            Self::ClaimMissing(name)
            | Self::ClaimType { name, .. }
            | Self::ClaimTooLong { name, .. }
            | Self::RequiredClaim(name) => JwtPart::of_claim(name),
            Self::Issuer { .. } => JwtPart::Iss,
            Self::Audience(_) | Self::TooManyAudiences(_) => JwtPart::Aud,
            Self::AuthorizedParty(_) => JwtPart::Azp,
            Self::Expired(_) => JwtPart::Exp,
            Self::NotYetValid(_) => JwtPart::Nbf,
            Self::IssuedInFuture(_) => JwtPart::Iat,
            Self::Subject => JwtPart::Sub,
            Self::Signature => JwtPart::Signature,
            Self::EmailNotVerified | Self::EmailVerifiedMissing => JwtPart::EmailVerified,
        }
    }
}
