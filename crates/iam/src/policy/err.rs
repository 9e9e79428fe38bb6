//! Where and why a policy document is refused.

use super::{POLICY_DEPTH_MAX, POLICY_STATEMENTS_MAX};
use crate::shown::shown;

/// A document is refused: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PolicyError {
    /// A JSON path such as `$.Statement[1].Action`; `$` is the document.
    pub path: String,
    /// What is wrong there.
    pub fault: PolicyFault,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// More bytes than this kind of document may have.
    #[error("the document has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// More characters than a session policy may have.
    #[error("the document has {chars} characters, blanks included, and at most {max} are allowed")]
    TooLong {
        /// Its length.
        chars: usize,
        /// The limit.
        max: usize,
    },
    /// Not JSON.
    #[error("not JSON at line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Nested deeper than any policy needs.
    #[error("nested deeper than {max} levels", max = POLICY_DEPTH_MAX)]
    TooDeep,
    /// More statements than allowed.
    #[error("more than {max} statements", max = POLICY_STATEMENTS_MAX)]
    TooManyStatements,
    /// Another JSON type than the grammar has here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A member that has to be there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member that the grammar does not have here (names count their letter case).
    #[error("`{}` is not an element of a policy here", shown(.0))]
    UnknownElement(String),
    /// A member given twice.
    #[error("`{}` stands twice", shown(.0))]
    Duplicate(String),
    /// A list without anything in it.
    #[error("the list must not be empty")]
    Empty,
    /// Two members that exclude each other.
    #[error("`{0}` and `{1}` exclude each other")]
    Both(&'static str, &'static str),
    /// A member that this kind of document must not have.
    #[error("`{element}` does not belong into {document}")]
    NotHere {
        /// The member.
        element: &'static str,
        /// The kind of document.
        document: &'static str,
    },
    /// Something of IAM's that is not built.
    #[error("`{}` is not supported: write the statement without it", shown(.0))]
    NotSupported(String),
    /// Another version of the language.
    #[error("`{}` is not a version of the policy language: use 2012-10-17", shown(.0))]
    Version(String),
    /// Neither Allow nor Deny.
    #[error("`{}` is not an effect: use Allow or Deny", shown(.0))]
    Effect(String),
    /// A statement id of other characters than letters and digits.
    #[error("`{}` is not a statement id: use letters and digits", shown(.0))]
    Sid(String),
    /// An action that none could be.
    #[error("`{}` is not an action: use service:Action, with * and ? in the action's name, or *", shown(.0))]
    Action(String),
    /// A resource that none could be.
    #[error("`{}` is not a resource: use an ARN of six sections, with * and ? inside them, or *", shown(.0))]
    Resource(String),
    /// A principal that none could be.
    #[error(
        "`{}` is not a principal: use a twelve-digit account, the ARN of a user, role, session or root, a unique id, or *", shown(.0)
    )]
    Principal(String),
    /// An operator that IAM does not have.
    #[error("`{}` is not a condition operator", shown(.0))]
    Operator(String),
    /// A value that the operator cannot compare with.
    #[error("`{}` is not {expected}", shown(.value))]
    Value {
        /// The value.
        value: String,
        /// What the operator compares with.
        expected: &'static str,
    },
    /// A variable that is not closed, or empty, or stands where none may.
    #[error(
        "`{}` holds a malformed variable, or one where none may be: use ${{key}} or ${{key, 'default'}}, with Version 2012-10-17", shown(.0)
    )]
    Variable(String),
}
