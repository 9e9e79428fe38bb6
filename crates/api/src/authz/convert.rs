//! Conversions between authz's domain types and messages.

use lanyard_proto::authz::v1::{self as pb, attributes, question, reason, subject};
use lanyard_rbac::{PolicyRule, Subject};

use super::{
    ApplySummary, Attributes, Decision, DecisionKind, DecisionOutcome, DecisionRecord, DoorQuestion, Gone,
    Holder, Inputs, KnockQuestion, Question, Reason, ResourceAttributes, Review, Rules, RulesQuery,
    SelectorRequirement, Selectors, Verdict, WhoCan, WhoCanQuery,
};
use crate::{
    fault::{CallError, Fault},
    grpc::{
        codec::{convert, optional_message},
        field::{self, wire_enum},
        mutation::{join, mutated, split},
    },
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
convert! { WhoCan = pb::WhoCanResponse { holders: items, incomplete: plain, left_out: plain } }
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

impl From<Attributes> for pb::Attributes {
    fn from(asked: Attributes) -> Self {
        let attributes = match asked {
            Attributes::Resource(resource) => attributes::Attributes::Resource(resource.into()),
            Attributes::NonResource { path, verb } => {
                attributes::Attributes::NonResource(pb::NonResourceAttributes {
                    path: path.into(),
                    verb: verb.into(),
                })
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
                Self::NonResource { path: path.into(), verb: verb.into() }
            }
        })
    }
}

impl From<ResourceAttributes> for pb::ResourceAttributes {
    fn from(asked: ResourceAttributes) -> Self {
        Self {
            namespace: asked.namespace.into(),
            verb: asked.verb.into(),
            group: asked.group.into(),
            version: asked.version.into(),
            resource: asked.resource.into(),
            subresource: asked.subresource.into(),
            name: asked.name.into(),
            selectors: asked.selectors.map(|selectors| (*selectors).into()),
        }
    }
}

impl TryFrom<pb::ResourceAttributes> for ResourceAttributes {
    type Error = CallError;

    fn try_from(message: pb::ResourceAttributes) -> Result<Self, CallError> {
        Ok(Self {
            namespace: message.namespace.into(),
            verb: message.verb.into(),
            group: message.group.into(),
            version: message.version.into(),
            resource: message.resource.into(),
            subresource: message.subresource.into(),
            name: message.name.into(),
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
                let (policy, scope) = (policy.into(), scope.into());
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
                Self::AccessPolicy { policy: policy.into(), rule, scope: scope.into() }
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
