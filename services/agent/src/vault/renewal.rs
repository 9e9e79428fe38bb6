//! Renewal ahead of the end, while the pod lives; and before that of what the hub may have ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use lanyard_kit::Clock as _;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Entry, NEVER, Schedule, Vault};
use crate::pods::{Mismatch, PodWatch, Stage};
use crate::upstream::Upstream;

/// How often it is looked for what is due.
const INTERVAL: Duration = Duration::from_secs(1);
/// Renewals that are under way at once.
const RENEWALS_MAX: usize = 8;

/// Whether an entry is worth renewing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Renewing,
    Keeping,
    Nothing,
}

impl<U: Upstream> Vault<U> {
    /// Renews what is due and lets go of what is over, again and again, until `stop`.
    pub async fn run(self: Arc<Self>, pods: Option<Arc<PodWatch>>, stop: CancellationToken) {
        let follow = async {
            loop {
                self.renew_due(pods.as_deref()).await;
                tokio::time::sleep(INTERVAL).await;
            }
        };
        let _ = stop.run_until_cancelled(follow).await;
    }

    /// One round.
    pub async fn renew_due(self: &Arc<Self>, pods: Option<&PodWatch>) {
        let now = self.clock.now();
        let mut due = Vec::new();
        for entry in self.shelf.all() {
            match self.worth(&entry, pods) {
                Worth::Nothing => {
                    debug!(token.sha256 = %entry.token.digest(), "credentials are let go: nobody has a use for them");
                    self.shelf.remove(&entry.token.digest());
                }
                Worth::Renewing if entry.is_due(now) || is_in_question(&entry, now) => due.push(entry),
                Worth::Renewing | Worth::Keeping => {}
            }
        }
        let renew = |entry: Arc<Entry>| async move {
            self.renewals.wait().await;
            if self.is_alive(&entry, pods).await {
                // What comes of it is settled where it is fetched.
                let _ = self.fetch(&entry.token).await;
            }
        };
        stream::iter(due).for_each_concurrent(RENEWALS_MAX, renew).await;
    }

    /// Whether the entry's pod lives, by a list that is asked for now: the kept one may be of before the pod was deleted, of long before
    /// where no new one comes, and many renewals that are due at once wait for their turn. Where nobody says so, it is asked again later.
    async fn is_alive(&self, entry: &Entry, pods: Option<&PodWatch>) -> bool {
        let Some(pods) = pods else { return true };
        let now = Instant::now();
        pods.refresh(now).await;
        if pods.current().is_none_or(|listed| listed.asked_at < now) {
            debug!(token.sha256 = %entry.token.digest(), "not renewed: whether its pod lives is not known");
            self.put_off(entry);
            return false;
        }
        self.worth(entry, Some(pods)) == Worth::Renewing
    }

    fn worth(&self, entry: &Entry, pods: Option<&PodWatch>) -> Worth {
        let now = self.clock.now();
        if !entry.answer.load().is_good(now) {
            return Worth::Nothing;
        }
        let worth = match pods {
            None => self.worth_unchecked(entry),
            Some(pods) => worth_of_pod(entry, pods),
        };
        match worth {
            // A token that is over is refused by the other side; the pod has shown its next one long since.
            Worth::Renewing if entry.claims().life.check(now).is_err() => Worth::Keeping,
            worth => worth,
        }
    }

    /// Where nobody says whether the pod lives, somebody has to have asked lately: since what is kept was renewed, or before that.
    fn worth_unchecked(&self, entry: &Entry) -> Worth {
        let unused = self.clock.now().unix_timestamp() - entry.used_at.load(Ordering::Relaxed);
        let is_used = unused <= self.options.schedule.retention_max.whole_seconds().saturating_mul(2);
        if is_used { Worth::Renewing } else { Worth::Keeping }
    }
}

/// Whether it is time to ask the hub about credentials that it made itself: they were handed out since it was asked last. Those of a token
/// of which the pod has a newer one end by themselves.
fn is_in_question(entry: &Entry, now: OffsetDateTime) -> bool {
    let asked_at = entry.asked_at.load(Ordering::Relaxed);
    if !entry.answer.load().is_of_hub || entry.used_at.load(Ordering::Relaxed) <= asked_at {
        return false;
    }
    let after = Schedule::question_after(&entry.token.digest()).whole_seconds();
    asked_at.saturating_add(after) <= now.unix_timestamp() && entry.renew_at.load(Ordering::Relaxed) != NEVER
}

fn worth_of_pod(entry: &Entry, pods: &PodWatch) -> Worth {
    // Without a list nothing is handed out either; whether the pod lives is seen with the next one.
    let Some(listed) = pods.current() else { return Worth::Keeping };
    match listed.list.check(entry.claims(), None) {
        Ok(pod) if pod.stage == Stage::Running => Worth::Renewing,
        Err(Mismatch::NoSuchPod | Mismatch::Over) => Worth::Nothing,
        Ok(_) | Err(_) => Worth::Keeping,
    }
}
