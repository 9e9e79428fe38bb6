use std::{sync::Arc, time::Duration};

use lanyard_api::HubId;
use lanyard_kit::{
    Clock, Readiness,
    telemetry::{Counters, Histograms, Label, StatusClass, names},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{issuer::Pages, kept::Answers};
use crate::{
    config::GatewayConfig, directory::Directory, known::Known, recorder::Recorder, revisions::Revisions,
    services::Services, strangers::Strangers,
};

/// What a hub tells of itself to anybody.
#[derive(Debug, Clone)]
pub struct HubInfo {
    /// Management calls sign it.
    pub hub_id: HubId,
    /// The account made at first start.
    pub account: String,
    /// Its partition.
    pub partition: String,
    /// The region that management calls sign.
    pub region: String,
    /// Lanyard's version.
    pub version: &'static str,
}

/// What the gateway is put together from.
pub struct Parts<S> {
    /// What stands behind.
    pub services: Arc<S>,
    /// The clusters.
    pub directory: Directory,
    /// Where decisions go.
    pub recorder: Recorder,
    /// The limits.
    pub config: GatewayConfig,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The hub.
    pub hub: HubInfo,
    /// How far the scopes are, for what is kept.
    pub revisions: Revisions,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/metrics`; none where no recorder is installed.
    pub metrics: Option<lanyard_kit::telemetry::Metrics>,
}

/// The gateway's shared state.
pub struct Gateway<S> {
    pub(crate) parts: Parts<S>,
    in_flight: Semaphore,
    pub(crate) strangers: Strangers,
    pub(crate) known: Known,
    pub(super) answers: Answers,
    pub(super) issuer_pages: Pages,
    requests: Counters<(Route, StatusClass)>,
    seconds: Histograms<Route>,
}

impl<S: Services> Gateway<S> {
    /// Puts it together.
    pub fn new(parts: Parts<S>) -> Arc<Self> {
        let in_flight = Semaphore::new(parts.config.reviews_in_flight_max);
        let answers = Answers::new(parts.config.answers_max, parts.revisions.clone());
        let (strangers, known) = (Strangers::new(&parts.config), Known::new(&parts.config));
        Arc::new(Self {
            parts,
            strangers,
            known,
            answers,
            issuer_pages: Pages::default(),
            in_flight,
            requests: Counters::new(names::GATEWAY_REQUESTS_TOTAL),
            seconds: Histograms::new(names::GATEWAY_SECONDS),
        })
    }

    /// One request is answered.
    pub(super) fn answered(&self, route: Route, status: http::StatusCode, took: Duration) {
        self.requests.increment((route, StatusClass::from(status)));
        self.seconds.record(route, took);
    }

    /// A place among the reviews in work, or none: then the review is shed.
    pub(super) fn admit(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.in_flight.try_acquire().ok();
        if permit.is_none() {
            metrics::counter!(names::GATEWAY_SHED_TOTAL).increment(1);
        }
        permit
    }
}

/// The kinds of request that are counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    Token,
    Access,
    Oneself,
    Pod,
    Issuer,
}

impl Label for Route {
    const KEY: &'static str = names::ROUTE;
    const ALL: &'static [Self] = &[Self::Token, Self::Access, Self::Oneself, Self::Pod, Self::Issuer];

    fn value(self) -> &'static str {
        match self {
            Self::Token => "tokenreview",
            Self::Access => "subjectaccessreview",
            Self::Oneself => "selfreview",
            Self::Pod => "mutate",
            Self::Issuer => "issuer",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}
