//! IAM's rules about names, paths, tags and documents (IAM API reference; quotas are configuration).

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::CallError;
use lanyard_api::authn::accounts::ANY_SUBJECT_TAG;
use lanyard_iam::policy::PolicyError;
use lanyard_iam::{
    PolicyDocument, PrincipalArn, PrincipalKind, SSO_ROLE_PREFIX, TrustPolicy, is_tag_character, shown_within,
};

/// Longest name of a user or role, in characters.
const NAME_CHARS_MAX: usize = 64;
/// Longest name of an inline policy or an instance profile, in characters.
const POLICY_NAME_CHARS_MAX: usize = 128;
/// What the paths of AWS's own roles begin with: of its services (IAM, service-linked roles), and of permission sets.
const RESERVED_ROLE_PATHS: [&str; 2] = ["/aws-service-role/", "/aws-reserved/"];
/// What their names begin with.
const RESERVED_ROLE_NAMES: [&str; 2] = ["AWSServiceRoleFor", SSO_ROLE_PREFIX];
/// Longest path, slashes included, in characters.
const PATH_CHARS_MAX: usize = 512;
/// Longest key of a tag, in characters.
const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of a tag, in characters.
const TAG_VALUE_CHARS_MAX: usize = 256;
/// Longest description of a role, in characters.
const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Longest name of an account, in characters.
const ACCOUNT_NAME_CHARS_MAX: usize = 128;
/// Shortest and longest maximum of a role's sessions, in seconds.
const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 3_600..=43_200;
/// What of an input is repeated in a refusal.
const SHOWN_CHARS_MAX: usize = 80;
/// Longest account of what is wrong with a document: it quotes the document.
const MALFORMED_CHARS_MAX: usize = 400;

pub(super) fn shown(input: &str) -> String {
    shown_within(input, SHOWN_CHARS_MAX)
}

fn is_name(text: &str, chars_max: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=chars_max).contains(&text.len()) && text.bytes().all(allowed)
}

/// The name of a user or role.
pub(super) fn name(field: &'static str, text: &str) -> Result<(), CallError> {
    if is_name(text, NAME_CHARS_MAX) {
        return Ok(());
    }
    let message =
        format!("`{}` is not a name; use 1 to {NAME_CHARS_MAX} letters, digits and `_+=,.@-`", shown(text));
    Err(CallError::invalid(field, "name", message))
}

/// The name of an inline policy.
pub(super) fn policy_name(text: &str) -> Result<(), CallError> {
    if is_name(text, POLICY_NAME_CHARS_MAX) {
        return Ok(());
    }
    let message = format!(
        "`{}` is not a policy name; use 1 to {POLICY_NAME_CHARS_MAX} letters, digits and `_+=,.@-`",
        shown(text)
    );
    Err(CallError::invalid("name", "name", message))
}

/// The name of an instance profile.
pub(super) fn profile_name(text: &str) -> Result<(), CallError> {
    if is_name(text, POLICY_NAME_CHARS_MAX) {
        return Ok(());
    }
    let message = format!(
        "`{}` is not the name of an instance profile; use 1 to {POLICY_NAME_CHARS_MAX} letters, digits and `_+=,.@-`",
        shown(text)
    );
    Err(CallError::invalid("name", "name", message))
}

/// The path of a user, role or instance profile; empty means `/`.
pub(super) fn path(text: &str) -> Result<String, CallError> {
    let text = if text.is_empty() { "/" } else { text };
    let fits = text.len() <= PATH_CHARS_MAX
        && text.starts_with('/')
        && text.ends_with('/')
        && !text.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(text.to_owned());
    }
    let message = format!(
        "`{}` is not a path; begin and end it with one slash, between visible ASCII characters, at most {PATH_CHARS_MAX}",
        shown(text)
    );
    Err(CallError::invalid("path", "path", message))
}

/// A role that an account makes itself: what AWS keeps for roles of its own services and of permission sets, who reads an ARN
/// takes for one of those.
pub(super) fn own_role(path: &str, name: &str) -> Result<(), CallError> {
    let reserved_path = RESERVED_ROLE_PATHS.iter().find(|reserved| path.starts_with(**reserved));
    let reserved_name = RESERVED_ROLE_NAMES.iter().find(|reserved| name.starts_with(**reserved));
    let (field, reserved) = match (reserved_path, reserved_name) {
        (Some(reserved), _) => ("path", reserved),
        (None, Some(reserved)) => ("name", reserved),
        (None, None) => return Ok(()),
    };
    let message = format!("`{reserved}` begins what AWS keeps for roles of its own; choose another {field}");
    Err(CallError::invalid(field, "reserved_role", message))
}

/// The tags of a user, role, instance profile or OIDC provider.
pub(super) fn tags(tags: &BTreeMap<String, String>, tags_max: u64) -> Result<(), CallError> {
    if tags.len() as u64 > tags_max {
        return Err(CallError::LimitExceeded {
            what: "tags of one user, role, instance profile or OIDC provider".into(),
            limit: tags_max,
        });
    }
    let allowed = |text: &str| text.chars().all(is_tag_character);
    let mut folded = BTreeSet::new();
    for (key, value) in tags {
        let lower = key.to_lowercase();
        let fits = (1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count())
            && value.chars().count() <= TAG_VALUE_CHARS_MAX
            && allowed(key)
            && allowed(value);
        if !fits {
            let message = format!(
                "tag `{}` breaks a rule; use keys of 1 to {TAG_KEY_CHARS_MAX} and values of at most \
                 {TAG_VALUE_CHARS_MAX} letters, digits, blanks and `_.:/=+-@`",
                shown(key)
            );
            return Err(CallError::invalid("tags", "tag", message));
        }
        if lower.starts_with("aws:") {
            let message =
                format!("tag `{}` begins with `aws:`, which is reserved; choose another key", shown(key));
            return Err(CallError::invalid("tags", "reserved_tag", message));
        }
        if !folded.insert(lower) {
            let message = format!("tag `{}` stands twice in other letter case; keep one of them", shown(key));
            return Err(CallError::invalid("tags", "duplicate_tag", message));
        }
    }
    Ok(())
}

/// The longest that sessions of a role may last; 0 means the shortest maximum.
pub(super) fn session_seconds_max(seconds: u32) -> Result<u32, CallError> {
    match seconds {
        0 => Ok(*SESSION_SECONDS.start()),
        _ if SESSION_SECONDS.contains(&seconds) => Ok(seconds),
        _ => {
            let message = format!(
                "`{seconds}` is out of range; use {} to {} seconds",
                SESSION_SECONDS.start(),
                SESSION_SECONDS.end()
            );
            Err(CallError::invalid("session_seconds_max", "session_seconds_max", message))
        }
    }
}

/// The name of an account, for people.
pub(super) fn account_name(text: &str) -> Result<(), CallError> {
    let count = text.chars().count();
    if (1..=ACCOUNT_NAME_CHARS_MAX).contains(&count) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let message =
        format!("`{}` is not a name; use 1 to {ACCOUNT_NAME_CHARS_MAX} printable characters", shown(text));
    Err(CallError::invalid("name", "name", message))
}

/// A trust policy; one that lets in whomever an OIDC issuer knows only where that is allowed, and then with a notice.
pub(super) fn trust_policy(json: &str, allow_any_subject: bool) -> Result<Option<String>, CallError> {
    let policy = parsed_trust_policy(json)?;
    let open: Vec<String> = policy.open_federations().iter().map(ToString::to_string).collect();
    if open.is_empty() {
        return Ok(None);
    }
    let found: String = open.join("; ").chars().take(MALFORMED_CHARS_MAX).collect();
    if allow_any_subject {
        return Ok(Some(found));
    }
    let message = format!(
        "{found}; demand the subjects that you mean, or allow any by the role's tag `{ANY_SUBJECT_TAG}=true` \
         (over gRPC also by `allow_any_subject`)"
    );
    Err(CallError::invalid("trust_policy", "any_subject", message))
}

/// A trust policy.
pub(super) fn parsed_trust_policy(json: &str) -> Result<TrustPolicy, CallError> {
    TrustPolicy::parse(json).map_err(|error| malformed("trust_policy", &error))
}

/// What a role is for, for people (IAM `CreateRole`: tab, line breaks and printable characters of Latin-1).
pub(super) fn description(text: &str) -> Result<(), CallError> {
    let allowed = |char: char| matches!(char, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if text.chars().count() <= DESCRIPTION_CHARS_MAX && text.chars().all(allowed) {
        return Ok(());
    }
    let message = format!(
        "`{}` is not a description; use at most {DESCRIPTION_CHARS_MAX} characters of Latin-1 and no control characters",
        shown(text)
    );
    Err(CallError::invalid("description", "description", message))
}

/// Tags that are put on something, or taken away.
#[derive(Debug)]
pub(super) enum TagChange {
    /// Beside those that it has.
    Put(BTreeMap<String, String>),
    /// By their keys.
    Remove(Vec<String>),
}

impl TagChange {
    /// Whether it may be one, whatever it is for.
    pub(super) fn judge(&self, tags_max: u64) -> Result<(), CallError> {
        match self {
            Self::Put(put) if put.is_empty() => {
                Err(CallError::invalid("tags", "required", "there is no tag: give at least one"))
            }
            Self::Put(put) => tags(put, tags_max),
            Self::Remove(keys) if keys.len() as u64 > tags_max => {
                Err(CallError::LimitExceeded { what: "tag keys of one call".into(), limit: tags_max })
            }
            Self::Remove(_) => Ok(()),
        }
    }

    /// Does it. A key that is there in other letter case is the same key (IAM: keys differ by more than letter case).
    pub(super) fn apply(self, of: &mut BTreeMap<String, String>, tags_max: u64) -> Result<(), CallError> {
        match self {
            Self::Put(put) => {
                for (key, value) in put {
                    of.retain(|other, _| other.to_lowercase() != key.to_lowercase());
                    of.insert(key, value);
                }
                tags(of, tags_max)
            }
            Self::Remove(keys) => {
                let gone: BTreeSet<String> = keys.iter().map(|key| key.to_lowercase()).collect();
                of.retain(|key, _| !gone.contains(&key.to_lowercase()));
                Ok(())
            }
        }
    }
}

/// A principal that policies are attached to by ARN: a user, or a role as STS names it.
pub(super) fn principal_owner(arn: &PrincipalArn) -> Result<(), CallError> {
    let (rule, message) = match &arn.kind {
        PrincipalKind::User { .. } => return Ok(()),
        PrincipalKind::Role { path, .. } if path == "/" => return Ok(()),
        PrincipalKind::Role { .. } => (
            "role_path",
            format!(
                "`{arn}` has a path, which STS leaves out of a role's sessions: write `{}`",
                arn.without_path()
            ),
        ),
        _ => ("principal_kind", format!("`{arn}` is neither a user nor a role, and has no policies")),
    };
    Err(CallError::invalid("owner", rule, message))
}

/// An inline policy.
pub(super) fn document(json: &str) -> Result<(), CallError> {
    PolicyDocument::parse(json).map(|_| ()).map_err(|error| malformed("document", &error))
}

fn malformed(field: &'static str, error: &PolicyError) -> CallError {
    let message: String = error.to_string().chars().take(MALFORMED_CHARS_MAX).collect();
    CallError::invalid(field, "malformed_policy_document", message)
}

/// A trust policy has a quota of its own (IAM and STS quotas: 2 048 characters).
pub(super) fn trust_policy_fits(json: &str, limit: u64) -> Result<(), CallError> {
    if policy_chars(json) <= limit {
        return Ok(());
    }
    Err(CallError::LimitExceeded { what: "characters of the trust policy of one role".into(), limit })
}

/// How much of a quota a document takes: blanks are not counted.
pub(super) fn policy_chars(json: &str) -> u64 {
    json.chars().filter(|char| !char.is_whitespace()).count() as u64
}

#[cfg(test)]
mod tests;
