//! The reviews that an API server is asked for, and its answers.

use bytes::Bytes;
use lanyard_api::credentials::POD_IDENTITY_AUDIENCE;
use serde::Deserialize;
use serde_json::json;

use super::{Unreadable, one_line, unreadable};

/// What an API server says of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenReviewed {
    /// It is good, for Pod Identity.
    Taken,
    /// It is not, in the API server's own words: at most 300 characters, in one line.
    Refused(String),
}

/// A review of a token for Pod Identity (Kubernetes API, TokenReview).
#[must_use]
pub fn token_review(token: &str) -> Bytes {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token, "audiences": [POD_IDENTITY_AUDIENCE] },
    });
    review.to_string().into()
}

/// A review of whether the caller may have tokens reviewed (Kubernetes API, SelfSubjectAccessReview).
#[must_use]
pub fn may_review_tokens() -> Bytes {
    let asked = json!({ "group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create" });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": asked },
    });
    review.to_string().into()
}

#[derive(Deserialize)]
struct Answer<S> {
    kind: String,
    status: S,
}

/// The status of a review of this kind.
fn status<'a, S: Deserialize<'a>>(kind: &str, body: &'a [u8]) -> Result<S, Unreadable> {
    let answer: Answer<S> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if answer.kind == kind { Ok(answer.status) } else { Err(Unreadable(format!("the answer is no {kind}"))) }
}

/// What the answer to a [`token_review`] says. An API server that takes the token and does not say that it is for the audience that was
/// asked for has looked for another one, and so says nothing of it (Kubernetes API, TokenReviewStatus).
///
/// # Errors
/// [`Unreadable`] where it is no such answer.
pub fn token_reviewed(body: &[u8]) -> Result<TokenReviewed, Unreadable> {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        authenticated: bool,
        #[serde(default)]
        audiences: Vec<String>,
        #[serde(default)]
        error: String,
    }
    let Status { authenticated, audiences, error } = status("TokenReview", body)?;
    if !authenticated {
        return Ok(TokenReviewed::Refused(one_line(&error)));
    }
    if audiences.iter().any(|audience| audience == POD_IDENTITY_AUDIENCE) {
        Ok(TokenReviewed::Taken)
    } else {
        Err(Unreadable(format!("the token was not reviewed for the audience `{POD_IDENTITY_AUDIENCE}`")))
    }
}

/// What the answer to [`may_review_tokens`] says.
///
/// # Errors
/// [`Unreadable`] where it is no such answer.
pub fn is_allowed(body: &[u8]) -> Result<bool, Unreadable> {
    #[derive(Deserialize)]
    struct Status {
        allowed: bool,
    }
    Ok(status::<Status>("SelfSubjectAccessReview", body)?.allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn answer(kind: &str, status: Value) -> Vec<u8> {
        json!({ "kind": kind, "apiVersion": "x/v1", "metadata": {}, "spec": {}, "status": status })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn immunity_48_a_token_is_good_where_the_api_server_says_so_for_pod_identity() {
        let refused = |words: &str| Some(TokenReviewed::Refused(words.to_owned()));
        let user = json!({ "username": "system:serviceaccount:n:bot" });
        let ours = json!(["pods.eks.amazonaws.com"]);
        for (what, kind, status, expected) in [
            (
                "good",
                "TokenReview",
                json!({ "authenticated": true, "user": user, "audiences": ours }),
                Some(TokenReviewed::Taken),
            ),
            (
                "a pod that is gone (kube-apiserver 1.36)",
                "TokenReview",
                json!({ "user": {}, "error": "[invalid bearer token, service account token has been invalidated]" }),
                refused("[invalid bearer token, service account token has been invalidated]"),
            ),
            ("without a word", "TokenReview", json!({ "user": {} }), refused("")),
            (
                "audiences of what is refused",
                "TokenReview",
                json!({ "authenticated": false, "audiences": ours }),
                refused(""),
            ),
            (
                "several lines",
                "TokenReview",
                json!({ "authenticated": false, "error": "a\nb\u{2028}c" }),
                refused("a b c"),
            ),
            ("no audience at all", "TokenReview", json!({ "authenticated": true, "user": user }), None),
            (
                "another audience",
                "TokenReview",
                json!({ "authenticated": true, "audiences": ["https://kubernetes.default.svc"] }),
                None,
            ),
            ("another kind", "Status", json!({ "authenticated": true, "audiences": ours }), None),
            ("no status", "TokenReview", Value::Null, None),
            (
                "a text for a truth",
                "TokenReview",
                json!({ "authenticated": "true", "audiences": ours }),
                None,
            ),
        ] {
            assert_eq!(token_reviewed(&answer(kind, status)).ok(), expected, "{what}");
        }
        for garbage in ["", "ok", "[]", "{}", r#"{"kind":"TokenReview"}"#] {
            assert!(token_reviewed(garbage.as_bytes()).is_err(), "{garbage}");
        }
        let long = answer("TokenReview", json!({ "error": "x".repeat(5_000) }));
        assert_eq!(token_reviewed(&long), Ok(TokenReviewed::Refused("x".repeat(300))));
    }

    #[test]
    fn whether_tokens_may_be_reviewed_is_read_from_the_answer_alone() {
        for (kind, status, expected) in [
            ("SelfSubjectAccessReview", json!({ "allowed": true }), Some(true)),
            ("SelfSubjectAccessReview", json!({ "allowed": false, "reason": "no" }), Some(false)),
            ("SelfSubjectAccessReview", json!({}), None),
            ("SubjectAccessReview", json!({ "allowed": true }), None),
        ] {
            assert_eq!(is_allowed(&answer(kind, status)).ok(), expected, "{kind}");
        }
    }

    #[test]
    fn what_is_asked_is_for_pod_identity_and_for_the_very_verb() {
        let asked: Value = serde_json::from_slice(&token_review("a.b.\"c")).unwrap();
        assert_eq!(asked["spec"], json!({ "token": "a.b.\"c", "audiences": ["pods.eks.amazonaws.com"] }));
        let asked: Value = serde_json::from_slice(&may_review_tokens()).unwrap();
        let attributes =
            json!({ "group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create" });
        assert_eq!(asked["spec"]["resourceAttributes"], attributes);
    }

    proptest! {
        #[test]
        fn whatever_is_answered_is_read_or_refused_in_one_bounded_line(body in ".{0,400}", words in ".{0,600}") {
            let refused = token_reviewed(body.as_bytes());
            prop_assert!(refused.is_err(), "{:?}", refused);
            let said = token_reviewed(&answer("TokenReview", json!({ "error": words }))).unwrap();
            let TokenReviewed::Refused(said) = said else { panic!("{said:?}") };
            prop_assert!(said.chars().count() <= 300 && !said.contains(char::is_control), "{}", said);
        }
    }
}
