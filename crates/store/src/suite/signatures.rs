//! A mutation's signature counts once.

use lanyard_api::{Authority, Scope};

use super::{Bench, NOON, world::*};
use crate::{Setting, Store, StoreError};

/// A signed mutation that sets `a`, and answers what it set.
pub(super) async fn set(store: &Store, digest: u8, value: &str) -> Result<(), StoreError> {
    let mut transaction = store.begin("test", &signed(digest), &[Scope::Hub]).await?;
    transaction.put(&setting("a", value)).await?;
    transaction.commit(Some(&value)).await?;
    Ok(())
}

fn answer(replayed: Result<(), StoreError>) -> Option<String> {
    match replayed {
        Err(StoreError::Replayed { answer }) => answer.map(|bytes| String::from_utf8(bytes).unwrap()),
        other => panic!("not replayed: {other:?}"),
    }
}

pub(super) async fn immunity_32_a_signature_counts_once(bench: Bench) {
    let stores = [bench.open().await, bench.open().await];
    let each = (0..8).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { set(&store, 1, &n.to_string()).await })
    });
    let done: Vec<_> = futures::future::join_all(each).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        done.iter().all(|result| matches!(result, Ok(()) | Err(StoreError::Replayed { .. }))),
        "{done:?}"
    );
    assert_eq!(stores[0].revision(Scope::Hub).await.unwrap().0, 1);
    set(&stores[0], 2, "another signature").await.unwrap();
}

pub(super) async fn the_recorded_answer_comes_back_while_nothing_has_changed(bench: Bench) {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    set(&store, 1, "1").await.unwrap();
    assert_eq!(answer(set(&store, 1, "1").await).as_deref(), Some("\"1\""));
    insert(&store, &user("ana")).await.unwrap();
    assert_eq!(
        answer(set(&store, 1, "1").await).as_deref(),
        Some("\"1\""),
        "another scope is none of its concern"
    );
    put(&store, &setting("b", "1")).await.unwrap();
    assert_eq!(answer(set(&store, 1, "1").await), None, "the scope has moved on");

    let mut transaction = store.begin("test", &signed(2), &[Scope::Hub]).await.unwrap();
    transaction.put(&setting("c", "1")).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    assert_eq!(answer(set(&store, 2, "1").await), None, "the answer held a secret");
    assert_eq!(store.get::<Setting>(Scope::Hub, "a").await.unwrap(), Some(setting("a", "1")));
}

pub(super) async fn a_mutation_that_failed_leaves_its_signature_unused(bench: Bench) {
    let store = bench.open().await;
    put(&store, &setting("a", "1")).await.unwrap();
    let mut transaction = store.begin("test", &signed(1), &[Scope::Hub]).await.unwrap();
    assert!(transaction.insert(&setting("a", "2")).await.is_err());
    drop(transaction);
    set(&store, 1, "3").await.unwrap();
}

pub(super) async fn an_expired_signature_is_forgotten(bench: Bench) {
    let store = bench.open().await;
    set(&store, 1, "1").await.unwrap();
    bench.clock.set(NOON + time::Duration::minutes(15));
    store.sweep().await.unwrap();
    assert_eq!(answer(set(&store, 1, "1").await).as_deref(), Some("\"1\""), "to the last moment");
    bench.clock.advance(time::Duration::milliseconds(1));
    store.sweep().await.unwrap();
    // Whether it is too old is authn's to say; here it is unknown.
    set(&store, 1, "2").await.unwrap();
}
