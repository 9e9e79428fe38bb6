//! What a service process is made of beyond kit: its store, the keys of its own purposes, its name among the services, and who
//! may call it.
//!
//! A service crate says how its engine starts ([`Service`]); [`main`] does the rest: configuration, store under the service's
//! own envelope key, mTLS with the allow-list of [`lanyard_api::methods::callers`], health and reflection, a ready-file, and a
//! graceful stop.

mod callers;
mod config;
mod envelope;
mod opened;
mod run;

pub use config::{EnvelopeConfig, InvalidProcess, KmsOptions, ProcessConfig};
pub use opened::{OpenError, Opened};
pub use run::{Args, Configured, Service, main};
