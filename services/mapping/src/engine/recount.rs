//! Counts administrators anew, once, after the rules have changed by which their rows are made. A row of before may be of somebody who
//! gets in no more: it would let the last one go who does, and refuse to let go of it.

use std::{collections::HashSet, time::Duration};

use lanyard_api::{ClusterUid, Mutation, Scope, mapping::Cluster};
use lanyard_store::{Setting, StoreError};

use super::Mapping;
use crate::administrators::{self, RULES};

/// The mutation's name.
const RECOUNT: &str = "recount_administrators";
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(30);

/// After which time all is counted once more: replicas of the version before, which put rows back as they know them, are gone by then.
pub const RECOUNTED_AFTER: Duration = Duration::from_mins(15);

impl Mapping {
    /// Makes the rows of all clusters' administrators anew, unless that was done by the rules of this version, and returns once it is
    /// done: what fails is tried again. For a task of its own, beside the calls. Several processes may do it at once. It is done twice,
    /// so long apart ([`RECOUNTED_AFTER`]), before it is written down.
    pub async fn recount_administrators(self, apart: Duration) {
        for is_last in [false, true] {
            let mut done = HashSet::new();
            let is_needed = loop {
                match self.recount(&mut done, is_last).await {
                    Ok(is_needed) => break is_needed,
                    Err(error) => tracing::warn!(
                        %error,
                        again_in_seconds = PAUSE.as_secs(),
                        "not all administrators are counted anew: until then the lockout guard goes by rows of an older version"
                    ),
                }
                tokio::time::sleep(PAUSE).await;
            };
            if is_last || !is_needed {
                return;
            }
            tokio::time::sleep(apart).await;
        }
    }

    /// One attempt, at the clusters that are not done; false where there was nothing to do. The last one writes down that it is done.
    async fn recount(&self, done: &mut HashSet<ClusterUid>, is_last: bool) -> Result<bool, StoreError> {
        let store = &self.inner.store;
        if is_counted(store.get::<Setting>(Scope::Hub, Setting::ADMINISTRATOR_RULES).await?.as_ref()) {
            return Ok(false);
        }
        let clusters: Vec<Cluster> = store.list_after(Scope::Hub, "", u32::MAX).await?;
        let mut failed = None;
        for cluster in &clusters {
            if done.contains(&cluster.uid) {
                continue;
            }
            match self.recount_in(cluster.uid).await {
                Ok(()) => {
                    done.insert(cluster.uid);
                }
                // The others need not wait for it.
                Err(error) => {
                    tracing::warn!(%error, cluster.uid = %cluster.uid, "a cluster's administrators were not counted anew");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            // There is nothing of an older version, and nothing to write down.
            None if clusters.is_empty() => Ok(false),
            None if !is_last => Ok(true),
            None => self.counted().await.map(|()| true),
        }
    }

    async fn recount_in(&self, uid: ClusterUid) -> Result<(), StoreError> {
        // Who is none any more could not get in before either: nobody is locked out by saying so.
        let by = Mutation { allow_lockout: true, ..Mutation::system("recount") };
        let mut tx = self.inner.store.begin(RECOUNT, &by, &[Scope::Cluster(uid)]).await?;
        // It may be gone by now.
        let found = tx.get::<Cluster>(Scope::Hub, &uid.to_string()).await?;
        let Some(cluster) = found else { return Ok(()) };
        administrators::sync_cluster(&mut tx, &cluster).await?;
        tx.commit_unrecorded().await.map(drop)
    }

    /// Writes down that it is done.
    async fn counted(&self) -> Result<(), StoreError> {
        let by = Mutation::system("recount");
        let mut tx = self.inner.store.begin(RECOUNT, &by, &[Scope::Hub]).await?;
        // A later version may have done it meanwhile.
        if is_counted(tx.get::<Setting>(Scope::Hub, Setting::ADMINISTRATOR_RULES).await?.as_ref()) {
            return Ok(());
        }
        tx.put(&Setting::new(Setting::ADMINISTRATOR_RULES, RULES.to_string())).await?;
        tx.commit_unrecorded().await.map(drop)
    }
}

/// Whether all rows were made by the rules of this version, or of a later one.
fn is_counted(setting: Option<&Setting>) -> bool {
    setting.is_some_and(|setting| setting.value.parse::<u32>().is_ok_and(|rules| rules >= RULES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_has_counted_is_counted() {
        let setting = |value: &str| Setting::new(Setting::ADMINISTRATOR_RULES, value);
        assert!(!is_counted(None));
        for (value, expected) in [(RULES, true), (RULES + 1, true), (RULES - 1, false)] {
            assert_eq!(is_counted(Some(&setting(&value.to_string()))), expected, "{value}");
        }
        assert!(!is_counted(Some(&setting("x"))));
    }
}
