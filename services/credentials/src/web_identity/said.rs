//! What a verified token says to STS: who, for whom, tags and source identity; and its claims as condition keys (IAM: "Pass
//! session tags in AWS STS", "Available keys for AWS OIDC federation").

use std::collections::BTreeMap;

use lanyard_iam::ConditionKeys;
use lanyard_oidc::{CLAIM_BYTES_MAX, Claims, SUBJECT_BYTES_MAX};
use serde_json::Value;

use crate::rules;

/// Tags and which of them are transitive, as one object.
const TAGS: &str = "https://aws.amazon.com/tags";
/// The same flattened: a claim for each tag, for issuers that cannot nest.
const FLAT_TAG: &str = "https://aws.amazon.com/tags/principal_tags/";
/// And the transitive ones.
const FLAT_TRANSITIVE: &str = "https://aws.amazon.com/tags/transitive_tag_keys";
/// Who stands behind the session.
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";
/// Shortest subject, in characters (STS: `SubjectFromWebIdentityToken` has 6 to 255); the longest one is the JWT's own rule.
const SUBJECT_CHARS_MIN: usize = 6;
/// Most values of a claim that is a list and becomes a condition key.
const VALUES_MAX: usize = 100;

/// What a token says.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) issuer: String,
    pub(super) subject: String,
    /// The authorized party where there is one, else the audience that is a client id.
    pub(super) audience: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive_tag_keys: Vec<String>,
    pub(super) source_identity: Option<String>,
    /// Condition keys without the issuer's name before them, in lower case.
    claims: BTreeMap<String, Vec<String>>,
}

impl Said {
    /// Reads a token of which signature, dates, issuer and audience are in order. An authorized party has to be a client id too
    /// (IAM: "If the azp claim is present, its value is compared").
    pub(super) fn of(claims: &Claims, client_ids: &[String]) -> Result<Self, String> {
        let is_ours = |party: &str| client_ids.iter().any(|id| id == party);
        let party = claims.text("azp").map_err(|error| error.to_string())?;
        let audience = match party {
            Some(party) if is_ours(party) => party,
            Some(_) => {
                return Err("Incorrect token audience: its `azp` is no client id of the provider".to_owned());
            }
            None => claims.audiences().iter().find(|one| is_ours(one)).map_or("", String::as_str),
        };
        let length = claims.subject().chars().count();
        if length < SUBJECT_CHARS_MIN {
            return Err(format!(
                "the token's subject has {length} characters, and STS takes {SUBJECT_CHARS_MIN} to {SUBJECT_BYTES_MAX}: let the \
                 issuer write a longer `sub`"
            ));
        }
        let (tags, transitive_tag_keys) = tags(claims)?;
        let source_identity = text_claim(claims, SOURCE_IDENTITY)?;
        rules::source_identity(source_identity.as_deref()).map_err(|error| error.to_string())?;
        let mut keys = plain_claims(claims);
        // What is standard comes last: no claim of another spelling stands in for it.
        let audiences = claims.audiences().to_vec();
        keys.insert("oaud".to_owned(), audiences.clone());
        keys.insert("aud".to_owned(), party.map_or(audiences, |party| vec![party.to_owned()]));
        keys.insert("sub".to_owned(), vec![claims.subject().to_owned()]);
        Ok(Self {
            issuer: claims.issuer().to_owned(),
            subject: claims.subject().to_owned(),
            audience: audience.to_owned(),
            tags,
            transitive_tag_keys,
            source_identity,
            claims: keys,
        })
    }

    /// Sets `<issuer without scheme>:<claim>` for each claim.
    pub(super) fn set_keys(&self, keys: &mut ConditionKeys, issuer_name: &str) {
        for (claim, values) in &self.claims {
            keys.set_all(&format!("{issuer_name}:{claim}"), values.iter().cloned());
        }
    }
}

/// Texts, numbers, flags, and lists of them. Condition keys ignore letter case and claims do not: of two that differ by nothing
/// else neither is a key, so that an issuer that lets people name claims lets them stand in for no other.
fn plain_claims(claims: &Claims) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for (name, value) in claims.iter() {
        let Some(values) = values(value) else { continue };
        keys.entry(name.to_lowercase()).and_modify(|known| *known = None).or_insert(Some(values));
    }
    keys.into_iter().filter_map(|(name, values)| Some((name, values?))).collect()
}

fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) if items.len() <= VALUES_MAX => items.iter().map(scalar).collect(),
        Value::Array(_) => None,
        one => Some(vec![scalar(one)?]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.len() <= CLAIM_BYTES_MAX => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text_claim(claims: &Claims, name: &str) -> Result<Option<String>, String> {
    Ok(claims.text(name).map_err(|error| error.to_string())?.map(str::to_owned))
}

type Tags = (BTreeMap<String, String>, Vec<String>);

/// The tags of the token, nested or flattened. Both at once are refused: two readers could see two sessions.
fn tags(claims: &Claims) -> Result<Tags, String> {
    let nested = claims.iter().find(|(name, _)| *name == TAGS).map(|(_, value)| value);
    let flat: Vec<_> =
        claims.iter().filter(|(name, _)| name.starts_with(FLAT_TAG) || *name == FLAT_TRANSITIVE).collect();
    match (nested, flat.as_slice()) {
        (None, []) => Ok(Tags::default()),
        (Some(nested), []) => nested_tags(nested),
        (None, flat) => flat_tags(flat),
        (Some(_), _) => {
            Err(format!("the token has tags both in `{TAGS}` and in claims of their own: keep one form"))
        }
    }
}

fn nested_tags(value: &Value) -> Result<Tags, String> {
    let object = value.as_object().ok_or_else(|| format!("the claim `{TAGS}` is not an object"))?;
    let unknown = object.keys().find(|key| !matches!(key.as_str(), "principal_tags" | "transitive_tag_keys"));
    if let Some(unknown) = unknown {
        return Err(format!(
            "the claim `{TAGS}` has a member `{}` that means nothing",
            unknown.escape_debug()
        ));
    }
    let mut tags = BTreeMap::new();
    if let Some(given) = object.get("principal_tags") {
        let given = given.as_object().ok_or_else(|| "`principal_tags` is not an object".to_owned())?;
        for (key, value) in given {
            tags.insert(key.clone(), tag_value(key, value)?);
        }
    }
    let transitive = object.get("transitive_tag_keys").map(texts).transpose()?.unwrap_or_default();
    Ok((tags, transitive))
}

fn flat_tags(claims: &[(&str, &Value)]) -> Result<Tags, String> {
    let mut found = Tags::default();
    for (name, value) in claims {
        match name.strip_prefix(FLAT_TAG) {
            Some(key) => drop(found.0.insert(key.to_owned(), tag_value(key, value)?)),
            None => found.1 = texts(value)?,
        }
    }
    Ok(found)
}

/// One text, or a list with one.
fn tag_value(key: &str, value: &Value) -> Result<String, String> {
    let one = match value {
        Value::Array(items) => match items.as_slice() {
            [one] => one.as_str(),
            _ => None,
        },
        value => value.as_str(),
    };
    one.map(str::to_owned)
        .ok_or_else(|| format!("tag `{}` has not exactly one text as its value", key.escape_debug()))
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    let list = match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    list.ok_or_else(|| "`transitive_tag_keys` is not a list of texts".to_owned())
}

#[cfg(test)]
mod tests {
    use lanyard_oidc::{Algorithm, Expected, Jwks, Jwt, stand_in::SigningKey, verify};
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;

    const ISSUER: &str = "https://issuer.example";

    fn said(extra: Value) -> Result<Said, String> {
        let key = SigningKey::generate(Algorithm::Es256, "k");
        let mut claims = json!({"iss": ISSUER, "sub": "repo:a/b", "aud": "sts", "exp": 4_000_000_000_u64});
        claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let token = key.mint(&claims);
        let jwks = Jwks::parse(json!({"keys": [key.jwk()]}).to_string().as_bytes()).unwrap();
        let algorithms = Algorithm::ALL.into_iter().collect();
        let expected = Expected { issuer: ISSUER, audiences: &["sts", "app"], algorithms };
        let claims =
            verify(Jwt::parse(&token).unwrap(), &jwks, &expected, OffsetDateTime::UNIX_EPOCH).unwrap();
        Said::of(&claims, &["sts".to_owned(), "app".to_owned()])
    }

    fn keys(extra: Value) -> ConditionKeys {
        let mut keys = ConditionKeys::new();
        said(extra).unwrap().set_keys(&mut keys, "issuer.example");
        keys
    }

    #[test]
    fn claims_are_keys_under_the_issuers_name() {
        let keys = keys(json!({
            "repository": "a/b", "run": 7, "protected": true, "amr": ["mfa", "pwd"], "nested": {"a": 1}, "none": null,
        }));
        let get = |name: &str| keys.get(&format!("issuer.example:{name}")).map(<[String]>::to_vec);
        assert_eq!(get("sub"), Some(vec!["repo:a/b".to_owned()]));
        assert_eq!(get("aud"), Some(vec!["sts".to_owned()]));
        assert_eq!(get("repository"), Some(vec!["a/b".to_owned()]));
        assert_eq!(
            (get("run"), get("protected")),
            (Some(vec!["7".to_owned()]), Some(vec!["true".to_owned()]))
        );
        assert_eq!(get("amr"), Some(vec!["mfa".to_owned(), "pwd".to_owned()]));
        assert_eq!((get("nested"), get("none")), (None, None));
    }

    #[test]
    fn immunity_11_no_claim_of_another_spelling_stands_in_for_one() {
        let keys = keys(json!({"SUB": "repo:root/root", "Aud": "other", "Ref": "main", "ref": "feature"}));
        assert_eq!(keys.get("issuer.example:sub").unwrap(), ["repo:a/b"]);
        assert_eq!(keys.get("issuer.example:aud").unwrap(), ["sts"]);
        assert_eq!(keys.get("issuer.example:ref"), None);
    }

    #[test]
    fn the_authorized_party_is_the_audience_and_has_to_be_a_client_id() {
        assert_eq!(said(json!({})).unwrap().audience, "sts");
        assert_eq!(said(json!({"azp": "app"})).unwrap().audience, "app");
        let keys = keys(json!({"azp": "app"}));
        assert_eq!(keys.get("issuer.example:aud").unwrap(), ["app"]);
        assert_eq!(keys.get("issuer.example:oaud").unwrap(), ["sts"]);
        assert!(said(json!({"azp": "stranger"})).unwrap_err().contains("Incorrect token audience"));
    }

    #[test]
    fn a_subject_has_the_length_that_sts_answers() {
        for (subject, is_taken) in [("a", false), ("abcde", false), ("abcdef", true)] {
            assert_eq!(said(json!({"sub": subject})).is_ok(), is_taken, "{subject}");
        }
        assert!(said(json!({"sub": "ana"})).unwrap_err().contains("3 characters, and STS takes 6 to 255"));
    }

    #[test]
    fn tags_come_nested_or_flattened_and_never_both() {
        let nested =
            json!({TAGS: {"principal_tags": {"team": ["a"], "cost": "1"}, "transitive_tag_keys": ["team"]}});
        let flat = json!({
            "https://aws.amazon.com/tags/principal_tags/team": ["a"],
            "https://aws.amazon.com/tags/principal_tags/cost": "1",
            "https://aws.amazon.com/tags/transitive_tag_keys": ["team"],
        });
        let expected: BTreeMap<String, String> =
            [("team".to_owned(), "a".to_owned()), ("cost".to_owned(), "1".to_owned())].into();
        for form in [nested.clone(), flat.clone()] {
            let said = said(form).unwrap();
            assert_eq!((said.tags, said.transitive_tag_keys), (expected.clone(), vec!["team".to_owned()]));
        }
        let mut both = nested;
        both.as_object_mut().unwrap().extend(flat.as_object().unwrap().clone());
        let bad = [
            both,
            json!({TAGS: []}),
            json!({TAGS: {"principal_tags": []}}),
            json!({TAGS: {"principal_tags": {"a": ["1", "2"]}}}),
            json!({TAGS: {"principal_tags": {"a": 1}}}),
            json!({TAGS: {"transitive_tag_keys": [1]}}),
            json!({TAGS: {"session_tags": {}}}),
            json!({SOURCE_IDENTITY: ["ana"]}),
            json!({SOURCE_IDENTITY: "aws:ana"}),
        ];
        for claims in bad {
            assert!(said(claims.clone()).is_err(), "{claims}");
        }
        assert_eq!(said(json!({SOURCE_IDENTITY: "ana"})).unwrap().source_identity.as_deref(), Some("ana"));
    }
}
