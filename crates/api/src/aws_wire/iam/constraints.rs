//! What the models of IAM and STS allow of a parameter's length and characters, whatever the operation (service models: `min`, `max`,
//! `pattern`): looked at before anybody asks whether the caller may make the call.
//!
//! Rules that one operation has beyond these are its service's, and so are those for which the model has an error of its own; ARNs are read
//! by whoever weighs them.

use std::ops::RangeInclusive;

use lanyard_iam::{is_tag_character, shown};

use crate::aws_wire::Service;

/// How long a text is, in characters, and which those are.
struct Constraint {
    chars: RangeInclusive<usize>,
    allows: fn(char) -> bool,
    /// The characters, for people.
    allowed: &'static str,
}

const fn name(chars: RangeInclusive<usize>) -> Constraint {
    /// `[\w+=,.@-]`.
    fn allows(char: char) -> bool {
        char.is_ascii_alphanumeric() || "_+=,.@-".contains(char)
    }
    Constraint { chars, allows, allowed: "letters, digits and `_+=,.@-`" }
}

/// Any characters, so many of them.
const fn any(chars: RangeInclusive<usize>) -> Constraint {
    fn allows(_: char) -> bool {
        true
    }
    Constraint { chars, allows, allowed: "characters" }
}

/// A tag's key or value.
const fn of_tag(chars: RangeInclusive<usize>) -> Constraint {
    Constraint { chars, allows: is_tag_character, allowed: "letters, digits, blanks and `_.:/=+-@`" }
}

/// An access key's id.
const KEY: Constraint = Constraint {
    chars: 16..=128,
    allows: |char| char.is_ascii_alphanumeric() || char == '_',
    allowed: "letters, digits and `_`",
};

/// The constraint of a parameter; of an item, that of its list, and of an item's member, that of the two.
fn of(service: Service, parameter: &str) -> Option<Constraint> {
    let (list, member) = match parameter.split_once(".member.") {
        Some((list, item)) => (list, item.split_once('.').map_or("", |(_, member)| member)),
        None => (parameter, ""),
    };
    match service {
        Service::Iam => of_iam(list, member),
        Service::Sts => of_sts(list, member),
        Service::Eks | Service::EksAuth => None,
    }
}

fn of_sts(list: &str, member: &str) -> Option<Constraint> {
    Some(match (list, member) {
        ("RoleSessionName", "") => name(2..=64),
        ("SourceIdentity", "") => name(2..=256),
        ("ExternalId", "") => Constraint {
            chars: 2..=1_224,
            allows: |char| char.is_ascii_alphanumeric() || "_+=,.@:/-".contains(char),
            allowed: "letters, digits and `_+=,.@:/-`",
        },
        ("AccessKeyId", "") => KEY,
        ("TransitiveTagKeys", "") | ("Tags", "Key") => of_tag(1..=128),
        ("Tags", "Value") => of_tag(0..=256),
        _ => return None,
    })
}

fn of_iam(list: &str, member: &str) -> Option<Constraint> {
    Some(match (list, member) {
        // One that is made has 64 at most; to name one that is there 128 will do.
        ("UserName" | "PolicyName" | "InstanceProfileName", "") => name(1..=128),
        ("RoleName", "") => name(1..=64),
        ("AccessKeyId", "") => KEY,
        ("Path", "") => Constraint {
            chars: 1..=512,
            allows: |char| char.is_ascii_graphic(),
            allowed: "visible ASCII characters",
        },
        ("PolicyDocument" | "AssumeRolePolicyDocument", "") => Constraint {
            chars: 1..=131_072,
            allows: |char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{ff}'),
            allowed: "characters of Latin-1",
        },
        ("PermissionsBoundary" | "OpenIDConnectProviderArn", "") => any(20..=2048),
        ("Url" | "ClientID" | "ClientIDList", "") => any(1..=255),
        ("ThumbprintList", "") => any(40..=40),
        ("TagKeys", "") | ("Tags", "Key") => of_tag(1..=128),
        ("Tags", "Value") => of_tag(0..=256),
        _ => return None,
    })
}

/// The rule that the value of a parameter breaks; none where it may be one.
pub(super) fn broken(service: Service, parameter: &str, value: &str) -> Option<String> {
    let Constraint { chars, allows, allowed } = of(service, parameter)?;
    let fits = chars.contains(&value.chars().count()) && value.chars().all(allows);
    let (least, most) = chars.into_inner();
    let count = if least == most { most.to_string() } else { format!("{least} to {most}") };
    (!fits).then(|| format!("`{}` is not {count} {allowed}", shown(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(parameter: &str, value: &str) -> Option<String> {
        super::broken(Service::Iam, parameter, value)
    }

    #[test]
    fn a_text_of_sts_is_as_long_and_of_the_characters_that_its_model_allows() {
        let broken = |parameter, value: &str| super::broken(Service::Sts, parameter, value).is_some();
        let most = [("RoleSessionName", 64), ("SourceIdentity", 256), ("ExternalId", 1_224)];
        for (parameter, most) in most {
            for (length, is_broken) in [(0, true), (1, true), (2, false), (most, false), (most + 1, true)] {
                assert_eq!(broken(parameter, &"a".repeat(length)), is_broken, "{parameter} {length}");
            }
            assert!(!broken(parameter, "a_+=,.@-") && broken(parameter, "a b"), "{parameter}");
            assert_eq!(broken(parameter, "a:/"), parameter != "ExternalId", "{parameter}");
        }
        assert!(broken("AccessKeyId", &"A".repeat(15)) && !broken("AccessKeyId", "LSIAAAAAAAAAAAAAAAAA"));
        for parameter in ["TransitiveTagKeys.member.2", "Tags.member.1.Key"] {
            assert!(!broken(parameter, "Te am") && broken(parameter, "te#am") && broken(parameter, ""));
        }
        assert!(!broken("Tags.member.1.Value", "") && broken("Tags.member.1.Value", &"v".repeat(257)));
        assert!(!broken("RoleArn", "x") && !broken("UserName", "a b"), "others are not STS's");
    }

    #[test]
    fn a_text_is_as_long_and_of_the_characters_that_the_model_allows() {
        let long = |count| "a".repeat(count);
        let good = [
            ("UserName", long(128)),
            ("RoleName", long(64)),
            ("RoleName", "_+=,.@-".to_owned()),
            ("AccessKeyId", "LKIAAAAAAAAAAAAAAAAA".to_owned()),
            ("Path", "/".to_owned()),
            ("TagKeys.member.7", "äpfel\u{a0}+ birnen".to_owned()),
            ("Tags.member.1.Key", "äpfel".to_owned()),
            ("Tags.member.50.Value", String::new()),
            ("Tags.member.1.Value", long(256)),
            ("Tags.member.1.Other", "*".to_owned()),
            ("PolicyDocument", "{\"ÿ\":\t\r\n1}".to_owned()),
            ("AssumeRolePolicyDocument", long(131_072)),
            ("Url", long(255)),
            ("ClientIDList.member.2", long(255)),
            ("ThumbprintList.member.1", "*".repeat(40)),
            ("OpenIDConnectProviderArn", long(20)),
            ("Description", String::new()),
        ];
        for (parameter, value) in good {
            assert_eq!(broken(parameter, &value), None, "{parameter}={value}");
        }
        let bad = [
            ("UserName", String::new()),
            ("UserName", long(129)),
            ("UserName", "a b".to_owned()),
            ("RoleName", long(65)),
            ("RoleName", "ä".to_owned()),
            ("PolicyName", "a\0".to_owned()),
            ("InstanceProfileName", "a/b".to_owned()),
            ("AccessKeyId", "LKIA".to_owned()),
            ("Path", String::new()),
            ("TagKeys.member.1", long(129)),
            ("TagKeys.member.1", "a\tb".to_owned()),
            ("TagKeys.member.1", "*".to_owned()),
            ("Tags.member.1.Key", String::new()),
            ("Tags.member.1.Key", long(129)),
            ("Tags.member.1.Key", "*".to_owned()),
            ("Tags.member.9.Value", long(257)),
            ("Tags.member.9.Value", "a\nb".to_owned()),
            ("PolicyDocument", String::new()),
            ("PolicyDocument", "\u{100}".to_owned()),
            ("PolicyDocument", "\0".to_owned()),
            ("AssumeRolePolicyDocument", long(131_073)),
            ("Url", long(256)),
            ("ClientID", String::new()),
            ("ClientIDList.member.1", long(256)),
            ("ThumbprintList.member.1", long(39)),
            ("ThumbprintList.member.5", long(41)),
            ("OpenIDConnectProviderArn", long(19)),
        ];
        for (parameter, value) in bad {
            assert!(broken(parameter, &value).is_some(), "{parameter}={value}");
        }
    }

    #[test]
    fn what_is_refused_is_shown_in_part_and_escaped() {
        let said = broken("UserName", &format!("\u{202e}{}", "a".repeat(5_000))).unwrap();
        assert!(said.len() < 300 && !said.contains('\u{202e}'), "{said}");
        assert_eq!(broken("ThumbprintList.member.1", "0f").unwrap(), "`0f` is not 40 characters");
    }
}
