//! What is asked of a door, as people type it: `get pods/log web-0 -n team-a`, or `get /healthz`.

use clap::Args;
use lanyard_api::{
    authz::{Attributes, ResourceAttributes},
    kinds,
};

use crate::{cli::complain, input::meant};

/// What kubectl takes for verbs (`kubectl auth can-i`, its `resourceVerbs`). Those for impersonation are more than one.
const VERBS: [&str; 15] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "sign",
    "approve",
    "attest",
    "escalate",
    "*",
];
/// What it takes for verbs of paths (its `nonResourceURLVerbs`).
const PATH_VERBS: [&str; 8] = ["get", "put", "post", "head", "options", "delete", "patch", "*"];
const IMPERSONATION: &str = "impersonate";
/// What rules name although no API server has it: whom somebody may impersonate, and for whom sign.
const UNSERVED: [&str; 6] = ["users", "groups", "uids", "userextras", "signers", "*"];

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
    /// What is asked, none where no words were given. What seems to be a slip is warned of on standard error, and asked all the same: a
    /// rule may name anything.
    ///
    /// # Errors
    /// [`QuestionError`] shows the form.
    pub fn asked(&self) -> Result<Option<Attributes>, QuestionError> {
        let asked = self.parse()?;
        asked.iter().flat_map(doubts).for_each(|doubt| complain(&format!("warning: {doubt}")));
        Ok(asked)
    }

    fn parse(&self) -> Result<Option<Attributes>, QuestionError> {
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
                path: target.into(),
                verb: verb.to_ascii_lowercase().into(),
            }));
        }
        let (group, resource, subresource) = resource(target)?;
        Ok(Some(Attributes::Resource(ResourceAttributes {
            namespace: self.namespace.as_deref().unwrap_or_default().into(),
            verb: verb.into(),
            group: group.into(),
            version: "*".into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.unwrap_or_default().into(),
            selectors: None,
        })))
    }

    /// What is asked, where something has to be.
    ///
    /// # Errors
    /// [`QuestionError`] shows the form.
    pub fn required(&self) -> Result<Attributes, QuestionError> {
        self.asked()?.ok_or(QuestionError::TooShort)
    }
}

/// What kubectl would warn of: a verb or a resource that no plain Kubernetes has, a namespace of what lies in none.
fn doubts(asked: &Attributes) -> Vec<String> {
    match asked {
        Attributes::NonResource { verb, .. } => verb_doubt(verb, &PATH_VERBS).into_iter().collect(),
        Attributes::Resource(asked) => {
            [verb_doubt(&asked.verb, &VERBS), resource_doubt(asked)].into_iter().flatten().collect()
        }
    }
}

fn verb_doubt(verb: &str, known: &'static [&'static str]) -> Option<String> {
    let is_known = known.contains(&verb) || verb.starts_with(IMPERSONATION);
    (!is_known).then(|| {
        let meant = meant(verb, known.iter().copied().chain([IMPERSONATION]));
        format!("`{verb}` is no verb of Kubernetes'{meant}")
    })
}

fn resource_doubt(asked: &ResourceAttributes) -> Option<String> {
    let (group, resource) = (asked.group.as_str(), asked.resource.as_str());
    // Whose groups are not known may have anything.
    let known = kinds::GROUPS.iter().find(|known| known.name == group)?;
    if UNSERVED.contains(&resource) {
        return None;
    }
    match known.resources.iter().find(|known| known.name == resource) {
        Some(known) if !known.is_namespaced && !asked.namespace.is_empty() => Some(format!(
            "`{resource}` lie in no namespace: requests for them name none, so leave `-n {}` out",
            asked.namespace
        )),
        Some(_) => None,
        None if group.is_empty() => {
            let all = kinds::GROUPS.iter().flat_map(|group| group.resources).map(|resource| resource.name);
            let meant = meant(resource, all);
            Some(format!(
                "a plain Kubernetes has no resource `{resource}`{meant}; for one of another group write `{resource}.GROUP`"
            ))
        }
        None => {
            let meant = meant(resource, known.resources.iter().map(|resource| resource.name));
            Some(format!("a plain Kubernetes has no resource `{resource}` in the group `{group}`{meant}"))
        }
    }
}

/// Group, resource and subresource of `deployments.apps/scale`. The group is everything after the first dot, as in kubectl; of
/// what Kubernetes itself has it may be left out.
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
        None => kinds::called(named).map_or((named, ""), |(group, resource)| (resource.name, group.name)),
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
    fn what_no_plain_kubernetes_has_is_doubted_and_what_rules_may_name_is_not() {
        let doubt = |words: &[&str], namespace: Option<&str>| {
            doubts(&ask(words, namespace).unwrap().unwrap()).join("\n")
        };
        for (words, namespace) in [
            (&["get", "pods"][..], Some("a")),
            (&["get", "po"], None),
            (&["create", "pods/exec"], Some("a")),
            (&["list", "widgets.example.com"], Some("a")),
            (&["impersonate", "users", "ana"], None),
            (&["impersonate:user-info", "users", "ana"], None),
            (&["bind", "clusterroles", "admin"], None),
            (&["*", "*"], None),
            (&["get", "nodes"], None),
            (&["get", "/healthz"], None),
        ] {
            assert_eq!(doubt(words, namespace), "", "{words:?}");
        }
        for (words, namespace, said) in [
            (&["gett", "pods"][..], None, "`gett` is no verb of Kubernetes' (did you mean `get`?)"),
            (&["GET", "pods"], None, "did you mean `get`?"),
            (&["lists", "/healthz"], None, "`lists` is no verb"),
            (&["get", "podz"], None, "no resource `podz` (did you mean `pods`?"),
            (&["get", "widgets"], None, "write `widgets.GROUP`"),
            (&["get", "deployment.apps"], None, "in the group `apps` (did you mean `deployments`?"),
            (&["get", "nodes"], Some("a"), "leave `-n a` out"),
        ] {
            assert!(doubt(words, namespace).contains(said), "{words:?}: {}", doubt(words, namespace));
        }
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
