//! What a review asks, in the terms of the rules.

use lanyard_api::authz::{Attributes, SelectorRequirement};
use lanyard_rbac::{Requirement, ResourceAttributes, SelectorError, SelectorKind, Selectors};

/// The selectors of a review, read; one that cannot be read is the unscoped request.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    field: Vec<Requirement>,
    label: Vec<Requirement>,
    /// Why a selector was not read.
    pub(crate) fault: Option<String>,
}

/// What is asked, borrowed from the review.
#[derive(Debug)]
pub(crate) struct Asked<'a>(pub(crate) lanyard_rbac::Attributes<'a>);

impl Selected {
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let mut selected = Self::default();
        if let Attributes::Resource(asked) = attributes
            && let Some(selectors) = &asked.selectors
        {
            selected.field = selected.read(SelectorKind::Field, &selectors.field);
            selected.label = selected.read(SelectorKind::Label, &selectors.label);
        }
        selected
    }

    fn read(&mut self, kind: SelectorKind, requirements: &[SelectorRequirement]) -> Vec<Requirement> {
        let parts = requirements.iter().map(|r| (r.key.as_str(), r.operator.as_str(), r.values.as_slice()));
        Requirement::parse_all(kind, parts).unwrap_or_else(|error: SelectorError| {
            self.fault.get_or_insert_with(|| error.to_string());
            Vec::new()
        })
    }
}

impl<'a> Asked<'a> {
    pub(crate) fn of(attributes: &'a Attributes, selected: &'a Selected) -> Self {
        Self(match attributes {
            Attributes::NonResource { path, verb } => lanyard_rbac::Attributes::non_resource(verb, path),
            Attributes::Resource(asked) => lanyard_rbac::Attributes::resource(
                &asked.verb,
                ResourceAttributes {
                    api_group: &asked.group,
                    resource: &asked.resource,
                    subresource: &asked.subresource,
                    namespace: &asked.namespace,
                    name: &asked.name,
                    selectors: Selectors { field: &selected.field, label: &selected.label },
                },
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::authz::{self, Selectors};
    use lanyard_rbac::Target;

    use super::*;

    fn requirement(key: &str, operator: &str, values: &[&str]) -> SelectorRequirement {
        let values = values.iter().map(ToString::to_string).collect();
        SelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values }
    }

    #[test]
    fn immunity_30_a_selector_that_cannot_be_read_is_the_unscoped_request_and_said() {
        let good = || requirement("app", "In", &["web"]);
        let cases = [
            (vec![good()], 1, false),
            (vec![good(), requirement("app", "Like", &["web"])], 0, true),
            (vec![requirement("app", "In", &[])], 0, true),
            (vec![requirement("a b", "Exists", &[])], 0, true),
            (vec![], 0, false),
        ];
        for (label, read, faulty) in cases {
            let asked = authz::ResourceAttributes {
                selectors: Some(Box::new(Selectors {
                    field: vec![requirement("metadata.name", "In", &["x"])],
                    label,
                })),
                ..Default::default()
            };
            let attributes = Attributes::Resource(asked);
            let selected = Selected::of(&attributes);
            let Target::Resource(seen) = Asked::of(&attributes, &selected).0.target else { panic!() };
            assert_eq!(
                (seen.selectors.label.len(), selected.fault.is_some()),
                (read, faulty),
                "{attributes:?}"
            );
            assert_eq!(seen.selectors.field.len(), 1, "the other selector stands");
        }
    }
}
