//! A caller's own token makes a mutation count once, however often it is signed.

use lanyard_api::{
    Actor, ActorKind, Authority, ClientRequestToken, Lineage, Mutation, Scope, SignatureUse, Vouched,
};

use super::{Bench, NOON, world::*};
use crate::{
    Setting, Store, StoreError,
    sql::{Access, Value},
};

/// A mutation of a principal with a token; its request is as good as its digest.
fn with_token(principal_id: &str, action: &str, token: &str, request: u8) -> Mutation {
    let kind = ActorKind::Principal {
        authority: Authority::Local,
        arn: format!("arn:aws:iam::{HOME}:user/ana").parse().unwrap(),
        principal_id: principal_id.to_owned(),
        lineage: Box::new(Lineage {
            access_key_id: None,
            ancestors: Vec::new(),
            transitive_tags: Default::default(),
            source_identity: None,
            chain_depth: 0,
        }),
        session_policy: None,
    };
    let action = action.to_owned();
    let actor = Actor { kind, action, request_digest: [request; 32], ..Actor::system("test") };
    let token: ClientRequestToken = token.parse().unwrap();
    Mutation { client_request_token: Some(token), ..Mutation::by(Vouched::in_process(actor)) }
}

fn ana(token: &str, request: u8) -> Mutation {
    with_token("AIDAANA", "eks:CreateAccessEntry", token, request)
}

/// What setting `a` answered.
async fn set(store: &Store, by: &Mutation, value: &str) -> Result<String, StoreError> {
    let begun = store.begin("test", by, &[Scope::Hub]).await;
    let mut transaction = match begun {
        Err(StoreError::Replayed { answer: Some(bytes) }) => {
            return Ok(serde_json::from_slice(&bytes).unwrap());
        }
        other => other?,
    };
    transaction.put(&setting("a", value)).await?;
    transaction.commit(Some(&value)).await?;
    Ok(value.to_owned())
}

async fn value(store: &Store) -> Setting {
    store.get::<Setting>(Scope::Hub, "a").await.unwrap().unwrap()
}

pub(super) async fn a_token_seen_again_gets_the_first_answer_whatever_has_happened_since(bench: Bench) {
    let store = bench.open().await;
    assert_eq!(set(&store, &ana("t", 1), "first").await.unwrap(), "first");
    put(&store, &setting("a", "since")).await.unwrap();
    // Signed anew, as SDKs do.
    let mut again = ana("t", 1);
    again.actor.value.signature =
        Some(SignatureUse { digest: [9; 32], expires_at: NOON + time::Duration::minutes(15) });
    assert_eq!(set(&store, &again, "second").await.unwrap(), "first");
    assert_eq!(value(&store).await, setting("a", "since"), "nothing was done again");
}

pub(super) async fn a_token_is_of_one_request_one_operation_and_one_principal(bench: Bench) {
    let store = bench.open().await;
    set(&store, &ana("t", 1), "first").await.unwrap();
    assert!(matches!(set(&store, &ana("t", 2), "other").await, Err(StoreError::TokenOfAnother)));
    let others = [
        ana("T", 2),
        with_token("AIDABOB", "eks:CreateAccessEntry", "t", 2),
        with_token("AIDAANA", "eks:UpdateAccessEntry", "t", 2),
    ];
    for (n, other) in others.iter().enumerate() {
        let value = n.to_string();
        assert_eq!(set(&store, other, &value).await.unwrap(), value, "{other:?}");
    }
    let system = Mutation { client_request_token: ana("t", 1).client_request_token, ..by("test") };
    assert_eq!(set(&store, &system, "system").await.unwrap(), "system", "Lanyard itself needs none");
}

pub(super) async fn immunity_46_of_many_who_send_one_token_at_once_one_does_it(bench: Bench) {
    let stores = [bench.open().await, bench.open().await];
    let each = (0..8).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { set(&store, &ana("t", 1), &n.to_string()).await })
    });
    let done = futures::future::join_all(each).await;
    let answers: std::collections::BTreeSet<String> =
        done.into_iter().map(|done| done.unwrap().unwrap()).collect();
    assert_eq!(answers.len(), 1, "all hear the same");
    assert_eq!(stores[0].revision(Scope::Hub).await.unwrap().0, 1);
}

pub(super) async fn a_mutation_that_failed_leaves_its_token_unused(bench: Bench) {
    let store = bench.open().await;
    put(&store, &setting("a", "1")).await.unwrap();
    let mut transaction = store.begin("test", &ana("t", 1), &[Scope::Hub]).await.unwrap();
    assert!(transaction.insert(&setting("a", "2")).await.is_err());
    drop(transaction);
    // With other parameters too: nothing was answered yet.
    assert_eq!(set(&store, &ana("t", 2), "3").await.unwrap(), "3");
}

pub(super) async fn an_answer_with_a_secret_is_not_given_twice(bench: Bench) {
    let store = bench.open().await;
    let mut transaction = store.begin("test", &ana("t", 1), &[Scope::Hub]).await.unwrap();
    transaction.put(&setting("a", "1")).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    assert!(matches!(set(&store, &ana("t", 1), "2").await, Err(StoreError::TokenUsedUp)));
}

/// So many more tokens of the same principal, used a little later.
async fn fill(store: &Store, count: u16) {
    const INSERT: &str = "INSERT INTO mutation_uses (digest, expires_at, revisions, owner, request) \
        VALUES ($1, $2, '', $3, $1)";
    let (mut connection, _permit) = store.open_connection(Access::Write).await.unwrap();
    let expires_at = NOON + time::Duration::hours(48) + time::Duration::minutes(1);
    for n in 0..count {
        let digest = [n.to_be_bytes().repeat(16)].concat();
        let values = [digest.into(), Value::moment(expires_at), format!("{HOME}/AIDAANA").into()];
        connection.execute(INSERT, values).await.unwrap();
    }
    connection.commit().await.unwrap();
}

pub(super) async fn a_token_is_known_for_a_day_and_a_principals_number_is_bounded(bench: Bench) {
    let store = bench.open().await;
    set(&store, &ana("t", 1), "first").await.unwrap();
    bench.clock.set(NOON + time::Duration::hours(24));
    assert_eq!(set(&store, &ana("t", 1), "x").await.unwrap(), "first", "to the last moment");
    bench.clock.advance(time::Duration::milliseconds(1));
    assert_eq!(set(&store, &ana("t", 1), "second").await.unwrap(), "second", "before the sweep too");
    bench.clock.advance(time::Duration::milliseconds(1));
    set(&store, &ana("next", 1), "next").await.unwrap();
    fill(&store, 998).await;
    assert_eq!(set(&store, &ana("t", 1), "x").await.unwrap(), "second", "a thousand are known");
    bench.clock.advance(time::Duration::hours(1));
    set(&store, &ana("newest", 1), "newest").await.unwrap();
    assert_eq!(set(&store, &ana("next", 1), "x").await.unwrap(), "next");
    assert_eq!(set(&store, &ana("t", 1), "third").await.unwrap(), "third", "and the oldest was forgotten");
    assert_eq!(set(&store, &with_token("AIDABOB", "x", "t", 1), "bob").await.unwrap(), "bob");
}
