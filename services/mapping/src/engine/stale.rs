//! Stale entries: whose ARN another bears by now, as that one's authority proved at the door.
//!
//! Of accounts that the hub does not keep nobody else tells it. So it is written down, once for each who knocks and for a few of them at
//! most: every replica knows it then, and the lockout guard. `rebind` binds to the last of them, and takes the record away.

use std::time::Duration;

use lanyard_api::{
    Authority, AwsIdentity, EntryId, Mutation, Scope,
    mapping::{AccessEntry, Cluster},
};
use lanyard_store::{StaleEntry, StoreError};
use tokio::time::timeout;

use super::Mapping;
use crate::{
    resolution::{Refused, STALE_ENTRY},
    store::View,
};

/// How long a refusal waits for it to be written: it stands without that, and the next knock tries again.
const WRITE_MAX: Duration = Duration::from_secs(1);

impl Mapping {
    /// Writes down who knocked, where an entry refused them for being bound to another of their name.
    pub(super) async fn note_stale(&self, refused: &Refused, identity: &AwsIdentity, view: &View) {
        if refused.code == STALE_ENTRY {
            // In a box: everybody else's request would carry its state along.
            Box::pin(self.note_knock(identity, view)).await;
        }
    }

    async fn note_knock(&self, identity: &AwsIdentity, view: &View) {
        let (authority, canonical) = (&identity.authority, identity.canonical_arn.as_str());
        let snapshot = &view.snapshot;
        let found = snapshot
            .entry_of(authority, canonical)
            .or_else(|| snapshot.entry_of_several(authority, canonical));
        let Some(entry) = found.map(|entry| &entry.record).filter(|entry| is_kept_elsewhere(entry)) else {
            return;
        };
        let knocked = identity.principal_id.as_str();
        if snapshot.stale(entry.id).is_some_and(|known| !known.takes(knocked)) {
            return;
        }
        let written = timeout(WRITE_MAX, self.write_stale(&view.cluster, entry.id, knocked)).await;
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the store did not answer within {WRITE_MAX:?}"),
        };
        tracing::error!(
            error = %error, cluster.uid = %view.cluster.uid, entry.id = %entry.id,
            "it could not be written that an access entry is stale"
        );
    }

    async fn write_stale(&self, cluster: &Cluster, id: EntryId, knocked: &str) -> Result<(), StoreError> {
        let scope = Scope::Cluster(cluster.uid);
        let by = Mutation::system("stale");
        let mut tx = self.inner.store.begin("note_stale_entry", &by, &[scope]).await?;
        // Others may have held the scope first: who has bound the entry again, or written the same.
        let entry: Option<AccessEntry> = tx.get(scope, &id.to_string()).await?;
        let bound_to = entry.and_then(|entry| entry.principal_id);
        if bound_to.is_none_or(|bound_to| bound_to == knocked) {
            return Ok(());
        }
        let known: Option<StaleEntry> = tx.get(scope, &id.to_string()).await?;
        let since = tx.now();
        let nobody = || StaleEntry { cluster: cluster.uid, entry: id, since, principal_ids: Vec::new() };
        let mut stale = known.unwrap_or_else(nobody);
        if !stale.takes(knocked) {
            return Ok(());
        }
        stale.principal_ids.push(knocked.to_owned());
        tx.put(&stale).await?;
        tx.commit_unrecorded().await?;
        tracing::warn!(
            cluster.uid = %cluster.uid, entry.id = %id, principal.id = knocked,
            "an access entry is stale: another principal than it was made for bears its ARN"
        );
        Ok(())
    }
}

/// Whether the hub cannot see by itself who bears the name.
fn is_kept_elsewhere(entry: &AccessEntry) -> bool {
    entry.authority != Authority::Local || entry.principal_arn.one().is_none()
}
