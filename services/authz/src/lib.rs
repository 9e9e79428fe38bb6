//! Which doors a badge opens.
//!
//! [`Authz`] is the engine. It implements three traits of `lanyard-api`: `Authorize` decides access reviews, lists what a
//! user may do and who may do something; `Objects` keeps the RBAC objects of clusters; `Decisions` keeps finished answers
//! for explanations.
//!
//! *A decision* is a pure function of a review, of what is in memory, and of a moment (module `decision`). Its order is the
//! rule: nobody impersonates the proof; a proof must verify, and its grant must still give what the review claims; whom it is
//! for must be trusted, unblocked and alive; then access policies of the grant as it is now allow, then RBAC, where it is ours
//! to evaluate. What nothing allows is *no opinion*. A review that bears a proof never gets an error: what cannot be decided
//! is denied.
//!
//! *In memory* are compiled, immutable snapshots of three kinds of scope (module `snapshot`): the hub's clusters and accounts,
//! an account's live principals and keys, and a cluster's RBAC index, grants and blocks. Whom a proof is for it says in keyed
//! hashes, so that blocks and live keys are sets of such hashes. They keep up with the store (module `store`), a commit of
//! this process being seen before the commit returns. A question that lacks a snapshot says which, and is asked again once
//! it is loaded.
//!
//! ```no_run
//! # async fn example(store: lanyard_store::Store, review: lanyard_api::authz::Review) {
//! use lanyard_api::authz::Authorize;
//! use lanyard_authz::{Authz, AuthzConfig};
//!
//! let authz = Authz::start(&store, AuthzConfig::default()).unwrap();
//! let decision = authz.authorize(review).await.unwrap();
//! println!("{}", decision.reason);
//! # }
//! ```

mod config;
mod decision;
mod engine;
mod grant;
mod handles;
mod namespaces;
pub mod process;
mod snapshot;
mod store;

pub use config::AuthzConfig;
pub use engine::Authz;
