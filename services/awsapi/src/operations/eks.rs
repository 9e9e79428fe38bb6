//! EKS.

pub(super) mod associations;
pub(super) mod clusters;
pub(super) mod entries;
pub(super) mod identity_providers;
pub(super) mod tags;
pub(super) mod updates;
pub(super) mod versions;

use serde_json::{Map, Value};

/// A page of a list; its token is left out on the last one, for clients take an empty one for a token.
fn page(name: &str, items: Vec<Value>, next_token: Option<String>) -> Map<String, Value> {
    let mut page = Map::new();
    page.insert(name.to_owned(), Value::Array(items));
    if let Some(token) = next_token {
        page.insert("nextToken".to_owned(), Value::from(token));
    }
    page
}
