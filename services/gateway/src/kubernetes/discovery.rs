//! Discovery: the API groups that are served here, and the resource names that `kubectl auth can-i` looks up.
//!
//! A kubectl that asks `can-i get pods` first asks which group `pods` belongs to. So the kinds of a plain Kubernetes are
//! listed; they are not served.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer;

/// The Kubernetes version whose review APIs are served.
const KUBERNETES: (&str, &str) = ("1", "35");

/// Group, version, and the resources: name, kind, namespaced.
type Group = (&'static str, &'static str, &'static [(&'static str, &'static str, bool)]);

const GROUPS: &[Group] = &[
    (
        "",
        "v1",
        &[
            ("bindings", "Binding", true),
            ("configmaps", "ConfigMap", true),
            ("endpoints", "Endpoints", true),
            ("events", "Event", true),
            ("limitranges", "LimitRange", true),
            ("namespaces", "Namespace", false),
            ("nodes", "Node", false),
            ("persistentvolumeclaims", "PersistentVolumeClaim", true),
            ("persistentvolumes", "PersistentVolume", false),
            ("pods", "Pod", true),
            ("podtemplates", "PodTemplate", true),
            ("replicationcontrollers", "ReplicationController", true),
            ("resourcequotas", "ResourceQuota", true),
            ("secrets", "Secret", true),
            ("serviceaccounts", "ServiceAccount", true),
            ("services", "Service", true),
        ],
    ),
    (
        "apps",
        "v1",
        &[
            ("controllerrevisions", "ControllerRevision", true),
            ("daemonsets", "DaemonSet", true),
            ("deployments", "Deployment", true),
            ("replicasets", "ReplicaSet", true),
            ("statefulsets", "StatefulSet", true),
        ],
    ),
    ("autoscaling", "v2", &[("horizontalpodautoscalers", "HorizontalPodAutoscaler", true)]),
    ("batch", "v1", &[("cronjobs", "CronJob", true), ("jobs", "Job", true)]),
    ("coordination.k8s.io", "v1", &[("leases", "Lease", true)]),
    ("discovery.k8s.io", "v1", &[("endpointslices", "EndpointSlice", true)]),
    (
        "networking.k8s.io",
        "v1",
        &[
            ("ingressclasses", "IngressClass", false),
            ("ingresses", "Ingress", true),
            ("networkpolicies", "NetworkPolicy", true),
        ],
    ),
    ("policy", "v1", &[("poddisruptionbudgets", "PodDisruptionBudget", true)]),
    (
        "rbac.authorization.k8s.io",
        "v1",
        &[
            ("clusterrolebindings", "ClusterRoleBinding", false),
            ("clusterroles", "ClusterRole", false),
            ("rolebindings", "RoleBinding", true),
            ("roles", "Role", true),
        ],
    ),
    ("storage.k8s.io", "v1", &[("storageclasses", "StorageClass", false)]),
    ("authentication.k8s.io", "v1", &[("selfsubjectreviews", "SelfSubjectReview", false)]),
    (
        "authorization.k8s.io",
        "v1",
        &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
        ],
    ),
];

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

fn group_value((name, version, _): &Group) -> Value {
    let this = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [this.clone()], "preferredVersion": this })
}

fn groups() -> Value {
    let named: Vec<Value> = GROUPS.iter().filter(|group| !group.0.is_empty()).map(group_value).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": named })
}

fn one_group(name: &str) -> Option<Value> {
    let mut value = GROUPS.iter().find(|group| group.0 == name && !name.is_empty()).map(group_value)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("kind".to_owned(), json!("APIGroup"));
        object.insert("apiVersion".to_owned(), json!("v1"));
    }
    Some(value)
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let (_, _, kinds) = GROUPS.iter().find(|known| known.0 == group && known.1 == version)?;
    let resources: Vec<Value> = kinds
        .iter()
        .map(|(name, kind, namespaced)| {
            json!({ "name": name, "singularName": kind.to_lowercase(), "kind": kind, "namespaced": namespaced,
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
        for (group, version, kinds) in GROUPS {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            assert_eq!(answer(&path).status(), StatusCode::OK, "{path}");
            assert!(!kinds.is_empty());
        }
        for path in ["", "api/v2", "apis/apps/v9", "apis/nope/v1", "api/v1/pods", "openapi/v3"] {
            assert_eq!(answer(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
