use lanyard_api::{
    ClusterUid, Mutation,
    credentials::{
        Associations, CreatePodIdentityAssociation, MutatePod, PodMutation, Pods, ServiceAccount, Workloads,
    },
};
use lanyard_oidc::{Algorithm, stand_in::SigningKey};
use serde_json::{Value, json};

use crate::{bench::*, issuers::documents};

/// A pod of a ServiceAccount in the namespace `n`, as it would be made.
fn asked(cluster: ClusterUid, service_account: Option<&str>) -> MutatePod {
    let mut pod = json!({ "metadata": { "name": "app" }, "spec": { "containers": [{ "name": "app" }] } });
    if let Some(name) = service_account {
        pod["spec"]["serviceAccountName"] = name.into();
    }
    MutatePod { cluster, namespace: "n".to_owned(), pod: pod.to_string().into(), before: None }
}

/// The names of the variables that a patch adds.
fn variables(mutation: &PodMutation) -> Vec<String> {
    let Some(patch) = &mutation.patch else { return Vec::new() };
    let patch: Value = serde_json::from_slice(patch).unwrap();
    let steps =
        patch.as_array().unwrap().iter().filter(|step| step["path"].as_str().unwrap().contains("/env"));
    let values = steps.flat_map(|step| step["value"].as_array().unwrap().clone());
    values.map(|variable| variable["name"].as_str().unwrap().to_owned()).collect()
}

async fn applies(calls: &impl Workloads, accounts: &[ServiceAccount]) {
    calls.apply_service_accounts(Mutation::by(actor_of(HOME)), dev(), some(accounts, &[])).await.unwrap();
}

async fn issuer(bench: &Bench, calls: &impl Workloads, url: &str) {
    let key = SigningKey::generate(Algorithm::Es256, "a");
    calls.push_issuer(Mutation::by(spoke(bench.cluster.uid)), dev(), documents(url, &[&key])).await.unwrap();
}

pub(crate) async fn a_pod_gets_the_role_of_its_association_or_of_its_service_account<
    T: Pods + Workloads + Associations,
>(
    bench: &Bench,
    calls: &T,
) {
    issuer(bench, calls, "https://issuer.example").await;
    let plain = ServiceAccount { annotations: Default::default(), ..bot("plain", "3") };
    let mut away = bot("away", "4");
    away.annotations
        .insert("eks.amazonaws.com/role-arn".to_owned(), "arn:aws:iam::999988887777:role/x".to_owned());
    applies(calls, &[bot("irsa", "1"), bot("both", "2"), plain, away]).await;
    bench.role("app", PODS_OF_DEV).await;
    for name in ["both", "unseen", "default"] {
        let asked = CreatePodIdentityAssociation {
            cluster: dev(),
            namespace: "n".to_owned(),
            service_account: name.to_owned(),
            role_arn: format!("arn:aws:iam::{HOME}:role/app"),
            target_role_arn: None,
            disable_session_tags: None,
            policy: None,
            tags: Default::default(),
            allow_any_cluster: false,
            aws_road: None,
            unprobed: false,
        };
        calls.create_pod_identity_association(Mutation::by(actor_of(HOME)), asked).await.unwrap();
    }
    const BOTH_REGIONS: [&str; 3] = ["AWS_STS_REGIONAL_ENDPOINTS", "AWS_DEFAULT_REGION", "AWS_REGION"];
    const IRSA: [&str; 2] = ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    const PODS: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    // The account of the first roles is the hub's own.
    const OWN_STS: [&str; 1] = ["AWS_ENDPOINT_URL_STS"];
    let cases = [
        (Some("irsa"), [&BOTH_REGIONS[..], &IRSA, &OWN_STS].concat()),
        (Some("both"), [&BOTH_REGIONS[..], &PODS, &OWN_STS].concat()),
        (Some("unseen"), [&BOTH_REGIONS[..], &PODS, &OWN_STS].concat()),
        (None, [&BOTH_REGIONS[..], &PODS, &OWN_STS].concat()),
        (Some("away"), [&BOTH_REGIONS[..], &IRSA].concat()),
        (Some("plain"), vec![]),
    ];
    for (name, expected) in cases {
        let mutation = calls.mutate_pod(asked(bench.cluster.uid, name)).await.unwrap();
        assert_eq!(variables(&mutation), expected, "{name:?}");
        assert_eq!(mutation.warnings, [""; 0], "{name:?}");
    }
}

pub(crate) async fn a_service_account_that_comes_a_moment_later_is_waited_for<T: Pods + Workloads>(
    bench: &Bench,
    calls: &T,
) {
    issuer(bench, calls, "https://issuer.example").await;
    // A cluster that is not watched has nothing to wait for.
    assert_eq!(
        calls.mutate_pod(asked(bench.cluster.uid, Some("late"))).await.unwrap(),
        PodMutation::default()
    );
    applies(calls, &[bot("other", "1")]).await;
    let late = [bot("late", "2")];
    let (mutation, ()) =
        tokio::join!(calls.mutate_pod(asked(bench.cluster.uid, Some("late"))), applies(calls, &late));
    assert!(variables(&mutation.unwrap()).contains(&"AWS_ROLE_ARN".to_owned()));
    let never = calls.mutate_pod(asked(bench.cluster.uid, Some("never"))).await.unwrap();
    assert_eq!(never, PodMutation::default());
}

pub(crate) async fn who_makes_a_pod_is_told_why_irsa_will_not_work<T: Pods + Workloads>(
    bench: &Bench,
    calls: &T,
) {
    applies(calls, &[bot("irsa", "1")]).await;
    let warned = async || {
        let mutation = calls.mutate_pod(asked(bench.cluster.uid, Some("irsa"))).await.unwrap();
        assert!(mutation.patch.is_some(), "it is made as its owner asked");
        mutation.warnings
    };
    assert!(warned().await[0].ends_with("knows no issuer of this cluster"));
    issuer(bench, calls, "https://kubernetes.default.svc").await;
    let warnings = warned().await;
    assert!(warnings[0].ends_with("the name that every cluster gives itself"), "{warnings:?}");
    assert!(warnings[0].len() <= 120, "{warnings:?}");
    issuer(bench, calls, "https://issuer.example").await;
    assert_eq!(warned().await, [""; 0]);
}

pub(crate) async fn what_is_not_a_pod_of_a_cluster_is_left_alone<T: Pods + Workloads>(
    bench: &Bench,
    calls: &T,
) {
    applies(calls, &[bot("irsa", "1")]).await;
    let whole = || asked(bench.cluster.uid, Some("irsa"));
    let odd = [
        MutatePod { cluster: ClusterUid::random(), ..whole() },
        MutatePod { namespace: "elsewhere".to_owned(), ..whole() },
        MutatePod { pod: "{".into(), ..whole() },
        MutatePod { pod: "[]".into(), ..whole() },
        MutatePod { before: Some("{".into()), ..whole() },
    ];
    for odd in odd {
        let shown = format!("{odd:?}");
        assert_eq!(calls.mutate_pod(odd).await.unwrap().patch, None, "{shown}");
    }
}
