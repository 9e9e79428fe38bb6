//! What one review costs, all in: from the question at the trait to the answer, counters included.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up should stop"
)]

#[path = "../tests/engine/stage.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod stage;

use lanyard_api::{
    Mutation, Scope,
    authz::{Authorize, Review},
    mapping::{AccessScope, Cluster},
};
use lanyard_store::{RbacObject, test_support::TestDatabase};
use tokio::runtime::Runtime;

use stage::{ABROAD, Stage, association, bare, get_pods, person, resource, review};

/// What every RBAC document begins with.
const RBAC: &str = "apiVersion: rbac.authorization.k8s.io/v1";

fn main() {
    divan::main();
}

/// A hub with one cluster of so many entries, each with two access policies, and as many RBAC bindings.
struct Ready {
    runtime: Runtime,
    stage: Stage,
    with_proof: Review,
    by_rbac: Review,
    refused: Review,
    bare: Review,
}

fn ready(people: usize) -> Ready {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stage, with_proof, by_rbac, refused, bare) = runtime.block_on(async {
        let stage = Stage::new(TestDatabase::sqlite()).await;
        let cluster = stage.cluster("main").await;
        let ana = stage.person(&cluster, "ana", &["devs", "oncall", "eu"]).await;
        stage
            .associate(
                &ana,
                "AmazonEKSViewPolicy",
                AccessScope::Namespace(stage::texts(&["dev-*", "team-a"])),
            )
            .await;
        stage.associate(&ana, "AmazonEKSEditPolicy", AccessScope::Namespace(stage::texts(&["team-b"]))).await;
        fill(&stage, &cluster, people).await;
        let user = stage.log_in(&ana);
        let ask = |user, attributes| review(cluster.uid, user, attributes);
        let with_proof = ask(user.clone(), get_pods("team-a"));
        let by_rbac = ask(user.clone(), resource("get", "", "pods", "rbac"));
        let refused = ask(user, resource("delete", "", "nodes", ""));
        (
            stage,
            with_proof,
            by_rbac,
            refused,
            ask(bare("nobody", &["devs"]), resource("get", "", "nodes", "")),
        )
    });
    Ready { runtime, stage, with_proof, by_rbac, refused, bare }
}

/// So many more entries in a cluster, each with a policy, and as many RoleBindings of one role.
async fn fill(stage: &Stage, cluster: &Cluster, people: usize) {
    let scope = Scope::Cluster(cluster.uid);
    let mut tx = stage.store.begin("test_fill", &Mutation::system("test"), &[scope]).await.unwrap();
    let role = format!(
        "{{{RBAC}, kind: ClusterRole, metadata: {{name: r}}, rules: [{{verbs: [get], apiGroups: [''], resources: [pods]}}]}}"
    );
    let binding = |n: usize, subject: &str| {
        format!(
            "{{{RBAC}, kind: RoleBinding, metadata: {{name: b{n}, namespace: rbac}}, roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}}, subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: {subject}}}]}}"
        )
    };
    let bindings = (0..people).map(|n| binding(n, &format!("g{n}")));
    let documents: Vec<String> = [role, binding(people, "oncall")].into_iter().chain(bindings).collect();
    for object in lanyard_rbac::parse(documents.join("\n---\n").as_bytes()).unwrap().objects {
        tx.put(&RbacObject { cluster: cluster.uid, object }).await.unwrap();
    }
    for n in 0..people {
        let mut entry = person(cluster, &format!("p{n}"), &["devs"]).entry;
        // As of another account's user, who need not exist to have an entry.
        entry.principal_arn = format!("arn:aws:iam::{ABROAD}:user/p{n}").parse().unwrap();
        tx.put(&entry).await.unwrap();
        tx.put(&association(&entry, "AmazonEKSViewPolicy", AccessScope::Cluster, None)).await.unwrap();
    }
    tx.commit_unrecorded().await.unwrap();
}

fn measure(bencher: divan::Bencher<'_, '_>, people: usize, code: &str, which: impl Fn(&Ready) -> &Review) {
    let ready = ready(people);
    let review = which(&ready);
    let decision = ready.runtime.block_on(ready.stage.authz.authorize(review.clone())).unwrap();
    assert_eq!(decision.reason.code(), code);
    bencher
        .with_inputs(|| review.clone())
        .bench_local_values(|review| ready.runtime.block_on(ready.stage.authz.authorize(review)));
}

const PEOPLE: [usize; 2] = [10, 3_000];

#[divan::bench(args = PEOPLE)]
fn with_proof_allowed_by_access_policy(bencher: divan::Bencher<'_, '_>, people: usize) {
    measure(bencher, people, "access_policy", |ready| &ready.with_proof);
}

#[divan::bench(args = PEOPLE)]
fn with_proof_allowed_by_rbac(bencher: divan::Bencher<'_, '_>, people: usize) {
    measure(bencher, people, "rbac", |ready| &ready.by_rbac);
}

#[divan::bench(args = PEOPLE)]
fn with_proof_no_opinion(bencher: divan::Bencher<'_, '_>, people: usize) {
    measure(bencher, people, "nothing_matched", |ready| &ready.refused);
}

#[divan::bench(args = PEOPLE)]
fn without_proof_no_opinion(bencher: divan::Bencher<'_, '_>, people: usize) {
    measure(bencher, people, "nothing_matched", |ready| &ready.bare);
}
