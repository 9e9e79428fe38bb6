//! Revisions, change lines and their chain.

use std::time::Duration;

use lanyard_api::{Revision, Scope};

use super::{Bench, NOON, tamper, world::*};
use crate::{ChainFault, Kind, Setting, transaction::LINE_BYTES};

pub(super) async fn revisions_have_no_gaps_and_lines_say_who_what_and_why(bench: Bench) {
    let store = bench.open().await;
    let mut mutation = by("first start");
    mutation.reason = Some("because".to_owned());
    let mut transaction = store.begin("test", &mutation, &[Scope::Hub]).await.unwrap();
    assert_eq!(transaction.next_revision(Scope::Hub).unwrap(), Revision(1));
    assert_eq!(transaction.now(), NOON);
    transaction.insert(&setting("a", "1")).await.unwrap();
    transaction.insert(&setting("b", "1")).await.unwrap();
    let committed = transaction.commit_unrecorded().await.unwrap();
    assert_eq!((committed.revision, committed.applied), (Revision(1), true));
    assert_eq!(committed.revisions.into_iter().collect::<Vec<_>>(), [(Scope::Hub, Revision(1))]);
    put(&store, &setting("a", "2")).await.unwrap();
    delete(&store, &setting("b", "1"), &[]).await.unwrap();

    let lines = store.changes_since(Scope::Hub, Revision(0), 10).await.unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let value = |record: Option<Setting>| record.map(|setting| setting.value);
            let (before, after) = (value(line.before().unwrap()), value(line.after().unwrap()));
            (line.revision.0, line.sequence, &*line.key, before, after)
        })
        .collect();
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(
        told,
        [
            (1, 0, "a", None, some("1")),
            (1, 1, "b", None, some("1")),
            (2, 0, "a", some("1"), some("2")),
            (3, 0, "b", some("1"), None),
        ]
    );
    let first = &lines[0];
    assert_eq!((first.scope, first.kind, first.at), (Scope::Hub, Kind::Setting, NOON));
    assert_eq!((&*first.actor, first.reason.as_deref()), ("system:first start", Some("because")));
    assert_eq!(lines[2].reason, None);
    let page = store.changes_since(Scope::Hub, Revision(1), 1).await.unwrap();
    assert_eq!(page.iter().map(|line| line.revision.0).collect::<Vec<_>>(), [2]);
}

pub(super) async fn a_mutation_that_changes_nothing_writes_no_line(bench: Bench) {
    let store = bench.open().await;
    put(&store, &setting("a", "1")).await.unwrap();
    let mut transaction = begin_hub(&store).await;
    transaction.put(&setting("a", "1")).await.unwrap();
    transaction.put(&setting("a", "2")).await.unwrap();
    transaction.put(&setting("a", "1")).await.unwrap();
    transaction.insert(&setting("b", "1")).await.unwrap();
    transaction.delete::<Setting>(Scope::Hub, "b").await.unwrap();
    transaction.delete::<Setting>(Scope::Hub, "a").await.unwrap();
    transaction.insert(&setting("a", "1")).await.unwrap();
    assert_eq!(transaction.commit_unrecorded().await.unwrap().revision, Revision(1));
    assert_eq!(store.changes_since(Scope::Hub, Revision(0), 10).await.unwrap().len(), 1);
    assert_eq!(store.get::<Setting>(Scope::Hub, "a").await.unwrap(), Some(setting("a", "1")));

    // Several writes of one record are one line, from what it was at first to what it is at last.
    let mut transaction = begin_hub(&store).await;
    transaction.put(&setting("a", "2")).await.unwrap();
    transaction.put(&setting("a", "3")).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    let lines = store.changes_since(Scope::Hub, Revision(1), 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].before::<Setting>().unwrap(), Some(setting("a", "1")));
    assert_eq!(lines[0].after::<Setting>().unwrap(), Some(setting("a", "3")));
}

/// Three revisions of four lines.
async fn written(bench: &Bench) -> crate::Store {
    let store = bench.open().await;
    put(&store, &setting("a", "1")).await.unwrap();
    let mut transaction = begin_hub(&store).await;
    transaction.put(&setting("a", "2")).await.unwrap();
    transaction.insert(&setting("b", "1")).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    put(&store, &setting("b", "2")).await.unwrap();
    store
}

pub(super) async fn a_mutation_knows_how_much_its_lines_keep(bench: Bench) {
    let store = bench.open().await;
    let mut mutation = by("test");
    mutation.reason = Some("as somebody says at length".to_owned());
    let mut made = store.begin("test", &mutation, &[Scope::Hub]).await.unwrap();
    assert_eq!(made.line_bytes(), 0);
    for key in ["a", "b"] {
        made.put(&setting(key, "1")).await.unwrap();
    }
    let record = r#"{"name":"a","value":"1"}"#.len();
    let words = mutation.actor.value.name().len() + "as somebody says at length".len();
    let beside = LINE_BYTES + words + "a".len();
    assert_eq!(made.line_bytes(), 2 * (beside + record) as u64, "two lines, each with who did it and why");
    made.commit_unrecorded().await.unwrap();
    let mut changed = store.begin("test", &mutation, &[Scope::Hub]).await.unwrap();
    let one = (beside + 2 * record) as u64;
    for (value, bytes) in [("1", 0), ("2", one), ("3", one), ("1", 0)] {
        changed.put(&setting("a", value)).await.unwrap();
        assert_eq!(changed.line_bytes(), bytes, "{value}");
    }
    changed.delete::<Setting>(Scope::Hub, "a").await.unwrap();
    assert_eq!(changed.line_bytes(), (beside + record) as u64, "as it was before");
}

pub(super) async fn an_untouched_chain_verifies(bench: Bench) {
    let store = written(&bench).await;
    let report = store.verify_chain(Scope::Hub).await.unwrap();
    assert_eq!((report.revision, report.lines, report.fault), (Revision(3), 4, None));
    let report = store.verify_chain(home()).await.unwrap();
    assert_eq!((report.revision, report.lines, report.fault), (Revision(0), 0, None));
    // Longer than one page.
    for n in 0..600 {
        put(&store, &setting("c", &n.to_string())).await.unwrap();
    }
    let other = bench.open().await;
    store.rotate(&by("test"), &[crate::Purpose::Chain], Duration::ZERO, &[]).await.unwrap();
    put(&store, &setting("d", "under the new key")).await.unwrap();
    let report = store.verify_chain(Scope::Hub).await.unwrap();
    assert_eq!((report.revision, report.lines, report.fault), (Revision(605), 606, None));
    assert_eq!(other.verify_chain(Scope::Hub).await.unwrap().fault, None);
}

pub(super) async fn immunity_54_a_changed_removed_or_moved_line_is_found(bench: Bench) {
    let line = |revision, sequence| ChainFault::Line { revision: Revision(revision), sequence };
    let cases = [
        ("UPDATE changes SET actor = 'system:other' WHERE revision = 1", line(1, 0)),
        ("UPDATE changes SET reason = 'because' WHERE revision = 1", line(1, 0)),
        ("UPDATE changes SET at = at + 1 WHERE revision = 2 AND sequence = 1", line(2, 1)),
        ("UPDATE changes SET after = before WHERE revision = 2 AND sequence = 0", line(2, 0)),
        ("UPDATE changes SET key = 'c' WHERE revision = 3", line(3, 0)),
        ("UPDATE changes SET kind = 'node' WHERE revision = 3", line(3, 0)),
        (
            "UPDATE changes SET mac = (SELECT mac FROM changes WHERE revision = 1) WHERE revision = 3",
            line(3, 0),
        ),
        ("UPDATE changes SET mac_version = 2 WHERE revision = 3", line(3, 0)),
        ("DELETE FROM changes WHERE revision = 2 AND sequence = 0", line(2, 1)),
        ("DELETE FROM changes WHERE revision = 2 AND sequence = 1", line(3, 0)),
        ("DELETE FROM changes WHERE revision = 1", ChainFault::Gap(Revision(1))),
        ("DELETE FROM changes WHERE revision = 2", ChainFault::Gap(Revision(2))),
        ("DELETE FROM changes WHERE revision = 3", ChainFault::Gap(Revision(3))),
        ("DELETE FROM changes", ChainFault::Gap(Revision(1))),
        ("UPDATE changes SET sequence = 2 - sequence WHERE revision = 2 AND sequence = 0", line(2, 1)),
        ("UPDATE changes SET revision = 4 WHERE revision = 3", ChainFault::Gap(Revision(3))),
        ("UPDATE scopes SET revision = 4", ChainFault::Gap(Revision(4))),
        ("UPDATE scopes SET mac = (SELECT mac FROM changes WHERE revision = 1)", ChainFault::Counter),
    ];
    let store = written(&bench).await;
    tamper(&store, "CREATE TABLE changes_kept AS SELECT * FROM changes").await;
    tamper(&store, "CREATE TABLE scopes_kept AS SELECT * FROM scopes").await;
    for (sql, fault) in cases {
        tamper(&store, sql).await;
        assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, Some(fault), "{sql}");
        tamper(&store, "DELETE FROM changes").await;
        tamper(&store, "DELETE FROM scopes").await;
        tamper(&store, "INSERT INTO scopes SELECT * FROM scopes_kept").await;
        tamper(&store, "INSERT INTO changes SELECT * FROM changes_kept").await;
        assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, None, "put right after {sql}");
    }
}

pub(super) async fn immunity_54_a_record_written_past_lanyard_is_found(bench: Bench) {
    let store = written(&bench).await;
    let found = |key: &str| Some(ChainFault::Record { kind: Kind::Setting, key: key.to_owned() });
    tamper(&store, "INSERT INTO settings (name, body) SELECT 'c', body FROM settings WHERE name = 'a'").await;
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, found("c"));
    tamper(&store, "DELETE FROM settings WHERE name = 'c'").await;
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, None);
    tamper(
        &store,
        "UPDATE settings SET body = (SELECT body FROM settings WHERE name = 'a') WHERE name = 'b'",
    )
    .await;
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, found("b"));
    tamper(&store, "DELETE FROM settings WHERE name = 'b'").await;
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, found("b"));
}

pub(super) async fn concurrent_mutations_of_a_scope_get_one_revision_each(bench: Bench) {
    let stores = [bench.open().await, bench.open().await];
    let each = (0..20).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { put(&store, &setting(&format!("s{n}"), "1")).await.unwrap().revision.0 })
    });
    let mut revisions: Vec<u64> =
        futures::future::join_all(each).await.into_iter().map(Result::unwrap).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
    assert_eq!(stores[0].verify_chain(Scope::Hub).await.unwrap().fault, None);
}

pub(super) async fn mutations_of_crossing_scopes_do_not_deadlock(bench: Bench) {
    let stores = [bench.open().await, bench.open().await];
    let cluster = founded(&stores[0]).await;
    let scopes = [Scope::Cluster(cluster.uid), home(), Scope::Hub];
    let each = (0..12).map(|n| {
        let store = stores[n % 2].clone();
        let cluster = cluster.clone();
        // Named in every order.
        let mut scopes = scopes.to_vec();
        scopes.rotate_left(n % 3);
        tokio::spawn(async move {
            let mut transaction = store.begin("test", &by("test"), &scopes).await.unwrap();
            transaction.insert(&user(&format!("u{n}"))).await.unwrap();
            transaction.insert(&node(&cluster, &format!("i-{n}"))).await.unwrap();
            transaction.insert(&setting(&format!("s{n}"), "1")).await.unwrap();
            let committed = transaction.commit_unrecorded().await.unwrap();
            assert_eq!(committed.revision, committed.revisions[&scopes[0]]);
        })
    });
    for done in futures::future::join_all(each).await {
        done.unwrap();
    }
    for scope in scopes {
        assert_eq!(stores[1].verify_chain(scope).await.unwrap().fault, None, "{scope}");
    }
}
