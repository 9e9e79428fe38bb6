//! The watch on one cluster: a reader for each resource fills the mirror, a pusher brings what changed to the hub.

use std::{sync::Arc, time::Duration};

use futures::future::{join, join_all};
use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, ClusterUid, Mutation, PageQuery, Vouched, authz::Objects,
    mapping::Clusters,
};
use lanyard_kit::Clock;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    api_server::{ApiFault, ApiServer},
    config::SpokeConfig,
    mirror::{Batch, RbacBatch},
    state::{Part, State},
    wire::{Event, Resource, Seen},
};

/// The first pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// Which cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its number.
    pub uid: ClusterUid,
    /// How calls name it.
    pub id: ClusterId,
}

/// Watches one cluster for a hub, whose mapping takes aws-auth and whose authz takes RBAC.
pub(crate) struct Watcher<M, A> {
    pub(crate) mapping: Arc<M>,
    pub(crate) authz: Arc<A>,
    pub(crate) target: Target,
    pub(crate) server: ApiServer,
    pub(crate) config: Arc<SpokeConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Arc<State>,
}

impl<M: Clusters, A: Objects> Watcher<M, A> {
    /// Watches until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let readers = join_all(Resource::ALL.map(|resource| self.read(resource)));
        // Dropped where they wait: what was not pushed is seen again by whoever watches next.
        stop.run_until_cancelled(join(readers, self.push())).await;
    }

    /// Lists and watches one resource, for ever.
    async fn read(&self, resource: Resource) {
        let mut pause = Pause::new(&self.config);
        let mut from: Option<String> = None;
        loop {
            let read = self.read_once(resource, &mut from, &mut pause).await;
            match read {
                // In good order: on with the next watch.
                Ok(()) => continue,
                Err(ReadFault::Api(fault)) if fault.is_expired() => from = None,
                Err(fault) => {
                    let reason = format!("{}: {fault}", resource.name());
                    tracing::warn!(cluster.uid = %self.target.uid, fault = reason, "a spoke cluster is not heard");
                    self.state.fault(Part::Reading(resource), &reason, self.clock.now());
                    if let ReadFault::TooLarge(_) = fault {
                        from = None;
                    }
                    sleep(pause.next()).await;
                }
            }
        }
    }

    /// A list where there is none to go on from, and one watch. `from` is where the next one goes on.
    async fn read_once(
        &self,
        resource: Resource,
        from: &mut Option<String>,
        pause: &mut Pause,
    ) -> Result<(), ReadFault> {
        let version = match from.as_ref() {
            Some(version) => version.clone(),
            None => {
                let (objects, version) = self.list(resource).await?;
                self.state.mirror().listed(resource, objects)?;
                self.state.listed(self.clock.now());
                from.insert(version).clone()
            }
        };
        let mut watch = self.server.watch(resource, &version).await?;
        self.state.well(Part::Reading(resource));
        pause.reset();
        while let Some(event) = watch.next().await? {
            let version = match event {
                Event::Put(seen, version) => {
                    self.state.mirror().put(resource, seen)?;
                    version
                }
                Event::Gone(key, version) => {
                    self.state.mirror().gone(resource, &key);
                    version
                }
                Event::Bookmark(version) => {
                    *from = Some(version);
                    continue;
                }
                Event::Expired => {
                    *from = None;
                    return Ok(());
                }
                Event::Ended(reason) => return Err(ApiFault::Ended(reason).into()),
            };
            *from = Some(version);
            self.state.seen(self.clock.now());
        }
        Ok(())
    }

    /// All parts of a list. One that expires between two parts is begun anew by whoever asked.
    async fn list(&self, resource: Resource) -> Result<(Vec<Seen>, String), ReadFault> {
        let (mut objects, mut bytes, mut next) = (Vec::<Seen>::new(), 0, None);
        loop {
            let page = self.server.list(resource, next.as_deref()).await?;
            bytes += page.objects.iter().map(|seen| seen.document.len()).sum::<usize>();
            objects.extend(page.objects);
            if objects.len() > self.config.objects_max || bytes > self.config.rbac_bytes_max {
                // Refused by the mirror; not read to its end, for it may have none.
                return Ok((objects, page.version));
            }
            match page.next {
                Some(more) => next = Some(more),
                None => return Ok((objects, page.version)),
            }
        }
    }

    /// Brings what changed to the hub, for ever.
    async fn push(&self) {
        let gather = Duration::from_millis(self.config.batch_milliseconds);
        let least = Duration::from_millis(self.config.push_milliseconds);
        let resync = Duration::from_secs(self.config.resync_seconds);
        let mut pause = Pause::new(&self.config);
        let mut resynced = Instant::now();
        let mut not_before = Instant::now();
        loop {
            let due = resynced + resync;
            if timeout(due.saturating_duration_since(Instant::now()), self.state.changed.notified())
                .await
                .is_err()
            {
                resynced = Instant::now();
                let mut mirror = self.state.mirror();
                mirror.rbac_untaken();
                mirror.aws_auth_untaken();
            }
            sleep(gather).await;
            sleep_until(not_before).await;
            // Somebody else may be watching by now; what was seen is kept for when the lease is ours again.
            if !self.state.holds_lease() {
                self.state.changed.notify_one();
                sleep(PAUSE).await;
                continue;
            }
            let batch = self.state.mirror().take();
            not_before = Instant::now() + least;
            if self.push_batch(batch).await {
                pause.reset();
            } else {
                self.state.changed.notify_one();
                sleep(pause.next()).await;
            }
        }
    }

    /// Whether the hub has taken all of it.
    async fn push_batch(&self, batch: Batch) -> bool {
        let mut all = true;
        if let Some(rbac) = batch.rbac {
            let pushed = self.push_rbac(rbac).await;
            if !self.settle(Part::Rbac, pushed) {
                self.state.mirror().rbac_untaken();
                all = false;
            }
        }
        if let Some(content) = batch.aws_auth {
            let pushed =
                self.mapping.push_aws_auth(self.by(), self.target.id.clone(), content.to_string()).await;
            if !self.settle(Part::AwsAuth, pushed.map(drop)) {
                self.state.mirror().aws_auth_untaken();
                all = false;
            }
        }
        all
    }

    fn settle(&self, part: Part, pushed: Result<(), CallError>) -> bool {
        match pushed {
            Ok(()) => {
                self.state.well(part);
                self.state.pushed(self.clock.now());
                true
            }
            Err(error) => {
                let what = if part == Part::AwsAuth { "aws-auth" } else { "RBAC" };
                let reason = format!("the hub does not take {what}: {error}");
                tracing::warn!(cluster.uid = %self.target.uid, fault = reason, "what is seen of a spoke is not taken");
                self.state.fault(part, &reason, self.clock.now());
                false
            }
        }
    }

    async fn push_rbac(&self, batch: RbacBatch) -> Result<(), CallError> {
        let (documents, replace) = match batch {
            RbacBatch::Whole(documents) => (documents, true),
            RbacBatch::Some(documents) => (documents, false),
            RbacBatch::Nothing => return self.clear_rbac().await,
        };
        let id = self.target.id.clone();
        self.authz.apply_objects(self.by(), id, documents, replace).await.map(drop)
    }

    /// Takes everything away by name. An apply refuses to replace all with nothing, for a person who does that means something
    /// else; a cluster without RBAC means it.
    async fn clear_rbac(&self) -> Result<(), CallError> {
        loop {
            let id = || self.target.id.clone();
            let page = self.authz.list_objects(self.actor(), id(), PageQuery::default()).await?;
            if page.items.is_empty() {
                return Ok(());
            }
            for object in page.items {
                match self.authz.delete_object(self.by(), id(), object.key()).await {
                    Ok(_) | Err(CallError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn by(&self) -> Mutation {
        Mutation::by(self.actor())
    }

    /// The cluster itself. In one process nobody stands between; else the hub finds out by certificate whether it is so.
    fn actor(&self) -> Vouched<Actor> {
        let kind = ActorKind::Spoke { cluster: self.target.uid };
        Vouched::in_process(Actor {
            kind,
            allowed_by: "the spoke service".to_owned(),
            ..Actor::system("spoke")
        })
    }
}

/// Why a resource is not seen.
#[derive(Debug, thiserror::Error)]
enum ReadFault {
    #[error(transparent)]
    Api(#[from] ApiFault),
    #[error(transparent)]
    TooLarge(#[from] crate::mirror::TooLarge),
}

/// Pauses that double, up to a limit.
struct Pause {
    next: Duration,
    max: Duration,
}

impl Pause {
    fn new(config: &SpokeConfig) -> Self {
        Self { next: PAUSE, max: Duration::from_secs(config.pause_seconds_max).max(PAUSE) }
    }

    fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.max);
        now
    }

    fn reset(&mut self) {
        self.next = PAUSE;
    }
}
