//! The load: as many requests as a number of connections can have answered, in turns at the hub and at the echoes.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::future::try_join_all;

use crate::client::Server;
use crate::echo::Echo;
use crate::figure::say;
use crate::hub::Hub;
use crate::process::Process;

/// Connections at once, a point each.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// How long one turn is measured, after so long a warm-up.
const TURN: Duration = Duration::from_millis(1_200);
const WARM_UP: Duration = Duration::from_millis(200);
/// Turns of hub and echoes at each point, so that a change of the machine's load falls on both.
const TURNS: usize = 2;
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

/// Who is asked.
#[derive(Clone, Copy)]
enum Whom {
    Hub,
    BytesEcho,
    JsonEcho,
}

/// What one or more turns showed.
struct Measured {
    seconds: f64,
    server_cpu_seconds: f64,
    /// Of each request.
    nanoseconds: Vec<u32>,
}

impl Measured {
    const fn new() -> Self {
        Self { seconds: 0.0, server_cpu_seconds: 0.0, nanoseconds: Vec::new() }
    }

    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.server_cpu_seconds += other.server_cpu_seconds;
        self.nanoseconds.extend(other.nanoseconds);
    }

    fn per_second(&self) -> f64 {
        self.nanoseconds.len() as f64 / self.seconds
    }

    fn cpu_microseconds(&self) -> f64 {
        self.server_cpu_seconds * 1e6 / self.nanoseconds.len() as f64
    }

    fn percentile_microseconds(&mut self, percent: usize) -> f64 {
        self.nanoseconds.sort_unstable();
        let at = self.nanoseconds.len() * percent / 100;
        f64::from(self.nanoseconds.get(at).copied().unwrap_or_default()) / 1e3
    }
}

/// Asks hub and echoes the same, and says the figures.
pub(crate) async fn compare(scenario: &Scenario, hub: &Hub, echo: &Echo, goals: Goals) -> Result<()> {
    let group = &scenario.name;
    for connections in CONNECTIONS {
        let [mut of_hub, mut of_json, mut of_bytes] = [const { Measured::new() }; 3];
        for _ in 0..TURNS {
            let ask = |whom, server, process| turn(&scenario.questions, connections, whom, server, process);
            of_hub.add(ask(Whom::Hub, &hub.server, &hub.process).await?);
            of_json.add(ask(Whom::JsonEcho, &echo.server, &echo.process).await?);
            of_bytes.add(ask(Whom::BytesEcho, &echo.server, &echo.process).await?);
        }
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

async fn turn(
    questions: &[Asked],
    connections: usize,
    whom: Whom,
    server: &Server,
    process: &Process,
) -> Result<Measured> {
    let phase = Phase { measuring: Cell::new(false), over: Cell::new(false) };
    let clock = async {
        tokio::time::sleep(WARM_UP).await;
        let cpu = process.cpu_seconds()?;
        phase.measuring.set(true);
        let begun = Instant::now();
        tokio::time::sleep(TURN).await;
        phase.over.set(true);
        Ok(Measured {
            seconds: begun.elapsed().as_secs_f64(),
            server_cpu_seconds: process.cpu_seconds()? - cpu,
            nanoseconds: Vec::new(),
        })
    };
    // A core that sleeps has to be woken by whoever answers, which on virtual machines costs the server as much as the
    // answer; API servers are on other machines. So the load does not sleep.
    let awake = async {
        while !phase.over.get() {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let asking = (0..connections).map(|number| {
        let first = number * questions.len() / connections;
        ask(questions, first, whom, server, &phase)
    });
    let (measured, asked, ()) = futures::future::try_join3(clock, try_join_all(asking), awake).await?;
    Ok(Measured { nanoseconds: asked.concat(), ..measured })
}

struct Phase {
    measuring: Cell<bool>,
    over: Cell<bool>,
}

/// Asks on one connection, the questions in order from the first on, until it is over.
async fn ask(
    questions: &[Asked],
    first: usize,
    whom: Whom,
    server: &Server,
    phase: &Phase,
) -> Result<Vec<u32>> {
    let mut connection = server.connect().await?;
    let mut nanoseconds = Vec::with_capacity(100_000);
    for asked in questions.iter().cycle().skip(first) {
        if phase.over.get() {
            break;
        }
        let request = match whom {
            Whom::Hub => &asked.request,
            Whom::BytesEcho => &asked.bytes_echoed,
            Whom::JsonEcho => &asked.json_echoed,
        };
        let begun = Instant::now();
        let answer = connection.ask(request).await?;
        let took = begun.elapsed();
        match whom {
            Whom::Hub => asked.check(answer)?,
            Whom::BytesEcho | Whom::JsonEcho
                if asked.bytes_echoed.ends_with(answer) && answer.len() == asked.body_bytes => {}
            Whom::BytesEcho | Whom::JsonEcho => bail!("the echo is {}", String::from_utf8_lossy(answer)),
        }
        // One that ends after the time is up is not counted, though its connection waits for it.
        if phase.measuring.get() && !phase.over.get() {
            nanoseconds.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
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
