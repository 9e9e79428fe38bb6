//! What is asked: a user, a verb, and what the verb is done to.

use crate::selector::Selectors;

/// The group that passes every check in Kubernetes, whatever its bindings say.
pub const SYSTEM_MASTERS: &str = "system:masters";

/// Who asks, as Kubernetes sees them. Borrowed, so that asking costs nothing.
#[derive(Debug)]
pub struct User<'a, G = String> {
    /// The username, compared byte for byte.
    pub name: &'a str,
    /// All groups, `system:authenticated` included where it applies; order and repetition do not matter.
    pub groups: &'a [G],
}

impl<G> Clone for User<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G> Copy for User<'_, G> {}

/// A question: may this verb be done to this target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// The verb: `get`, `list`, `impersonate`, …; for non-resource requests the HTTP method in lower case.
    pub verb: &'a str,
    /// What it is done to.
    pub target: Target<'a>,
}

/// What a verb is done to: something of the resource API, or a plain path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A request to the resource API.
    Resource(ResourceAttributes<'a>),
    /// A request to a path outside it, as `/healthz`.
    NonResource(NonResourceAttributes<'a>),
}

/// A request to the resource API. Empty strings mean what they mean in a SubjectAccessReview.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceAttributes<'a> {
    /// The API group; empty is the core group.
    pub api_group: &'a str,
    /// The resource, in the plural, as `pods`.
    pub resource: &'a str,
    /// The subresource, as `log`; empty is the resource itself.
    pub subresource: &'a str,
    /// The namespace; empty is a cluster-scoped request, or one across all namespaces.
    pub namespace: &'a str,
    /// The object's name; empty where the request names none (`list`, `create`, …).
    pub name: &'a str,
    /// What the request says it narrows itself to. RBAC decides without it; it is carried for the record.
    pub selectors: Selectors<'a>,
}

/// A request to a path outside the resource API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NonResourceAttributes<'a> {
    /// The path, compared byte for byte: never cleaned, never decoded.
    pub path: &'a str,
}

impl<'a> Attributes<'a> {
    /// Asks for a verb on a resource.
    #[must_use]
    pub const fn resource(verb: &'a str, resource: ResourceAttributes<'a>) -> Self {
        Self { verb, target: Target::Resource(resource) }
    }

    /// Asks for a verb on a path outside the resource API.
    #[must_use]
    pub const fn non_resource(verb: &'a str, path: &'a str) -> Self {
        Self { verb, target: Target::NonResource(NonResourceAttributes { path }) }
    }

    /// The namespace asked about; empty for cluster-scoped and non-resource requests.
    #[must_use]
    pub const fn namespace(&self) -> &'a str {
        match self.target {
            Target::Resource(resource) => resource.namespace,
            Target::NonResource(_) => "",
        }
    }
}
