//! The load: as many requests as a number of connections can have answered, in turns at the hubs and at the echoes.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::future::try_join_all;

use crate::client::Server;
use crate::echo::Echo;
use crate::figure::say;
use crate::hub::Hub;
use crate::process::{Placement, Usage};

/// Connections at once, a point each.
pub(crate) const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// How long a turn warms up before it is measured.
const WARM_UP: Duration = Duration::from_millis(200);
/// Connections that ask everything once.
const FILLERS: usize = 32;

/// A request and what its answer has to be.
pub(crate) struct Asked {
    /// To the hub.
    pub(crate) request: Vec<u8>,
    /// The same body, to the echo of bytes and to that of JSON.
    pub(crate) bytes_echoed: Vec<u8>,
    pub(crate) json_echoed: Vec<u8>,
    pub(crate) body_bytes: usize,
    /// The hub's answer begins with this; what follows is different each time.
    pub(crate) begins: Vec<u8>,
}

impl Asked {
    pub(crate) fn check(&self, answer: &[u8]) -> Result<()> {
        if !answer.starts_with(&self.begins) {
            let (answer, begins) = (String::from_utf8_lossy(answer), String::from_utf8_lossy(&self.begins));
            bail!("the answer is {answer}, it has to begin with {begins}");
        }
        Ok(())
    }
}

/// Requests of one kind.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) questions: Vec<Asked>,
}

/// What the figures should be, in words.
#[derive(Clone, Copy)]
pub(crate) struct Goals {
    ratio: &'static str,
    cpu: Option<&'static str>,
}

impl Goals {
    pub(crate) const CACHED: Self = Self { ratio: "at least 0.85", cpu: Some("at most 15 µs") };
    pub(crate) const LOCAL: Self = Self { ratio: "at least 0.7", cpu: None };
}

/// Which of a question's requests is sent.
#[derive(Clone, Copy)]
pub(crate) enum Whom {
    Hub,
    BytesEcho,
    JsonEcho,
}

/// Somebody who is asked.
pub(crate) struct Target<'a> {
    pub(crate) whom: Whom,
    pub(crate) server: &'a Server,
    /// The processes that answer together.
    pub(crate) processes: Vec<Usage>,
}

impl<'a> Target<'a> {
    pub(crate) fn hub(hub: &'a Hub) -> Self {
        Self { whom: Whom::Hub, server: &hub.server, processes: vec![hub.process.usage()] }
    }

    pub(crate) fn echo(whom: Whom, echo: &'a Echo) -> Self {
        Self { whom, server: &echo.server, processes: vec![echo.process.usage()] }
    }
}

/// How long is measured, and how.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How long one turn is measured.
    pub(crate) turn: Duration,
    /// Turns of each target at each point, so that a change of the machine's load falls on all.
    pub(crate) turns: usize,
    pub(crate) placement: Placement,
}

impl Plan {
    /// Each on its own core.
    pub(crate) const APART: Self =
        Self { turn: Duration::from_millis(1_200), turns: 2, placement: Placement::Apart };
}

/// What one or more turns showed.
pub(crate) struct Measured {
    seconds: f64,
    /// Of each process of the target.
    cpu_seconds: Vec<f64>,
    /// Of each request.
    nanoseconds: Vec<u32>,
}

impl Measured {
    fn of(target: &Target<'_>) -> Self {
        Self { seconds: 0.0, cpu_seconds: vec![0.0; target.processes.len()], nanoseconds: Vec::new() }
    }

    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.cpu_seconds.iter_mut().zip(other.cpu_seconds).for_each(|(sum, more)| *sum += more);
        self.nanoseconds.extend(other.nanoseconds);
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.nanoseconds.len() as f64 / self.seconds
    }

    /// For a request, in all processes.
    pub(crate) fn cpu_microseconds(&self) -> f64 {
        self.cpu_microseconds_each().sum()
    }

    /// For a request, in each process in their order.
    pub(crate) fn cpu_microseconds_each(&self) -> impl Iterator<Item = f64> {
        self.cpu_seconds.iter().map(|seconds| seconds * 1e6 / self.nanoseconds.len() as f64)
    }

    pub(crate) fn mean_microseconds(&self) -> f64 {
        let sum: u64 = self.nanoseconds.iter().copied().map(u64::from).sum();
        sum as f64 / 1e3 / self.nanoseconds.len() as f64
    }

    pub(crate) fn percentile_microseconds(&mut self, percent: usize) -> f64 {
        percentile_microseconds(&mut self.nanoseconds, percent)
    }
}

/// What so many in a hundred stay under.
pub(crate) fn percentile_microseconds(nanoseconds: &mut [u32], percent: usize) -> f64 {
    nanoseconds.sort_unstable();
    let at = nanoseconds.len() * percent / 100;
    f64::from(nanoseconds.get(at).copied().unwrap_or_default()) / 1e3
}

/// Asks hub and echoes the same, and says the figures.
pub(crate) async fn compare(scenario: &Scenario, hub: &Hub, echo: &Echo, goals: Goals) -> Result<()> {
    let group = &scenario.name;
    let targets = [Target::hub(hub), Target::echo(Whom::JsonEcho, echo), Target::echo(Whom::BytesEcho, echo)];
    for connections in CONNECTIONS {
        let [mut of_hub, of_json, of_bytes] =
            in_turns(&scenario.questions, connections, &targets, Plan::APART).await?;
        let say = |name: &str, value, unit, goal| {
            say(group, &format!("{connections} connections: {name}"), value, unit, goal)
        };
        say("requests a second", of_hub.per_second(), "/s", None);
        say("the JSON echo's", of_json.per_second(), "/s", None);
        say("the byte echo's", of_bytes.per_second(), "/s", None);
        say("ratio to the JSON echo", of_hub.per_second() / of_json.per_second(), "", Some(goals.ratio));
        say("ratio to the byte echo", of_hub.per_second() / of_bytes.per_second(), "", None);
        say("CPU for a request", of_hub.cpu_microseconds(), "µs", goals.cpu);
        say("the JSON echo's CPU", of_json.cpu_microseconds(), "µs", None);
        say("the byte echo's CPU", of_bytes.cpu_microseconds(), "µs", None);
        say("p50", of_hub.percentile_microseconds(50), "µs", None);
        say("p99", of_hub.percentile_microseconds(99), "µs", None);
    }
    Ok(())
}

/// Asks all targets the same, one after the other and over again.
pub(crate) async fn in_turns<const N: usize>(
    questions: &[Asked],
    connections: usize,
    targets: &[Target<'_>; N],
    plan: Plan,
) -> Result<[Measured; N]> {
    let mut measured = targets.each_ref().map(Measured::of);
    for _ in 0..plan.turns {
        for (target, measured) in targets.iter().zip(&mut measured) {
            measured.add(turn(questions, connections, target, plan).await?);
        }
    }
    Ok(measured)
}

async fn turn(questions: &[Asked], connections: usize, target: &Target<'_>, plan: Plan) -> Result<Measured> {
    let phase = &Phase::default();
    let asking = (0..connections).map(|number| {
        let first = number * questions.len() / connections;
        ask(questions, first, target, phase)
    });
    during(phase, plan, &target.processes, asking).await
}

/// Measures for one turn what some workers do, each of which goes on until the phase is over and gives its times; and what
/// these processes use for it.
pub(crate) async fn during<W: Future<Output = Result<Vec<u32>>>>(
    phase: &Phase,
    plan: Plan,
    processes: &[Usage],
    workers: impl Iterator<Item = W>,
) -> Result<Measured> {
    let used = || processes.iter().map(|process| process.cpu_seconds()).collect::<Result<Vec<_>>>();
    let clock = async {
        tokio::time::sleep(WARM_UP).await;
        let before = used()?;
        phase.measuring.set(true);
        let begun = Instant::now();
        tokio::time::sleep(plan.turn).await;
        phase.over.set(true);
        let seconds = begun.elapsed().as_secs_f64();
        let cpu_seconds = used()?.into_iter().zip(before).map(|(after, before)| after - before).collect();
        Ok(Measured { seconds, cpu_seconds, nanoseconds: Vec::new() })
    };
    // A core that sleeps has to be woken by whoever answers, which on virtual machines costs the server as much as the
    // answer; API servers are on other machines. So the load does not sleep, where that takes nothing from the server.
    let awake = async {
        while plan.placement == Placement::Apart && !phase.is_over() {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (measured, times, ()) = futures::future::try_join3(clock, try_join_all(workers), awake).await?;
    Ok(Measured { nanoseconds: times.concat(), ..measured })
}

/// Whether it is the time that is measured.
#[derive(Default)]
pub(crate) struct Phase {
    measuring: Cell<bool>,
    over: Cell<bool>,
}

impl Phase {
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Counts what was begun then and is done now. What ends after the time is up is not counted, though its worker waits
    /// for it.
    pub(crate) fn count(&self, begun: Instant, nanoseconds: &mut Vec<u32>) {
        if self.measuring.get() && !self.over.get() {
            nanoseconds.push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
    }
}

/// Asks on one connection, the questions in order from the first on, until it is over.
async fn ask(questions: &[Asked], first: usize, target: &Target<'_>, phase: &Phase) -> Result<Vec<u32>> {
    let Target { whom, server, .. } = target;
    let mut connection = server.connect().await?;
    let mut nanoseconds = Vec::with_capacity(100_000);
    for asked in questions.iter().cycle().skip(first) {
        if phase.is_over() {
            break;
        }
        let request = match whom {
            Whom::Hub => &asked.request,
            Whom::BytesEcho => &asked.bytes_echoed,
            Whom::JsonEcho => &asked.json_echoed,
        };
        let begun = Instant::now();
        let answer = connection.ask(request).await?;
        phase.count(begun, &mut nanoseconds);
        match whom {
            Whom::Hub => asked.check(answer)?,
            Whom::BytesEcho | Whom::JsonEcho
                if asked.bytes_echoed.ends_with(answer) && answer.len() == asked.body_bytes => {}
            Whom::BytesEcho | Whom::JsonEcho => bail!("the echo is {}", String::from_utf8_lossy(answer)),
        }
    }
    Ok(nanoseconds)
}

/// Asks everything once, and looks at every answer.
pub(crate) async fn once(questions: &[Asked], server: &Server) -> Result<()> {
    let next = Cell::new(0);
    let asking = (0..FILLERS).map(|_| async {
        let mut connection = server.connect().await?;
        while let Some(asked) = questions.get(next.get()) {
            next.set(next.get() + 1);
            asked.check(connection.ask(&asked.request).await?)?;
        }
        Ok::<_, anyhow::Error>(())
    });
    try_join_all(asking).await?;
    Ok(())
}
