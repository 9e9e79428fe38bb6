//! What usernames with placeholders can become.

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use lanyard_api::template::Template;
use lanyard_iam::AccountId;

use crate::rules::{entry::reserved_prefix, sure};

/// Most templates that one name is held against. One costs some ten microseconds, and all of them one login that nothing can interrupt.
pub(crate) const LOOKED_AT_MAX: usize = 64;

/// The names that templates can become, but for those that no issuer's people may have anyway, as an entry's default ones, and for those of
/// templates by which nobody logs in beside an issuer without a prefix. All in lower case: principals are found ignoring case, so that whoever
/// logs in may write their name in other letters than the entry or line that it is filled in from here.
#[derive(Debug, Default)]
pub(super) struct Templates {
    /// Where all of a template is sure.
    names: HashSet<Box<str>, RandomState>,
    /// The others, by how what they become begins. A look at a name costs what there is for its own beginnings.
    by_start: HashMap<Box<str>, HashSet<Template, RandomState>, RandomState>,
    /// How long the beginnings are.
    lengths: BTreeSet<usize>,
}

/// More templates begin as a name does than [`LOOKED_AT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Templates {
    /// Adds a username, whose principal has this canonical ARN if it is a single one.
    pub(super) fn add(&mut self, username: &Template, account: AccountId, canonical: Option<&str>) {
        if username.is_literal() {
            return;
        }
        let filled = sure::filled(username.as_str(), account, canonical);
        let start = sure::start_of(&filled);
        if reserved_prefix(start).is_some() || start.starts_with("arn:") || sure::may_be_anybodys(&filled) {
            return;
        }
        if sure::is_whole(&filled) {
            self.names.insert(filled.to_ascii_lowercase().into());
            return;
        }
        // One that became too long for a template is held against names as it was written, and so admits what it did and more.
        let template = Template::parse(&filled).map_or_else(|_| username.folded(), |filled| filled.folded());
        let start: Box<str> = template.literal_prefix().into();
        self.lengths.insert(start.len());
        self.by_start.entry(start).or_default().insert(template);
    }

    /// Whether one of them can become this name, in whatever letter case.
    ///
    /// # Errors
    /// [`TooMany`] where it would take too long to say.
    pub(super) fn admit(&self, name: &str) -> Result<bool, TooMany> {
        let name = name.to_ascii_lowercase();
        if self.names.contains(name.as_str()) {
            return Ok(true);
        }
        let starts = self.lengths.range(..=name.len()).filter_map(|length| name.get(..*length));
        let alike: Vec<_> = starts.filter_map(|start| self.by_start.get(start)).collect();
        if alike.iter().map(|all| all.len()).sum::<usize>() > LOOKED_AT_MAX {
            return Err(TooMany);
        }
        Ok(alike.into_iter().flatten().any(|template| template.admits(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_admit_what_they_can_become_but_for_what_is_no_issuers() {
        let dev = Some("arn:aws:iam::111122223333:role/dev");
        let mut templates = Templates::default();
        for (username, principal) in [
            ("ana", dev),
            ("ops:{{SessionName}}", dev),
            ("ops:a:{{SessionNameRaw}}", dev),
            ("{{AccountID}}:{{SessionName}}", dev),
            ("{{PrincipalName}}", dev),
            ("{{PrincipalName}}:x", None),
            ("{{PrincipalName}}:{{SessionName}}", Some("arn:aws:iam::111122223333:role/Qa")),
            ("{{SessionNameRaw}}", dev),
            ("{{PrincipalName}}", None),
            ("arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}", dev),
            ("system:node:{{EC2PrivateDNSName}}", dev),
        ] {
            let username = Template::parse(username).unwrap();
            templates.add(&username, "111122223333".parse().unwrap(), principal);
        }
        for (name, admitted) in [
            // Names that stand as they are are looked up elsewhere.
            ("ana", false),
            ("ops:ana", true),
            ("ops:ana@x", false),
            ("ops:a:ana@x", true),
            ("ops:b:ana", false),
            ("111122223333:ana", true),
            ("444455556666:ana", false),
            ("dev", true),
            ("deva", false),
            // In other letters than it was written in.
            ("Dev", true),
            ("QA:ana", true),
            ("qa:ana", true),
            ("Ops:ana", true),
            ("anybody:x", true),
            ("anybody:y", false),
            ("cto@corp.example", false),
            ("arn:aws:sts::111122223333:assumed-role/dev/ana", false),
            ("system:node:a", false),
            ("", false),
        ] {
            assert_eq!(templates.admit(name), Ok(admitted), "{name}");
        }
    }

    #[test]
    fn a_name_is_held_against_so_many_templates_and_no_more() {
        let dev = Some("arn:aws:iam::111122223333:role/dev");
        let templates = |usernames: &mut dyn Iterator<Item = String>| {
            let mut templates = Templates::default();
            for username in usernames {
                let username = Template::parse(&username).unwrap();
                templates.add(&username, "111122223333".parse().unwrap(), dev);
            }
            templates
        };
        let four = "{{EC2PrivateDNSName}}".repeat(4);
        let crowd = |most: usize| templates(&mut (0..most).map(|number| format!("x:{four}{number}")));
        assert_eq!(crowd(LOOKED_AT_MAX).admit("x:abcd7"), Ok(true));
        assert_eq!(crowd(LOOKED_AT_MAX).admit("x:abcd"), Ok(false));
        let crowd = crowd(5_000);
        assert_eq!(crowd.admit("x:abcd7"), Err(TooMany));
        assert_eq!(crowd.admit(&format!("x:{}", "a".repeat(1_022))), Err(TooMany));
        // Of names that begin otherwise none is looked at.
        assert_eq!(crowd.admit("y:abcd7"), Ok(false));
        // Many that begin each in its own way are no crowd; many of which each begins as the next does are.
        let each = templates(&mut (0..5_000).map(|number| format!("team-{number}:{{{{SessionName}}}}")));
        assert_eq!(each.admit("team-7:ana"), Ok(true));
        assert_eq!(each.admit("team-x:ana"), Ok(false));
        let longer = |most: usize| {
            let start = |length: usize| format!("x:{}{{{{SessionName}}}}", "a".repeat(length));
            templates(&mut (0..most).map(start))
        };
        assert_eq!(longer(1_000).admit(&"x:".repeat(500)), Ok(false));
        assert_eq!(longer(1_000).admit(&format!("x:{}", "a".repeat(900))), Err(TooMany));
        // A length may end amid a character.
        let mut two = ["a:{{SessionName}}", "xé:{{SessionName}}"].map(String::from).into_iter();
        assert_eq!(templates(&mut two).admit("xé:ana"), Ok(true));
    }
}
