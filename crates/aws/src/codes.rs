//! What AWS's error codes mean, whichever service gives them and whatever wire it speaks.

/// What throttling is called, beside codes that begin with `Throttl`.
const THROTTLE_CODES: [&str; 5] = [
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
];
/// What trouble on AWS's side is called: no answer, whatever the status. Those of KMS are to be tried again, it says.
const TROUBLE_CODES: [&str; 10] = [
    "DependencyTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalServiceError",
    "KMSInternalException",
    "KeyUnavailableException",
    "ServiceFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
];
/// What says that the credentials are past their time or no more: they are looked for again.
const CREDENTIAL_CODES: [&str; 8] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "RequestExpired",
    "UnrecognizedClientException",
    "InvalidToken",
];
/// Longest code that is repeated. AWS's have under 50 characters.
const CODE_CHARS_MAX: usize = 96;

/// Whether too much was asked at once.
pub(crate) fn is_throttling(code: &str) -> bool {
    code.starts_with("Throttl") || THROTTLE_CODES.contains(&code)
}

/// Whether the service is in trouble itself.
pub(crate) fn is_trouble(code: &str) -> bool {
    TROUBLE_CODES.contains(&code)
}

/// Whether other credentials may be let in where these were not.
pub(crate) fn is_about_credentials(code: &str) -> bool {
    CREDENTIAL_CODES.contains(&code)
}

/// The code, if it has the form of one: it goes into messages and logs.
pub(crate) fn well_formed(code: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_one = !code.is_empty() && code.len() <= CODE_CHARS_MAX && code.bytes().all(plain);
    is_one.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_by_its_whole_name() {
        for code in ["Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded"] {
            assert!(is_throttling(code), "{code}");
        }
        for code in ["", "AccessDenied", "NotThrottling", "requestlimitexceeded"] {
            assert!(!is_throttling(code), "{code}");
        }
        assert!(is_trouble("KMSInternalException") && !is_trouble("KMSInvalidStateException"));
        assert!(is_about_credentials("ExpiredToken") && !is_about_credentials("AccessDenied"));
    }

    #[test]
    fn only_what_looks_like_a_code_is_repeated() {
        assert_eq!(well_formed("InvalidInstanceID.NotFound").as_deref(), Some("InvalidInstanceID.NotFound"));
        let long = "a".repeat(CODE_CHARS_MAX + 1);
        for text in ["", "Access Denied", "a\nb", "é", "<Code>", &long] {
            assert_eq!(well_formed(text), None, "{text}");
        }
    }
}
