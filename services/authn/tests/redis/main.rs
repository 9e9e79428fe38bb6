//! Redis behind the token cache, against real servers: alone, with Sentinel, in a cluster; gone, slow, full, forged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says when it is skipped"
)]

mod servers;
mod watched;
#[path = "../engine/world/mod.rs"]
mod world;

/// The project's test command knows these by this name.
mod on_redis {
    mod cluster;
    mod failing;
    mod forged;
    mod login;
    mod sentinel;
    mod sharing;
}
