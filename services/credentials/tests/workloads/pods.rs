use std::time::{Duration, Instant};

use futures::future::select_all;
use lanyard_api::{
    ClusterUid, Mutation,
    credentials::{
        Associations, CreatePodIdentityAssociation, MutatePod, PodMutation, Pods, ServiceAccount, Workloads,
    },
};
use lanyard_oidc::{Algorithm, stand_in::SigningKey};
use lanyard_store::test_support::TestDatabase;
use serde_json::{Value, json};

use crate::{bench::*, issuers::documents};

lanyard_store::on_each_store!(immunity_28_pods_of_one_cluster_have_so_many_places_to_wait_and_no_more);

/// A pod of a ServiceAccount in the namespace `n`, as it would be made.
fn asked(cluster: ClusterUid, service_account: Option<&str>) -> MutatePod {
    let mut pod = json!({ "metadata": { "name": "app" }, "spec": { "containers": [{ "name": "app" }] } });
    if let Some(name) = service_account {
        pod["spec"]["serviceAccountName"] = name.into();
    }
    let pod = pod.to_string().into();
    MutatePod { cluster, namespace: "n".to_owned(), pod, before: None, required: false }
}

/// The same in a namespace that would rather have no pod than one without its role.
fn required(cluster: ClusterUid, service_account: Option<&str>) -> MutatePod {
    MutatePod { required: true, ..asked(cluster, service_account) }
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

/// Gives a ServiceAccount of `n` the role `app`.
async fn associate(calls: &impl Associations, service_account: &str) {
    let asked = CreatePodIdentityAssociation {
        cluster: dev(),
        namespace: "n".to_owned(),
        service_account: service_account.to_owned(),
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
        associate(calls, name).await;
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

async fn immunity_28_pods_of_one_cluster_have_so_many_places_to_wait_and_no_more(database: TestDatabase) {
    let bench = Bench::new(&database).await;
    applies(&bench.engine, &[bot("other", "1")]).await;
    let never = |_| Box::pin(bench.engine.mutate_pod(asked(bench.cluster.uid, Some("never"))));
    let began = Instant::now();
    let (first, _, waiting) = select_all((0..513).map(never)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "one too many has its answer at once");
    assert_eq!((first.unwrap(), waiting.len()), (PodMutation::default(), 512));
}

pub(crate) async fn a_namespace_that_asks_for_it_has_no_pod_of_which_nobody_can_say_what_it_should_get<
    T: Pods + Workloads + Associations,
>(
    bench: &Bench,
    calls: &T,
) {
    issuer(bench, calls, "https://issuer.example").await;
    let uid = bench.cluster.uid;
    let said = async |asked: MutatePod| {
        let mutation = calls.mutate_pod(asked).await.unwrap();
        assert!(mutation.refusal.is_none() || mutation.patch.is_none(), "{mutation:?}");
        assert!(mutation.refusal.as_ref().is_none_or(|refusal| refusal.passing), "{mutation:?}");
        mutation.refusal.map(|refusal| refusal.message)
    };
    let is_refused = async |asked: MutatePod, why: &str| {
        let refusal = said(asked.clone()).await.unwrap();
        assert!(refusal.contains(why), "{refusal}");
        let elsewhere = MutatePod { required: false, ..asked };
        assert_eq!(calls.mutate_pod(elsewhere).await.unwrap(), PodMutation::default());
    };
    is_refused(required(ClusterUid::random(), Some("irsa")), "is not known here yet").await;
    // Nobody watches the cluster yet.
    is_refused(required(uid, Some("irsa")), "nothing tells the hub of the ServiceAccounts").await;
    is_refused(required(uid, None), "nothing tells the hub of the ServiceAccounts").await;
    bench.role("app", PODS_OF_DEV).await;
    associate(calls, "app").await;
    assert_eq!(said(required(uid, Some("app"))).await, None, "its association says it all");
    let plain = ServiceAccount { annotations: Default::default(), ..bot("plain", "1") };
    applies(calls, &[plain, bot("irsa", "2")]).await;
    is_refused(required(uid, Some("unseen")), "has not seen ServiceAccount `n/unseen`").await;
    for (name, is_changed) in [("irsa", true), ("plain", false), ("app", true)] {
        let mutation = calls.mutate_pod(required(uid, Some(name))).await.unwrap();
        assert_eq!((mutation.patch.is_some(), mutation.refusal), (is_changed, None), "{name}");
    }
    // What gets nothing whatever is known is not held up.
    let unseen = || required(uid, Some("unseen"));
    let mirror = json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } },
        "spec": { "containers": [] } });
    for known in [
        MutatePod { pod: "{}".into(), ..unseen() },
        MutatePod { pod: mirror.to_string().into(), ..unseen() },
        MutatePod { before: Some(unseen().pod), ..unseen() },
    ] {
        assert_eq!(said(known.clone()).await, None, "{known:?}");
    }
}

pub(crate) async fn who_makes_a_pod_is_told_why_irsa_will_not_work<T: Pods + Workloads + Associations>(
    bench: &Bench,
    calls: &T,
) {
    applies(calls, &[bot("irsa", "1")]).await;
    let warned = async |is_changed: bool| {
        let mutation = calls.mutate_pod(asked(bench.cluster.uid, Some("irsa"))).await.unwrap();
        assert_eq!((mutation.patch.is_some(), mutation.refusal), (is_changed, None));
        mutation.warnings
    };
    let refused = async || {
        let mutation = calls.mutate_pod(required(bench.cluster.uid, Some("irsa"))).await.unwrap();
        assert!(mutation.refusal.is_none() || mutation.patch.is_none(), "{mutation:?}");
        mutation.refusal
    };
    assert!(warned(true).await[0].ends_with("knows no issuer of this cluster"));
    assert_eq!(refused().await, None);
    issuer(bench, calls, "https://kubernetes.default.svc").await;
    let warnings = warned(false).await;
    assert!(warnings[0].ends_with("the name that every cluster gives itself"), "{warnings:?}");
    assert!(warnings[0].len() <= 120, "{warnings:?}");
    let refusal = refused().await.unwrap();
    assert!(!refusal.passing && refusal.message.contains("`n/irsa`"), "{refusal:?}");
    assert!(refusal.message.contains("--service-account-issuer of its own"), "{refusal:?}");
    issuer(bench, calls, "https://issuer.example").await;
    assert_eq!((warned(true).await, refused().await), (Vec::new(), None));
    // By an association nobody asks for the issuer's name.
    issuer(bench, calls, "https://kubernetes.default.svc").await;
    bench.role("app", PODS_OF_DEV).await;
    associate(calls, "irsa").await;
    assert_eq!((warned(true).await, refused().await), (Vec::new(), None));
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
