//! Vends: a node asks the EKS Auth wire for credentials of its pods, as the published agent does, beside the empty echo.
//!
//! Two hubs are asked, one after the other on one folder. The first is as it is configured by default, where a pod that asks again
//! gets what it has; its pods are those of a full node. The second keeps nothing, so that each answer is of a token that is verified,
//! a role whose trust policy is weighed, and a session that is minted; its pods are many. Calls are signed just before they are sent;
//! a vend changes nothing, so a signature may be sent again for five minutes.

mod pods;
mod verification;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use lanyard_iam::{Credentials, HttpRequest, PayloadHash, Signer};
use serde_json::{Value, json};
use time::OffsetDateTime;

use self::pods::Node;
use crate::client::{Server, post_with};
use crate::echo::Echo;
use crate::hub::Hub;
use crate::load::{Asked, beside_nothing, nothing_echoed};
use crate::process::Placement;
use crate::turn::{CONNECTIONS, is_small};
use crate::world::{self, Size, World};

/// What the figures stand under.
pub(crate) const VENDS: &str = "Vends through the EKS Auth wire";
/// Pods of which each has what it was vended: as many as the node agent's benchmark has on a node.
const KEPT_PODS: usize = 250;
/// Pods of which each is vended to anew.
const FRESH_PODS: usize = 2_000;
/// The service that such calls are signed for.
const SERVICE: &str = "eks-auth";
/// So many vends a second are no attack here.
const UNLIMITED: &str = "{ per_second = 1000000, burst = 1000000 }";

/// One cluster is enough: what a vend looks at is its cluster's.
pub(crate) const SIZE: Size = Size { clusters: 1, entries: 1, bindings: 0, more: &[] };

/// How a hub is measured.
struct Measurement {
    name: &'static str,
    pods: usize,
    /// How long it keeps what a pod was vended; none: as it is configured by default.
    kept_seconds: Option<u32>,
}

/// Measures all of it.
pub(crate) async fn measure(folder: &Path, world: &World) -> Result<()> {
    verification::measure()?;
    let echo = Echo::start(&folder.join("echo"), Placement::Apart).await?;
    let size = |pods: usize| if is_small() { pods / 10 } else { pods };
    let kept = Measurement { name: "kept credentials", pods: size(KEPT_PODS), kept_seconds: None };
    let fresh = Measurement { name: "fresh credentials", pods: size(FRESH_PODS), kept_seconds: Some(0) };
    let mut node = None;
    for measurement in [kept, fresh] {
        let hub = Hub::configured(folder, &measurement.configuration(), None, Placement::Apart).await?;
        let node = match &node {
            Some(node) => node,
            None => node.insert(Node::set_up(&hub, world).await?),
        };
        measurement.run(&hub, node, &echo).await?;
        hub.process.stop().await?;
    }
    Ok(())
}

impl Measurement {
    fn configuration(&self) -> String {
        let rates = ["per_namespace", "per_cluster"].map(|rate| format!("{rate} = {UNLIMITED}\n")).concat();
        let kept = self.kept_seconds.map(|seconds| format!("kept_seconds = {seconds}\n"));
        format!("[credentials.vend]\n{rates}{}", kept.unwrap_or_default())
    }

    async fn run(&self, hub: &Hub, node: &Node, echo: &Echo) -> Result<()> {
        let caller = node.session(hub).await?;
        let mut questions = Vec::with_capacity(self.pods);
        for token in node.tokens(self.pods) {
            questions.push(self.question(&hub.aws, &caller, &token).await?);
        }
        for connections in CONNECTIONS {
            beside_nothing(VENDS, self.name, &questions, hub, echo, connections).await?;
        }
        Ok(())
    }

    /// A pod's, which is asked twice before anything is measured: what is kept is the same, and what is fresh another key.
    async fn question(&self, wire: &Server, caller: &Credentials, token: &str) -> Result<Asked> {
        let mut asked = asked(wire, caller, token)?;
        let mut connection = wire.connect().await?;
        let first = connection.ask(&asked.request).await?.to_vec();
        let second = connection.ask(&asked.request).await?;
        let key = |answer: &[u8]| -> Result<String> {
            let answer: Value = serde_json::from_slice(answer)?;
            let key = answer.pointer("/credentials/accessKeyId").and_then(Value::as_str);
            Ok(key.context("a vend has credentials")?.to_owned())
        };
        let (one, other) = (key(&first)?, key(second)?);
        let is_fresh = self.kept_seconds == Some(0);
        ensure!((one == other) != is_fresh, "{}: a pod was vended {one} and then {other}", self.name);
        let alike = first.iter().zip(second).take_while(|(one, other)| one == other);
        asked.begins = alike.map(|(byte, _)| *byte).collect();
        if is_fresh {
            // What follows the pod's name is by chance, and may begin alike.
            let name_ends = asked.begins.iter().rposition(|byte| *byte == b'-').map_or(0, |at| at + 1);
            asked.begins.truncate(name_ends);
        }
        Ok(asked)
    }
}

/// A signed call, and what its answer begins with.
fn asked(wire: &Server, caller: &Credentials, token: &str) -> Result<Asked> {
    let host = wire.address.to_string();
    let path = format!("/clusters/{}/assume-role-for-pod-identity", world::cluster_id(0));
    let body = json!({ "token": token }).to_string();
    let own = [("host", host.as_str()), ("content-type", "application/json")];
    let request = HttpRequest { method: "POST", path: &path, query: "", headers: &own };
    let signer = Signer::new(caller, world::REGION, SERVICE);
    let signed =
        signer.sign_headers(&request, &PayloadHash::of(body.as_bytes()), OffsetDateTime::now_utc())?;
    let request = post_with(&path, own.into_iter().chain(signed.iter()), &body);
    Ok(nothing_echoed(request, b"{"))
}
