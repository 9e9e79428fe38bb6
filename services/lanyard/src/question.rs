//! What is asked of a door, as people type it: `get pods/log web-0 -n team-a`, or `get /healthz`.

use clap::Args;
use lanyard_api::{
    authz::{Attributes, ResourceAttributes},
    kinds,
};

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
