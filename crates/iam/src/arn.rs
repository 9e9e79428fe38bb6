//! ARNs: any resource's ([`Arn`]), a principal's ([`PrincipalArn`]), the form mappings are looked up by
//! ([`CanonicalArn`]), patterns over them ([`ArnPattern`]), whom an access entry names ([`EntryPrincipal`]), and STS's answer to who calls ([`CallerIdentity`]).
//!
//! Letter case: the scheme, partition and service are lower case and compared exactly. IAM keeps names unique ignoring
//! case, so lookups go by [`FoldedArn`]; patterns and everything shown to people keep the case they were given.

mod caller;
mod canonical;
mod entry_principal;
mod pattern;
mod permission_set;
mod principal;
mod principal_pattern;
mod wildcard;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shown::shown;

pub use caller::{CallerIdentity, CallerIdentityError};
pub use canonical::{CanonicalArn, FoldedArn};
pub use entry_principal::{EntryPrincipal, EntryPrincipalError};
pub use pattern::{ArnPattern, ArnPatternError};
pub use permission_set::{
    PermissionSet, PermissionSetError, SSO_ROLE_PATH, SSO_ROLE_PREFIX, without_sso_suffix,
};
pub use principal::{PrincipalArn, PrincipalArnError, PrincipalKind, is_session_name};
pub use principal_pattern::{
    PatternKind, PatternSubject, PrincipalPattern, PrincipalPatternError, name_matches,
};

pub(crate) use wildcard::{Token, tokens_match, wildcard_matches};

/// Longest ARN, in bytes: IAM's limit on an ARN in a request.
pub const ARN_BYTES_MAX: usize = 2048;

/// Any ARN: `arn:<partition>:<service>:<region>:<account>:<resource>`. Region and account may be empty; the account of a
/// published access policy is the word `aws`. The resource may hold further colons.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn(Box<str>);

/// Why a text is not an ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// Longer than [`ARN_BYTES_MAX`].
    #[error("the ARN has {0} bytes, at most {max} are allowed", max = ARN_BYTES_MAX)]
    TooLong(usize),
    /// Not six sections, or not beginning with `arn:`.
    #[error("`{}` is not an ARN: it has to have the form arn:partition:service:region:account:resource", shown(.0))]
    Malformed(String),
    /// Partition, service or resource is empty.
    #[error("`{}` is not an ARN: its partition, service and resource must not be empty", shown(.0))]
    EmptySection(String),
    /// A blank or control character, or one outside ASCII and letters.
    #[error("the ARN holds the character {0:?}: blanks and control characters are not allowed")]
    Character(char),
}

impl Arn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// As [`ArnError`] says.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        split_arn(text)?;
        Ok(Self(text.into()))
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition's name, as written.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.section(1)
    }

    /// The service, such as `eks`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.section(2)
    }

    /// The region, empty for global services.
    #[must_use]
    pub fn region(&self) -> &str {
        self.section(3)
    }

    /// The account, empty where the resource belongs to none.
    #[must_use]
    pub fn account(&self) -> &str {
        self.section(4)
    }

    /// What is left after the fifth colon.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.section(5)
    }

    fn section(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }
}

/// The five sections after `arn:`, of a text that is an ARN.
pub(crate) struct ArnSections<'a> {
    pub(crate) partition: &'a str,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) resource: &'a str,
}

/// Splits and judges an ARN without keeping it.
pub(crate) fn split_arn(text: &str) -> Result<ArnSections<'_>, ArnError> {
    if text.len() > ARN_BYTES_MAX {
        return Err(ArnError::TooLong(text.len()));
    }
    if let Some(character) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(ArnError::Character(character));
    }
    let mut sections = text.splitn(6, ':');
    let (Some("arn"), Some(partition), Some(service), Some(region), Some(account), Some(resource)) = (
        sections.next(),
        sections.next(),
        sections.next(),
        sections.next(),
        sections.next(),
        sections.next(),
    ) else {
        return Err(ArnError::Malformed(text.to_owned()));
    };
    if partition.is_empty() || service.is_empty() || resource.is_empty() {
        return Err(ArnError::EmptySection(text.to_owned()));
    }
    Ok(ArnSections { partition, service, region, account, resource })
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Arn {
    type Error = ArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.0.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_arn_has_six_sections() {
        let arn = Arn::parse("arn:aws:eks:us-west-2:111122223333:cluster/a:b").unwrap();
        let sections = (arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource());
        assert_eq!(sections, ("aws", "eks", "us-west-2", "111122223333", "cluster/a:b"));
        let policy = Arn::parse("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy").unwrap();
        assert_eq!((policy.region(), policy.account()), ("", "aws"));
    }

    #[test]
    fn what_is_not_an_arn_is_refused_by_its_fault() {
        let long = format!("arn:aws:iam::111122223333:role/{}", "a".repeat(ARN_BYTES_MAX));
        let malformed = |text: &str| ArnError::Malformed(text.to_owned());
        let empty = |text: &str| ArnError::EmptySection(text.to_owned());
        let cases = [
            ("", malformed("")),
            ("arn:aws:iam::111122223333", malformed("arn:aws:iam::111122223333")),
            ("ARN:aws:iam::111122223333:root", malformed("ARN:aws:iam::111122223333:root")),
            ("xarn:aws:iam::111122223333:root", malformed("xarn:aws:iam::111122223333:root")),
            ("arn::iam::111122223333:root", empty("arn::iam::111122223333:root")),
            ("arn:aws:::111122223333:root", empty("arn:aws:::111122223333:root")),
            ("arn:aws:iam::111122223333:", empty("arn:aws:iam::111122223333:")),
            ("arn:aws:iam::111122223333:role/a b", ArnError::Character(' ')),
            ("arn:aws:iam::111122223333:role/a\n", ArnError::Character('\n')),
            (&long, ArnError::TooLong(long.len())),
        ];
        for (text, error) in cases {
            assert_eq!(Arn::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,60}", tail in "[a-z:/*?]{0,40}") {
            for text in [text.clone(), format!("arn:aws:iam::111122223333:{tail}"), format!("arn:{text}:{tail}")] {
                let _ = PrincipalArn::parse(&text);
                let _ = ArnPattern::parse(&text);
                if let Ok(arn) = Arn::parse(&text) {
                    prop_assert_eq!(arn.as_str(), text);
                }
            }
        }

        #[test]
        fn the_sections_of_an_arn_make_it_again(text in "arn:[a-z]{1,4}:[a-z]{1,4}:[a-z]{0,4}:[0-9]{0,4}:[a-z:/]{1,12}") {
            let arn = Arn::parse(&text).unwrap();
            let again = format!(
                "arn:{}:{}:{}:{}:{}", arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource()
            );
            prop_assert_eq!(again, text);
        }
    }
}
