//! Why a signed request is refused.

use time::OffsetDateTime;

use crate::shown::{moment_text, shown};

/// Why the signature parts of a request are refused, before any key is looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// Neither an `Authorization` header nor `X-Amz-Signature` in the query.
    #[error("the request is not signed: it has neither an Authorization header nor X-Amz-Signature")]
    Unsigned,
    /// Signed in the header and in the query.
    #[error("the request is signed twice, in the Authorization header and in the query: choose one")]
    SignedTwice,
    /// To be signed, though it carries parts of a signature already.
    #[error("the request to sign already has `{}`: leave it out", shown(.0))]
    AlreadySigned(String),
    /// A header that may stand once stands twice.
    #[error("the header `{}` stands more than once", shown(.0))]
    DuplicateHeader(String),
    /// A signature parameter stands twice, also when its letter case differs.
    #[error("the query parameter `{}` stands more than once", shown(.0))]
    DuplicateParameter(String),
    /// A signature parameter is missing.
    #[error("the query parameter `{0}` is missing")]
    MissingParameter(&'static str),
    /// More than [`super::QUERY_PARAMETERS_MAX`] parameters.
    #[error("the query has more than {max} parameters", max = super::QUERY_PARAMETERS_MAX)]
    TooManyParameters,
    /// A `%` without two hex digits, or bytes that are not UTF-8, in the query.
    #[error("the query is malformed: after % there have to be two hex digits, and the whole has to be UTF-8")]
    MalformedQuery,
    /// The `Authorization` header does not have the one form.
    #[error(
        "the Authorization header is malformed at its {0}: it has to be AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…"
    )]
    MalformedAuthorization(&'static str),
    /// Another algorithm.
    #[error("the algorithm has to be AWS4-HMAC-SHA256")]
    Algorithm,
    /// The credential is not `KEY/DATE/REGION/SERVICE/aws4_request`.
    #[error("the credential is malformed: it has to be KEY/YYYYMMDD/REGION/SERVICE/aws4_request")]
    MalformedCredential,
    /// Signed for another region.
    #[error("the credential is scoped to region `{}`, expected `{expected}`", shown(.found))]
    Region {
        /// The region in the scope.
        found: String,
        /// The region that this endpoint signs for.
        expected: String,
    },
    /// Signed for another service.
    #[error("the credential is scoped to service `{}`, expected `{expected}`", shown(.found))]
    Service {
        /// The service in the scope.
        found: String,
        /// The service that this endpoint is.
        expected: String,
    },
    /// The day in the scope is not that of the date.
    #[error("the day of the credential scope differs from that of x-amz-date")]
    ScopeDay,
    /// No date.
    #[error("x-amz-date is missing")]
    MissingDate,
    /// The date does not have the one form.
    #[error("x-amz-date is malformed: it has to be YYYYMMDDTHHMMSSZ")]
    MalformedDate,
    /// Past its window.
    #[error(
        "the signature of {} was good until {}, and here it is {}: sign anew, and set the clock",
        moment_text(date),
        moment_text(not_after),
        moment_text(now)
    )]
    TooOld {
        /// When it was signed.
        date: OffsetDateTime,
        /// Until when it counted.
        not_after: OffsetDateTime,
        /// The time by this clock, so that whoever asks can set theirs.
        now: OffsetDateTime,
    },
    /// From the future, by more than clocks may differ.
    #[error(
        "the signature is dated {}, and here it is {}: clocks may differ by {skew_seconds} s, set yours",
        moment_text(date),
        moment_text(now)
    )]
    Future {
        /// When it claims to be signed.
        date: OffsetDateTime,
        /// The time by this clock.
        now: OffsetDateTime,
        /// How far clocks may differ.
        skew_seconds: i64,
    },
    /// The lifetime is not a number of seconds in range.
    #[error("X-Amz-Expires has to be a whole number of seconds from 1 to {max_seconds}")]
    Expires {
        /// The longest lifetime that is accepted here.
        max_seconds: u64,
    },
    /// The list of signed headers is not lower case, sorted, without repetition.
    #[error(
        "the list of signed headers is malformed: names are lower case, sorted and separated by semicolons"
    )]
    MalformedSignedHeaders,
    /// More than [`super::SIGNED_HEADERS_MAX`] signed headers.
    #[error("more than {max} headers are signed", max = super::SIGNED_HEADERS_MAX)]
    TooManySignedHeaders,
    /// A header that has to be signed is not.
    #[error("the header `{}` has to be signed", shown(.0))]
    HeaderNotSigned(String),
    /// A header is named as signed, and is not there.
    #[error("the signed header `{}` is missing from the request", shown(.0))]
    SignedHeaderMissing(String),
    /// The signature is not 64 lower-case hex digits.
    #[error("the signature is malformed: it has to be 64 lower-case hex digits")]
    MalformedSignature,
    /// The signature of a certificate's key is not the hex digits of what ECDSA makes.
    #[error("the signature is malformed: it has to be an ECDSA signature, DER in lower-case hex")]
    MalformedEcdsaSignature,
    /// A certificate that does not come along as it should.
    #[error(
        "the header `{0}` is missing or malformed: it has to hold DER in base64, of a certificate of at most 6 KiB"
    )]
    MalformedCertificate(&'static str),
    /// Nothing can be signed by a certificate's key without randomness.
    #[error("the system gives no randomness, without which nothing can be signed: try again")]
    NoRandomness,
}

impl SigV4Error {
    /// A stable name for the fault, in snake case, for logs and machine-readable answers.
    #[must_use]
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::SignedTwice => "signed_twice",
            Self::AlreadySigned(_) => "already_signed",
            Self::DuplicateHeader(_) => "duplicate_header",
            Self::DuplicateParameter(_) => "duplicate_parameter",
            Self::MissingParameter(_) => "missing_parameter",
            Self::TooManyParameters => "too_many_parameters",
            Self::MalformedQuery => "malformed_query",
            Self::MalformedAuthorization(_) => "malformed_authorization",
            Self::Algorithm => "algorithm",
            Self::MalformedCredential => "malformed_credential",
            Self::Region { .. } => "scope_region",
            Self::Service { .. } => "scope_service",
            Self::ScopeDay => "scope_day",
            Self::MissingDate => "date_missing",
            Self::MalformedDate => "date_malformed",
            Self::TooOld { .. } => "signature_too_old",
            Self::Future { .. } => "signature_from_future",
            Self::Expires { .. } => "expires",
            Self::MalformedSignedHeaders => "malformed_signed_headers",
            Self::TooManySignedHeaders => "too_many_signed_headers",
            Self::HeaderNotSigned(_) => "header_not_signed",
            Self::SignedHeaderMissing(_) => "signed_header_missing",
            Self::MalformedSignature | Self::MalformedEcdsaSignature => "malformed_signature",
            Self::MalformedCertificate(_) => "malformed_certificate",
            Self::NoRandomness => "no_randomness",
        }
    }
}

/// The parts are in order, and yet the request is not what the key's holder signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureMismatch {
    /// The signature is not that of this request under this key.
    #[error("the signature does not match the request")]
    Signature,
    /// `x-amz-content-sha256` is not the hash of the body that arrived.
    #[error("x-amz-content-sha256 is not the hash of the body: sign the body as sent")]
    Payload,
}

impl SignatureMismatch {
    /// A stable name for the fault, in snake case.
    #[must_use]
    pub fn reason_code(self) -> &'static str {
        match self {
            Self::Signature => "signature_mismatch",
            Self::Payload => "payload_hash_mismatch",
        }
    }
}
