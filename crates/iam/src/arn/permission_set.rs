//! Permission sets of IAM Identity Center, and the roles that it makes of them.

use std::fmt;

use super::wildcard::Step;
use super::{ArnError, split_arn};
use crate::id::AccountId;
use crate::partition::Partition;
use crate::shown::shown;

/// How the name of every role that IAM Identity Center makes begins.
pub const SSO_ROLE_PREFIX: &str = "AWSReservedSSO_";
/// The path of these roles, and what a region may follow.
pub const SSO_ROLE_PATH: &str = "/aws-reserved/sso.amazonaws.com/";
/// Longest name of a permission set, in characters (IAM Identity Center's limit).
const NAME_LENGTH_MAX: usize = 32;
/// Hexadecimal digits behind the name of the set in the name of its role.
const SUFFIX_LENGTH: usize = 16;
/// What stands before the name in the resource of its ARN here.
const RESOURCE: &str = "permission-set/";

/// A permission set in one account: the role `AWSReservedSSO_<name>_<16 hexadecimal digits>`, whose digits nobody chooses
/// and which are others each time the set is put on the account (IAM Identity Center user guide, "Referencing permission sets
/// in resource policies").
///
/// As text it is `arn:<partition>:sso::<account>:permission-set/<name>`, with `/<digits>` behind it where these are pinned.
/// AWS has no ARN for a set in an account; this one is Lanyard's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionSet {
    /// The partition.
    pub partition: Partition,
    /// The account on which the set was put.
    pub account: AccountId,
    name: Box<str>,
    suffix: Option<Box<str>>,
}

/// Why a text is not a permission set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermissionSetError {
    /// Not an ARN at all.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// Some section is not as it has to be.
    #[error(
        "`{}` is not a permission set: it has the form arn:PARTITION:sso::ACCOUNT:permission-set/NAME, with /SUFFIX behind it \
         where the suffix is pinned", shown(.0)
    )]
    Form(String),
    /// The name has a character or a length that none has.
    #[error("`{}` is not the name of a permission set: use 1 to {NAME_LENGTH_MAX} letters, digits and `_+=,.@-`", shown(.0))]
    Name(String),
    /// The suffix is not what IAM Identity Center makes.
    #[error("`{}` is not the suffix of a permission set's role: it has {SUFFIX_LENGTH} digits, 0 to 9 and a to f", shown(.0))]
    Suffix(String),
}

impl PermissionSet {
    /// A set in an account.
    ///
    /// # Errors
    /// When the name or the suffix is none.
    pub fn new(
        partition: Partition,
        account: AccountId,
        name: &str,
        suffix: Option<&str>,
    ) -> Result<Self, PermissionSetError> {
        if !is_name(name) {
            return Err(PermissionSetError::Name(name.to_owned()));
        }
        if let Some(suffix) = suffix.filter(|suffix| !is_suffix(suffix)) {
            return Err(PermissionSetError::Suffix(suffix.to_owned()));
        }
        Ok(Self { partition, account, name: name.into(), suffix: suffix.map(Into::into) })
    }

    /// Reads a set's ARN.
    ///
    /// # Errors
    /// As [`PermissionSetError`] says.
    pub fn parse(text: &str) -> Result<Self, PermissionSetError> {
        let form = || PermissionSetError::Form(text.to_owned());
        let arn = split_arn(text)?;
        let partition = Partition::from_name(arn.partition).ok_or_else(form)?;
        let account = AccountId::parse(arn.account).map_err(|_| form())?;
        let named = arn.resource.strip_prefix(RESOURCE).ok_or_else(form)?;
        if arn.service != "sso" || !arn.region.is_empty() {
            return Err(form());
        }
        let (name, suffix) = match named.split_once('/') {
            Some((name, suffix)) => (name, Some(suffix)),
            None => (named, None),
        };
        Self::new(partition, account, name, suffix)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digits behind the name of its role, where they are pinned.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.suffix.as_deref()
    }

    /// The ARN of its role as STS shows it, without its path; where the suffix is not pinned, what all such ARNs have before
    /// `_` and the suffix.
    #[must_use]
    pub fn role_arn(&self) -> String {
        let Self { partition, account, name, suffix } = self;
        let start = format!("arn:{partition}:iam::{account}:role/{SSO_ROLE_PREFIX}{name}");
        match suffix {
            Some(suffix) => format!("{start}_{suffix}"),
            None => start,
        }
    }

    /// The steps of its role's name.
    pub(super) fn steps(&self) -> Vec<Step> {
        let start = [SSO_ROLE_PREFIX, &self.name, "_"].concat();
        let mut steps: Vec<Step> = start.chars().map(Step::Char).collect();
        match &self.suffix {
            Some(suffix) => steps.extend(suffix.chars().map(Step::Char)),
            None => steps.extend([Step::Hex; SUFFIX_LENGTH]),
        }
        steps
    }
}

/// What a canonical ARN of an Identity Center role has before `_` and its suffix, which is what
/// [`PermissionSet::role_arn`] is where no suffix is pinned. `None` for every other ARN: the suffix is anchored, so that the set
/// `Dev` never means the role of `Dev_Admin`, and letter case counts.
#[must_use]
pub fn without_sso_suffix(canonical: &str) -> Option<&str> {
    let (start, suffix) = canonical.split_at_checked(canonical.len().checked_sub(SUFFIX_LENGTH)?)?;
    let start = start.strip_suffix('_')?;
    let (_, name) = start.split_once(":role/")?;
    let is_sets = is_suffix(suffix) && name.strip_prefix(SSO_ROLE_PREFIX).is_some_and(is_name);
    is_sets.then_some(start)
}

/// IAM Identity Center's pattern for `Name` (API reference, `CreatePermissionSet`).
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=NAME_LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_suffix(text: &str) -> bool {
    text.len() == SUFFIX_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, account, name, suffix } = self;
        write!(f, "arn:{partition}:sso::{account}:{RESOURCE}{name}")?;
        suffix.as_ref().map_or(Ok(()), |suffix| write!(f, "/{suffix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> PermissionSet {
        PermissionSet::parse(text).unwrap()
    }

    /// What an entry's set is looked up by is what is left of the role's ARN.
    fn is_of(set: &PermissionSet, role: &str) -> bool {
        match set.suffix() {
            Some(_) => set.role_arn() == role,
            None => without_sso_suffix(role) == Some(&*set.role_arn()),
        }
    }

    #[test]
    fn immunity_06_a_permission_set_means_its_own_role_and_none_whose_name_begins_alike() {
        let dev = set("arn:aws:sso::111122223333:permission-set/Dev");
        let pinned = set("arn:aws:sso::111122223333:permission-set/Dev/0123456789abcdef");
        let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
        for (name, by_set, by_pinned) in [
            ("AWSReservedSSO_Dev_0123456789abcdef", true, true),
            ("AWSReservedSSO_Dev_fedcba9876543210", true, false),
            ("AWSReservedSSO_Dev_Admin_0123456789abcdef", false, false),
            ("AWSReservedSSO_Dev__0123456789abcdef", false, false),
            ("AWSReservedSSO_Dev_0123456789abcdef0", false, false),
            ("AWSReservedSSO_Dev_0123456789abcde", false, false),
            ("AWSReservedSSO_Dev_0123456789ABCDEF", false, false),
            ("AWSReservedSSO_Dev_0123456789abcdeg", false, false),
            ("AWSReservedSSO_dev_0123456789abcdef", false, false),
            ("awsreservedsso_Dev_0123456789abcdef", false, false),
            ("XAWSReservedSSO_Dev_0123456789abcdef", false, false),
            ("x/AWSReservedSSO_Dev_0123456789abcdef", false, false),
            ("AWSReservedSSO_0123456789abcdef", false, false),
            ("AWSReservedSSO__0123456789abcdef", false, false),
            ("AWSReservedSSO_Dev", false, false),
            ("Dev", false, false),
        ] {
            assert_eq!(is_of(&dev, &role(name)), by_set, "{name}");
            assert_eq!(is_of(&pinned, &role(name)), by_pinned, "{name}, pinned");
        }
        for other in [
            "arn:aws:iam::111122223333:user/AWSReservedSSO_Dev_0123456789abcdef",
            "arn:aws:iam::444455556666:role/AWSReservedSSO_Dev_0123456789abcdef",
            "arn:aws-cn:iam::111122223333:role/AWSReservedSSO_Dev_0123456789abcdef",
            "",
            "ü",
        ] {
            assert!(!is_of(&dev, other), "{other}");
        }
        // Sixteen digits in the set's own name are no suffix of a shorter name.
        let digits = set("arn:aws:sso::111122223333:permission-set/Dev_0123456789abcdef");
        let its = role("AWSReservedSSO_Dev_0123456789abcdef_00112233445566ff");
        assert!(is_of(&digits, &its) && !is_of(&dev, &its));
        assert!(!is_of(&digits, &role("AWSReservedSSO_Dev_0123456789abcdef")));
    }

    #[test]
    fn immunity_07_a_permission_set_means_its_role_in_every_partition() {
        for partition in Partition::ALL {
            let set = PermissionSet::new(partition, AccountId::parse("111122223333").unwrap(), "Ops", None)
                .unwrap();
            let canonical =
                format!("arn:{partition}:iam::111122223333:role/AWSReservedSSO_Ops_0123456789abcdef");
            assert!(is_of(&set, &canonical), "{partition}");
            assert_eq!(PermissionSet::parse(&set.to_string()), Ok(set.clone()), "{partition}");
            for other in Partition::ALL.into_iter().filter(|other| *other != partition) {
                let canonical =
                    format!("arn:{other}:iam::111122223333:role/AWSReservedSSO_Ops_0123456789abcdef");
                assert!(!is_of(&set, &canonical), "{partition} {other}");
            }
        }
    }

    #[test]
    fn a_set_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in [
            "arn:aws:sso::111122223333:permission-set/Power.User+x=1,@-",
            "arn:aws-us-gov:sso::111122223333:permission-set/a",
            "arn:aws:sso::111122223333:permission-set/Dev/00112233445566ff",
        ] {
            assert_eq!(set(text).to_string(), text);
        }
        let form = |text: &str| PermissionSetError::Form(text.to_owned());
        let base = "arn:aws:sso::111122223333:permission-set";
        let long = format!("{base}/{}", "a".repeat(33));
        for (text, why) in [
            ("arn:aws:iam::111122223333:permission-set/Dev".to_owned(), None),
            ("arn:aws:sso:us-east-1:111122223333:permission-set/Dev".to_owned(), None),
            ("arn:moon:sso::111122223333:permission-set/Dev".to_owned(), None),
            ("arn:aws:sso::*:permission-set/Dev".to_owned(), None),
            ("arn:aws:sso:::permissionSet/ssoins-1/ps-1".to_owned(), None),
            (format!("{base}/"), Some(PermissionSetError::Name(String::new()))),
            (format!("{base}/D*"), Some(PermissionSetError::Name("D*".to_owned()))),
            (long, Some(PermissionSetError::Name("a".repeat(33)))),
            (format!("{base}/Dev/"), Some(PermissionSetError::Suffix(String::new()))),
            (format!("{base}/Dev/*"), Some(PermissionSetError::Suffix("*".to_owned()))),
            (format!("{base}/Dev/a/b"), Some(PermissionSetError::Suffix("a/b".to_owned()))),
        ] {
            assert_eq!(PermissionSet::parse(&text), Err(why.unwrap_or_else(|| form(&text))), "{text}");
        }
        assert!(matches!(PermissionSet::parse("Dev"), Err(PermissionSetError::Arn(_))));
    }
}
