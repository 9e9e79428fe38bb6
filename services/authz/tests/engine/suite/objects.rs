//! What [`lanyard_api::authz::Objects`] promises.

use lanyard_api::{
    Actor, CallError, ClusterId, Fault, Mutated, Mutation, PageQuery, SignatureUse, Vouched,
    authz::{ApplySummary, ObjectBatch, Verdict},
};
use lanyard_rbac::ObjectKey;
use time::Duration;

use crate::{
    form::Form,
    stage::{HOME, START, Stage, actor_of, bare, get_pods, review, spoke},
};

fn role(name: &str, verb: &str) -> String {
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules: [{{verbs: [{verb}], apiGroups: [''], resources: [pods]}}]\n"
    )
}

fn binding(name: &str, role: &str, user: &str) -> String {
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\nsubjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n"
    )
}

async fn apply(
    form: &impl Form,
    by: Vouched<Actor>,
    documents: &str,
    replace: bool,
) -> Result<Mutated<ApplySummary>, CallError> {
    form.apply_objects(Mutation::by(by), main_id(), ObjectBatch { replace, ..ObjectBatch::of(documents) })
        .await
}

fn main_id() -> ClusterId {
    "main".parse().unwrap()
}

fn counts(summary: &ApplySummary) -> [u32; 4] {
    [summary.created, summary.changed, summary.unchanged, summary.removed]
}

fn rule_of<T: std::fmt::Debug>(answer: Result<T, CallError>) -> &'static str {
    match answer.unwrap_err() {
        CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. } => rule,
        CallError::NotFound { .. } => "not_found",
        other => panic!("{other}"),
    }
}

pub(crate) async fn what_is_applied_counts_at_the_next_review(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let asked = || review(cluster.uid, bare("ana", &[]), get_pods("a"));
    assert_eq!(form.authorize(asked()).await.unwrap().verdict, Verdict::NoOpinion);
    let documents = role("pods", "get") + &binding("ana", "pods", "ana");
    let applied = apply(form, actor_of(HOME), &documents, false).await.unwrap();
    let decision = form.authorize(asked()).await.unwrap();
    assert_eq!((decision.verdict, decision.revision), (Verdict::Allow, applied.revision));
    assert_eq!(
        decision.reason.to_string(),
        "allowed by RBAC: ClusterRoleBinding/ana gives ClusterRole/pods, rule 1, to User ana"
    );
    let key = ObjectKey::cluster_role_binding("ana");
    let deleted = form.delete_object(Mutation::by(actor_of(HOME)), main_id(), key).await.unwrap();
    let decision = form.authorize(asked()).await.unwrap();
    assert_eq!((decision.verdict, decision.revision), (Verdict::NoOpinion, deleted.revision));
}

pub(crate) async fn an_apply_says_what_it_did_and_the_same_again_does_nothing(
    stage: &Stage,
    form: &impl Form,
) {
    stage.cluster("main").await;
    let other = "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: n}}\n";
    let first = role("a", "get") + &role("b", "get") + &binding("x", "missing", "ana") + other;
    let applied = apply(form, actor_of(HOME), &first, false).await.unwrap();
    assert_eq!(counts(&applied.value), [3, 0, 0, 0]);
    assert_eq!(applied.value.skipped, ["document 4: v1 ConfigMap c"]);
    let dangling = "`ClusterRoleBinding/x` names `ClusterRole/missing`, which does not exist: create it or delete the binding";
    assert_eq!((applied.confirmed, applied.notices), (true, vec![dangling.to_owned()]));
    let again = apply(form, actor_of(HOME), &first, false).await.unwrap();
    assert_eq!((counts(&again.value), again.revision), ([0, 0, 3, 0], applied.revision));
    let second = role("a", "get") + &role("b", "list") + &role("c", "get");
    let changed = apply(form, actor_of(HOME), &second, false).await.unwrap();
    assert_eq!((counts(&changed.value), changed.revision.0), ([1, 1, 1, 0], applied.revision.0 + 1));
}

pub(crate) async fn replacing_removes_what_is_not_given(stage: &Stage, form: &impl Form) {
    stage.cluster("main").await;
    let first = role("a", "get") + &role("b", "get") + &binding("x", "a", "ana");
    apply(form, actor_of(HOME), &first, false).await.unwrap();
    let replaced =
        apply(form, actor_of(HOME), &(role("a", "get") + &binding("x", "c", "ana")), true).await.unwrap();
    assert_eq!(counts(&replaced.value), [0, 1, 1, 1]);
    assert_eq!(keys(form).await, ["ClusterRole/a", "ClusterRoleBinding/x"]);
    assert_eq!(rule_of(apply(form, actor_of(HOME), "# nothing\n", true).await), "replace_with_nothing");
}

pub(crate) async fn a_binding_keeps_its_role(stage: &Stage, form: &impl Form) {
    stage.cluster("main").await;
    apply(form, actor_of(HOME), &binding("x", "a", "ana"), false).await.unwrap();
    let other = apply(form, actor_of(HOME), &(role("new", "get") + &binding("x", "b", "ana")), false).await;
    assert_eq!(rule_of(other), "role_ref_immutable");
    assert_eq!(keys(form).await, ["ClusterRoleBinding/x"], "nothing is applied in part");
}

pub(crate) async fn a_bad_document_is_refused_whole_with_its_place(stage: &Stage, form: &impl Form) {
    stage.cluster("main").await;
    let bad = role("good", "get")
        + "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: bad, namespace: n}\nrules: [{verbs: get}]\n";
    let CallError::Invalid { field, rule, message } =
        apply(form, actor_of(HOME), &bad, false).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!((&*field, rule), ("documents", "rbac_document"));
    assert!(message.starts_with("document 2, line ") && message.contains("rules[0].verbs"), "{message}");
    let twice = role("a", "get") + &role("a", "list");
    assert_eq!(rule_of(apply(form, actor_of(HOME), &twice, false).await), "duplicate_object");
    assert_eq!(keys(form).await, [""; 0]);
}

pub(crate) async fn an_object_is_deleted_once(stage: &Stage, form: &impl Form) {
    stage.cluster("main").await;
    apply(form, actor_of(HOME), &role("a", "get"), false).await.unwrap();
    let delete = || form.delete_object(Mutation::by(actor_of(HOME)), main_id(), ObjectKey::cluster_role("a"));
    assert_eq!(delete().await.unwrap().value, ObjectKey::cluster_role("a"));
    assert_eq!(rule_of(delete().await), "not_found");
}

pub(crate) async fn objects_are_listed_page_by_page(stage: &Stage, form: &impl Form) {
    stage.cluster("main").await;
    let all: String = (0..230).map(|n| role(&format!("r{n:03}"), "get")).collect();
    apply(form, actor_of(HOME), &all, false).await.unwrap();
    let expected: Vec<String> = (0..230).map(|n| format!("ClusterRole/r{n:03}")).collect();
    assert_eq!(keys(form).await, expected);
}

async fn keys(form: &impl Form) -> Vec<String> {
    let (mut keys, mut page) = (Vec::new(), PageQuery::default());
    loop {
        let got = form.list_objects(actor_of(HOME), main_id(), page).await.unwrap();
        assert!(got.items.len() <= 100);
        keys.extend(got.items.iter().map(|object| object.key().to_string()));
        match got.next_token {
            Some(token) => page = PageQuery { items_max: 0, token },
            None => return keys,
        }
    }
}

pub(crate) async fn a_spoke_has_its_own_objects_alone(stage: &Stage, form: &impl Form) {
    let main = stage.cluster("main").await;
    let other = stage.cluster("other").await;
    assert!(apply(form, spoke(main.uid), &role("a", "get"), true).await.is_ok());
    assert_eq!(rule_of(apply(form, spoke(other.uid), &role("a", "list"), true).await), "not_found");
    assert_eq!(keys(form).await, ["ClusterRole/a"]);
}

pub(crate) async fn immunity_28_a_spoke_that_floods_changes_is_told_to_come_again(
    stage: &Stage,
    form: &impl Form,
) {
    let main = stage.cluster("main").await;
    let (mut taken, mut fault) = (0, None);
    // A hundred at once, and ten more for each second that they take.
    for _ in 0..400 {
        match apply(form, spoke(main.uid), &role("a", "get"), true).await {
            Ok(_) => taken += 1,
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let Some(CallError::Fault(Fault::Throttled { part, retry_after: Some(_) })) = fault else {
        panic!("{taken} were taken, and then {fault:?}")
    };
    assert!(taken >= 100 && part.contains("RBAC objects"), "{taken}: {part}");
    assert!(apply(form, actor_of(HOME), &role("b", "get"), true).await.is_ok(), "who manages the cluster");
    assert_eq!(keys(form).await, ["ClusterRole/b"]);
}

pub(crate) async fn a_signature_seen_again_gets_the_first_answer(stage: &Stage, form: &impl Form) {
    stage.cluster("main").await;
    let mut actor = actor_of(HOME);
    actor.value.signature = Some(SignatureUse { digest: [5; 32], expires_at: START + Duration::minutes(15) });
    let first = apply(form, actor.clone(), &role("a", "get"), false).await.unwrap();
    assert_eq!(counts(&first.value), [1, 0, 0, 0]);
    assert_eq!(apply(form, actor.clone(), &role("a", "get"), false).await.unwrap(), first);
    apply(form, actor_of(HOME), &role("b", "get"), false).await.unwrap();
    assert_eq!(apply(form, actor, &role("a", "get"), false).await, Err(CallError::Replayed));
    assert_eq!(keys(form).await, ["ClusterRole/a", "ClusterRole/b"]);
}

pub(crate) async fn of_a_partial_batch_one_bad_object_holds_nothing_back(stage: &Stage, form: &impl Form) {
    let main = stage.cluster("main").await;
    let push = async |documents: String, replace: bool| {
        let batch = ObjectBatch { documents, replace, partial: true };
        form.apply_objects(Mutation::by(spoke(main.uid)), main_id(), batch).await
    };
    push(role("a", "get") + &role("b", "get"), true).await.unwrap();
    // Edited there into what is no role here: what it was is no more, and what stands beside it is taken.
    let bad = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: [{verbs: get}]\n";
    let long = role(&"x".repeat(2_000), "get");
    for (replace, expected) in
        [(false, vec!["ClusterRole/b", "ClusterRole/c"]), (true, vec!["ClusterRole/c"])]
    {
        let pushed = push(format!("{bad}{}{long}", role("c", "get")), replace).await.unwrap();
        let refused = &pushed.value.refused;
        assert!(refused.iter().any(|one| one.starts_with("ClusterRole/a: `rules[0].verbs`")), "{refused:?}");
        assert!(
            refused.iter().any(|one| one.starts_with("ClusterRole/xxx") && one.len() < 400),
            "{refused:?}"
        );
        assert_eq!(keys(form).await, expected);
    }
    // Nothing but what is refused is not nothing.
    assert_eq!(push(bad.to_owned(), true).await.unwrap().value.removed, 1);
    assert_eq!(rule_of(push("# nothing\n".to_owned(), true).await), "replace_with_nothing");
}

pub(crate) async fn a_watcher_that_lost_its_lease_writes_nothing(stage: &Stage, form: &impl Form) {
    let main = stage.cluster("main").await;
    let (name, lifetime) = (lanyard_store::spoke_lease(main.uid), std::time::Duration::from_secs(15));
    let by = |term: u64| Mutation { lease_term: Some(term), ..Mutation::by(spoke(main.uid)) };
    let push = async |term: u64, name: &str| {
        form.apply_objects(
            by(term),
            main_id(),
            ObjectBatch { replace: true, ..ObjectBatch::of(role(name, "get")) },
        )
        .await
    };
    let first = stage.store.acquire_lease(&name, "first", lifetime).await.unwrap().unwrap().term;
    push(first, "seen-first").await.unwrap();
    stage.clock.advance(Duration::seconds(16));
    let second = stage.store.acquire_lease(&name, "second", lifetime).await.unwrap().unwrap().term;
    push(second, "seen-later").await.unwrap();
    assert_eq!(rule_of(push(first, "seen-first").await), "lease_lost");
    let gone = form.delete_object(by(first), main_id(), ObjectKey::cluster_role("seen-later")).await;
    assert_eq!(rule_of(gone), "lease_lost");
    assert_eq!(keys(form).await, ["ClusterRole/seen-later"]);
}
