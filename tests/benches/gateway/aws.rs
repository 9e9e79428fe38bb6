//! The AWS wire: signed calls of EKS, beside moto's server with the one of them that it has, and beside the echo of nothing.
//!
//! The hub of this scenario is one of its own: so many clusters of so many entries, and one cluster each of few and of many
//! entries, between which a call must not cost more. Calls are signed just before they are sent; each signature is good for five
//! minutes, and those that only read may be sent again.

mod moto;
mod verification;

use std::path::Path;

use anyhow::{Context, Result};
use lanyard_iam::sigv4::percent_encoded;
use lanyard_iam::{AccountId, Credentials, HttpRequest, PayloadHash, Signer};
use serde_json::Value;
use time::OffsetDateTime;

use crate::client::{Connection, Server, get};
use crate::echo::Echo;
use crate::figure::{say, say_at_least, say_under};
use crate::hub::Hub;
use crate::load::{Asked, beside_nothing, nothing_echoed};
use crate::process::Placement;
use crate::sts;
use crate::turn::{CONNECTIONS, Plan, is_small};
use crate::world::{self, Size, World};

/// What the figures stand under.
pub(crate) const WIRE: &str = "AWS wire";
/// How many times moto's throughput ours should be.
const TIMES_MOTO: f64 = 50.0;
/// How much more a call may cost where there are many entries: what differs beyond is noise of the measurement.
const GROWTH_MAX: f64 = 1.25;
/// Entries of a page: EKS's most.
const PAGE: usize = 100;
/// Different entries that are described in turn.
const DESCRIBED: usize = 64;
/// How much there is: as much as a large hub has, or a little of each. Few entries are three pages, of which the middle one is asked
/// for and answered as those of a long list are: by a token, and with one.
pub(crate) fn size() -> Size {
    match is_small() {
        false => Size { clusters: 1_000, entries: 1_000, bindings: 0, more: &[300, 10_000] },
        true => Size { clusters: 10, entries: 50, bindings: 0, more: &[300, 500] },
    }
}

/// Measures all of it.
pub(crate) async fn measure(folder: &Path, world: &World) -> Result<()> {
    verification::measure()?;
    let sts = sts::StandIn::start(&folder.join("sts")).await?;
    let hub = Hub::start(folder, &sts, Placement::Apart).await?;
    let wire = Wire { server: hub.aws.clone(), administrator: &world.administrator, account: world.account };
    wire.use_every_cluster(world).await?;
    let Size { clusters, entries, more, .. } = world.size;
    let used = format!("resident memory with {clusters} clusters of {entries} entries in use");
    say(WIRE, &used, hub.process.usage().resident_megabytes()?, "MB", None);
    let echo = Echo::start(&folder.join("echo"), Placement::Apart).await?;
    let moto = moto::Moto::start(folder).await?;

    let mut costs = Vec::new();
    for (number, entries) in (clusters..).zip(more) {
        let of_size = format!("of {entries} entries");
        let describe = wire.describe(number, *entries).await?;
        let list = wire.list(number, *entries).await?;
        let cluster = vec![wire.describe_cluster(number).await?];
        let kinds = [
            ("DescribeAccessEntry", describe),
            ("ListAccessEntries, paged,", list),
            ("DescribeCluster", cluster),
        ];
        for (what, questions) in kinds {
            let name = format!("{what} {of_size}");
            costs.push((what, compare(&name, &questions, &hub, &echo, moto.as_ref()).await?));
        }
    }
    for what in ["DescribeAccessEntry", "ListAccessEntries, paged,", "DescribeCluster"] {
        let of: Vec<f64> = costs.iter().filter(|(of, _)| *of == what).map(|(_, cost)| *cost).collect();
        if let (Some(few), Some(many)) = (of.first(), of.last()) {
            let name = format!("{what} CPU with many entries by that with few");
            say_under(WIRE, &name, many / few, "", GROWTH_MAX);
        }
    }
    Ok(())
}

/// Asks hub, echo and moto, in turns, and says the figures. The hub's CPU for a request on one connection is what comes back.
async fn compare(
    name: &str,
    questions: &[Asked],
    hub: &Hub,
    echo: &Echo,
    moto: Option<&moto::Moto>,
) -> Result<f64> {
    let mut cost = None;
    for connections in CONNECTIONS {
        let of_hub = beside_nothing(WIRE, name, questions, hub, echo, connections).await?;
        let named = |what: &str| format!("{name}, {connections} connections: {what}");
        if let Some(moto) = moto {
            let of_moto = moto.measure(connections, Plan::apart()).await?;
            say(WIRE, &named("moto's DescribeCluster"), of_moto.per_second(), "/s", None);
            let times = of_hub.per_second() / of_moto.per_second();
            say_at_least(WIRE, &named("times moto's"), times, "", TIMES_MOTO);
        }
        cost.get_or_insert(of_hub.cpu_microseconds());
    }
    cost.context("nothing was measured")
}

/// The wire of a hub, for its administrator.
struct Wire<'a> {
    server: Server,
    administrator: &'a Credentials,
    account: AccountId,
}

impl Wire<'_> {
    /// A signed `GET`, and what its answer begins with.
    fn asked(&self, path: &str, query: &str, begins: &str) -> Result<Asked> {
        let host = self.server.address.to_string();
        let headers = [("host", host.as_str())];
        let request = HttpRequest { method: "GET", path, query, headers: &headers };
        let signer = Signer::new(self.administrator, world::REGION, "eks");
        let signed = signer.sign_headers(&request, &PayloadHash::of(b""), OffsetDateTime::now_utc())?;
        let line = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let headers = headers.into_iter().chain(signed.iter());
        Ok(nothing_echoed(get(&line, headers), begins.as_bytes()))
    }

    fn describe_one(&self, cluster: usize, principal_arn: &str) -> Result<Asked> {
        let path = format!(
            "/clusters/{}/access-entries/{}",
            world::cluster_id(cluster),
            percent_encoded(principal_arn)
        );
        self.asked(&path, "", r#"{"accessEntry":{"#)
    }

    fn page(&self, cluster: usize, token: Option<&str>) -> Result<Asked> {
        let path = format!("/clusters/{}/access-entries", world::cluster_id(cluster));
        let query = match token {
            None => format!("maxResults={PAGE}"),
            Some(token) => format!("maxResults={PAGE}&nextToken={}", percent_encoded(token)),
        };
        self.asked(&path, &query, r#"{"accessEntries":["#)
    }

    async fn use_every_cluster(&self, world: &World) -> Result<()> {
        let mut connection = self.server.connect().await?;
        let administrator = format!("arn:aws:iam::{}:user/{}", self.account, lanyard_authn::ADMINISTRATOR);
        for number in 0..world.clusters.len() {
            ask(&mut connection, &mut self.describe_one(number, &administrator)?).await?;
        }
        Ok(())
    }

    /// Entries from all over a cluster's list.
    async fn describe(&self, cluster: usize, entries: usize) -> Result<Vec<Asked>> {
        let mut connection = self.server.connect().await?;
        // The first is the administrator's place, as the world is filled.
        let step = (entries / DESCRIBED).max(1);
        let mut all = Vec::new();
        for number in (1..entries).step_by(step).take(DESCRIBED) {
            let arn = format!("arn:aws:iam::{}:role/{}", self.account, world::role(number));
            let mut asked = self.describe_one(cluster, &arn)?;
            let answer = ask(&mut connection, &mut asked).await?;
            let found = answer.pointer("/accessEntry/principalArn").and_then(Value::as_str);
            anyhow::ensure!(found == Some(&arn), "asked for {arn}, the entry is of {found:?}");
            all.push(asked);
        }
        Ok(all)
    }

    /// The call that moto has too.
    async fn describe_cluster(&self, cluster: usize) -> Result<Asked> {
        let id = world::cluster_id(cluster);
        let mut asked = self.asked(&format!("/clusters/{id}"), "", r#"{"cluster":{"#)?;
        let answer = ask(&mut self.server.connect().await?, &mut asked).await?;
        let found = answer.pointer("/cluster/name").and_then(Value::as_str);
        anyhow::ensure!(found == Some(&id), "asked for {id}, the cluster is {found:?}");
        Ok(asked)
    }

    /// The pages of a cluster's list but for the first and the last, so that one costs what another does: each is asked for by a
    /// token, full, and answered with the next one's.
    async fn list(&self, cluster: usize, entries: usize) -> Result<Vec<Asked>> {
        let mut connection = self.server.connect().await?;
        let (mut pages, mut token, mut seen) = (Vec::new(), None::<String>, 0);
        loop {
            let mut asked = self.page(cluster, token.as_deref())?;
            let answer = ask(&mut connection, &mut asked).await?;
            let of_page = answer.get("accessEntries").and_then(Value::as_array).map_or(0, Vec::len);
            seen += of_page;
            let next = answer.get("nextToken").and_then(Value::as_str).map(str::to_owned);
            if token.is_some() && next.is_some() {
                anyhow::ensure!(of_page == PAGE, "a page in the middle has {of_page} entries");
                pages.push(asked);
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        anyhow::ensure!(seen == entries, "the pages have {seen} entries together, the cluster {entries}");
        Ok(pages)
    }
}

/// Asks once, before anything is measured. Nothing changes meanwhile, so every answer from then on has to be this one whole.
async fn ask(connection: &mut Connection, asked: &mut Asked) -> Result<Value> {
    let answer = connection.ask(&asked.request).await?;
    asked.check(answer)?;
    asked.begins = answer.to_vec();
    Ok(serde_json::from_slice(answer)?)
}
