//! Making the tables, and who may not.

use std::sync::Arc;

use futures::future::join_all;
use lanyard_kit::TestClock;

use super::{Bench, NOON, tamper};
use crate::{
    StoreError, WAIT_MAX, known_migrations, migrate, migrations::tables_made, missing_migrations,
    require_migrated, test_support::TestDatabase,
};

/// Replicas that start at the same moment.
const AT_ONCE: usize = 10;

pub(super) async fn what_is_up_to_date_is_left_alone(bench: Bench) {
    bench.open().await.close().await;
    let url = bench.options().url;
    assert_eq!(migrate(&url, WAIT_MAX).await.unwrap(), []);
    assert_eq!(missing_migrations(&url, WAIT_MAX).await.unwrap(), []);
    require_migrated(&url, WAIT_MAX).await.unwrap();
}

pub(super) async fn a_database_of_a_newer_program_is_refused_by_name_and_left_as_it_is(bench: Bench) {
    let store = bench.open().await;
    tamper(
        &store,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'from tomorrow', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    store.close().await;
    let url = bench.options().url;
    for refused in [
        migrate(&url, WAIT_MAX).await.unwrap_err(),
        require_migrated(&url, WAIT_MAX).await.unwrap_err(),
        crate::Store::open(&bench.options()).await.unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Newer { .. }), "{refused}");
        assert!(refused.to_string().contains("`9999 from tomorrow`"), "{refused}");
    }
}

#[tokio::test]
async fn the_tables_that_migrations_make_are_known_and_those_that_have_another_name_by_now() {
    let made = tables_made().await.unwrap();
    for table in ["_sqlx_migrations", "changes", "mutation_uses", "signature_uses", "stale_entries"] {
        assert!(made.contains(table), "{table} is not in {made:?}");
    }
}

/// What the others wait for, and then find done.
async fn first_starts_at_once_migrate_once(database: TestDatabase) {
    let options = database.options(Arc::new(TestClock::new(NOON)));
    let missing = missing_migrations(&options.url, WAIT_MAX).await.unwrap();
    assert_eq!(missing, known_migrations());
    let refused = require_migrated(&options.url, WAIT_MAX).await.unwrap_err();
    assert!(refused.to_string().contains("lacks migration `0001 changes`"), "{refused}");
    let runs = join_all((0..AT_ONCE).map(|_| {
        let url = options.url.clone();
        tokio::spawn(async move { migrate(&url, options.wait_max).await })
    }));
    let applied: Vec<_> = runs.await.into_iter().map(|run| run.unwrap().unwrap()).collect();
    let who: Vec<_> = applied.iter().filter(|applied| !applied.is_empty()).collect();
    assert_eq!(who, [&known_migrations()], "one migrates, the others find it done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_first_starts_at_once_migrate_once_on_sqlite() {
    first_starts_at_once_migrate_once(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_first_starts_at_once_migrate_once_on_postgres() {
    if let Some(database) = TestDatabase::bare_postgres().await {
        first_starts_at_once_migrate_once(database).await;
    }
}

/// Whole services, with the keys that each makes where there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_stores_opened_at_once_on_an_empty_database_are_one_on_postgres() {
    let Some(database) = TestDatabase::bare_postgres().await else { return };
    let clock = Arc::new(TestClock::new(NOON));
    let stores = join_all((0..AT_ONCE).map(|_| {
        let mut options = database.options(clock.clone());
        options.connections_max = 2;
        tokio::spawn(async move { crate::Store::open(&options).await })
    }));
    let stores: Vec<_> = stores.await.into_iter().map(|store| store.unwrap().unwrap()).collect();
    let key = |store: &crate::Store| store.keyring().purpose_key(crate::Purpose::Chain).unwrap().to_vec();
    assert!(stores.iter().all(|store| key(store) == key(&stores[0])));
}
