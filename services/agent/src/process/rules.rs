//! The packet rules of the instance-metadata road, and of `imds.block`. Without them pods reach the node's own metadata service, and so its
//! role: where the road is on, or that is to be closed, the agent is not ready before they stand.

use std::future::Future;
use std::time::Duration;

use lanyard_kit::health::Part;
use lanyard_kit::telemetry::names;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::config::{AGENT_V4, AGENT_V6, AgentConfig};
use crate::kernel::{KernelError, Redirect};

/// Until they are written anew, where they could not be. Who repairs a node looks at it for longer.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked whether they still stand.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// What is to be of the rules.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rules {
    /// They are somebody else's (`imds.manage_rules`).
    Others,
    /// There are to be none: the road is off, and nobody asked for more.
    Away,
    /// They are to stand: the road is on, or pods are to be kept from the node's metadata service without it.
    Standing(Redirect),
}

impl Rules {
    /// As the configuration has it, of an agent that answers the road at its address of IPv6 too, or not.
    pub(super) fn of(config: &AgentConfig, has_v6: bool) -> Self {
        if !config.imds.manage_rules {
            return Self::Others;
        }
        match (config.imds.is_on(), config.imds.block) {
            (true, _) => Self::Standing(Redirect {
                agent_v4: Some(AGENT_V4),
                agent_v6: has_v6.then_some(AGENT_V6),
                port: config.imds.port,
            }),
            (false, true) => Self::Standing(Redirect::NOWHERE),
            (false, false) => Self::Away,
        }
    }

    /// Has the kernel do so, and says it of this part of the agent; again and again, until they are as they are to be. It ends then, or
    /// when the agent is to stop; whether they are.
    pub(super) async fn settle<W, R>(
        self,
        part: &Part,
        stop: &CancellationToken,
        write: impl Fn(Redirect) -> W,
        remove: impl Fn() -> R,
    ) -> bool
    where
        W: Future<Output = Result<(), KernelError>>,
        R: Future<Output = Result<(), KernelError>>,
    {
        tell_whether_they_stand(false);
        match self {
            Self::Others => {}
            Self::Away => {
                // Who may not write any has not written these.
                if let Err(error) = remove().await {
                    debug!(%error, "whether there are packet rules is not known");
                }
                warn!(
                    "nothing of this agent's keeps pods from the node's own metadata service, and so from the node's role: close it by \
                     --imds-block, which needs CAP_NET_ADMIN, or by itself (on EC2 by IMDSv2 alone and a hop limit of 1)"
                );
            }
            Self::Standing(redirect) => return stand(redirect, part, stop, write).await,
        }
        part.ready();
        true
    }

    /// Looks after the rules until `stop`, and has them written anew where they are gone: whoever loads the node's own anew, as
    /// `nftables.service` does, takes these away too, and pods would reach the node's own role.
    pub(super) async fn keep<L, W>(
        self,
        part: &Part,
        stop: &CancellationToken,
        stands: impl Fn(Redirect) -> L,
        write: impl Fn(Redirect) -> W,
    ) where
        L: Future<Output = Result<bool, KernelError>>,
        W: Future<Output = Result<(), KernelError>>,
    {
        let Self::Standing(redirect) = self else { return };
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_PAUSE)).await.is_some() {
            match stands(redirect).await {
                Ok(true) => {}
                Ok(false) => {
                    tell_whether_they_stand(false);
                    warn!(
                        "somebody has taken away the packet rules of the {}; they are written anew",
                        name(redirect)
                    );
                    if !stand(redirect, part, stop, &write).await {
                        return;
                    }
                }
                Err(error) => debug!(%error, "whether the packet rules stand is not known"),
            }
        }
    }
}

/// Has the rules written, again and again until they are or the agent is to stop; whether they are.
async fn stand<W>(
    redirect: Redirect,
    part: &Part,
    stop: &CancellationToken,
    write: impl Fn(Redirect) -> W,
) -> bool
where
    W: Future<Output = Result<(), KernelError>>,
{
    let mut tries = 0u32;
    while let Err(error) = write(redirect).await {
        tries = tries.saturating_add(1);
        let instead = if redirect.leads_somewhere() {
            "--imds-manage-rules=false where somebody else writes them"
        } else {
            "leave --imds-block out where pods may have the node's role"
        };
        error!(
            %error, tries,
            "the packet rules of the {} cannot be written: pods would reach the node's own role, so the agent is not ready; give it \
             CAP_NET_ADMIN, or {instead}",
            name(redirect)
        );
        part.not_ready(format!("the packet rules of the {}: {error}", name(redirect)));
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
    let becomes = if redirect.leads_somewhere() { "is redirected" } else { "ends" };
    info!(tries, "what pods send to the metadata service's address {becomes}");
    tell_whether_they_stand(true);
    part.ready();
    true
}

/// What the rules are of, in logs.
fn name(redirect: Redirect) -> &'static str {
    if redirect.leads_somewhere() {
        "instance-metadata road"
    } else {
        "closed metadata service (--imds-block)"
    }
}

fn tell_whether_they_stand(they_do: bool) {
    metrics::gauge!(names::AGENT_METADATA_RULES).set(if they_do { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use lanyard_kit::Readiness;
    use serde_json::json;

    use super::*;

    /// `EPERM`
    const NOT_PERMITTED: i32 = 1;

    /// A kernel that takes no rules the first few times.
    #[derive(Default)]
    struct StandIn {
        refusals: Cell<u32>,
        written: RefCell<Vec<u16>>,
        removed: Cell<u32>,
    }

    impl StandIn {
        fn write(&self, redirect: Redirect) -> Result<(), KernelError> {
            self.takes()?;
            self.written.borrow_mut().push(redirect.port);
            Ok(())
        }

        fn remove(&self) -> Result<(), KernelError> {
            self.removed.set(self.removed.get() + 1);
            self.takes()
        }

        fn takes(&self) -> Result<(), KernelError> {
            match self.refusals.get() {
                0 => Ok(()),
                left => {
                    self.refusals.set(left - 1);
                    let reason = std::io::Error::from_raw_os_error(NOT_PERMITTED);
                    Err(KernelError::new("the table of packet rules", reason))
                }
            }
        }
    }

    fn rules(imds: serde_json::Value) -> Rules {
        let config: AgentConfig = serde_json::from_value(json!({ "imds": imds })).unwrap();
        Rules::of(&config, false)
    }

    async fn settle(rules: Rules, kernel: &StandIn, part: &Part, stop: &CancellationToken) -> bool {
        let write = |redirect| std::future::ready(kernel.write(redirect));
        rules.settle(part, stop, write, || std::future::ready(kernel.remove())).await
    }

    #[tokio::test(start_paused = true)]
    async fn with_the_road_on_nobody_is_ready_before_the_rules_stand() {
        let kernel = StandIn { refusals: Cell::new(3), ..StandIn::default() };
        let readiness = Readiness::new();
        let (part, stop) = (readiness.register("packet rules"), CancellationToken::new());
        let rules = rules(json!({ "namespaces": ["shop"] }));
        {
            let settled = settle(rules, &kernel, &part, &stop);
            let early = tokio::time::timeout(RETRY_PAUSE * 2, settled).await;
            assert!(early.is_err(), "it goes on trying");
        }
        assert!(!readiness.is_ready());
        let why = readiness.report().parts[0].waiting_for.clone().unwrap();
        assert!(why.contains("packet rules") && why.contains("CAP_NET_ADMIN"), "{why}");
        assert!(settle(rules, &kernel, &part, &stop).await);
        assert!(readiness.is_ready());
        assert_eq!(*kernel.written.borrow(), [2704], "once");
    }

    #[tokio::test(start_paused = true)]
    async fn rules_that_somebody_takes_away_are_written_anew() {
        // What is found, look by look; then the agent is to stop.
        let unknown = || Err(KernelError::new("no answer", std::io::Error::from_raw_os_error(NOT_PERMITTED)));
        let looks = RefCell::new(vec![Ok(true), Ok(false), Ok(true), unknown(), Ok(false)]);
        let kernel = StandIn { refusals: Cell::new(1), ..StandIn::default() };
        let readiness = Readiness::new();
        let (part, stop) = (readiness.register("packet rules"), CancellationToken::new());
        part.ready();
        let stands = |_: Redirect| {
            let mut looks = looks.borrow_mut();
            let found = looks.pop().unwrap();
            if looks.is_empty() {
                stop.cancel();
            }
            std::future::ready(found)
        };
        let was_ready = RefCell::new(Vec::new());
        let write = |redirect| {
            was_ready.borrow_mut().push(readiness.is_ready());
            std::future::ready(kernel.write(redirect))
        };
        rules(json!({ "namespaces": ["shop"] })).keep(&part, &stop, stands, write).await;
        // The first was refused, and nobody is sent to an agent whose pods reach the node's role.
        assert_eq!(*was_ready.borrow(), [true, false, true]);
        assert_eq!(kernel.written.borrow().len(), 2, "twice gone, twice written");
        assert!(looks.borrow().is_empty() && readiness.is_ready());
        let nothing = |_: Redirect| std::future::ready(Ok(false));
        let write = |redirect| std::future::ready(kernel.write(redirect));
        rules(json!({})).keep(&part, &CancellationToken::new(), nothing, write).await;
        assert_eq!(kernel.written.borrow().len(), 2, "without the road there is nothing to look after");
    }

    #[test]
    fn immunity_47_rules_stand_where_the_road_is_on_or_the_service_is_to_be_closed() {
        let port = |imds| match rules(imds) {
            Rules::Standing(redirect) => redirect.leads_somewhere().then_some(redirect.port),
            Rules::Away | Rules::Others => Some(0),
        };
        // None: they lead nowhere, for nobody would answer there.
        let cases = [
            (json!({ "block": true }), None),
            (json!({ "block": true, "namespaces": ["shop"] }), Some(2704)),
            (json!({ "block": true, "by_label": true }), Some(2704)),
            (json!({ "namespaces": ["shop"] }), Some(2704)),
            (json!({}), Some(0)),
        ];
        for (imds, expected) in cases {
            let said = imds.to_string();
            assert_eq!(port(imds), expected, "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn immunity_47_a_closed_service_has_its_rules_kept_up_like_the_roads_and_shows_in_the_metrics() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _local = metrics::set_default_local_recorder(&recorder);
        let stand = |they_do: u8| {
            let (shown, line) =
                (recorder.handle().render(), format!("lanyard_agent_metadata_rules {they_do}\n"));
            assert!(shown.contains(&line), "{line} is not in\n{shown}");
        };
        let kernel = StandIn { refusals: Cell::new(1), ..StandIn::default() };
        let readiness = Readiness::new();
        let (part, stop) = (readiness.register("packet rules"), CancellationToken::new());
        let closed = rules(json!({ "block": true }));
        {
            let early = tokio::time::timeout(RETRY_PAUSE / 2, settle(closed, &kernel, &part, &stop)).await;
            assert!(early.is_err() && !readiness.is_ready(), "pods reach the service");
        }
        stand(0);
        let why = readiness.report().parts[0].waiting_for.clone().unwrap();
        assert!(why.contains("--imds-block") && why.contains("CAP_NET_ADMIN"), "{why}");
        assert!(settle(closed, &kernel, &part, &stop).await && readiness.is_ready());
        stand(1);
        let was_standing = Cell::new(true);
        let write = |redirect: Redirect| {
            assert!(!redirect.leads_somewhere());
            stand(0);
            stop.cancel();
            std::future::ready(kernel.write(redirect))
        };
        closed.keep(&part, &stop, |_| std::future::ready(Ok(!was_standing.replace(false))), write).await;
        assert_eq!(kernel.written.borrow().len(), 2, "written anew");
        stand(1);
        assert!(settle(rules(json!({})), &kernel, &part, &stop).await);
        assert_eq!(kernel.removed.get(), 1, "an agent that is told nothing of it opens the service again");
        stand(0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_is_to_stop_waits_for_no_rules() {
        let kernel = StandIn { refusals: Cell::new(u32::MAX), ..StandIn::default() };
        let readiness = Readiness::new();
        let (part, stop) = (readiness.register("packet rules"), CancellationToken::new());
        stop.cancel();
        assert!(!settle(rules(json!({ "by_label": true })), &kernel, &part, &stop).await);
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn without_the_road_what_cannot_be_taken_away_keeps_nobody() {
        let cases = [
            (json!({}), 1),
            (json!({ "block": false }), 1),
            (json!({ "manage_rules": false }), 0),
            (json!({ "manage_rules": false, "namespaces": ["shop"] }), 0),
        ];
        for (imds, removals) in cases {
            let said = imds.to_string();
            let kernel = StandIn { refusals: Cell::new(u32::MAX), ..StandIn::default() };
            let readiness = Readiness::new();
            let part = readiness.register("packet rules");
            assert!(settle(rules(imds), &kernel, &part, &CancellationToken::new()).await, "{said}");
            assert!(readiness.is_ready(), "{said}");
            assert_eq!(kernel.removed.get(), removals, "{said}");
        }
    }
}
