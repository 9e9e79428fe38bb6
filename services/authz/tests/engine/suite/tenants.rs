//! What is one account's does not exist for another one, whatever the policies there say: every managed method of authz.

use std::collections::BTreeSet;

use lanyard_api::{
    CallError, ClusterId, DecisionId, Mutation, PageQuery,
    authz::{DecisionRecord, ObjectBatch},
    methods::MANAGED,
};
use lanyard_rbac::ObjectKey;

use super::decisions::record;
use crate::{
    form::Form,
    stage::{ABROAD, HOME, Stage, actor_of},
};

const ASKED: [&str; 5] = ["ApplyObjects", "DeleteObject", "ListObjects", "FindDecision", "WatchInputs"];

/// These name the cluster by its uid and ask for no actor: Admit has looked whose it is (authn's own test of this name).
const ADMITTED: [&str; 3] = ["AuthorizeBatch", "RulesFor", "WhoCan"];

const ROLE: &str = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"a"},
    "rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}"#;

#[test]
fn immunity_33_every_method_is_looked_at() {
    let managed = MANAGED.iter().filter(|method| method.path.starts_with("/lanyard.authz."));
    let all: BTreeSet<&str> = managed.filter_map(|method| method.path.rsplit('/').next()).collect();
    let known: BTreeSet<&str> = ASKED.into_iter().chain(ADMITTED).collect();
    assert_eq!(all, known);
}

/// What somebody of an account is answered about a cluster and a decision; nothing where it was done.
async fn asked_by(
    number: &str,
    form: &impl Form,
    id: &ClusterId,
    decision: DecisionId,
    method: &str,
) -> Option<CallError> {
    let actor = || actor_of(number);
    let by = || Mutation::by(actor());
    match method {
        "ApplyObjects" => form.apply_objects(by(), id.clone(), ObjectBatch::of(ROLE)).await.err(),
        "DeleteObject" => form.delete_object(by(), id.clone(), ObjectKey::cluster_role("a")).await.err(),
        "ListObjects" => form.list_objects(actor(), id.clone(), PageQuery::default()).await.err(),
        "FindDecision" => form.find(actor(), decision).await.err(),
        "WatchInputs" => form.watch_inputs(actor(), id.clone()).await.err(),
        other => panic!("{other} is not asked"),
    }
}

pub(crate) async fn immunity_33_another_accounts_cluster_does_not_exist_for_any_method(
    stage: &Stage,
    form: &impl Form,
) {
    let cluster = stage.cluster("main").await;
    let kept: DecisionRecord = record(cluster.uid);
    form.record(vec![kept.clone()]).await.unwrap();
    let owners = async |method: &str| asked_by(HOME, form, &cluster.id, kept.id, method).await;
    assert_eq!(owners("ApplyObjects").await, None);
    let nowhere: ClusterId = "none".parse().unwrap();
    // The cluster and its decision; and, by the account whose they are, what is nowhere: the same answers.
    let unknown = DecisionId::random();
    for (number, id, decision) in [(ABROAD, &cluster.id, kept.id), (HOME, &nowhere, unknown)] {
        for method in ASKED {
            let expected = match method {
                "FindDecision" => CallError::not_found("decision", decision),
                _ => CallError::not_found("cluster", id),
            };
            assert_eq!(
                asked_by(number, form, id, decision, method).await,
                Some(expected),
                "{method} of {id}"
            );
        }
    }
    // All of it is there for its own account, and nothing came of what was asked.
    for method in ["ListObjects", "FindDecision", "WatchInputs", "DeleteObject"] {
        assert_eq!(owners(method).await, None, "{method}");
    }
}
