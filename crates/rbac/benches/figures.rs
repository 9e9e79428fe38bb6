//! The figures of docs/benchmarks.md: what a decision costs by the number of bindings, and what the index takes in time and
//! memory.
//!
//! The sizes are measured in turns, so that a change of the machine's load falls on all of them alike, and of all turns
//! the median counts. The names asked for are fresh in the processor's caches, as a request's are that was just read.
//!
//! Beside the decisions stands what the machine takes for the same users in the same order, however good the program: for
//! one look-up of the name in a hash map, where the processor looks several names up at once; and for one wait for
//! memory, where each user has one line of it, and the next is known only when that is there. A decision cannot rise by
//! less than that, but for what it has to do meanwhile.
#![allow(clippy::print_stdout, reason = "a benchmark says its figures on standard output")]
#![allow(dead_code, reason = "the worlds are shared with the other benchmarks")]

mod world;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
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
/// A cache line's.
const LINE_WORDS: usize = 8;
/// How often an index is compiled; the fastest counts.
const COMPILATIONS: usize = 5;
/// A decision has to cost less, in nanoseconds.
const GOAL: f64 = 500.0;
/// The largest world has to cost less, measured in the smallest.
const FLAT_GOAL: f64 = 1.5;

/// A cluster of so many bindings, and as many users, one for each.
struct World {
    size: usize,
    compiled_in: Duration,
    index: Index,
    users: HashMap<String, usize, RandomState>,
    /// For each user the one who asks next, in a cache line of its own.
    lines: Vec<[usize; LINE_WORDS]>,
}

fn main() {
    for (shape, kind) in [(Shape::Cluster, "ClusterRoleBindings"), (Shape::Namespace, "RoleBindings")] {
        let worlds = SIZES.map(|size| World::new(shape, size));
        for World { size, index, compiled_in, .. } in &worlds {
            let bytes = index.memory_bytes() as f64 / *size as f64;
            say("RBAC index", &format!("memory of each of {size} {kind}"), bytes, "bytes", None);
            let milliseconds = compiled_in.as_secs_f64() * 1e3;
            say("RBAC index", &format!("compilation of {size} {kind}"), milliseconds, "ms", None);
        }
        for (users, who) in [(FEW, "ten users ask"), (usize::MAX, "all users ask in turn")] {
            let group = format!("RBAC decision, {who}");
            for (verb, answer) in [("get", "allowed"), ("delete", "denied")] {
                let medians = measure(&worlds, |world, turn| world.decide(&world.names(users, turn), verb));
                say_each(&group, answer, kind, medians, Some((GOAL, FLAT_GOAL)));
            }
            let medians = measure(&worlds, |world, turn| world.look_up(&world.names(users, turn)));
            say_each(&group, "for comparison, a look-up in a hash map", kind, medians, None);
            let medians = measure(&worlds, |world, turn| world.wait(users, turn));
            say_each(&group, "for comparison, a wait for memory", kind, medians, None);
        }
    }
}

impl World {
    fn new(shape: Shape, size: usize) -> Self {
        let objects = world(shape, size);
        let compilations = (0..COMPILATIONS).map(|_| {
            let begun = Instant::now();
            black_box(Index::compile(black_box(&objects)));
            begun.elapsed()
        });
        let compiled_in = compilations.min().unwrap_or_default();
        let users = (0..size).map(|number| (user(number), number)).collect();
        let lines = (0..size).map(|number| [(number + STRIDE) % size; LINE_WORDS]).collect();
        Self { size, compiled_in, index: Index::compile(&objects), users, lines }
    }

    /// Who asks the question of a number.
    fn asker(&self, users: usize, question: usize) -> usize {
        question % users.min(self.size) * STRIDE % self.size
    }

    /// The names that ask in a turn.
    fn names(&self, users: usize, turn: usize) -> Vec<String> {
        (turn * BATCH..).take(BATCH).map(|question| user(self.asker(users, question))).collect()
    }

    /// Decides for each of them.
    fn decide(&self, names: &[String], verb: &str) -> Duration {
        let groups = ["system:authenticated"];
        let asked = ask(verb);
        let mut allowed = 0;
        let begun = Instant::now();
        for name in names {
            let user = User { name, groups: &groups };
            allowed += usize::from(self.index.authorize(black_box(user), black_box(&asked)).is_some());
        }
        let took = begun.elapsed();
        assert_eq!(allowed, if verb == "get" { names.len() } else { 0 });
        took
    }

    /// Finds each of them in the hash map.
    fn look_up(&self, names: &[String]) -> Duration {
        let mut found = 0;
        let begun = Instant::now();
        for name in names {
            found += usize::from(self.users.contains_key(black_box(name)));
        }
        let took = begun.elapsed();
        assert_eq!(found, names.len());
        took
    }

    /// Goes from each asker's line to that of the next.
    fn wait(&self, users: usize, turn: usize) -> Duration {
        let mut at = self.asker(users, turn * BATCH);
        let last = self.asker(users, users.min(self.size) - 1);
        let first = self.asker(users, 0);
        let begun = Instant::now();
        for _ in 0..BATCH {
            let next = self.lines.get(black_box(at)).and_then(|line| line.first());
            at = if at == last { first } else { next.copied().unwrap_or_default() };
        }
        let took = begun.elapsed();
        assert_eq!(at, self.asker(users, (turn + 1) * BATCH));
        took
    }
}

/// Nanoseconds of one of a turn's decisions or look-ups, for each world.
fn measure(worlds: &[World], batch: impl Fn(&World, usize) -> Duration) -> [f64; SIZES.len()] {
    let mut turns = SIZES.map(|_| Vec::with_capacity(TURNS));
    for turn in 0..TURNS {
        for (world, measured) in worlds.iter().zip(&mut turns) {
            measured.push(batch(world, turn).as_nanos() as f64 / BATCH as f64);
        }
    }
    turns.map(median)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Says what each world costs, and how the largest compares with the smallest.
fn say_each(group: &str, what: &str, kind: &str, medians: [f64; SIZES.len()], goals: Option<(f64, f64)>) {
    let (goal, flat_goal) = goals.unzip();
    for (size, nanoseconds) in SIZES.iter().zip(medians) {
        say(group, &format!("{what}, {size} {kind}"), nanoseconds, "ns", goal);
    }
    let [smallest, .., largest] = medians;
    say(group, &format!("{what}, {kind}: largest to smallest"), largest / smallest, "×", flat_goal);
}

/// Says a figure, and whether it is under what it has to be.
fn say(group: &str, name: &str, value: f64, unit: &str, most: Option<f64>) {
    let goal = most.map(|most| {
        let reached = if value < most { "reached" } else { "missed" };
        format!("under {most} {unit}: {reached}")
    });
    let figure =
        serde_json::json!({ "group": group, "name": name, "value": value, "unit": unit, "goal": goal });
    println!("lanyard-bench {figure}");
}
