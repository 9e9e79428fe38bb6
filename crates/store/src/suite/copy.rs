//! A hub moves from its file to a server.

use std::sync::{Arc, Mutex};

use lanyard_api::{Authority, Scope, authn::accounts::User};
use lanyard_kit::TestClock;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::{Bench, NOON, records, secrets, signatures, tamper, world::*};
use crate::{
    ChainFault, Copied, CopyError, CopyStep, EnvelopeKey, Keyring, Kind, Place, Purpose, Setting, Store,
    StoreError, StoreUrl, WAIT_MAX, copy, known_migrations, migrate, migrations::connect_alone,
    missing_migrations, test_support::TestDatabase,
};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// A file with a record of every kind, a secret and a used signature; and an empty database of the same hub.
struct Move {
    file: Bench,
    server: Bench,
}

impl Move {
    async fn prepared() -> Option<Self> {
        let bench = |database| Bench { database, clock: TestClock::new(NOON) };
        let file = bench(TestDatabase::sqlite());
        let server = bench(TestDatabase::bare_postgres().await?);
        Box::pin(records::a_record_of_every_kind_reads_back_and_is_listed_by_key(file.clone())).await;
        let store = file.open().await;
        secrets::keep(&store, &key("ana", 7)).await;
        delete(&store, &user("bob"), &[]).await.unwrap();
        signatures::set(&store, 1, "once").await.unwrap();
        let lease = store.acquire_lease("sweeper", "somebody", MINUTE).await.unwrap();
        assert!(lease.is_some());
        store.close().await;
        Some(Self { file, server })
    }

    fn to(&self) -> StoreUrl {
        self.server.options().url
    }

    async fn copy(&self) -> Result<Copied, CopyError> {
        copy(&self.file.options(), &self.to(), &|_| {}).await
    }

    /// Does something to the target past Lanyard.
    async fn on_target(&self, sql: &str) {
        let mut connection = connect_alone(&self.to()).await.unwrap();
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The numbers of the migrations that the target lacks.
    async fn lacking(&self) -> Vec<i64> {
        let missing = missing_migrations(&self.to(), WAIT_MAX).await.unwrap();
        missing.into_iter().map(|migration| migration.version).collect()
    }

    /// The target, opened by the file's envelope key.
    async fn open(&self) -> Store {
        let mut options = self.server.options();
        options.keyring = Keyring::new(self.file.database.envelope().clone());
        Store::open(&options).await.unwrap()
    }
}

/// What a hub answers: all records of each scope, and its lines.
async fn answers(store: &Store) -> Vec<String> {
    let scopes = crate::tables::changes::counters(&mut store.read().await.unwrap()).await.unwrap();
    let mut answers = Vec::new();
    for (scope, revision) in scopes {
        answers.push(format!("{scope}@{revision}"));
        let (_, rows) = store.load_rows(scope, &Kind::ALL).await.unwrap();
        answers.extend(rows.iter().map(|row| format!("{row:?}")));
        let lines = store.changes_since(scope, lanyard_api::Revision(0), u32::MAX).await.unwrap();
        answers.extend(lines.iter().map(|line| format!("{line:?}")));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hub_is_the_same_in_its_new_place_and_goes_on_there_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    let before = moved.file.open().await;
    let expected = answers(&before).await;
    before.close().await;
    let steps = Mutex::new(Vec::new());
    let note = |step: CopyStep<'_>| steps.lock().unwrap().push(format!("{step:?}"));
    let copied = copy(&moved.file.options(), &moved.to(), &note).await.unwrap();

    let rows =
        |table: &str| copied.tables.iter().find(|copied| copied.table == table).map(|copied| copied.rows);
    let uids: Vec<_> =
        [rows("clusters"), rows("cluster_uids"), rows("secrets"), rows("mutation_uses")].into();
    assert_eq!(uids, [Some(2), Some(2), Some(1), Some(1)]);
    assert_eq!((rows("leases"), rows("guards")), (None, None));
    assert!(rows("changes").unwrap() > 30 && rows("purpose_keys").unwrap() > 5);
    assert!(copied.scopes.iter().all(|report| report.fault.is_none() && report.lines > 0));
    let steps = steps.into_inner().unwrap();
    assert!(steps.iter().any(|step| step.contains("\"clusters\", rows: 2, of: 2")), "{steps:?}");

    let store = moved.open().await;
    assert_eq!(answers(&store).await, expected);
    let place = Place::of(&key("ana", 7));
    let sealed = store.secret(&place).await.unwrap().unwrap();
    let opened = store.keyring().open(Purpose::AccessKeySecret, &place, &sealed).unwrap();
    assert_eq!(opened.as_slice(), secrets::SECRET);
    assert!(matches!(signatures::set(&store, 1, "again").await, Err(StoreError::Replayed { .. })));
    assert_eq!(store.acquire_lease("sweeper", "other", MINUTE).await.unwrap().unwrap().term, 1);

    // On goes the chain, from where it was.
    let revision = store.revision(home()).await.unwrap();
    insert(&store, &user("carl")).await.unwrap();
    assert_eq!(store.revision(home()).await.unwrap().0, revision.0 + 1);
    assert_eq!(store.verify_chain(home()).await.unwrap().fault, None);
    assert_eq!(store.get::<User>(home(), "bob").await.unwrap(), None);
    let used = insert(&store, &account(HOME, Authority::Aws)).await.unwrap_err();
    assert!(matches!(used, StoreError::Exists { .. }), "the constraints hold too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_that_has_anything_is_refused_and_left_as_it_is_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    moved.copy().await.unwrap();
    let before = answers(&moved.open().await).await;
    let refused = moved.copy().await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused}");
    assert_eq!(answers(&moved.open().await).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hub_of_an_older_lanyard_is_refused_and_not_migrated_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    moved.copy().await.unwrap();
    // Two migrations are taken back, one of which gave a table another name.
    let undone = [
        "DROP TABLE stale_entries",
        "ALTER TABLE mutation_uses DROP COLUMN owner, DROP COLUMN request",
        "ALTER TABLE mutation_uses RENAME TO signature_uses",
        "DELETE FROM _sqlx_migrations WHERE version IN (101, 191)",
    ];
    moved.on_target(&undone.join(";")).await;
    let refused = moved.copy().await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused}");
    assert_eq!(moved.lacking().await, [101, 191]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_with_somebody_elses_table_is_refused_by_its_name_and_nothing_is_made_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    moved.on_target("CREATE TABLE notes (id INTEGER)").await;
    let all: Vec<_> = known_migrations().into_iter().map(|migration| migration.version).collect();
    let refused = moved.copy().await.unwrap_err();
    assert!(matches!(&refused, CopyError::Foreign { table } if table == "notes"), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("`notes`") && text.contains("empty database, make another"), "{text}");
    assert_eq!(moved.lacking().await, all);
    // Nor beside tables of ours that have nothing in them.
    migrate(&moved.to(), WAIT_MAX).await.unwrap();
    let refused = moved.copy().await.unwrap_err();
    assert!(matches!(&refused, CopyError::Foreign { table } if table == "notes"), "{refused}");
    // Without it they do.
    moved.on_target("DROP TABLE notes").await;
    moved.copy().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_copies_at_once_are_one_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    let (first, second) = tokio::join!(moved.copy(), moved.copy());
    let (done, refused): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1, "{refused:?}");
    assert!(matches!(refused[0], Err(CopyError::NotEmpty { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn immunity_54_a_file_that_somebody_wrote_into_is_not_copied_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    let store = moved.file.open().await;
    tamper(&store, "UPDATE settings SET body = x'00' WHERE name = 'a'").await;
    store.close().await;
    let refused = moved.copy().await.unwrap_err();
    let named = matches!(
        &refused,
        CopyError::BrokenSource { scope: Scope::Hub, fault: ChainFault::Record { kind: Kind::Setting, .. } }
    );
    assert!(named, "{refused}");
    let store = moved.open().await;
    assert_eq!(store.get::<Setting>(Scope::Hub, "b").await.unwrap(), None, "nothing went over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_needs_the_right_key_and_the_right_direction_on_postgres() {
    let Some(moved) = Move::prepared().await else { return };
    let mut options = moved.file.options();
    options.keyring = Keyring::new(EnvelopeKey::random().unwrap());
    let refused = copy(&options, &moved.to(), &|_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::Source { source: StoreError::Keyring(_), .. }), "{refused}");
    let back = copy(&moved.server.options(), &moved.file.options().url, &|_| {}).await.unwrap_err();
    assert!(matches!(back, CopyError::Direction), "{back}");
    let away = "postgres://u:s3cret@127.0.0.1:1/d".parse().unwrap();
    let away = copy(&moved.file.options(), &away, &|_| {}).await.unwrap_err().to_string();
    assert!(away.contains("`d` at `127.0.0.1:1`") && !away.contains("s3cret"), "{away}");
    let file = Bench { database: TestDatabase::sqlite(), clock: TestClock::new(NOON) };
    let outdated = copy(&file.database.options(Arc::new(file.clock.clone())), &moved.to(), &|_| {}).await;
    let outdated = outdated.unwrap_err().to_string();
    assert!(outdated.contains("lanyard db migrate"), "{outdated}");
}
