//! Patterns over the users or the roles of one account.

use std::fmt;

use super::wildcard::{Step, wildcard_matches};
use super::{ArnError, split_arn};
use crate::id::AccountId;
use crate::partition::Partition;
use crate::shown::shown;

/// Longest pattern of a name, in characters: twice the longest name that can fit it.
const PATTERN_LENGTH_MAX: usize = 128;

/// `arn:<partition>:iam::<account>:{role|user}/<pattern>`: those of one account whose name fits, as IAM's `ArnLike` reads it
/// (IAM user guide, "ARN condition operators"): `*` any characters, `?` exactly one, letter case counts. It is held against the
/// ARN without path, for STS leaves a role's path out; partition, account and kind are never wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalPattern {
    /// The partition.
    pub partition: Partition,
    /// The account.
    pub account: AccountId,
    /// Whose names are meant.
    pub kind: PatternKind,
    name: Box<str>,
}

/// Of whose names a pattern speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternKind {
    /// IAM users.
    User,
    /// IAM roles; a session is its role's.
    Role,
}

/// Why a text is not a pattern over principals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalPatternError {
    /// Not an ARN at all.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// Something other than a name's characters is a wildcard.
    #[error("`{}` has a wildcard in its {section}: only the name of a role or user may have one", shown(.pattern))]
    Wildcard {
        /// The whole text.
        pattern: String,
        /// Where.
        section: &'static str,
    },
    /// Not a user or role.
    #[error("`{}` is not a pattern over principals: it has the form arn:PARTITION:iam::ACCOUNT:role/PATTERN, or user/PATTERN", shown(.0))]
    Form(String),
    /// With a path.
    #[error("`{}` has a path: whoever logs in is known without it, so leave it out of a pattern", shown(.0))]
    Path(String),
    /// A character that no name has, too many of them, or no wildcard.
    #[error(
        "`{}` is not a pattern of names: use 1 to {PATTERN_LENGTH_MAX} letters, digits, `_+=,.@-`, `*` and `?`, a wildcard among \
         them", shown(.0)
    )]
    Name(String),
}

impl PatternKind {
    /// As in ARNs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }
}

/// A user or role as patterns see it, borrowed from its canonical ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternSubject<'a> {
    /// All up to the name, path left out: `arn:<partition>:iam::<account>:{role|user}/`.
    pub start: &'a str,
    /// The name.
    pub name: &'a str,
}

impl<'a> PatternSubject<'a> {
    /// Of a user's or role's canonical ARN; `None` for root, for a federated user, and for a role with slashes in its name, which
    /// no role that STS shows has.
    #[must_use]
    pub fn of(canonical: &'a str) -> Option<Self> {
        let (at, _) = canonical.match_indices(':').nth(4)?;
        let (head, resource) = canonical.split_at_checked(at.checked_add(1)?)?;
        let slash = resource.find('/')?.checked_add(1)?;
        let (kind, named) = resource.split_at_checked(slash)?;
        let name = match kind {
            "user/" => named.rsplit('/').next()?,
            "role/" if !named.contains('/') => named,
            _ => return None,
        };
        let start = canonical.get(..head.len().checked_add(kind.len())?)?;
        Some(Self { start, name })
    }
}

impl PrincipalPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// As [`PrincipalPatternError`] says.
    pub fn parse(text: &str) -> Result<Self, PrincipalPatternError> {
        let arn = split_arn(text)?;
        let wildcard = |section| PrincipalPatternError::Wildcard { pattern: text.to_owned(), section };
        let form = || PrincipalPatternError::Form(text.to_owned());
        let sections = [
            ("partition", arn.partition),
            ("service", arn.service),
            ("region", arn.region),
            ("account", arn.account),
        ];
        if let Some((section, _)) = sections.into_iter().find(|(_, text)| has_wildcard(text)) {
            return Err(wildcard(section));
        }
        let (kind, name) = match arn.resource.split_once('/') {
            Some(("user", name)) => (PatternKind::User, name),
            Some(("role", name)) => (PatternKind::Role, name),
            Some((kind, _)) if has_wildcard(kind) => return Err(wildcard("kind of principal")),
            _ => return Err(form()),
        };
        let partition = Partition::from_name(arn.partition).ok_or_else(form)?;
        let account = AccountId::parse(arn.account).map_err(|_| form())?;
        if arn.service != "iam" || !arn.region.is_empty() {
            return Err(form());
        }
        if name.contains('/') {
            return Err(PrincipalPatternError::Path(text.to_owned()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-*?".contains(&byte);
        if name.len() > PATTERN_LENGTH_MAX || !has_wildcard(name) || !name.bytes().all(allowed) {
            return Err(PrincipalPatternError::Name(name.to_owned()));
        }
        Ok(Self { partition, account, kind, name: name.into() })
    }

    /// The pattern of the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the canonical ARN of everyone meant begins with, as [`PatternSubject::start`] is.
    #[must_use]
    pub fn start(&self) -> String {
        format!("arn:{}:iam::{}:{}/", self.partition, self.account, self.kind.name())
    }

    /// Whether a name of the pattern's kind and account fits.
    #[must_use]
    pub fn matches_name(&self, name: &str) -> bool {
        name_matches(&self.name, name)
    }

    /// The steps of the name.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.name.chars().map(Step::of).collect()
    }
}

/// Whether a name fits a [`PrincipalPattern::name`].
#[must_use]
pub fn name_matches(pattern: &str, name: &str) -> bool {
    wildcard_matches(pattern, name)
}

pub(super) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

impl fmt::Display for PrincipalPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:iam::{}:{}/{}", self.partition, self.account, self.kind.name(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, canonical: &str) -> bool {
        let pattern = PrincipalPattern::parse(pattern).unwrap();
        PatternSubject::of(canonical)
            .is_some_and(|subject| subject.start == pattern.start() && pattern.matches_name(subject.name))
    }

    #[test]
    fn immunity_08_a_question_mark_is_one_character_and_no_wildcard_leaves_the_name() {
        let dev = "arn:aws:iam::111122223333:role/dev-?";
        for (canonical, fits) in [
            ("arn:aws:iam::111122223333:role/dev-1", true),
            ("arn:aws:iam::111122223333:role/dev-", false),
            ("arn:aws:iam::111122223333:role/dev-12", false),
            ("arn:aws:iam::111122223333:role/Dev-1", false),
            ("arn:aws:iam::111122223333:user/dev-1", false),
            ("arn:aws:iam::444455556666:role/dev-1", false),
            ("arn:aws-cn:iam::111122223333:role/dev-1", false),
        ] {
            assert_eq!(matches(dev, canonical), fits, "{canonical}");
        }
        let all = "arn:aws:iam::111122223333:role/*";
        for (canonical, fits) in [
            ("arn:aws:iam::111122223333:role/anything", true),
            ("arn:aws:iam::111122223333:role/with/slashes", false),
            ("arn:aws:iam::111122223333:root", false),
            ("arn:aws:sts::111122223333:federated-user/x", false),
        ] {
            assert_eq!(matches(all, canonical), fits, "{canonical}");
        }
    }

    #[test]
    fn immunity_43_a_user_is_matched_by_name_whatever_its_path() {
        let ops = "arn:aws:iam::111122223333:user/ops-*";
        assert!(matches(ops, "arn:aws:iam::111122223333:user/ops-ana"));
        assert!(matches(ops, "arn:aws:iam::111122223333:user/team/ops-ana"));
        assert!(!matches(ops, "arn:aws:iam::111122223333:user/ops-/ana"));
    }

    #[test]
    fn what_is_no_pattern_over_principals_is_refused_by_its_fault() {
        use PrincipalPatternError as E;
        let wildcard = |text: &str, section| E::Wildcard { pattern: text.to_owned(), section };
        let at = |account: &str, resource: &str| format!("arn:aws:iam::{account}:{resource}");
        let home = "111122223333";
        for (text, why) in [
            (at("*", "role/dev"), wildcard(&at("*", "role/dev"), "account")),
            (at("11112222333?", "role/dev-*"), wildcard(&at("11112222333?", "role/dev-*"), "account")),
            (at(home, "*/dev"), wildcard(&at(home, "*/dev"), "kind of principal")),
            (at(home, "*"), E::Form(at(home, "*"))),
            (at(home, "group/dev-*"), E::Form(at(home, "group/dev-*"))),
            (at(home, "role/team/dev-*"), E::Path(at(home, "role/team/dev-*"))),
            (at(home, "role/*/dev"), E::Path(at(home, "role/*/dev"))),
            (at(home, "role/dev"), E::Name("dev".to_owned())),
            (at(home, "role/dev{*}"), E::Name("dev{*}".to_owned())),
            (at(home, &format!("role/{}*", "a".repeat(128))), E::Name(format!("{}*", "a".repeat(128)))),
        ] {
            assert_eq!(PrincipalPattern::parse(&text), Err(why), "{text}");
        }
        let session = "arn:aws:sts::111122223333:assumed-role/dev-*/x";
        assert_eq!(PrincipalPattern::parse(session), Err(E::Form(session.to_owned())));
        let partition = "arn:aws*:iam::111122223333:role/dev";
        assert_eq!(PrincipalPattern::parse(partition), Err(wildcard(partition, "partition")));
    }
}
