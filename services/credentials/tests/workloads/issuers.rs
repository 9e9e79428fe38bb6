use lanyard_api::{
    CallError, ClusterId, Mutation, Scope,
    credentials::{IrsaObstacle, IssuerDocuments, WorkloadIssuer, Workloads},
    mapping::Cluster,
};
use lanyard_oidc::{Algorithm, Expected, Jwt, stand_in::SigningKey, verify};
use serde_json::json;

use crate::bench::*;

const ISSUER: &str = "https://issuer.example/dev";
const AUDIENCE: &str = "pods.eks.amazonaws.com";

/// What an API server serves.
pub(crate) fn documents(issuer_url: &str, keys: &[&SigningKey]) -> IssuerDocuments {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    IssuerDocuments { issuer_url: issuer_url.to_owned(), jwks: json!({ "keys": keys }).to_string() }
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::Es256, kid)
}

async fn push(
    calls: &impl Workloads,
    cluster: &Cluster,
    pushed: IssuerDocuments,
) -> Result<WorkloadIssuer, CallError> {
    let by = Mutation::by(spoke(cluster.uid));
    calls.push_issuer(by, cluster.id.clone(), pushed).await.map(|pushed| pushed.value)
}

/// Whether a token of a ServiceAccount is verified from memory.
async fn counts(bench: &Bench, signed_by: &SigningKey) -> bool {
    let now = NOON.unix_timestamp();
    let token = signed_by.mint(&json!({
        "iss": ISSUER, "sub": "system:serviceaccount:n:a", "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 600,
    }));
    let snapshot = bench.engine.workloads(bench.cluster.uid).await.unwrap();
    let Some(known) = snapshot.issuer() else { return false };
    let expected = Expected {
        issuer: &known.record.issuer_url,
        audiences: &[AUDIENCE],
        algorithms: Algorithm::ALL.into_iter().collect(),
    };
    verify(Jwt::parse(&token).unwrap(), &known.jwks, &expected, NOON).is_ok()
}

pub(crate) async fn a_token_is_verified_by_the_keys_that_were_pushed_and_by_no_older_ones(
    bench: &Bench,
    calls: &impl Workloads,
) {
    let (old, new) = (key("old"), key("new"));
    assert!(!counts(bench, &old).await);
    let steps: [(&[&SigningKey], [bool; 2]); 3] =
        [(&[&old], [true, false]), (&[&new, &old], [true, true]), (&[&new], [false, true])];
    for (served, expected) in steps {
        let pushed = push(calls, &bench.cluster, documents(ISSUER, served)).await.unwrap();
        assert_eq!(pushed.keys.len(), served.len());
        assert_eq!([counts(bench, &old).await, counts(bench, &new).await], expected);
        let told = calls.get_issuer(actor_of(HOME), dev()).await.unwrap();
        assert_eq!(told, pushed);
        assert_eq!((told.irsa_obstacle, told.pushed_by), (None, format!("spoke:{}", bench.cluster.uid)));
    }
}

pub(crate) async fn the_same_again_is_no_change_and_a_bad_one_leaves_what_was(
    bench: &Bench,
    calls: &impl Workloads,
) {
    assert_eq!(code_of(calls.get_issuer(actor_of(HOME), dev()).await), "not_found");
    let own = key("a");
    let first = push(calls, &bench.cluster, documents(ISSUER, &[&own])).await.unwrap();
    bench.clock.advance(time::Duration::minutes(1));
    // The same key in another dress.
    let mut dressed = own.jwk();
    dressed["x5c"] = json!(["AAAA"]);
    let again = IssuerDocuments {
        issuer_url: ISSUER.to_owned(),
        jwks: json!({ "other": 1, "keys": [dressed] }).to_string(),
    };
    assert_eq!(push(calls, &bench.cluster, again).await.unwrap(), first);
    assert_eq!(bench.revision().await, 1);
    let mut leaky = own.jwk();
    leaky["d"] = json!("AAAA");
    let set = |keys: serde_json::Value| json!({ "keys": keys }).to_string();
    let bad = [
        (ISSUER, set(json!([])), "no_keys"),
        (ISSUER, set(json!([leaky])), "private_key"),
        (ISSUER, "<html>".to_owned(), "jwks"),
        (ISSUER, set(json!(vec![own.jwk(); 101])), "jwks"),
        ("", set(json!([own.jwk()])), "issuer_url"),
    ];
    for (issuer_url, jwks, rule) in bad {
        let pushed = IssuerDocuments { issuer_url: issuer_url.to_owned(), jwks };
        assert_eq!(code_of(push(calls, &bench.cluster, pushed).await), rule);
    }
    assert_eq!(calls.get_issuer(actor_of(HOME), dev()).await.unwrap(), first);
    assert!(counts(bench, &own).await);
}

pub(crate) async fn the_name_that_every_cluster_has_is_kept_and_marked(
    bench: &Bench,
    calls: &impl Workloads,
) {
    let other = bench.another_cluster("other").await;
    let default = "https://kubernetes.default.svc.cluster.local";
    for cluster in [&bench.cluster, &other] {
        let pushed = push(calls, cluster, documents(default, &[&key("a")])).await.unwrap();
        assert_eq!(pushed.irsa_obstacle, Some(IrsaObstacle::InClusterName), "each has keys of its own");
    }
}

pub(crate) async fn immunity_49_one_issuer_and_one_key_are_one_clusters(
    bench: &Bench,
    calls: &impl Workloads,
) {
    let (other, own) = (bench.another_cluster("other").await, key("a"));
    push(calls, &bench.cluster, documents(ISSUER, &[&own])).await.unwrap();
    let elsewhere = "https://issuer.example/other";
    let same_issuer = push(calls, &other, documents(ISSUER, &[&key("b")])).await;
    assert!(
        same_issuer.as_ref().is_err_and(|error| !error.to_string().contains("cluster `dev`")),
        "{same_issuer:?}"
    );
    assert_eq!(code_of(same_issuer), "issuer_taken");
    // By whatever name the key goes, and whatever stands beside it.
    let renamed = own.again(Algorithm::Es256, "another-name");
    for issuer_url in [elsewhere, "https://kubernetes.default.svc"] {
        let pushed = documents(issuer_url, &[&key("b"), &renamed]);
        assert_eq!(code_of(push(calls, &other, pushed).await), "signing_key_taken", "{issuer_url}");
    }
    let by_id = |id: &str| -> ClusterId { id.parse().unwrap() };
    assert_eq!(
        code_of(calls.get_issuer(actor_of(HOME), by_id("other")).await),
        "not_found",
        "nothing is kept"
    );
    // What its cluster has no more is free.
    push(calls, &bench.cluster, documents(elsewhere, &[&key("c")])).await.unwrap();
    push(calls, &other, documents(ISSUER, &[&own])).await.unwrap();
}

pub(crate) async fn immunity_49_of_two_who_push_one_key_at_once_one_has_it(
    bench: &Bench,
    calls: &impl Workloads,
) {
    let (other, shared) = (bench.another_cluster("other").await, key("a"));
    let push = |cluster: &Cluster, issuer_url: &str| {
        let (cluster, pushed) = (cluster.clone(), documents(issuer_url, &[&shared]));
        async move { push(calls, &cluster, pushed).await }
    };
    let (first, second) =
        tokio::join!(push(&bench.cluster, ISSUER), push(&other, "https://issuer.example/other"));
    let mut codes = [code_of(first), code_of(second)];
    codes.sort_unstable();
    assert_eq!(codes, ["ok", "signing_key_taken"]);
}

pub(crate) async fn immunity_37_a_cluster_that_is_gone_has_no_issuer(bench: &Bench, calls: &impl Workloads) {
    let own = key("a");
    push(calls, &bench.cluster, documents(ISSUER, &[&own])).await.unwrap();
    bench.delete(&bench.cluster).await;
    assert!(!counts(bench, &own).await, "nothing of it counts in the number that it had");
    let anew = bench.another_cluster("dev").await;
    assert_eq!(code_of(calls.get_issuer(actor_of(HOME), dev()).await), "not_found");
    push(calls, &anew, documents(ISSUER, &[&own])).await.unwrap();
    let scope = Scope::Cluster(bench.cluster.uid);
    assert!(bench.store.load::<WorkloadIssuer>(scope).await.unwrap().1.is_empty());
}
