//! TokenReview and SubjectAccessReview through gateway and services, beside `serve` and the JSON echo in the same run.

use anyhow::Result;

use super::Scale;
use super::running::{Place, Stack};
use crate::echo::Echo;
use crate::figure::{say, say_under};
use crate::hub::Hub;
use crate::load::{self, Scenario, Target, Whom};
use crate::process::Placement;
use crate::questions::Questions;
use crate::turn::CONNECTIONS;
use crate::world::World;

/// Most CPU of a hop, caller and called together, in microseconds.
pub(super) const HOP_CPU_MOST: f64 = 25.0;
/// Most time of a kept TokenReview in ninety-nine of a hundred, in microseconds.
const KEPT_P99_MOST: f64 = 2_000.0;
/// The connections that this goal is for.
const KEPT_P99_CONNECTIONS: usize = 16;

/// What a scenario is, beside its questions.
struct Kind {
    /// The services that are asked for each review, which is as many hops.
    services: &'static [&'static str],
    has_p99_goal: bool,
}

const TOKEN_REVIEW: Kind = Kind { services: &["authn", "mapping"], has_p99_goal: false };
const KEPT_TOKEN_REVIEW: Kind = Kind { has_p99_goal: true, ..TOKEN_REVIEW };
const ACCESS_REVIEW: Kind = Kind { services: &["authz"], has_p99_goal: false };

/// Measures them.
pub(super) async fn measure(place: &Place<'_>, stack: &Stack, scale: Scale, world: &World) -> Result<()> {
    let serve = Hub::start(place.folder, place.sts, Placement::Shared).await?;
    let echo = Echo::start(&place.folder.join("echo"), Placement::Shared).await?;
    let questions = Questions::new(world, &stack.server, place.sts);
    let bench = Bench { stack, serve: &serve, echo: &echo, scale };
    bench.compare(&questions.local_token_reviews()?, &TOKEN_REVIEW).await?;
    // A proof lives for a minute or so; it is good at both hubs, for they have the same keys.
    bench.compare(&questions.access_reviews().await?, &ACCESS_REVIEW).await?;
    let name = format!("TokenReview, one of {} kept answers of STS", scale.sessions);
    let kept = questions.cached_token_reviews(&name, scale.sessions).await?;
    load::once(&kept.questions, &serve.server).await?;
    bench.compare(&kept, &KEPT_TOKEN_REVIEW).await
}

struct Bench<'a> {
    stack: &'a Stack,
    serve: &'a Hub,
    echo: &'a Echo,
    scale: Scale,
}

impl Bench<'_> {
    async fn compare(&self, scenario: &Scenario, kind: &Kind) -> Result<()> {
        let names: Vec<&str> = std::iter::once("gateway").chain(kind.services.iter().copied()).collect();
        let processes = names.iter().map(|service| self.stack.usage(service, 0)).collect::<Result<_>>()?;
        let targets = [
            Target { whom: Whom::Hub, server: &self.stack.server, processes },
            Target::hub(self.serve),
            Target::echo(Whom::JsonEcho, self.echo),
        ];
        for connections in CONNECTIONS {
            let [mut stack, mut serve, json] =
                load::in_turns(&scenario.questions, connections, &targets, self.scale.plan).await?;
            let group = &scenario.name;
            let named = |name: &str| format!("{connections} connections: {name}");
            let plain = |name: &str, value, unit| say(group, &named(name), value, unit, None);
            plain("requests a second", stack.per_second(), "/s");
            plain("`serve`'s", serve.per_second(), "/s");
            plain("the JSON echo's", json.per_second(), "/s");
            plain("ratio to `serve`", stack.per_second() / serve.per_second(), "");
            plain("ratio to the JSON echo", stack.per_second() / json.per_second(), "");
            for (name, cpu) in names.iter().zip(stack.cpu_microseconds_each()) {
                plain(&format!("CPU for a request in {name}"), cpu, "µs");
            }
            plain("`serve`'s CPU for a request", serve.cpu_microseconds(), "µs");
            plain("the JSON echo's CPU", json.cpu_microseconds(), "µs");
            let added = (stack.cpu_microseconds() - serve.cpu_microseconds()) / kind.services.len() as f64;
            say_under(group, &named("CPU that a hop adds to `serve`'s"), added, "µs", HOP_CPU_MOST);
            plain("p50", stack.percentile_microseconds(50), "µs");
            let p99 = stack.percentile_microseconds(99);
            if kind.has_p99_goal && connections == KEPT_P99_CONNECTIONS {
                say_under(group, &named("p99"), p99, "µs", KEPT_P99_MOST);
            } else {
                plain("p99", p99, "µs");
            }
            plain("`serve`'s p99", serve.percentile_microseconds(99), "µs");
        }
        Ok(())
    }
}
