use std::time::Duration;

use lanyard_api::{
    CallError, Mutation, PageQuery, Vouched,
    credentials::{ServiceAccountBatch, ServiceAccountSummary, Workloads},
};
use lanyard_store::spoke_lease;

use crate::bench::*;

async fn apply(
    calls: &impl Workloads,
    by: Vouched<lanyard_api::Actor>,
    batch: ServiceAccountBatch,
) -> Result<ServiceAccountSummary, CallError> {
    let applied = calls.apply_service_accounts(Mutation::by(by), dev(), batch).await;
    applied.map(|applied| applied.value)
}

fn counts(summary: &ServiceAccountSummary) -> [u32; 4] {
    let ServiceAccountSummary { created, changed, unchanged, removed, .. } = summary;
    [*created, *changed, *unchanged, *removed]
}

/// All names, with their uids.
async fn listed(calls: &impl Workloads) -> Vec<String> {
    let (mut names, mut page) = (Vec::new(), PageQuery::default());
    loop {
        let got = calls.list_service_accounts(actor_of(HOME), dev(), page).await.unwrap();
        assert!(got.items.len() <= 100);
        names.extend(got.items.iter().map(|account| format!("{} {}", account.key(), account.uid)));
        match got.next_token {
            Some(token) => page = PageQuery { items_max: 0, token },
            None => return names,
        }
    }
}

pub(crate) async fn first_lists_come_as_one_batch_and_a_relist_repeats_nothing(
    bench: &Bench,
    calls: &impl Workloads,
) {
    let by = || spoke(bench.cluster.uid);
    let first = whole(&[bot("a", "1"), bot("b", "2")]);
    assert_eq!(counts(&apply(calls, by(), first.clone()).await.unwrap()), [2, 0, 0, 0]);
    assert_eq!(bench.revision().await, 1, "one change");
    assert_eq!(counts(&apply(calls, by(), first).await.unwrap()), [0, 0, 2, 0]);
    assert_eq!(bench.revision().await, 1, "and the same again is none");
    let mut other = bot("b", "2");
    other.annotations.clear();
    let summary = apply(calls, by(), some(&[other.clone(), bot("c", "3")], &["a", "gone"])).await.unwrap();
    assert_eq!(counts(&summary), [1, 1, 0, 1]);
    assert_eq!(listed(calls).await, ["n/b 2", "n/c 3"]);
    let snapshot = bench.engine.workloads(bench.cluster.uid).await.unwrap();
    assert_eq!(snapshot.service_account("n", "b").map(|known| (**known).clone()), Some(other));
    assert!(snapshot.service_account("n", "a").is_none());
    assert_eq!(snapshot.revision.0, 2);
    // A cluster without any is one that has none.
    assert_eq!(counts(&apply(calls, by(), whole(&[])).await.unwrap()), [0, 0, 0, 2]);
    assert_eq!(listed(calls).await, [""; 0]);
}

pub(crate) async fn one_that_is_out_of_form_holds_nothing_back(bench: &Bench, calls: &impl Workloads) {
    let by = || spoke(bench.cluster.uid);
    apply(calls, by(), whole(&[bot("a", "1"), bot("b", "2")])).await.unwrap();
    let mut bad = bot("a", "1");
    bad.annotations.insert("eks.amazonaws.com/audience".to_owned(), "x".repeat(5_000));
    for batch in [some(&[bad.clone(), bot("c", "3")], &[]), whole(&[bad, bot("b", "2"), bot("c", "3")])] {
        let summary = apply(calls, by(), batch).await.unwrap();
        assert!(summary.refused[0].starts_with("ServiceAccount/n/a: an annotation"), "{summary:?}");
        assert_eq!(listed(calls).await, ["n/b 2", "n/c 3"], "the rest is taken, and what it was is no more");
    }
}

pub(crate) async fn they_are_listed_page_by_page(_: &Bench, calls: &impl Workloads) {
    let all: Vec<_> = (0..230).map(|n| bot(&format!("r{n:03}"), "1")).collect();
    apply(calls, actor_of(HOME), whole(&all)).await.unwrap();
    let expected: Vec<String> = (0..230).map(|n| format!("n/r{n:03} 1")).collect();
    assert_eq!(listed(calls).await, expected);
}

pub(crate) async fn a_cluster_has_no_more_than_the_limit(_: &Bench, calls: &impl Workloads) {
    let many: Vec<_> = (0..=MOST).map(|n| bot(&format!("r{n:03}"), "1")).collect();
    assert_eq!(code_of(apply(calls, actor_of(HOME), whole(&many)).await), "limit");
    assert_eq!(listed(calls).await, [""; 0]);
}

pub(crate) async fn a_service_account_made_anew_is_another_one(bench: &Bench, calls: &impl Workloads) {
    for uid in ["1", "2"] {
        apply(calls, spoke(bench.cluster.uid), some(&[bot("a", uid)], &[])).await.unwrap();
        let snapshot = bench.engine.workloads(bench.cluster.uid).await.unwrap();
        assert_eq!(snapshot.service_account("n", "a").unwrap().uid, uid);
    }
}

pub(crate) async fn a_spoke_writes_its_own_cluster_alone(bench: &Bench, calls: &impl Workloads) {
    let other = bench.another_cluster("other").await;
    assert_eq!(code_of(apply(calls, spoke(other.uid), whole(&[bot("a", "1")])).await), "not_found");
    assert_eq!(code_of(calls.get_issuer(spoke(other.uid), dev()).await), "not_found");
    assert_eq!(code_of(apply(calls, spoke(bench.cluster.uid), whole(&[bot("a", "1")])).await), "ok");
    assert_eq!(listed(calls).await, ["n/a 1"]);
}

pub(crate) async fn a_watcher_that_lost_its_lease_pushes_nothing(bench: &Bench, calls: &impl Workloads) {
    let (name, lifetime) = (spoke_lease(bench.cluster.uid), Duration::from_secs(15));
    let push = async |term: u64, uid: &str| {
        let by = Mutation { lease_term: Some(term), ..Mutation::by(spoke(bench.cluster.uid)) };
        code_of(calls.apply_service_accounts(by, dev(), some(&[bot("a", uid)], &[])).await)
    };
    let first = bench.store.acquire_lease(&name, "first", lifetime).await.unwrap().unwrap();
    assert_eq!(push(first.term, "1").await, "ok");
    bench.clock.advance(time::Duration::seconds(16));
    let second = bench.store.acquire_lease(&name, "second", lifetime).await.unwrap().unwrap();
    assert_eq!(push(second.term, "2").await, "ok");
    assert_eq!(push(first.term, "1").await, "lease_lost");
    let by = Mutation { lease_term: Some(first.term), ..Mutation::by(spoke(bench.cluster.uid)) };
    let key = lanyard_oidc::stand_in::SigningKey::generate(lanyard_oidc::Algorithm::EdDsa, "a");
    let pushed = crate::issuers::documents("https://issuer.example", &[&key]);
    assert_eq!(code_of(calls.push_issuer(by, dev(), pushed).await), "lease_lost");
    assert_eq!(listed(calls).await, ["n/a 2"]);
}

pub(crate) async fn a_signature_seen_again_gets_the_first_answer(_: &Bench, calls: &impl Workloads) {
    let ask = || calls.apply_service_accounts(Mutation::by(signed(5)), dev(), some(&[bot("a", "1")], &[]));
    let first = ask().await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
    apply(calls, actor_of(HOME), some(&[bot("b", "1")], &[])).await.unwrap();
    assert_eq!(code_of(ask().await), "replayed");
}
