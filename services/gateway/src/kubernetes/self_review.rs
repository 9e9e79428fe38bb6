//! The `Self*Review` APIs: what `kubectl auth whoami` and `kubectl auth can-i` ask, answered by the same engines.

use std::{
    fmt::Write as _,
    pin::pin,
    sync::{Arc, OnceLock},
};

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode, header};
use lanyard_api::{
    Fault, UserInfo,
    authz::{Authorize, Review, RulesQuery, Verdict},
    mapping::{BREAK_GLASS_PREFIX, Mapped},
    proof,
};
use lanyard_kit::caught;
use serde_json::{Value, json};

use super::{
    access_review::{self, About},
    answer, protobuf,
    state::Gateway,
    token_review::{self, Bearer, Named, Outcome, Query},
    wire::{
        AUTHENTICATION, AUTHORIZATION, AccessReviewSpec, ReviewVersion, SelfReviewIn, api_version,
        read_review,
    },
};
use crate::{directory::Spoke, services::Services};

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SelfReview {
    /// `selfsubjectreviews`: who am I.
    Subject,
    /// `selfsubjectaccessreviews`: may I.
    Access,
    /// `selfsubjectrulesreviews`: what may I.
    Rules,
}

impl SelfReview {
    /// By the group and resource of the path.
    pub(super) fn of(group: &str, resource: &str) -> Option<Self> {
        match (group, resource) {
            (AUTHENTICATION, "selfsubjectreviews") => Some(Self::Subject),
            (AUTHORIZATION, "selfsubjectaccessreviews") => Some(Self::Access),
            (AUTHORIZATION, "selfsubjectrulesreviews") => Some(Self::Rules),
            _ => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Subject => "SelfSubjectReview",
            Self::Access => "SelfSubjectAccessReview",
            Self::Rules => "SelfSubjectRulesReview",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Subject => AUTHENTICATION,
            Self::Access | Self::Rules => AUTHORIZATION,
        }
    }
}

/// The body in whichever of its two forms the client sends.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<SelfReviewIn, Box<Response<Body>>> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parsed = if media_type == Some(protobuf::MEDIA_TYPE) {
        let value = protobuf::to_json(body)
            .map_err(|error| Box::new(answer::status(StatusCode::BAD_REQUEST, &error.to_string())))?;
        serde_json::from_value(value)
    } else {
        read_review(body)
    };
    parsed.map_err(|error| Box::new(token_review::malformed(&error)))
}

/// The bearer token of a person's own request; or why there is none that is looked at, whatever else they send.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, &'static str> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .filter(|token| !token.is_empty())
        .ok_or("no bearer token: use `lanyard token` as exec plugin")?;
    if token.starts_with(BREAK_GLASS_PREFIX) {
        return Err("a break-glass credential opens a cluster's API server, once: do not spend it here");
    }
    Ok(token)
}

/// Answers the bearer of a token about themselves.
pub(super) async fn answer<S: Services>(
    gateway: &Arc<Gateway<S>>,
    spoke: &Spoke,
    review: SelfReview,
    path_version: &str,
    headers: &HeaderMap,
    token: &str,
    body: &[u8],
) -> Response<Body> {
    let envelope = match read(headers, body) {
        Ok(envelope) => envelope,
        Err(refused) => return *refused,
    };
    let version = match ReviewVersion::read(
        envelope.api_version.as_deref(),
        envelope.kind.as_deref(),
        review.group(),
        review.kind(),
    ) {
        Ok(version) if version.name() == path_version => version,
        Ok(_) => {
            return answer::status(StatusCode::BAD_REQUEST, "apiVersion and path name different versions");
        }
        Err(error) => return answer::status(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let Some(_place) = gateway.admit() else {
        return answer::status(StatusCode::TOO_MANY_REQUESTS, "too many reviews in work: try again");
    };
    let limit = gateway.parts.config.review_timeout();
    let reached = Reached::default();
    let work = pin!(async {
        let query = Query { token, digest: None, audiences: &[], explain: false };
        let outcome = match token_review::prove(gateway, spoke, query).await? {
            Bearer::Known(verified) => {
                // Set once, right here.
                let _ = reached.token.set(token_review::proven(&verified));
                token_review::resolve(gateway, spoke, verified, false).await?
            }
            Bearer::Ended(outcome) => outcome,
        };
        let mapped = match outcome {
            Outcome::Mapped(mapped, _) | Outcome::BrokenIn(mapped) => mapped,
            Outcome::NotOurs => {
                let why = "the token neither begins with `k8s-aws-v1.` nor is of an OIDC issuer that this cluster takes tokens of";
                return Ok(unauthorized(why));
            }
            Outcome::Refused(refused) => {
                // Anybody may knock here: a stranger chooses none of our records.
                let id = refused.is_proven().then(|| token_review::record_refused(gateway, spoke, &refused));
                let code = &refused.denial.code;
                return Ok(unauthorized(&id.map_or_else(|| code.to_string(), |id| format!("{code} ({id})"))));
            }
        };
        status(gateway, spoke, review, &mapped, &envelope.spec, &reached.door).await
    });
    let answered = tokio::time::timeout(limit, caught("self review", work)).await.map_or_else(
        |_| Err(Fault::TimedOut { part: "the review".into(), limit }),
        |done| done.unwrap_or(Err(Fault::Internal)),
    );
    match answered {
        Ok(Ok(status)) => {
            let body = json!({
                "kind": review.kind(),
                "apiVersion": api_version(review.group(), version),
                "metadata": { "creationTimestamp": null },
                "spec": envelope.spec,
                "status": status,
            });
            answer::json(StatusCode::CREATED, &body)
        }
        Ok(Err((code, message))) => answer::status(code, &message),
        Err(fault) => unanswered(gateway, spoke, &fault, &reached),
    }
}

/// How far a review has come: what is recorded of one that has no answer.
#[derive(Default)]
struct Reached {
    /// Whose the token is, once that is proven.
    token: OnceLock<Named>,
    /// Who asks for which door, once they are let in.
    door: OnceLock<Named>,
}

/// There is no answer: a decision with a number, as of a review of an API server. Anybody may knock here, so there is none before the
/// token is proven: a stranger chooses none of our records.
fn unanswered<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    fault: &Fault,
    reached: &Reached,
) -> Response<Body> {
    let code = answer::fault_code(fault);
    let id = match (reached.door.get(), reached.token.get()) {
        (Some(door), _) => access_review::record_fault(gateway, spoke, door.clone(), fault),
        (None, Some(token)) => token_review::record_fault(gateway, spoke, fault, token.clone()),
        (None, None) => return answer::status(code, &fault.to_string()),
    };
    tracing::warn!(%fault, decision.id = %id, cluster.name = %spoke.cluster.id, "a person's own review has no answer");
    answer::status(code, &format!("{fault} ({id})"))
}

type Answer = Result<Value, (StatusCode, String)>;

fn unauthorized(reason: &str) -> Answer {
    Err((StatusCode::UNAUTHORIZED, format!("Unauthorized: {reason}; `lanyard explain --token -` says why")))
}

async fn status<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    review: SelfReview,
    mapped: &Mapped,
    spec: &Value,
    door: &OnceLock<Named>,
) -> Result<Answer, Fault> {
    // Those who ask us alone get what an API server would add.
    let user = UserInfo::clone(&mapped.user).let_in();
    match review {
        SelfReview::Subject => Ok(Ok(json!({ "userInfo": user_info(&user) }))),
        SelfReview::Access => access(gateway, spoke, user, spec, door).await,
        SelfReview::Rules => rules(gateway, spoke, user, spec, door).await,
    }
}

/// Without the proof: it is for API servers, not for people's screens.
fn user_info(user: &UserInfo) -> Value {
    let extra: serde_json::Map<String, Value> = user
        .extra
        .iter()
        .filter(|(key, _)| key.as_ref() != proof::EXTRA_KEY)
        .map(|(key, values)| (key.to_string(), json!(values)))
        .collect();
    json!({ "username": user.username, "uid": user.uid, "groups": user.groups, "extra": extra })
}

async fn access<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    user: UserInfo,
    spec: &Value,
    door: &OnceLock<Named>,
) -> Result<Answer, Fault> {
    let Some((_, attributes)) =
        serde_json::from_value::<AccessReviewSpec>(spec.clone()).ok().and_then(access_review::parse)
    else {
        let rule = "spec must have one of resourceAttributes and nonResourceAttributes";
        return Ok(Err((StatusCode::BAD_REQUEST, rule.to_owned())));
    };
    let user = Arc::new(user);
    let attributes = Arc::new(attributes);
    let about = About { user: Arc::clone(&user), attributes: Arc::clone(&attributes), bears_proof: true };
    // Set once, right here.
    let _ = door.set(about.named());
    let review =
        Review { cluster: spoke.cluster.uid, user, attributes, explain: true, full: true, grant: None };
    let decision = gateway.parts.services.authz().authorize(review).await?;
    let mut reason = decision.reason.to_string();
    for hint in &decision.hints {
        reason.push_str("; ");
        reason.push_str(hint);
    }
    let mut reason = access_review::on_one_line(reason);
    let id = access_review::record(gateway, spoke, about, &decision, &reason);
    // Writing into a string cannot fail.
    let _ = write!(reason, " ({id})");
    Ok(Ok(json!({
        "allowed": decision.verdict == Verdict::Allow,
        "denied": decision.verdict == Verdict::Deny,
        "reason": reason,
        "evaluationError": decision.evaluation_error.unwrap_or_default(),
    })))
}

async fn rules<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    user: UserInfo,
    spec: &Value,
    door: &OnceLock<Named>,
) -> Result<Answer, Fault> {
    let namespace = spec.get("namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    let asked = access_review::on_one_line(format!("all rules in namespace {namespace}"));
    // Set once, right here.
    let _ = door.set((user.username.as_str().into(), asked.into()));
    let query = RulesQuery { cluster: spoke.cluster.uid, user, namespace, grant: None };
    let rules = gateway.parts.services.authz().rules_for(query).await?;
    Ok(Ok(json!({
        "resourceRules": rules.resource,
        "nonResourceRules": rules.non_resource,
        "incomplete": rules.incomplete,
        "evaluationError": rules.evaluation_error.unwrap_or_default(),
    })))
}
