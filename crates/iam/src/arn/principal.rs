//! The ARNs of IAM principals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::canonical::CanonicalArn;
use super::{ArnError, split_arn};
use crate::id::AccountId;
use crate::partition::Partition;
use crate::shown::shown;

/// Longest name of a user, role, federated user or role session, in characters (IAM's limit).
pub(super) const NAME_LENGTH_MAX: usize = 64;
/// Longest path of a user or role, in characters, both slashes included (IAM's limit).
pub(super) const PATH_LENGTH_MAX: usize = 512;

/// An IAM principal's ARN, taken apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalArn {
    /// The partition.
    pub partition: Partition,
    /// The account that the principal belongs to.
    pub account: AccountId,
    /// Which principal of the account.
    pub kind: PrincipalKind,
}

/// The kinds of principals, with their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// The account itself: `root`.
    Root,
    /// An IAM user.
    User {
        /// `/`, or a path such as `/team/`, with both slashes.
        path: String,
        /// The name after the path.
        name: String,
    },
    /// An IAM role.
    Role {
        /// `/`, or a path such as `/team/`, with both slashes.
        path: String,
        /// The name after the path.
        name: String,
    },
    /// A role session, as STS shows it: the role's path is left out there.
    AssumedRole {
        /// The role's name; it holds slashes only where the ARN has parts before the session that should not be there.
        role: String,
        /// The session name, chosen by whoever assumed the role.
        session: String,
    },
    /// A federated user of the old `GetFederationToken` kind.
    FederatedUser {
        /// The name, chosen by whoever made the session.
        name: String,
    },
}

/// Why an ARN is not a principal's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalArnError {
    /// Not an ARN at all.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// A partition that does not exist.
    #[error("`{}` is not a partition of AWS", shown(.0))]
    Partition(String),
    /// A service other than `iam` and `sts`.
    #[error("principals belong to the services iam and sts, not to `{}`", shown(.0))]
    Service(String),
    /// Principals have no region.
    #[error("a principal's ARN has no region, this one has `{}`", shown(.0))]
    Region(String),
    /// The account is not twelve digits.
    #[error("the account of a principal's ARN is twelve digits, not `{}`", shown(.0))]
    Account(String),
    /// The resource is none of those that name a principal.
    #[error("`{}` names no principal: use root, user/…, role/…, assumed-role/…/… or federated-user/…", shown(.0))]
    Resource(String),
    /// A session ARN without a session name.
    #[error("`{}` names no session: an assumed role has the form assumed-role/ROLE/SESSION", shown(.0))]
    NoSession(String),
    /// A name with a character that IAM does not allow, or of a length that it does not.
    #[error("`{}` is not a name: use 1 to {max} letters, digits and `_+=,.@-`", shown(.0), max = NAME_LENGTH_MAX)]
    Name(String),
    /// A path with a character that IAM does not allow, or too long.
    #[error("`{}` is not a path: use slashes and visible ASCII, at most {max} characters", shown(.0), max = PATH_LENGTH_MAX)]
    Path(String),
}

impl PrincipalArn {
    /// Reads a principal's ARN.
    ///
    /// # Errors
    /// As [`PrincipalArnError`] says.
    pub fn parse(text: &str) -> Result<Self, PrincipalArnError> {
        let arn = split_arn(text)?;
        let partition = Partition::from_name(arn.partition)
            .ok_or_else(|| PrincipalArnError::Partition(arn.partition.to_owned()))?;
        let kind_of = match arn.service {
            "iam" => iam_kind,
            "sts" => sts_kind,
            other => return Err(PrincipalArnError::Service(other.to_owned())),
        };
        if !arn.region.is_empty() {
            return Err(PrincipalArnError::Region(arn.region.to_owned()));
        }
        let account =
            AccountId::parse(arn.account).map_err(|_| PrincipalArnError::Account(arn.account.to_owned()))?;
        Ok(Self { partition, account, kind: kind_of(arn.resource)? })
    }

    /// The ARN that mappings are looked up by: a session's is its role's, without path; every other is its own.
    #[must_use]
    pub fn canonical(&self) -> CanonicalArn {
        CanonicalArn::of(self)
    }

    /// The same principal as STS would show it: users and roles without their path. Users keep theirs at STS, so this is
    /// for comparing, not for showing.
    #[must_use]
    pub fn without_path(&self) -> Self {
        let kind = match &self.kind {
            PrincipalKind::User { name, .. } => {
                PrincipalKind::User { path: "/".to_owned(), name: name.clone() }
            }
            PrincipalKind::Role { name, .. } => {
                PrincipalKind::Role { path: "/".to_owned(), name: name.clone() }
            }
            other => other.clone(),
        };
        Self { kind, ..*self }
    }

    /// The path of a user or role; `None` for what has none.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::User { path, .. } | PrincipalKind::Role { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The name of the user, role (for a session: its role) or federated user; `None` for root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::Root => None,
            PrincipalKind::User { name, .. }
            | PrincipalKind::Role { name, .. }
            | PrincipalKind::FederatedUser { name } => Some(name),
            PrincipalKind::AssumedRole { role, .. } => Some(role),
        }
    }

    /// The session name of a role session.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::AssumedRole { session, .. } => Some(session),
            _ => None,
        }
    }
}

fn iam_kind(resource: &str) -> Result<PrincipalKind, PrincipalArnError> {
    if resource == "root" {
        return Ok(PrincipalKind::Root);
    }
    match resource.split_once('/') {
        Some(("user", rest)) => path_and_name(rest).map(|(path, name)| PrincipalKind::User { path, name }),
        Some(("role", rest)) => path_and_name(rest).map(|(path, name)| PrincipalKind::Role { path, name }),
        _ => Err(PrincipalArnError::Resource(resource.to_owned())),
    }
}

fn sts_kind(resource: &str) -> Result<PrincipalKind, PrincipalArnError> {
    match resource.split_once('/') {
        Some(("federated-user", rest)) => Ok(PrincipalKind::FederatedUser { name: name(rest)? }),
        Some(("assumed-role", rest)) => {
            // Whatever stands before the last slash is the role, so a part too many cannot pass for a session name.
            let (role, session) =
                rest.rsplit_once('/').ok_or_else(|| PrincipalArnError::NoSession(resource.to_owned()))?;
            for part in role.split('/') {
                name(part)?;
            }
            // The canonical ARN is a role's, so what a role's may not be, this may not be either.
            path_and_name(role)?;
            Ok(PrincipalKind::AssumedRole { role: role.to_owned(), session: name(session)? })
        }
        _ => Err(PrincipalArnError::Resource(resource.to_owned())),
    }
}

/// `team/x/ana` → (`/team/x/`, `ana`).
fn path_and_name(text: &str) -> Result<(String, String), PrincipalArnError> {
    let Some((path, last)) = text.rsplit_once('/') else {
        return Ok(("/".to_owned(), name(text)?));
    };
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.is_empty() || !visible || path.len() + 2 > PATH_LENGTH_MAX {
        return Err(PrincipalArnError::Path(path.to_owned()));
    }
    Ok((format!("/{path}/"), name(last)?))
}

fn name(text: &str) -> Result<String, PrincipalArnError> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(PrincipalArnError::Name(text.to_owned())) }
}

/// IAM's names: no slash, colon, blank or brace, so that a name cannot pass for a path, a prefix or a template.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    !text.is_empty() && text.len() <= NAME_LENGTH_MAX && text.bytes().all(allowed)
}

/// Whether the text may be the name of a role session: 2 to 64 letters, digits and `_+=,.@-`.
#[must_use]
pub fn is_session_name(text: &str) -> bool {
    text.len() >= 2 && is_name(text)
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = match self.kind {
            PrincipalKind::AssumedRole { .. } | PrincipalKind::FederatedUser { .. } => "sts",
            _ => "iam",
        };
        write!(f, "arn:{}:{service}::{}:", self.partition, self.account)?;
        match &self.kind {
            PrincipalKind::Root => f.write_str("root"),
            PrincipalKind::User { path, name } => write!(f, "user{path}{name}"),
            PrincipalKind::Role { path, name } => write!(f, "role{path}{name}"),
            PrincipalKind::AssumedRole { role, session } => write!(f, "assumed-role/{role}/{session}"),
            PrincipalKind::FederatedUser { name } => write!(f, "federated-user/{name}"),
        }
    }
}

impl fmt::Debug for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PrincipalArn {
    type Err = PrincipalArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for PrincipalArn {
    type Error = PrincipalArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<PrincipalArn> for String {
    fn from(arn: PrincipalArn) -> Self {
        arn.to_string()
    }
}

#[cfg(test)]
mod tests;
