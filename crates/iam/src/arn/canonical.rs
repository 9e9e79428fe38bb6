//! The form of a principal's ARN that mappings are looked up by.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::principal::{PrincipalArn, PrincipalArnError, PrincipalKind};

/// A principal's ARN with the role session removed.
///
/// | principal | canonical ARN |
/// |---|---|
/// | `arn:P:sts::A:assumed-role/ROLE/SESSION` | `arn:P:iam::A:role/ROLE`, without path because STS leaves it out |
/// | `arn:P:sts::A:federated-user/NAME` | unchanged |
/// | `arn:P:iam::A:root`, `user/PATH/NAME`, `role/PATH/NAME` | unchanged |
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CanonicalArn(Arc<str>);

impl CanonicalArn {
    /// The canonical form of a principal's ARN.
    #[must_use]
    pub fn of(principal: &PrincipalArn) -> Self {
        let text = match &principal.kind {
            PrincipalKind::AssumedRole { role, .. } => {
                format!("arn:{}:iam::{}:role/{role}", principal.partition, principal.account)
            }
            _ => principal.to_string(),
        };
        Self(text.into())
    }

    /// Reads any principal's ARN and makes it canonical.
    ///
    /// # Errors
    /// When the text is not a principal's ARN.
    pub fn parse(text: &str) -> Result<Self, PrincipalArnError> {
        PrincipalArn::parse(text).map(|principal| Self::of(&principal))
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared: a record of somebody copies nothing.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The key to look it up by, the same for ARNs that differ in letter case only.
    #[must_use]
    pub fn folded(&self) -> FoldedArn {
        FoldedArn::of(&self.0)
    }
}

/// An ARN in lower case, as a lookup key: IAM names are unique ignoring case, and ConfigMaps are written by hand.
/// Never shown to people, and not a valid principal in itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoldedArn(Box<str>);

impl FoldedArn {
    /// Folds ASCII letters; names hold no others.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into())
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CanonicalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CanonicalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CanonicalArn {
    type Err = PrincipalArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for CanonicalArn {
    type Error = PrincipalArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<CanonicalArn> for String {
    fn from(arn: CanonicalArn) -> Self {
        arn.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_canonicalizes_to_its_role_and_nothing_else_changes() {
        let cases = [
            ("arn:aws:sts::111122223333:assumed-role/Admin/ana", "arn:aws:iam::111122223333:role/Admin"),
            (
                "arn:aws-cn:sts::111122223333:assumed-role/Admin/ana",
                "arn:aws-cn:iam::111122223333:role/Admin",
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/org/team/Admin/ana",
                "arn:aws:iam::111122223333:role/org/team/Admin",
            ),
            ("arn:aws:sts::111122223333:federated-user/Bob", "arn:aws:sts::111122223333:federated-user/Bob"),
            ("arn:aws:iam::111122223333:user/team/Ana", "arn:aws:iam::111122223333:user/team/Ana"),
            ("arn:aws:iam::111122223333:role/team/Admin", "arn:aws:iam::111122223333:role/team/Admin"),
            ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root"),
        ];
        for (arn, canonical) in cases {
            assert_eq!(CanonicalArn::parse(arn).unwrap().as_str(), canonical, "{arn}");
            assert_eq!(CanonicalArn::parse(canonical).unwrap().as_str(), canonical, "{canonical}");
        }
    }

    #[test]
    fn lookups_ignore_letter_case_and_nothing_more() {
        let folded = |text: &str| CanonicalArn::parse(text).unwrap().folded();
        let admin = folded("arn:aws:iam::111122223333:role/Admin");
        assert_eq!(admin, folded("arn:aws:iam::111122223333:role/ADMIN"));
        assert_ne!(admin, folded("arn:aws:iam::111122223333:role/x/Admin"));
        assert_ne!(admin, folded("arn:aws:iam::111122223333:user/Admin"));
        assert_ne!(admin, folded("arn:aws-cn:iam::111122223333:role/Admin"));
    }
}
