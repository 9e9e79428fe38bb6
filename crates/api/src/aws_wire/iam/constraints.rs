//! What IAM's model allows of a parameter's length and characters, whatever the operation (service model: `min`, `max`, `pattern`).
//!
//! Rules that one operation has beyond these are its service's, and so are those for which the model has an error of its own.

use std::ops::RangeInclusive;

use lanyard_iam::shown;

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

/// The constraint of a parameter; of an item, that of its list.
fn of(parameter: &str) -> Option<Constraint> {
    let list = parameter.split_once(".member.").map_or(parameter, |(list, _)| list);
    Some(match list {
        // One that is made has 64 at most; to name one that is there 128 will do.
        "UserName" | "PolicyName" | "InstanceProfileName" => name(1..=128),
        "RoleName" => name(1..=64),
        "AccessKeyId" => Constraint {
            chars: 16..=128,
            allows: |char| char.is_ascii_alphanumeric() || char == '_',
            allowed: "letters, digits and `_`",
        },
        "Path" => Constraint {
            chars: 1..=512,
            allows: |char| char.is_ascii_graphic(),
            allowed: "visible ASCII characters",
        },
        "PermissionsBoundary" => Constraint { chars: 20..=2048, allows: |_| true, allowed: "characters" },
        // `[\p{L}\p{Z}\p{N}_.:/=+\-@]`.
        "TagKeys" => Constraint {
            chars: 1..=128,
            allows: |char| {
                char.is_alphanumeric()
                    || (char.is_whitespace() && !char.is_control())
                    || "_.:/=+-@".contains(char)
            },
            allowed: "letters, digits, blanks and `_.:/=+-@`",
        },
        _ => return None,
    })
}

/// The rule that the value of a parameter breaks; none where it may be one.
pub(super) fn broken(parameter: &str, value: &str) -> Option<String> {
    let Constraint { chars, allows, allowed } = of(parameter)?;
    let fits = chars.contains(&value.chars().count()) && value.chars().all(allows);
    let (least, most) = chars.into_inner();
    (!fits).then(|| format!("`{}` is not {least} to {most} {allowed}", shown(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("Tags.member.1.Value", "*".to_owned()),
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
        ];
        for (parameter, value) in bad {
            assert!(broken(parameter, &value).is_some(), "{parameter}={value}");
        }
    }

    #[test]
    fn what_is_refused_is_shown_in_part_and_escaped() {
        let said = broken("UserName", &format!("\u{202e}{}", "a".repeat(5_000))).unwrap();
        assert!(said.len() < 300 && !said.contains('\u{202e}'), "{said}");
    }
}
