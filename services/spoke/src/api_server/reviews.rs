//! What an API server is asked about pods: whether it takes a pod's token, and whether the hub may ask that at all.

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use lanyard_kit::{http_client::Request, telemetry::trace::span};
use secrecy::{ExposeSecret as _, SecretString};

use super::{ApiFault, ApiServer, refused};
use crate::wire::reviews::{self, TokenReviewed};

/// Reviews tokens (Kubernetes API, `authentication.k8s.io/v1`).
const TOKEN_REVIEWS_PATH: &str = "apis/authentication.k8s.io/v1/tokenreviews";
/// Says what the caller itself may do (Kubernetes API, `authorization.k8s.io/v1`); every authenticated caller may ask that.
const SELF_REVIEWS_PATH: &str = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

impl ApiServer {
    /// Whether the API server takes a pod's token for Pod Identity.
    ///
    /// # Errors
    /// [`ApiFault`] where it does not tell.
    pub async fn review_pod(&self, token: &SecretString) -> Result<TokenReviewed, ApiFault> {
        let body = reviews::token_review(token.expose_secret());
        let answer = self.ask(TOKEN_REVIEWS_PATH, "tokenreviews", body).await?;
        Ok(reviews::token_reviewed(&answer)?)
    }

    /// Whether the credential may have tokens reviewed.
    ///
    /// # Errors
    /// [`ApiFault`] where the API server does not tell.
    pub async fn may_review_pods(&self) -> Result<bool, ApiFault> {
        let body = reviews::may_review_tokens();
        let answer = self.ask(SELF_REVIEWS_PATH, "selfsubjectaccessreviews", body).await?;
        Ok(reviews::is_allowed(&answer)?)
    }

    async fn ask(&self, path: &str, what: &'static str, body: Bytes) -> Result<Bytes, ApiFault> {
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request { method: Method::POST, url: self.at(path), headers, body };
        // Nothing is below it, so that it is enough to hold it.
        let span = span::question(what);
        let answer = self.questions.send(request).await.inspect_err(|_| span::failed(&span))?;
        span::asked_answered(&span, answer.status);
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(refused(what, answer.status.as_u16(), &answer.body))
        }
    }
}
