//! Pinning: an entry that was written without the unique id of its principal is bound to that of whoever knocks first.
//!
//! The one write that a login can bring about, beside the use of a break-glass credential. It is compare-and-set: of two who
//! come at once one is the principal, and the other is as good as one of a stale entry. Where it cannot be written, nobody is let
//! in by the entry. The write may wait, so that blocks are looked at again behind it.

use std::{sync::Arc, time::Duration};

use lanyard_api::{
    AwsIdentity, BlockId, ClusterUid, Fault, Mutation, Scope,
    mapping::{AccessEntry, Block, Resolution},
};
use lanyard_store::StoreError;
use tokio::time::Instant;

use super::{
    Mapping,
    resolve::{unknown_cluster, unmapped},
};
use crate::{
    administrators, badge,
    blocks::BlockSet,
    knock::Knock,
    resolution::{Asks, Refused, SESSION_KIN},
    store::View,
};

/// How long a login waits for what was written to come round: as long as the feed's poll takes, where its notice was lost.
const READ_BACK_MAX: Duration = Duration::from_secs(2);

/// Who is named as the part that is away.
const STORE: &str = "the store";

impl Mapping {
    /// The badge of somebody whom an entry waits for, once it is pinned to them.
    pub(super) async fn answer_pinned(
        &self,
        view: &View,
        knock: &Knock<'_>,
        identity: &AwsIdentity,
    ) -> Result<Resolution, Fault> {
        let mut changes = self.inner.signal.listen();
        match self.pin(view, knock).await {
            Ok(None) => {}
            Ok(Some(block)) => return Ok(Resolution::Blocked(block)),
            Err(error) => {
                tracing::error!(error = %error, cluster.uid = %view.cluster.uid, "an access entry could not be pinned");
                return Err(error.into());
            }
        }
        // Somebody else may have pinned it, here or in another process, so that it is on its way to this one.
        let deadline = Instant::now() + READ_BACK_MAX;
        loop {
            match self.answer_once(view.cluster.uid, knock, identity).await? {
                Some(resolution) => return Ok(resolution),
                None if tokio::time::timeout_at(deadline, changes.next()).await.is_ok() => {}
                None => {
                    let detail = "the entry was pinned, and is not read back yet".into();
                    return Err(Fault::Unavailable { part: STORE.into(), detail });
                }
            }
        }
    }

    /// The answer, but for as long as the entry waits still as far as this process knows.
    async fn answer_once(
        &self,
        cluster: ClusterUid,
        knock: &Knock<'_>,
        identity: &AwsIdentity,
    ) -> Result<Option<Resolution>, Fault> {
        let Some(view) = self.view(cluster).await? else {
            return Ok(Some(unknown_cluster()));
        };
        // Again: the write took its time, and who was blocked meanwhile is not let in.
        if let Some(block) = view.blocked(knock) {
            return Ok(Some(Resolution::Blocked(block)));
        }
        let now = self.inner.store.clock().now();
        Ok(match self.badge_for(&view, knock, now).await? {
            Ok(found) => {
                let key = self.inner.proof_key.get();
                Some(match badge::user_info(found, identity, &view.cluster, &key, now) {
                    Ok(mapped) => Resolution::Mapped(Arc::new(mapped)),
                    Err(error) => unmapped(Refused::new(SESSION_KIN, error.to_string()), Vec::new()),
                })
            }
            Err(refused) if refused.asks == Some(Asks::Pin) => None,
            Err(refused) => {
                self.note_stale(&refused, identity, &view).await;
                Some(unmapped(refused, Vec::new()))
            }
        })
    }

    /// Binds the entry to whoever knocks, unless it is bound by now or may not be any more, or they are blocked by now: by what is
    /// answered.
    async fn pin(&self, view: &View, knock: &Knock<'_>) -> Result<Option<BlockId>, StoreError> {
        let (authority, canonical) = (knock.authority, knock.canonical.as_str());
        let snapshot = &view.snapshot;
        let found = snapshot
            .entry_of(authority, canonical)
            .or_else(|| snapshot.entry_of_several(authority, canonical));
        let (Some(entry), Some(principal_id)) = (found, knock.principal_id) else { return Ok(None) };
        let scope = Scope::Cluster(view.cluster.uid);
        let by = Mutation::system("pin");
        let mut tx = self.inner.store.begin("pin_access_entry", &by, &[scope]).await?;
        // Others may have held the scope first: who was blocked meanwhile does not get the entry. The store is asked, for memory hears
        // of what was written only once the scope is free again, and of another process's writes later still.
        for place in [Scope::Hub, Scope::Account(view.cluster.account), scope] {
            let blocks: Vec<Block> = tx.list(place).await?;
            let block = BlockSet::compile(&blocks).find(knock);
            if block.is_some() {
                return Ok(block);
            }
        }
        let now = tx.now();
        let stored: Option<AccessEntry> = tx.get(scope, &entry.record.id.to_string()).await?;
        let waits = |entry: &AccessEntry| {
            entry.principal_id.is_none() && entry.pin_until.is_some_and(|until| now < until)
        };
        let Some(before) = stored.filter(waits) else { return Ok(None) };
        let after = AccessEntry {
            principal_id: Some(principal_id.to_owned()),
            pin_until: None,
            modified_at: now,
            ..before
        };
        tx.put(&after).await?;
        administrators::sync_entry(&mut tx, &after).await?;
        tx.commit_unrecorded().await?;
        tracing::info!(
            cluster.uid = %view.cluster.uid, entry.id = %after.id, principal.id = principal_id,
            "an access entry was pinned to the principal that knocked first"
        );
        Ok(None)
    }
}
