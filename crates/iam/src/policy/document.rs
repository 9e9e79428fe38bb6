//! The two kinds of documents.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::err::PolicyError;
use super::json::Size;
use super::parse::{Kind, statements};
use super::principal::PrincipalElement;
use super::statement::{Effect, Statement};
use super::{IDENTITY_POLICY_BYTES_MAX, SESSION_POLICY_CHARS_MAX, TRUST_POLICY_BYTES_MAX};
use crate::arn::PrincipalArn;
use crate::id::AccountId;
use crate::partition::Partition;

/// A policy document without principals: an identity policy or a session policy. In JSON and in stores it is the text that
/// was given.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyDocument {
    source: Box<str>,
    pub(super) statements: Vec<Statement>,
}

impl PolicyDocument {
    /// Reads an identity policy.
    ///
    /// # Errors
    /// When it is too large, not JSON, or not a policy in every element; nothing is ignored.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        let statements =
            statements(json, Kind::Identity, Size::BytesWithoutBlanks(IDENTITY_POLICY_BYTES_MAX))?;
        Ok(Self { source: json.into(), statements })
    }

    /// Reads a session policy: as [`Self::parse`], with its smaller limit on size, in which blanks count.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_session(json: &str) -> Result<Self, PolicyError> {
        let statements = statements(json, Kind::Identity, Size::Characters(SESSION_POLICY_CHARS_MAX))?;
        Ok(Self { source: json.into(), statements })
    }

    /// The JSON as given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// A role's trust policy: who may assume it. In JSON and in stores it is the text that was given.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustPolicy {
    source: Box<str>,
    pub(super) statements: Vec<Statement>,
}

impl TrustPolicy {
    /// Reads a trust policy: each statement names principals, and none a resource.
    ///
    /// # Errors
    /// As [`PolicyDocument::parse`].
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        let statements = statements(json, Kind::Trust, Size::BytesWithoutBlanks(TRUST_POLICY_BYTES_MAX))?;
        Ok(Self { source: json.into(), statements })
    }

    /// Whether a statement that allows may name a principal of this account; an id alone does not say whose it is.
    #[must_use]
    pub fn may_let_in(&self, partition: Partition, account: AccountId) -> bool {
        self.allowing().any(|principals| principals.may_name(partition, account))
    }

    /// The role sessions that are named one by one, to be let in, refused or left alone.
    pub fn named_sessions(&self) -> impl Iterator<Item = &PrincipalArn> {
        let principals = self.statements.iter().filter_map(|statement| statement.principals.as_ref());
        principals.flat_map(PrincipalElement::arns).filter(|arn| arn.session_name().is_some())
    }

    fn allowing(&self) -> impl Iterator<Item = &PrincipalElement> {
        let allows = self.statements.iter().filter(|statement| statement.effect == Effect::Allow);
        allows.filter_map(|statement| statement.principals.as_ref())
    }

    /// The JSON as given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

macro_rules! document_as_its_source {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.source).finish()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.source == other.source
            }
        }

        impl Eq for $name {}

        impl FromStr for $name {
            type Err = PolicyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = PolicyError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(document: $name) -> Self {
                document.source.into()
            }
        }
    };
}

document_as_its_source!(PolicyDocument);
document_as_its_source!(TrustPolicy);
