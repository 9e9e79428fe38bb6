//! What authn knows, compiled for looking up: the hub's accounts and clusters, an account's users, keys, roles and
//! policies, and the blocks of each.
//!
//! Rows come from the store; from rows to snapshot everything is a pure function.

mod account;
mod cluster;
mod hub;
mod identity_provider;

pub(crate) use account::{AccountModel, AccountSnapshot, OwnerView, Policies, Principal};
pub(crate) use cluster::{ClusterModel, ClusterSnapshot, EntryView, IssuerView};
pub(crate) use hub::{ClusterView, HubModel, HubSnapshot};
pub(crate) use identity_provider::ProviderView;
