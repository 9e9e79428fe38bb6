//! How a mutation ends for its caller: with an answer that is kept for a second arrival of the same signed request, or with the
//! one that was kept before.

use lanyard_api::{CallError, Mutated, Scope};
use serde::{Serialize, de::DeserializeOwned};

use super::{Committed, Transaction};
use crate::error::StoreError;

impl Transaction {
    /// Commits, and keeps the answer.
    ///
    /// # Errors
    /// As [`Self::commit`], as a caller is told.
    pub async fn answer<T: Serialize + DeserializeOwned>(
        self,
        scope: Scope,
        value: T,
        notices: Vec<String>,
    ) -> Result<Mutated<T>, CallError> {
        let mut answer = self.unsettled(scope, value, notices)?;
        match self.commit(Some(&answer)).await {
            Ok(committed) => {
                settle(&mut answer, scope, &committed);
                Ok(answer)
            }
            Err(error) => replayed(error),
        }
    }

    /// Commits an answer that holds a secret, and so is given once.
    ///
    /// # Errors
    /// As [`Self::commit_unrecorded`], as a caller is told.
    pub async fn answer_once<T>(
        self,
        scope: Scope,
        value: T,
        notices: Vec<String>,
    ) -> Result<Mutated<T>, CallError> {
        let mut answer = self.unsettled(scope, value, notices)?;
        let committed = self.commit_unrecorded().await?;
        settle(&mut answer, scope, &committed);
        Ok(answer)
    }

    /// The answer as it is kept: with what is known before the commit.
    fn unsettled<T>(&self, scope: Scope, value: T, notices: Vec<String>) -> Result<Mutated<T>, CallError> {
        let revision = self.next_revision(scope)?;
        let (confirmed, update) = (self.confirms(), self.update.clone());
        Ok(Mutated { value, revision, confirmed, pending: Vec::new(), notices, update })
    }
}

fn settle<T>(answer: &mut Mutated<T>, scope: Scope, committed: &Committed) {
    answer.revision = committed.revisions.get(&scope).copied().unwrap_or(committed.revision);
    answer.confirmed = committed.confirmed;
    if !committed.applied {
        answer.pending.push(String::from("this process, as soon as the store answers again"));
    }
}

/// What the first arrival of the same signed request was answered, where that can be told again.
///
/// # Errors
/// Every other error, as a caller is told.
pub fn replayed<T: DeserializeOwned>(error: StoreError) -> Result<Mutated<T>, CallError> {
    match error {
        StoreError::Replayed { answer: Some(bytes) } => {
            serde_json::from_slice(&bytes).map_err(|_| CallError::Replayed)
        }
        error => Err(error.into()),
    }
}
