//! Which clusters this replica watches: those on which it holds the lease.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures::{StreamExt as _, stream};
use lanyard_api::{
    ClusterUid, Fault,
    authz::Objects,
    credentials::Workloads,
    kubeconfig::Kubeconfig,
    mapping::{ClusterDirectory, Clusters, LendQuery, Lending, Loan, Spokes},
};
use lanyard_kit::{Clock, Panicked, caught};
use secrecy::ExposeSecret as _;
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    api_server::ApiServer,
    config::SpokeConfig,
    reviews::ApiServers,
    state::{Part, State},
    telemetry::{self, Telemetry},
    watcher::{Target, Watcher},
    wire::Resource,
};

/// What the log calls it where the work on one cluster's lease panics.
const PART: &str = "the lease on a spoke cluster";
/// Leases that are asked for at a time.
const LENDING_MAX: usize = 16;
/// How long the leases may take to give back at the end; then they end by themselves.
const RETURN_TIMEOUT: Duration = Duration::from_secs(3);

/// The clusters that one replica watches.
pub struct Fleet<M, A, C> {
    mapping: Arc<M>,
    authz: Arc<A>,
    credentials: Arc<C>,
    /// Those of the clusters that are watched, for others who ask them.
    api_servers: ApiServers,
    config: Arc<SpokeConfig>,
    clock: Arc<dyn Clock>,
    telemetry: Arc<Telemetry>,
    /// The name of this replica.
    holder: String,
    running: HashMap<ClusterUid, Running>,
    /// For which kubeconfig each lease was asked for last.
    asked: HashMap<ClusterUid, u64>,
}

/// A watch under way.
struct Running {
    version: u64,
    state: Arc<State>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A lease as it was asked for.
struct Asked {
    target: Target,
    at: (Instant, SystemTime),
    answer: Result<Lending, Fault>,
}

impl<M: Clusters + Spokes, A: Objects, C: Workloads> Fleet<M, A, C> {
    /// None yet. `api_servers` has those of the clusters that are watched from then on.
    pub fn new(
        mapping: Arc<M>,
        authz: Arc<A>,
        credentials: Arc<C>,
        api_servers: ApiServers,
        config: SpokeConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let holder = format!("spoke-{}", uuid::Uuid::new_v4().simple());
        Self {
            mapping,
            authz,
            credentials,
            api_servers,
            config: Arc::new(config),
            clock,
            telemetry: Arc::new(Telemetry::new()),
            holder,
            running: HashMap::new(),
            asked: HashMap::new(),
        }
    }

    /// Watches what there is to watch until told to stop, and gives the leases back then.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut directory = self.mapping.directory();
        let mut renewal = tokio::time::interval(self.config.renew());
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_heard = true;
        while !stop.is_cancelled() {
            let all_are_due = tokio::select! {
                _ = renewal.tick() => true,
                // An error says that mapping is being taken down.
                changed = directory.changed(), if is_heard => {
                    is_heard = changed.is_ok();
                    false
                }
                () = stop.cancelled() => break,
            };
            let now = Arc::clone(&directory.borrow_and_update());
            stop.run_until_cancelled(self.turn(&now, all_are_due)).await;
        }
        let held: Vec<ClusterUid> = self.running.keys().copied().collect();
        for uid in &held {
            self.end(*uid).await;
        }
        let returned = stream::iter(&held).for_each_concurrent(LENDING_MAX, |uid| self.give_back(*uid));
        if tokio::time::timeout(RETURN_TIMEOUT, returned).await.is_err() {
            tracing::info!("leases were not given back in time: they end by themselves");
        }
    }

    /// Asks for the lease on clusters that are there to be watched, all or those that are new, and watches those that it has.
    async fn turn(&mut self, directory: &ClusterDirectory, all_are_due: bool) {
        // A directory that was never heard says nothing of what is there.
        if directory.revision.0 == 0 {
            return;
        }
        if all_are_due {
            self.bury().await;
        }
        let watchable: HashMap<ClusterUid, (u64, Target)> = directory
            .clusters
            .iter()
            .filter_map(|entry| {
                let target = Target { uid: entry.cluster.uid, id: entry.cluster.id.clone() };
                Some((target.uid, (entry.kubeconfig_version?, target)))
            })
            .collect();
        let gone: Vec<ClusterUid> =
            self.running.keys().copied().filter(|uid| !watchable.contains_key(uid)).collect();
        for uid in gone {
            self.end(uid).await;
        }
        self.asked.retain(|uid, _| watchable.contains_key(uid));
        let mut room = self.config.clusters_max.saturating_sub(self.running.len());
        let mut due = Vec::new();
        for (uid, (version, target)) in watchable {
            let is_due = all_are_due || self.asked.get(&uid) != Some(&version);
            let has_room = self.running.contains_key(&uid) || room > 0;
            if is_due && has_room {
                room = room.saturating_sub(usize::from(!self.running.contains_key(&uid)));
                self.asked.insert(uid, version);
                due.push(target);
            }
        }
        // What panics about one cluster costs the others nothing; it is asked for again when all are.
        let fleet = &*self;
        let answered: Vec<Result<Asked, ClusterUid>> = stream::iter(due)
            .map(|target| async move {
                let uid = target.uid;
                caught(PART, fleet.ask(target)).await.map_err(|_| uid)
            })
            .buffer_unordered(LENDING_MAX)
            .collect()
            .await;
        for asked in answered {
            let (uid, settled) = match asked {
                Ok(asked) => (asked.target.uid, caught(PART, self.settle(asked)).await),
                Err(uid) => (uid, Err(Panicked)),
            };
            if settled.is_err() {
                self.not_renewed(uid).await;
            }
        }
    }

    /// Lets go of watches that have ended by themselves, before their leases are renewed: these are then asked for as others are, and
    /// their clusters watched anew.
    async fn bury(&mut self) {
        let is_dead = |(_, running): &(&ClusterUid, &Running)| running.task.is_finished();
        let dead: Vec<ClusterUid> = self.running.iter().filter(is_dead).map(|(uid, _)| *uid).collect();
        for uid in dead {
            tracing::error!(cluster.uid = %uid, "the watch on a spoke cluster has ended by itself: it is begun anew");
            self.end(uid).await;
        }
    }

    async fn ask(&self, target: Target) -> Asked {
        let running = self.running.get(&target.uid);
        let at = (Instant::now(), SystemTime::now());
        let query = LendQuery {
            cluster: target.uid,
            holder: self.holder.clone(),
            known_version: running.map(|running| running.version),
            watch: running.map(|running| running.state.report(&self.holder, self.clock.now())),
        };
        // All are asked for at a time, and settled when all have answered: one that hangs would let the others' leases end.
        let limit = self.config.renew();
        let answer = tokio::time::timeout(limit, self.mapping.lend_spoke(query)).await;
        let late = |_| Err(Fault::TimedOut { part: "the lease".into(), limit });
        Asked { target, at, answer: answer.unwrap_or_else(late) }
    }

    async fn settle(&mut self, asked: Asked) {
        let Asked { target, at, answer } = asked;
        match answer {
            Ok(Lending::Lent(loan)) => self.lent(target, at, loan).await,
            Ok(Lending::Held(_)) => self.lose(target.uid).await,
            Ok(Lending::Gone) => self.end(target.uid).await,
            Err(fault) => {
                tracing::warn!(cluster.uid = %target.uid, %fault, "the lease on a spoke cluster is not renewed");
                self.not_renewed(target.uid).await;
            }
        }
    }

    /// A lease that is not renewed counts to its end, and no longer.
    async fn not_renewed(&mut self, uid: ClusterUid) {
        if self.running.get(&uid).is_some_and(|running| !running.state.holds_lease()) {
            self.lose(uid).await;
        }
    }

    async fn lent(&mut self, target: Target, at: (Instant, SystemTime), loan: Loan) {
        let Loan { version, kubeconfig, lifetime, term } = loan;
        if let Some(running) = self.running.get(&target.uid)
            && running.version == version
        {
            running.state.leased(at, lifetime, term);
            return;
        }
        let Some(kubeconfig) = kubeconfig else { return };
        self.end(target.uid).await;
        let state = Arc::new(State::new(&self.config));
        state.leased(at, lifetime, term);
        let stop = CancellationToken::new();
        let server =
            Kubeconfig::reduce(kubeconfig.expose_secret(), None).map_err(|error| error.to_string()).and_then(
                |kubeconfig| ApiServer::new(&kubeconfig, &self.config).map_err(|error| error.to_string()),
            );
        let task = match server {
            Ok(server) => {
                tracing::info!(cluster.uid = %target.uid, cluster.name = %target.id, "watching a spoke cluster");
                self.api_servers.put(target.uid, server.clone(), Arc::clone(&state));
                let watcher = Watcher {
                    mapping: Arc::clone(&self.mapping),
                    authz: Arc::clone(&self.authz),
                    credentials: Arc::clone(&self.credentials),
                    target: target.clone(),
                    server,
                    config: Arc::clone(&self.config),
                    clock: Arc::clone(&self.clock),
                    state: Arc::clone(&state),
                    telemetry: Arc::clone(&self.telemetry),
                };
                let watching = watcher.run(stop.clone());
                tokio::spawn(async move {
                    // One that panicked is found by its task, which has ended.
                    let _ = caught("the watch on a spoke cluster", watching).await;
                })
            }
            Err(reason) => {
                // Held all the same: the next one would do no better, and here it shows.
                tracing::warn!(cluster.uid = %target.uid, fault = reason, "a spoke's kubeconfig cannot be used");
                state.fault(Part::Reading(Resource::AwsAuth), &reason, self.clock.now());
                tokio::spawn(stop.clone().cancelled_owned())
            }
        };
        self.running.insert(target.uid, Running { version, state, stop, task });
        telemetry::watched(self.running.len());
    }

    /// Another watches the cluster, or may by now; that is none of this replica's doing where it watched it.
    async fn lose(&mut self, uid: ClusterUid) {
        if self.running.contains_key(&uid) {
            self.telemetry.lease_lost();
        }
        self.end(uid).await;
    }

    /// Stops watching a cluster.
    async fn end(&mut self, uid: ClusterUid) {
        let Some(running) = self.running.remove(&uid) else { return };
        telemetry::watched(self.running.len());
        self.api_servers.remove(uid);
        running.stop.cancel();
        // An error says that it ended by a panic.
        let _ = running.task.await;
        tracing::info!(cluster.uid = %uid, "no longer watching a spoke cluster");
    }

    async fn give_back(&self, uid: ClusterUid) {
        if let Err(fault) = self.mapping.return_spoke(uid, self.holder.clone()).await {
            tracing::info!(cluster.uid = %uid, %fault, "a lease is not given back: it ends by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use http::StatusCode;
    use lanyard_api::{Revision, grpc::Remote, mapping::DirectoryEntry, suite};
    use lanyard_kit::SystemClock;
    use tonic::service::Routes;

    use super::*;

    async fn panics() -> StatusCode {
        panic!("as lending might")
    }

    #[tokio::test]
    async fn a_panic_about_one_clusters_lease_ends_the_watch_on_no_other() {
        let remote = || Arc::new(Remote::new(Routes::from(Router::new().fallback(panics))));
        let (config, clock) = (SpokeConfig::default(), Arc::new(SystemClock));
        let mut fleet = Fleet::new(remote(), remote(), remote(), ApiServers::default(), config, clock);
        let cluster = Arc::new(suite::cluster("dev", "111122223333"));
        let uid = cluster.uid;
        let entry = DirectoryEntry { cluster, credentials: Vec::new(), kubeconfig_version: Some(1) };
        let directory = ClusterDirectory { revision: Revision(1), clusters: vec![entry] };
        // One that comes through ends this test, as it did the watch on all clusters.
        fleet.turn(&directory, true).await;
        assert_eq!((fleet.asked.len(), fleet.running.len()), (1, 0), "it was asked for");

        // What is watched already is watched for as long as the lease lasts that it has.
        let (state, stop) = (Arc::new(State::new(&SpokeConfig::default())), CancellationToken::new());
        state.leased((Instant::now(), SystemTime::now()), Duration::from_secs(600), 1);
        let task = tokio::spawn(stop.clone().cancelled_owned());
        fleet.running.insert(uid, Running { version: 1, state: Arc::clone(&state), stop, task });
        fleet.turn(&directory, true).await;
        assert!(fleet.running.contains_key(&uid), "it has its lease");
        state.lease_lost();
        fleet.turn(&directory, true).await;
        assert!(!fleet.running.contains_key(&uid), "another may watch it by now");
    }

    async fn hangs() -> StatusCode {
        std::future::pending().await
    }

    #[tokio::test]
    async fn a_lease_that_nobody_answers_about_is_given_up_when_all_are_due_again() {
        let remote = || Arc::new(Remote::new(Routes::from(Router::new().fallback(hangs))));
        let config = SpokeConfig { renew_milliseconds: 50, ..SpokeConfig::default() };
        let clock = Arc::new(SystemClock);
        let mut fleet = Fleet::new(remote(), remote(), remote(), ApiServers::default(), config, clock);
        let cluster = Arc::new(suite::cluster("dev", "111122223333"));
        let entry = DirectoryEntry { cluster, credentials: Vec::new(), kubeconfig_version: Some(1) };
        let directory = ClusterDirectory { revision: Revision(1), clusters: vec![entry] };
        // Far above that, so that a hang is a failure rather than a wait.
        let turn = tokio::time::timeout(Duration::from_secs(20), fleet.turn(&directory, true));
        turn.await.expect("in time");
        assert_eq!((fleet.asked.len(), fleet.running.len()), (1, 0), "it was asked for");
    }

    #[tokio::test]
    async fn a_watch_that_ended_by_itself_is_let_go_of_so_that_its_cluster_is_watched_anew() {
        let remote = || Arc::new(Remote::new(Routes::builder().routes()));
        let (config, clock) = (SpokeConfig::default(), Arc::new(SystemClock));
        let mut fleet = Fleet::new(remote(), remote(), remote(), ApiServers::default(), config, clock);
        let stop = CancellationToken::new();
        let task: JoinHandle<()> = tokio::spawn(async { panic!("as a watch might") });
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
        let watches = [task, tokio::spawn(stop.clone().cancelled_owned())].map(|task| {
            let state = Arc::new(State::new(&SpokeConfig::default()));
            (ClusterUid::random(), Running { version: 1, state, stop: CancellationToken::new(), task })
        });
        let lives = watches[1].0;
        fleet.running.extend(watches);
        fleet.bury().await;
        assert_eq!(fleet.running.keys().collect::<Vec<_>>(), [&lives]);
        assert!(!fleet.running[&lives].task.is_finished());
    }
}
