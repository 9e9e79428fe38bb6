//! The suite as separate processes, on a real PostgreSQL and with a real Redis.
//!
//! `cargo xtask bench stack` starts the PostgreSQL and says what to do; here a world is filled, copied there, and served by
//! what `cargo xtask stack` starts. All share the machine's cores, the load too, as the goals have it.

mod batch;
mod changes;
pub(crate) mod floor;
mod hop;
mod reviews;
mod running;
mod snapshots;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lanyard_api::authz::{Attributes, ResourceAttributes, Review};
use lanyard_api::{ClusterUid, UserInfo};
use lanyard_kit::SecretBytes;
use lanyard_kit::tls::{secure_dir, write_secret_file};
use lanyard_store::{CopyStep, StoreUrl, copy};
use serde::Deserialize;

use crate::process::Placement;
use crate::sts;
use crate::turn::Plan;
use crate::world::{self, Size, World};

use self::running::Stack;

/// The first argument by which this program measures the separate processes.
pub(crate) const ROLE: &str = "stack";
/// Where `cargo xtask bench stack` says what to do: JSON.
const ORDER: &str = "LANYARD_BENCH_STACK";
/// Clusters that the parts need which do not load all of them.
const FEW_CLUSTERS: usize = 100;

/// What is to be measured, and where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    parts: Vec<Part>,
    /// Clusters, where all of them are loaded.
    clusters: usize,
    /// Only to see that it works.
    quick: bool,
    /// An empty database.
    postgres: String,
    /// The program that is `cargo xtask`.
    xtask: std::path::PathBuf,
}

/// Whether somebody may read the deployments of a namespace, or of all by an empty name, by RBAC alone.
fn rbac_review(cluster: ClusterUid, username: &str, namespace: &str) -> Review {
    Review {
        cluster,
        user: UserInfo {
            username: username.to_owned(),
            uid: String::new(),
            groups: vec!["system:authenticated".to_owned()],
            extra: Default::default(),
        }
        .into(),
        attributes: Attributes::Resource(ResourceAttributes {
            namespace: namespace.into(),
            verb: "get".into(),
            group: "apps".into(),
            version: "v1".into(),
            resource: "deployments".into(),
            ..ResourceAttributes::default()
        })
        .into(),
        explain: false,
        full: true,
        grant: None,
    }
}

/// Parts, as `--only` names them.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Reviews,
    Hop,
    Batch,
    Changes,
    Snapshots,
}

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    world: Size,
    plan: Plan,
    /// Sessions whose answers of STS are kept.
    sessions: usize,
    /// Changes that are followed, of each kind.
    changes: usize,
}

impl Order {
    fn read() -> Result<Self> {
        let text = std::env::var(ORDER)
            .with_context(|| format!("{ORDER} is not set: run `cargo xtask bench stack`"))?;
        serde_json::from_str(&text).with_context(|| ORDER)
    }

    fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    fn scale(&self) -> Scale {
        let clusters =
            if self.wants(Part::Snapshots) { self.clusters } else { self.clusters.min(FEW_CLUSTERS) };
        let plan = |milliseconds| Plan {
            turn: Duration::from_millis(milliseconds),
            placement: Placement::Shared,
            turns: if self.quick { 1 } else { 2 },
        };
        if self.quick {
            let world = Size { clusters, entries: 50, bindings: 50, more: &[] };
            return Scale { world, plan: plan(500), sessions: 200, changes: 20 };
        }
        let world = Size { clusters, ..Size::LARGE };
        Scale { world, plan: plan(2_500), sessions: 10_000, changes: 200 }
    }
}

/// Measures what it was told to.
pub(crate) fn run() -> Result<()> {
    let order = Order::read()?;
    let scale = order.scale();
    lanyard_kit::tls::install_provider();
    let folder = tempfile::tempdir()?;
    let filling = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let hub = folder.path().join("hub");
    let world = filling.block_on(async {
        let world = world::fill(&hub, scale.world).await?;
        to_postgres(&hub, &order.postgres).await?;
        Ok::<_, anyhow::Error>(world)
    })?;
    drop(filling);
    // The envelope key of the hub that was copied is that of the stack.
    let data = folder.path().join(running::FOLDER).join("data");
    secure_dir(&folder.path().join(running::FOLDER))?;
    secure_dir(&data)?;
    let envelope = std::fs::read(hub.join(world::ENVELOPE_FILE))?;
    write_secret_file(&data.join(world::ENVELOPE_FILE), &SecretBytes::from(envelope))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(folder.path(), &order, scale, &world))
}

/// Copies the hub's file, as `lanyard db copy` does: rows in batches, and every chain verified on both sides.
async fn to_postgres(hub: &Path, url: &str) -> Result<()> {
    let begun = Instant::now();
    let (from, to): (_, StoreUrl) = (world::store_options(hub)?, url.parse()?);
    let copied = copy(&from, &to, &|step| match step {
        CopyStep::Copying { rows, of, .. } if rows < of => {}
        CopyStep::Copying { table, rows, .. } => eprintln!("{rows} rows of {table} copied"),
        CopyStep::Verifying => eprintln!("the chains of the source are verified"),
        CopyStep::Comparing => eprintln!("what arrived is compared"),
        CopyStep::VerifyingCopy => eprintln!("the chains of the copy are verified"),
    });
    let rows: u64 = copied.await?.tables.iter().map(|table| table.rows).sum();
    println!("{rows} rows copied to PostgreSQL, and verified there, in {:.1?}", begun.elapsed());
    Ok(())
}

/// What is left does not need the hub's file, and it is large.
fn forget_hub(folder: &Path) {
    for name in ["lanyard.db", "lanyard.db-wal", "lanyard.db-shm"] {
        let _ = std::fs::remove_file(folder.join("hub").join(name));
    }
}

async fn measure(folder: &Path, order: &Order, scale: Scale, world: &World) -> Result<()> {
    let sts = sts::StandIn::start(&folder.join("sts")).await?;
    let place = running::Place { folder, order, sts: &sts };
    if order.wants(Part::Reviews) {
        let stack = Stack::start(&place, 1).await?;
        reviews::measure(&place, &stack, scale, world).await?;
        stack.stop().await?;
    }
    if [Part::Hop, Part::Batch, Part::Snapshots].into_iter().any(|part| order.wants(part)) {
        let stack = Stack::start(&place, 1).await?;
        if order.wants(Part::Hop) {
            hop::measure(&stack, scale).await?;
        }
        if order.wants(Part::Batch) {
            batch::measure(&place, &stack, scale, world).await?;
        }
        forget_hub(folder);
        if order.wants(Part::Snapshots) {
            snapshots::measure(&place, &stack, world).await?;
        }
        stack.stop().await?;
    }
    if order.wants(Part::Changes) {
        forget_hub(folder);
        let stack = Stack::start(&place, 2).await?;
        changes::measure(&place, &stack, scale, world).await?;
        stack.stop().await?;
    }
    Ok(())
}
