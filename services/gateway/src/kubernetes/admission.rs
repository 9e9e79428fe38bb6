//! `POST /clusters/{id}/mutate`: what is put into a pod that has a role.
//!
//! Nobody is refused there. Where there is no answer, the status says so, and the API server does what the webhook's `failurePolicy` says:
//! the pod is made as it is. Namespaces that would rather have no pod than one without its role are asked for at
//! `POST /clusters/{id}/mutate/required`: where it cannot be said what a pod should get, the answer is that it may not be made, with what
//! is missing.

use std::{borrow::Cow, sync::Arc, time::Instant};

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use lanyard_api::{
    Fault,
    credentials::{MutatePod, PodMutation, PodRefusal, Pods},
};

use super::{
    answer,
    state::Gateway,
    token_review,
    wire::{
        ADMISSION, AdmissionRequest, AdmissionResponse, AdmissionReviewIn, AdmissionReviewOut,
        AdmissionStatus, ReviewVersion, api_version, read_review,
    },
};
use crate::{
    directory::Spoke,
    reviews::{Answered, Review as Reviewed},
    services::Services,
};

const KIND: &str = "AdmissionReview";
/// By which label a namespace asks for that.
const REQUIRED: &str = "label lanyard.dev/pod-identity=required";
/// Most characters of a warning (Kubernetes: those of more than 120 may be cut).
const WARNING_CHARS_MAX: usize = 120;
/// Most warnings of an answer (Kubernetes: more than 4096 characters of all together are cut).
const WARNINGS_MAX: usize = 32;

/// Whether a body is what it says it is: JSON (EKS Pod Identity webhook). Others are not read.
pub(super) fn refused(headers: &HeaderMap) -> Option<Response<Body>> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    (!media.trim().eq_ignore_ascii_case("application/json")).then(|| {
        const TYPE: &str = "the body has to be application/json, an AdmissionReview";
        answer::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, TYPE)
    })
}

/// Answers one AdmissionReview of one cluster's API server, which has waited since it began. With `required` no pod is better than one
/// without its role.
pub(super) async fn answer<S: Services>(
    gateway: &Arc<Gateway<S>>,
    spoke: &Spoke,
    begun: Instant,
    body: Bytes,
    required: bool,
) -> Answered {
    let review: AdmissionReviewIn<'_> = match read_review(&body) {
        Ok(review) => review,
        Err(error) => return Answered::unread(Reviewed::PodMalformed, token_review::malformed(&error)),
    };
    let version =
        match ReviewVersion::read(review.api_version.as_deref(), review.kind.as_deref(), ADMISSION, KIND) {
            Ok(version) => version,
            Err(error) => {
                let bad = answer::status(StatusCode::BAD_REQUEST, &error.to_string());
                return Answered::unread(Reviewed::PodMalformed, bad);
            }
        };
    let Some(request) = review.request.filter(|request| !request.uid.is_empty()) else {
        const REQUEST: &str = "the review has no request with a uid: send one";
        return Answered::unread(Reviewed::PodMalformed, answer::status(StatusCode::BAD_REQUEST, REQUEST));
    };
    let Some(asked) = pod_of(spoke, &request, required) else {
        return write(version, &request, PodMutation::default());
    };
    let Some(_place) = gateway.admit() else {
        const BUSY: &str = "too many reviews in work: try again";
        return match required {
            true => unanswered(version, &request, "unread".into(), BUSY),
            false => Answered::unread(Reviewed::PodShed, answer::status(StatusCode::TOO_MANY_REQUESTS, BUSY)),
        };
    };
    let limit = gateway.parts.config.review_timeout();
    let work = std::pin::pin!(gateway.parts.services.credentials().mutate_pod(asked));
    let answered = tokio::time::timeout(gateway.parts.config.review_left(begun), work).await;
    match answered.unwrap_or_else(|_| Err(Fault::TimedOut { part: "the review".into(), limit })) {
        Ok(mutation) => {
            if let Some(PodRefusal { message, .. }) = &mutation.refusal {
                let (cluster, namespace) = (&spoke.cluster.id, shown(&request.namespace));
                tracing::warn!(cluster.name = %cluster, %namespace, reason = %message, "a pod may not be made");
            }
            write(version, &request, mutation)
        }
        Err(fault) => {
            tracing::warn!(%fault, cluster.name = %spoke.cluster.id, "an admission review has no answer");
            if required {
                return unanswered(version, &request, fault.code().into(), &fault.to_string());
            }
            Answered {
                review: Reviewed::PodFault,
                decision: None,
                reason: fault.code().into(),
                response: answer::status(answer::fault_code(&fault), &fault.to_string()),
            }
        }
    }
}

/// The pod that is asked about: a new one, or one that gets ephemeral containers. None for anything else.
fn pod_of(spoke: &Spoke, request: &AdmissionRequest<'_>, required: bool) -> Option<MutatePod> {
    let resource = &request.resource;
    if !resource.group.is_empty() || resource.resource != "pods" {
        return None;
    }
    let bytes = |raw: &serde_json::value::RawValue| Bytes::copy_from_slice(raw.get().as_bytes());
    let before = match (&*request.operation, &*request.sub_resource) {
        ("CREATE", "") => None,
        ("UPDATE", "ephemeralcontainers") => Some(bytes(request.old_object?)),
        _ => return None,
    };
    let (pod, namespace) = (bytes(request.object?), request.namespace.to_string());
    Some(MutatePod { cluster: spoke.cluster.uid, namespace, pod, before, required })
}

/// The answer where there is none, for a namespace that would rather have no pod.
fn unanswered(
    version: ReviewVersion,
    request: &AdmissionRequest<'_>,
    reason: Cow<'static, str>,
    message: &str,
) -> Answered {
    let refusal = PodRefusal { message: message.to_owned(), passing: true };
    Answered {
        reason,
        ..write(version, request, PodMutation { refusal: Some(refusal), ..PodMutation::default() })
    }
}

fn write(version: ReviewVersion, request: &AdmissionRequest<'_>, mutation: PodMutation) -> Answered {
    let PodMutation { patch, warnings, refusal } = mutation;
    // What may not be made is not changed.
    let patch = patch.filter(|_| refusal.is_none()).map(|patch| STANDARD.encode(patch));
    let (review, reason) = match (&refusal, &patch) {
        (Some(PodRefusal { passing: true, .. }), _) => (Reviewed::PodFault, "unknown"),
        (Some(PodRefusal { passing: false, .. }), _) => (Reviewed::PodRefused, "refused"),
        (None, Some(_)) => (Reviewed::Mutated, "mutated"),
        (None, None) => (Reviewed::Unchanged, "unchanged"),
    };
    let code = match &refusal {
        Some(PodRefusal { passing: false, .. }) => StatusCode::FORBIDDEN,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let message = refusal.map(|refusal| {
        let namespace = shown(&request.namespace);
        format!("namespace {namespace} takes no pod without its role ({REQUIRED}): {}", refusal.message)
    });
    let response = AdmissionResponse {
        uid: &request.uid,
        allowed: message.is_none(),
        status: message.as_deref().map(|message| AdmissionStatus {
            status: "Failure",
            message,
            reason: answer::reason_of(code),
            code: code.as_u16(),
        }),
        patch_type: patch.as_ref().map(|_| "JSONPatch"),
        patch,
        // Older API servers do not know them, and do not mind.
        warnings: warnings.iter().take(WARNINGS_MAX).map(|warning| shown(warning)).collect(),
    };
    let body = AdmissionReviewOut { api_version: api_version(ADMISSION, version), kind: KIND, response };
    Answered { review, decision: None, reason: reason.into(), response: answer::json(StatusCode::OK, &body) }
}

fn shown(warning: &str) -> String {
    warning.chars().filter(|c| !c.is_control()).take(WARNING_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn a_body_that_is_not_json_is_not_read() {
        let refused = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (header::CONTENT_TYPE, HeaderValue::from_static(value))));
            refused(&headers).map(|response| response.status())
        };
        let unsupported = Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refused(Some("application/json")), None);
        assert_eq!(refused(Some("Application/JSON; charset=utf-8")), None);
        assert_eq!(
            [refused(Some("text/plain")), refused(Some("application/jsonp")), refused(None)],
            [unsupported; 3]
        );
    }

    #[test]
    fn a_warning_is_one_short_line() {
        assert_eq!(shown("a\nb\u{1b}[31m"), "ab[31m");
        assert_eq!(shown(&"x".repeat(500)).len(), 120);
    }

    fn written(mutation: PodMutation) -> Answered {
        let request = serde_json::from_str(r#"{"uid":"u","namespace":"payments"}"#).unwrap();
        write(ReviewVersion::V1Beta1, &request, mutation)
    }

    #[test]
    fn a_review_without_a_patch_has_no_type_of_one() {
        let with = |patch: Option<&'static [u8]>| {
            let answered =
                written(PodMutation { patch: patch.map(Bytes::from_static), ..PodMutation::default() });
            (answered.review, answered.reason)
        };
        assert_eq!(with(None), (Reviewed::Unchanged, "unchanged".into()));
        assert_eq!(with(Some(b"[]")), (Reviewed::Mutated, "mutated".into()));
    }

    #[tokio::test]
    async fn who_may_make_no_pod_is_told_why_by_an_answer_and_whether_it_passes() {
        for (passing, expected, code, reason) in [
            (true, (Reviewed::PodFault, "unknown"), 503, "ServiceUnavailable"),
            (false, (Reviewed::PodRefused, "refused"), 403, "Forbidden"),
        ] {
            let refusal = Some(PodRefusal { message: "not seen yet".to_owned(), passing });
            let patch = Some(Bytes::from_static(b"[]"));
            let answered = written(PodMutation { patch, refusal, ..PodMutation::default() });
            assert_eq!((answered.review, &*answered.reason), expected);
            assert_eq!(answered.response.status(), StatusCode::OK, "it is an answer");
            let body = answered.response.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let message = "namespace payments takes no pod without its role (label \
                           lanyard.dev/pod-identity=required): not seen yet";
            let status = serde_json::json!({
                "status": "Failure", "message": message, "reason": reason, "code": code });
            let response = serde_json::json!({ "uid": "u", "allowed": false, "status": status });
            assert_eq!(body["response"], response);
        }
    }
}
