//! The doors of a hub: thin HTTP for Kubernetes, gRPC for everyone else, and the one place that sees all stages.
//!
//! Nothing is decided here. [`kubernetes`] reads the reviews that API servers send and writes their answers;
//! [`door`] lets management calls in once authn has admitted them; [`explain`] asks every stage in turn and keeps what
//! each said. What stands behind is anything that implements [`Services`]: the engines of this process, or clients of
//! services elsewhere.

mod again;
mod audiences;
pub mod config;
pub mod directory;
pub mod door;
pub mod explain;
mod known;
pub mod kubernetes;
mod names;
pub mod process;
pub mod recorder;
pub mod remote;
mod reviews;
mod revisions;
mod services;
mod strangers;
mod vending;

pub use config::GatewayConfig;
pub use directory::Directory;
pub use recorder::Recorder;
pub use revisions::Revisions;
pub use services::Services;
pub use vending::RecordedVend;
