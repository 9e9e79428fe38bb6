//! `AuthorizeBatch` of a thousand checks: a check's cost in the services against that in this process.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lanyard_api::authz::{
    Attributes, Authorize, Decision, ResourceAttributes, Review, Verdict, batch_decisions,
};
use lanyard_api::{Fault, UserInfo};
use lanyard_authz::{Authz, AuthzConfig};
use lanyard_proto::authz::v1 as pb;
use lanyard_store::Store;
use prost::Message as _;

use super::Scale;
use super::floor::{self, Sizes};
use super::running::{Place, Stack, badge, prove};
use crate::door::front_door;
use crate::figure::{say, say_under};
use crate::hub::Hub;
use crate::process::{Placement, Usage};
use crate::questions::Questions;
use crate::turn::{Measured, Phase, during};
use crate::world::{self, World};

/// Checks of one batch.
const CHECKS: usize = 1_000;
/// The figures' table.
const GROUP: &str = "AuthorizeBatch of 1000 checks";
/// A check has to cost less in the services than so many times what it costs in one process: in this one, or in `serve`.
const RATIO_MOST: f64 = 2.0;

/// Measures it.
pub(super) async fn measure(place: &Place<'_>, stack: &Stack, scale: Scale, world: &World) -> Result<()> {
    let reviews = reviews(place, stack, world).await?;
    let mut options = world::store_options(&place.folder.join(super::running::FOLDER).join("data"))?;
    (options.url, options.shared) = (place.order.postgres.parse()?, true);
    let store = Store::open(&options).await?;
    let engine = Authz::start(&store, AuthzConfig::default())?;
    let here = repeat(&engine, &reviews, scale, &[]).await?;
    let alone = repeat(&OneByOne(&engine), &reviews, scale, &[]).await?;
    let bytes = bytes(&reviews, engine.authorize_batch(reviews.clone()).await?);
    engine.flush().await;
    store.close().await;
    let authz = stack.replica("authz", 0)?;
    let there = repeat(&authz, &reviews, scale, &[stack.usage("authz", 0)?, Usage::own()]).await?;
    let doors = ["gateway", "authn", "authz"];
    let of_doors = doors.map(|service| stack.usage(service, 0)).into_iter().collect::<Result<Vec<_>>>()?;
    let signed = repeat(&stack.signed(world)?, &reviews, scale, &of_doors).await?;
    let serve = Hub::start(place.folder, place.sts, Placement::Shared).await?;
    let at_serve = front_door(&serve.ready, world.hub, &world.administrator)?;
    let of_serve = repeat(&at_serve, &reviews, scale, &[serve.process.usage()]).await?;
    drop(serve);

    let checks = CHECKS as f64;
    let plain = |name: &str, value, unit| say(GROUP, name, value, unit, None);
    let time = |measured: &Measured| measured.mean_microseconds() / checks;
    // What is in process waits for nothing, so its time is its CPU.
    let (in_process, of_batch) = (time(&alone), time(&here));
    plain("a check in process", in_process, "µs");
    plain("a check of such a batch in process", of_batch, "µs");
    plain("a check over gRPC", time(&there), "µs");
    let cpu: Vec<f64> = there.cpu_microseconds_each().map(|cpu| cpu / checks).collect();
    for (name, cpu) in ["authz", "the caller"].iter().zip(&cpu) {
        plain(&format!("CPU for a check over gRPC in {name}"), *cpu, "µs");
    }
    let both: f64 = cpu.iter().sum();
    let over = |name: &str, value: f64| say_under(GROUP, name, value / in_process, "", RATIO_MOST);
    over("ratio of the time for a check over gRPC to that in process", time(&there));
    over("ratio of the CPU for a check over gRPC, of both sides, to that in process", both);
    let over_batch = |of: &str, value: f64| {
        let name = format!("ratio of {of} to a check of such a batch in process");
        say_under(GROUP, &name, value / of_batch, "", RATIO_MOST);
    };
    over_batch("the CPU for a check over gRPC, of both sides,", both);
    // Whatever is done with them: in process they lie in memory.
    let bytes = floor::between_processes(bytes, scale.plan).await? / checks;
    plain("a check's bytes alone, over TLS between two processes: CPU of both", bytes, "µs");
    plain("a check through the front door, signed", time(&signed), "µs");
    for (name, cpu) in doors.iter().zip(signed.cpu_microseconds_each()) {
        plain(&format!("CPU for a check through the front door in {name}"), cpu / checks, "µs");
    }
    plain("a check through the front door of `serve`, signed", time(&of_serve), "µs");
    plain("CPU for a check through the front door of `serve`", of_serve.cpu_microseconds() / checks, "µs");
    let over_serve = signed.cpu_microseconds() / of_serve.cpu_microseconds();
    say_under(
        GROUP,
        "ratio of the CPU for a check through the front door to `serve`'s",
        over_serve,
        "",
        RATIO_MOST,
    );
    Ok(())
}

/// How long the messages of the batch are.
fn bytes(reviews: &[Review], decisions: Vec<Decision>) -> Sizes {
    let message = |review: &Review| pb::Review { user: None, ..review.clone().into() };
    let asked = pb::AuthorizeBatchRequest {
        reviews: reviews.iter().map(message).collect(),
        user: reviews.first().map(|review| UserInfo::clone(&review.user).into()),
    };
    Sizes { asked: asked.encoded_len(), answered: batch_decisions(decisions).encoded_len() }
}

/// The same questions, of which nothing is done once for all: what a program without batches would pay.
struct OneByOne<'a>(&'a Authz);

impl Ask for OneByOne<'_> {
    async fn ask(&self, reviews: Vec<Review>) -> Result<Vec<Decision>, Fault> {
        let mut decisions = Vec::with_capacity(reviews.len());
        for review in reviews {
            decisions.push(self.0.authorize(review).await?);
        }
        Ok(decisions)
    }
}

/// Whoever is asked a batch.
trait Ask {
    async fn ask(&self, reviews: Vec<Review>) -> Result<Vec<Decision>, Fault>;
}

impl<T: Authorize> Ask for T {
    async fn ask(&self, reviews: Vec<Review>) -> Result<Vec<Decision>, Fault> {
        self.authorize_batch(reviews).await
    }
}

/// As an API server asks them: with the proof that mapping gave the administrator.
async fn reviews(place: &Place<'_>, stack: &Stack, world: &World) -> Result<Vec<Review>> {
    let cluster = *world.clusters.first().context("a world without clusters")?;
    let token = Questions::new(world, &stack.server, place.sts).local_token(0)?;
    let identity = prove(&stack.replica("authn", 0)?, cluster, &token).await?;
    let mapped = badge(&stack.replica("mapping", 0)?, cluster, &identity).await?;
    let mut user = mapped.context("the administrator has an entry")?.user.clone().into_info();
    user.groups.push("system:authenticated".to_owned());
    let user = Arc::new(user);
    let review = |number: usize| Review {
        cluster,
        user: Arc::clone(&user),
        attributes: Attributes::Resource(ResourceAttributes {
            namespace: format!("team-{}", number % 10).into(),
            verb: "get".into(),
            version: "v1".into(),
            resource: "pods".into(),
            name: format!("web-{number}").into(),
            ..ResourceAttributes::default()
        })
        .into(),
        explain: false,
        full: false,
        grant: None,
    };
    Ok((0..CHECKS).map(review).collect())
}

/// The same question, of which nobody else has anything but whom it is about.
fn anew(review: &Review) -> Review {
    Review { attributes: Arc::new(Attributes::clone(&review.attributes)), ..review.clone() }
}

/// One batch after the other, every decision looked at.
async fn repeat(authz: &impl Ask, reviews: &[Review], scale: Scale, processes: &[Usage]) -> Result<Measured> {
    let phase = &Phase::default();
    let worker = async {
        let mut nanoseconds = Vec::new();
        while !phase.is_over() {
            // What a caller makes anew for each batch is no part of it.
            let asked = reviews.iter().map(anew).collect();
            let begun = Instant::now();
            let decisions = authz.ask(asked).await?;
            phase.count(begun, &mut nanoseconds);
            let allowed = decisions.iter().filter(|decision| decision.verdict == Verdict::Allow).count();
            ensure!(allowed == CHECKS, "{allowed} of {CHECKS} are allowed: {:?}", decisions.first());
            // An engine in this process waits for nothing, so that nobody would look at the clock.
            tokio::task::yield_now().await;
        }
        Ok(nanoseconds)
    };
    during(phase, scale.plan, processes, std::iter::once(worker)).await
}
