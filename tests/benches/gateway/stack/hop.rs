//! The gRPC hop alone: a call that asks nothing, from client to server and back, through all their layers.
//!
//! It is an `AuthorizeBatch` of no reviews: encoded, sent over mTLS to the replica with the fewest calls under way, admitted by
//! the caller's certificate, decoded, answered. Calls that wait at the same time travel together, as the gateway's do.

use std::time::Instant;

use anyhow::{Result, ensure};
use lanyard_api::authz::Authorize as _;

use super::reviews::HOP_CPU_MOST;
use super::running::{Service, Stack};
use super::{Scale, floor};
use crate::figure::{say, say_under};
use crate::process::Usage;
use crate::turn::{CONNECTIONS, Phase, during};

/// The figures' table.
pub(super) const GROUP: &str = "The gRPC hop alone, over mTLS";

/// Measures it.
pub(super) async fn measure(stack: &Stack, scale: Scale) -> Result<()> {
    let authz = stack.replica("authz", 0)?;
    let processes = [Usage::own(), stack.usage("authz", 0)?];
    for at_once in CONNECTIONS {
        let phase = &Phase::default();
        let workers = (0..at_once).map(|_| call(&authz, phase));
        let mut measured = during(phase, scale.plan, &processes, workers).await?;
        let named = |name: &str| format!("{at_once} at once: {name}");
        let plain = |name: &str, value, unit| say(GROUP, &named(name), value, unit, None);
        plain("calls a second", measured.per_second(), "/s");
        for (name, cpu) in
            ["CPU of the caller", "CPU of the called"].iter().zip(measured.cpu_microseconds_each())
        {
            plain(name, cpu, "µs");
        }
        say_under(GROUP, &named("CPU of both"), measured.cpu_microseconds(), "µs", HOP_CPU_MOST);
        plain("p50", measured.percentile_microseconds(50), "µs");
        plain("p99", measured.percentile_microseconds(99), "µs");
    }
    floor::measure(scale.plan).await
}

async fn call(authz: &Service, phase: &Phase) -> Result<Vec<u32>> {
    let mut nanoseconds = Vec::new();
    while !phase.is_over() {
        let begun = Instant::now();
        let decisions = authz.authorize_batch(Vec::new()).await?;
        phase.count(begun, &mut nanoseconds);
        ensure!(decisions.is_empty(), "nothing was asked, and decided are {}", decisions.len());
    }
    Ok(nanoseconds)
}
