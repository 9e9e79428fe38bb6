//! Which badge somebody gets: the service that turns a proven identity into a Kubernetes user.
//!
//! [`Mapping`] is the engine. Behind `Resolve` it answers from memory: blocks first, then by the cluster's authentication
//! mode its access entries, then aws-auth; for somebody of an OIDC issuer its identity-provider configuration; and it mints the proof by which authz knows what was granted. The cost of an
//! answer does not grow with a cluster's entries. Behind `Clusters`, `Entries`,
//! `IdentityProviders` and `Blocks` it changes the tables those
//! answers come from: each change is one transaction of the store, held against every rule first ([`lanyard_api::mapping::Rule`]), and the
//! snapshots have it before the call returns. `Preview` asks the same of an ARN that nobody proved.
//!
//! From the pure to the rest:
//!
//! - `rules`: what may be written, each rule a function.
//! - `snapshot`, `hub`, `principals`, `blocks`: rows compiled for lookup; `resolution` answers from them, and `claims` for
//!   OIDC.
//! - `near_miss`: what came near, for people; `badge`: the user info with its proof.
//! - `administrators`: the rows that the lockout guard counts.
//! - `store`: the snapshots, kept up with the store; `engine`: the calls.
//!
//! Lookups of aws-auth, templates and numbers of grants are shared with authz and live in `lanyard_api`.

mod administrators;
mod badge;
mod blocks;
mod claims;
mod config;
mod engine;
mod hub;
mod key;
mod knock;
mod near_miss;
mod principals;
pub mod process;
mod resolution;
mod rules;
mod snapshot;
mod store;

pub use config::{Limits, MappingConfig, Memory};
pub use engine::{Mapping, OpenError, recount::RECOUNTED_AFTER};
