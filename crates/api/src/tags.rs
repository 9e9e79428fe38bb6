//! Tags of EKS's resources: clusters, access entries, identity-provider configurations and Pod Identity associations.

mod arn;
mod wire;

use std::{collections::BTreeMap, future::Future};

use lanyard_iam::shown;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    mutation::{Mutated, Mutation},
};

pub use arn::{ClusterPlace, TaggedArn, TaggedArnError, TaggedPart};
pub use wire::{ListedTags, of_credentials, of_mapping};

/// Most tags of a resource (EKS).
pub const TAGS_MAX: usize = 50;
/// Longest tag key, in characters (EKS).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest tag value, in characters (EKS).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// What neither key nor value may begin with, in any letter case: AWS's own.
const RESERVED: &str = "aws:";

/// The tags of what a service keeps, by ARN. What another service keeps does not exist for it.
pub trait Tags: Send + Sync + 'static {
    /// Puts tags on or takes them off; answers all that there are then.
    fn edit_tags(
        &self,
        by: Mutation,
        arn: TaggedArn,
        edit: TagEdit,
    ) -> impl Future<Output = Result<Mutated<BTreeMap<String, String>>, CallError>> + Send;
    /// All of them.
    fn list_tags(
        &self,
        by: Vouched<Actor>,
        arn: TaggedArn,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, CallError>> + Send;
}

/// A change of tags (EKS `TagResource`, `UntagResource`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagEdit {
    /// Puts these on; others stay.
    Put(BTreeMap<String, String>),
    /// Takes those of these keys off, as far as they are there.
    Remove(Vec<String>),
}

impl TagEdit {
    /// The name of the transaction that does it.
    #[must_use]
    pub fn transaction(&self) -> &'static str {
        match self {
            Self::Put(_) => "tag_resource",
            Self::Remove(_) => "untag_resource",
        }
    }

    /// Holds it against the rules that it can break by itself.
    ///
    /// # Errors
    /// [`CallError::Invalid`] names the tag and the rule.
    pub fn judge(&self) -> Result<(), CallError> {
        let (field, count) = match self {
            Self::Put(tags) => ("tags", tags.len()),
            Self::Remove(keys) => ("tag_keys", keys.len()),
        };
        if !(1..=TAGS_MAX).contains(&count) {
            let message = format!("a call is about 1 to {TAGS_MAX} tags, this one about {count}");
            return Err(CallError::invalid(field, "tags", message));
        }
        let broken = match self {
            Self::Put(tags) => refusal(tags),
            Self::Remove(keys) => keys.iter().find_map(|key| refusal_of_key(key)),
        };
        broken.map_or(Ok(()), |message| Err(CallError::invalid(field, "tags", message)))
    }

    /// Does it to the tags of a resource.
    ///
    /// # Errors
    /// [`CallError::Invalid`] where there would be too many.
    pub fn apply(self, tags: &mut BTreeMap<String, String>) -> Result<(), CallError> {
        match self {
            Self::Put(put) => tags.extend(put),
            Self::Remove(keys) => keys.iter().for_each(|key| drop(tags.remove(key))),
        }
        refusal(tags).map_or(Ok(()), |message| Err(CallError::invalid("tags", "tags", message)))
    }
}

/// That there is nothing of this ARN, or nothing that the caller may know.
#[must_use]
pub fn no_resource(arn: &TaggedArn) -> CallError {
    CallError::not_found("resource", arn)
}

/// Why a resource cannot have these tags; none where it can.
#[must_use]
pub fn refusal(tags: &BTreeMap<String, String>) -> Option<String> {
    if tags.len() > TAGS_MAX {
        return Some(format!("a resource has at most {TAGS_MAX} tags, these are {}", tags.len()));
    }
    tags.iter().find_map(|(key, value)| refusal_of_key(key).or_else(|| refusal_of_value(key, value)))
}

fn refusal_of_key(key: &str) -> Option<String> {
    if !(1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count()) {
        return Some(format!("the tag key `{}` is not 1 to {TAG_KEY_CHARS_MAX} characters long", shown(key)));
    }
    refusal_of_text(key, key)
}

fn refusal_of_value(key: &str, value: &str) -> Option<String> {
    if value.chars().count() > TAG_VALUE_CHARS_MAX {
        return Some(format!("the value of tag `{key}` is longer than {TAG_VALUE_CHARS_MAX} characters"));
    }
    refusal_of_text(key, value)
}

fn refusal_of_text(key: &str, text: &str) -> Option<String> {
    if text.get(..RESERVED.len()).is_some_and(|head| head.eq_ignore_ascii_case(RESERVED)) {
        return Some(format!("the tag `{}` begins with `{RESERVED}`, which is reserved", shown(key)));
    }
    let has_control = text.chars().any(char::is_control);
    has_control.then(|| format!("the tag `{}` holds a control character", shown(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn tags_are_bounded_and_keep_off_what_is_awss_own() {
        let numbered = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        let cases = [
            (BTreeMap::new(), true),
            (one("team", "äpfel & birnen"), true),
            (one(&"ä".repeat(128), &"ä".repeat(256)), true),
            (one("xaws:team", "xaws:"), true),
            (numbered(50), true),
            (numbered(51), false),
            (one("", ""), false),
            (one(&"k".repeat(129), ""), false),
            (one("team", &"v".repeat(257)), false),
            (one("aws:team", ""), false),
            (one("AwS:team", ""), false),
            (one("team", "AWS:x"), false),
            (one("team\n", ""), false),
            (one("team", "a\u{0}"), false),
        ];
        for (tags, good) in cases {
            assert_eq!(refusal(&tags).is_none(), good, "{tags:?}");
        }
    }

    #[test]
    fn an_edit_puts_on_or_takes_off_and_never_leaves_too_many() {
        let edited = |edit: TagEdit| {
            let mut tags = one("team", "a");
            let outcome = edit.judge().and_then(|()| edit.apply(&mut tags));
            outcome.map(|()| tags).map_err(|error| error.to_string())
        };
        let put = |tags: BTreeMap<String, String>| TagEdit::Put(tags);
        let remove = |keys: &[&str]| TagEdit::Remove(keys.iter().map(|key| (*key).to_owned()).collect());
        let numbered = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(edited(put(one("team", "b"))), Ok(one("team", "b")));
        assert_eq!(edited(remove(&["team", "none"])), Ok(BTreeMap::new()));
        assert_eq!(edited(put(numbered(49))).unwrap().len(), 50);
        for bad in
            [put(numbered(50)), put(numbered(0)), remove(&[]), put(one("AWS:x", "")), remove(&["aws:x"])]
        {
            assert!(edited(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
