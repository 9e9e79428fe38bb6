//! The shapes of Kubernetes' review APIs, read without copying and written as the API server expects them.

use std::{borrow::Cow, fmt};

use lanyard_api::{
    Extra,
    proof::{CANONICAL_ARN_KEY, EXTRA_KEY},
};
use lanyard_iam::shown_within;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use smol_str::SmolStr;

/// The API group and version of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewVersion {
    /// Stable.
    V1,
    /// What API servers send by default to this day.
    V1Beta1,
}

/// What is wrong with a review's envelope.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Another version or group.
    #[error("apiVersion `{found}` is not served here: send `{group}/v1` or `{group}/v1beta1`")]
    Version {
        /// As sent, cut, on one line.
        found: String,
        /// The group of this path.
        group: &'static str,
    },
    /// Another kind.
    #[error("kind `{found}` does not belong here: send `{kind}`")]
    Kind {
        /// As sent, cut, on one line.
        found: String,
        /// The kind of this path.
        kind: &'static str,
    },
}

/// Most characters of somebody's input that an error repeats.
const REPEATED_CHARS_MAX: usize = 64;

impl ReviewVersion {
    /// Reads an envelope. API servers always name version and kind; where they are missing the newer form is meant.
    pub fn read(
        api_version: Option<&str>,
        kind: Option<&str>,
        group: &'static str,
        expected: &'static str,
    ) -> Result<Self, EnvelopeError> {
        let cut = |text: &str| shown_within(text, REPEATED_CHARS_MAX);
        if let Some(found) = kind.filter(|kind| !kind.is_empty() && *kind != expected) {
            return Err(EnvelopeError::Kind { found: cut(found), kind: expected });
        }
        let Some(found) = api_version.filter(|version| !version.is_empty()) else { return Ok(Self::V1) };
        match found.strip_prefix(group).and_then(|rest| rest.strip_prefix('/')) {
            Some("v1") => Ok(Self::V1),
            Some("v1beta1") => Ok(Self::V1Beta1),
            _ => Err(EnvelopeError::Version { found: cut(found), group }),
        }
    }

    /// `v1` or `v1beta1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }
}

/// The group of TokenReview and SelfSubjectReview.
pub const AUTHENTICATION: &str = "authentication.k8s.io";
/// The group of AdmissionReview.
pub const ADMISSION: &str = "admission.k8s.io";
/// The group of the access reviews.
pub const AUTHORIZATION: &str = "authorization.k8s.io";

/// Reads a review. It is an object: serde would also take an array of a struct's members in their order, which no API
/// server sends.
pub fn read_review<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') | None => serde_json::from_slice(body),
        Some(_) => Err(serde::de::Error::custom("a review is an object")),
    }
}

/// A TokenReview as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenReviewIn<'a> {
    /// `authentication.k8s.io/v1`.
    #[serde(borrow, default)]
    pub api_version: Option<Cow<'a, str>>,
    /// `TokenReview`.
    #[serde(borrow, default)]
    pub kind: Option<Cow<'a, str>>,
    /// What is asked.
    #[serde(borrow, default)]
    pub spec: TokenReviewSpec<'a>,
}

/// What a TokenReview asks.
#[derive(Default, Deserialize)]
pub struct TokenReviewSpec<'a> {
    /// The bearer token. Never printed.
    #[serde(borrow, default)]
    pub token: Cow<'a, str>,
    /// The audiences that the API server stands for.
    #[serde(default)]
    pub audiences: Option<Vec<String>>,
}

/// A TokenReview as it goes back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenReviewOut<'a> {
    /// As asked.
    pub api_version: &'static str,
    /// `TokenReview`.
    pub kind: &'static str,
    /// The answer.
    pub status: TokenReviewStatus<'a>,
}

/// The answer to a TokenReview.
#[derive(Default, Serialize)]
pub struct TokenReviewStatus<'a> {
    /// Whether the token is somebody's.
    pub authenticated: bool,
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a RawValue>,
    /// Those asked for that the token is good for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// Makes the answer one that the API server does not cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A SubjectAccessReview as it comes, in either version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessReviewIn<'a> {
    /// `authorization.k8s.io/v1`.
    #[serde(borrow, default)]
    pub api_version: Option<Cow<'a, str>>,
    /// `SubjectAccessReview`.
    #[serde(borrow, default)]
    pub kind: Option<Cow<'a, str>>,
    /// What is asked.
    #[serde(default)]
    pub spec: AccessReviewSpec,
}

/// What a SubjectAccessReview asks. v1 says `groups`, v1beta1 `group`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessReviewSpec {
    /// The username.
    #[serde(default)]
    pub user: String,
    /// The uid.
    #[serde(default)]
    pub uid: String,
    /// The groups.
    #[serde(default, alias = "group")]
    pub groups: Option<Vec<String>>,
    /// Of the extra what decisions read; a key without values is one with an empty list.
    #[serde(default, deserialize_with = "read_extra")]
    pub extra: Extra,
    /// Something in the API, or
    #[serde(default)]
    pub resource_attributes: Option<ResourceIn>,
    /// a path.
    #[serde(default)]
    pub non_resource_attributes: Option<NonResourceIn>,
}

/// Of the extra what decisions read: the proof, and whose it is. An API server sends along all that mapping has told it of a person,
/// with each question; what nobody reads of that is as it has to be, and goes no further. Go writes an empty map or list as null
/// as well.
fn read_extra<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Extra, D::Error> {
    struct Lists;

    impl<'de> Visitor<'de> for Lists {
        type Value = Extra;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("lists of texts by name")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Extra::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut extra = Extra::new();
            while let Some(key) = entries.next_key::<ExtraKey>()? {
                match key {
                    ExtraKey::Read(key) => {
                        let values: Option<Vec<String>> = entries.next_value()?;
                        extra.insert(key, values.unwrap_or_default());
                    }
                    ExtraKey::Other => drop(entries.next_value::<Option<Vec<Unread>>>()?),
                }
            }
            Ok(extra)
        }
    }

    deserializer.deserialize_any(Lists)
}

/// A key of the extra.
enum ExtraKey {
    /// Decisions read what is under it. Front proxies change the letter case of keys, and under several spellings the proof is none:
    /// so it stays as it was sent.
    Read(Cow<'static, str>),
    Other,
}

impl<'de> Deserialize<'de> for ExtraKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;

        impl Visitor<'_> for Key {
            type Value = ExtraKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, key: &str) -> Result<ExtraKey, E> {
                Ok(match key {
                    EXTRA_KEY => ExtraKey::Read(EXTRA_KEY.into()),
                    CANONICAL_ARN_KEY => ExtraKey::Read(CANONICAL_ARN_KEY.into()),
                    _ if key.eq_ignore_ascii_case(EXTRA_KEY) => ExtraKey::Read(key.to_owned().into()),
                    _ => ExtraKey::Other,
                })
            }
        }

        deserializer.deserialize_str(Key)
    }
}

/// A text that has to be one, and that nobody reads.
struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Unread;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, _: &str) -> Result<Unread, E> {
                Ok(Unread)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// `resourceAttributes`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceIn {
    #[serde(default)]
    pub(super) namespace: SmolStr,
    #[serde(default)]
    pub(super) verb: SmolStr,
    #[serde(default)]
    pub(super) group: SmolStr,
    #[serde(default)]
    pub(super) version: SmolStr,
    #[serde(default)]
    pub(super) resource: SmolStr,
    #[serde(default)]
    pub(super) subresource: SmolStr,
    #[serde(default)]
    pub(super) name: SmolStr,
    /// Read leniently: a selector that cannot be read leaves the review unscoped (KEP-4601), it does not fail it.
    #[serde(default)]
    pub(super) field_selector: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) label_selector: Option<serde_json::Value>,
}

/// `nonResourceAttributes`.
#[derive(Default, Deserialize)]
pub struct NonResourceIn {
    #[serde(default)]
    pub(super) path: SmolStr,
    #[serde(default)]
    pub(super) verb: SmolStr,
}

/// A SubjectAccessReview as it goes back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessReviewOut<'a> {
    /// As asked.
    pub api_version: &'static str,
    /// `SubjectAccessReview`.
    pub kind: &'static str,
    /// The answer.
    pub status: AccessReviewStatus<'a>,
}

/// The answer to an access review. Never both allowed and denied.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessReviewStatus<'a> {
    /// Yes.
    pub allowed: bool,
    /// No, whatever others say.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// One line: what decided, for a person refused the first of what would have allowed it, and the decision id.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'a str,
    /// Why it could not be evaluated whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_error: Option<&'a str>,
}

/// One of the `Self*Review`s as a person's kubectl sends it, once it is JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelfReviewIn {
    /// `authentication.k8s.io/v1` or `authorization.k8s.io/v1`.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Which of them.
    #[serde(default)]
    pub kind: Option<String>,
    /// What is asked; it goes back as it came.
    #[serde(default)]
    pub spec: serde_json::Value,
}

/// An AdmissionReview as it comes, in either version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionReviewIn<'a> {
    /// `admission.k8s.io/v1`.
    #[serde(borrow, default)]
    pub api_version: Option<Cow<'a, str>>,
    /// `AdmissionReview`.
    #[serde(borrow, default)]
    pub kind: Option<Cow<'a, str>>,
    /// What is asked.
    #[serde(borrow, default)]
    pub request: Option<AdmissionRequest<'a>>,
}

/// What an AdmissionReview asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest<'a> {
    /// Goes back with the answer.
    #[serde(borrow, default)]
    pub uid: Cow<'a, str>,
    /// Of which resource the object is.
    #[serde(borrow, default)]
    pub resource: AdmissionResource<'a>,
    /// Empty for the object itself.
    #[serde(borrow, default)]
    pub sub_resource: Cow<'a, str>,
    /// The object's namespace.
    #[serde(borrow, default)]
    pub namespace: Cow<'a, str>,
    /// `CREATE`, `UPDATE`, …
    #[serde(borrow, default)]
    pub operation: Cow<'a, str>,
    /// The object as it is to be.
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    /// As it was.
    #[serde(borrow, default)]
    pub old_object: Option<&'a RawValue>,
}

/// A resource with its group.
#[derive(Default, Deserialize)]
pub struct AdmissionResource<'a> {
    /// Empty for the core group.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// `pods`.
    #[serde(borrow, default)]
    pub resource: Cow<'a, str>,
}

/// An AdmissionReview as it goes back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionReviewOut<'a> {
    /// As asked.
    pub api_version: &'static str,
    /// `AdmissionReview`.
    pub kind: &'static str,
    /// The answer.
    pub response: AdmissionResponse<'a>,
}

/// The answer to an AdmissionReview.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionResponse<'a> {
    /// As asked.
    pub uid: &'a str,
    /// Whether the object may be.
    pub allowed: bool,
    /// Why it may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AdmissionStatus<'a>>,
    /// `JSONPatch`, with a patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_type: Option<&'static str>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Shown to whoever makes the object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why an object may not be: Kubernetes' `Status`, of which the API server makes its own answer.
#[derive(Serialize)]
pub struct AdmissionStatus<'a> {
    /// `Failure`.
    pub status: &'static str,
    /// Shown to whoever makes the object, after the webhook's name.
    pub message: &'a str,
    /// The code in words.
    pub reason: &'static str,
    /// An HTTP status of at least 400.
    pub code: u16,
}

/// `authentication.k8s.io/v1` and so on, without putting it together each time.
pub fn api_version(group: &'static str, version: ReviewVersion) -> &'static str {
    match (group, version) {
        (AUTHENTICATION, ReviewVersion::V1) => "authentication.k8s.io/v1",
        (AUTHENTICATION, ReviewVersion::V1Beta1) => "authentication.k8s.io/v1beta1",
        (ADMISSION, ReviewVersion::V1) => "admission.k8s.io/v1",
        (ADMISSION, ReviewVersion::V1Beta1) => "admission.k8s.io/v1beta1",
        (_, ReviewVersion::V1) => "authorization.k8s.io/v1",
        (_, ReviewVersion::V1Beta1) => "authorization.k8s.io/v1beta1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_names_this_group_and_kind_or_nothing() {
        let read = |version, kind| ReviewVersion::read(version, kind, AUTHENTICATION, "TokenReview");
        assert_eq!(read(Some("authentication.k8s.io/v1"), Some("TokenReview")), Ok(ReviewVersion::V1));
        assert_eq!(read(Some("authentication.k8s.io/v1beta1"), None), Ok(ReviewVersion::V1Beta1));
        assert_eq!(read(None, None), Ok(ReviewVersion::V1));
        for bad in ["authentication.k8s.io/v2", "authorization.k8s.io/v1", "v1", "authentication.k8s.io"] {
            assert!(read(Some(bad), None).is_err(), "{bad}");
        }
        assert!(read(None, Some("SubjectAccessReview")).is_err());
        let error = read(Some("v1\n\u{1b}[31m"), None).unwrap_err().to_string();
        assert!(error.contains(r"`v1\n\u{1b}[31m`"), "{error}");
    }

    #[test]
    fn a_review_is_an_object() {
        assert!(read_review::<TokenReviewIn<'_>>(b" \n{}").is_ok());
        for bad in [&b"[]"[..], b"", b" ", b"null", b"\"a\"", b"[null, null, [\"token\"]]"] {
            assert!(read_review::<TokenReviewIn<'_>>(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn of_the_extra_is_kept_what_decisions_read_and_all_of_it_has_to_be_lists_of_texts() {
        let read = |extra: &str| {
            let spec = format!(r#"{{"extra":{extra}}}"#);
            serde_json::from_str(&spec).map(|spec: AccessReviewSpec| spec.extra)
        };
        let texts = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
        type Kept = &'static [(&'static str, &'static [&'static str])];
        let cases: [(&str, Kept); 8] = [
            ("null", &[]),
            ("{}", &[]),
            (r#"{"lanyard.dev/proof":["p"]}"#, &[("lanyard.dev/proof", &["p"])]),
            (r#"{"lanyard.dev\/pr\u006fof":["p"]}"#, &[("lanyard.dev/proof", &["p"])]),
            (r#"{"lanyard.dev/proof":null,"arn":null}"#, &[("lanyard.dev/proof", &[])]),
            (
                r#"{"Lanyard.Dev/Proof":["p"],"lanyard.dev/proof":["p","q"]}"#,
                &[("Lanyard.Dev/Proof", &["p"]), ("lanyard.dev/proof", &["p", "q"])],
            ),
            (r#"{"arn":["a"],"canonicalarn":["b"],"sessionname":["c"]}"#, &[("canonicalarn", &["b"])]),
            (r#"{"CanonicalArn":["a"],"lanyard.dev/proofs":["b"]}"#, &[]),
        ];
        for (sent, kept) in cases {
            let kept: Extra =
                kept.iter().map(|(key, values)| ((*key).to_owned().into(), texts(values))).collect();
            assert_eq!(read(sent).unwrap(), kept, "{sent}");
        }
        for key in ["lanyard.dev/proof", "canonicalarn", "arn"] {
            for bad in [r#""a""#, "1", "{}", "[1]", "[null]", r#"["a",["b"]]"#] {
                assert!(read(&format!(r#"{{"{key}":{bad}}}"#)).is_err(), "{key}: {bad}");
            }
        }
        assert!(read(r#"["a"]"#).is_err() && read("1").is_err());
    }

    #[test]
    fn both_spellings_of_groups_are_read() {
        for (spec, groups) in [(r#"{"groups":["a"]}"#, vec!["a"]), (r#"{"group":["b"]}"#, vec!["b"])] {
            let spec: AccessReviewSpec = serde_json::from_str(spec).unwrap();
            assert_eq!(spec.groups.unwrap(), groups);
        }
    }
}
