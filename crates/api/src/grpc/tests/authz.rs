use futures::{StreamExt as _, stream};
use lanyard_rbac::{Object, ObjectKey, PolicyRule, Subject};

use super::{samples::*, *};
use crate::{
    CallError, ClusterId, DecisionId, Fault,
    authz::{
        ApplySummary, Attributes, Authorize, Decision, DecisionKind, DecisionOutcome, DecisionRecord,
        Decisions, Gone, Holder, InputChanges, Inputs, KnockQuestion, ObjectBatch, Objects, Question, Reason,
        ResourceAttributes, Review, Rules, RulesQuery, SelectorRequirement, Selectors, Verdict, WhoCan,
        WhoCanQuery, batch_message,
    },
};

fn reasons() -> Vec<Reason> {
    let rbac = |subject| Reason::Rbac {
        subject,
        binding: ObjectKey::role_binding("team-a", "devs"),
        role: ObjectKey::cluster_role("view"),
        rule: 2,
    };
    vec![
        rbac(Subject::User(text("ana"))),
        rbac(Subject::Group(text("devs"))),
        rbac(Subject::ServiceAccount { namespace: Some(text("team-a")), name: text("bot") }),
        rbac(Subject::ServiceAccount { namespace: None, name: text("bot") }),
        Reason::SystemMasters,
        Reason::AccessPolicy { policy: "AmazonEKSViewPolicy".into(), rule: 1, scope: "dev-*".into() },
        Reason::Blocked,
        Reason::Gone(Gone::Account),
        Reason::Gone(Gone::KinAccessKey),
        Reason::GrantRevoked,
        Reason::ProofImpersonation,
        Reason::ProofInvalid,
        Reason::Unanswerable,
        Reason::NothingMatched,
    ]
}

fn decision(reason: Reason, verdict: Verdict) -> Decision {
    Decision {
        verdict,
        reason,
        evaluation_error: (verdict == Verdict::Deny).then(|| text("stale")),
        hints: vec![text("bind view")],
        revision: Revision(9),
    }
}

fn rule() -> PolicyRule {
    PolicyRule {
        verbs: vec![text("get")],
        api_groups: vec![text("apps")],
        resources: vec![text("deployments")],
        resource_names: vec![text("web")],
        non_resource_urls: vec![text("/healthz*")],
    }
}

fn object() -> Object {
    let manifest = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"view"},
        "rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}"#;
    serde_json::from_str(manifest).unwrap()
}

fn record(kind: DecisionKind) -> DecisionRecord {
    DecisionRecord {
        id: DecisionId(uuid::Uuid::from_u128(4)),
        at: moment(1),
        cluster: uid(1),
        kind,
        outcome: DecisionOutcome::Allow,
        reason: "rbac".into(),
        who: "ana".into(),
        what: "get pods".into(),
        detail: "line\nline".into(),
        trace: "4bf92f3577b34da6a3ce929d0e0e4736".parse().ok(),
        question: match kind {
            DecisionKind::TokenReview => Some(Box::new(Question::Knock(KnockQuestion {
                authority: crate::Authority::Local,
                arn: "arn:aws:sts::111122223333:assumed-role/dev/ana".parse().unwrap(),
                principal_id: text("AROAX"),
            }))),
            DecisionKind::SubjectAccessReview => {
                let asked = Attributes::Resource(pods());
                Some(Question::of_door(user_info().into(), asked.into(), Some(entry_id())))
            }
            DecisionKind::ManagementCall => None,
        },
    }
}

fake! { Authorize {
    plain authorize(review: Review) -> Decision, Fault = decision(Reason::Blocked, Verdict::Deny);
    plain authorize_batch(reviews: Vec<Review>) -> Vec<Decision>, Fault
        = reasons().into_iter().map(|reason| decision(reason, Verdict::NoOpinion)).collect();
    plain rules_for(query: RulesQuery) -> Rules, Fault = Rules {
        resource: vec![rule()],
        non_resource: vec![PolicyRule::default(), rule()],
        incomplete: true,
        evaluation_error: Some(text("a role is gone")),
    };
    plain who_can(query: WhoCanQuery) -> WhoCan, Fault = WhoCan {
        holders: vec![
            Holder { subject: text("User ana"), entry: None, via: text("x"), principal_arn: None },
            Holder {
                subject: text("access entry"),
                entry: Some(entry_id()),
                via: text("y"),
                principal_arn: Some(text("arn")),
            },
        ],
        incomplete: true,
        left_out: 7,
    };
} }

fake! { Objects {
    change apply_objects(id: ClusterId, batch: ObjectBatch) -> Mutated<ApplySummary>, CallError
        = mutated(ApplySummary { created: 1, changed: 2, unchanged: 3, removed: 4, skipped: vec![text("Pod/x")], refused: vec![text("Role/a/b")] });
    change delete_object(id: ClusterId, key: ObjectKey) -> Mutated<ObjectKey>, CallError = mutated(key);
    ask list_objects(id: ClusterId, query: PageQuery) -> Page<Object>, CallError = page(vec![object()]);
} }

fake! { Decisions {
    plain record(batch: Vec<DecisionRecord>) -> (), Fault = ();
    ask find(id: DecisionId) -> DecisionRecord, CallError = record(DecisionKind::SubjectAccessReview);
}
    async fn watch_inputs(&self, by: Vouched<Actor>, cluster: ClusterId) -> Result<InputChanges, CallError> {
        self.note(format!("watch_inputs {:?} {cluster}", by.value.kind));
        let inputs = |number| Ok(Inputs { revision: Revision(number) });
        let gone = Err(CallError::not_found("cluster", "dev"));
        Ok(stream::iter(vec![inputs(3), inputs(3), inputs(4), gone]).boxed())
    }
}

fn pods() -> ResourceAttributes {
    let requirement =
        |key: &str| SelectorRequirement { key: text(key), operator: text("In"), values: vec![text("v")] };
    ResourceAttributes {
        namespace: "team-a".into(),
        verb: "get".into(),
        group: "apps".into(),
        version: "v1".into(),
        resource: "pods".into(),
        subresource: "log".into(),
        name: "web-1".into(),
        selectors: Some(Box::new(Selectors { field: vec![requirement("f")], label: vec![requirement("l")] })),
    }
}

fn review(attributes: Attributes, number: u128) -> Review {
    let odd = number % 2 == 1;
    Review {
        cluster: uid(1),
        user: user_info().into(),
        attributes: attributes.into(),
        explain: odd,
        full: !odd,
        grant: odd.then(entry_id),
    }
}

async fn authorize_calls<T: Authorize>(to: &T) -> Vec<String> {
    let path = || Attributes::NonResource { path: "/a/../b".into(), verb: "get".into() };
    let bare = ResourceAttributes { selectors: None, ..pods() };
    let one_for_each_reason = reasons().iter().zip(0..).map(|(_, number)| review(path(), number)).collect();
    let rules = |grant| RulesQuery { cluster: uid(1), user: user_info(), namespace: text("team-a"), grant };
    answers![
        to.authorize(review(Attributes::Resource(pods()), 1)),
        to.authorize(review(Attributes::Resource(bare), 2)),
        to.authorize_batch(one_for_each_reason),
        to.rules_for(rules(None)),
        to.rules_for(rules(Some(entry_id()))),
        to.who_can(WhoCanQuery { cluster: uid(1), attributes: path() }),
    ]
}

async fn object_calls<T: Objects>(to: &T) -> Vec<String> {
    let dev: ClusterId = "dev".parse().unwrap();
    let batch = |documents, replace, partial| ObjectBatch { documents, replace, partial };
    answers![
        to.apply_objects(change(), dev.clone(), batch(text("kind: List"), true, false)),
        to.apply_objects(silent_change(), dev.clone(), batch(String::new(), false, true)),
        to.delete_object(change(), dev.clone(), ObjectKey::role("team-a", "dev")),
        to.list_objects(actor(), dev, some_page()),
    ]
}

async fn decision_calls<T: Decisions>(to: &T) -> Vec<String> {
    let batch = vec![
        record(DecisionKind::TokenReview),
        record(DecisionKind::SubjectAccessReview),
        record(DecisionKind::ManagementCall),
    ];
    let dev = || "dev-1".parse().unwrap();
    answers![to.record(batch), to.find(actor(), DecisionId(uuid::Uuid::from_u128(4))), async {
        Ok::<_, CallError>(to.watch_inputs(actor(), dev()).await?.collect::<Vec<_>>().await)
    },]
}

#[tokio::test]
async fn authorization_is_the_same_over_grpc() {
    same_over_grpc!(authorize_calls);
}

#[tokio::test]
async fn objects_are_the_same_over_grpc() {
    same_over_grpc!(object_calls);
}

#[tokio::test]
async fn decisions_are_the_same_over_grpc() {
    same_over_grpc!(decision_calls);
}

#[tokio::test]
async fn a_batch_that_is_not_answered_whole_is_a_fault() {
    let client = served(&Arc::default());
    let one = vec![review(Attributes::Resource(pods()), 1)];
    assert_eq!(client.authorize_batch(one.clone()).await, Err(Fault::Internal));
    let written = client.authorize_written(batch_message(one)).await;
    assert_eq!(written, Err(Fault::Internal.into()));
}

/// Takes nothing.
struct Away;

impl Decisions for Away {
    async fn record(&self, _: Vec<DecisionRecord>) -> Result<(), Fault> {
        Err(Fault::Internal)
    }

    async fn find(&self, _: Vouched<Actor>, _: DecisionId) -> Result<DecisionRecord, CallError> {
        Err(Fault::Internal.into())
    }

    async fn watch_inputs(&self, _: Vouched<Actor>, _: ClusterId) -> Result<InputChanges, CallError> {
        Err(Fault::Internal.into())
    }
}

#[tokio::test]
async fn a_door_is_told_how_many_decisions_are_lost() {
    let batch = || vec![record(DecisionKind::SubjectAccessReview); 3];
    assert_eq!(Fake::default().record_or_tell(batch()).await, 0);
    assert_eq!(Away.record_or_tell(batch()).await, 3);
}
