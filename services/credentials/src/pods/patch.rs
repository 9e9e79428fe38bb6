//! A JSON Patch (RFC 6902) that only adds.

use serde::Serialize;
use serde_json::{Map, Value};

/// One step of a patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename = "add")]
pub(super) struct Add {
    /// Where (RFC 6901).
    pub(super) path: String,
    /// What.
    pub(super) value: Value,
}

/// What is added to a pod, as small as it can be said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Patch(Vec<Add>);

impl Patch {
    /// Adds to the end of a list that is a member of `holder`; makes the list where there is none.
    pub(super) fn append(&mut self, holder: &Value, place: &str, member: &str, items: Vec<Value>) {
        if items.is_empty() {
            return;
        }
        let path = format!("{place}/{}", escaped(member));
        match holder.get(member) {
            Some(Value::Array(_)) => {
                let each = items.into_iter().map(|value| Add { path: format!("{path}/-"), value });
                self.0.extend(each);
            }
            _ => self.0.push(Add { path, value: Value::Array(items) }),
        }
    }

    /// Adds a member to an object that is a member of `holder`, where it has none of that name; makes the object where there is none.
    pub(super) fn set(&mut self, holder: &Value, place: &str, member: &str, name: &str, value: Value) {
        let path = format!("{place}/{}", escaped(member));
        match holder.get(member) {
            Some(Value::Object(there)) if there.contains_key(name) => {}
            Some(Value::Object(_)) => {
                self.0.push(Add { path: format!("{path}/{}", escaped(name)), value });
            }
            _ => self.0.push(Add { path, value: Value::Object(Map::from_iter([(name.to_owned(), value)])) }),
        }
    }

    /// As it is sent; none where nothing is added.
    pub(super) fn written(&self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        // Strings, numbers and lists of them always become JSON.
        serde_json::to_vec(&self.0).ok()
    }
}

/// A name inside a path (RFC 6901 section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_and_an_object_are_made_where_there_is_none_and_added_to_where_there_is() {
        let holder = json!({ "list": [1], "null": null, "object": { "a/b": 1 } });
        let mut patch = Patch::default();
        patch.append(&holder, "/spec", "list", vec![json!(2), json!(3)]);
        patch.append(&holder, "/spec", "null", vec![json!(2)]);
        patch.append(&holder, "/spec", "none", vec![json!(2)]);
        patch.append(&holder, "/spec", "none", Vec::new());
        patch.set(&holder, "/metadata", "object", "a/b", json!(2));
        patch.set(&holder, "/metadata", "object", "c~d/e", json!(2));
        patch.set(&holder, "/metadata", "none", "c/d", json!(2));
        let written: Value = serde_json::from_slice(&patch.written().unwrap()).unwrap();
        let add = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
        let expected = json!([
            add("/spec/list/-", json!(2)),
            add("/spec/list/-", json!(3)),
            add("/spec/null", json!([2])),
            add("/spec/none", json!([2])),
            add("/metadata/object/c~0d~1e", json!(2)),
            add("/metadata/none", json!({ "c/d": 2 })),
        ]);
        assert_eq!(written, expected);
        assert_eq!(Patch::default().written(), None);
    }
}
