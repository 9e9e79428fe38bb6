//! What AWS STS demands of the parameters of its operations.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use lanyard_api::CallError;
use lanyard_iam::{PolicyDocument, PrincipalArn, PrincipalKind, is_session_name, is_tag_character};

/// Shortest session, in seconds (AWS STS `AssumeRole`).
pub const SESSION_SECONDS_MIN: u32 = 900;
/// What is meant where nothing is asked for.
pub const SESSION_SECONDS_DEFAULT: u32 = 3_600;
/// Longest session that another session may make (IAM: role chaining).
pub const CHAINED_SECONDS_MAX: u32 = 3_600;
/// Longest session of a user, in seconds (AWS STS `GetSessionToken`).
pub const USER_SESSION_SECONDS_MAX: u32 = 129_600;
/// What is meant where nothing is asked for.
pub const USER_SESSION_SECONDS_DEFAULT: u32 = 43_200;
/// How long a session that somebody was exchanged for may last at most, in seconds: AWS's limits for a role's.
pub const EXCHANGE_SECONDS: RangeInclusive<u32> = SESSION_SECONDS_MIN..=43_200;
/// Most session tags, and most keys of transitive ones.
pub const TAGS_MAX: usize = 50;
/// Longest key of a session tag, in characters.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of a session tag, in characters.
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// A text of 2 to so many characters of a set.
fn text_rule(
    field: &'static str,
    text: &str,
    chars_max: usize,
    extra: &str,
    form: &'static str,
) -> Result<(), CallError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || extra.contains(c);
    let length = text.chars().count();
    if (2..=chars_max).contains(&length) && text.chars().all(fits) {
        return Ok(());
    }
    Err(CallError::invalid(field, form, format!("must be 2 to {chars_max} letters, digits and `_{extra}`")))
}

/// A role's whole ARN, and the path and name in it.
///
/// # Errors
/// [`CallError::Invalid`] names the rule.
pub fn role_arn(text: &str) -> Result<(PrincipalArn, String, String), CallError> {
    let arn = PrincipalArn::parse(text)
        .map_err(|error| CallError::invalid("role_arn", "role_arn", error.to_string()))?;
    match &arn.kind {
        PrincipalKind::Role { path, name } => {
            let (path, name) = (path.clone(), name.clone());
            Ok((arn, path, name))
        }
        _ => {
            let rule = format!(
                "`{arn}` is not a role's ARN: write arn:<partition>:iam::<account>:role/<path><name>"
            );
            Err(CallError::invalid("role_arn", "role_arn", rule))
        }
    }
}

/// The session's name.
///
/// # Errors
/// [`CallError::Invalid`] names the rule.
pub fn session_name(name: &str) -> Result<(), CallError> {
    if is_session_name(name) {
        return Ok(());
    }
    let rule = "must be 2 to 64 letters, digits and `_+=,.@-`";
    Err(CallError::invalid("session_name", "session_name", rule))
}

/// The external id, if there is one.
///
/// # Errors
/// [`CallError::Invalid`] names the rule.
pub fn external_id(id: Option<&str>) -> Result<(), CallError> {
    id.map_or(Ok(()), |id| text_rule("external_id", id, 1_224, "+=,.@:/-", "external_id"))
}

/// The source identity, if there is one.
///
/// # Errors
/// [`CallError::Invalid`] names the rule.
pub fn source_identity(identity: Option<&str>) -> Result<(), CallError> {
    let Some(identity) = identity else { return Ok(()) };
    if identity.starts_with("aws:") {
        let rule = "must not start with `aws:`";
        return Err(CallError::invalid("source_identity", "source_identity", rule));
    }
    text_rule("source_identity", identity, 256, "+=,.@-", "source_identity")
}

/// How long the session is to live, in seconds.
///
/// # Errors
/// [`CallError::Invalid`] names the limit that was passed.
pub fn duration(asked: u32, role_max: u32, chained: bool) -> Result<u32, CallError> {
    let most = if chained { role_max.min(CHAINED_SECONDS_MAX) } else { role_max };
    let seconds = if asked == 0 { SESSION_SECONDS_DEFAULT.min(most) } else { asked };
    if (SESSION_SECONDS_MIN..=most).contains(&seconds) {
        return Ok(seconds);
    }
    let why = if chained && role_max > CHAINED_SECONDS_MAX {
        "because a role session makes it"
    } else {
        "by the role's own maximum"
    };
    let rule = format!("`{asked}` must be {SESSION_SECONDS_MIN} to {most} seconds, {why}");
    Err(CallError::invalid("duration_seconds", "duration", rule))
}

/// How long a user's own session is to live, in seconds (AWS STS `GetSessionToken`).
///
/// # Errors
/// [`CallError::Invalid`] names the limits.
pub fn user_duration(asked: u32) -> Result<u32, CallError> {
    let seconds = if asked == 0 { USER_SESSION_SECONDS_DEFAULT } else { asked };
    if (SESSION_SECONDS_MIN..=USER_SESSION_SECONDS_MAX).contains(&seconds) {
        return Ok(seconds);
    }
    let rule = format!("`{asked}` must be {SESSION_SECONDS_MIN} to {USER_SESSION_SECONDS_MAX} seconds");
    Err(CallError::invalid("duration_seconds", "duration", rule))
}

/// How long a session that somebody is exchanged for is to live, in seconds; as long as the hub allows where nothing is asked for.
///
/// # Errors
/// [`CallError::Invalid`] names the limits.
pub fn exchange_duration(asked: u32, most: u32) -> Result<u32, CallError> {
    match asked {
        0 => Ok(most),
        _ if (SESSION_SECONDS_MIN..=most).contains(&asked) => Ok(asked),
        _ => {
            let rule =
                format!("`{asked}` must be {SESSION_SECONDS_MIN} to {most} seconds, by the hub's own limit");
            Err(CallError::invalid("duration_seconds", "duration", rule))
        }
    }
}

/// Tags and which of them are transitive, with what an actor's own session hands down.
///
/// # Errors
/// [`CallError::Invalid`] names the tag and the rule.
pub fn tags(
    tags: &BTreeMap<String, String>,
    transitive_keys: &[String],
    inherited: &BTreeMap<String, String>,
) -> Result<(BTreeMap<String, String>, BTreeSet<String>), CallError> {
    let invalid = |rule: &'static str, message: String| Err(CallError::invalid("tags", rule, message));
    if tags.len() > TAGS_MAX {
        return invalid("tags_max", format!("at most {TAGS_MAX} tags, not {}", tags.len()));
    }
    let mut folded = BTreeSet::new();
    for (key, value) in tags {
        let length = key.chars().count();
        if !(1..=TAG_KEY_CHARS_MAX).contains(&length) || !key.chars().all(is_tag_character) {
            let rule = "a key is 1 to 128 letters, digits, spaces and `_.:/=+-@`";
            return invalid("tag_key", format!("`{}`: {rule}", key.escape_debug()));
        }
        if value.chars().count() > TAG_VALUE_CHARS_MAX || !value.chars().all(is_tag_character) {
            return invalid(
                "tag_value",
                format!("`{key}`: a value is at most 256 letters, digits, spaces and `_.:/=+-@`"),
            );
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return invalid("tag_key", format!("`{key}`: keys must not begin with `aws:`"));
        }
        if !folded.insert(key.to_lowercase()) {
            return invalid("tag_key", format!("`{key}` stands twice but for letter case"));
        }
        if inherited.keys().any(|transitive| transitive.to_lowercase() == key.to_lowercase()) {
            return invalid(
                "tag_transitive",
                format!("`{key}` is a transitive tag of the calling session: leave it out"),
            );
        }
    }
    if transitive_keys.len() > TAGS_MAX {
        let rule = format!("at most {TAGS_MAX} keys, not {}", transitive_keys.len());
        return Err(CallError::invalid("transitive_tag_keys", "transitive_tag_keys", rule));
    }
    let mut transitive: BTreeSet<String> = BTreeSet::new();
    for key in transitive_keys {
        if !tags.contains_key(key) {
            let rule = format!("`{}` is not among the tags", key.escape_debug());
            return Err(CallError::invalid("transitive_tag_keys", "transitive_tag_keys", rule));
        }
        transitive.insert(key.clone());
    }
    let mut all = tags.clone();
    all.extend(inherited.clone());
    transitive.extend(inherited.keys().cloned());
    Ok((all, transitive))
}

/// The session policy, if there is one.
///
/// # Errors
/// [`CallError::Invalid`] with the place in the document.
pub fn session_policy(json: Option<&str>) -> Result<Option<PolicyDocument>, CallError> {
    let parsed = json.map(PolicyDocument::parse_session).transpose();
    parsed
        .map_err(|error| CallError::invalid("session_policy", "malformed_policy_document", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_within_the_roles_maximum_and_an_hour_when_chained() {
        let cases = [
            (0, 43_200, false, Some(3_600)),
            (0, 3_600, true, Some(3_600)),
            (900, 3_600, false, Some(900)),
            (899, 3_600, false, None),
            (3_601, 3_600, false, None),
            (43_200, 43_200, false, Some(43_200)),
            (3_601, 43_200, true, None),
        ];
        for (asked, role_max, chained, expected) in cases {
            assert_eq!(duration(asked, role_max, chained).ok(), expected, "{asked} {role_max} {chained}");
        }
    }

    #[test]
    fn texts_follow_their_rules() {
        for (id, good) in [("ab", true), ("a", false), ("a b", false), ("a:/b", true), ("é1", false)] {
            assert_eq!(external_id(Some(id)).is_ok(), good, "{id}");
        }
        for (id, good) in [("ana", true), ("aws:ana", false), ("a:b", false)] {
            assert_eq!(source_identity(Some(id)).is_ok(), good, "{id}");
        }
        for (name, good) in [("ana", true), ("a", false), ("a/b", false), ("a b", false), ("system:x", false)]
        {
            assert_eq!(session_name(name).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn a_users_session_lives_fifteen_minutes_to_a_day_and_a_half() {
        for (asked, expected) in
            [(0, Some(43_200)), (900, Some(900)), (129_600, Some(129_600)), (899, None), (129_601, None)]
        {
            assert_eq!(user_duration(asked).ok(), expected, "{asked}");
        }
    }

    fn judged(
        pairs: &[(&str, &str)],
        transitive: &[&str],
        inherited: &BTreeMap<String, String>,
    ) -> Result<(BTreeMap<String, String>, BTreeSet<String>), CallError> {
        let given = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let transitive: Vec<String> = transitive.iter().map(ToString::to_string).collect();
        tags(&given, &transitive, inherited)
    }

    #[test]
    fn tags_are_bounded_unique_and_never_those_inherited() {
        let inherited = BTreeMap::from([("Team".to_owned(), "a".to_owned())]);
        let (all, transitive) = judged(&[("x", "1")], &["x"], &inherited).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(transitive, BTreeSet::from(["Team".to_owned(), "x".to_owned()]));
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let long = "v".repeat(257);
        let cases: [(Pairs<'_>, &[&str]); 7] = [
            (&[("team", "b")], &[]),
            (&[("a", "1"), ("A", "2")], &[]),
            (&[("", "1")], &[]),
            (&[("aws:x", "1")], &[]),
            (&[("a\n", "1")], &[]),
            (&[("a", &long)], &[]),
            (&[("a", "1")], &["b"]),
        ];
        for (pairs, transitive) in cases {
            assert!(judged(pairs, transitive, &inherited).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn there_are_fifty_tags_and_fifty_transitive_keys_at_most() {
        let keys: Vec<String> = (0..=TAGS_MAX).map(|number| format!("k{number}")).collect();
        let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let most = judged(&pairs[..TAGS_MAX], &names[..TAGS_MAX], &BTreeMap::new());
        assert_eq!(most.unwrap().1.len(), TAGS_MAX);
        let broken = |answer: Result<_, CallError>| match answer {
            Err(CallError::Invalid { field, rule, .. }) => (field.into_owned(), rule),
            other => panic!("{other:?}"),
        };
        let tags = broken(judged(&pairs, &[], &BTreeMap::new()));
        assert_eq!(tags, ("tags".to_owned(), "tags_max"));
        // One key again and again is more than fifty all the same.
        let again = ["k0"; TAGS_MAX + 1];
        let keys = broken(judged(&pairs[..1], &again, &BTreeMap::new()));
        assert_eq!(keys, ("transitive_tag_keys".to_owned(), "transitive_tag_keys"));
    }
}
