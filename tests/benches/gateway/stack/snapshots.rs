//! Loading every cluster from PostgreSQL: fresh processes of mapping and authz, from their start until nothing is left to load.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lanyard_api::ClusterUid;
use lanyard_api::authz::{Authorize as _, Verdict};

use super::rbac_review;
use super::running::{self, Place, Service, Stack, badge, prove};
use crate::figure::say;
use crate::hub::{READY_WAIT, program};
use crate::process::{Process, Usage, without_settings};
use crate::questions::Questions;
use crate::world::World;

/// Clusters that are asked for at once: more than a process has connections to the store.
const AT_ONCE: usize = 16;

/// Measures it.
pub(super) async fn measure(place: &Place<'_>, stack: &Stack, world: &World) -> Result<()> {
    let questions = Questions::new(world, &stack.server, place.sts);
    let group = format!(
        "Loading {} clusters of {} entries and {} bindings from PostgreSQL",
        world.clusters.len(),
        world.size.entries,
        world.size.bindings
    );
    // authn of the stack has everything in memory before, so that it costs what is measured next to nothing.
    let authn = stack.replica("authn", 0)?;
    let proved = async |number: usize, cluster: ClusterUid| {
        prove(&authn, cluster, &questions.local_token(number)?).await
    };
    each(world, async |number, cluster| proved(number, cluster).await.map(drop)).await?;

    let mapping = Fresh::start(place, stack, "mapping", world).await?;
    each(world, async |number, cluster| {
        let identity = proved(number, cluster).await?;
        let badge = badge(&mapping.service, cluster, &identity).await?;
        ensure!(badge.is_some(), "cluster {number} does not know the administrator");
        Ok(())
    })
    .await?;
    mapping.say(&group)?;

    let authz = Fresh::start(place, stack, "authz", world).await?;
    each(world, async |number, cluster| {
        // What the first binding of every cluster allows to its subject.
        let review = rbac_review(cluster, "somebody-0", "team-0");
        let decision = authz.service.authorize(review).await?;
        ensure!(
            decision.verdict == Verdict::Allow,
            "cluster {number} has not what binds somebody: {decision:?}"
        );
        Ok(())
    })
    .await?;
    authz.say(&group)
}

/// Asks for every cluster.
async fn each(world: &World, ask: impl AsyncFn(usize, ClusterUid) -> Result<()>) -> Result<()> {
    let asking = world.clusters.iter().enumerate().map(|(number, cluster)| ask(number, *cluster));
    stream::iter(asking).buffer_unordered(AT_ONCE).try_collect().await
}

/// A process of a service that nobody has asked anything yet.
struct Fresh {
    name: &'static str,
    begun: Instant,
    ready_milliseconds: f64,
    ready_megabytes: f64,
    process: Process,
    service: Service,
}

impl Fresh {
    async fn start(place: &Place<'_>, stack: &Stack, name: &'static str, world: &World) -> Result<Self> {
        let folder = place.folder.join(running::FOLDER);
        let ready_file = folder.join(format!("{name}-fresh.ready.json"));
        let mut command = Command::new(program()?);
        command.args(["run", name, "--listen", "127.0.0.1:0", "--log", "warn", "--tls-dir"]);
        command.arg(folder.join(name)).arg("--ready-file").arg(&ready_file);
        without_settings(&mut command).env("LANYARD_PROCESS__STORE", &place.order.postgres);
        // Room for all of them, as somebody with so many clusters would give it.
        let room = match name {
            "mapping" => "LANYARD_MAPPING__MEMORY__CLUSTERS_MAX",
            _ => "LANYARD_AUTHZ__CLUSTERS_MAX",
        };
        command.env(room, world.clusters.len().to_string()).stdin(Stdio::null());
        let begun = Instant::now();
        let mut process = Process::spawn(name, &mut command)?;
        let ready = process.ready(&ready_file, READY_WAIT).await?;
        let ready_milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        let ready_megabytes = process.usage().resident_megabytes()?;
        let service = stack.service(name, &ready).with_context(|| name)?;
        Ok(Self { name, begun, ready_milliseconds, ready_megabytes, process, service })
    }

    fn say(self, group: &str) -> Result<()> {
        let (took, usage): (_, Usage) = (self.begun.elapsed(), self.process.usage());
        let say = |what: &str, value, unit| say(group, &format!("{}: {what}", self.name), value, unit, None);
        say("from its start to ready", self.ready_milliseconds, "ms");
        say("resident memory when ready", self.ready_megabytes, "MB");
        say("from its start until every cluster has answered", took.as_secs_f64(), "s");
        say("CPU for that", usage.cpu_seconds()?, "s");
        say("resident memory then", usage.resident_megabytes()?, "MB");
        Ok(())
    }
}
