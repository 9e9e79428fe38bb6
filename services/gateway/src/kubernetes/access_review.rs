//! `POST /clusters/{id}/subjectaccessreview`: does this door open for this badge.
//!
//! Whatever happens here to a review that bears a proof, the answer is a decision: on an error status the API server would
//! go on to RBAC with the groups in its cache.

use std::{
    fmt::{Display, Write as _},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use http::StatusCode;
use lanyard_api::{
    DecisionId, Fault, UserInfo,
    authz::{
        Attributes, Authorize, Decision, DecisionKind, DecisionOutcome, DecisionRecord, Question, Reason,
        ResourceAttributes, Review, Verdict,
    },
    proof::{self, Proof},
};
use lanyard_iam::shown_within;
use lanyard_kit::{caught, serve::BodyError, within};

use super::{
    answer, selectors,
    state::Gateway,
    token_review::{self, Named},
    unread::{self, Unread},
    wire::{
        AUTHORIZATION, AccessReviewIn, AccessReviewOut, AccessReviewSpec, AccessReviewStatus, ReviewVersion,
        api_version, read_review,
    },
};
use crate::{
    directory::Spoke,
    recorder,
    reviews::{Answered, Review as Reviewed},
    services::Services,
};

const KIND: &str = "SubjectAccessReview";

/// Room that takes a line about a review as a rule, in bytes.
const LINE_BYTES: usize = 160;

/// Most characters of a hint in the reason: places may be lists of namespaces, and API servers log every reason.
const HINT_CHARS_MAX: usize = 240;

/// A decision's number, in brackets and after a space.
const ID_BYTES: usize = " ()".len() + 36;

/// Answers one SubjectAccessReview of one cluster's API server, which has waited since it began.
pub(super) async fn answer<S: Services>(
    gateway: &Arc<Gateway<S>>,
    spoke: &Spoke,
    begun: Instant,
    body: Bytes,
) -> Answered {
    let malformed = |version, why: &str| {
        unanswerable(
            gateway,
            spoke,
            version,
            Unanswered { review: Reviewed::AccessMalformed, about: None, why },
        )
    };
    let review: AccessReviewIn<'_> = match read_review(&body) {
        Ok(review) => review,
        Err(_) if may_bear_proof(&body) => {
            return malformed(unread::version(&body, AUTHORIZATION), "the review could not be read");
        }
        Err(error) => return Answered::unread(Reviewed::AccessMalformed, token_review::malformed(&error)),
    };
    let version =
        match ReviewVersion::read(review.api_version.as_deref(), review.kind.as_deref(), AUTHORIZATION, KIND)
        {
            Ok(version) => version,
            Err(error) if may_bear_proof(&body) => {
                return malformed(unread::version(&body, AUTHORIZATION), &error.to_string());
            }
            Err(error) => {
                let bad = answer::status(StatusCode::BAD_REQUEST, &error.to_string());
                return Answered::unread(Reviewed::AccessMalformed, bad);
            }
        };
    let bears_proof = bears_proof(&review.spec);
    let Some((user, attributes)) = parse(review.spec) else {
        const BOTH: &str = "spec must have one of resourceAttributes and nonResourceAttributes";
        return match bears_proof {
            true => malformed(version, BOTH),
            false => {
                let bad = answer::status(StatusCode::BAD_REQUEST, BOTH);
                Answered::unread(Reviewed::AccessMalformed, bad)
            }
        };
    };
    let (user, attributes) = (Arc::new(user), Arc::new(attributes));
    let about = About { user: Arc::clone(&user), attributes: Arc::clone(&attributes), bears_proof };
    let Some(_place) = gateway.admit() else {
        return match bears_proof {
            true => {
                let why = "too many reviews in work";
                let shed = Unanswered { review: Reviewed::AccessShed, about: Some(&about), why };
                unanswerable(gateway, spoke, version, shed)
            }
            false => {
                const SHED: &str = "too many reviews in work: try again";
                Answered::unread(Reviewed::AccessShed, answer::status(StatusCode::TOO_MANY_REQUESTS, SHED))
            }
        };
    };
    let limit = gateway.parts.config.review_timeout();
    let review =
        Review { cluster: spoke.cluster.uid, user, attributes, explain: false, full: false, grant: None };
    let asked = std::pin::pin!(gateway.parts.services.authz().authorize(review));
    // Caught here: upon the listener's error status the API server would go on to RBAC.
    let left = gateway.parts.config.review_left(begun);
    let answered = within(left, caught("access review", asked)).await.map_or_else(
        |_| Err(Fault::TimedOut { part: "the review".into(), limit }),
        |done| done.unwrap_or(Err(Fault::Internal)),
    );
    match answered {
        Ok(decision) => write(gateway, spoke, version, about, &decision),
        Err(fault) if bears_proof => {
            let why = fault.to_string();
            let fault = Unanswered { review: Reviewed::AccessFault, about: Some(&about), why: &why };
            unanswerable(gateway, spoke, version, fault)
        }
        Err(fault) => {
            let id = record_fault(gateway, spoke, about.named(), &fault);
            tracing::warn!(%fault, decision.id = %id, cluster.name = %spoke.cluster.id, "an access review has no answer");
            Answered {
                review: Reviewed::AccessFault,
                decision: Some(id),
                reason: fault.code().into(),
                response: answer::status(answer::fault_code(&fault), &format!("{fault} ({id})")),
            }
        }
    }
}

/// Denied, for a body that was not read whole: the rest may bear a proof.
pub(super) fn not_read<S: Services>(gateway: &Gateway<S>, spoke: &Spoke, unread: &Unread) -> Answered {
    let (review, why) = why_not_read(unread.error);
    let version = unread::version(&unread.head, AUTHORIZATION);
    unanswerable(gateway, spoke, version, Unanswered { review, about: None, why })
}

fn why_not_read(error: BodyError) -> (Reviewed, &'static str) {
    match error {
        BodyError::TooLong { .. } => (Reviewed::AccessMalformed, "the review is longer than this hub reads"),
        BodyError::Incomplete => (Reviewed::AccessMalformed, "the review ended before it was complete"),
        BodyError::TooSlow { .. } => (Reviewed::AccessFault, "the review has not come whole in time"),
        BodyError::NoRoom | BodyError::Crowded => {
            (Reviewed::AccessShed, "too many reviews are being read at once")
        }
    }
}

/// Records that there was no answer about a door.
pub(super) fn record_fault<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    (who, what): Named,
    fault: &Fault,
) -> DecisionId {
    let id = DecisionId::random();
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: gateway.parts.clock.now(),
        cluster: spoke.cluster.uid,
        kind: DecisionKind::SubjectAccessReview,
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

/// Records a decision about a door, with what is said of it at length.
pub(super) fn record<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    about: About,
    decision: &Decision,
    detail: &str,
) -> DecisionId {
    let id = DecisionId::random();
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: gateway.parts.clock.now(),
        cluster: spoke.cluster.uid,
        kind: DecisionKind::SubjectAccessReview,
        outcome: decision.verdict.into(),
        reason: decision.reason.code().into(),
        who: about.who(),
        what: about.what(),
        detail: detail.into(),
        trace: recorder::trace(),
        question: about.question(decision),
    });
    id
}

/// What a review was about, for its record.
pub(super) struct About {
    pub(super) user: Arc<UserInfo>,
    pub(super) attributes: Arc<Attributes>,
    pub(super) bears_proof: bool,
}

impl About {
    /// Who, and at which door.
    pub(super) fn named(&self) -> Named {
        (self.who(), self.what())
    }

    fn who(&self) -> Arc<str> {
        self.user.username.as_str().into()
    }

    fn what(&self) -> Arc<str> {
        written(&self.attributes).into()
    }

    /// What a refusal can be asked anew by. None where the proof is not one: what it names is anybody's choice.
    fn question(self, decision: &Decision) -> Option<Box<Question>> {
        let is_unproven = matches!(
            decision.reason,
            Reason::ProofInvalid | Reason::ProofImpersonation | Reason::Unanswerable
        );
        if decision.verdict == Verdict::Allow || is_unproven {
            return None;
        }
        let entry = proof_of(&self.user).and_then(Proof::claimed_entry);
        Some(Question::of_door(self.user, self.attributes, entry))
    }
}

/// The one value of the proof in somebody's extra.
fn proof_of(user: &UserInfo) -> Option<&str> {
    let (_, values) = user.extra.iter().find(|(key, _)| key.eq_ignore_ascii_case(proof::EXTRA_KEY))?;
    match values.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn bears_proof(spec: &AccessReviewSpec) -> bool {
    spec.extra.keys().any(|key| key.eq_ignore_ascii_case(proof::EXTRA_KEY))
}

/// Whether unread bytes could hold the proof's key, as text or with JSON's escapes. In doubt, yes: the answer is *denied*.
fn may_bear_proof(body: &[u8]) -> bool {
    const DOMAIN: &[u8] = b"lanyard.dev";
    body.windows(DOMAIN.len()).any(|window| window.eq_ignore_ascii_case(DOMAIN))
        || body.windows(2).any(|window| window == b"\\u")
}

/// User and attributes; none where there is not exactly one kind of attributes.
pub(super) fn parse(spec: AccessReviewSpec) -> Option<(UserInfo, Attributes)> {
    let attributes = match (spec.resource_attributes, spec.non_resource_attributes) {
        (Some(r), None) => Attributes::Resource(ResourceAttributes {
            selectors: selectors::read(r.field_selector.as_ref(), r.label_selector.as_ref()).map(Box::new),
            namespace: r.namespace,
            verb: r.verb,
            group: r.group,
            version: r.version,
            resource: r.resource,
            subresource: r.subresource,
            name: r.name,
        }),
        (None, Some(path)) => Attributes::NonResource { path: path.path, verb: path.verb },
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let (groups, extra) = (spec.groups.unwrap_or_default(), spec.extra);
    let user = UserInfo { username: spec.user, uid: spec.uid, groups, extra };
    Some((user, attributes))
}

fn write<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    version: ReviewVersion,
    about: About,
    decision: &Decision,
) -> Answered {
    let detail = on_one_line(written(&decision.reason));
    let is_persons_refusal = about.bears_proof && decision.verdict != Verdict::Allow;
    let id = record(gateway, spoke, about, decision, &detail);
    let reason = line(&detail, &decision.hints, is_persons_refusal, id);
    let status = AccessReviewStatus {
        allowed: decision.verdict == Verdict::Allow,
        denied: decision.verdict == Verdict::Deny,
        reason: &reason,
        evaluation_error: decision.evaluation_error.as_deref(),
    };
    let body = AccessReviewOut { api_version: api_version(AUTHORIZATION, version), kind: KIND, status };
    let response = answer::json(StatusCode::OK, &body);
    let review = match decision.verdict {
        Verdict::Allow => Reviewed::Allow,
        Verdict::Deny => Reviewed::Deny,
        Verdict::NoOpinion => Reviewed::NoOpinion,
    };
    Answered { review, decision: Some(id), reason: decision.reason.code().into(), response }
}

/// The text of something, which fits at once as a rule.
fn written(told: &impl Display) -> String {
    let mut text = String::with_capacity(LINE_BYTES);
    // Writing into a string cannot fail.
    let _ = write!(text, "{told}");
    text
}

/// What decided, with the id by which `explain` finds it: one line, for kubectl shows it to the person refused. Whoever is known
/// by a proof, and refused, is told the first of what would have allowed it (authz gives it to nobody else), and where more is:
/// all of it is worked out when they ask, and not for each refusal.
fn line(detail: &str, hints: &[String], is_persons_refusal: bool, id: DecisionId) -> String {
    const MORE: &str = "; `lanyard explain --id` says more";
    let hinted: usize = hints.iter().map(|hint| "; ".len() + hint.len()).sum();
    let mut line = String::with_capacity(detail.len() + hinted + MORE.len() + ID_BYTES);
    line.push_str(detail);
    for hint in hints {
        line.push_str("; ");
        line.push_str(&shortened(hint));
    }
    if is_persons_refusal {
        line.push_str(MORE);
    }
    // Writing into a string cannot fail.
    let _ = write!(line, " ({id})");
    line
}

/// A hint as it stands in the line: cut after it was escaped, for it is the line that is bounded.
fn shortened(hint: &str) -> String {
    let hint = on_one_line(hint.to_owned());
    if hint.chars().nth(HINT_CHARS_MAX).is_none() {
        return hint;
    }
    hint.chars().take(HINT_CHARS_MAX).chain(['…']).collect()
}

/// Names of RBAC objects reach this text, and are whatever somebody wrote there: what does not print, or turns the
/// direction of text, is escaped, so that it can neither begin a line of its own nor speak to a terminal.
pub(super) fn on_one_line(text: String) -> String {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text;
    }
    shown_within(&text, usize::MAX)
}

/// A review that bears a proof, or may, and is not decided.
struct Unanswered<'a> {
    review: Reviewed,
    /// As far as it was read.
    about: Option<&'a About>,
    why: &'a str,
}

fn unanswerable<S: Services>(
    gateway: &Gateway<S>,
    spoke: &Spoke,
    version: ReviewVersion,
    unanswered: Unanswered<'_>,
) -> Answered {
    let Unanswered { review, about, why } = unanswered;
    let id = DecisionId::random();
    let reason = format!("{} ({id})", Reason::Unanswerable);
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: gateway.parts.clock.now(),
        cluster: spoke.cluster.uid,
        kind: DecisionKind::SubjectAccessReview,
        outcome: DecisionOutcome::Deny,
        reason: Reason::Unanswerable.code().into(),
        who: about.map(About::who).unwrap_or_default(),
        what: about.map(About::what).unwrap_or_default(),
        detail: why.into(),
        trace: recorder::trace(),
        question: None,
    });
    let status =
        AccessReviewStatus { allowed: false, denied: true, reason: &reason, evaluation_error: Some(why) };
    let body = AccessReviewOut { api_version: api_version(AUTHORIZATION, version), kind: KIND, status };
    Answered {
        review,
        decision: Some(id),
        reason: Reason::Unanswerable.code().into(),
        response: answer::json(StatusCode::OK, &body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_whatever_a_role_is_called() {
        for (text, shown) in [
            ("role `a\\b` \"says\" it's so", "role `a\\b` \"says\" it's so"),
            ("role `José`", "role `José`"),
            ("a\nb\r\u{1b}[31m\u{2028}\u{202e}", "a\\nb\\r\\u{1b}[31m\\u{2028}\\u{202e}"),
        ] {
            assert_eq!(on_one_line(text.to_owned()), shown);
        }
    }

    #[test]
    fn a_person_who_is_refused_is_told_what_would_have_allowed_it_where_more_is_and_the_id_ends_the_line() {
        let id = DecisionId::random();
        assert_eq!(line("allowed by RBAC", &[], false, id), format!("allowed by RBAC ({id})"));
        let more = "`lanyard explain --id` says more";
        assert_eq!(line("it is gone", &[], true, id), format!("it is gone; {more} ({id})"));
        let hints = ["policy A would allow it".to_owned(), "so would\nB".to_owned()];
        let refused = line("nothing allows it", &hints, true, id);
        let told = "policy A would allow it; so would\\nB";
        assert_eq!(refused, format!("nothing allows it; {told}; {more} ({id})"));
    }

    #[test]
    fn a_hint_of_any_length_takes_bounded_room_in_the_reason() {
        let of = |chars: usize| shortened(&"é".repeat(chars));
        assert_eq!(of(HINT_CHARS_MAX), "é".repeat(HINT_CHARS_MAX));
        assert_eq!(of(HINT_CHARS_MAX + 1), format!("{}…", "é".repeat(HINT_CHARS_MAX)));
        assert_eq!(shortened(&"\n".repeat(10_000)).chars().count(), HINT_CHARS_MAX + 1);
    }

    #[test]
    fn a_refusal_can_be_asked_anew_and_an_unproven_one_cannot() {
        let of = |verdict, reason: Reason| {
            let decision = Decision {
                verdict,
                reason,
                evaluation_error: None,
                hints: Vec::new(),
                revision: lanyard_api::Revision::default(),
            };
            let attributes = Attributes::NonResource { path: "/x".into(), verb: "get".into() };
            let user = UserInfo { username: "ana".to_owned(), ..UserInfo::default() };
            About { user: Arc::new(user), attributes: attributes.into(), bears_proof: false }
                .question(&decision)
        };
        assert!(of(Verdict::NoOpinion, Reason::NothingMatched).is_some());
        assert!(of(Verdict::Deny, Reason::GrantRevoked).is_some());
        assert_eq!(of(Verdict::Allow, Reason::SystemMasters), None);
        for unproven in [Reason::ProofInvalid, Reason::ProofImpersonation, Reason::Unanswerable] {
            assert_eq!(of(Verdict::Deny, unproven), None);
        }
    }

    #[test]
    fn immunity_59_unread_bytes_that_could_hold_a_proof_are_taken_to_hold_one() {
        for yes in [&br#"{"extra":{"lanyard.dev/proof""#[..], b"LANYARD.DEV\\/proof", b"{\"l\\u0061nyard"] {
            assert!(may_bear_proof(yes), "{}", String::from_utf8_lossy(yes));
        }
        for no in [&b""[..], b"{", b"not json", br#"{"extra":{"lanyard":1"#] {
            assert!(!may_bear_proof(no), "{}", String::from_utf8_lossy(no));
        }
    }

    #[test]
    fn a_review_has_exactly_one_kind_of_attributes() {
        let parse = |text: &str| parse(serde_json::from_str(text).unwrap());
        assert!(parse(r#"{"user":"a"}"#).is_none());
        assert!(parse(r#"{"resourceAttributes":{},"nonResourceAttributes":{}}"#).is_none());
        let (user, attributes) = parse(
            r#"{"user":"a","extra":{"canonicalarn":null},"nonResourceAttributes":{"path":"/x","verb":"get"}}"#,
        )
        .unwrap();
        assert_eq!(user.extra["canonicalarn"], Vec::<String>::new());
        let (user, _) = parse(r#"{"user":"a","extra":null,"nonResourceAttributes":{}}"#).unwrap();
        assert!(user.extra.is_empty());
        assert_eq!(attributes, Attributes::NonResource { path: "/x".into(), verb: "get".into() });
    }
}
