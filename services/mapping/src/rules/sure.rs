//! What of a username is sure before anybody knocks.

use lanyard_api::template::Placeholder;
use lanyard_iam::{AccountId, PatternSubject};

/// Where the name of a session stands in a username, as it is or with each `@` as `-`.
const SESSION: &str = "{{SessionName";

/// A username with what is sure of it filled in: all but what is a session's, a key's or a node's, and the principal's name too where
/// nobody knows which of several it is. `canonical` is the one principal's ARN.
pub(crate) fn filled(username: &str, account: AccountId, canonical: Option<&str>) -> String {
    let written = |placeholder: Placeholder| format!("{{{{{}}}}}", placeholder.name());
    let known = username.replace(&written(Placeholder::AccountId), account.as_str());
    match canonical.and_then(PatternSubject::of) {
        Some(principal) => known.replace(&written(Placeholder::PrincipalName), principal.name),
        None => known,
    }
}

/// How a username that is [`filled`] begins, up to the first placeholder that is left.
pub(crate) fn start_of(filled: &str) -> &str {
    // Of a template that was taken, this opens a placeholder and nothing else.
    filled.split("{{").next().unwrap_or_default()
}

/// Whether all of a username that is [`filled`] is sure.
pub(crate) fn is_whole(filled: &str) -> bool {
    !filled.contains("{{")
}

/// Whether what comes of a username that is [`filled`] may be the name of anybody: nothing that its author wrote sets it apart. That is a
/// `:`, which no value holds, and before a session's name, for whoever logs in chooses that.
pub(crate) fn may_be_anybodys(filled: &str) -> bool {
    let before = filled.split(SESSION).next().unwrap_or_default();
    !is_whole(filled) && !before.contains(':')
}

/// Whether an `@` can stand in what comes of a username that is [`filled`]: its author wrote one, or one of the values may hold it.
pub(crate) fn may_hold_an_at(filled: &str) -> bool {
    let plain = [
        Placeholder::SessionName,
        Placeholder::AccountId,
        Placeholder::AccessKeyId,
        Placeholder::Ec2PrivateDnsName,
    ];
    let left = plain.iter().fold(filled.to_owned(), |text, placeholder| {
        text.replace(&format!("{{{{{}}}}}", placeholder.name()), "")
    });
    left.contains('@') || !is_whole(&left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: Option<&str> = Some("arn:aws:iam::111122223333:role/dev");

    fn of(username: &str, principal: Option<&str>) -> String {
        filled(username, "111122223333".parse().unwrap(), principal)
    }

    #[test]
    fn what_is_sure_of_a_username_ends_where_a_session_begins() {
        for (username, principal, sure) in [
            ("okta:ana", DEV, "okta:ana"),
            ("okta:{{SessionName}}", DEV, "okta:"),
            ("{{AccountID}}:{{SessionName}}", DEV, "111122223333:"),
            ("{{PrincipalName}}:{{SessionNameRaw}}", DEV, "dev:"),
            // Whoever of several knocks, nobody knows.
            ("{{PrincipalName}}:{{SessionName}}", None, ""),
            ("a:{{AccessKeyID}}:{{AccountID}}", DEV, "a:"),
            ("{ordinary} braces}}", None, "{ordinary} braces}}"),
        ] {
            assert_eq!(start_of(&of(username, principal)), sure, "{username}");
        }
    }

    #[test]
    fn an_at_stands_where_it_was_written_or_a_value_may_hold_it() {
        for (username, principal, holds) in [
            ("{{SessionName}}", DEV, false),
            ("dev-{{SessionName}}-{{AccessKeyID}}", DEV, false),
            ("{{SessionName}}@corp.example", DEV, true),
            ("{{SessionNameRaw}}", DEV, true),
            ("{{PrincipalName}}", None, true),
            ("{{PrincipalName}}-{{SessionName}}", DEV, false),
            ("{{PrincipalName}}", Some("arn:aws:iam::111122223333:user/a@b"), true),
        ] {
            assert_eq!(may_hold_an_at(&of(username, principal)), holds, "{username} {principal:?}");
        }
    }

    #[test]
    fn a_username_may_be_anybodys_where_its_author_sets_nothing_apart() {
        for (username, principal, anybodys) in [
            ("ana", DEV, false),
            ("{{SessionName}}", DEV, true),
            ("{{SessionNameRaw}}", DEV, true),
            ("{{SessionNameRaw}}:x", DEV, true),
            ("dev-{{SessionNameRaw}}", DEV, true),
            ("dev:{{SessionNameRaw}}", DEV, false),
            ("{{AccessKeyID}}", DEV, true),
            ("{{AccountID}}", DEV, false),
            ("{{PrincipalName}}", DEV, false),
            ("{{PrincipalName}}", None, true),
            ("{{PrincipalName}}:x", None, false),
            ("{{PrincipalName}}:{{SessionName}}", None, false),
            ("{{PrincipalName}}{{SessionName}}:x", DEV, true),
            ("arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}", DEV, false),
            ("system:node:{{EC2PrivateDNSName}}", DEV, false),
        ] {
            assert_eq!(may_be_anybodys(&of(username, principal)), anybodys, "{username} {principal:?}");
        }
    }
}
