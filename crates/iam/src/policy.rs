//! IAM policy documents: parsed strictly, evaluated as IAM evaluates them.
//!
//! [`PolicyDocument`] is an identity or session policy, [`TrustPolicy`] a role's. [`evaluate`] weighs identity policies
//! and a session policy, [`evaluate_trust`] a trust policy alone, [`evaluate_assume_role`] all of them together. An explicit
//! deny counts before any allow; what no statement allows is denied; and where a document leaves something open (a
//! variable without value, many values without a quantifier), an allow does not hold and a deny does.

mod condition;
mod context;
mod decimal;
mod document;
mod err;
mod evaluate;
mod federation;
mod json;
mod operator;
mod parse;
mod principal;
mod statement;
mod template;
mod trust;
mod trusted;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use context::{ConditionKeys, NamedDocument, RequestContext};
pub use document::{PolicyDocument, TrustPolicy};
pub use err::{PolicyError, PolicyFault};
pub use evaluate::{Decision, Evaluation, Lack, Layer, NearMiss, StatementRef, evaluate};
pub use federation::{OpenFederation, SubjectGap};
pub use trust::{Named, TrustCaller, TrustEvaluation, evaluate_assume_role, evaluate_trust};

/// Most bytes of an identity policy, blanks not counted: IAM's sum over a role's inline policies.
pub const IDENTITY_POLICY_BYTES_MAX: usize = 10_240;
/// Most bytes of a trust policy, blanks not counted.
pub const TRUST_POLICY_BYTES_MAX: usize = 4096;
/// Most characters of a session policy, blanks included: STS counts the text that it is given (STS reference, `Policy`).
pub const SESSION_POLICY_CHARS_MAX: usize = 2048;
/// Most bytes of any document as it arrives, blanks included.
pub const POLICY_TEXT_BYTES_MAX: usize = 65_536;
/// Deepest nesting: the values of a condition lie at five.
pub const POLICY_DEPTH_MAX: usize = 8;
/// Most statements of one document.
pub const POLICY_STATEMENTS_MAX: usize = 128;
