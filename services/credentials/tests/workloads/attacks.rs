//! What somebody might try who has a token, or makes one: each is refused with its own error, and the rule is named.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use lanyard_api::{
    Fault, Mutation, Scope,
    authn::accounts::IamRole,
    credentials::{Associations, AssumeRoleForPodIdentity, PodIdentityAssociationRef, Vend, Workloads},
    spoke::{PodReview, PodReviews, ReviewPod},
};
use lanyard_oidc::{
    Algorithm,
    stand_in::{SigningKey, encode, signing_input},
};
use serde_json::{Value, json};
use time::Duration;

use crate::{
    bearers::*,
    bench::*,
    vending::{TARGET, with_target},
};

/// Each is refused by this code, and its text has this in it.
async fn refuse(bench: &Bench, calls: &impl Vend, cases: &[(&str, String, &str, &str)]) {
    for (what, token, code, says) in cases {
        let answer = bench.vend(calls, token).await;
        assert_eq!(why(&answer), *code, "{what}: {answer:?}");
        let text = answer.unwrap_err().to_string();
        assert!(text.contains(says), "{what}: {text}");
        assert!(!text.contains(token.as_str()), "{what}: a token stays out of what is told");
    }
}

fn set(pointer: &'static str, value: Value) -> String {
    own_key().mint(&with(|claims| *claims.pointer_mut(pointer).unwrap() = value))
}

fn without(pointer: &'static str, member: &'static str) -> String {
    own_key().mint(&with(|claims| {
        drop(claims.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member));
    }))
}

pub(crate) async fn immunity_10_a_token_is_of_the_clusters_own_issuer_for_pod_identity_and_now(
    bench: &Bench,
    calls: &impl Vend,
) {
    const INVALID: &str = "pod_token_invalid";
    bench.ready().await;
    let (other, now) = (SigningKey::generate(Algorithm::Es256, "own"), NOON.unix_timestamp());
    another(bench, &SigningKey::generate(Algorithm::Es256, "prods")).await;
    let unsigned = signing_input(&json!({ "alg": "none" }), &claims());
    let symmetric = signing_input(&json!({ "alg": "HS256", "kid": "own" }), &claims());
    let public = hmac::Key::new(hmac::HMAC_SHA256, own_key().jwk().to_string().as_bytes());
    let tag = encode(hmac::sign(&public, symmetric.as_bytes()).as_ref());
    let cases = [
        ("wrong audience", set("/aud", json!(["sts.amazonaws.com"])), INVALID, "audience"),
        ("two audiences", set("/aud", json!(["pods.eks.amazonaws.com", "vault"])), INVALID, "2 audiences"),
        ("other cluster's issuer", set("/iss", json!("https://issuer.example/prod")), INVALID, "issuer"),
        ("no issuer at all", without("", "iss"), INVALID, "`iss`"),
        ("alg none", format!("{unsigned}."), INVALID, "not signed"),
        ("HS256 with the public key", format!("{symmetric}.{tag}"), INVALID, "HMAC"),
        ("a key of the same name", other.mint(&claims()), INVALID, "signature"),
        ("expired", set("/exp", json!(now - 1)), "pod_token_expired", "expired"),
        ("future nbf", set("/nbf", json!(now + 3_600)), INVALID, "not valid before"),
        ("unbound", without("/kubernetes.io", "pod"), INVALID, "not bound to a pod"),
        ("bound to no node", without("/kubernetes.io", "node"), INVALID, "not bound to a node"),
        ("not of Kubernetes", without("", "kubernetes.io"), INVALID, "kubernetes.io"),
        ("a text", "a.b.c".to_owned(), INVALID, "base64url"),
    ];
    refuse(bench, calls, &cases).await;
}

pub(crate) async fn immunity_10_a_token_that_was_verified_is_good_no_longer_than_its_time_and_its_key(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let (own, next) = (own_key(), SigningKey::generate(Algorithm::Es256, "next"));
    let minute = own.mint(&with(|claims| claims["exp"] = (NOON.unix_timestamp() + 60).into()));
    let day = token();
    for token in [&minute, &day, &minute, &day] {
        assert_eq!(why(&bench.vend(calls, token).await), "vended");
    }
    let other = another(bench, &SigningKey::generate(Algorithm::Es256, "prods")).await;
    let elsewhere = AssumeRoleForPodIdentity { cluster: other.id.clone(), ..request(&day) };
    let elsewhere = calls.assume_role_for_pod_identity(node(other.uid, NODE), elsewhere).await;
    assert_eq!(why(&elsewhere), "pod_token_invalid", "another cluster");
    bench.clock.advance(Duration::minutes(1));
    assert_eq!(why(&bench.vend(calls, &minute).await), "pod_token_expired");
    // Within the time of what is kept; what is issued later might be of a key that is not known yet.
    bench.clock.advance(Duration::minutes(3));
    assert_eq!(why(&bench.vend(calls, &day).await), "vended");
    bench.knows(&[&next]).await;
    assert_eq!(why(&bench.vend(calls, &day).await), "pod_token_invalid", "the key was withdrawn");
    bench.knows(&[&next, &own]).await;
    assert_eq!(why(&bench.vend(calls, &day).await), "vended");
}

pub(crate) async fn immunity_10_a_subject_is_one_service_accounts_and_a_name_no_pattern(
    bench: &Bench,
    calls: &impl Vend,
) {
    const INVALID: &str = "pod_token_invalid";
    bench.ready().await;
    let cases = [
        ("a longer subject", set("/sub", json!("system:serviceaccount:team-a:bot2")), INVALID, "subject"),
        ("a shorter one", set("/sub", json!("system:serviceaccount:team-a:bo")), INVALID, "subject"),
        ("a wildcard", set("/sub", json!("system:serviceaccount:team-a:*")), INVALID, "subject"),
        ("a node's", set("/sub", json!("system:node:team-a:bot")), INVALID, "subject"),
        ("a namespace that is a pattern", set("/kubernetes.io/namespace", json!("*")), INVALID, "namespace"),
        ("a pod that is a pattern", set("/kubernetes.io/pod/name", json!("web-*")), INVALID, "pod"),
        ("odd characters for a tag", set("/kubernetes.io/pod/name", json!("a\",\"b\":\"c")), INVALID, "pod"),
        ("a line break for a log", set("/kubernetes.io/pod/uid", json!("u\nlevel=info")), INVALID, "uid"),
        ("a tag's name in a node", set("/kubernetes.io/node/name", json!("n=1,aws:x")), INVALID, "node"),
    ];
    refuse(bench, calls, &cases).await;
    let missing = "pod_association_missing";
    let cases = [
        ("another ServiceAccount", own_key().mint(&of_account("team-a", "bot2")), missing, "`team-a/bot2`"),
        ("another namespace", own_key().mint(&of_account("team-b", "bot")), missing, "`team-b/bot`"),
        ("one that begins alike", own_key().mint(&of_account("team", "bot")), missing, "`team/bot`"),
    ];
    refuse(bench, calls, &cases).await;
}

pub(crate) async fn immunity_48_a_pods_token_is_good_on_its_own_node_alone(bench: &Bench, calls: &impl Vend) {
    bench.ready().await;
    let asked =
        |name: &str| calls.assume_role_for_pod_identity(node(bench.cluster.uid, name), request(&token()));
    let answer = asked("ip-10-0-0-8.ec2.internal").await;
    assert_eq!(why(&answer), "pod_identity_denied");
    let text = answer.unwrap_err().to_string();
    assert!(text.contains(NODE) && text.contains("ip-10-0-0-8.ec2.internal"), "{text}");
    assert_eq!(why(&asked(NODE).await), "vended");
    // What a caller says that it is decides nothing.
    let said = AssumeRoleForPodIdentity { node_name: Some("somewhere-else".to_owned()), ..request(&token()) };
    assert_eq!(why(&calls.assume_role_for_pod_identity(node(bench.cluster.uid, NODE), said).await), "vended");
    // A node of another cluster that has the same name.
    let other = another(bench, &SigningKey::generate(Algorithm::Es256, "prods")).await;
    let answer = calls.assume_role_for_pod_identity(node(other.uid, NODE), request(&token())).await;
    assert_eq!(why(&answer), "no cluster");
}

/// An API server that says what it was told to say of every pod.
#[derive(Clone)]
struct ApiServer(Arc<Mutex<PodReview>>);

impl PodReviews for ApiServer {
    async fn review_pod(&self, _: ReviewPod) -> Result<PodReview, Fault> {
        Ok(self.0.lock().unwrap().clone())
    }
}

pub(crate) async fn immunity_48_a_pod_that_its_api_server_refuses_gets_nothing_more(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let why_not = bench.vend(calls, &token()).await.unwrap().unconfirmed;
    assert!(why_not.is_some_and(|why| why.contains("does not watch")), "there is nobody to ask");
    let server = ApiServer(Arc::new(Mutex::new(PodReview::Lives)));
    bench.engine.review_pods_by(server.clone());
    let shown = token();
    assert_eq!(bench.vend(calls, &shown).await.unwrap().unconfirmed, None);
    *server.0.lock().unwrap() = PodReview::Refused("service account token has been invalidated".to_owned());
    bench.clock.advance(Duration::seconds(9));
    assert_eq!(why(&bench.vend(calls, &shown).await), "vended", "its word counts for ten seconds");
    bench.clock.advance(Duration::seconds(1));
    // The hub still keeps credentials for this very pod; they are for nobody any more.
    let says = "the cluster's API server refuses the token";
    for gone in [shown, token()] {
        refuse(bench, calls, &[("a pod that is gone", gone, "pod_token_expired", says)]).await;
    }
    *server.0.lock().unwrap() = PodReview::Lives;
    assert_eq!(why(&bench.vend(calls, &token()).await), "vended", "no refusal is kept");
    // A node that goes on bringing tokens of what is gone is heard less and less.
    *server.0.lock().unwrap() = PodReview::Refused(String::new());
    bench.clock.advance(Duration::seconds(10));
    let mut answers = BTreeSet::new();
    for _ in 0..60 {
        answers.insert(why(&bench.vend(calls, &token()).await));
    }
    assert_eq!(answers, BTreeSet::from(["pod_token_expired".to_owned(), "throttled".to_owned()]));
}

pub(crate) async fn immunity_20_what_is_vended_in_the_second_of_a_revocation_would_be_dead_and_is_not_given(
    bench: &Bench,
    calls: &impl Vend,
) {
    with_target(bench, &trusting("app", Value::Null), false).await;
    bench.lets_assume("app", TARGET).await;
    for (number, name) in [(HOME, "app"), (ABROAD, "data")] {
        bench.clock.advance(Duration::milliseconds(300));
        let before = bench.vend(calls, &token()).await.unwrap().credentials;
        let stored: IamRole = bench.stored(Scope::Account(account(number)), name).await;
        let revoked_before = bench.clock_now();
        put(&bench.store, &IamRole { revoked_before: Some(revoked_before), ..stored }).await;
        for _ in 0..2 {
            let answer = bench.vend(calls, &token()).await;
            assert_eq!(why(&answer), "throttled", "{name}: the pod asks again in a moment");
        }
        bench.clock.advance(Duration::milliseconds(700));
        let after = bench.vend(calls, &token()).await.unwrap().credentials;
        assert_ne!(after.access_key_id, before.access_key_id, "{name}");
        let issued_at = after.expires_at - Duration::minutes(59);
        assert!(issued_at > revoked_before, "{name}: authn lets it live");
    }
}

pub(crate) async fn immunity_21_a_service_account_made_anew_is_another_one(bench: &Bench, calls: &impl Vend) {
    bench.ready().await;
    let known = lanyard_api::credentials::ServiceAccount {
        namespace: "team-a".to_owned(),
        name: "bot".to_owned(),
        uid: "made-anew".to_owned(),
        annotations: Default::default(),
    };
    let batch =
        lanyard_api::credentials::ServiceAccountBatch { service_accounts: vec![known], ..Default::default() };
    let by = Mutation::by(spoke(bench.cluster.uid));
    bench.engine.apply_service_accounts(by, dev(), batch).await.unwrap();
    let answer = bench.vend(calls, &token()).await;
    assert_eq!(why(&answer), "pod_token_invalid");
    assert!(answer.unwrap_err().to_string().contains("made anew"));
    let of_new = set("/kubernetes.io/serviceaccount/uid", json!("made-anew"));
    assert_eq!(why(&bench.vend(calls, &of_new).await), "vended");
}

pub(crate) async fn immunity_11_a_role_has_to_trust_pod_identity_for_this_cluster_now(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let of_another = PODS_OF_DEV.replace("cluster/dev", "cluster/prod");
    let of_account = PODS.replace(
        r#""Action""#,
        r#""Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}},"Action""#,
    );
    let of_pod = PODS.replace(
        r#""Action""#,
        r#""Condition":{"StringEquals":{"aws:RequestTag/kubernetes-pod-name":"web-2"}},"Action""#,
    );
    let denied = PODS.replace("Allow", "Deny");
    for (what, trust, says) in [
        ("another service", EC2, "`sts:AssumeRole`"),
        ("no tags", UNTAGGED, "`sts:TagSession`"),
        ("another cluster", &of_another, "aws:SourceArn"),
        ("another account", &of_account, "aws:SourceAccount"),
        ("another pod", &of_pod, "aws:RequestTag/kubernetes-pod-name"),
        ("an explicit deny", &denied, "denies it"),
    ] {
        bench.role("app", trust).await;
        let answer = bench.vend(calls, &token()).await;
        assert_eq!(why(&answer), "pod_identity_denied", "{what}");
        let text = answer.unwrap_err().to_string();
        assert!(text.starts_with("Unauthorized Exception! EKS does not have permissions"), "{what}: {text}");
        assert!(text.contains(says) && text.contains("role_trust"), "{what}: {text}");
    }
    bench.role("app", PODS_OF_DEV).await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "vended");
    bench.unrole(HOME, "app").await;
    let text = bench.vend(calls, &token()).await.unwrap_err().to_string();
    assert!(text.contains("does not exist"), "{text}");
}

pub(crate) async fn immunity_36_an_association_that_is_gone_or_made_anew_vends_anew(
    bench: &Bench,
    calls: &impl Vend,
) {
    let first = bench.ready().await;
    let before = bench.vend(calls, &token()).await.unwrap();
    let named = PodIdentityAssociationRef { cluster: dev(), id: first.id.clone() };
    let by = Mutation::by(actor_of(HOME));
    bench.engine.delete_pod_identity_association(by, named).await.unwrap();
    assert_eq!(why(&bench.vend(calls, &token()).await), "pod_association_missing");
    let second = bench.associate(|_| {}).await;
    let after = bench.vend(calls, &token()).await.unwrap();
    assert_ne!(before.credentials.access_key_id, after.credentials.access_key_id);
    assert_eq!((before.association.id, after.association.id), (first.id, second.id));
}

pub(crate) async fn immunity_37_a_cluster_of_the_same_name_takes_no_token_of_the_one_before(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    bench.delete(&bench.cluster).await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "no cluster");
    let again = bench.another_cluster("dev").await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "no cluster", "a node of the one before");
    let asked = calls.assume_role_for_pod_identity(node(again.uid, NODE), request(&token())).await;
    assert_eq!(why(&asked), "unavailable", "nobody has told of its issuer yet");
}

pub(crate) async fn a_chain_of_more_than_one_hop_is_refused(bench: &Bench, calls: &impl Vend) {
    // The association's role may assume one that the target role trusts, and the target role itself by its own policies; but the
    // target's trust names the one in between.
    with_target(bench, &trusting("between", Value::Null), false).await;
    bench.role("between", &trusting("app", Value::Null)).await;
    bench.lets_assume("app", "*").await;
    bench.lets_assume("between", TARGET).await;
    let answer = bench.vend(calls, &token()).await;
    assert_eq!(why(&answer), "pod_identity_denied");
    let text = answer.unwrap_err().to_string();
    assert!(text.contains("target_trust") && text.contains("the trust policy does not name it"), "{text}");
    bench.role_of(ABROAD, "data", &trusting("app", Value::Null)).await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "vended");
}

pub(crate) async fn a_name_of_a_node_without_end_is_refused(bench: &Bench, calls: &impl Vend) {
    bench.ready().await;
    let asked = AssumeRoleForPodIdentity { node_name: Some("n".repeat(254)), ..request(&token()) };
    let answer = calls.assume_role_for_pod_identity(node(bench.cluster.uid, NODE), asked).await;
    assert_eq!(why(&answer), "node_name");
}
