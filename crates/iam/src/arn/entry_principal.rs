//! Whom an access entry names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::canonical::FoldedArn;
use super::permission_set::{PermissionSet, PermissionSetError, without_sso_suffix};
use super::principal::{PrincipalArn, PrincipalArnError, PrincipalKind};
use super::principal_pattern::{
    PatternKind, PatternSubject, PrincipalPattern, PrincipalPatternError, has_wildcard,
};
use super::wildcard::{Step, have_common};
use crate::id::AccountId;
use crate::partition::Partition;

/// Whom an access entry names: one principal, or those whom a rule picks out of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EntryPrincipal {
    /// This one.
    One(PrincipalArn),
    /// Whoever has this permission set of IAM Identity Center.
    PermissionSet(PermissionSet),
    /// All whose name fits.
    Pattern(PrincipalPattern),
}

/// Why a text names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryPrincipalError {
    /// No principal's ARN.
    #[error(transparent)]
    One(#[from] PrincipalArnError),
    /// No permission set, though it is of the service `sso`.
    #[error(transparent)]
    PermissionSet(#[from] PermissionSetError),
    /// No pattern, though it holds a wildcard.
    #[error(transparent)]
    Pattern(#[from] PrincipalPatternError),
}

impl EntryPrincipal {
    /// Reads an ARN, a permission set or an ARN pattern. Which of them is plain from the text: no name holds a wildcard.
    ///
    /// # Errors
    /// As [`EntryPrincipalError`] says.
    pub fn parse(text: &str) -> Result<Self, EntryPrincipalError> {
        if text.split(':').nth(2) == Some("sso") {
            return Ok(Self::PermissionSet(PermissionSet::parse(text)?));
        }
        if has_wildcard(text) {
            return Ok(Self::Pattern(PrincipalPattern::parse(text)?));
        }
        Ok(Self::One(PrincipalArn::parse(text)?))
    }

    /// Its partition.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        match self {
            Self::One(arn) => arn.partition,
            Self::PermissionSet(set) => set.partition,
            Self::Pattern(pattern) => pattern.partition,
        }
    }

    /// Its account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        match self {
            Self::One(arn) => arn.account,
            Self::PermissionSet(set) => set.account,
            Self::Pattern(pattern) => pattern.account,
        }
    }

    /// The one principal, where it is one.
    #[must_use]
    pub const fn one(&self) -> Option<&PrincipalArn> {
        match self {
            Self::One(arn) => Some(arn),
            Self::PermissionSet(_) | Self::Pattern(_) => None,
        }
    }

    /// The type, account and name of a principal as the ARN of an access entry has them (service authorization reference,
    /// Amazon EKS): `role/<account>/<name without path>`. What names several has types of its own, so that a policy that
    /// speaks of roles or users says nothing about them.
    #[must_use]
    pub fn in_entry_arn(&self) -> String {
        match self {
            Self::One(arn) => {
                let kind = if matches!(arn.kind, PrincipalKind::User { .. }) { "user" } else { "role" };
                format!("{kind}/{}/{}", arn.account, arn.name().unwrap_or_default())
            }
            Self::PermissionSet(set) => match set.suffix() {
                Some(suffix) => format!("permission-set/{}/{}/{suffix}", set.account, set.name()),
                None => format!("permission-set/{}/{}", set.account, set.name()),
            },
            Self::Pattern(pattern) => {
                format!("{}-pattern/{}/{}", pattern.kind.name(), pattern.account, pattern.name())
            }
        }
    }

    /// Whether whoever knocks as this canonical ARN is meant. A role's path is not told at the door, so it does not count here.
    #[must_use]
    pub fn means(&self, canonical: &str) -> bool {
        match self {
            Self::One(arn) => {
                let known_as = if matches!(arn.kind, PrincipalKind::Role { .. }) {
                    arn.without_path()
                } else {
                    arn.clone()
                };
                known_as.canonical().folded() == FoldedArn::of(canonical)
            }
            Self::PermissionSet(set) if set.suffix().is_some() => set.role_arn() == canonical,
            Self::PermissionSet(set) => without_sso_suffix(canonical) == Some(&*set.role_arn()),
            Self::Pattern(pattern) => PatternSubject::of(canonical).is_some_and(|subject| {
                subject.start == pattern.start() && pattern.matches_name(subject.name)
            }),
        }
    }

    /// Whether somebody could be meant by both. Of two that each name one: whether they are the same but for the path.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some((kind, steps)), Some((other_kind, other_steps))) = (self.steps(), other.steps()) else {
            return false;
        };
        let same_place = self.partition() == other.partition() && self.account() == other.account();
        same_place && kind == other_kind && have_common(&steps, &other_steps)
    }

    fn steps(&self) -> Option<(PatternKind, Vec<Step>)> {
        Some(match self {
            Self::One(arn) => {
                let kind = match arn.kind {
                    PrincipalKind::User { .. } => PatternKind::User,
                    PrincipalKind::Role { .. } => PatternKind::Role,
                    _ => return None,
                };
                (kind, arn.name()?.chars().map(Step::Char).collect())
            }
            Self::PermissionSet(set) => (PatternKind::Role, set.steps()),
            Self::Pattern(pattern) => (pattern.kind, pattern.steps()),
        })
    }
}

impl From<PrincipalArn> for EntryPrincipal {
    fn from(arn: PrincipalArn) -> Self {
        Self::One(arn)
    }
}

impl fmt::Display for EntryPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(arn) => fmt::Display::fmt(arn, f),
            Self::PermissionSet(set) => fmt::Display::fmt(set, f),
            Self::Pattern(pattern) => fmt::Display::fmt(pattern, f),
        }
    }
}

impl FromStr for EntryPrincipal {
    type Err = EntryPrincipalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EntryPrincipal {
    type Error = EntryPrincipalError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EntryPrincipal> for String {
    fn from(principal: EntryPrincipal) -> Self {
        principal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOME: &str = "arn:aws:iam::111122223333:";

    fn parsed(text: &str) -> EntryPrincipal {
        EntryPrincipal::parse(text).unwrap()
    }

    #[test]
    fn the_text_says_which_kind_it_is() {
        for (text, in_arn) in [
            ("arn:aws:iam::111122223333:role/team/Dev", "role/111122223333/Dev"),
            ("arn:aws:iam::111122223333:user/ana", "user/111122223333/ana"),
            ("arn:aws:iam::111122223333:role/dev-*", "role-pattern/111122223333/dev-*"),
            ("arn:aws:iam::111122223333:user/?", "user-pattern/111122223333/?"),
            ("arn:aws:sso::111122223333:permission-set/Dev", "permission-set/111122223333/Dev"),
            (
                "arn:aws:sso::111122223333:permission-set/Dev/0123456789abcdef",
                "permission-set/111122223333/Dev/0123456789abcdef",
            ),
        ] {
            let principal = parsed(text);
            assert_eq!(principal.to_string(), text);
            assert_eq!(principal.in_entry_arn(), in_arn);
            assert_eq!(principal.account().as_str(), "111122223333");
        }
        assert!(matches!(EntryPrincipal::parse("ana"), Err(EntryPrincipalError::One(_))));
        assert!(matches!(EntryPrincipal::parse("ana*"), Err(EntryPrincipalError::Pattern(_))));
        let no_set = EntryPrincipal::parse("arn:aws:sso:::permission-set/x");
        assert!(matches!(no_set, Err(EntryPrincipalError::PermissionSet(_))));
    }

    #[test]
    fn who_could_be_meant_by_both_overlaps() {
        let set = "arn:aws:sso::111122223333:permission-set/";
        for (a, b, overlap) in [
            (format!("{HOME}role/dev-*"), format!("{HOME}role/*-1"), true),
            (format!("{HOME}role/dev-*"), format!("{HOME}role/ops-*"), false),
            (format!("{HOME}role/dev-*"), format!("{HOME}user/dev-*"), false),
            (format!("{HOME}role/dev-*"), "arn:aws:iam::444455556666:role/dev-*".to_owned(), false),
            (format!("{HOME}role/dev-*"), "arn:aws-cn:iam::111122223333:role/dev-*".to_owned(), false),
            (format!("{HOME}role/dev-?"), format!("{HOME}role/dev-??"), false),
            (format!("{HOME}role/dev-?*"), format!("{HOME}role/dev-"), false),
            (format!("{HOME}role/dev-*"), format!("{HOME}role/x/dev-"), true),
            (format!("{HOME}role/*"), format!("{set}Dev"), true),
            (format!("{HOME}role/*_Dev_*0"), format!("{set}Dev"), true),
            (format!("{HOME}role/*_Dev_*g"), format!("{set}Dev"), false),
            (format!("{HOME}role/AWSReservedSSO_Dev_*"), format!("{set}Dev_Admin"), true),
            (format!("{HOME}user/*"), format!("{set}Dev"), false),
            (format!("{set}Dev"), format!("{set}Dev/0123456789abcdef"), true),
            (format!("{set}Dev/fedcba9876543210"), format!("{set}Dev/0123456789abcdef"), false),
            (format!("{set}Dev"), format!("{set}Dev_Admin"), false),
            (format!("{HOME}root"), format!("{HOME}role/*"), false),
        ] {
            assert_eq!(parsed(&a).overlaps(&parsed(&b)), overlap, "{a} {b}");
            assert_eq!(parsed(&b).overlaps(&parsed(&a)), overlap, "{b} {a}");
        }
    }

    proptest! {
        #[test]
        fn whoever_fits_two_patterns_makes_them_overlap(a in "[ab*?]{0,5}[*?]", b in "[ab*?]{0,5}[*?]", name in "[ab]{1,6}") {
            let (a, b) = (parsed(&format!("{HOME}role/{a}")), parsed(&format!("{HOME}role/{b}")));
            if let (EntryPrincipal::Pattern(one), EntryPrincipal::Pattern(other)) = (&a, &b)
                && one.matches_name(&name) && other.matches_name(&name)
            {
                prop_assert!(a.overlaps(&b));
            }
        }

        #[test]
        fn patterns_that_overlap_have_somebody_who_fits_both(a in "[ab?]{0,2}[*?][ab]{0,1}", b in "[ab*]{0,3}[?]") {
            let (a, b) = (parsed(&format!("{HOME}role/{a}")), parsed(&format!("{HOME}role/{b}")));
            let (EntryPrincipal::Pattern(one), EntryPrincipal::Pattern(other)) = (&a, &b) else { unreachable!() };
            let letters = ["a", "b"];
            let mut names = vec![String::new()];
            let mut all = names.clone();
            for _ in 0..7 {
                names = names.iter().flat_map(|name| letters.map(|letter| format!("{name}{letter}"))).collect();
                all.extend(names.clone());
            }
            let somebody = all.iter().any(|name| one.matches_name(name) && other.matches_name(name));
            prop_assert_eq!(a.overlaps(&b), somebody);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            if let Ok(principal) = EntryPrincipal::parse(&text) {
                prop_assert_eq!(EntryPrincipal::parse(&principal.to_string()), Ok(principal));
            }
        }
    }
}
