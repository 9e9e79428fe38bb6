//! The tables, one file for each family: which columns a record has, and what hangs on it.

pub(crate) mod accounts;
pub(crate) mod administrators;
mod associations;
pub(crate) mod changes;
pub(crate) mod clusters;
pub(crate) mod decisions;
pub(crate) mod entries;
pub(crate) mod hosted;
mod identity_providers;
pub(crate) mod leases;
pub(crate) mod old_keys;
pub(crate) mod principal;
pub(crate) mod purpose_keys;
pub(crate) mod rbac;
mod schema;
pub(crate) mod secrets;
pub(crate) mod settings;
mod spokes;
pub(crate) mod stale_entries;
mod updates;
pub(crate) mod uses;
pub(crate) mod workloads;

pub(crate) use schema::{dependants, scope_id, statements};
