//! What is asked of a door, as people type it: `get pods/log web-0 -n team-a`, or `get /healthz`.

use clap::Args;
use lanyard_api::authz::{Attributes, ResourceAttributes};

/// The words of a question.
#[derive(Debug, Clone, Default, Args)]
pub struct Question {
    /// A verb, what it is done to, and perhaps a name.
    #[arg(value_name = "QUESTION", num_args = 0..=3, help = "VERB RESOURCE[.GROUP][/SUBRESOURCE] [NAME], or VERB /path; Kubernetes' own resources need no group")]
    pub words: Vec<String>,
    /// The namespace asked about; without it, the whole cluster.
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// Why words are no question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// No verb, or nothing that it is done to.
    #[error(
        "a question is VERB RESOURCE[.GROUP][/SUBRESOURCE] [NAME], or VERB /path: such as `get pods -n team-a`"
    )]
    TooShort,
    /// A path has neither name nor namespace.
    #[error("`{0}` is a path: it has neither a name nor a namespace")]
    PathWithMore(String),
    /// A word with nothing in it where something has to be.
    #[error("`{0}` is not a resource: write it as `pods`, `deployments.apps` or `pods/log`")]
    Resource(String),
}

impl Question {
    /// What is asked; none where no words were given.
    ///
    /// # Errors
    /// [`QuestionError`] shows the form.
    pub fn parse(&self) -> Result<Option<Attributes>, QuestionError> {
        let mut words = self.words.iter().map(String::as_str);
        let Some(verb) = words.next() else {
            return if self.namespace.is_some() { Err(QuestionError::TooShort) } else { Ok(None) };
        };
        let target = words.next().ok_or(QuestionError::TooShort)?;
        let name = words.next();
        if verb.is_empty() {
            return Err(QuestionError::TooShort);
        }
        if target.starts_with('/') {
            if name.is_some() || self.namespace.is_some() {
                return Err(QuestionError::PathWithMore(target.to_owned()));
            }
            return Ok(Some(Attributes::NonResource {
                path: target.to_owned(),
                verb: verb.to_ascii_lowercase(),
            }));
        }
        let (group, resource, subresource) = resource(target)?;
        Ok(Some(Attributes::Resource(ResourceAttributes {
            namespace: self.namespace.clone().unwrap_or_default(),
            verb: verb.to_owned(),
            group,
            version: "*".to_owned(),
            resource,
            subresource,
            name: name.unwrap_or_default().to_owned(),
            selectors: None,
        })))
    }

    /// What is asked, where something has to be.
    ///
    /// # Errors
    /// [`QuestionError`] shows the form.
    pub fn required(&self) -> Result<Attributes, QuestionError> {
        self.parse()?.ok_or(QuestionError::TooShort)
    }
}

/// What Kubernetes has in every cluster: its name in rules, its group, and what else people call it. kubectl asks the API server what a
/// name means that has no group. Nobody can be asked here, and the core group has no `deployments`: who asks about those of it is
/// told that they may not get them, whatever they may.
const OF_KUBERNETES: [(&str, &str, &[&str]); 41] = [
    ("configmaps", "", &["configmap", "cm"]),
    ("endpoints", "", &["ep"]),
    ("events", "", &["event", "ev"]),
    ("limitranges", "", &["limitrange", "limits"]),
    ("namespaces", "", &["namespace", "ns"]),
    ("nodes", "", &["node", "no"]),
    ("persistentvolumeclaims", "", &["persistentvolumeclaim", "pvc"]),
    ("persistentvolumes", "", &["persistentvolume", "pv"]),
    ("pods", "", &["pod", "po"]),
    ("podtemplates", "", &["podtemplate"]),
    ("replicationcontrollers", "", &["replicationcontroller", "rc"]),
    ("resourcequotas", "", &["resourcequota", "quota"]),
    ("secrets", "", &["secret"]),
    ("serviceaccounts", "", &["serviceaccount", "sa"]),
    ("services", "", &["service", "svc"]),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io", &["mutatingwebhookconfiguration"]),
    ("validatingadmissionpolicies", "admissionregistration.k8s.io", &["validatingadmissionpolicy"]),
    ("validatingwebhookconfigurations", "admissionregistration.k8s.io", &["validatingwebhookconfiguration"]),
    ("customresourcedefinitions", "apiextensions.k8s.io", &["customresourcedefinition", "crd", "crds"]),
    ("apiservices", "apiregistration.k8s.io", &["apiservice"]),
    ("controllerrevisions", "apps", &["controllerrevision"]),
    ("daemonsets", "apps", &["daemonset", "ds"]),
    ("deployments", "apps", &["deployment", "deploy"]),
    ("replicasets", "apps", &["replicaset", "rs"]),
    ("statefulsets", "apps", &["statefulset", "sts"]),
    ("horizontalpodautoscalers", "autoscaling", &["horizontalpodautoscaler", "hpa"]),
    ("cronjobs", "batch", &["cronjob", "cj"]),
    ("jobs", "batch", &["job"]),
    ("certificatesigningrequests", "certificates.k8s.io", &["certificatesigningrequest", "csr"]),
    ("leases", "coordination.k8s.io", &["lease"]),
    ("endpointslices", "discovery.k8s.io", &["endpointslice"]),
    ("ingressclasses", "networking.k8s.io", &["ingressclass"]),
    ("ingresses", "networking.k8s.io", &["ingress", "ing"]),
    ("networkpolicies", "networking.k8s.io", &["networkpolicy", "netpol"]),
    ("poddisruptionbudgets", "policy", &["poddisruptionbudget", "pdb"]),
    ("clusterrolebindings", "rbac.authorization.k8s.io", &["clusterrolebinding"]),
    ("clusterroles", "rbac.authorization.k8s.io", &["clusterrole"]),
    ("rolebindings", "rbac.authorization.k8s.io", &["rolebinding"]),
    ("roles", "rbac.authorization.k8s.io", &["role"]),
    ("priorityclasses", "scheduling.k8s.io", &["priorityclass", "pc"]),
    ("storageclasses", "storage.k8s.io", &["storageclass", "sc"]),
];

/// Resource and group of a name without one: what Kubernetes calls so, else one of the core group.
fn of_kubernetes(name: &str) -> (&str, &'static str) {
    let is_it = |(plural, _, others): &&(&str, &str, &[&str])| *plural == name || others.contains(&name);
    OF_KUBERNETES.iter().find(is_it).map_or((name, ""), |(plural, group, _)| (*plural, *group))
}

/// Group, resource and subresource of `deployments.apps/scale`. The group is everything after the first dot, as in kubectl.
fn resource(text: &str) -> Result<(String, String, String), QuestionError> {
    let bad = || QuestionError::Resource(text.to_owned());
    let (named, subresource) = match text.split_once('/') {
        Some((_, "")) => return Err(bad()),
        Some((named, subresource)) => (named, subresource),
        None => (text, ""),
    };
    let (resource, group) = match named.split_once('.') {
        Some((_, "")) => return Err(bad()),
        Some((resource, group)) => (resource, group),
        None => of_kubernetes(named),
    };
    if resource.is_empty() || subresource.contains('/') {
        return Err(bad());
    }
    Ok((group.to_owned(), resource.to_owned(), subresource.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &[&str], namespace: Option<&str>) -> Result<Option<Attributes>, QuestionError> {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Question { words, namespace: namespace.map(str::to_owned) }.parse()
    }

    #[test]
    fn words_read_as_a_person_means_them() {
        let cases = [
            (&["get", "pods"][..], None, "get pods in the whole cluster"),
            (&["get", "pods", "web-0"], Some("team-a"), "get pods web-0 in namespace team-a"),
            (&["create", "pods/exec", "web-0"], Some("a"), "create pods/exec web-0 in namespace a"),
            (
                &["update", "deployments.apps/scale"],
                Some("a"),
                "update deployments.apps/scale in namespace a",
            ),
            (&["*", "*"], None, "* * in the whole cluster"),
            (&["update", "deployments/scale"], Some("a"), "update deployments.apps/scale in namespace a"),
            (&["get", "deploy", "web"], Some("a"), "get deployments.apps web in namespace a"),
            (&["get", "pod", "web-0"], Some("a"), "get pods web-0 in namespace a"),
            (
                &["bind", "clusterroles", "admin"],
                None,
                "bind clusterroles.rbac.authorization.k8s.io admin in the whole cluster",
            ),
            (&["get", "widgets"], None, "get widgets in the whole cluster"),
            (&["impersonate", "groups", "ops"], None, "impersonate groups ops in the whole cluster"),
            (
                &["list", "ingresses.networking.k8s.io"],
                None,
                "list ingresses.networking.k8s.io in the whole cluster",
            ),
            (&["GET", "/healthz"], None, "get /healthz"),
        ];
        for (words, namespace, meant) in cases {
            assert_eq!(ask(words, namespace).unwrap().unwrap().to_string(), meant, "{words:?}");
        }
        assert_eq!(ask(&[], None), Ok(None));
    }

    #[test]
    fn what_people_call_a_resource_means_one() {
        let mut names: Vec<&str> = Vec::new();
        for (plural, _, others) in OF_KUBERNETES {
            names.push(plural);
            names.extend(others);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_is_no_question_is_refused_with_the_form() {
        for (words, namespace) in [
            (&["get"][..], None),
            (&[], Some("a")),
            (&["", "pods"], None),
            (&["get", ""], None),
            (&["get", "pods/"], None),
            (&["get", "pods."], None),
            (&["get", ".apps"], None),
            (&["get", "pods/a/b"], None),
            (&["get", "/healthz"], Some("a")),
            (&["get", "/healthz", "x"], None),
        ] {
            assert!(ask(words, namespace).is_err(), "{words:?} {namespace:?}");
        }
    }
}
