//! What may be written: each rule a function of its own, each broken one with a code that does not change.

pub(crate) mod cluster;
pub(crate) mod entry;
pub(crate) mod identity_provider;
pub(crate) mod issuers;
pub(crate) mod policy;
pub(crate) mod sure;

use std::borrow::Cow;

use lanyard_api::CallError;
pub(crate) use lanyard_api::mapping::Rule;
pub(crate) use lanyard_iam::shown;

/// A rule of a request that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The request's field, as on the wire.
    pub(crate) field: &'static str,
    /// Which rule.
    pub(crate) rule: Rule,
    /// The input, the rule it broke and the next step.
    pub(crate) message: String,
}

impl Broken {
    pub(crate) fn new(field: &'static str, rule: Rule, message: impl Into<String>) -> Self {
        Self { field, rule, message: message.into() }
    }
}

impl From<Broken> for CallError {
    fn from(broken: Broken) -> Self {
        match broken.rule {
            Rule::PolicyUnknown => {
                Self::NotFound { kind: Cow::Borrowed("access policy"), name: broken.message }
            }
            Rule::AuthenticationMode | Rule::NotStandard | Rule::AudienceTaken => {
                Self::precondition(broken.rule.code(), broken.message)
            }
            rule => Self::invalid(broken.field, rule.code(), broken.message),
        }
    }
}
