//! SubjectAccessReviews as files hold them: one, a list, or one after the other; whole or their `spec` alone.

use std::fmt::Display;

use lanyard_api::authz;
use lanyard_iam::shown_within;
use lanyard_kit::json::Unique;
use lanyard_rbac::{Attributes, Requirement, ResourceAttributes, SelectorKind, Selectors, User};
use serde::Deserialize;
use serde_json::{Value, error::Category};

/// Most reviews of one run.
const REVIEWS_MAX: usize = 1_000_000;
/// Most characters of a member's name that a message repeats.
const NAME_CHARS_MAX: usize = 100;

/// A review, read.
#[derive(Debug)]
pub(super) struct Review {
    user: String,
    groups: Vec<String>,
    asked: Asked,
    /// What the file says that the answer has to be.
    pub(super) expected: Option<bool>,
}

#[derive(Debug)]
enum Asked {
    Resource(Box<Resource>, Vec<Requirement>, Vec<Requirement>),
    Path(NonResource),
}

/// What is wrong with reviews.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReviewError {
    /// Neither JSON nor YAML.
    #[error("the reviews are neither JSON nor YAML: {0}")]
    Syntax(String),
    /// A member stands twice, and readers differ about which of them counts.
    #[error("a member is written twice: {0}; keep one")]
    Twice(String),
    /// One of them breaks a rule.
    #[error("review {number}: {rule}")]
    Review {
        /// From 1.
        number: usize,
        /// Which rule, and what to write.
        rule: String,
    },
    /// There are none.
    #[error("there are no reviews: give a SubjectAccessReview, a list of them, or one a line")]
    None,
    /// More than one run takes.
    #[error("there are more than {REVIEWS_MAX} reviews: give them in parts")]
    TooMany,
}

/// Members as Kubernetes has them. A member that it does not have is a typing error, and would change the answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    user: String,
    /// v1beta1 calls it `group`.
    #[serde(default, alias = "group")]
    groups: Option<Vec<String>>,
    #[serde(default, rename = "uid")]
    _uid: Option<String>,
    #[serde(default, rename = "extra")]
    _extra: Option<Value>,
    #[serde(default)]
    resource_attributes: Option<Box<Resource>>,
    #[serde(default)]
    non_resource_attributes: Option<NonResource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resource {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    field_selector: Option<Selector>,
    #[serde(default)]
    label_selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NonResource {
    #[serde(default)]
    path: String,
    #[serde(default)]
    verb: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selector {
    /// Kubernetes has it, and tells those whom it asks to pass it over.
    #[serde(default, rename = "rawSelector")]
    _raw_selector: Option<String>,
    #[serde(default)]
    requirements: Vec<SelectorRequirement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorRequirement {
    #[serde(default)]
    key: String,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

/// Reads all of them, in order.
///
/// # Errors
/// [`ReviewError`] with the number of the review. Nothing is read in part.
pub(super) fn read_all(text: &str) -> Result<Vec<Review>, ReviewError> {
    let mut flat = Vec::new();
    for value in values(text)? {
        flatten(value, &mut flat)?;
    }
    if flat.is_empty() {
        return Err(ReviewError::None);
    }
    flat.into_iter().zip(1..).map(|(value, number)| review(value, number)).collect()
}

/// A review for a hub, which may leave it to others whom it is about.
#[derive(Debug)]
pub(crate) struct HubReview {
    /// Empty where it names nobody.
    pub(crate) username: String,
    /// As given.
    pub(crate) groups: Vec<String>,
    /// What is asked.
    pub(crate) attributes: authz::Attributes,
}

/// Reads all of them for a hub, in order.
///
/// # Errors
/// As [`read_all`]; but a review may name nobody.
pub(crate) fn read_for_hub(text: &str) -> Result<Vec<HubReview>, ReviewError> {
    let mut flat = Vec::new();
    for value in values(text)? {
        flatten(value, &mut flat)?;
    }
    if flat.is_empty() {
        return Err(ReviewError::None);
    }
    let read = |(value, number)| {
        let (spec, _) = spec_of(value, number)?;
        spec.for_hub().map_err(|rule| ReviewError::Review { number, rule: rule.to_owned() })
    };
    flat.into_iter().zip(1..).map(read).collect()
}

/// The JSON values, with or without line breaks between them; or YAML documents.
fn values(text: &str) -> Result<Vec<Value>, ReviewError> {
    if text.trim_start().starts_with(['{', '[']) {
        let values = serde_json::Deserializer::from_str(text).into_iter::<Unique>();
        return values
            .map(|value| value.map(|Unique(value)| value).map_err(|error| of_json(&error)))
            .collect();
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| of_yaml(&error))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn of_json(error: &serde_json::Error) -> ReviewError {
    match error.classify() {
        // Any value is taken, but one with a member twice.
        Category::Data => {
            let (line, column, text) = (error.line(), error.column(), error.to_string());
            let name = text.strip_suffix(&format!("` at line {line} column {column}"));
            twice(name.and_then(|name| name.strip_prefix('`')), line, column)
        }
        Category::Io | Category::Syntax | Category::Eof => ReviewError::Syntax(error.to_string()),
    }
}

fn of_yaml(error: &serde_saphyr::Error) -> ReviewError {
    let serde_saphyr::Error::DuplicateMappingKey { key, location } = error.without_snippet() else {
        return ReviewError::Syntax(one_line(&error.to_string()));
    };
    twice(key.as_deref(), location.line(), location.column())
}

fn twice(name: Option<&str>, line: impl Display, column: impl Display) -> ReviewError {
    let name = name.map_or_else(
        || "one without a name".to_owned(),
        |name| format!("`{}`", shown_within(name, NAME_CHARS_MAX)),
    );
    ReviewError::Twice(format!("{name} at line {line} column {column}"))
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Arrays and Kubernetes lists become what is in them.
fn flatten(value: Value, into: &mut Vec<Value>) -> Result<(), ReviewError> {
    match value {
        Value::Array(items) => items.into_iter().try_for_each(|item| flatten(item, into)),
        Value::Object(mut object) if object.contains_key("items") && !object.contains_key("spec") => {
            flatten(object.remove("items").unwrap_or_default(), into)
        }
        other if into.len() < REVIEWS_MAX => {
            into.push(other);
            Ok(())
        }
        _ => Err(ReviewError::TooMany),
    }
}

fn review(value: Value, number: usize) -> Result<Review, ReviewError> {
    let (spec, expected) = spec_of(value, number)?;
    spec.review(expected).map_err(|rule| ReviewError::Review { number, rule: rule.to_owned() })
}

/// What a review says, and what it says that the answer has to be.
fn spec_of(value: Value, number: usize) -> Result<(Spec, Option<bool>), ReviewError> {
    let wrong = |rule: String| ReviewError::Review { number, rule };
    let Value::Object(mut object) = value else {
        return Err(wrong("a review is an object with `spec`, or the spec itself".to_owned()));
    };
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or("SubjectAccessReview");
    if kind != "SubjectAccessReview" {
        return Err(wrong(format!("its kind is `{kind}`: only a SubjectAccessReview names its user")));
    }
    let status = object.get("status").and_then(|status| status.get("allowed"));
    let expected = status.or_else(|| object.get("allowed")).and_then(Value::as_bool);
    let spec = match object.remove("spec") {
        Some(spec) => spec,
        None => {
            ["apiVersion", "kind", "metadata", "status", "allowed"].into_iter().for_each(|envelope| {
                object.remove(envelope);
            });
            Value::Object(object)
        }
    };
    let spec: Spec = serde_json::from_value(spec).map_err(|error| wrong(error.to_string()))?;
    Ok((spec, expected))
}

/// Kubernetes' rule about what is asked.
const ONE_OF_BOTH: &str = "give exactly one of `resourceAttributes` and `nonResourceAttributes`";

impl Spec {
    /// Kubernetes' own rules for a review.
    fn review(self, expected: Option<bool>) -> Result<Review, &'static str> {
        let groups = self.groups.unwrap_or_default();
        if self.user.is_empty() && groups.is_empty() {
            return Err("it names nobody: give `user`, `groups` or both");
        }
        let asked = match (self.resource_attributes, self.non_resource_attributes) {
            (Some(mut resource), None) => {
                let field = requirements(SelectorKind::Field, resource.field_selector.take());
                let label = requirements(SelectorKind::Label, resource.label_selector.take());
                Asked::Resource(resource, field, label)
            }
            (None, Some(path)) => Asked::Path(path),
            _ => return Err(ONE_OF_BOTH),
        };
        Ok(Review { user: self.user, groups, asked, expected })
    }

    /// The same for a hub: selectors go on as they are, for the hub reads them.
    fn for_hub(self) -> Result<HubReview, &'static str> {
        let attributes = match (self.resource_attributes, self.non_resource_attributes) {
            (Some(resource), None) => {
                let resource = *resource;
                let has_any = resource.field_selector.is_some() || resource.label_selector.is_some();
                let (field, label) = (as_given(resource.field_selector), as_given(resource.label_selector));
                authz::Attributes::Resource(authz::ResourceAttributes {
                    namespace: resource.namespace.into(),
                    verb: resource.verb.into(),
                    group: resource.group.into(),
                    version: resource.version.unwrap_or_default().into(),
                    resource: resource.resource.into(),
                    subresource: resource.subresource.into(),
                    name: resource.name.into(),
                    selectors: has_any.then(|| Box::new(authz::Selectors { field, label })),
                })
            }
            (None, Some(NonResource { path, verb })) => {
                authz::Attributes::NonResource { path: path.into(), verb: verb.into() }
            }
            _ => return Err(ONE_OF_BOTH),
        };
        Ok(HubReview { username: self.user, groups: self.groups.unwrap_or_default(), attributes })
    }
}

fn as_given(selector: Option<Selector>) -> Vec<authz::SelectorRequirement> {
    let requirement =
        |SelectorRequirement { key, operator, values }| authz::SelectorRequirement { key, operator, values };
    selector.map(|selector| selector.requirements.into_iter().map(requirement).collect()).unwrap_or_default()
}

/// A selector that cannot be read is left out, which asks for more and never for less.
fn requirements(kind: SelectorKind, selector: Option<Selector>) -> Vec<Requirement> {
    let read = selector.map(|selector| {
        let parts =
            selector.requirements.iter().map(|r| (r.key.as_str(), r.operator.as_str(), r.values.as_slice()));
        Requirement::parse_all(kind, parts)
    });
    read.and_then(Result::ok).unwrap_or_default()
}

impl Review {
    pub(super) fn user(&self) -> User<'_> {
        User { name: &self.user, groups: &self.groups }
    }

    /// Who asks, for people.
    pub(super) fn who(&self) -> String {
        match (self.user.as_str(), self.groups.as_slice()) {
            (user, []) => user.to_owned(),
            ("", groups) => format!("[{}]", groups.join(", ")),
            (user, groups) => format!("{user} [{}]", groups.join(", ")),
        }
    }

    /// What is asked, for people.
    pub(super) fn what(&self) -> String {
        let resource = match &self.asked {
            Asked::Path(path) => return format!("{} {}", path.verb, path.path),
            Asked::Resource(resource, ..) => resource,
        };
        let mut text = format!("{} {}", resource.verb, resource.resource);
        let mut add = |before: &str, part: &str| {
            if !part.is_empty() {
                text.push_str(before);
                text.push_str(part);
            }
        };
        add(".", &resource.group);
        add("/", &resource.subresource);
        add(" ", &resource.name);
        add(" in ", &resource.namespace);
        text
    }

    pub(super) fn attributes(&self) -> Attributes<'_> {
        match &self.asked {
            Asked::Path(path) => Attributes::non_resource(&path.verb, &path.path),
            Asked::Resource(resource, field, label) => Attributes::resource(
                &resource.verb,
                ResourceAttributes {
                    api_group: &resource.group,
                    resource: &resource.resource,
                    subresource: &resource.subresource,
                    namespace: &resource.namespace,
                    name: &resource.name,
                    selectors: Selectors { field, label },
                },
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"{"user":"ana","groups":["devs"],"resourceAttributes":{"verb":"get","resource":"pods","namespace":"a"}}"#;

    fn said(text: &str) -> Vec<String> {
        read_all(text).unwrap().iter().map(|review| format!("{}: {}", review.who(), review.what())).collect()
    }

    #[test]
    fn one_review_a_list_and_one_a_line_are_read_whole_or_as_bare_specs() {
        let whole = format!(
            r#"{{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{SPEC}}}"#
        );
        let list = format!(r#"{{"kind":"List","items":[{whole},{SPEC}]}}"#);
        const ONE: &str = "ana [devs]: get pods in a";
        for (text, count) in [
            (SPEC.to_owned(), 1),
            (whole.clone(), 1),
            (format!("[{SPEC},{whole}]"), 2),
            (format!("{SPEC}\n{whole}\n\n{SPEC}"), 3),
            (list, 2),
            (
                "user: ana\ngroups: [devs]\nresourceAttributes: {verb: get, resource: pods, namespace: a}\n"
                    .to_owned(),
                1,
            ),
            (format!("---\nspec: {SPEC}\n---\nspec: {SPEC}\n"), 2),
        ] {
            assert_eq!(said(&text), vec![ONE; count], "{text}");
        }
    }

    #[test]
    fn a_review_for_a_hub_may_name_nobody_and_keeps_its_selectors() {
        let text = r#"{"resourceAttributes":{"verb":"list","resource":"pods","version":"v1","namespace":"a",
            "labelSelector":{"requirements":[{"key":"app","operator":"In","values":["web"]}]}}}
            {"user":"ana","groups":["devs"],"nonResourceAttributes":{"path":"/x","verb":"get"}}"#;
        let read = read_for_hub(text).unwrap();
        let told: Vec<String> = read.iter().map(|review| review.attributes.to_string()).collect();
        assert_eq!(told, ["list pods in namespace a, labels app in (web)", "get /x"]);
        assert_eq!((read[0].username.as_str(), read[1].username.as_str()), ("", "ana"));
        let error = read_for_hub("{}").unwrap_err().to_string();
        assert!(error.starts_with("review 1: give exactly one of"), "{error}");
    }

    #[test]
    fn both_versions_spellings_and_everything_that_is_asked_are_read() {
        let text = r#"{"user":"ana","group":["x"],"uid":"1","extra":{"k":null},"nonResourceAttributes":{"path":"/x","verb":"get"}}"#;
        assert_eq!(said(text), ["ana [x]: get /x"]);
        let text = r#"{"groups":["x"],"resourceAttributes":{"verb":"update","group":"apps","version":"v1",
            "resource":"deployments","subresource":"scale","name":"web","fieldSelector":{"requirements":[]},
            "labelSelector":{"rawSelector":"app=web"}}}"#;
        assert_eq!(said(text), ["[x]: update deployments.apps/scale web"]);
    }

    #[test]
    fn an_expectation_is_read_from_the_status_or_beside_the_spec() {
        for (text, expected) in [
            (format!(r#"{{"spec":{SPEC},"status":{{"allowed":true}}}}"#), Some(true)),
            (format!(r#"{{"spec":{SPEC},"allowed":false}}"#), Some(false)),
            (SPEC.to_owned(), None),
        ] {
            assert_eq!(read_all(&text).unwrap()[0].expected, expected, "{text}");
        }
    }

    #[test]
    fn what_kubernetes_would_refuse_or_somebody_mistyped_is_refused_by_number() {
        for bad in [
            "{}".to_owned(),
            r#"{"user":"ana"}"#.to_owned(),
            r#"{"resourceAttributes":{}}"#.to_owned(),
            r#"{"user":"ana","resourceAttributes":{},"nonResourceAttributes":{}}"#.to_owned(),
            r#"{"user":"ana","resourceAttributes":{"namespaces":"x"}}"#.to_owned(),
            r#"{"user":"ana","resourceAttribute":{}}"#.to_owned(),
            r#"{"user":"ana","resourceAttributes":{"labelSelector":{"requirments":[]}}}"#.to_owned(),
            r#"{"user":"ana","resourceAttributes":{"fieldSelector":{"requirements":[{"key":"a","op":"In"}]}}}"#
                .to_owned(),
            format!(r#"{{"kind":"SelfSubjectAccessReview","spec":{SPEC}}}"#),
            "[1]".to_owned(),
        ] {
            let error = read_all(&format!("[{SPEC},{bad}]")).unwrap_err().to_string();
            assert!(error.starts_with("review 2: "), "{bad}: {error}");
        }
        assert!(matches!(read_all("{"), Err(ReviewError::Syntax(_))));
        assert!(matches!(read_all("[]"), Err(ReviewError::None)));
        assert!(matches!(read_all(""), Err(ReviewError::None)));
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_by_its_name() {
        for (text, named) in [
            (r#"{"user":"ana","user":"root","resourceAttributes":{}}"#, "`user` at line 1"),
            (
                "[{\"user\":\"ana\",\n\"resourceAttributes\":{\"verb\":\"get\",\"verb\":\"list\"}}]",
                "`verb` at line 2",
            ),
            (r#"{"u\ns":1,"u\ns":1}"#, r"`u\ns` at line 1 column 16"),
            ("user: ana\nuser: root\nresourceAttributes: {verb: get}\n", "`user` at line 2"),
        ] {
            for error in [read_all(text).unwrap_err(), read_for_hub(text).unwrap_err()] {
                let said = error.to_string();
                assert!(said.contains(named) && said.ends_with("keep one"), "{said}");
            }
        }
        assert_eq!(said(&format!("{SPEC}{SPEC}")).len(), 2, "each review has members of its own");
    }
}
