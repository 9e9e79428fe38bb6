//! What of a username is sure before anybody knocks.

use lanyard_api::template::Placeholder;
use lanyard_iam::{AccountId, PatternSubject};

/// All of a username up to the first placeholder whose value is a session's, a key's or a node's; up to the principal's name too, where
/// nobody knows which of several it is. `canonical` is the one principal's ARN.
pub(crate) fn start(username: &str, account: AccountId, canonical: Option<&str>) -> String {
    let written = |placeholder: Placeholder| format!("{{{{{}}}}}", placeholder.name());
    let mut known = username.replace(&written(Placeholder::AccountId), account.as_str());
    if let Some(principal) = canonical.and_then(PatternSubject::of) {
        known = known.replace(&written(Placeholder::PrincipalName), principal.name);
    }
    // Of a template that was taken, this opens a placeholder and nothing else.
    known.split("{{").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sure_of_a_username_ends_where_a_session_begins() {
        let dev = Some("arn:aws:iam::111122223333:role/dev");
        for (username, principal, sure) in [
            ("okta:ana", dev, "okta:ana"),
            ("okta:{{SessionName}}", dev, "okta:"),
            ("{{AccountID}}:{{SessionName}}", dev, "111122223333:"),
            ("{{PrincipalName}}:{{SessionNameRaw}}", dev, "dev:"),
            // Whoever of several knocks, nobody knows.
            ("{{PrincipalName}}:{{SessionName}}", None, ""),
            ("a:{{AccessKeyID}}:{{AccountID}}", dev, "a:"),
            ("{ordinary} braces}}", None, "{ordinary} braces}}"),
        ] {
            assert_eq!(start(username, "111122223333".parse().unwrap(), principal), sure, "{username}");
        }
    }
}
