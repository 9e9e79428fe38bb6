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
            Self::Http { fault, .. } => match fault {
                HttpFault::Redirect { .. } => {
                    "it answers with a redirect, which is not followed (issuer_redirects)"
                }
                HttpFault::Refused { .. } | HttpFault::NotPublic { .. } => {
                    "it is at an address that may not be called (issuer_address_refused)"
                }
                HttpFault::TooLarge { .. } => "one of its documents is too large (issuer_document_too_large)",
                HttpFault::Tls { .. } => "it did not prove who it is (issuer_certificate)",
                HttpFault::Resolve { .. }
                | HttpFault::Timeout { .. }
                | HttpFault::Connect { .. }
                | HttpFault::Broken { .. } => "it cannot be reached (issuer_unreachable)",
            },
            Self::Status { .. } => "it answers with an error of its own (issuer_status)",
            Self::Discovery(_) => "its discovery document cannot be used (issuer_discovery)",
            Self::OtherIssuer { .. } => "its discovery document is another issuer's (issuer_mismatch)",
            Self::KeysUrl { .. } => "its keys are where they may not be fetched from (issuer_keys_url)",
            Self::Keys(JwksError::TooLong(_)) => {
                "one of its documents is too large (issuer_document_too_large)"
            }
            Self::Keys(JwksError::TooManyKeys) => "it has too many keys (issuer_too_many_keys)",
            Self::Keys(JwksError::Json | JwksError::DuplicateMember(_) | JwksError::NoKeys) => {
                "its keys cannot be used (issuer_keys)"
            }
            Self::Stale { .. } => "its keys are too old (issuer_keys_stale)",
            Self::Interrupted => "asking it was interrupted (issuer_interrupted)",
        }
    }

    /// Whether a bound of ours was held: the issuer, or its name, leads to where nothing is fetched from, or a document has no end. An attack
    /// looks so, and so does a slip of the configuration.
    #[must_use]
    pub fn is_warded_off(&self) -> bool {
        match self {
            Self::Http { fault, .. } => matches!(
                fault,
                HttpFault::Redirect { .. }
                    | HttpFault::Refused { .. }
                    | HttpFault::NotPublic { .. }
                    | HttpFault::TooLarge { .. }
            ),
            Self::KeysUrl { .. } | Self::Keys(JwksError::TooLong(_) | JwksError::TooManyKeys) => true,
            Self::Keys(JwksError::Json | JwksError::DuplicateMember(_) | JwksError::NoKeys)
            | Self::Status { .. }
            | Self::Discovery(_)
            | Self::OtherIssuer { .. }
            | Self::Stale { .. }
            | Self::Interrupted => false,
        }
    }

    /// A stable name for the fault, in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http { fault, .. } => match fault {
                HttpFault::Redirect { .. } => "issuer_redirects",
                HttpFault::Refused { .. } | HttpFault::NotPublic { .. } => "issuer_address_refused",
                HttpFault::TooLarge { .. } => "issuer_document_too_large",
                HttpFault::Tls { .. } => "issuer_certificate",
                HttpFault::Resolve { .. }
                | HttpFault::Timeout { .. }
                | HttpFault::Connect { .. }
                | HttpFault::Broken { .. } => "issuer_unreachable",
            },
            Self::Status { .. } => "issuer_status",
            Self::Discovery(_) => "issuer_discovery",
            Self::OtherIssuer { .. } => "issuer_mismatch",
            Self::KeysUrl { .. } => "issuer_keys_url",
            Self::Keys(JwksError::TooLong(_)) => "issuer_document_too_large",
            Self::Keys(JwksError::TooManyKeys) => "issuer_too_many_keys",
            Self::Keys(JwksError::Json | JwksError::DuplicateMember(_) | JwksError::NoKeys) => "issuer_keys",
            Self::Stale { .. } => "issuer_keys_stale",
            Self::Interrupted => "issuer_interrupted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fault of the way to an issuer, and some of what it says.
    fn faults() -> Vec<(OidcFault, &'static str)> {
        let host = || "issuer.example".to_owned();
        let reason = || "10.0.0.1 said so".to_owned();
        let http = [
            (HttpFault::Refused { host: host(), rule: "r" }, "issuer_address_refused"),
            (HttpFault::NotPublic { host: host(), reason: reason() }, "issuer_address_refused"),
            (HttpFault::Redirect { host: host(), status: 302 }, "issuer_redirects"),
            (HttpFault::TooLarge { host: host(), bytes_max: 1 }, "issuer_document_too_large"),
            (HttpFault::Tls { host: host(), reason: reason() }, "issuer_certificate"),
            (HttpFault::Resolve { host: host(), reason: reason() }, "issuer_unreachable"),
            (HttpFault::Timeout { host: host(), limit: Duration::from_secs(1) }, "issuer_unreachable"),
            (HttpFault::Connect { host: host(), reason: reason() }, "issuer_unreachable"),
            (HttpFault::Broken { host: host(), reason: reason() }, "issuer_unreachable"),
        ];
        let of_keys = [
            (JwksError::TooLong(300_000), "issuer_document_too_large"),
            (JwksError::TooManyKeys, "issuer_too_many_keys"),
            (JwksError::NoKeys, "issuer_keys"),
            (JwksError::DuplicateMember("10.0.0.1".to_owned()), "issuer_keys"),
        ];
        let http = http.map(|(fault, code)| (OidcFault::Http { document: Document::Keys, fault }, code));
        http.into_iter().chain(of_keys.map(|(error, code)| (error.into(), code))).collect()
    }

    #[test]
    fn each_way_to_fail_has_a_code_which_callers_are_told_and_nothing_that_the_network_said() {
        for (fault, code) in faults() {
            assert_eq!(fault.code(), code, "{fault}");
            let told = fault.for_callers();
            assert!(told.ends_with(&format!("({code})")), "{fault}: {told}");
            assert!(!told.contains("10.0.0.1") && !told.contains("issuer.example"), "{told}");
        }
    }

    #[test]
    fn a_bound_that_was_held_is_told_from_an_issuer_that_is_away_or_in_disorder() {
        let bounds = ["redirects", "address_refused", "document_too_large", "too_many_keys"];
        for (fault, code) in faults() {
            let is_bound = bounds.iter().any(|bound| code.ends_with(bound));
            assert_eq!(fault.is_warded_off(), is_bound, "{fault}");
        }
        let keys_url = OidcFault::KeysUrl { url: "http://10.0.0.1".to_owned(), rule: "r" };
        assert!(keys_url.is_warded_off() && !OidcFault::Interrupted.is_warded_off());
    }
}
