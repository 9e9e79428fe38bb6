//! The watch on one cluster: a reader for each resource fills the mirror, a pusher brings what changed to the hub.

use std::{sync::Arc, time::Duration};

use futures::future::{join_all, join3};
use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, ClusterUid, Fault, Mutation, PageQuery, Vouched,
    authz::{ObjectBatch, Objects},
    credentials::{IssuerDocuments, Workloads},
    mapping::Clusters,
};
use lanyard_kit::{
    Clock,
    http_client::HttpFault,
    telemetry::{names, trace::span},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    api_server::{ApiFault, ApiServer},
    config::SpokeConfig,
    mirror::{Batch, Push, RbacBatch},
    part_limit::PartLimit,
    state::{Part, State},
    telemetry::{Kind, Outcome, Read, Telemetry},
    wire::{Event, Page, Resource, Seen, one_line},
};

/// The first pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest that a part waits because the hub says so: what the hub goes by may have been changed since.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// A watch that is over sooner than this was of little use: whoever ends or breaks one after the other, or answers to each that its
/// beginning is too long ago, is asked less and less often.
const SHORT: Duration = Duration::from_secs(5);

/// Which cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its number.
    pub uid: ClusterUid,
    /// How calls name it.
    pub id: ClusterId,
}

/// Watches one cluster for a hub: its mapping takes aws-auth, its authz RBAC, its credentials ServiceAccounts and their issuer.
pub(crate) struct Watcher<M, A, C> {
    pub(crate) mapping: Arc<M>,
    pub(crate) authz: Arc<A>,
    pub(crate) credentials: Arc<C>,
    pub(crate) target: Target,
    pub(crate) server: ApiServer,
    pub(crate) config: Arc<SpokeConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Arc<State>,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl<M: Clusters, A: Objects, C: Workloads> Watcher<M, A, C> {
    /// Watches until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let readers = join_all(Resource::ALL.map(|resource| self.read(resource)));
        // Dropped where they wait: what was not pushed is seen again by whoever watches next.
        stop.run_until_cancelled(join3(readers, self.read_issuer(), self.push())).await;
    }

    /// Lists and watches one resource, for ever.
    async fn read(&self, resource: Resource) {
        let mut pace = Pace::new(&self.config);
        let mut from: Option<String> = None;
        loop {
            let is_listed = from.is_none();
            let mut opened: Option<Instant> = None;
            let read = self.read_once(resource, &mut from, &mut opened).await;
            let lasted = opened.map_or(Duration::ZERO, |at| at.elapsed());
            let pause = match read {
                Ok(()) if from.is_none() => pace.after_expiry(lasted, is_listed),
                // In good order: on with the next watch.
                Ok(()) => pace.after_end(lasted),
                Err(ReadFault::Api(fault)) if fault.is_expired() => {
                    from = None;
                    pace.after_expiry(lasted, is_listed)
                }
                Err(fault) => {
                    let reason = format!("{}: {fault}", resource.name());
                    tracing::warn!(cluster.uid = %self.target.uid, fault = reason, "a spoke cluster is not heard");
                    self.state.fault(Part::Reading(resource), &reason, self.clock.now());
                    self.telemetry.read_fault(Read::Resource(resource), Kind::from(&fault));
                    if fault.spoils_beginning(opened.is_some()) {
                        from = None;
                    }
                    Some(pace.after_fault(lasted))
                }
            };
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
    }

    /// A list where there is none to go on from, and one watch, asked for at `opened` if it was granted. `from` is where the next one goes on.
    async fn read_once(
        &self,
        resource: Resource,
        from: &mut Option<String>,
        opened: &mut Option<Instant>,
    ) -> Result<(), ReadFault> {
        let version = match from.as_ref() {
            Some(version) => version.clone(),
            None => {
                let (objects, version) = self.list(resource).await?;
                self.state.mirror().listed(resource, objects)?;
                self.state.listed(self.clock.now());
                self.telemetry.listed(Read::Resource(resource));
                from.insert(version).clone()
            }
        };
        let asked = Instant::now();
        let mut watch = self.server.watch(resource, &version).await?;
        // What lies between may keep the head of the answer until there is an event.
        *opened = Some(asked);
        self.state.well(Part::Reading(resource));
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
        let (mut objects, mut bytes, mut parts, mut next) = (Vec::<Seen>::new(), 0, 0, None);
        let bounds = self.config.bounds_of(resource);
        let mut limit = PartLimit::new(&self.config);
        loop {
            // A part may be empty, where all that was looked at for it is left out; but not of any number.
            parts += 1;
            if parts > bounds.objects_max {
                return Err(ApiFault::Endless(bounds.objects_max).into());
            }
            let page = self.part(resource, next.as_deref(), objects.last(), &mut limit).await?;
            bytes += page.objects.iter().map(|seen| seen.content.bytes()).sum::<usize>();
            objects.extend(page.objects);
            if objects.len() > bounds.objects_max || bytes > bounds.bytes_max {
                // Refused by the mirror; not read to its end, for it may have none.
                return Ok((objects, page.version));
            }
            match page.next {
                Some(more) => next = Some(more),
                None => return Ok((objects, page.version)),
            }
        }
    }

    /// The part of a list that goes on at `next`, after the object `last`. One that is too long is let go, and asked for again with half as
    /// many objects: `next` says where a part begins and as of when, and nothing of its limit (Kubernetes, `storage.EncodeContinue`).
    async fn part(
        &self,
        resource: Resource,
        next: Option<&str>,
        last: Option<&Seen>,
        limit: &mut PartLimit,
    ) -> Result<Page, ApiFault> {
        loop {
            match self.server.list(resource, next, limit.objects()).await {
                Ok(page) => {
                    limit.was_read(page.bytes);
                    return Ok(page);
                }
                Err(ApiFault::Http(HttpFault::TooLarge { bytes_max, .. })) => {
                    if !limit.halve() {
                        return Err(ApiFault::ObjectTooLong { place: place_after(last), bytes_max });
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Reads the issuer and its keys, for ever: API servers have no watch on them.
    async fn read_issuer(&self) {
        let interval = Duration::from_secs(self.config.issuer_seconds);
        let mut pause = Pause::new(&self.config);
        loop {
            self.look_at_reviews().await;
            match self.server.issuer().await {
                Ok(documents) => {
                    self.state.mirror().see_issuer(documents);
                    self.state.well(Part::ReadingIssuer);
                    self.state.issuer_read(self.clock.now());
                    self.telemetry.listed(Read::Issuer);
                    pause.reset();
                    sleep(interval).await;
                }
                Err(fault) => {
                    let reason = format!("the issuer of ServiceAccount tokens: {fault}");
                    tracing::warn!(cluster.uid = %self.target.uid, fault = reason, "a spoke cluster's issuer is not read");
                    self.state.fault(Part::ReadingIssuer, &reason, self.clock.now());
                    self.telemetry.read_fault(Read::Issuer, Kind::from(&fault));
                    sleep(pause.next()).await;
                }
            }
        }
    }

    /// Looks whether the hub may ask this API server about pods. Who watches from inside of the cluster is asked nothing, for the hub
    /// does not reach in.
    async fn look_at_reviews(&self) {
        if self.state.lease_term().is_none() {
            return;
        }
        let may = self.server.may_review_pods().await;
        if let Err(fault) = &may {
            tracing::debug!(cluster.uid = %self.target.uid, %fault, "it is not known whether a spoke cluster reviews pods' tokens");
        }
        self.state.may_review_pods(may.ok());
    }

    /// Brings what changed to the hub, for ever.
    async fn push(&self) {
        let gather = Duration::from_millis(self.config.batch_milliseconds);
        let least = Duration::from_millis(self.config.push_milliseconds);
        let resync = Duration::from_secs(self.config.resync_seconds);
        let mut turns = Push::ALL.map(|push| Turn::new(push, &self.config));
        let mut resynced = Instant::now();
        let mut not_before = Instant::now();
        loop {
            let resync_due = resynced + resync;
            let due = turns.iter().filter_map(|turn| turn.again_at).fold(resync_due, Instant::min);
            let _ =
                timeout(due.saturating_duration_since(Instant::now()), self.state.changed.notified()).await;
            if Instant::now() >= resync_due {
                resynced = Instant::now();
                self.state.nothing_is_taken();
            }
            sleep(gather).await;
            sleep_until(not_before).await;
            // Somebody else may be watching by now; what was seen is kept for when the lease is ours again.
            if !self.state.holds_lease() {
                self.state.changed.notify_one();
                sleep(PAUSE).await;
                continue;
            }
            not_before = Instant::now() + least;
            for turn in turns.iter_mut().filter(|turn| !turn.waits()) {
                let batch = self.state.mirror().take(turn.push);
                match batch {
                    None => turn.went(),
                    Some(batch) => match self.push_one(turn.push, batch).await {
                        Ok(()) => turn.went(),
                        Err(Untaken { wait }) => turn.failed(wait),
                    },
                }
            }
        }
    }

    /// Brings a part to the hub. What it does not take is pushed again, as it is by then.
    async fn push_one(&self, push: Push, batch: Batch) -> Result<(), Untaken> {
        let (part, now) = (Part::Pushing(push), || self.clock.now());
        let sent = span::own(names::SPOKE_PUSH_SPAN, Box::pin(self.send(batch))).await;
        self.telemetry.pushed(push, sent.as_ref().map_or_else(Outcome::from, |_| Outcome::Taken));
        match sent {
            Ok(Taken { refused, is_all }) => {
                self.state.refused(push, refused, is_all);
                self.state.well(part);
                self.state.pushed(now());
                Ok(())
            }
            Err(error) => {
                self.state.mirror().untaken(push);
                if matches!(&error, CallError::Precondition { rule: "lease_lost", .. }) {
                    tracing::info!(cluster.uid = %self.target.uid, "another replica watches this spoke cluster by now");
                    self.state.lease_lost();
                    return Err(Untaken::default());
                }
                let reason = format!("the hub does not take {}: {error}", push.name());
                tracing::warn!(cluster.uid = %self.target.uid, fault = reason, "what is seen of a spoke is not taken");
                self.state.fault(part, &reason, now());
                Err(Untaken::by(&error))
            }
        }
    }

    async fn send(&self, batch: Batch) -> Result<Taken, CallError> {
        let (by, id) = (self.by(), self.target.id.clone());
        match batch {
            Batch::Rbac(RbacBatch::Nothing) => self.clear_rbac().await.map(|()| Taken::ALL),
            Batch::Rbac(RbacBatch::Whole(documents)) => self.send_rbac(documents, true).await,
            Batch::Rbac(RbacBatch::Some(documents)) => self.send_rbac(documents, false).await,
            Batch::AwsAuth(content) => {
                self.mapping.push_aws_auth(by, id, content.to_string()).await.map(|_| Taken::ALL)
            }
            Batch::ServiceAccounts(batch) => {
                let is_all = batch.replace;
                let applied = self.credentials.apply_service_accounts(by, id, batch).await?;
                Ok(Taken { refused: applied.value.refused, is_all })
            }
            Batch::Issuer(documents) => {
                let documents = IssuerDocuments::clone(&documents);
                self.credentials.push_issuer(by, id, documents).await.map(|_| Taken::ALL)
            }
        }
    }

    async fn send_rbac(&self, documents: String, replace: bool) -> Result<Taken, CallError> {
        let batch = ObjectBatch { documents, replace, partial: true };
        let applied = self.authz.apply_objects(self.by(), self.target.id.clone(), batch).await?;
        Ok(Taken { refused: applied.value.refused, is_all: replace })
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

    /// With the lease, so that what was seen under an earlier one is never put over what its next holder saw.
    fn by(&self) -> Mutation {
        Mutation { lease_term: self.state.lease_term(), ..Mutation::by(self.actor()) }
    }

    /// The cluster itself. In one process nobody stands between; else the hub finds out by certificate whether it is so.
    fn actor(&self) -> Vouched<Actor> {
        spoke(&self.target)
    }
}

/// Where the next object of a list stands. Lists are in the order of namespaces and names, as `kubectl get` shows them.
fn place_after(last: Option<&Seen>) -> String {
    match last {
        None => "the first of the list".to_owned(),
        Some(seen) => format!("the one after `{}`", one_line(seen.key.trim_start_matches('/'))),
    }
}

/// A cluster itself, as who watches it calls the hub.
pub(crate) fn spoke(target: &Target) -> Vouched<Actor> {
    let kind = ActorKind::Spoke { cluster: target.uid };
    Vouched::in_process(Actor { kind, allowed_by: "the spoke service".to_owned(), ..Actor::system("spoke") })
}

/// What became of a part that the hub has taken.
struct Taken {
    /// Objects that it has left out.
    refused: Vec<String>,
    /// Whether these are all that it leaves out.
    is_all: bool,
}

impl Taken {
    const ALL: Self = Self { refused: Vec::new(), is_all: true };
}

/// A part that the hub did not take.
#[derive(Debug, Default, PartialEq, Eq)]
struct Untaken {
    /// How long the hub has said to wait, at least.
    wait: Duration,
}

impl Untaken {
    fn by(error: &CallError) -> Self {
        match error {
            CallError::Fault(Fault::Throttled { retry_after, .. }) => {
                Self { wait: retry_after.unwrap_or_default() }
            }
            _ => Self::default(),
        }
    }
}

/// When a part is pushed: a part that the hub does not take waits by itself.
struct Turn {
    push: Push,
    pause: Pause,
    again_at: Option<Instant>,
}

impl Turn {
    fn new(push: Push, config: &SpokeConfig) -> Self {
        Self { push, pause: Pause::new(config), again_at: None }
    }

    fn waits(&self) -> bool {
        self.again_at.is_some_and(|at| Instant::now() < at)
    }

    fn went(&mut self) {
        self.again_at = None;
        self.pause.reset();
    }

    /// Not before the hub has said to come again, within reason.
    fn failed(&mut self, wait: Duration) {
        self.again_at = Some(Instant::now() + self.pause.next().max(wait.min(WAIT_MAX)));
    }
}

/// Why a resource is not seen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFault {
    #[error(transparent)]
    Api(#[from] ApiFault),
    #[error(transparent)]
    TooLarge(#[from] crate::mirror::TooLarge),
}

impl ReadFault {
    /// Whether the version that there is to go on from is of no use any more. After a watch that was not granted because nobody was there
    /// who could, it may not be: who was away may be back as of an earlier moment, out of a backup. A watch from what is a later one there
    /// would be granted, and tell nothing of what was before it.
    fn spoils_beginning(&self, was_granted: bool) -> bool {
        match self {
            Self::TooLarge(_) => true,
            Self::Api(fault) => !was_granted && fault.is_away(),
        }
    }
}

/// What lies between a list or watch and the next.
struct Pace {
    short: Duration,
    pause: Pause,
}

impl Pace {
    fn new(config: &SpokeConfig) -> Self {
        // Those that are asked for may be short themselves.
        Self { short: SHORT.min(Duration::from_secs(config.watch_seconds) / 2), pause: Pause::new(config) }
    }

    /// After a watch that went on for so long and ended in good order: no pause, unless it ended as soon as it began.
    fn after_end(&mut self, lasted: Duration) -> Option<Duration> {
        if lasted < self.short {
            return Some(self.pause.next());
        }
        self.pause.reset();
        None
    }

    /// After a watch whose beginning was too long ago. One from an earlier list may well be so, as after an outage, and there is a list at
    /// once however much failed before; whoever says it of one that was just listed is not listed again without a pause.
    fn after_expiry(&mut self, lasted: Duration, is_listed: bool) -> Option<Duration> {
        if is_listed || lasted >= self.short { self.after_end(lasted) } else { None }
    }

    /// After one that was cut, or could not begin and so lasted no time. A watch that went on for a while makes up for what came before;
    /// a list, or an answer, that was long in coming does not.
    fn after_fault(&mut self, lasted: Duration) -> Duration {
        if lasted >= self.short {
            self.pause.reset();
        }
        self.pause.next()
    }
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::Router;
    use lanyard_api::grpc::Remote;
    use lanyard_kit::SystemClock;
    use serde_json::{Value, json};
    use tonic::service::Routes;

    use super::*;
    use crate::stand_in::{serve, server_at};

    /// Far above what anything here takes, so that a hang is a failure rather than a wait.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// The watch on an API server that answers so, for a hub that takes nothing.
    async fn watcher_of(
        routes: Router,
        config: SpokeConfig,
    ) -> (Watcher<Remote<Routes>, Remote<Routes>, Remote<Routes>>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (address, authority) = serve(folder.path(), routes).await;
        let remote = || Arc::new(Remote::new(Routes::builder().routes()));
        let watcher = Watcher {
            mapping: remote(),
            authz: remote(),
            credentials: remote(),
            target: Target { uid: ClusterUid::random(), id: "spoke".parse().unwrap() },
            server: server_at(address, authority, &config),
            clock: Arc::new(SystemClock),
            state: Arc::new(State::new(&config)),
            telemetry: Arc::new(Telemetry::new()),
            config: Arc::new(config),
        };
        (watcher, folder)
    }

    #[test]
    fn watches_that_end_as_they_begin_are_begun_anew_less_and_less_often() {
        let mut pace = Pace::new(&SpokeConfig { pause_seconds_max: 1, ..SpokeConfig::default() });
        let milliseconds = Duration::from_millis;
        let ends = |pace: &mut Pace, lasted| pace.after_end(milliseconds(lasted));
        let breaks = |pace: &mut Pace, lasted| pace.after_fault(milliseconds(lasted));
        for (lasted, pause) in [(0, 250), (4_999, 500), (1, 1_000), (1, 1_000)] {
            assert_eq!(ends(&mut pace, lasted), Some(milliseconds(pause)));
        }
        assert_eq!([ends(&mut pace, 5_000), ends(&mut pace, 240_000)], [None, None]);
        assert_eq!(ends(&mut pace, 1), Some(milliseconds(250)), "one that went on makes up for those before");
        // One that opens and breaks at once is no better than one that does not open.
        for (lasted, pause) in [(1, 500), (4_999, 1_000), (5_000, 250), (0, 500)] {
            assert_eq!(breaks(&mut pace, lasted), milliseconds(pause));
        }
        // Another beginning is listed at once, but not after each list.
        assert_eq!(pace.after_expiry(milliseconds(1), false), None);
        for (lasted, pause) in [(0, 1_000), (4_999, 1_000)] {
            assert_eq!(pace.after_expiry(milliseconds(lasted), true), Some(milliseconds(pause)));
        }
        assert_eq!(
            [true, false].map(|is_listed| pace.after_expiry(milliseconds(5_000), is_listed)),
            [None, None]
        );
        assert_eq!(ends(&mut pace, 0), Some(milliseconds(250)), "one that went on makes up for those before");
        let mut asked_short = Pace::new(&SpokeConfig { watch_seconds: 1, ..SpokeConfig::default() });
        assert_eq!(ends(&mut asked_short, 1_000), None, "as long as was asked for");
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_not_read_for_ever() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let empty =
            json!({ "metadata": { "resourceVersion": "1", "continue": "more" }, "items": [] }).to_string();
        let routes = Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let empty = empty.clone();
            async move { empty }
        });
        let config = SpokeConfig { objects_max: 7, ..SpokeConfig::default() };
        let (watcher, _folder) = watcher_of(routes, config).await;
        let fault = watcher.list(Resource::Roles).await.unwrap_err();
        assert!(matches!(fault, ReadFault::Api(ApiFault::Endless(7))), "{fault}");
        assert_eq!(asked.load(Ordering::Relaxed), 7);
    }

    /// Roles, of which some bear more annotations than others.
    fn roles(annotations: &[usize]) -> Vec<Value> {
        let role = |(number, bytes): (usize, &usize)| {
            let metadata = json!({
                "name": format!("r{number:02}"), "namespace": "n", "annotations": { "a": "x".repeat(*bytes) },
            });
            json!({ "metadata": metadata, "rules": [] })
        };
        annotations.iter().enumerate().map(role).collect()
    }

    /// What an API server was asked: from where on, and how many.
    type Asked = Arc<Mutex<Vec<(usize, usize)>>>;

    /// An API server that gives them in parts as long as they are asked for with.
    fn in_parts(roles: Vec<Value>) -> (Router, Asked) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let roles = Arc::new(roles);
        let routes = Router::new().fallback(move |uri: http::Uri| {
            let number = |name: &str| {
                let mut pairs =
                    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
                pairs.find(|(key, _)| key == name).map(|(_, value)| value.parse::<usize>().unwrap())
            };
            let (from, limit) = (number("continue").unwrap_or_default(), number("limit").unwrap());
            noted.lock().unwrap().push((from, limit));
            let end = (from + limit).min(roles.len());
            let next = if end < roles.len() { end.to_string() } else { String::new() };
            let metadata = json!({ "resourceVersion": "7", "continue": next });
            let part = json!({ "metadata": metadata, "items": roles[from..end].to_vec() }).to_string();
            async move { part }
        });
        (routes, asked)
    }

    #[tokio::test]
    async fn a_part_that_is_too_long_is_asked_for_again_with_fewer_objects_from_the_same_place_on() {
        let (routes, asked) = in_parts(roles(&[0, 0, 0, 0, 3_000, 3_000, 3_000, 0, 0, 0, 0, 0]));
        let config = SpokeConfig { page_objects: 8, answer_bytes_max: 5_000, ..SpokeConfig::default() };
        let (watcher, _folder) = watcher_of(routes, config).await;
        let (objects, version) = watcher.list(Resource::Roles).await.unwrap();
        let keys: Vec<String> = objects.into_iter().map(|seen| seen.key).collect();
        let all: Vec<String> = (0..12).map(|number| format!("n/r{number:02}")).collect();
        assert_eq!((keys, version.as_str()), (all, "7"));
        let refused_and_read =
            [(0, 8), (0, 4), (4, 8), (4, 4), (4, 2), (4, 1), (5, 1), (6, 1), (7, 1), (8, 2), (10, 4)];
        assert_eq!(*asked.lock().unwrap(), refused_and_read);
    }

    #[tokio::test]
    async fn an_object_that_is_too_long_by_itself_is_told_by_its_place_with_the_limit_that_it_breaks() {
        let cases: [(&[usize], &str); 2] = [
            (&[6_000, 0, 0], "it is the first of the list"),
            (&[0, 0, 0, 6_000, 0], "it is the one after `n/r02`"),
        ];
        for (annotations, place) in cases {
            let (routes, asked) = in_parts(roles(annotations));
            let config = SpokeConfig { page_objects: 2, answer_bytes_max: 5_000, ..SpokeConfig::default() };
            let (watcher, _folder) = watcher_of(routes, config).await;
            let told = watcher.list(Resource::Roles).await.unwrap_err().to_string();
            for part in [place, "more than 5000 bytes", "spoke.answer_bytes_max", "--answer-bytes-max"] {
                assert!(told.contains(part), "{part}: {told}");
            }
            let long = annotations.iter().position(|bytes| *bytes > 0).unwrap();
            assert_eq!(asked.lock().unwrap().last(), Some(&(long, 1)));
        }
    }

    #[tokio::test]
    async fn a_list_that_expires_between_two_parts_is_begun_anew() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let routes = Router::new().fallback(move |uri: http::Uri| {
            let noted = Arc::clone(&noted);
            async move {
                let query = uri.query().unwrap_or_default();
                if query.contains("watch=true") {
                    std::future::pending::<()>().await;
                }
                let is_next = query.contains("continue=more");
                let count = {
                    let mut noted = noted.lock().unwrap();
                    noted.push(is_next);
                    noted.len()
                };
                if count == 2 {
                    return Err(http::StatusCode::GONE);
                }
                let (name, next) = if is_next { ("b", "") } else { ("a", "more") };
                let metadata = json!({ "resourceVersion": "7", "continue": next });
                let role = json!({ "metadata": { "name": name, "namespace": "n" }, "rules": [] });
                Ok(json!({ "metadata": metadata, "items": [role] }).to_string())
            }
        });
        let (watcher, _folder) = watcher_of(routes, SpokeConfig::default()).await;
        let seen = async {
            while watcher.state.mirror().objects() != 2 {
                watcher.state.changed.notified().await;
            }
        };
        tokio::select! {
            () = watcher.read(Resource::Roles) => unreachable!("it is read for ever"),
            seen = timeout(PATIENCE, seen) => seen.expect("it is listed anew"),
        }
        assert_eq!(*asked.lock().unwrap(), [false, true, false, true]);
    }

    #[tokio::test]
    async fn an_api_server_that_was_away_is_listed_anew_for_it_may_be_back_as_of_an_earlier_moment() {
        let (lists, watches) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let routes = Router::new().fallback(move |uri: http::Uri| {
            let (lists, watches) = (Arc::clone(&lists), Arc::clone(&watches));
            async move {
                if uri.query().is_some_and(|query| query.contains("watch=true")) {
                    if watches.fetch_add(1, Ordering::Relaxed) == 0 {
                        return Err(http::StatusCode::SERVICE_UNAVAILABLE);
                    }
                    // Of a later version than all that is there it has nothing to tell.
                    std::future::pending::<()>().await;
                }
                let role =
                    |name: &str| json!({ "metadata": { "name": name, "namespace": "n" }, "rules": [] });
                let (version, items) = match lists.fetch_add(1, Ordering::Relaxed) {
                    0 => ("1000", vec![role("before"), role("after")]),
                    _ => ("7", vec![role("before")]),
                };
                Ok(json!({ "metadata": { "resourceVersion": version }, "items": items }).to_string())
            }
        });
        let (watcher, _folder) = watcher_of(routes, SpokeConfig::default()).await;
        let until = async |objects: usize| {
            while watcher.state.mirror().objects() != objects {
                watcher.state.changed.notified().await;
            }
        };
        let seen = async {
            until(2).await;
            until(1).await;
        };
        tokio::select! {
            () = watcher.read(Resource::Roles) => unreachable!("it is read for ever"),
            seen = timeout(PATIENCE, seen) => seen.expect("it is listed anew"),
        }
    }

    #[test]
    fn a_version_is_gone_on_from_unless_nobody_was_there_to_grant_a_watch() {
        let status = |status| ApiFault::Status { status, what: "roles", message: String::new() };
        let too_large = crate::mirror::TooLarge {
            what: crate::mirror::Limited::Rbac,
            bounds: SpokeConfig::default().rbac_bounds(),
        };
        let cases = [
            (ReadFault::Api(status(503)), false, true),
            (ReadFault::Api(status(503)), true, false),
            (ReadFault::Api(ApiFault::Silent(PATIENCE)), false, true),
            (ReadFault::Api(ApiFault::Silent(PATIENCE)), true, false),
            // It is there, and lets us do less, or later.
            (ReadFault::Api(status(403)), false, false),
            (ReadFault::Api(status(429)), false, false),
            (ReadFault::TooLarge(too_large), true, true),
        ];
        for (fault, was_granted, expected) in cases {
            assert_eq!(fault.spoils_beginning(was_granted), expected, "{fault} {was_granted}");
        }
    }

    #[test]
    fn a_part_that_is_pushed_too_often_waits_as_long_as_the_hub_says_and_no_longer_than_it_must() {
        let throttled = |retry_after| CallError::Fault(Fault::Throttled { part: "it".into(), retry_after });
        let five = Duration::from_secs(5);
        let cases = [
            (throttled(Some(five)), five),
            (throttled(Some(Duration::from_hours(24 * 365))), WAIT_MAX),
            (throttled(Some(Duration::MAX)), WAIT_MAX),
            (throttled(Some(Duration::from_millis(1))), PAUSE),
            (throttled(None), PAUSE),
            (CallError::Fault(Fault::Internal), PAUSE),
        ];
        for (error, wait) in cases {
            let mut turn = Turn::new(Push::AwsAuth, &SpokeConfig::default());
            let before = Instant::now();
            turn.failed(Untaken::by(&error).wait);
            let again = turn.again_at.unwrap();
            assert!(again >= before + wait && again <= Instant::now() + wait, "{error}");
            assert!(turn.waits(), "{error}");
            turn.went();
            assert!(!turn.waits(), "{error}");
        }
    }
}
