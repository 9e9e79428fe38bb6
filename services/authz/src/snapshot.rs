//! Rows of a scope → what decisions are made from: immutable, and found by hash.
//!
//! Each scope has rows, which move on record by record, and a snapshot compiled from them. What is dear to compile (the RBAC
//! index, handles, templates) is kept with the rows and made again only where its own record changed.

mod account;
mod aws_auth;
mod cluster;
mod hub;
mod nodes;

use std::collections::BTreeMap;

pub(crate) use account::{AccountRows, AccountSnapshot};
pub(crate) use cluster::{ClusterRows, ClusterSnapshot, Entry, EntryOf};
pub(crate) use hub::{HubRows, HubSnapshot, Spoke};

/// Records by key.
type Table<T> = BTreeMap<String, T>;

/// Puts a record in place, or takes the one of that key away.
fn set<T>(table: &mut Table<T>, key: &str, record: Option<T>) {
    match record {
        Some(record) => {
            table.insert(key.to_owned(), record);
        }
        None => {
            table.remove(key);
        }
    }
}
