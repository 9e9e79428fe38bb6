//! The resources of a plain Kubernetes, and what people call them.
//!
//! Rules name a resource by its plural in its API group; people leave the group out, and say `deploy`. kubectl asks the API server what
//! they mean. Where Lanyard is asked in place of one, this is what it knows: otherwise `deployments` would be those of the core group,
//! which has none, and the answer a no, whatever they may.

/// The resources of an API group.
#[derive(Debug)]
pub struct Group {
    /// Empty for the core group.
    pub name: &'static str,
    /// The version that is preferred.
    pub version: &'static str,
    /// At least one.
    pub resources: &'static [Resource],
}

/// A resource.
#[derive(Debug)]
pub struct Resource {
    /// The plural, as rules and URLs have it.
    pub name: &'static str,
    /// What an object of it says that it is.
    pub kind: &'static str,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
    /// As people type it.
    pub short_names: &'static [&'static str],
}

impl Resource {
    /// The name of one of them.
    #[must_use]
    pub fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.kind.to_ascii_lowercase() == name || self.short_names.contains(&name)
    }
}

const fn namespaced(
    name: &'static str,
    kind: &'static str,
    short_names: &'static [&'static str],
) -> Resource {
    Resource { name, kind, is_namespaced: true, short_names }
}

const fn whole(name: &'static str, kind: &'static str, short_names: &'static [&'static str]) -> Resource {
    Resource { name, kind, is_namespaced: false, short_names }
}

/// All of them, those of the core group first: where two groups have one of a name, the first is meant.
pub const GROUPS: &[Group] = &[
    Group {
        name: "",
        version: "v1",
        resources: &[
            namespaced("bindings", "Binding", &[]),
            namespaced("configmaps", "ConfigMap", &["cm"]),
            namespaced("endpoints", "Endpoints", &["ep"]),
            namespaced("events", "Event", &["ev"]),
            namespaced("limitranges", "LimitRange", &["limits"]),
            whole("namespaces", "Namespace", &["ns"]),
            whole("nodes", "Node", &["no"]),
            namespaced("persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"]),
            whole("persistentvolumes", "PersistentVolume", &["pv"]),
            namespaced("pods", "Pod", &["po"]),
            namespaced("podtemplates", "PodTemplate", &[]),
            namespaced("replicationcontrollers", "ReplicationController", &["rc"]),
            namespaced("resourcequotas", "ResourceQuota", &["quota"]),
            namespaced("secrets", "Secret", &[]),
            namespaced("serviceaccounts", "ServiceAccount", &["sa"]),
            namespaced("services", "Service", &["svc"]),
        ],
    },
    Group {
        name: "apps",
        version: "v1",
        resources: &[
            namespaced("controllerrevisions", "ControllerRevision", &[]),
            namespaced("daemonsets", "DaemonSet", &["ds"]),
            namespaced("deployments", "Deployment", &["deploy"]),
            namespaced("replicasets", "ReplicaSet", &["rs"]),
            namespaced("statefulsets", "StatefulSet", &["sts"]),
        ],
    },
    Group {
        name: "admissionregistration.k8s.io",
        version: "v1",
        resources: &[
            whole("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", &[]),
            whole("validatingadmissionpolicies", "ValidatingAdmissionPolicy", &[]),
            whole("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", &[]),
            whole("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", &[]),
        ],
    },
    Group {
        name: "apiextensions.k8s.io",
        version: "v1",
        resources: &[whole("customresourcedefinitions", "CustomResourceDefinition", &["crd", "crds"])],
    },
    Group {
        name: "apiregistration.k8s.io",
        version: "v1",
        resources: &[whole("apiservices", "APIService", &[])],
    },
    Group {
        name: "autoscaling",
        version: "v2",
        resources: &[namespaced("horizontalpodautoscalers", "HorizontalPodAutoscaler", &["hpa"])],
    },
    Group {
        name: "batch",
        version: "v1",
        resources: &[namespaced("cronjobs", "CronJob", &["cj"]), namespaced("jobs", "Job", &[])],
    },
    Group {
        name: "certificates.k8s.io",
        version: "v1",
        resources: &[whole("certificatesigningrequests", "CertificateSigningRequest", &["csr"])],
    },
    Group { name: "coordination.k8s.io", version: "v1", resources: &[namespaced("leases", "Lease", &[])] },
    Group {
        name: "discovery.k8s.io",
        version: "v1",
        resources: &[namespaced("endpointslices", "EndpointSlice", &[])],
    },
    Group {
        name: "flowcontrol.apiserver.k8s.io",
        version: "v1",
        resources: &[
            whole("flowschemas", "FlowSchema", &[]),
            whole("prioritylevelconfigurations", "PriorityLevelConfiguration", &[]),
        ],
    },
    Group {
        name: "networking.k8s.io",
        version: "v1",
        resources: &[
            whole("ingressclasses", "IngressClass", &[]),
            namespaced("ingresses", "Ingress", &["ing"]),
            namespaced("networkpolicies", "NetworkPolicy", &["netpol"]),
        ],
    },
    Group { name: "node.k8s.io", version: "v1", resources: &[whole("runtimeclasses", "RuntimeClass", &[])] },
    Group {
        name: "policy",
        version: "v1",
        resources: &[namespaced("poddisruptionbudgets", "PodDisruptionBudget", &["pdb"])],
    },
    Group {
        name: "rbac.authorization.k8s.io",
        version: "v1",
        resources: &[
            whole("clusterrolebindings", "ClusterRoleBinding", &[]),
            whole("clusterroles", "ClusterRole", &[]),
            namespaced("rolebindings", "RoleBinding", &[]),
            namespaced("roles", "Role", &[]),
        ],
    },
    Group {
        name: "scheduling.k8s.io",
        version: "v1",
        resources: &[whole("priorityclasses", "PriorityClass", &["pc"])],
    },
    Group {
        name: "storage.k8s.io",
        version: "v1",
        resources: &[
            whole("csidrivers", "CSIDriver", &[]),
            whole("csinodes", "CSINode", &[]),
            namespaced("csistoragecapacities", "CSIStorageCapacity", &[]),
            whole("storageclasses", "StorageClass", &["sc"]),
            whole("volumeattachments", "VolumeAttachment", &[]),
        ],
    },
    Group {
        name: "authentication.k8s.io",
        version: "v1",
        resources: &[
            whole("selfsubjectreviews", "SelfSubjectReview", &[]),
            whole("tokenreviews", "TokenReview", &[]),
        ],
    },
    Group {
        name: "authorization.k8s.io",
        version: "v1",
        resources: &[
            namespaced("localsubjectaccessreviews", "LocalSubjectAccessReview", &[]),
            whole("selfsubjectaccessreviews", "SelfSubjectAccessReview", &[]),
            whole("selfsubjectrulesreviews", "SelfSubjectRulesReview", &[]),
            whole("subjectaccessreviews", "SubjectAccessReview", &[]),
        ],
    },
];

/// What is called so, by the plural, the singular or a short name; with its group.
#[must_use]
pub fn called(name: &str) -> Option<(&'static Group, &'static Resource)> {
    GROUPS.iter().find_map(|group| {
        let resource = group.resources.iter().find(|resource| resource.is_called(name))?;
        Some((group, resource))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_resource() {
        let mut names: Vec<String> = Vec::new();
        for resource in GROUPS.iter().flat_map(|group| group.resources) {
            names.push(resource.name.to_owned());
            // That of several endpoints is called as they are.
            names.extend(Some(resource.singular()).filter(|singular| singular != resource.name));
            names.extend(resource.short_names.iter().map(|name| (*name).to_owned()));
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_name_is_found_however_people_say_it() {
        for (name, resource, group) in [
            ("pods", "pods", ""),
            ("po", "pods", ""),
            ("deployment", "deployments", "apps"),
            ("crds", "customresourcedefinitions", "apiextensions.k8s.io"),
            ("ingress", "ingresses", "networking.k8s.io"),
        ] {
            let (found, of) = called(name).map(|(group, found)| (found.name, group.name)).unwrap();
            assert_eq!((found, of), (resource, group), "{name}");
        }
        for unknown in ["", "*", "widgets", "Pods", "users", "groups"] {
            assert!(called(unknown).is_none(), "{unknown}");
        }
    }
}
