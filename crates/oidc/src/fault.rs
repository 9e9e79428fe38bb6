//! Why there is no answer about an issuer's tokens. Never to be read as "the token is bad".

use std::time::Duration;

use lanyard_kit::http_client::HttpFault;

use crate::jwks::JwksError;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    /// The issuer's configuration, at `/.well-known/openid-configuration`.
    Discovery,
    /// Its keys, where the configuration says.
    Keys,
}

impl Document {
    /// Its name, stable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery document",
            Self::Keys => "key set",
        }
    }
}

/// Why there is no answer. What the issuer said itself is only shown short and escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcFault {
    /// The document did not come.
    #[error("the issuer's {} cannot be fetched: {fault}", document.as_str())]
    Http {
        /// Which.
        document: Document,
        /// Why.
        fault: HttpFault,
    },
    /// An answer, with another status than 200.
    #[error("the issuer answered {status} instead of its {}", document.as_str())]
    Status {
        /// Which was asked for.
        document: Document,
        /// The status.
        status: u16,
    },
    /// The discovery document is no JSON object with what it has to have.
    #[error("the issuer's discovery document {0}")]
    Discovery(&'static str),
    /// The discovery document is another issuer's (OpenID Connect Discovery section 4.3).
    #[error(
        "the discovery document is of the issuer `{found}`, not of `{expected}`: configure the issuer exactly so"
    )]
    OtherIssuer {
        /// Whose it says it is, cut short.
        found: String,
        /// The configured one.
        expected: String,
    },
    /// The keys lie where nothing is fetched from.
    #[error("the issuer says that its keys are at `{url}`: {rule}")]
    KeysUrl {
        /// The URL, cut short.
        url: String,
        /// Which rule.
        rule: &'static str,
    },
    /// The key set is none.
    #[error(transparent)]
    Keys(#[from] JwksError),
    /// The issuer's keys are too old to go by, and there are no newer ones.
    #[error("the keys of the issuer are {age:?} old, the limit is {limit:?}: {cause}")]
    Stale {
        /// How old.
        age: Duration,
        /// How old they may be.
        limit: Duration,
        /// Why there are no newer ones.
        cause: Box<OidcFault>,
    },
    /// Whoever was asking the issuer has ended without an answer.
    #[error("asking the issuer was interrupted; try again")]
    Interrupted,
}

impl OidcFault {
    /// The fault in words that are safe to show to anyone: nothing that the issuer or the network said.
    #[must_use]
    pub fn for_callers(&self) -> &'static str {
        match self {
            Self::Http { .. } => "it cannot be reached (issuer_unreachable)",
            Self::Status { .. } => "it answers with an error of its own (issuer_status)",
            Self::Discovery(_) => "its discovery document cannot be used (issuer_discovery)",
            Self::OtherIssuer { .. } => "its discovery document is another issuer's (issuer_mismatch)",
            Self::KeysUrl { .. } => "its keys are where they may not be fetched from (issuer_keys_url)",
            Self::Keys(_) => "its keys cannot be used (issuer_keys)",
            Self::Stale { .. } => "its keys are too old (issuer_keys_stale)",
            Self::Interrupted => "asking it was interrupted (issuer_interrupted)",
        }
    }

    /// A stable name for the fault, in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http { .. } => "issuer_unreachable",
            Self::Status { .. } => "issuer_status",
            Self::Discovery(_) => "issuer_discovery",
            Self::OtherIssuer { .. } => "issuer_mismatch",
            Self::KeysUrl { .. } => "issuer_keys_url",
            Self::Keys(_) => "issuer_keys",
            Self::Stale { .. } => "issuer_keys_stale",
            Self::Interrupted => "issuer_interrupted",
        }
    }
}
