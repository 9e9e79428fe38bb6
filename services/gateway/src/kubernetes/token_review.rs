//! `POST /clusters/{id}/tokenreview`: who bears this token, and as whom does this cluster know them.

use std::{sync::Arc, time::Instant};

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use lanyard_api::{
    BlockId, DecisionId, Denial, Fault,
    authn::{Authenticate, AuthenticateQuery, Authentication, Verified},
    authz::{DecisionKind, DecisionOutcome, DecisionRecord, Question},
    mapping::{BREAK_GLASS_PREFIX, BreakGlassQuery, Mapped, Resolution, Resolve, ResolveQuery, Unmapped},
};
use lanyard_iam::{TokenDigest, looks_like_token, token::TOKEN_BYTES_MAX};
use lanyard_kit::{caught, within};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::{
    answer,
    kept::{Asked, Given, Told},
    state::Gateway,
    wire::{
        AUTHENTICATION, ReviewVersion, TokenReviewIn, TokenReviewOut, TokenReviewStatus, api_version,
        read_review,
    },
};
use crate::{
    audiences,
    directory::Spoke,
    recorder,
    reviews::{Answered, Review as Reviewed},
    services::Services,
};

const KIND: &str = "TokenReview";
/// The code of a decision that let somebody in.
const MAPPED: &str = "mapped";

/// How a token ended, before it is written down.
pub(super) enum Outcome {
    /// Not our kind: nothing to record, nothing to say.
    NotOurs,
    /// In.
    Mapped(Arc<Mapped>, Box<Verified>),
    /// In by the cluster's break-glass credential.
    BrokenIn(Arc<Mapped>),
    /// Our kind, and no: by authn or by mapping.
    Refused(Refused),
}

/// A no, and what its record says of it.
pub(super) struct Refused {
    pub(super) denial: Denial,
    who: Arc<str>,
    what: Arc<str>,
    detail: Arc<str>,
    /// Where the bearer was proven: by what it can be asked anew.
    question: Option<Box<Question>>,
}

impl Refused {
    /// Whether whoever bears the token was proven to be somebody, who then was not let in.
    pub(super) fn is_proven(&self) -> bool {
        self.question.is_some()
    }
}

/// Answers one TokenReview of one cluster's API server, which has waited since it began.
pub(super) async fn answer<S: Services>(
    gateway: &Arc<Gateway<S>>,
    spoke: &Spoke,
    begun: Instant,
    body: Bytes,
) -> Answered {
    let review: TokenReviewIn<'_> = match read_review(&body) {
        Ok(review) => review,
        Err(error) => return Answered::unread(Reviewed::TokenMalformed, malformed(&error)),
    };
    let version = match ReviewVersion::read(
        review.api_version.as_deref(),
        review.kind.as_deref(),
        AUTHENTICATION,
        KIND,
    ) {
        Ok(version) => version,
        Err(error) => {
            let bad = answer::status(StatusCode::BAD_REQUEST, &error.to_string());
            return Answered::unread(Reviewed::TokenMalformed, bad);
        }
    };
    let Some(_place) = gateway.admit() else {
        let shed = answer::status(StatusCode::TOO_MANY_REQUESTS, "too many reviews in work: try again");
        return Answered::unread(Reviewed::TokenShed, shed);
    };
    let asked = review.spec.audiences.unwrap_or_default();
    let token = review.spec.token.as_ref();
    let audiences = match intersection(&asked, &spoke.cluster.audiences) {
        Ok(audiences) => audiences,
        // Rare, and of its own size: the way of all others has no room for it.
        Err(denial) => {
            let query = Query { token, digest: None, audiences: &asked, explain: false };
            return match Box::pin(foreign(gateway, spoke, begun, query, denial)).await {
                Ok(outcome) => write(gateway, spoke, version, &outcome, None),
                Err(fault) => no_answer(gateway, spoke, version, &fault, unproven(token)),
            };
        }
    };
    let digest = keepable(token);
    let now = gateway.parts.clock.now();
    if let Some(digest) = digest {
        let asked = Asked { digest, version, audiences: &asked };
        if let Some(given) = gateway.answers.again(&asked, spoke.place(), now) {
            return again(gateway, spoke, now, given);
        }
    }
    let limit = gateway.parts.config.review_timeout();
    // Pinned here: a future that is handed on is copied, and has room in it for both copies.
    let work =
        std::pin::pin!(decide(gateway, spoke, Query { token, digest, audiences: &asked, explain: false }));
    let worked = within(gateway.parts.config.review_left(begun), caught("token review", work)).await;
    match worked.map(|done| done.unwrap_or(Err(Fault::Internal))) {
        Ok(Ok(Outcome::Mapped(mapped, verified))) if mapped.holds.is_some() && verified.holds.is_some() => {
            let asked = Asked { digest: verified.token, version, audiences: &asked };
            keep(gateway, spoke, (now, &asked), (&mapped, &verified), audiences)
        }
        Ok(Ok(outcome)) => write(gateway, spoke, version, &outcome, audiences),
        Ok(Err(fault)) => no_answer(gateway, spoke, version, &fault, unproven(token)),
        Err(_) => {
            let fault = Fault::TimedOut { part: "the review".into(), limit };
            no_answer(gateway, spoke, version, &fault, unproven(token))
        }
    }
}

/// Those asked for that this cluster has; `None` where none was asked for, refused where none is left.
fn intersection(asked: &[String], own: &[String]) -> Result<Option<Vec<String>>, Denial> {
    if asked.is_empty() {
        return Ok(None);
    }
    let both: Vec<String> = asked.iter().filter(|audience| own.contains(audience)).cloned().collect();
    if both.is_empty() {
        return Err(Denial {
            code: audiences::CODE.into(),
            message: "none of the audiences asked for is this cluster's".to_owned(),
        });
    }
    Ok(Some(both))
}

/// How a token ends that was asked about for none of the cluster's audiences: of our kind it is refused for that, whosever it is; of
/// another kind it is no more ours for any other audience, which the API server may keep.
async fn foreign<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    begun: Instant,
    query: Query<'_>,
    denial: Denial,
) -> Result<Outcome, Fault> {
    let Query { token, audiences: asked, .. } = query;
    // By its beginning, for a break-glass credential would be spent.
    if !looks_like_token(token) && !token.starts_with(BREAK_GLASS_PREFIX) {
        let limit = gateway.parts.config.review_timeout();
        let work = std::pin::pin!(prove(gateway, spoke, query));
        let worked = within(gateway.parts.config.review_left(begun), caught("token review", work)).await;
        let timed_out = |_| Fault::TimedOut { part: "the review".into(), limit };
        let bearer = worked.map_err(timed_out)?.unwrap_or(Err(Fault::Internal))?;
        if matches!(bearer, Bearer::Ended(Outcome::NotOurs)) {
            return Ok(Outcome::NotOurs);
        }
    }
    let what = of_token(&TokenDigest::of(token));
    let detail = audiences::told(asked, &spoke.cluster.audiences).into();
    Ok(Outcome::Refused(Refused { denial, who: "".into(), what, detail, question: None }))
}

/// The digest of a token whose answer may be kept: of one kind, and no longer than one is.
fn keepable(token: &str) -> Option<TokenDigest> {
    (looks_like_token(token) && token.len() <= TOKEN_BYTES_MAX).then(|| TokenDigest::of(token))
}

/// A token at a cluster's door.
pub(super) struct Query<'a> {
    pub(super) token: &'a str,
    /// Its digest, where it was made already.
    pub(super) digest: Option<TokenDigest>,
    /// Those asked for.
    pub(super) audiences: &'a [String],
    pub(super) explain: bool,
}

/// Whose a token is.
pub(super) enum Bearer {
    /// Somebody's, whom the cluster may know.
    Known(Box<Verified>),
    /// It ends here: there is nobody to be looked up.
    Ended(Outcome),
}

/// Token to identity to user info.
async fn decide<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    query: Query<'_>,
) -> Result<Outcome, Fault> {
    let explain = query.explain;
    match prove(gateway, spoke, query).await? {
        Bearer::Known(verified) => resolve(gateway, spoke, verified, explain).await,
        Bearer::Ended(outcome) => Ok(outcome),
    }
}

/// Token to identity; shared with the `Self*Review` APIs.
pub(super) async fn prove<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    query: Query<'_>,
) -> Result<Bearer, Fault> {
    let cluster = spoke.cluster.uid;
    let Query { token, digest, audiences, explain } = query;
    if token.starts_with(BREAK_GLASS_PREFIX) {
        return Ok(Bearer::Ended(Box::pin(break_glass(gateway, spoke, token)).await?));
    }
    let query =
        AuthenticateQuery { token: token.into(), digest, cluster, audiences: audiences.to_vec(), explain };
    Ok(match gateway.parts.services.authn().authenticate(query).await? {
        Authentication::NotOurs => Bearer::Ended(Outcome::NotOurs),
        Authentication::Verified(verified) => Bearer::Known(verified),
        Authentication::Refused(refusal) => {
            let part = (!refusal.part.is_empty()).then(|| format!("part: {}", refusal.part));
            let detail = std::iter::once(refusal.denial.message.as_str())
                .chain(part.as_deref())
                .chain(refusal.hints.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join("\n");
            Bearer::Ended(Outcome::Refused(Refused {
                denial: refusal.denial,
                who: refusal.access_key_id.map(|key| key.to_string()).unwrap_or_default().into(),
                what: of_token(&digest.unwrap_or_else(|| TokenDigest::of(token))),
                detail: detail.into(),
                question: None,
            }))
        }
    })
}

/// Identity to user info; shared with the `Self*Review` APIs.
pub(super) async fn resolve<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    verified: Box<Verified>,
    explain: bool,
) -> Result<Outcome, Fault> {
    let cluster = spoke.cluster.uid;
    let query = ResolveQuery { cluster, identity: verified.identity.clone(), explain };
    let who = || verified.identity.value.name();
    let what = || of_token(&verified.token);
    let question = || Question::of_knock(&verified.identity.value);
    Ok(match gateway.parts.services.mapping().resolve(query).await? {
        Resolution::Mapped(mapped) => Outcome::Mapped(mapped, verified),
        Resolution::Blocked(block) => {
            Outcome::Refused(Refused { question: question(), ..blocked(block, who(), what()) })
        }
        Resolution::Unmapped(near) => {
            Outcome::Refused(Refused { question: question(), ..unmapped(near, who(), what()) })
        }
    })
}

/// The way back in: mapping's affair alone, which writes the one use down before it answers.
async fn break_glass<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    token: &str,
) -> Result<Outcome, Fault> {
    let what: Arc<str> = format!("break-glass credential {}", TokenDigest::of(token)).into();
    let query = BreakGlassQuery { cluster: spoke.cluster.uid, credential: token.into() };
    Ok(match gateway.parts.services.mapping().resolve_break_glass(query).await? {
        Resolution::Mapped(mapped) => {
            tracing::warn!(cluster.name = %spoke.cluster.id, "somebody came in by break-glass");
            Outcome::BrokenIn(mapped)
        }
        Resolution::Blocked(block) => Outcome::Refused(blocked(block, "".into(), what)),
        Resolution::Unmapped(near) => Outcome::Refused(unmapped(near, "".into(), what)),
    })
}

fn blocked(block: BlockId, who: Arc<str>, what: Arc<str>) -> Refused {
    Refused {
        denial: Denial { code: "blocked".into(), message: format!("block {block} holds") },
        who,
        what,
        detail: format!(
            "block {block} holds; `lanyard block list`, with --cluster or --in-account where it holds there alone, tells who put it \
             up and why"
        )
        .into(),
        question: None,
    }
}

fn unmapped(near: Unmapped, who: Arc<str>, what: Arc<str>) -> Refused {
    let mut detail = near.denial.message.clone();
    for miss in &near.near_misses {
        detail.push('\n');
        detail.push_str(miss);
    }
    Refused { denial: near.denial, who, what, detail: detail.into(), question: None }
}

/// The answer of a moment ago, as a decision of its own.
fn again<S: Services>(gateway: &Gateway<S>, spoke: &Spoke, now: OffsetDateTime, given: Given) -> Answered {
    let id = record_mapped(gateway, spoke, now, given.told);
    let response = answer::raw_json(StatusCode::OK, given.body);
    Answered { review: Reviewed::Authenticated, decision: Some(id), reason: MAPPED.into(), response }
}

/// Lets somebody in whose answer may be given again, and keeps it.
fn keep<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    (now, asked): (OffsetDateTime, &Asked<'_>),
    (mapped, verified): (&Mapped, &Verified),
    audiences: Option<Vec<String>>,
) -> Answered {
    let body = mapped.user.json().and_then(|user| {
        let status = authenticated(Some(user), audiences);
        let api_version = api_version(AUTHENTICATION, asked.version);
        answer::written(&TokenReviewOut { api_version, kind: KIND, status })
    });
    let Some(body) = body else {
        return no_answer(gateway, spoke, asked.version, &Fault::Internal, proven(verified));
    };
    let given = Given { body: body.into(), told: told(mapped, verified) };
    if let (Some(proven), Some(mapped)) = (verified.holds, mapped.holds) {
        gateway.answers.note(asked, spoke.place(), (now, proven.and(mapped)), given.clone());
    }
    again(gateway, spoke, now, given)
}

fn write<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    version: ReviewVersion,
    outcome: &Outcome,
    audiences: Option<Vec<String>>,
) -> Answered {
    let written = match outcome {
        Outcome::Mapped(mapped, _) | Outcome::BrokenIn(mapped) => mapped.user.json(),
        Outcome::NotOurs | Outcome::Refused(_) => None,
    };
    let (review, decision, reason, status) = match outcome {
        // Let in, but as nobody: that is no answer.
        Outcome::Mapped(_, verified) if written.is_none() => {
            return no_answer(gateway, spoke, version, &Fault::Internal, proven(verified));
        }
        Outcome::BrokenIn(mapped) if written.is_none() => {
            let of = (mapped.user.username.as_str().into(), "break-glass credential".into());
            return no_answer(gateway, spoke, version, &Fault::Internal, of);
        }
        Outcome::NotOurs => (Reviewed::NotOurs, None, "not_ours".into(), TokenReviewStatus::default()),
        Outcome::Mapped(mapped, verified) => {
            let told = told(mapped, verified);
            let id = record_mapped(gateway, spoke, gateway.parts.clock.now(), told);
            (Reviewed::Authenticated, Some(id), MAPPED.into(), authenticated(written, audiences))
        }
        Outcome::BrokenIn(mapped) => {
            let who = mapped.user.username.as_str().into();
            let detail = Arc::clone(&mapped.grant.name);
            let told = Told { who, what: "break-glass credential".into(), detail };
            let id = record_mapped(gateway, spoke, gateway.parts.clock.now(), told);
            (Reviewed::Authenticated, Some(id), MAPPED.into(), authenticated(written, audiences))
        }
        Outcome::Refused(refused) => {
            let denial = &refused.denial;
            let id = record_refused(gateway, spoke, refused);
            // The reason code alone: the text may name what this API server's readers may not know.
            let status = TokenReviewStatus {
                error: Some(format!("{} ({id})", denial.code)),
                ..TokenReviewStatus::default()
            };
            (Reviewed::Refused, Some(id), denial.code.clone(), status)
        }
    };
    let body = TokenReviewOut { api_version: api_version(AUTHENTICATION, version), kind: KIND, status };
    Answered { review, decision, reason, response: answer::json(StatusCode::OK, &body) }
}

fn authenticated(user: Option<&RawValue>, audiences: Option<Vec<String>>) -> TokenReviewStatus<'_> {
    TokenReviewStatus { authenticated: true, user, audiences, error: None }
}

/// How a record names a token: never by more than its digest's first digits.
fn of_token(digest: &TokenDigest) -> Arc<str> {
    format!("token {digest}").into()
}

/// Who, as far as known, and by what: which token they bear, or which door they ask for.
pub(super) type Named = (Arc<str>, Arc<str>);

/// Nobody yet, by this token.
fn unproven(token: &str) -> Named {
    ("".into(), of_token(&TokenDigest::of(token)))
}

pub(super) fn proven(verified: &Verified) -> Named {
    (verified.identity.value.name(), of_token(&verified.token))
}

fn told(mapped: &Mapped, verified: &Verified) -> Told {
    Told {
        who: verified.identity.value.name(),
        what: of_token(&verified.token),
        detail: Arc::clone(&mapped.grant.name),
    }
}

fn record_mapped<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    now: OffsetDateTime,
    told: Told,
) -> DecisionId {
    let id = DecisionId::random();
    let Told { who, what, detail } = told;
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: now,
        cluster: spoke.cluster.uid,
        kind: DecisionKind::TokenReview,
        outcome: DecisionOutcome::Verified,
        reason: MAPPED.into(),
        who,
        what,
        detail,
        trace: recorder::trace(),
        question: None,
    });
    id
}

/// Records a no.
pub(super) fn record_refused<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    refused: &Refused,
) -> DecisionId {
    let Refused { denial, who, what, detail, question } = refused;
    let id = DecisionId::random();
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: gateway.parts.clock.now(),
        cluster: spoke.cluster.uid,
        kind: DecisionKind::TokenReview,
        outcome: DecisionOutcome::Refused,
        reason: denial.code.clone(),
        who: Arc::clone(who),
        what: Arc::clone(what),
        detail: Arc::clone(detail),
        trace: recorder::trace(),
        question: question.clone(),
    });
    id
}

fn no_answer<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    version: ReviewVersion,
    fault: &Fault,
    of: Named,
) -> Answered {
    let id = record_fault(gateway, spoke, fault, of);
    tracing::warn!(%fault, decision.id = %id, cluster.name = %spoke.cluster.id, "a token review has no answer");
    let status = TokenReviewStatus {
        error: Some(format!("no_answer: {} ({id})", fault.code())),
        ..TokenReviewStatus::default()
    };
    let body = TokenReviewOut { api_version: api_version(AUTHENTICATION, version), kind: KIND, status };
    let response = answer::json(answer::fault_code(fault), &body);
    Answered { review: Reviewed::TokenFault, decision: Some(id), reason: fault.code().into(), response }
}

/// Records that there was no answer about a token.
pub(super) fn record_fault<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    fault: &Fault,
    (who, what): Named,
) -> DecisionId {
    let id = DecisionId::random();
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: gateway.parts.clock.now(),
        cluster: spoke.cluster.uid,
        kind: DecisionKind::TokenReview,
        outcome: DecisionOutcome::NoAnswer,
        reason: fault.code().into(),
        who,
        what,
        detail: fault.to_string().into(),
        trace: recorder::trace(),
        question: None,
    });
    id
}

/// serde's text names types and places, never the input's strings; the token is not in it.
pub(super) fn malformed(error: &serde_json::Error) -> Response<Body> {
    let place = format!("line {} column {}", error.line(), error.column());
    let what = match error.classify() {
        serde_json::error::Category::Eof => "ends too early",
        serde_json::error::Category::Syntax => "is not JSON",
        serde_json::error::Category::Data => "has a member of the wrong type",
        serde_json::error::Category::Io => "could not be read",
    };
    answer::status(StatusCode::BAD_REQUEST, &format!("the body {what} at {place}: send a review object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn immunity_29_audiences_are_the_intersection_or_a_refusal_or_left_out() {
        let own = list(&["https://kubernetes.default.svc", "b"]);
        assert_eq!(intersection(&[], &own), Ok(None));
        assert_eq!(intersection(&list(&["x", "b"]), &own), Ok(Some(list(&["b"]))));
        assert_eq!(intersection(&list(&["x"]), &own).unwrap_err().code, "audience");
        assert_eq!(intersection(&list(&["x"]), &[]).unwrap_err().code, "audience");
    }
}
