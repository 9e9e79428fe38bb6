//! What usernames with placeholders can become.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use lanyard_api::template::Template;
use lanyard_iam::AccountId;

use crate::rules::{entry::reserved_prefix, sure};

/// The names that templates can become, but for those that no issuer's people may have anyway, as an entry's default ones, and for those of
/// templates by which nobody logs in beside an issuer without a prefix.
#[derive(Debug, Default)]
pub(super) struct Templates {
    /// Where all of a template is sure.
    names: HashSet<Box<str>, RandomState>,
    /// The others, by the [`space`] of what is sure of them. A look at a name costs what there is in its own, and in the one without a
    /// name: few have no text of their own with a `:` first.
    by_space: HashMap<Box<str>, HashSet<Template, RandomState>, RandomState>,
}

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
            self.names.insert(filled.into());
            return;
        }
        // One that became too long for a template is held against names as it was written, and so admits what it did and more.
        let (space, template) = match Template::parse(&filled) {
            Ok(template) => (space(start), template),
            Err(_) => (space(username.literal_prefix()), username.clone()),
        };
        self.by_space.entry(space.into()).or_default().insert(template);
    }

    /// Whether one of them can become this name.
    pub(super) fn admit(&self, name: &str) -> bool {
        let mut spaces = ["", space(name)].into_iter().filter_map(|space| self.by_space.get(space));
        self.names.contains(name) || spaces.any(|all| all.iter().any(|template| template.admits(name)))
    }
}

/// A text up to its first `:`; nothing where there is none.
fn space(text: &str) -> &str {
    text.split_inclusive(':').next().filter(|first| first.ends_with(':')).unwrap_or_default()
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
            ("anybody:x", true),
            ("anybody:y", false),
            ("cto@corp.example", false),
            ("arn:aws:sts::111122223333:assumed-role/dev/ana", false),
            ("system:node:a", false),
            ("", false),
        ] {
            assert_eq!(templates.admit(name), admitted, "{name}");
        }
    }
}
