//! The watch from inside of a cluster: it pushes to a hub that cannot reach in.

use std::{sync::Arc, time::Duration};

use lanyard_api::{
    authz::Objects,
    credentials::Workloads,
    kubeconfig::Kubeconfig,
    mapping::{Clusters, Spokes},
};
use lanyard_kit::Clock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    api_server::{ApiFault, ApiServer},
    config::SpokeConfig,
    state::State,
    telemetry::Telemetry,
    watcher::{Target, Watcher, spoke},
};

/// The watch on the one cluster that this runs in.
pub struct Pusher<H> {
    hub: Arc<H>,
    target: Target,
    config: Arc<SpokeConfig>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    telemetry: Arc<Telemetry>,
}

/// What it calls itself. The hub calls it by the certificate that it shows.
const HOLDER: &str = "lanyard spoke push";

impl<H: Clusters + Objects + Workloads + Spokes> Pusher<H> {
    /// To a hub that takes all of it.
    pub fn new(hub: Arc<H>, target: Target, config: SpokeConfig, clock: Arc<dyn Clock>) -> Self {
        let state = Arc::new(State::new(&config));
        let telemetry = Arc::new(Telemetry::new());
        Self { hub, target, config: Arc::new(config), clock, state, telemetry }
    }

    /// Pushes until told to stop, and tells the hub how that goes. The way in is asked for anew each `renewal`, for a pod's token
    /// is good for an hour; what was seen and pushed is not forgotten over that.
    ///
    /// # Errors
    /// Where the first way in cannot be used; later ones are logged, and the one before goes on.
    pub async fn run<E>(
        &self,
        way_in: impl Fn() -> Result<Kubeconfig, E>,
        renewal: Duration,
        stop: CancellationToken,
    ) -> Result<(), PushError<E>> {
        tokio::select! {
            ended = self.watch(way_in, renewal, stop) => ended,
            () = self.tell() => Ok(()),
        }
    }

    /// Tells the hub how the watch goes, for ever and as often as one that it lends a cluster to does. A hub that does not listen is told
    /// again, and the log once.
    async fn tell(&self) {
        let mut due = tokio::time::interval(self.config.renew());
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_heard = true;
        loop {
            due.tick().await;
            let watch = self.state.report(HOLDER, self.clock.now());
            let told = self.hub.report_spoke(spoke(&self.target), self.target.id.clone(), watch).await;
            if let Err(error) = &told
                && is_heard
            {
                tracing::warn!(%error, "the hub does not hear how the watch goes");
            }
            is_heard = told.is_ok();
        }
    }

    async fn watch<E>(
        &self,
        way_in: impl Fn() -> Result<Kubeconfig, E>,
        renewal: Duration,
        stop: CancellationToken,
    ) -> Result<(), PushError<E>> {
        let mut server = self.server(&way_in)?;
        while !stop.is_cancelled() {
            let watcher = Watcher {
                mapping: Arc::clone(&self.hub),
                authz: Arc::clone(&self.hub),
                credentials: Arc::clone(&self.hub),
                target: self.target.clone(),
                server: server.clone(),
                config: Arc::clone(&self.config),
                clock: Arc::clone(&self.clock),
                state: Arc::clone(&self.state),
                telemetry: Arc::clone(&self.telemetry),
            };
            let term = stop.child_token();
            let ends = term.clone();
            let timer = async move {
                tokio::time::sleep(renewal).await;
                ends.cancel();
            };
            tokio::select! {
                () = watcher.run(term) => {}
                () = timer => {}
            }
            // What was under way when it was stopped may not have been taken.
            self.state.nothing_is_taken();
            match self.server(&way_in) {
                Ok(renewed) => server = renewed,
                Err(_) => tracing::warn!(
                    "the way to the API server could not be read anew: the one before stays in use"
                ),
            }
        }
        Ok(())
    }

    fn server<E>(&self, way_in: &impl Fn() -> Result<Kubeconfig, E>) -> Result<ApiServer, PushError<E>> {
        let kubeconfig = way_in().map_err(PushError::WayIn)?;
        Ok(ApiServer::new(&kubeconfig, &self.config)?)
    }
}

/// Why a cluster cannot be watched from inside.
#[derive(Debug, thiserror::Error)]
pub enum PushError<E> {
    /// The way to the API server is not known.
    #[error(transparent)]
    WayIn(E),
    /// The API server cannot be called.
    #[error(transparent)]
    Api(#[from] ApiFault),
}
