//! Why a token is refused.

use time::OffsetDateTime;

use super::{CLUSTER_ID_HEADER, TOKEN_AGE_MAX, TOKEN_BYTES_MAX, TOKEN_PREFIX, TOKEN_SKEW_MAX};
use crate::partition::Partition;
use crate::shown::{moment_text, shown_within};

/// Which part of a token was refused; parameters by their wire names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenPart {
    /// The token's length.
    Length,
    /// What it begins with.
    Prefix,
    /// The base64 after the prefix.
    Encoding,
    /// The URL inside.
    Url,
    /// The URL's scheme.
    Scheme,
    /// A user in the URL.
    UserInfo,
    /// The URL's host.
    Host,
    /// The URL's path.
    Path,
    /// What follows `#`.
    Fragment,
    /// The query as a whole.
    Query,
    /// `Action`.
    Action,
    /// `Version`.
    Version,
    /// `X-Amz-Algorithm`.
    Algorithm,
    /// `X-Amz-Credential`.
    Credential,
    /// `X-Amz-Date`.
    Date,
    /// `X-Amz-Expires`.
    Expires,
    /// `X-Amz-Security-Token`.
    SecurityToken,
    /// `X-Amz-Signature`.
    Signature,
    /// `X-Amz-SignedHeaders`.
    SignedHeaders,
}

impl TokenPart {
    /// The part's name, stable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Prefix => "prefix",
            Self::Encoding => "encoding",
            Self::Url => "url",
            Self::Scheme => "scheme",
            Self::UserInfo => "user_info",
            Self::Host => "host",
            Self::Path => "path",
            Self::Fragment => "fragment",
            Self::Query => "query",
            Self::Action => "Action",
            Self::Version => "Version",
            Self::Algorithm => "X-Amz-Algorithm",
            Self::Credential => "X-Amz-Credential",
            Self::Date => "X-Amz-Date",
            Self::Expires => "X-Amz-Expires",
            Self::SecurityToken => "X-Amz-Security-Token",
            Self::Signature => "X-Amz-Signature",
            Self::SignedHeaders => "X-Amz-SignedHeaders",
        }
    }
}

/// Why a token is refused, in the order in which the parts are judged. No variant repeats more of the token than a host,
/// a region, a date or the beginning of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token has {0} bytes, at most {max} are allowed", max = TOKEN_BYTES_MAX)]
    TooLong(usize),
    /// Another kind of token.
    #[error("the token does not begin with {prefix}", prefix = TOKEN_PREFIX)]
    Prefix,
    /// Not base64 of the URL alphabet, without padding, blanks or stray bits.
    #[error("the token is not base64url without padding")]
    Encoding,
    /// What is encoded is not a URL.
    #[error("the token does not hold a URL of visible ASCII characters")]
    Url,
    /// Not https.
    #[error("the token's URL has to begin with https")]
    Scheme,
    /// A user before the host.
    #[error("the token's URL must not name a user")]
    UserInfo,
    /// Not an STS host of this partition, nor a configured one.
    #[error("`{host}` is not an STS host of partition {partition}, nor a configured one")]
    Host {
        /// The host as sent, cut short.
        host: String,
        /// The partition of the verifier.
        partition: Partition,
    },
    /// The path is not `/`.
    #[error("the path of the token's URL has to be /")]
    Path,
    /// Something after `#`.
    #[error("the token's URL must not have a fragment")]
    Fragment,
    /// A bad escape, a `;`, or bytes that are not text.
    #[error(
        "the query of the token's URL is malformed: escapes are % and two hex digits, and there is no semicolon"
    )]
    Query,
    /// Two spellings of one parameter.
    #[error("the parameter {0} stands twice, in different letter case")]
    DuplicateParameter(&'static str),
    /// A parameter outside the allow-list.
    #[error("the parameter `{0}` is not allowed")]
    ParameterNotAllowed(String),
    /// One parameter twice.
    #[error("the parameter {0} has more than one value")]
    RepeatedParameter(&'static str),
    /// Another action, or none.
    #[error("the action has to be GetCallerIdentity")]
    Action,
    /// A version that no API has.
    #[error("the API version is malformed")]
    Version,
    /// No list of signed headers.
    #[error("X-Amz-SignedHeaders is missing")]
    SignedHeadersMissing,
    /// The cluster id is not signed, so the token would be good for every cluster.
    #[error("the token does not sign {header}", header = CLUSTER_ID_HEADER)]
    ClusterIdNotSigned,
    /// The host is not signed.
    #[error("the token does not sign host")]
    HostNotSigned,
    /// A signed header that no client sends, and whose value is not known here.
    #[error("the token signs `{0}`: only host and {header}, each once, can be verified", header = CLUSTER_ID_HEADER)]
    UnknownSignedHeader(String),
    /// No lifetime.
    #[error("X-Amz-Expires is missing")]
    ExpiresMissing,
    /// The lifetime is not a number in range.
    #[error("X-Amz-Expires has to be a whole number of seconds from 0 to {max}", max = TOKEN_AGE_MAX.whole_seconds())]
    Expires,
    /// No date.
    #[error("X-Amz-Date is missing")]
    DateMissing,
    /// The date does not have the one form.
    #[error("X-Amz-Date is malformed: it has to be YYYYMMDDTHHMMSSZ")]
    DateMalformed,
    /// Past its time.
    #[error(
        "the token of {} was accepted until {}: fetch a new one",
        moment_text(date),
        moment_text(not_after)
    )]
    TooOld {
        /// When it was made.
        date: OffsetDateTime,
        /// Until when it was accepted.
        not_after: OffsetDateTime,
    },
    /// Dated ahead by more than clocks may differ.
    #[error(
        "the token is dated {}, more than {max} s ahead of this clock: set the clock",
        moment_text(date),
        max = TOKEN_SKEW_MAX.whole_seconds()
    )]
    Future {
        /// When it claims to have been made.
        date: OffsetDateTime,
    },
    /// Another algorithm, or none.
    #[error("X-Amz-Algorithm has to be AWS4-HMAC-SHA256")]
    Algorithm,
    /// No credential.
    #[error("X-Amz-Credential is missing")]
    CredentialMissing,
    /// The credential is not `KEY/YYYYMMDD/REGION/SERVICE/aws4_request`.
    #[error("X-Amz-Credential is malformed: it has to be KEY/YYYYMMDD/REGION/sts/aws4_request")]
    Credential,
    /// The scope names another region than the host.
    #[error("the credential is scoped to region `{found}`, the host belongs to `{expected}`")]
    ScopeRegion {
        /// The region in the scope, cut short.
        found: String,
        /// The region of the host.
        expected: String,
    },
    /// The scope names another service.
    #[error("the credential is scoped to service `{0}`, not sts")]
    ScopeService(String),
    /// The scope names another day than the date.
    #[error("the day of the credential scope differs from that of X-Amz-Date")]
    ScopeDay,
    /// A key that the verifier's own host knows nothing of.
    #[error(
        "`{host}` is the hub itself, which is an STS for keys of its own alone: sign for a host of the key's STS"
    )]
    KeyOfOthers {
        /// The host as sent, cut short.
        host: String,
    },
    /// A session token that none could be.
    #[error("X-Amz-Security-Token is malformed")]
    SecurityToken,
    /// No signature.
    #[error("X-Amz-Signature is missing")]
    SignatureMissing,
    /// The signature is not 64 lower-case hex digits.
    #[error("X-Amz-Signature is malformed: it has to be 64 lower-case hex digits")]
    SignatureMalformed,
}

impl TokenError {
    /// A stable name for the refusal, in snake case, for machine-readable answers, metrics and logs.
    #[must_use]
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "token_too_long",
            Self::Prefix => "token_prefix",
            Self::Encoding => "token_encoding",
            Self::Url => "token_url",
            Self::Scheme => "token_scheme",
            Self::UserInfo => "token_user_info",
            Self::Host { .. } => "token_host",
            Self::Path => "token_path",
            Self::Fragment => "token_fragment",
            Self::Query => "token_query",
            Self::DuplicateParameter(_) => "duplicate_parameter",
            Self::ParameterNotAllowed(_) => "parameter_not_allowed",
            Self::RepeatedParameter(_) => "repeated_parameter",
            Self::Action => "action",
            Self::Version => "version",
            Self::SignedHeadersMissing => "signed_headers_missing",
            Self::ClusterIdNotSigned => "cluster_id_not_signed",
            Self::HostNotSigned => "host_not_signed",
            Self::UnknownSignedHeader(_) => "unknown_signed_header",
            Self::KeyOfOthers { .. } => "key_of_others",
            Self::ExpiresMissing => "expires_missing",
            Self::Expires => "expires",
            Self::DateMissing => "date_missing",
            Self::DateMalformed => "date_malformed",
            Self::TooOld { .. } => "token_expired",
            Self::Future { .. } => "token_from_future",
            Self::Algorithm => "algorithm",
            Self::CredentialMissing => "credential_missing",
            Self::Credential => "credential_malformed",
            Self::ScopeRegion { .. } => "scope_region",
            Self::ScopeService(_) => "scope_service",
            Self::ScopeDay => "scope_day",
            Self::SecurityToken => "session_token_malformed",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureMalformed => "signature_malformed",
        }
    }

    /// Which part of the token failed.
    #[must_use]
    pub fn part(&self) -> TokenPart {
        match self {
            Self::TooLong(_) => TokenPart::Length,
            Self::Prefix => TokenPart::Prefix,
            Self::Encoding => TokenPart::Encoding,
            Self::Url => TokenPart::Url,
            Self::Scheme => TokenPart::Scheme,
            Self::UserInfo => TokenPart::UserInfo,
            Self::Host { .. } => TokenPart::Host,
            Self::Path => TokenPart::Path,
            Self::Fragment => TokenPart::Fragment,
            Self::Query
            | Self::DuplicateParameter(_)
            | Self::ParameterNotAllowed(_)
            | Self::RepeatedParameter(_) => TokenPart::Query,
            Self::Action => TokenPart::Action,
            Self::Version => TokenPart::Version,
            Self::SignedHeadersMissing
            | Self::ClusterIdNotSigned
            | Self::HostNotSigned
            | Self::UnknownSignedHeader(_) => TokenPart::SignedHeaders,
            Self::ExpiresMissing | Self::Expires => TokenPart::Expires,
            Self::DateMissing | Self::DateMalformed | Self::TooOld { .. } | Self::Future { .. } => {
                TokenPart::Date
            }
            Self::Algorithm => TokenPart::Algorithm,
            Self::CredentialMissing
            | Self::Credential
            | Self::ScopeRegion { .. }
            | Self::ScopeService(_)
            | Self::KeyOfOthers { .. }
            | Self::ScopeDay => TokenPart::Credential,
            Self::SecurityToken => TokenPart::SecurityToken,
            Self::SignatureMissing | Self::SignatureMalformed => TokenPart::Signature,
        }
    }
}

/// The beginning of something that was sent, on one line: what was decoded may hold any character.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 64;
    shown_within(text, SHOWN_CHARS_MAX)
}
