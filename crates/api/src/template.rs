//! Usernames and groups with placeholders: `ops:{{SessionName}}`.
//!
//! A template is parsed once, when it is written or read from a ConfigMap, and expanded for each identity. authz asks the
//! other way round: whether a name that somebody bears can have come of it.

use std::fmt;

use lanyard_iam::PrincipalKind;

/// Longest template, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;

/// Most placeholders of one template.
pub const PLACEHOLDERS_MAX: usize = 4;

/// Longest value of a placeholder, in bytes: a node's name.
const VALUE_BYTES_MAX: usize = 253;

/// What stands for a part of the identity (aws-iam-authenticator's names, case and all).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{{AccountID}}`: the account's twelve digits.
    AccountId,
    /// `{{AccessKeyID}}`: the key that signed.
    AccessKeyId,
    /// `{{PrincipalName}}`: the name of the user or role, without path (Lanyard's own).
    PrincipalName,
    /// `{{SessionName}}`: the session's name, each `@` as `-`. Chosen by the caller.
    SessionName,
    /// `{{SessionNameRaw}}`: the session's name as it is. Chosen by the caller.
    SessionNameRaw,
    /// `{{EC2PrivateDNSName}}`: the node's own name, as bound to the instance.
    Ec2PrivateDnsName,
}

impl Placeholder {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AccountId,
        Self::AccessKeyId,
        Self::PrincipalName,
        Self::SessionName,
        Self::SessionNameRaw,
        Self::Ec2PrivateDnsName,
    ];

    /// Its name, without the braces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountId => "AccountID",
            Self::AccessKeyId => "AccessKeyID",
            Self::PrincipalName => "PrincipalName",
            Self::SessionName => "SessionName",
            Self::SessionNameRaw => "SessionNameRaw",
            Self::Ec2PrivateDnsName => "EC2PrivateDNSName",
        }
    }

    /// Whether the caller chooses what stands there.
    #[must_use]
    pub const fn is_caller_chosen(self) -> bool {
        matches!(self, Self::SessionName | Self::SessionNameRaw)
    }

    /// Whether a principal of this kind can have something for it when it logs in: sessions are of roles, and only as one of its
    /// role is somebody a node. aws-iam-authenticator leaves the place of a session's name empty for who has none, and so gives
    /// all of them one name; here they are given none.
    #[must_use]
    pub const fn is_had_by(self, kind: &PrincipalKind) -> bool {
        let is_of_role = matches!(kind, PrincipalKind::Role { .. } | PrincipalKind::AssumedRole { .. });
        match self {
            Self::AccountId | Self::AccessKeyId => true,
            Self::PrincipalName => is_of_role || matches!(kind, PrincipalKind::User { .. }),
            Self::SessionName | Self::SessionNameRaw | Self::Ec2PrivateDnsName => is_of_role,
        }
    }

    /// Whether this text can have come of it. No value holds a `:`, a `/` or a blank, so that one cannot reach into what
    /// stands beside it.
    fn admits(self, text: &str) -> bool {
        let (shortest, longest) = self.lengths();
        match self {
            Self::Ec2PrivateDnsName => is_node_name(text),
            _ => (shortest..=longest).contains(&text.len()) && text.bytes().all(|byte| self.holds(byte)),
        }
    }

    /// The fewest and the most bytes of a value.
    const fn lengths(self) -> (usize, usize) {
        match self {
            Self::AccountId => (12, 12),
            Self::AccessKeyId => (16, 128),
            Self::PrincipalName | Self::SessionName | Self::SessionNameRaw => (1, 64),
            Self::Ec2PrivateDnsName => (1, VALUE_BYTES_MAX),
        }
    }

    /// Whether a value may hold this byte.
    fn holds(self, byte: u8) -> bool {
        match self {
            Self::AccountId => byte.is_ascii_digit(),
            Self::AccessKeyId => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::SessionName => is_of_session(byte) && byte != b'@',
            Self::PrincipalName | Self::SessionNameRaw => is_of_session(byte),
            Self::Ec2PrivateDnsName => is_of_label(byte) || matches!(byte, b'-' | b'.'),
        }
    }

    /// Whether one of these bytes may come after the other in a value: next to a dot there is a letter or digit of a node's name.
    fn may_follow(self, before: u8, byte: u8) -> bool {
        let is_by_dot = |one: u8, other: u8| one == b'.' && !is_of_label(other);
        self != Self::Ec2PrivateDnsName || !(is_by_dot(before, byte) || is_by_dot(byte, before))
    }

    /// Whether a value may begin, or end, with this byte.
    fn may_border(self, byte: u8) -> bool {
        self.holds(byte) && (self != Self::Ec2PrivateDnsName || is_of_label(byte))
    }

    /// How many bytes a value could go on for, were there no most of them.
    fn run(self, bytes: &[u8]) -> usize {
        let mut before = None;
        let goes_on = |byte: &&u8| {
            let last = before.replace(**byte);
            self.holds(**byte) && last.is_none_or(|last| self.may_follow(last, **byte))
        };
        bytes.iter().take_while(goes_on).count()
    }

    /// Where the values can end that begin at one of these places. Both are in order, and each byte is looked at a few times at most:
    /// how far a value can go on is the same from all places of a run, and what begins later ends no earlier.
    fn ends(self, name: &[u8], starts: &[usize]) -> Vec<usize> {
        let (shortest, longest) = self.lengths();
        let borders = |at: usize| name.get(at).is_some_and(|byte| self.may_border(*byte));
        let (mut ends, mut run_end, mut beyond_told) = (Vec::new(), 0, 0);
        for &start in starts {
            if start >= run_end {
                run_end = start + self.run(name.get(start..).unwrap_or_default());
            }
            if !borders(start) {
                continue;
            }
            let (first, last) = ((start + shortest).max(beyond_told), run_end.min(start + longest));
            ends.extend((first..=last).filter(|end| borders(end - 1)));
            beyond_told = last + 1;
        }
        ends
    }
}

/// Whether the name of a session may hold this byte, as it is.
fn is_of_session(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

/// Whether a label of a node's name may begin with this byte.
fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether the text may be a node's name: a DNS name in lower case (Kubernetes' rule for Node objects).
#[must_use]
pub fn is_node_name(text: &str) -> bool {
    let plain = |b: &u8| is_of_label(*b);
    (1..=VALUE_BYTES_MAX).contains(&text.len())
        && text.split('.').all(|label| {
            let bytes = label.as_bytes();
            bytes.first().is_some_and(plain)
                && bytes.last().is_some_and(plain)
                && bytes.iter().all(|b| plain(b) || *b == b'-')
        })
}

/// A name with placeholders in it, or none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Template {
    source: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Literal(Box<str>),
    Placeholder(Placeholder),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing at all.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than a name may be.
    #[error("a name has at most {NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// A control character, which no log or wire carries well.
    #[error("a name holds no control characters, this one has {0:?}")]
    Control(char),
    /// More placeholders than [`PLACEHOLDERS_MAX`].
    #[error("a name has at most {PLACEHOLDERS_MAX} placeholders, this one has more")]
    TooManyPlaceholders,
    /// Braces that are not closed.
    #[error("`{0}` opens a placeholder with `{{{{` that is not closed with `}}}}`")]
    Unclosed(String),
    /// A placeholder that does not exist.
    #[error(
        "`{{{{{0}}}}}` is not a placeholder: use AccountID, AccessKeyID, PrincipalName, SessionName, \
         SessionNameRaw or EC2PrivateDNSName between double braces, without blanks"
    )]
    Unknown(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// As [`TemplateError`] says.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(TemplateError::TooLong(text.len()));
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(TemplateError::Control(control));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, opened)) = rest.split_once("{{") {
            let (name, after) =
                opened.split_once("}}").ok_or_else(|| TemplateError::Unclosed(text.to_owned()))?;
            let placeholder = Placeholder::ALL
                .into_iter()
                .find(|placeholder| placeholder.name() == name)
                .ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.into()));
            }
            parts.push(Part::Placeholder(placeholder));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        let placeholders = parts.iter().filter(|part| matches!(part, Part::Placeholder(_))).count();
        if placeholders > PLACEHOLDERS_MAX {
            return Err(TemplateError::TooManyPlaceholders);
        }
        Ok(Self { source: text.into(), parts: parts.into() })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it is a name already.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.placeholders().next().is_none()
    }

    /// The placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(*placeholder),
            Part::Literal(_) => None,
        })
    }

    /// The first placeholder that no principal of this kind has anything for: with one it never becomes the name of any.
    #[must_use]
    pub fn lacks(&self, kind: &PrincipalKind) -> Option<Placeholder> {
        self.placeholders().find(|placeholder| !placeholder.is_had_by(kind))
    }

    /// What stands before the first placeholder: the part that nobody but its author chose.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            Some(Part::Placeholder(_)) | None => "",
        }
    }

    /// The same with what stands in it in lower case: it admits in lower case all that this one does.
    #[must_use]
    pub fn folded(&self) -> Self {
        let folded = |part: &Part| match part {
            Part::Literal(text) => Part::Literal(text.to_ascii_lowercase().into()),
            Part::Placeholder(placeholder) => Part::Placeholder(*placeholder),
        };
        Self { source: self.source.clone(), parts: self.parts.iter().map(folded).collect() }
    }

    /// The name that it becomes, each placeholder as `value` has it.
    ///
    /// # Errors
    /// What `value` says for a placeholder that this identity has nothing for; nothing is left out or made up.
    pub fn expand<'a, E>(
        &self,
        mut value: impl FnMut(Placeholder) -> Result<&'a str, E>,
    ) -> Result<String, E> {
        let mut name = String::with_capacity(self.source.len() + 48);
        for part in &self.parts {
            match part {
                Part::Literal(text) => name.push_str(text),
                Part::Placeholder(Placeholder::SessionName) => {
                    name.extend(
                        value(Placeholder::SessionName)?.chars().map(|c| if c == '@' { '-' } else { c }),
                    );
                }
                Part::Placeholder(placeholder) => name.push_str(value(*placeholder)?),
            }
        }
        Ok(name)
    }

    /// Whether the name can have come of this template, whoever it was expanded for. Each placeholder is held to what its
    /// values look like, and one name must be the same session's throughout only as far as that goes: this tells a changed
    /// template from an unchanged one, it identifies nobody.
    #[must_use]
    pub fn admits(&self, name: &str) -> bool {
        match &*self.parts {
            [Part::Literal(text)] => name == &**text,
            [Part::Literal(text), Part::Placeholder(last)] => {
                name.strip_prefix(&**text).is_some_and(|value| last.admits(value))
            }
            parts => name.len() <= NAME_BYTES_MAX + PLACEHOLDERS_MAX * VALUE_BYTES_MAX && fits(parts, name),
        }
    }
}

/// Follows the parts with all places in the name that can have been reached, so that the time is bounded whatever the
/// template: parts times bytes of the name, but for texts of the template that are found again and again.
fn fits(parts: &[Part], name: &str) -> bool {
    let mut reached = vec![0];
    for part in parts {
        reached = match part {
            Part::Literal(text) => {
                let stands = |from: &usize| name.get(*from..).is_some_and(|rest| rest.starts_with(&**text));
                reached.into_iter().filter(stands).map(|from| from + text.len()).collect()
            }
            Part::Placeholder(placeholder) => placeholder.ends(name.as_bytes(), &reached),
        };
    }
    reached.last() == Some(&name.len())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(template: &str) -> String {
        let value = |placeholder| {
            Ok::<_, ()>(match placeholder {
                Placeholder::AccountId => "111122223333",
                Placeholder::AccessKeyId => "AKIAIOSFODNN7EXAMPLE",
                Placeholder::PrincipalName => "Developers",
                Placeholder::SessionName | Placeholder::SessionNameRaw => "ana@corp.example",
                Placeholder::Ec2PrivateDnsName => "ip-10-0-0-1.ec2.internal",
            })
        };
        Template::parse(template).unwrap().expand(value).unwrap()
    }

    #[test]
    fn a_template_expands_each_placeholder_it_holds() {
        let cases = [
            ("ana", "ana"),
            ("ops:{{SessionName}}", "ops:ana-corp.example"),
            ("ops:{{SessionNameRaw}}", "ops:ana@corp.example"),
            ("{{PrincipalName}}:{{SessionName}}", "Developers:ana-corp.example"),
            ("{{AccountID}}:{{SessionName}}:x", "111122223333:ana-corp.example:x"),
            ("system:node:{{EC2PrivateDNSName}}", "system:node:ip-10-0-0-1.ec2.internal"),
            ("k{{AccessKeyID}}", "kAKIAIOSFODNN7EXAMPLE"),
            ("{ordinary} braces}}", "{ordinary} braces}}"),
        ];
        for (template, name) in cases {
            assert_eq!(expand(template), name, "{template}");
            assert!(Template::parse(template).unwrap().admits(name), "{template}");
        }
    }

    #[test]
    fn a_text_that_is_no_template_is_refused_by_its_fault() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        let unknown = |name: &str| TemplateError::Unknown(name.to_owned());
        let cases = [
            ("", TemplateError::Empty),
            ("{{sessionname}}", unknown("sessionname")),
            ("{{ SessionName }}", unknown(" SessionName ")),
            ("{{}}", unknown("")),
            ("a{{SessionName", TemplateError::Unclosed("a{{SessionName".to_owned())),
            ("{{{SessionName}}}", unknown("{SessionName")),
            ("a\u{7}", TemplateError::Control('\u{7}')),
            ("a\nb", TemplateError::Control('\n')),
            (&long, TemplateError::TooLong(long.len())),
            (&"{{SessionName}}".repeat(PLACEHOLDERS_MAX + 1), TemplateError::TooManyPlaceholders),
        ];
        for (text, error) in cases {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_template_admits_what_can_have_come_of_it_and_nothing_beside() {
        let cases = [
            ("ana", "ana", true),
            ("ana", "ana2", false),
            ("ops:{{SessionName}}", "ops:ana", true),
            ("ops:{{SessionName}}", "ops:ana@x", false),
            ("ops:{{SessionNameRaw}}", "ops:ana@x", true),
            ("ops:{{SessionName}}", "ops:", false),
            ("ops:{{SessionName}}", "ops:ana:admin", false),
            ("ops:{{SessionName}}", "dev:ana", false),
            ("ops:{{SessionName}}:x", "ops:ana:x", true),
            ("ops:{{SessionName}}-x", "ops:a-x-x", true),
            ("{{AccountID}}{{SessionName}}", "111122223333ana", true),
            ("{{AccountID}}{{SessionName}}", "11112222333ana", false),
            ("system:node:{{EC2PrivateDNSName}}", "system:node:ip-10-0-0-1.ec2.internal", true),
            ("system:node:{{EC2PrivateDNSName}}", "system:node:a:b", false),
            ("system:node:{{EC2PrivateDNSName}}", "system:node:Upper", false),
        ];
        for (template, name, admitted) in cases {
            assert_eq!(Template::parse(template).unwrap().admits(name), admitted, "{template} {name}");
        }
    }

    #[test]
    fn a_template_lacks_what_its_kind_of_principal_never_has() {
        use Placeholder::{Ec2PrivateDnsName, PrincipalName, SessionName, SessionNameRaw};
        let (user, role) = ("iam::111122223333:user/ana", "iam::111122223333:role/dev");
        let (session, federated) =
            ("sts::111122223333:assumed-role/dev/ana", "sts::111122223333:federated-user/ana");
        let root = "iam::111122223333:root";
        let cases = [
            (user, "ana", None),
            (user, "{{AccountID}}:{{AccessKeyID}}:{{PrincipalName}}", None),
            (user, "ops:{{SessionName}}", Some(SessionName)),
            (user, "{{PrincipalName}}:{{SessionNameRaw}}", Some(SessionNameRaw)),
            (user, "{{EC2PrivateDNSName}}", Some(Ec2PrivateDnsName)),
            (role, "{{PrincipalName}}:{{SessionName}}:{{SessionNameRaw}}", None),
            (role, "system:node:{{EC2PrivateDNSName}}", None),
            (session, "ops:{{SessionName}}", None),
            (federated, "{{AccountID}}", None),
            (federated, "ops:{{SessionName}}", Some(SessionName)),
            (federated, "{{PrincipalName}}", Some(PrincipalName)),
            (root, "{{PrincipalName}}", Some(PrincipalName)),
        ];
        for (principal, template, lacks) in cases {
            let kind = format!("arn:aws:{principal}").parse::<lanyard_iam::PrincipalArn>().unwrap().kind;
            assert_eq!(Template::parse(template).unwrap().lacks(&kind), lacks, "{principal} {template}");
        }
    }

    #[test]
    fn a_name_of_the_longest_is_held_against_a_thousand_templates_in_no_time() {
        let name = format!("x:{}", "a".repeat(NAME_BYTES_MAX - 2));
        let started = std::time::Instant::now();
        for number in 0..1_000 {
            let placeholders = "{{EC2PrivateDNSName}}".repeat(PLACEHOLDERS_MAX);
            let template = Template::parse(&format!("x:{placeholders}{number}")).unwrap();
            assert!(!template.admits(&name), "{template}");
        }
        // It was more than a minute when all values were tried from all places, and far more without optimization.
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }

    proptest! {
        /// [`fits`] goes by what stands beside what in a value, the rest by whole values.
        #[test]
        fn where_a_value_ends_is_where_one_is_admitted(
            name in "[a-zA-Z0-9.@:_é-]{0,24}|[a-c.-]{0,24}|[0-9A-Z]{0,40}|[a-]{240,262}",
            starts in prop::collection::btree_set(0_usize..24, 0..4),
        ) {
            let starts: Vec<usize> = starts.into_iter().filter(|start| *start <= name.len()).collect();
            for placeholder in Placeholder::ALL {
                let is_end = |end: &usize| {
                    starts.iter().any(|start| name.get(*start..*end).is_some_and(|value| placeholder.admits(value)))
                };
                let ends: Vec<usize> = (0..=name.len()).filter(is_end).collect();
                prop_assert_eq!(placeholder.ends(name.as_bytes(), &starts), ends, "{:?} {:?}", placeholder, name);
            }
        }

        #[test]
        fn no_text_makes_the_parser_or_the_matcher_panic(text in "[a-zA-Z:{}@é]{0,40}", name in "\\PC{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.admits(&name);
                prop_assert_eq!(template.as_str(), text);
            }
        }

        #[test]
        fn what_a_template_becomes_it_admits(
            parts in prop::collection::vec(
                prop_oneof![Just("{{SessionName}}"), Just("{{AccountID}}"), Just(":"), Just("A-"), Just("é")],
                1..5,
            ),
            session in "[A-Za-z0-9_+=,.@-]{1,20}",
        ) {
            let template = Template::parse(&parts.concat()).unwrap();
            let value = |placeholder| Ok::<_, ()>(match placeholder {
                Placeholder::AccountId => "111122223333",
                _ => session.as_str(),
            });
            let name = template.expand(value).unwrap();
            prop_assert!(template.admits(&name), "{} {}", template, name);
            prop_assert!(template.folded().admits(&name.to_ascii_lowercase()), "{} {}", template, name);
        }
    }
}
