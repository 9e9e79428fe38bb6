//! Conversions between authz's domain types and messages.

use std::{iter, sync::Arc};

use lanyard_proto::{
    Each,
    authz::v1::{self as pb, attributes, question, reason, subject},
};
use lanyard_rbac::{PolicyRule, Subject};
use prost::DecodeError;

use super::{
    ApplySummary, Attributes, Decision, DecisionKind, DecisionOutcome, DecisionRecord, DoorQuestion, Gone,
    Holder, Inputs, KnockQuestion, Question, Reason, ResourceAttributes, Review, Rules, RulesQuery,
    SelectorRequirement, Selectors, Verdict, WhoCan, WhoCanQuery,
};
use crate::{
    fault::{CallError, Fault},
    grpc::{
        codec::{convert, optional_message, shared_message},
        field::{self, wire_enum},
        mutation::{join, mutated, split},
    },
    identity::UserInfo,
    ids::ClusterUid,
    mutation::{Mutated, Page},
};

wire_enum! { Verdict = pb::Verdict { Allow, Deny, NoOpinion } }
wire_enum! { Gone = reason::Gone {
    Account, Principal, Sessions, AccessKey, KinAccount, KinPrincipal, KinSessions, KinProvider, KinCluster, KinAssociation,
    KinAccessKey,
} }
wire_enum! { DecisionKind = pb::decision_record::Kind { TokenReview, SubjectAccessReview, ManagementCall } }
wire_enum! { DecisionOutcome = pb::decision_record::Outcome { Verified, Refused, NoAnswer, Allow, Deny, NoOpinion } }

convert! { Review = pb::Review {
    user: shared_message, attributes: shared_message, explain: plain, full: plain;
    cluster = cluster_uid: text, grant = entry_id: optional_text,
} }
convert! { SelectorRequirement = pb::selectors::Requirement { key: plain, operator: plain, values: plain } }
convert! { Selectors = pb::Selectors { field: items, label: items } }
convert! { Decision = pb::Decision {
    verdict: choice, reason: message, evaluation_error: plain, hints: plain, revision: revision,
} }
convert! { RulesQuery = pb::RulesForRequest {
    user: message, namespace: plain; cluster = cluster_uid: text, grant = entry_id: optional_text,
} }
convert! { WhoCanQuery = pb::WhoCanRequest { attributes: message; cluster = cluster_uid: text } }
convert! { WhoCan = pb::WhoCanResponse { holders: items, incomplete: plain } }
convert! { Holder = pb::Holder {
    subject: plain, via: plain, principal_arn: plain; entry = entry_id: optional_text,
} }
convert! { Inputs = pb::Inputs { revision: revision } }
convert! { DecisionRecord = pb::DecisionRecord {
    id: text, at: moment, kind: choice, outcome: choice, reason: code, who: shared, what: shared, detail: shared,
    question: boxed_message;
    cluster = cluster_uid: text, trace = trace_id: optional_text,
} }
convert! { KnockQuestion = question::Knock { authority: text, arn: text, principal_id: plain } }
convert! { DoorQuestion = question::Door {
    username: plain, groups: plain, attributes: shared_message; entry = entry_id: optional_text,
} }

mutated! { lanyard_rbac::ObjectKey = pb::ObjectDeleted { key: text } }

/// The message of a batch. Whom the first review is about is named once, for all that are about the same person.
pub(super) fn batch_message(reviews: Vec<Review>) -> pb::AuthorizeBatchRequest {
    let Some(shared) = reviews.first().map(|review| Arc::clone(&review.user)) else {
        return pb::AuthorizeBatchRequest::default();
    };
    let nobody = Arc::<UserInfo>::default();
    let message = |mut review: Review| {
        if !Arc::ptr_eq(&review.user, &shared) && review.user != shared {
            return review.into();
        }
        review.user = Arc::clone(&nobody);
        pb::Review { user: None, ..review.into() }
    };
    let reviews = reviews.into_iter().map(message).collect();
    pb::AuthorizeBatchRequest { reviews, user: shared_message::write(shared) }
}

/// The reviews of a batch.
///
/// # Errors
/// [`CallError`] names the field of the first review that cannot be read; `user`, where neither it nor the batch has one.
pub fn batch_reviews(batch: pb::AuthorizeBatchRequest) -> Result<Vec<Review>, CallError> {
    let shared = batch.user.map(UserInfo::try_from).transpose()?.map(Arc::new);
    // All of one batch are of one cluster as a rule, whose number need not be read a thousand times.
    let mut known: Option<(String, ClusterUid)> = None;
    let read = |message: Result<pb::Review, DecodeError>| {
        let pb::Review { cluster_uid, user, attributes, explain, full, entry_id } =
            field::readable("reviews", message)?;
        let cluster = match &known {
            Some((text, uid)) if *text == cluster_uid => *uid,
            _ => known.insert((cluster_uid.clone(), field::parse("cluster_uid", &cluster_uid)?)).1,
        };
        let user = match (user, &shared) {
            (None, Some(shared)) => Arc::clone(shared),
            (own, _) => shared_message::read("user", own)?,
        };
        let attributes = shared_message::read("attributes", attributes)?;
        let grant = field::optional("entry_id", entry_id.as_deref())?;
        Ok(Review { cluster, user, attributes, explain, full, grant })
    };
    batch.reviews.iter().map(read).collect()
}

/// The message of a batch's answers. Those in a row that say the same are written once and copied: a batch is about one person as a rule,
/// and what one rule allows is allowed in the same words.
pub fn batch_decisions(decisions: Vec<Decision>) -> pb::AuthorizeBatchResponse {
    let mut written = Each::default();
    let mut decisions = decisions.into_iter().peekable();
    while let Some(decision) = decisions.next() {
        let again = iter::from_fn(|| decisions.next_if_eq(&decision)).count();
        written.push(&pb::Decision::from(decision));
        (0..again).for_each(|_| written.push_again());
    }
    pb::AuthorizeBatchResponse { decisions: written }
}

impl From<Attributes> for pb::Attributes {
    fn from(asked: Attributes) -> Self {
        let attributes = match asked {
            Attributes::Resource(resource) => attributes::Attributes::Resource(resource.into()),
            Attributes::NonResource { path, verb } => {
                attributes::Attributes::NonResource(pb::NonResourceAttributes { path, verb })
            }
        };
        Self { attributes: Some(attributes) }
    }
}

impl TryFrom<pb::Attributes> for Attributes {
    type Error = CallError;

    fn try_from(message: pb::Attributes) -> Result<Self, CallError> {
        Ok(match field::required("attributes", message.attributes)? {
            attributes::Attributes::Resource(resource) => Self::Resource(resource.try_into()?),
            attributes::Attributes::NonResource(pb::NonResourceAttributes { path, verb }) => {
                Self::NonResource { path, verb }
            }
        })
    }
}

impl From<ResourceAttributes> for pb::ResourceAttributes {
    fn from(asked: ResourceAttributes) -> Self {
        Self {
            namespace: asked.namespace,
            verb: asked.verb,
            group: asked.group,
            version: asked.version,
            resource: asked.resource,
            subresource: asked.subresource,
            name: asked.name,
            selectors: asked.selectors.map(|selectors| (*selectors).into()),
        }
    }
}

impl TryFrom<pb::ResourceAttributes> for ResourceAttributes {
    type Error = CallError;

    fn try_from(message: pb::ResourceAttributes) -> Result<Self, CallError> {
        Ok(Self {
            namespace: message.namespace,
            verb: message.verb,
            group: message.group,
            version: message.version,
            resource: message.resource,
            subresource: message.subresource,
            name: message.name,
            selectors: optional_message::read("selectors", message.selectors)?.map(Box::new),
        })
    }
}

impl From<Question> for pb::Question {
    fn from(asked: Question) -> Self {
        let question = match asked {
            Question::Knock(knock) => question::Question::Knock(knock.into()),
            Question::Door(door) => question::Question::Door(door.into()),
        };
        Self { question: Some(question) }
    }
}

impl TryFrom<pb::Question> for Question {
    type Error = CallError;

    fn try_from(message: pb::Question) -> Result<Self, CallError> {
        Ok(match field::required("question", message.question)? {
            question::Question::Knock(knock) => Self::Knock(knock.try_into()?),
            question::Question::Door(door) => Self::Door(door.try_into()?),
        })
    }
}

impl From<Reason> for pb::Reason {
    fn from(decided: Reason) -> Self {
        let reason = match decided {
            Reason::Rbac { subject, binding, role, rule } => reason::Reason::Rbac(reason::Rbac {
                subject: Some(subject_message(subject)),
                binding: binding.borrowed().text(),
                role: role.borrowed().text(),
                rule,
            }),
            Reason::SystemMasters => reason::Reason::SystemMasters(()),
            Reason::AccessPolicy { policy, rule, scope } => {
                reason::Reason::AccessPolicy(reason::AccessPolicy { policy, rule, scope })
            }
            Reason::Blocked => reason::Reason::Blocked(()),
            Reason::Gone(gone) => reason::Reason::Gone(field::enum_number(gone)),
            Reason::GrantRevoked => reason::Reason::GrantRevoked(()),
            Reason::ProofImpersonation => reason::Reason::ProofImpersonation(()),
            Reason::ProofInvalid => reason::Reason::ProofInvalid(()),
            Reason::Unanswerable => reason::Reason::Unanswerable(()),
            Reason::NothingMatched => reason::Reason::NothingMatched(()),
        };
        Self { reason: Some(reason) }
    }
}

impl TryFrom<pb::Reason> for Reason {
    type Error = CallError;

    fn try_from(message: pb::Reason) -> Result<Self, CallError> {
        Ok(match field::required("reason", message.reason)? {
            reason::Reason::Rbac(rbac) => Self::Rbac {
                subject: subject(field::required("subject", rbac.subject)?)?,
                binding: field::parse("binding", &rbac.binding)?,
                role: field::parse("role", &rbac.role)?,
                rule: rbac.rule,
            },
            reason::Reason::SystemMasters(()) => Self::SystemMasters,
            reason::Reason::AccessPolicy(reason::AccessPolicy { policy, rule, scope }) => {
                Self::AccessPolicy { policy, rule, scope }
            }
            reason::Reason::Blocked(()) => Self::Blocked,
            reason::Reason::Gone(gone) => Self::Gone(field::one_of("gone", gone)?),
            reason::Reason::GrantRevoked(()) => Self::GrantRevoked,
            reason::Reason::ProofImpersonation(()) => Self::ProofImpersonation,
            reason::Reason::ProofInvalid(()) => Self::ProofInvalid,
            reason::Reason::Unanswerable(()) => Self::Unanswerable,
            reason::Reason::NothingMatched(()) => Self::NothingMatched,
        })
    }
}

fn subject_message(named: Subject) -> pb::Subject {
    let subject = match named {
        Subject::User(name) => subject::Subject::User(name),
        Subject::Group(name) => subject::Subject::Group(name),
        Subject::ServiceAccount { namespace, name } => {
            subject::Subject::ServiceAccount(subject::ServiceAccount { namespace, name })
        }
    };
    pb::Subject { subject: Some(subject) }
}

fn subject(message: pb::Subject) -> Result<Subject, CallError> {
    Ok(match field::required("subject", message.subject)? {
        subject::Subject::User(name) => Subject::User(name),
        subject::Subject::Group(name) => Subject::Group(name),
        subject::Subject::ServiceAccount(subject::ServiceAccount { namespace, name }) => {
            Subject::ServiceAccount { namespace, name }
        }
    })
}

impl From<Rules> for pb::Rules {
    fn from(rules: Rules) -> Self {
        Self {
            resource: rules.resource.into_iter().map(rule_message).collect(),
            non_resource: rules.non_resource.into_iter().map(rule_message).collect(),
            incomplete: rules.incomplete,
            evaluation_error: rules.evaluation_error,
        }
    }
}

impl TryFrom<pb::Rules> for Rules {
    type Error = CallError;

    fn try_from(message: pb::Rules) -> Result<Self, CallError> {
        Ok(Self {
            resource: message.resource.into_iter().map(rule).collect(),
            non_resource: message.non_resource.into_iter().map(rule).collect(),
            incomplete: message.incomplete,
            evaluation_error: message.evaluation_error,
        })
    }
}

fn rule_message(rule: PolicyRule) -> pb::PolicyRule {
    let PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls } = rule;
    pb::PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls }
}

fn rule(message: pb::PolicyRule) -> PolicyRule {
    let pb::PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls } = message;
    PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls }
}

impl From<Mutated<ApplySummary>> for pb::ObjectsApplied {
    fn from(answer: Mutated<ApplySummary>) -> Self {
        let (ApplySummary { created, changed, unchanged, removed, skipped, refused }, mutated) =
            split(answer);
        Self { created, changed, unchanged, removed, skipped, refused, mutated }
    }
}

impl TryFrom<pb::ObjectsApplied> for Mutated<ApplySummary> {
    type Error = CallError;

    fn try_from(answer: pb::ObjectsApplied) -> Result<Self, CallError> {
        let pb::ObjectsApplied { created, changed, unchanged, removed, skipped, refused, mutated } = answer;
        join(ApplySummary { created, changed, unchanged, removed, skipped, refused }, mutated)
    }
}

/// A page of RBAC objects, each as Kubernetes' JSON.
pub(super) fn object_page(page: Page<lanyard_rbac::Object>) -> Result<pb::ObjectPage, Fault> {
    let manifest = |object: &lanyard_rbac::Object| serde_json::to_string(object);
    let manifests: Result<Vec<_>, _> = page.items.iter().map(manifest).collect();
    let manifests = manifests.map_err(|error| {
        tracing::error!(%error, "an RBAC object cannot be written");
        Fault::Internal
    })?;
    let items = manifests.into_iter().map(|manifest| pb::Object { manifest }).collect();
    Ok(pb::ObjectPage { items, next_token: page.next_token })
}

impl TryFrom<pb::ObjectPage> for Page<lanyard_rbac::Object> {
    type Error = CallError;

    fn try_from(page: pb::ObjectPage) -> Result<Self, CallError> {
        let object = |object: pb::Object| {
            serde_json::from_str(&object.manifest)
                .map_err(|error| CallError::invalid("manifest", "malformed", error.to_string()))
        };
        let items = page.items.into_iter().map(object).collect::<Result<_, _>>()?;
        Ok(Self { items, next_token: page.next_token })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::ids::Revision;

    fn review(username: &str, path: &str) -> Review {
        Review {
            cluster: ClusterUid(uuid::Uuid::from_u128(1)),
            user: UserInfo { username: username.to_owned(), ..UserInfo::default() }.into(),
            attributes: Attributes::NonResource { path: path.to_owned(), verb: "get".to_owned() }.into(),
            explain: false,
            full: false,
            grant: None,
        }
    }

    fn asked(reviews: &[Review]) -> Vec<(String, String)> {
        let one = |review: &Review| (review.user.username.clone(), review.attributes.to_string());
        reviews.iter().map(one).collect()
    }

    #[test]
    fn a_batch_names_once_whom_the_first_review_is_about() {
        let reviews = vec![review("ana", "/a"), review("bob", "/b"), review("ana", "/c"), review("", "/d")];
        let expected = asked(&reviews);
        let batch = batch_message(reviews);
        let own: Vec<_> = batch.reviews.iter().map(|review| review.unwrap().user.is_some()).collect();
        assert_eq!(own, [false, true, false, true]);
        assert_eq!(batch.user.as_ref().map(|user| user.username.as_str()), Some("ana"));
        let read = batch_reviews(batch).unwrap();
        assert_eq!(asked(&read), expected);
        assert!(Arc::ptr_eq(&read[0].user, &read[2].user), "read twice");
        assert_eq!(batch_reviews(batch_message(Vec::new())).unwrap().len(), 0);
    }

    #[test]
    fn a_review_about_nobody_is_refused() {
        let mut batch = batch_message(vec![review("ana", "/a")]);
        batch.user = None;
        let error = batch_reviews(batch).unwrap_err();
        assert!(format!("{error:?}").contains("user"), "{error:?}");
    }

    #[test]
    fn a_review_that_cannot_be_read_refuses_its_batch_by_name() {
        // A review of two bytes, which say that ten are to come.
        let batch = pb::AuthorizeBatchRequest::decode(&[0x0a, 2, 0x0a, 10][..]).unwrap();
        let error = batch_reviews(batch).unwrap_err();
        assert!(matches!(&error, CallError::Invalid { field, .. } if field == "reviews"), "{error:?}");
    }

    #[test]
    fn a_batch_is_answered_in_order_whatever_of_it_says_the_same() {
        let decision = |verdict, revision| Decision {
            verdict,
            reason: Reason::NothingMatched,
            evaluation_error: None,
            hints: Vec::new(),
            revision: Revision(revision),
        };
        let (allow, deny) = (Verdict::Allow, Verdict::Deny);
        for decided in [
            vec![],
            vec![decision(allow, 1)],
            vec![
                decision(allow, 1),
                decision(allow, 1),
                decision(deny, 1),
                decision(allow, 1),
                decision(allow, 2),
            ],
            vec![decision(deny, 1), decision(deny, 1), decision(deny, 1)],
        ] {
            let message = batch_decisions(decided.clone());
            let read = message.decisions.iter().map(|decision| Decision::try_from(decision.unwrap()));
            assert_eq!(read.collect::<Result<Vec<_>, _>>(), Ok(decided));
        }
    }
}
