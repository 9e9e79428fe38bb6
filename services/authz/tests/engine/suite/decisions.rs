//! What [`lanyard_api::authz::Decisions`] promises.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use lanyard_api::{
    CallError, ClusterUid, DecisionId, EntryId, UserInfo,
    authz::{Attributes, DecisionKind, DecisionOutcome, DecisionRecord, Question},
    suite::association,
};
use lanyard_kit::batches::BATCH_WAIT;

use crate::{
    form::Form,
    stage::{ABROAD, HOME, START, Stage, actor_of, person, spoke},
};

pub(super) fn record(cluster: ClusterUid) -> DecisionRecord {
    DecisionRecord {
        id: DecisionId::random(),
        at: START,
        cluster,
        kind: DecisionKind::SubjectAccessReview,
        outcome: DecisionOutcome::Deny,
        reason: "blocked".into(),
        who: "ana".into(),
        what: "get pods in namespace a".into(),
        detail: "a block names the principal".into(),
        trace: "4bf92f3577b34da6a3ce929d0e0e4736".parse().ok(),
        question: question("ana".to_owned()),
    }
}

fn question(username: String) -> Option<Box<Question>> {
    let user = UserInfo { username, groups: vec!["devs".to_owned()], ..UserInfo::default() };
    let attributes = Attributes::NonResource { path: "/x".into(), verb: "get".into() };
    Some(Question::of_door(user.into(), attributes.into(), Some(EntryId::random())))
}

fn is_not_found(answer: Result<DecisionRecord, CallError>, id: DecisionId) {
    assert_eq!(answer, Err(CallError::not_found("decision", id)));
}

pub(crate) async fn what_was_recorded_is_found(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let records: Vec<_> = (0..100).map(|_| record(cluster.uid)).collect();
    form.record(records.clone()).await.unwrap();
    for expected in &records {
        assert_eq!(form.find(actor_of(HOME), expected.id).await.as_ref(), Ok(expected));
    }
    let unknown = DecisionId::random();
    is_not_found(form.find(actor_of(HOME), unknown).await, unknown);
}

pub(crate) async fn one_that_is_still_on_its_way_is_waited_for(stage: &Stage, form: &impl Form) {
    let late = record(stage.cluster("main").await.uid);
    // It is asked for first, and comes while that looks for it.
    let (asked, arrives) = (form.find(actor_of(HOME), late.id), form.record(vec![late.clone()]));
    let (found, arrived) = tokio::join!(asked, arrives);
    assert_eq!((found, arrived), (Ok(late.clone()), Ok(())));
}

pub(crate) async fn immunity_58_a_decision_of_another_account_does_not_exist(
    stage: &Stage,
    form: &impl Form,
) {
    let cluster = stage.cluster("main").await;
    let kept = record(cluster.uid);
    form.record(vec![kept.clone()]).await.unwrap();
    let asked = Instant::now();
    is_not_found(form.find(actor_of(ABROAD), kept.id).await, kept.id);
    assert!(asked.elapsed() > BATCH_WAIT, "it is looked for as long as one that is nowhere");
    assert_eq!(form.find(actor_of(HOME), kept.id).await, Ok(kept));
}

pub(crate) async fn a_spoke_finds_no_decision(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let kept = record(cluster.uid);
    form.record(vec![kept.clone()]).await.unwrap();
    is_not_found(form.find(spoke(cluster.uid), kept.id).await, kept.id);
}

pub(crate) async fn a_decision_of_a_deleted_cluster_is_not_found(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let kept = record(cluster.uid);
    form.record(vec![kept.clone()]).await.unwrap();
    stage.delete_cluster(&cluster).await;
    is_not_found(form.find(actor_of(HOME), kept.id).await, kept.id);
}

pub(crate) async fn an_overlong_text_is_cut(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let mut long = record(cluster.uid);
    long.who = "é".repeat(10_000).into();
    long.question = question("é".repeat(10_000));
    form.record(vec![long.clone()]).await.unwrap();
    let found = form.find(actor_of(HOME), long.id).await.unwrap();
    assert_eq!((found.who.len(), found.what, found.question), (4096, long.what, None));
}

pub(crate) async fn a_watch_tells_that_something_changed_until_the_cluster_is_gone(
    stage: &Stage,
    form: &impl Form,
) {
    let cluster = stage.cluster("main").await;
    let other = stage.cluster("other").await;
    let no = form.watch_inputs(actor_of(ABROAD), cluster.id.clone()).await;
    assert_eq!(no.err(), Some(CallError::not_found("cluster", &cluster.id)));
    let mut inputs = form.watch_inputs(actor_of(HOME), cluster.id.clone()).await.unwrap();
    let mut next = async || {
        let waited = tokio::time::timeout(Duration::from_secs(10), inputs.next()).await;
        waited.expect("a word within ten seconds")
    };
    let first = next().await.unwrap().unwrap().revision;
    // What is another cluster's is not told: the next word is of the person put after it.
    stage.person(&other, "bob", &["devs"]).await;
    let revision = stage.put(&person(&cluster, "ana", &["devs"]).entry).await;
    let told = next().await.unwrap().unwrap().revision;
    assert!(told >= first && told <= revision, "{first} {told} {revision}");
    let mut last = told;
    while last < revision {
        last = next().await.unwrap().unwrap().revision;
    }
    // But an association of another one is: its pods' sessions are used here too.
    let revision_of_other = stage.put(&association(&other, &format!("arn:aws:iam::{HOME}:role/app"))).await;
    let told = next().await.unwrap().unwrap().revision;
    assert!(told == revision, "{told} {revision} {revision_of_other}");
    stage.delete_cluster(&cluster).await;
    loop {
        match next().await {
            Some(Ok(inputs)) => assert!(inputs.revision >= revision),
            Some(Err(error)) => break assert_eq!(error, CallError::not_found("cluster", &cluster.id)),
            None => panic!("it ends without a word"),
        }
    }
    assert!(next().await.is_none());
}
