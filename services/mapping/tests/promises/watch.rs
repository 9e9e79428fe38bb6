//! Watches on the entries of a cluster.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use lanyard_api::{
    CallError, EntryId, Mutation, PageQuery, Scope,
    authn::accounts::IamRole,
    mapping::{
        AccessEntry, AccessScope, Cluster, EntryDetail, EntryEvent, EntryEventKind, EntryEvents, EntryState,
        Resolve, UpdateAccessEntry, WatchEnd,
    },
};

use crate::{bench::*, entries::change};

async fn next(events: &mut EntryEvents) -> Result<EntryEvent, CallError> {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(10), events.next()).await;
    waited.unwrap().unwrap()
}

/// What happened, to whom.
async fn told(events: &mut EntryEvents) -> (EntryEventKind, Option<String>) {
    let event = next(events).await.unwrap();
    (event.kind, event.entry.map(|detail| detail.entry.principal_arn.to_string()))
}

/// All up to a bookmark, with it.
async fn told_at_once(events: &mut EntryEvents) -> Vec<EntryEvent> {
    let mut told = Vec::new();
    loop {
        told.push(next(events).await.unwrap());
        if told.last().unwrap().kind == EntryEventKind::Bookmark {
            return told;
        }
    }
}

fn kinds(told: &[EntryEvent]) -> Vec<EntryEventKind> {
    told.iter().map(|event| event.kind).collect()
}

/// Over the wire the other side hears a little later that a watch before this one has ended, and has its place again then.
async fn watch<C: Calls, R: Resolve>(
    bench: &Bench<C, R>,
    cluster: &Cluster,
    after: Option<&EntryEvent>,
) -> EntryEvents {
    let after = after.map(|last| WatchEnd { revision: last.revision, cluster: last.cluster });
    for _ in 0..100 {
        match bench.calls.watch_entries(admin(), cluster.id.clone(), after).await {
            Err(CallError::LimitExceeded { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            begun => return begun.unwrap(),
        }
    }
    panic!("the places of watches that ended were not given back");
}

pub(crate) async fn a_watch_tells_what_there_is_and_each_change<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    use EntryEventKind::{Added, Bookmark, Changed, Deleted};
    let cluster = bench.cluster().await;
    let (creator, ops) = (of(OWN, "user/admin"), of(OWN, "role/ops"));
    let mut events = watch(&bench, &cluster, None).await;
    assert_eq!(told(&mut events).await, (Added, Some(creator.clone())));
    assert_eq!(told(&mut events).await, (Bookmark, None));
    bench.entry(&cluster, &ops).await;
    assert_eq!(told(&mut events).await, (Added, Some(ops.clone())));
    let renamed = UpdateAccessEntry { groups: Some(vec![String::from("a")]), ..change(&cluster, &ops) };
    bench.calls.update_entry(by(admin()), renamed).await.unwrap();
    assert_eq!(told(&mut events).await, (Changed, Some(ops.clone())));
    let policy = policy("AmazonEKSViewPolicy");
    let associated = bench
        .calls
        .associate_policy(by(admin()), entry_ref(&cluster, &ops), policy, AccessScope::Cluster, None)
        .await;
    let event = next(&mut events).await.unwrap();
    assert_eq!((event.kind, event.revision), (Changed, associated.unwrap().revision));
    assert_eq!(event.entry.unwrap().associations.len(), 1);
    // What concerns no entry is not told.
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), String::from("data: {}")).await.unwrap();
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &ops)).await.unwrap();
    assert_eq!(told(&mut events).await, (Deleted, Some(ops)));
    bench.calls.delete_cluster(by(admin()), cluster.id.clone()).await.unwrap();
    loop {
        match next(&mut events).await {
            Ok(event) => assert_eq!(event.kind, Deleted),
            Err(error) => break assert_eq!(code(&error), "not_found"),
        }
    }
    assert!(events.next().await.is_none(), "the watch ends with its cluster");
}

pub(crate) async fn a_watch_goes_on_where_another_ended<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    use EntryEventKind::{Added, Bookmark, Reset};
    let cluster = bench.cluster().await;
    let last = told_at_once(&mut watch(&bench, &cluster, None).await).await.pop().unwrap();
    let same = told_at_once(&mut watch(&bench, &cluster, Some(&last)).await).await;
    assert_eq!(kinds(&same), [Bookmark], "nothing has changed");
    bench.entry(&cluster, &of(OWN, "role/ops")).await;
    let anew = told_at_once(&mut watch(&bench, &cluster, Some(&last)).await).await;
    assert_eq!(kinds(&anew), [Reset, Added, Added, Bookmark]);
}

pub(crate) async fn immunity_37_a_watch_does_not_go_on_in_a_cluster_made_anew_under_the_id<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    use EntryEventKind::{Added, Bookmark, Reset};
    let before = bench.cluster().await;
    bench.entry(&before, &of(OWN, "role/ops")).await;
    let last = told_at_once(&mut watch(&bench, &before, None).await).await.pop().unwrap();
    bench.calls.delete_cluster(by(admin()), before.id.clone()).await.unwrap();
    let cluster = bench.cluster().await;
    let other = of(OWN, "role/node");
    bench.entry(&cluster, &other).await;
    let told = told_at_once(&mut watch(&bench, &cluster, Some(&last)).await).await;
    assert_eq!(kinds(&told), [Reset, Added, Added, Bookmark]);
    assert!(told.iter().all(|event| event.cluster == Some(cluster.uid)));
    let names = told.iter().filter_map(|event| event.entry.as_ref());
    assert!(names.map(|detail| detail.entry.principal_arn.to_string()).any(|arn| arn == other));
    // They cannot be told apart but by their uids.
    let (id, revision) = (before.id, told.last().unwrap().revision);
    assert_eq!((&cluster.id, revision), (&id, last.revision));
    let after = Some(WatchEnd { revision, cluster: None });
    let mut unnamed = bench.calls.watch_entries(admin(), id, after).await.unwrap();
    assert_eq!(kinds(&told_at_once(&mut unnamed).await), [Bookmark]);
}

pub(crate) async fn a_watch_that_goes_on_after_any_event_misses_nothing<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    use EntryEventKind::{Added, Bookmark, Changed, Reset};
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "role/ops")).await;
    let mut events = watch(&bench, &cluster, None).await;
    let listed = told_at_once(&mut events).await;
    assert_eq!(kinds(&listed), [Added, Added, Bookmark]);
    let resumed = async |after: &EntryEvent| {
        kinds(&told_at_once(&mut watch(&bench, &cluster, Some(after)).await).await)
    };
    // Cut off amid the list, and the same amid the list that comes after a reset.
    assert_eq!(resumed(&listed[0]).await, [Reset, Added, Added, Bookmark]);
    assert_eq!(resumed(&listed[1]).await, [Reset, Added, Added, Bookmark]);
    assert_eq!(resumed(&listed[2]).await, [Bookmark]);
    let reset = told_at_once(&mut watch(&bench, &cluster, Some(&listed[0])).await).await;
    assert_eq!(resumed(&reset[0]).await, [Reset, Added, Added, Bookmark]);

    // Two change in one transaction.
    let scope = Scope::Cluster(cluster.uid);
    let mut tx = bench.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
    for entry in listed.iter().filter_map(|event| event.entry.as_ref()) {
        tx.put(&AccessEntry { groups: vec![String::from("a")], ..entry.entry.clone() }).await.unwrap();
    }
    tx.commit_unrecorded().await.unwrap();
    let changed = [next(&mut events).await.unwrap(), next(&mut events).await.unwrap()];
    assert_eq!(kinds(&changed), [Changed, Changed]);
    assert_eq!(resumed(&changed[0]).await, [Reset, Added, Added, Bookmark]);
    assert_eq!(resumed(&changed[1]).await, [Bookmark]);
}

/// What its reader knows of a cluster.
type Known = BTreeMap<EntryId, EntryDetail>;

/// Takes in an event, which has to make sense to whoever heard those before it.
fn learn(known: &mut Known, event: &EntryEvent) {
    let Some(detail) = &event.entry else {
        if event.kind == EntryEventKind::Reset {
            known.clear();
        }
        return;
    };
    let before = match event.kind {
        EntryEventKind::Deleted => known.remove(&detail.entry.id),
        _ => known.insert(detail.entry.id, detail.clone()),
    };
    assert_eq!(before.is_none(), event.kind == EntryEventKind::Added, "{event:?}");
}

/// What a watch tells that is first read after entries changed and went away many times, up to where that is the truth; and that it can be
/// gone on with after each of its events.
async fn told_late<C: Calls, R: Resolve>(bench: &Bench<C, R>) -> Vec<EntryEvent> {
    let cluster = bench.cluster().await;
    let [dev, ops, node] = ["role/team/dev", "role/ops", "role/node"].map(|name| of(OWN, name));
    bench.entry(&cluster, &dev).await;
    bench.entry(&cluster, &ops).await;
    let mut events = watch(bench, &cluster, None).await;
    for round in 0..4 {
        let groups = Some(vec![format!("round-{round}")]);
        let update = UpdateAccessEntry { groups, ..change(&cluster, &ops) };
        bench.calls.update_entry(by(admin()), update).await.unwrap();
        bench.entry(&cluster, &node).await;
        bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &node)).await.unwrap();
    }
    let (ops, view) = (entry_ref(&cluster, &ops), policy("AmazonEKSViewPolicy"));
    bench.calls.associate_policy(by(admin()), ops, view, AccessScope::Cluster, None).await.unwrap();
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &dev)).await.unwrap();
    bench.entry(&cluster, &node).await;

    let listed = bench.calls.list_entries(admin(), cluster.id.clone(), None, PageQuery::default()).await;
    let truth: Known = listed.unwrap().items.into_iter().map(|detail| (detail.entry.id, detail)).collect();
    let (mut told, mut known) = (Vec::new(), Known::new());
    while known != truth {
        let event = next(&mut events).await.unwrap();
        learn(&mut known, &event);
        let mut after = known.clone();
        for event in told_at_once(&mut watch(bench, &cluster, Some(&event)).await).await {
            learn(&mut after, &event);
        }
        assert_eq!(after, truth, "something was lost after {event:?}");
        told.push(event);
    }
    told
}

pub(crate) async fn a_watch_that_nobody_reads_tells_the_truth_at_last<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    told_late(&bench).await;
}

pub(crate) async fn each_event_is_made_when_it_is_asked_for<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    use EntryEventKind::{Added, Bookmark};
    let told = told_late(&bench).await;
    // Neither the entry that was there when the watch began, nor any that came and went, nor what an entry was between.
    assert_eq!(kinds(&told), [Added, Added, Bookmark, Added]);
}

/// Of the engine alone: over the wire some events are asked for before anybody reads them.
mod in_process {
    lanyard_store::on_each_store!(each_event_is_made_when_it_is_asked_for: database => {
        crate::watch::each_event_is_made_when_it_is_asked_for(crate::bench::engine(database).await).await;
    });
}

pub(crate) async fn that_a_principal_of_the_hub_was_made_anew_is_told<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    use EntryEventKind::{Added, Bookmark, Changed};
    let cluster = bench.cluster().await;
    let (dev, own) = (of(OWN, "role/team/dev"), Scope::Account(account(OWN)));
    bench.entry(&cluster, &dev).await;
    let mut events = watch(&bench, &cluster, None).await;
    let listed = told_at_once(&mut events).await;
    assert_eq!(kinds(&listed), [Added, Added, Bookmark]);
    let state = async |events: &mut EntryEvents| {
        let EntryEvent { kind, entry, .. } = next(events).await.unwrap();
        let detail = entry.unwrap();
        assert_eq!((kind, detail.entry.principal_arn.to_string()), (Changed, dev.clone()));
        detail.state
    };
    bench.remove::<IamRole>(own, "dev").await;
    assert_eq!(state(&mut events).await, EntryState::Stale);
    bench.write(&role(OWN, "dev", "/team/", "AROADEV")).await;
    assert_eq!(state(&mut events).await, EntryState::Active);
    bench.remove::<IamRole>(own, "dev").await;
    assert_eq!(state(&mut events).await, EntryState::Stale);
    // It stays stale, which is nothing new; and what else happens there concerns no entry.
    bench.write(&role(OWN, "dev", "/team/", "AROANEW")).await;
    bench.write(&user(OWN, "ben", "/", "AIDABEN")).await;
    // No revision of the cluster tells whether a watch before this one has heard of it.
    let mut resumed = watch(&bench, &cluster, Some(&listed[2])).await;
    assert_eq!(state(&mut resumed).await, EntryState::Stale);
    assert_eq!(told(&mut resumed).await, (Bookmark, None));
    let rebind = UpdateAccessEntry { rebind: true, ..change(&cluster, &dev) };
    bench.calls.update_entry(by(admin()), rebind).await.unwrap();
    assert_eq!(state(&mut events).await, EntryState::Active);
    assert_eq!(state(&mut resumed).await, EntryState::Active);
}

pub(crate) async fn watches_are_limited_and_each_place_is_given_back<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let first = watch(&bench, &cluster, None).await;
    let second = watch(&bench, &cluster, None).await;
    let third = bench.calls.watch_entries(admin(), cluster.id.clone(), None).await;
    let of_account = "watches at one time on the clusters of one account";
    assert_eq!(third.err(), Some(CallError::LimitExceeded { what: of_account.into(), limit: 2 }));
    // What one account takes leaves places for others, until all are taken.
    let theirs = bench.calls.create_cluster(by(eve()), cluster_named("theirs")).await.unwrap().value;
    let of_eve = bench.calls.watch_entries(eve(), theirs.id.clone(), None).await.unwrap();
    let too_many = bench.calls.watch_entries(eve(), theirs.id.clone(), None).await;
    let of_all = CallError::LimitExceeded { what: "watches at one time".into(), limit: 3 };
    assert_eq!(too_many.err(), Some(of_all));
    drop((first, second, of_eve));
    // Over the wire the other side hears a little later that nobody listens any more.
    for _ in 0..100 {
        if bench.calls.watch_entries(admin(), cluster.id.clone(), None).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the places of watches that ended were not given back");
}
