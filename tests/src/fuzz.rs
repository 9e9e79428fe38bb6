//! The fuzz targets.
//!
//! Each takes any bytes, reads them, and answers whether they were accepted. None may panic: a panic is a fault found, in
//! the reader or in one of its promises (what is accepted reads back as the same, a refusal is one bounded line that does
//! not give away what it refuses, two roads to one answer agree). A target with bytes for several readers accepts them
//! when one does.
#![allow(clippy::panic, reason = "a panic is how a target tells of a fault that it has found")]

mod agent;
mod arn;
mod authorization;
mod aws_answers;
mod aws_auth;
mod aws_wire;
mod jwks;
mod jwt;
mod kubeconfig;
mod management_calls;
mod policy_documents;
mod promise;
mod rbac_documents;
mod review_answers;
mod review_batches;
mod review_bodies;
mod together;
mod token;
mod vending;

use time::OffsetDateTime;
use time::macros::datetime;

pub use agent::agent;
pub use arn::arn;
pub use authorization::authorization;
pub use aws_answers::aws_answers;
pub use aws_auth::aws_auth;
pub use aws_wire::aws_wire;
pub use jwks::jwks;
pub use jwt::jwt;
pub use kubeconfig::kubeconfig;
pub use management_calls::management_calls;
pub use policy_documents::policy_documents;
pub use rbac_documents::rbac_documents;
pub use review_answers::review_answers;
pub use review_batches::review_batches;
pub use review_bodies::review_bodies;
pub use together::together;
pub use token::token;
pub use vending::vending;

/// The time at which everything is judged; kept inputs that are signed are signed at it.
pub const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// A target and the name of its program and of its corpus.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As in `fuzz/fuzz_targets/<name>.rs` and `fuzz/corpus/<name>/`.
    pub name: &'static str,
    /// Reads the bytes and answers whether they were accepted.
    pub run: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "agent", run: agent },
    Target { name: "arn", run: arn },
    Target { name: "authorization", run: authorization },
    Target { name: "aws_answers", run: aws_answers },
    Target { name: "aws_auth", run: aws_auth },
    Target { name: "aws_wire", run: aws_wire },
    Target { name: "jwks", run: jwks },
    Target { name: "jwt", run: jwt },
    Target { name: "kubeconfig", run: kubeconfig },
    Target { name: "management_calls", run: management_calls },
    Target { name: "policy_documents", run: policy_documents },
    Target { name: "rbac_documents", run: rbac_documents },
    Target { name: "review_answers", run: review_answers },
    Target { name: "review_batches", run: review_batches },
    Target { name: "review_bodies", run: review_bodies },
    Target { name: "together", run: together },
    Target { name: "token", run: token },
    Target { name: "vending", run: vending },
];
