//! The way out, so far as role sessions: who may assume a role gets credentials that work like any other.
//!
//! [`Credentials`] is the engine of [`lanyard_api::credentials::Sessions`]. authn's `Admit` has weighed identity policy and
//! trust policy before a call comes here; what is judged here is what AWS STS judges of the parameters ([`rules`]), the
//! role's own limits, and what a chained session inherits. A session is a sealed claim set (`lanyard_iam::session`):
//! nothing about it is stored, and only this service holds the key that signs it.

mod engine;
mod keys;
mod model;
pub mod process;
pub mod rules;

pub use engine::Credentials;
pub use keys::{KeysError, minting_keys};
