//! How a mutation ends: its answer, kept for a second arrival of the same signed request, or the answer kept before.

use lanyard_api::{CallError, Mutated, Mutation, Scope};
use lanyard_store::{Committed, StoreError, Transaction};
use serde::{Serialize, de::DeserializeOwned};

use super::Mapping;

/// How a mutation that was begun can turn out.
pub(super) enum Begun<T> {
    /// Go on.
    Fresh(Box<Transaction>),
    /// The same signed request came before; this is what it was answered.
    Replayed(Mutated<T>),
}

impl Mapping {
    /// Begins a mutation whose answer holds no secret.
    pub(super) async fn begin<T: DeserializeOwned>(
        &self,
        name: &'static str,
        by: &Mutation,
        scopes: &[Scope],
    ) -> Result<Begun<T>, CallError> {
        match self.inner.store.begin(name, by, scopes).await {
            Ok(tx) => Ok(Begun::Fresh(Box::new(tx))),
            Err(error) => replayed(error).map(Begun::Replayed),
        }
    }

    /// Begins one whose answer is given once.
    pub(super) async fn begin_secret(
        &self,
        name: &'static str,
        by: &Mutation,
        scopes: &[Scope],
    ) -> Result<Transaction, CallError> {
        Ok(self.inner.store.begin(name, by, scopes).await?)
    }
}

/// Commits, and keeps the answer.
pub(super) async fn commit<T>(
    tx: Transaction,
    scope: Scope,
    value: T,
    notices: Vec<String>,
) -> Result<Mutated<T>, CallError>
where
    T: Serialize + DeserializeOwned,
{
    let revision = tx.next_revision(scope)?;
    let mut answer = Mutated { value, revision, confirmed: tx.confirms(), pending: Vec::new(), notices };
    match tx.commit(Some(&answer)).await {
        Ok(committed) => {
            settle(&mut answer, scope, &committed);
            Ok(answer)
        }
        Err(error) => replayed(error),
    }
}

/// Commits an answer that holds a secret.
pub(super) async fn commit_secret<T>(
    tx: Transaction,
    scope: Scope,
    value: T,
    notices: Vec<String>,
) -> Result<Mutated<T>, CallError> {
    let revision = tx.next_revision(scope)?;
    let mut answer = Mutated { value, revision, confirmed: tx.confirms(), pending: Vec::new(), notices };
    let committed = tx.commit_unrecorded().await?;
    settle(&mut answer, scope, &committed);
    Ok(answer)
}

fn settle<T>(answer: &mut Mutated<T>, scope: Scope, committed: &Committed) {
    answer.revision = committed.revisions.get(&scope).copied().unwrap_or(committed.revision);
    answer.confirmed = committed.confirmed;
    if !committed.applied {
        answer.pending.push(String::from("this process, as soon as the store answers again"));
    }
}

fn replayed<T: DeserializeOwned>(error: StoreError) -> Result<Mutated<T>, CallError> {
    match error {
        StoreError::Replayed { answer: Some(bytes) } => {
            serde_json::from_slice(&bytes).map_err(|_| CallError::Replayed)
        }
        error => Err(error.into()),
    }
}

/// Goes on with the transaction, or returns the answer given before.
macro_rules! fresh {
    ($begun:expr) => {
        match $begun {
            $crate::engine::commit::Begun::Fresh(tx) => *tx,
            $crate::engine::commit::Begun::Replayed(answer) => return Ok(answer),
        }
    };
}
pub(super) use fresh;
