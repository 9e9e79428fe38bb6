//! The figures of docs/benchmarks.md: what a decision costs by the number of bindings, and what the index takes in memory.
//!
//! The sizes are measured in turns, so that a change of the machine's load falls on all of them alike, and of all turns
//! the median counts. The names asked for are fresh in the processor's caches, as a request's are that was just read.
#![allow(clippy::print_stdout, reason = "a benchmark says its figures on standard output")]
#![allow(dead_code, reason = "the worlds are shared with the other benchmarks")]

mod world;

use std::hint::black_box;
use std::time::Instant;

use lanyard_rbac::{Index, User};
use world::{SIZES, Shape, ask, user, world};

/// Turns, of each of which a size gets one measurement.
const TURNS: usize = 301;
/// Decisions of one measurement.
const BATCH: usize = 256;
/// So many users stand for most minutes of a server, in which few ask.
const FEW: usize = 10;
/// Prime, so that in any world the users come strewn.
const STRIDE: usize = 7_919;
/// The most that a decision may cost.
const GOAL: &str = "under 500 ns";
/// The most that the largest world may cost, measured in the smallest.
const FLAT_GOAL: &str = "at most 1.5";

fn main() {
    for (shape, kind) in [(Shape::Cluster, "ClusterRoleBindings"), (Shape::Namespace, "RoleBindings")] {
        let worlds: Vec<(usize, Index)> =
            SIZES.iter().map(|&size| (size, Index::compile(&world(shape, size)))).collect();
        for (size, index) in &worlds {
            let bytes = index.memory_bytes() as f64 / *size as f64;
            say("RBAC index", &format!("memory of each of {size} {kind}"), bytes, "bytes", None);
        }
        for (users, who) in [(FEW, "ten users ask"), (usize::MAX, "all users ask in turn")] {
            for (verb, answer) in [("get", "allowed"), ("delete", "denied")] {
                let medians = measure(&worlds, users, verb);
                let group = format!("RBAC decision, {who}");
                for ((size, _), nanoseconds) in worlds.iter().zip(&medians) {
                    say(&group, &format!("{answer}, {size} {kind}"), *nanoseconds, "ns", Some(GOAL));
                }
                let ratio = match (medians.first(), medians.last()) {
                    (Some(smallest), Some(largest)) => largest / smallest,
                    _ => f64::NAN,
                };
                say(&group, &format!("{answer}, {kind}: largest to smallest"), ratio, "×", Some(FLAT_GOAL));
            }
        }
    }
}

/// Nanoseconds of a decision in each world.
fn measure(worlds: &[(usize, Index)], users: usize, verb: &str) -> Vec<f64> {
    let mut turns: Vec<Vec<f64>> = worlds.iter().map(|_| Vec::with_capacity(TURNS)).collect();
    for turn in 0..TURNS {
        for ((size, index), measured) in worlds.iter().zip(&mut turns) {
            measured.push(batch(index, *size, users.min(*size), turn, verb));
        }
    }
    turns.iter_mut().map(|turns| median(turns)).collect()
}

fn batch(index: &Index, size: usize, users: usize, turn: usize, verb: &str) -> f64 {
    let groups = ["system:authenticated"];
    let asked = ask(verb);
    let names: Vec<String> = (0..BATCH).map(|at| user((turn * BATCH + at) % users * STRIDE % size)).collect();
    let mut allowed = 0;
    let begun = Instant::now();
    for name in &names {
        let user = User { name, groups: &groups };
        allowed += usize::from(index.authorize(black_box(user), black_box(&asked)).is_some());
    }
    let took = begun.elapsed();
    assert_eq!(allowed, if verb == "get" { BATCH } else { 0 });
    took.as_nanos() as f64 / BATCH as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn say(group: &str, name: &str, value: f64, unit: &str, goal: Option<&str>) {
    let figure =
        serde_json::json!({ "group": group, "name": name, "value": value, "unit": unit, "goal": goal });
    println!("lanyard-bench {figure}");
}
