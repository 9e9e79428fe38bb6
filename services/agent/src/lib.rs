//! The node agent: pods with a stock AWS SDK get their own credentials from it.
//!
//! A pod asks at a link-local address of its node, with its projected token ([`token`]). [`Agent`] decides: the token is held
//! against the pods that the kubelet has on this node ([`pods`]; [`listed`] keeps that list), within the pod's share ([`limits`]); then credentials come from
//! the [`vault`], which keeps them by the hash of the token, or through it from an [`upstream`]: a hub, or an EKS Auth endpoint.
//! [`door`] is the HTTP around that, for the container-credentials and the instance-metadata road, and [`kernel`] what is set in
//! the node's network for it. [`process`] puts it together.
//!
//! Nobody's word counts here but the kubelet's and the upstream's. What a token claims is compared, never believed: only who bears
//! the very text that the other side has verified is given what that text was given before.
//!
//! It runs on every node, so it is small: no engine, no SQL, a request for kept credentials costs two look-ups and no copy.

mod agent;
pub mod args;
pub mod config;
pub mod credentials;
pub mod door;
mod duration;
mod files;
pub mod kernel;
pub mod limits;
pub mod listed;
pub mod namespaces;
pub mod pods;
pub mod process;
pub mod runner;
pub mod token;
pub mod upstream;
pub mod vault;

pub use agent::{Agent, Limits, Outcome, Refusal, Road};
