//! How a mutation ends: its answer, kept for a second arrival of the same signed request, or the answer kept before.

use lanyard_api::{CallError, Mutated, Mutation, Scope};
use lanyard_store::{Transaction, replayed};
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
    tx.answer(scope, value, notices).await
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
