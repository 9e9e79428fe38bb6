//! Discovery: the API groups that are served here, and the resource names that `kubectl auth can-i` looks up.
//!
//! A kubectl that asks `can-i get pods` first asks which group `pods` belongs to. So the kinds of a plain Kubernetes are
//! listed; they are not served.

use axum::body::Body;
use http::{Response, StatusCode};
use lanyard_api::kinds::{GROUPS, Group};
use serde_json::{Value, json};

use super::answer;

/// The Kubernetes version whose review APIs are served.
const KUBERNETES: (&str, &str) = ("1", "35");

/// Answers a GET below `/clusters/{id}/`.
pub(super) fn answer(path: &str) -> Response<Body> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({ "kind": "APIVersions", "versions": ["v1"] })),
        ["apis"] => Some(groups()),
        ["api", "v1"] => resources("", "v1"),
        ["apis", group, version] => resources(group, version),
        ["apis", group] => one_group(group),
        _ => None,
    };
    match found {
        Some(body) => answer::json(StatusCode::OK, &body),
        None => answer::status(
            StatusCode::NOT_FOUND,
            "not served here: Lanyard answers `kubectl auth whoami` and `kubectl auth can-i`, a cluster's API server the rest",
        ),
    }
}

fn version() -> Value {
    let (major, minor) = KUBERNETES;
    json!({ "major": major, "minor": minor, "gitVersion": format!("v{major}.{minor}.0-lanyard"), "platform": "lanyard" })
}

fn group_value(Group { name, version, .. }: &Group) -> Value {
    let this = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [this.clone()], "preferredVersion": this })
}

fn groups() -> Value {
    let named: Vec<Value> = GROUPS.iter().filter(|group| !group.name.is_empty()).map(group_value).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": named })
}

fn one_group(name: &str) -> Option<Value> {
    let mut value = GROUPS.iter().find(|group| group.name == name && !name.is_empty()).map(group_value)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("kind".to_owned(), json!("APIGroup"));
        object.insert("apiVersion".to_owned(), json!("v1"));
    }
    Some(value)
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let found = GROUPS.iter().find(|known| known.name == group && known.version == version)?;
    let resources: Vec<Value> = found
        .resources
        .iter()
        .map(|resource| {
            json!({ "name": resource.name, "singularName": resource.singular(), "kind": resource.kind,
                    "namespaced": resource.is_namespaced, "shortNames": resource.short_names,
                    "verbs": ["create", "get", "list"] })
        })
        .collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_group_has_its_resources_and_others_are_not_found() {
        for Group { name: group, version, resources } in GROUPS {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            assert_eq!(answer(&path).status(), StatusCode::OK, "{path}");
            assert!(!resources.is_empty());
        }
        for path in ["", "api/v2", "apis/apps/v9", "apis/nope/v1", "api/v1/pods", "openapi/v3"] {
            assert_eq!(answer(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
