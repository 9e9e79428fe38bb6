//! Snapshots that keep up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use lanyard_api::{Authority, Revision, Scope, authn::accounts::AccessKey};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{Bench, world::*};
use crate::{Change, Followed, Kind, Model, Place, Purpose, RecordError, Row, Setting, Store, StoreError};

/// The value that the model cannot read in a change.
const UNREADABLE: &str = "unreadable";

/// The value of which the model cannot make a snapshot.
const PANICKING: &str = "panicking";

/// All settings by name.
#[derive(Default)]
pub(super) struct Settings {
    builds: AtomicU32,
    compiles: AtomicU32,
    /// What happens while rows are built, once.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Snapshot {
    revision: Revision,
    values: BTreeMap<String, String>,
}

impl Model for Settings {
    type Rows = BTreeMap<String, String>;
    type Snapshot = Snapshot;
    const KINDS: &'static [Kind] = &[Kind::Setting];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<Self::Rows, StoreError> {
        self.builds.fetch_add(1, Ordering::SeqCst);
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        rows.iter().map(|row| Ok((row.key.clone(), row.decode::<Setting>()?.value))).collect()
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        match change.after::<Setting>()? {
            Some(setting) if setting.value == UNREADABLE => {
                let detail = "as the test has it".to_owned();
                return Err(RecordError::Unreadable { kind: change.kind, detail }.into());
            }
            Some(setting) => rows.insert(setting.name, setting.value),
            None => rows.remove(&change.key),
        };
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &Self::Rows, revision: Revision) -> Snapshot {
        self.compiles.fetch_add(1, Ordering::SeqCst);
        assert!(rows.values().all(|value| value != PANICKING), "as the test has it");
        Snapshot { revision, values: rows.clone() }
    }
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) async fn a_snapshot_is_loaded_on_demand_and_moves_on_with_each_commit(bench: Bench) {
    let (store, other) = (bench.open().await, bench.open().await);
    let followed = Followed::new(&store, Settings::default(), 10);
    let elsewhere = Followed::new(&other, Settings::default(), 10);
    assert!(followed.peek(Scope::Hub).is_none());
    assert_eq!(followed.get(Scope::Hub).await.unwrap().values, values(&[]));
    assert_eq!(elsewhere.get(Scope::Hub).await.unwrap().values, values(&[]));

    let kept = followed.peek(Scope::Hub).unwrap();
    put(&store, &setting("a", "1")).await.unwrap();
    put(&other, &setting("b", "1")).await.unwrap();
    put(&store, &setting("a", "2")).await.unwrap();
    let expected = Snapshot { revision: Revision(3), values: values(&[("a", "2"), ("b", "1")]) };
    assert_eq!(*followed.peek(Scope::Hub).unwrap(), expected);
    assert_eq!(followed.revision(Scope::Hub), Some(Revision(3)));
    other.catch_up().await.unwrap();
    assert_eq!(*elsewhere.peek(Scope::Hub).unwrap(), expected);
    assert_eq!(kept.values, values(&[]), "a snapshot that somebody holds does not change");

    delete(&store, &setting("b", "1"), &[]).await.unwrap();
    assert_eq!(followed.peek(Scope::Hub).unwrap().values, values(&[("a", "2")]));
    assert_eq!(followed.model().builds.load(Ordering::SeqCst), 1);
}

pub(super) async fn many_who_ask_at_once_wait_for_one_load(bench: Bench) {
    let store = bench.open().await;
    let followed = Followed::new(&store, Settings::default(), 10);
    let each = (0..20).map(|_| {
        let followed = followed.clone();
        tokio::spawn(async move { followed.get(Scope::Hub).await.unwrap() })
    });
    let all: Vec<_> = futures::future::join_all(each).await.into_iter().map(Result::unwrap).collect();
    assert!(all.iter().all(|snapshot| Arc::ptr_eq(snapshot, &all[0])));
    assert_eq!(followed.model().builds.load(Ordering::SeqCst), 1);
}

pub(super) async fn the_snapshot_unread_for_longest_makes_room(bench: Bench) {
    let store = bench.open().await;
    let followed = Followed::new(&store, Settings::default(), 2);
    let accounts =
        ["111122223331", "111122223332", "111122223333"].map(|digits| Scope::Account(account_id(digits)));
    followed.get(Scope::Hub).await.unwrap();
    followed.get(accounts[0]).await.unwrap();
    followed.get(Scope::Hub).await.unwrap();
    followed.get(accounts[1]).await.unwrap();
    assert_eq!(followed.scopes(), [Scope::Hub, accounts[1]]);
    assert!(followed.peek(Scope::Hub).is_some());
    followed.get(accounts[2]).await.unwrap();
    assert_eq!(followed.scopes(), [Scope::Hub, accounts[2]]);
    // One that went is loaded again, and follows again.
    put(&store, &setting("a", "1")).await.unwrap();
    followed.get(accounts[0]).await.unwrap();
    assert_eq!(followed.scopes().len(), 2);
    assert_eq!(followed.get(Scope::Hub).await.unwrap().values, values(&[("a", "1")]));
}

pub(super) async fn a_change_of_another_kind_moves_the_revision_alone(bench: Bench) {
    let store = bench.open().await;
    let followed = Followed::new(&store, Settings::default(), 10);
    let before = followed.get(Scope::Hub).await.unwrap();
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    let (after, revision) = followed.peek_at(Scope::Hub).unwrap();
    assert!(Arc::ptr_eq(&before, &after));
    assert_eq!(revision, Revision(1));
    assert_eq!(followed.model().compiles.load(Ordering::SeqCst), 1);
}

pub(super) async fn a_change_that_cannot_be_read_drops_the_snapshot(bench: Bench) {
    let store = bench.open().await;
    let followed = Followed::new(&store, Settings::default(), 10);
    followed.get(Scope::Hub).await.unwrap();
    put(&store, &setting("a", UNREADABLE)).await.unwrap();
    assert!(followed.peek(Scope::Hub).is_none(), "rather none than one that lacks a change");
    assert_eq!(followed.get(Scope::Hub).await.unwrap().values, values(&[("a", UNREADABLE)]));
    put(&store, &setting("a", "1")).await.unwrap();
    assert_eq!(followed.peek(Scope::Hub).unwrap().values, values(&[("a", "1")]));
}

/// Nor does it keep the change from others who follow, or its commit from being answered.
pub(super) async fn a_snapshot_that_panics_at_a_change_is_dropped(bench: Bench) {
    let store = bench.open().await;
    let followed = Followed::new(&store, Settings::default(), 10);
    followed.get(Scope::Hub).await.unwrap();
    assert!(put(&store, &setting("a", PANICKING)).await.unwrap().applied);
    assert!(followed.peek(Scope::Hub).is_none(), "rather none than one that lacks a change");
    put(&store, &setting("a", "1")).await.unwrap();
    assert_eq!(followed.get(Scope::Hub).await.unwrap().values, values(&[("a", "1")]));
}

pub(super) async fn a_change_during_a_load_is_not_lost(bench: Bench) {
    let store = bench.open().await;
    put(&store, &setting("a", "1")).await.unwrap();
    let followed = Followed::new(&store, Settings::default(), 10);
    let (writer, runtime) = (store.clone(), tokio::runtime::Handle::current());
    let meanwhile = move || {
        // The rows have been read, the snapshot is not there yet.
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                put(&writer, &setting("a", "2")).await.unwrap();
                put(&writer, &setting("b", "1")).await.unwrap();
            });
        });
    };
    *followed.model().meanwhile.lock().unwrap() = Some(Box::new(meanwhile));
    let snapshot = followed.get(Scope::Hub).await.unwrap();
    assert_eq!(snapshot.values, values(&[("a", "2"), ("b", "1")]));
    assert_eq!(followed.revision(Scope::Hub), Some(Revision(3)));
}

/// What is sealed for each access key, opened.
struct Keys(Store);

impl Keys {
    fn open(&self, key: &AccessKey, sealed: Option<&crate::Sealed>) -> Option<String> {
        let opened = self.0.keyring().open(Purpose::AccessKeySecret, &Place::of(key), sealed?).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

impl Model for Keys {
    type Rows = BTreeMap<String, Option<String>>;
    type Snapshot = Self::Rows;
    const KINDS: &'static [Kind] = &[Kind::AccessKey];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<Self::Rows, StoreError> {
        rows.iter().map(|row| Ok((row.key.clone(), self.open(&row.decode()?, row.sealed.as_ref())))).collect()
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        match change.after()? {
            Some(key) => rows.insert(change.key.clone(), self.open(&key, change.sealed.as_ref())),
            None => rows.remove(&change.key),
        };
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &Self::Rows, _: Revision) -> Self::Snapshot {
        rows.clone()
    }
}

pub(super) async fn an_access_key_comes_with_what_is_sealed_for_it(bench: Bench) {
    let (store, other) = (bench.open().await, bench.open().await);
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    insert(&store, &user("ana")).await.unwrap();
    let keep = async |key: &AccessKey, secret: &str| {
        let sealed =
            store.keyring().seal(Purpose::AccessKeySecret, &Place::of(key), secret.as_bytes()).unwrap();
        let mut transaction = store.begin("test", &by("test"), &[home()]).await.unwrap();
        transaction.insert(key).await.unwrap();
        transaction.put_secret(&Place::of(key), &sealed).await.unwrap();
        transaction.commit_unrecorded().await.unwrap();
    };
    let here = Followed::new(&store, Keys(store.clone()), 10);
    let there = Followed::new(&other, Keys(other.clone()), 10);
    keep(&key("ana", 1), "one").await;
    here.get(home()).await.unwrap();
    there.get(home()).await.unwrap();
    // Sealed under a key that the other process does not have yet.
    store.rotate(&by("test"), &[Purpose::AccessKeySecret], Duration::ZERO, &[]).await.unwrap();
    keep(&key("ana", 2), "two").await;
    put(&store, &AccessKey { active: false, ..key("ana", 1) }).await.unwrap();
    other.catch_up().await.unwrap();
    let expected: BTreeMap<_, _> = [(key("ana", 1), "one"), (key("ana", 2), "two")]
        .into_iter()
        .map(|(key, secret)| (key.id.to_string(), Some(secret.to_owned())))
        .collect();
    assert_eq!(*here.peek(home()).unwrap(), expected);
    assert_eq!(*there.peek(home()).unwrap(), expected);
    delete(&store, &key("ana", 1), &[]).await.unwrap();
    assert_eq!(here.peek(home()).unwrap().len(), 1);

    store.rotate(&by("test"), &[Purpose::AccessKeySecret], Duration::ZERO, &[]).await.unwrap();
    keep(&key("ana", 3), "three").await;
    let late = Followed::new(&other, Keys(other.clone()), 10);
    assert_eq!(late.get(home()).await.unwrap()[key("ana", 3).id.as_str()].as_deref(), Some("three"));
}

/// One step of one of two processes.
#[derive(Debug, Clone)]
enum Step {
    Put {
        by: usize,
        name: u8,
        value: u8,
    },
    Delete {
        by: usize,
        name: u8,
    },
    /// A commit in another scope.
    Elsewhere {
        by: usize,
    },
    CatchUp {
        by: usize,
    },
    /// Ask for the snapshot, of the other scope too, so that one goes and has to be loaded again.
    Get {
        by: usize,
    },
    /// Both write at once.
    Race {
        value: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let by = 0..2_usize;
    prop_oneof![
        4 => (by.clone(), 0..3_u8, 0..3_u8).prop_map(|(by, name, value)| Step::Put { by, name, value }),
        2 => (by.clone(), 0..3_u8).prop_map(|(by, name)| Step::Delete { by, name }),
        1 => by.clone().prop_map(|by| Step::Elsewhere { by }),
        2 => by.clone().prop_map(|by| Step::CatchUp { by }),
        2 => by.prop_map(|by| Step::Get { by }),
        2 => (0..3_u8).prop_map(|value| Step::Race { value }),
    ]
}

struct Process {
    store: Store,
    /// One scope has room, so that asking for another makes the first go.
    followed: Followed<Settings>,
}

async fn run(processes: &[Process; 2], steps: &[Step]) {
    for step in steps {
        match step {
            Step::Put { by, name, value } => {
                put(&processes[*by].store, &setting(&name.to_string(), &value.to_string())).await.unwrap();
            }
            Step::Delete { by, name } => {
                delete(&processes[*by].store, &setting(&name.to_string(), ""), &[]).await.unwrap();
            }
            Step::Elsewhere { by } => {
                let store = &processes[*by].store;
                put(store, &user(&format!("u{}", store.revision(home()).await.unwrap()))).await.unwrap();
            }
            Step::CatchUp { by } => processes[*by].store.catch_up().await.unwrap(),
            Step::Get { by } => {
                let followed = &processes[*by].followed;
                followed.get(home()).await.unwrap();
                followed.get(Scope::Hub).await.unwrap();
            }
            Step::Race { value } => {
                let (one, two) =
                    (setting("race", &format!("a{value}")), setting("race", &format!("b{value}")));
                let (one, two) = tokio::join!(put(&processes[0].store, &one), put(&processes[1].store, &two));
                assert_ne!(one.unwrap().revision, two.unwrap().revision);
            }
        }
    }
}

pub(super) async fn whatever_the_order_of_commits_a_followed_snapshot_is_a_fresh_load(bench: Bench) {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    let check = async |steps: Vec<Step>| {
        let processes = [bench.open().await, bench.open().await].map(|store| {
            let followed = Followed::new(&store, Settings::default(), 1);
            Process { store, followed }
        });
        run(&processes, &steps).await;
        let fresh = Followed::new(&store, Settings::default(), 1);
        let (revision, _) = store.load_rows(Scope::Hub, &[]).await.unwrap();
        let expected = fresh.get(Scope::Hub).await.unwrap();
        for process in &processes {
            process.store.catch_up().await.unwrap();
            let followed = process.followed.get(Scope::Hub).await.unwrap();
            assert_eq!(followed.values, expected.values);
            assert_eq!(process.followed.revision(Scope::Hub), Some(revision));
        }
        let lines = store.changes_since(Scope::Hub, Revision(0), u32::MAX).await.unwrap();
        let mut revisions: Vec<u64> = lines.iter().map(|line| line.revision.0).collect();
        revisions.dedup();
        assert_eq!(revisions, (1..=revision.0).collect::<Vec<_>>(), "no gaps");
        assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, None);
    };
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Handle::current();
    let done = runner.run(&proptest::collection::vec(step(), 1..30), |steps| {
        tokio::task::block_in_place(|| runtime.block_on(check(steps)));
        Ok(())
    });
    done.unwrap();
}
