//! Lanyard as an API server sees it: the released program, over TLS, beside an echo on the same HTTP stack.
//!
//! One hub is measured from beginning to end: its folder is filled with many clusters, it is started, every cluster is
//! used once, and then one of them is asked as fast as it answers. Server and load each have one core, where the
//! machine has two; every answer is looked at. `LANYARD_BIN` names the program, the one in the target folder is the default.
//! As `stack` it measures the separate processes instead, which `cargo xtask bench stack` prepares ([`stack`]).
#![allow(clippy::print_stdout, reason = "a benchmark says its figures on standard output")]

mod aws;
mod client;
mod door;
mod echo;
mod figure;
mod hub;
mod load;
mod process;
mod questions;
mod roles;
mod stack;
mod sts;
mod turn;
mod vends;
mod world;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::process::Placement;

/// As the hub has it, so that the echo is built alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Cargo adds flags of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let outcome = match words.as_slice() {
        [role, folder] if role == echo::ROLE => echo::run(folder.as_ref()),
        [role, folder] if role == stack::floor::ROLE => stack::floor::run(folder.as_ref()),
        [role] if role == stack::ROLE => stack::run(),
        words => bench(words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("gateway bench: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// Each word is a part of the name of a scenario to run; without any, all are.
fn bench(words: &[String]) -> Result<()> {
    lanyard_kit::tls::install_provider();
    let is_asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let (reviews, wire, vends) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    let filling = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let fill = |folder: &Path, size| filling.block_on(world::fill(&folder.join("hub"), size));
    let of_reviews = questions::ALL.into_iter().any(is_asked);
    let of_reviews = of_reviews.then(|| fill(reviews.path(), world::Size::usual())).transpose()?;
    let of_wire = is_asked(aws::WIRE).then(|| fill(wire.path(), aws::size())).transpose()?;
    let of_vends = is_asked(vends::VENDS).then(|| fill(vends.path(), vends::SIZE)).transpose()?;
    drop(filling);
    // The load's core; what is started from here on says its own.
    process::pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(world) = of_reviews {
        runtime.block_on(measure(reviews.path(), &world, words))?;
    }
    if let Some(world) = of_wire {
        runtime.block_on(aws::measure(wire.path(), &world))?;
    }
    if let Some(world) = of_vends {
        runtime.block_on(vends::measure(vends.path(), &world))?;
    }
    Ok(())
}

async fn measure(folder: &Path, world: &world::World, words: &[String]) -> Result<()> {
    let is_asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let sts = sts::StandIn::start(&folder.join("sts")).await?;
    let hub = hub::Hub::start(folder, &sts, Placement::Apart).await?;
    figure::say("Start", "from nothing to ready", hub.start.as_secs_f64() * 1e3, "ms", None);
    figure::say("Start", "resident memory when ready", hub.process.usage().resident_megabytes()?, "MB", None);
    let questions = questions::Questions::new(world, &hub.server, &sts);
    questions.use_every_cluster().await?;
    let used = "resident memory with every cluster in use";
    figure::say("Start", used, hub.process.usage().resident_megabytes()?, "MB", None);
    let echo = echo::Echo::start(&folder.join("echo"), Placement::Apart).await?;
    if is_asked(questions::LOCAL_TOKEN_REVIEWS) {
        load::compare(&questions.local_token_reviews()?, &hub, &echo, load::Goals::LOCAL).await?;
    }
    if is_asked(questions::ACCESS_REVIEWS) {
        load::compare(&questions.access_reviews().await?, &hub, &echo, load::Goals::CACHED).await?;
    }
    if !is_asked(questions::CACHED_TOKEN_REVIEWS) {
        return Ok(());
    }
    let cached =
        questions.cached_token_reviews(questions::CACHED_TOKEN_REVIEWS, questions::sessions()).await?;
    load::compare(&cached, &hub, &echo, load::Goals::CACHED).await?;
    let kept = "resident memory with the token cache full";
    figure::say("Start", kept, hub.process.usage().resident_megabytes()?, "MB", None);
    Ok(())
}
