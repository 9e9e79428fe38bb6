//! authn on a real store: what its traits promise, as engine and over gRPC. One program, for each links all of authn.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

mod accounts;
mod admit;
mod aws_wire;
mod caller_policies;
mod certificates;
mod condition_keys;
mod exchanged;
mod instance_profiles;
mod lists;
mod local;
mod lockout;
mod methods;
mod nodes;
mod oidc;
mod oidc_providers;
mod own_policies;
mod policies;
mod promises;
mod sts;
mod tenants;
mod user_sessions;
mod wire;
mod world;
