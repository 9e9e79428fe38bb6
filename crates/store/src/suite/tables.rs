//! Tables beside the records: decisions, leases, settings, and opening again.

use std::time::Duration;

use lanyard_api::{
    ClusterUid, DecisionId, HubId, Mutation, Scope,
    authz::{DecisionKind, DecisionOutcome, DecisionRecord},
    mapping::{AwsAuthSight, Cluster, SpokeWatch},
};
use time::OffsetDateTime;

use super::{Bench, NOON, tamper, world::*};
use crate::{EnvelopeKey, ExternalUrl, Keyring, Setting, Store, StoreError, spoke_lease};

fn decision(at: OffsetDateTime, outcome: DecisionOutcome) -> DecisionRecord {
    DecisionRecord {
        id: DecisionId::random(),
        at,
        cluster: ClusterUid::random(),
        kind: DecisionKind::TokenReview,
        outcome,
        reason: "none".into(),
        who: "ana".into(),
        what: "token".into(),
        detail: "at length".into(),
        trace: "4bf92f3577b34da6a3ce929d0e0e4736".parse().ok(),
        question: None,
    }
}

pub(super) async fn decisions_are_kept_within_their_bounds(bench: Bench) {
    let mut options = bench.options();
    options.decisions_max = 3;
    options.decisions_kept = Duration::from_secs(3600);
    let store = Store::open(&options).await.unwrap();
    let batch_of = |outcome| {
        let at = |n| NOON + time::Duration::minutes(n);
        (0..5).map(|n| decision(at(n), outcome)).collect::<Vec<_>>()
    };
    let sorts = [batch_of(DecisionOutcome::Verified), batch_of(DecisionOutcome::Deny)];
    let kept = async |batch: &[DecisionRecord]| {
        let mut kept = Vec::new();
        for decision in batch {
            let found = store.get_decision(decision.id).await.unwrap();
            assert!(found.as_ref().is_none_or(|found| found == decision));
            kept.push(found.is_some());
        }
        kept
    };
    // The bound holds without a sweep by hand, for each sort by itself; one that is put twice is kept once.
    for batch in &sorts {
        store.put_decisions(batch).await.unwrap();
        store.put_decisions(&batch[2..]).await.unwrap();
    }
    for batch in &sorts {
        assert_eq!(kept(batch).await, [false, false, true, true, true], "the newest");
    }
    assert_eq!(store.get_decision(DecisionId::random()).await.unwrap(), None);
    bench.clock.set(NOON + time::Duration::minutes(63));
    store.sweep().await.unwrap();
    for batch in &sorts {
        assert_eq!(kept(batch).await, [false, false, false, true, true], "for an hour");
    }
}

pub(super) async fn decisions_that_are_not_taken_in_time_are_given_up(bench: Bench) {
    if !bench.database.is_postgres() {
        return; // A file answers.
    }
    let mut options = bench.options();
    options.answer_max = Duration::from_secs(2);
    // The keys are made before, without that limit.
    drop(bench.open().await);
    let store = Store::open(&options).await.unwrap();
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql \
                AS $$ BEGIN PERFORM pg_sleep(6); RETURN NULL; END $$";
    tamper(&store, slow).await;
    let at_insert =
        "CREATE TRIGGER slow BEFORE INSERT ON decisions FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    tamper(&store, at_insert).await;
    let error = store.put_decisions(&[decision(NOON, DecisionOutcome::Verified)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

pub(super) async fn a_batch_of_any_size_is_kept_whole(bench: Bench) {
    let store = bench.open().await;
    for size in [0, 1, 7, 8, 9, 63, 64, 65, 200] {
        let batch: Vec<_> = (0..size).map(|_| decision(NOON, DecisionOutcome::NoOpinion)).collect();
        store.put_decisions(&batch).await.unwrap();
        for decision in &batch {
            let found = store.get_decision(decision.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(decision), "of {size}");
        }
    }
}

pub(super) async fn a_lease_has_one_holder_at_a_time(bench: Bench) {
    let stores = [bench.open().await, bench.open().await];
    let minute = Duration::from_secs(60);
    let each = (0..8).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(
            async move { store.acquire_lease("sweeper", &format!("replica-{n}"), minute).await.unwrap() },
        )
    });
    let taken = futures::future::join_all(each).await.into_iter().map(Result::unwrap);
    let taken: Vec<_> = taken.flatten().collect();
    let [first] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!((first.term, first.ends_at), (1, NOON + minute));

    let [store, _] = &stores;
    bench.clock.advance(time::Duration::seconds(30));
    let renewed = store.acquire_lease("sweeper", &first.holder, minute).await.unwrap().unwrap();
    assert_eq!((renewed.term, renewed.ends_at), (1, NOON + time::Duration::seconds(90)));
    assert_eq!(store.acquire_lease("sweeper", "other", minute).await.unwrap(), None);
    assert_eq!(store.lease("sweeper").await.unwrap(), Some(renewed.clone()));
    assert_eq!(store.lease("none").await.unwrap(), None);
    assert!(store.acquire_lease("another", "other", minute).await.unwrap().is_some());
    bench.clock.advance(time::Duration::seconds(60));
    let other = store.acquire_lease("sweeper", "other", minute).await.unwrap().unwrap();
    assert_eq!(other.term, 2, "its end had come");
    assert!(!store.release_lease(&renewed).await.unwrap());
    assert!(store.release_lease(&other).await.unwrap());
    assert_eq!(store.acquire_lease("sweeper", "third", minute).await.unwrap().unwrap().term, 3);
}

/// Its end is the word of its holder's clock.
pub(super) async fn a_lease_of_a_clock_that_was_ahead_is_nobodys(bench: Bench) {
    let store = bench.open().await;
    let minute = Duration::from_secs(60);
    for (term, ahead, is_free) in [
        (1, time::Duration::seconds(59), false),
        (1, time::Duration::hours(3), true),
        (3, time::Duration::days(3650), true),
    ] {
        bench.clock.advance(ahead);
        let held = store.acquire_lease("sweeper", "before", minute).await.unwrap().unwrap();
        assert_eq!(held.term, term, "{ahead}");
        bench.clock.advance(-ahead);
        let taken = store.acquire_lease("sweeper", "after", minute).await.unwrap();
        assert_eq!(taken.as_ref().map(|lease| lease.term), is_free.then_some(term + 1), "{ahead}");
        let last = taken.unwrap_or(held);
        assert!(store.release_lease(&last).await.unwrap());
    }
}

pub(super) async fn what_a_watcher_says_is_kept_while_its_cluster_is_there(bench: Bench) {
    let store = bench.open().await;
    let (dev, none) = (founded(&store).await, ClusterUid::random());
    let before = store.verify_chain(Scope::Hub).await.unwrap().revision;
    let said = |objects| SpokeWatch {
        holder: "replica-1".to_owned(),
        reported_at: NOON,
        listed_at: None,
        pushed_at: Some(NOON),
        objects,
        aws_auth: AwsAuthSight::Missing,
        aws_auth_missing_since: Some(NOON),
        service_accounts: 3,
        issuer_url: Some("https://issuer.example".to_owned()),
        issuer_read_at: Some(NOON),
        reviews_pods: Some(true),
        refused: vec!["Role/a/b: too long".to_owned()],
        fault: None,
        fault_since: None,
    };
    assert_eq!(store.spoke_watch(dev.uid).await.unwrap(), None);
    for objects in [1, 2] {
        for cluster in [dev.uid, none] {
            store.put_spoke_watch(cluster, &said(objects)).await.unwrap();
        }
        assert_eq!(store.spoke_watch(dev.uid).await.unwrap(), Some(said(objects)));
        assert_eq!(store.spoke_watch(none).await.unwrap(), None, "there is no such cluster");
    }
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().revision, before, "it is no change of the hub");
    let mut transaction =
        store.begin("test", &by("test"), &[Scope::Hub, Scope::Cluster(dev.uid)]).await.unwrap();
    transaction.delete::<Cluster>(Scope::Hub, &dev.uid.to_string()).await.unwrap().unwrap();
    transaction.commit_unrecorded().await.unwrap();
    assert_eq!(store.spoke_watch(dev.uid).await.unwrap(), None);
}

pub(super) async fn a_watcher_that_lost_its_lease_changes_nothing_any_more(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let (scope, name, minute) = (Scope::Cluster(dev.uid), spoke_lease(dev.uid), Duration::from_secs(60));
    let term = |term| Mutation { lease_term: Some(term), ..by("test") };
    let begun = async |mutation: &Mutation| {
        store.begin("test", mutation, &[Scope::Hub, scope]).await.map(drop).map_err(|error| error.to_string())
    };
    assert!(begun(&term(1)).await.is_ok(), "nobody ever took it");
    assert_eq!(store.acquire_lease(&name, "first", minute).await.unwrap().unwrap().term, 1);
    assert!(begun(&term(1)).await.is_ok());
    bench.clock.advance(time::Duration::seconds(61));
    assert!(begun(&term(1)).await.is_ok(), "its end has come, and nobody has taken it since");
    assert_eq!(store.acquire_lease(&name, "second", minute).await.unwrap().unwrap().term, 2);
    let lost = begun(&term(1)).await.unwrap_err();
    assert!(lost.starts_with("another replica watches this cluster by now"), "{lost}");
    assert!(begun(&term(3)).await.is_err(), "a term that nobody has had");
    assert!(begun(&term(2)).await.is_ok() && begun(&by("test")).await.is_ok());
    // A signature is not used up by what was not done.
    let mut signed = term(1);
    signed.actor = super::world::signed(7).actor;
    assert!(begun(&signed).await.is_err());
    signed.lease_term = Some(2);
    assert!(begun(&signed).await.is_ok());
}

pub(super) async fn settings_read_back_in_their_types(bench: Bench) {
    let store = bench.open().await;
    assert_eq!(store.hub_id().await.unwrap(), None);
    let mut without_the_key = bench.options();
    without_the_key.keyring = Keyring::new(EnvelopeKey::random().unwrap());
    assert_eq!(Store::hub_id_in(&without_the_key).await.unwrap(), None);
    assert_eq!(store.external_url().await.unwrap(), None);
    assert_eq!(store.embedded_account().await.unwrap(), None);
    let (hub, home) = (HubId::random(), account_id(HOME));
    let mut transaction = begin_hub(&store).await;
    transaction.put(&Setting::hub_id(hub)).await.unwrap();
    transaction.put(&Setting::external_url("https://hub.example")).await.unwrap();
    transaction.put(&Setting::embedded_account(home)).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    assert_eq!(store.hub_id().await.unwrap(), Some(hub));
    assert_eq!(Store::hub_id_in(&without_the_key).await.unwrap(), Some(hub));
    assert_eq!(store.external_url().await.unwrap().as_deref(), Some("https://hub.example"));
    assert_eq!(store.embedded_account().await.unwrap(), Some(home));
    put(&store, &Setting::new(Setting::HUB_ID, "none")).await.unwrap();
    assert!(matches!(store.hub_id().await, Err(StoreError::Broken(_))));
}

async fn settled(store: &Store, told: Option<&str>) -> ExternalUrl {
    store.settle_external_url(told).await.unwrap()
}

pub(super) async fn an_external_url_is_the_first_that_was_told_until_another_is_stored(bench: Bench) {
    const FIRST: &str = "https://hub.example";
    const OTHER: &str = "https://other.example";
    let store = bench.open().await;
    assert_eq!(settled(&store, None).await, ExternalUrl::Unsaid);
    assert_eq!(store.external_url().await.unwrap(), None, "nobody has said it");
    assert_eq!(settled(&store, Some("https://hub.example/")).await, ExternalUrl::Settled(FIRST.to_owned()));
    assert_eq!(store.external_url().await.unwrap().as_deref(), Some(FIRST));
    assert_eq!(settled(&store, None).await, ExternalUrl::Settled(FIRST.to_owned()));
    let disputed = ExternalUrl::Disputed { told: OTHER.to_owned(), settled: FIRST.to_owned() };
    assert_eq!(settled(&store, Some(OTHER)).await, disputed);
    assert_eq!(
        store.external_url().await.unwrap().as_deref(),
        Some(FIRST),
        "a word changes nothing that is stored"
    );
    let lines = store.verify_chain(Scope::Hub).await.unwrap().revision.0;
    assert_eq!(lines, 1, "one line, of the first time");
    assert_eq!(store.put_external_url(&by("test"), Some(OTHER)).await.unwrap().as_deref(), Some(FIRST));
    assert_eq!(settled(&store, Some(OTHER)).await, ExternalUrl::Settled(OTHER.to_owned()));
    assert_eq!(store.put_external_url(&by("test"), None).await.unwrap().as_deref(), Some(OTHER));
    assert_eq!(store.put_external_url(&by("test"), None).await.unwrap(), None);
    assert_eq!(settled(&store, None).await, ExternalUrl::Unsaid);
}

pub(super) async fn a_store_opens_again_as_it_was(bench: Bench) {
    let store = bench.open().await;
    put(&store, &setting("a", "1")).await.unwrap();
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.get(Scope::Hub, "a").await.unwrap(), Some(setting("a", "1")));
    put(&store, &setting("a", "2")).await.unwrap();
    let report = store.verify_chain(Scope::Hub).await.unwrap();
    assert_eq!((report.revision.0, report.fault), (2, None));
}
