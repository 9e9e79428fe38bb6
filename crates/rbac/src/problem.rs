//! What in the objects grants nothing, though somebody may expect it to.

use std::fmt;

use crate::key::ObjectKey;
use crate::object::Subject;

/// Something in the objects that grants nothing, though somebody may expect it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A binding names a role that does not exist.
    MissingRole {
        /// The binding.
        binding: ObjectKey,
        /// The role that is not there.
        role: ObjectKey,
    },
    /// A binding names a service account in a namespace that cannot be.
    NoNamespace {
        /// The binding.
        binding: ObjectKey,
        /// The service account.
        subject: Subject,
    },
    /// An aggregated role reaches more rules, or more roles, than are gathered.
    TooManyRules {
        /// The role.
        role: ObjectKey,
        /// How many rules it was left with.
        gathered: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingRole { binding, role } => {
                write!(f, "`{binding}` names `{role}`, which does not exist: create it or delete the binding")
            }
            Self::NoNamespace { binding, subject } => {
                write!(
                    f,
                    "`{binding}` names `{subject}`, and no namespace has such a name: correct it or take the subject out"
                )
            }
            Self::TooManyRules { role, gathered } => {
                write!(
                    f,
                    "`{role}` aggregates more than can be gathered and has {gathered} rules: narrow its selectors"
                )
            }
        }
    }
}
