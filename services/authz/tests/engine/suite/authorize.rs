//! What [`Authorize`] promises.

use std::sync::Arc;

use lanyard_api::{
    CallError, ClusterUid, Scope, UserInfo,
    authz::{
        Attributes, Authorize, BATCH_REVIEWS_MAX, Decision, ObjectBatch, Objects, ResourceAttributes, Review,
        RulesQuery, Verdict, WhoCanQuery, batch_message, read_decisions,
    },
    mapping::{AccessScope, BlockTarget, Cluster},
    suite::association,
};
use time::Duration;

use crate::{
    form::Form,
    stage::{
        HOME, Person, START, Stage, actor_of, bare, bearing, cluster, get_pods, resource, review, texts,
    },
};

const VIEW: &str = "AmazonEKSViewPolicy";

/// A cluster, and somebody who may view all of it.
async fn viewer(stage: &Stage) -> (Cluster, Person) {
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &["devs"]).await;
    stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    (cluster, ana)
}

async fn ask(form: &impl Authorize, cluster: ClusterUid, user: &UserInfo) -> Decision {
    form.authorize(review(cluster, user.clone(), get_pods("a"))).await.unwrap()
}

async fn code(form: &impl Authorize, cluster: ClusterUid, user: &UserInfo) -> &'static str {
    ask(form, cluster, user).await.reason.code()
}

pub(crate) async fn what_nothing_allows_is_no_opinion(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let decision = ask(form, cluster.uid, &bare("ana", &[])).await;
    assert_eq!((decision.verdict, decision.reason.code()), (Verdict::NoOpinion, "nothing_matched"));
    assert_eq!(decision.evaluation_error, None);
}

pub(crate) async fn a_proof_gives_the_access_policies_of_its_entry(stage: &Stage, form: &impl Form) {
    let (cluster, ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    let decision = ask(form, cluster.uid, &user).await;
    assert_eq!(decision.verdict, Verdict::Allow);
    let text = decision.reason.to_string();
    assert!(text.starts_with("allowed by access policy AmazonEKSViewPolicy, rule "), "{text}");
    let delete = review(cluster.uid, user.clone(), resource("delete", "", "pods", "a"));
    assert_eq!(form.authorize(delete).await.unwrap().verdict, Verdict::NoOpinion);
    let mut impostor = user;
    impostor.username = "bob".to_owned();
    assert_eq!(code(form, cluster.uid, &impostor).await, "proof_invalid");
}

pub(crate) async fn an_answer_is_explained_where_that_is_asked(stage: &Stage, form: &impl Form) {
    let (cluster, ana) = viewer(stage).await;
    let asked = review(cluster.uid, stage.log_in(&ana), resource("delete", "", "pods", "a"));
    let first = form.authorize(asked.clone()).await.unwrap().hints;
    let hints = form.authorize(Review { explain: true, ..asked }).await.unwrap().hints;
    assert!(!first.is_empty() && first.len() <= 2, "a proven refusal has the first of them: {first:?}");
    assert!(hints.len() > first.len() && hints.starts_with(&first), "{first:?} of {hints:?}");
    assert!(hints.iter().any(|hint| hint.contains("AmazonEKSEditPolicy would allow it")), "{hints:?}");
}

pub(crate) async fn immunity_16_what_has_ended_does_not_count(stage: &Stage, form: &impl Form) {
    let (cluster, mut ana) = viewer(stage).await;
    ana.entry.ends_at = Some(START + Duration::minutes(5));
    stage.put(&ana.entry).await;
    let user = stage.log_in(&ana);
    assert_eq!(code(form, cluster.uid, &user).await, "access_policy");
    stage.clock.advance(Duration::minutes(5));
    assert_eq!(code(form, cluster.uid, &user).await, "grant_revoked");
}

pub(crate) async fn immunity_17_a_new_grant_counts_at_the_next_review(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    let user = stage.log_in(&ana);
    for _ in 0..3 {
        assert_eq!(code(form, cluster.uid, &user).await, "nothing_matched");
        let association = stage.associate(&ana, VIEW, AccessScope::Namespace(texts(&["a"]))).await;
        assert_eq!(code(form, cluster.uid, &user).await, "access_policy");
        stage.delete(&association).await;
    }
}

pub(crate) async fn immunity_25_a_revocation_is_one_revision_and_seen_by_the_next_review(
    stage: &Stage,
    form: &impl Form,
) {
    let (cluster, ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    let before = ask(form, cluster.uid, &user).await;
    let revoked = stage.delete(&ana.entry).await;
    let after = ask(form, cluster.uid, &user).await;
    assert_eq!((before.verdict, after.verdict), (Verdict::Allow, Verdict::Deny));
    assert_eq!((before.revision.0 + 1, revoked), (revoked.0, after.revision));
}

/// What another process made is not here yet when its proof comes.
pub(crate) async fn immunity_36_a_pods_association_made_a_moment_ago_is_not_taken_for_one_that_is_gone(
    stage: &Stage,
    form: &impl Form,
) {
    let (here, ana) = viewer(stage).await;
    let elsewhere = stage.restarted().await;
    let role = format!("arn:aws:iam::{HOME}:role/app");
    let other = cluster("other", here.authorizer_mode);
    for of in [&here, &other] {
        let (never, association) = (association(of, &role), association(of, &role));
        let user = stage.log_in_by(&ana, &association);
        if of.uid == other.uid {
            elsewhere.put(&other).await;
        }
        elsewhere.put(&association).await;
        assert_eq!(code(form, here.uid, &user).await, "access_policy", "made a moment ago");
        let of_none = stage.log_in_by(&ana, &never);
        assert_eq!(code(form, here.uid, &of_none).await, "gone", "never made");
        elsewhere.delete(&association).await;
        stage.store.catch_up().await.unwrap();
        assert_eq!(code(form, here.uid, &user).await, "gone", "gone");
    }
}

pub(crate) async fn immunity_37_a_cluster_made_anew_takes_no_proof_of_the_old_one(
    stage: &Stage,
    form: &impl Form,
) {
    let (old, ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    assert_eq!(code(form, old.uid, &user).await, "access_policy");
    stage.delete_cluster(&old).await;
    assert_eq!(code(form, old.uid, &user).await, "proof_invalid");
    let new = cluster("main", old.authorizer_mode);
    stage.put(&new).await;
    let mut entry = ana.entry.clone();
    entry.cluster = new.uid;
    stage.put(&entry).await;
    assert_eq!(code(form, new.uid, &user).await, "proof_invalid");
}

pub(crate) async fn immunity_40_nobody_impersonates_the_proof(stage: &Stage, form: &impl Form) {
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    stage.associate(&ana, "AmazonEKSClusterAdminPolicy", AccessScope::Cluster).await;
    for (key, expected) in [("scopes", "access_policy"), ("Lanyard.dev%2FPROOF", "proof_impersonation")] {
        let asked = Attributes::Resource(ResourceAttributes {
            verb: "impersonate".into(),
            group: "authentication.k8s.io".into(),
            resource: "userextras".into(),
            subresource: key.into(),
            ..ResourceAttributes::default()
        });
        let decision = form.authorize(review(cluster.uid, stage.log_in(&ana), asked)).await.unwrap();
        assert_eq!(decision.reason.code(), expected, "{key}");
    }
}

pub(crate) async fn immunity_42_a_block_denies_at_the_next_review_until_it_is_lifted(
    stage: &Stage,
    form: &impl Form,
) {
    let (cluster, ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    for scope in [Scope::Hub, Scope::Account(cluster.account), Scope::Cluster(cluster.uid)] {
        assert_eq!(code(form, cluster.uid, &user).await, "access_policy");
        let target = BlockTarget::AccessKey { access_key_id: ana.key.id.clone() };
        let block = stage.block(scope, target).await;
        assert_eq!(code(form, cluster.uid, &user).await, "blocked", "{scope}");
        stage.delete(&block).await;
    }
}

pub(crate) async fn immunity_59_an_oversized_review_with_a_proof_is_denied(stage: &Stage, form: &impl Form) {
    let (cluster, ana) = viewer(stage).await;
    let mut user = stage.log_in(&ana);
    user.groups = (0..5000).map(|n| format!("group-{n}")).collect();
    let decision = ask(form, cluster.uid, &user).await;
    assert_eq!((decision.verdict, decision.reason.code()), (Verdict::Deny, "unanswerable"));
    assert!(decision.evaluation_error.is_some());
    let mut long = stage.log_in(&ana);
    long.extra.insert("padding".into(), vec!["x".repeat(1 << 20)]);
    assert_eq!(code(form, cluster.uid, &long).await, "access_policy");
    long.username = "x".repeat(1 << 20);
    assert_eq!(code(form, cluster.uid, &long).await, "proof_invalid");
}

pub(crate) async fn immunity_60_a_lost_group_denies_and_a_gained_one_does_not(
    stage: &Stage,
    form: &impl Form,
) {
    let (cluster, mut ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    ana.entry.groups = texts(&["devs", "ops"]);
    stage.put(&ana.entry).await;
    assert_eq!(code(form, cluster.uid, &user).await, "access_policy");
    ana.entry.groups = texts(&["ops"]);
    stage.put(&ana.entry).await;
    assert_eq!(code(form, cluster.uid, &user).await, "grant_revoked");
    assert_eq!(code(form, cluster.uid, &stage.log_in(&ana)).await, "access_policy", "a fresh token review");
}

pub(crate) async fn a_deactivated_key_denies_at_the_next_review(stage: &Stage, form: &impl Form) {
    let (cluster, mut ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    for (active, expected) in [(true, "access_policy"), (false, "gone"), (true, "access_policy")] {
        ana.key.active = active;
        stage.put(&ana.key).await;
        assert_eq!(code(form, cluster.uid, &user).await, expected);
    }
}

/// What nobody may impersonate.
const PROOF: &str = "userextras/lanyard.dev/proof";

pub(crate) async fn a_batch_answers_in_order_what_single_reviews_answer(stage: &Stage, form: &impl Form) {
    let (cluster, ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    let mut reviews: Vec<Review> = ["get", "delete", "list", "escalate"]
        .into_iter()
        .flat_map(|verb| [user.clone(), bare("ana", &["devs"])].map(|user| (verb, user)))
        .map(|(verb, user)| review(cluster.uid, user, resource(verb, "", "pods", "a")))
        .collect();
    // In a row those of one person, whose proof is looked at once.
    let forged = UserInfo { username: "bob".to_owned(), ..user.clone() };
    for user in [user, forged, bare("bob", &[])].map(Arc::new) {
        let asked = |cluster, attributes| Review {
            user: Arc::clone(&user),
            ..review(cluster, UserInfo::default(), attributes)
        };
        reviews.push(asked(cluster.uid, resource("impersonate", "authentication.k8s.io", PROOF, "")));
        reviews.push(asked(cluster.uid, get_pods("a")));
        reviews.push(asked(cluster.uid, resource("delete", "", "pods", "a")));
        reviews.push(asked(ClusterUid::random(), get_pods("a")));
        reviews.push(asked(cluster.uid, resource("impersonate", "authentication.k8s.io", PROOF, "")));
    }
    let answers = form.authorize_batch(reviews.clone()).await.unwrap();
    let mut singly = Vec::new();
    for review in reviews {
        // What would have allowed one, a batch does not say unless it is asked to.
        singly.push(Decision { hints: Vec::new(), ..form.authorize(review).await.unwrap() });
    }
    assert_eq!(answers, singly);
    assert_eq!(form.authorize_batch(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn a_batch_as_the_wire_has_it_is_answered_like_any_other(stage: &Stage, form: &impl Form) {
    let (cluster, ana) = viewer(stage).await;
    let user = stage.log_in(&ana);
    let reviews: Vec<Review> = ["get", "delete", "get"]
        .map(|verb| review(cluster.uid, user.clone(), resource(verb, "", "pods", "a")))
        .into();
    let answers = form.authorize_batch(reviews.clone()).await.unwrap();
    let mut batch = batch_message(reviews);
    let written = form.authorize_written(batch.clone()).await.unwrap();
    assert_eq!(read_decisions(&written).unwrap(), answers);
    batch.user = None;
    let refused = form.authorize_written(batch).await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Invalid { field, .. } if field == "reviews[0].user"),
        "{refused:?}"
    );
    let nothing = form.authorize_written(batch_message(Vec::new())).await.unwrap();
    assert!(nothing.decisions.is_empty());

    // A long one is decided in parts, and one that is too long not at all.
    let many = |count| batch_message(vec![review(cluster.uid, user.clone(), get_pods("a")); count]);
    let written = form.authorize_written(many(3_500)).await.unwrap();
    let verdicts: Vec<Verdict> =
        read_decisions(&written).unwrap().into_iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Allow; 3_500]);
    let refused = form.authorize_written(many(BATCH_REVIEWS_MAX + 1)).await.unwrap_err();
    assert!(matches!(&refused, CallError::Invalid { field, .. } if field == "reviews"), "{refused:?}");
}

pub(crate) async fn a_users_rules_and_those_who_can_are_listed(stage: &Stage, form: &impl Form) {
    let (cluster, ana) = viewer(stage).await;
    let documents = "
kind: List
apiVersion: v1
items:
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: pods}, rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: pods}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pods}, subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: bob}]}
";
    let by = lanyard_api::Mutation::by(actor_of(HOME));
    Objects::apply_objects(form, by, cluster.id.clone(), ObjectBatch::of(documents)).await.unwrap();
    let query = |user| RulesQuery { cluster: cluster.uid, user, namespace: "a".to_owned(), grant: None };
    let bobs = form.rules_for(query(bare("bob", &[]))).await.unwrap();
    assert_eq!((bobs.resource.len(), bobs.non_resource.len(), bobs.incomplete), (1, 0, false));
    let anas = form.rules_for(query(stage.log_in(&ana))).await.unwrap();
    assert!(anas.resource.len() > 3 && !anas.incomplete, "{anas:?}");
    let asked = WhoCanQuery { cluster: cluster.uid, attributes: get_pods("a") };
    let holders = form.who_can(asked).await.unwrap().holders;
    let subjects: Vec<&str> = holders.iter().map(|holder| holder.subject.as_str()).collect();
    assert_eq!(subjects, ["Group system:masters", "User bob", &format!("access entry {}", ana.entry.id)]);
    assert_eq!(holders[2].entry, Some(ana.entry.id));
    // A proof made with a key that nobody has is nobody's.
    let forged = bearing(
        &lanyard_api::proof::ProofKey::new(1, &[0; 32]),
        &proof_of(stage, &ana),
        "ana",
        &texts(&["devs"]),
    );
    assert_eq!(code(form, cluster.uid, &forged).await, "proof_invalid");
}

fn proof_of(stage: &Stage, person: &Person) -> lanyard_api::proof::Proof {
    let user = stage.log_in(person);
    let value = &user.extra[lanyard_api::proof::EXTRA_KEY][0];
    let keys = [stage.proof_key()];
    lanyard_api::proof::Proof::verify(value, &keys, person.entry.cluster, &user.username, &user.groups, START)
        .unwrap()
}
