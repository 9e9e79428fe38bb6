//! The load: as many requests as a number of connections can have answered, in turns at the hubs and at the echoes.

use std::cell::Cell;
use std::time::Instant;

use anyhow::{Result, bail};
use futures::future::try_join_all;

use crate::client::{Server, post};
use crate::echo::{self, Echo};
use crate::figure::{say, say_at_least, say_under};
use crate::hub::Hub;
use crate::process::Usage;
use crate::turn::{CONNECTIONS, Measured, Phase, Plan, during};

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

/// What the figures should be.
#[derive(Clone, Copy)]
pub(crate) struct Goals {
    /// The least of what the JSON echo answers.
    ratio: f64,
    /// CPU has to be under so many microseconds.
    cpu: Option<f64>,
}

impl Goals {
    pub(crate) const CACHED: Self = Self { ratio: 0.85, cpu: Some(15.0) };
    pub(crate) const LOCAL: Self = Self { ratio: 0.7, cpu: None };
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

/// Asks hub and echoes the same, and says the figures.
pub(crate) async fn compare(scenario: &Scenario, hub: &Hub, echo: &Echo, goals: Goals) -> Result<()> {
    let group = &scenario.name;
    let targets = [Target::hub(hub), Target::echo(Whom::JsonEcho, echo), Target::echo(Whom::BytesEcho, echo)];
    for connections in CONNECTIONS {
        let [mut of_hub, of_json, of_bytes] =
            in_turns(&scenario.questions, connections, &targets, Plan::apart()).await?;
        let named = |name: &str| format!("{connections} connections: {name}");
        let plain = |name: &str, value, unit| say(group, &named(name), value, unit, None);
        plain("requests a second", of_hub.per_second(), "/s");
        plain("the JSON echo's", of_json.per_second(), "/s");
        plain("the byte echo's", of_bytes.per_second(), "/s");
        let ratio = of_hub.per_second() / of_json.per_second();
        say_at_least(group, &named("ratio to the JSON echo"), ratio, "", goals.ratio);
        plain("ratio to the byte echo", of_hub.per_second() / of_bytes.per_second(), "");
        let (name, cpu) = (named("CPU for a request"), of_hub.cpu_microseconds());
        match goals.cpu {
            Some(most) => say_under(group, &name, cpu, "µs", most),
            None => say(group, &name, cpu, "µs", None),
        }
        plain("the JSON echo's CPU", of_json.cpu_microseconds(), "µs");
        plain("the byte echo's CPU", of_bytes.cpu_microseconds(), "µs");
        plain("p50", of_hub.percentile_microseconds(50), "µs");
        plain("p99", of_hub.percentile_microseconds(99), "µs");
    }
    Ok(())
}

/// A request to the hub, for which the echo is asked to answer nothing.
pub(crate) fn nothing_echoed(request: Vec<u8>, begins: &[u8]) -> Asked {
    let nothing = post(echo::BYTES_PATH, "", "");
    Asked {
        request,
        json_echoed: nothing.clone(),
        bytes_echoed: nothing,
        body_bytes: 0,
        begins: begins.to_vec(),
    }
}

/// Asks the AWS wire of a hub, and the echo for nothing, and says the figures. The hub's come back.
pub(crate) async fn beside_nothing(
    group: &str,
    name: &str,
    questions: &[Asked],
    hub: &Hub,
    echo: &Echo,
    connections: usize,
) -> Result<Measured> {
    let of_hub = Target { whom: Whom::Hub, server: &hub.aws, processes: vec![hub.process.usage()] };
    let targets = [of_hub, Target::echo(Whom::BytesEcho, echo)];
    let [mut of_hub, of_echo] = in_turns(questions, connections, &targets, Plan::apart()).await?;
    let say = |what: &str, value, unit| {
        say(group, &format!("{name}, {connections} connections: {what}"), value, unit, None);
    };
    say("requests a second", of_hub.per_second(), "/s");
    say("the empty echo's", of_echo.per_second(), "/s");
    say("ratio to the empty echo", of_hub.per_second() / of_echo.per_second(), "");
    say("CPU for a request", of_hub.cpu_microseconds(), "µs");
    say("p50", of_hub.percentile_microseconds(50), "µs");
    say("p99", of_hub.percentile_microseconds(99), "µs");
    Ok(of_hub)
}

/// Asks all targets the same, one after the other and over again.
pub(crate) async fn in_turns<const N: usize>(
    questions: &[Asked],
    connections: usize,
    targets: &[Target<'_>; N],
    plan: Plan,
) -> Result<[Measured; N]> {
    let mut measured = targets.each_ref().map(|target| Measured::of(target.processes.len()));
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
