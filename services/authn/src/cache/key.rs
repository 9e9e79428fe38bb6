//! What a kept answer is found by.

use std::fmt;

use lanyard_api::ClusterUid;
use lanyard_iam::TokenDigest;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of everything that an answer depends on: the token by its own SHA-256, the cluster, the audiences. Each part
/// goes in with its length, and the audiences with their number, so that no two questions meet in one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl CacheKey {
    pub(crate) fn of(token: &TokenDigest, cluster: ClusterUid, audiences: &[String]) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(token.as_bytes());
        add(cluster.0.as_bytes());
        add(&(audiences.len() as u64).to_be_bytes());
        audiences.iter().for_each(|audience| add(audience.as_bytes()));
        Self(hash.finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question() -> impl Strategy<Value = (String, u128, Vec<String>)> {
        // Few letters, so that parts of one question often look like parts of another.
        ("[ab]{0,6}", 0u128..3, prop::collection::vec("[ab]{0,3}", 0..4))
    }

    proptest! {
        #[test]
        fn immunity_12_two_questions_have_one_key_only_if_they_are_one(one in question(), other in question()) {
            let key = |(token, cluster, audiences): &(String, u128, Vec<String>)| {
                CacheKey::of(&TokenDigest::of(token), ClusterUid(uuid::Uuid::from_u128(*cluster)), audiences)
            };
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }

    #[test]
    fn immunity_12_letters_do_not_wander_between_parts() {
        let uid = ClusterUid::random();
        let list = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        let of = |token, uid, audiences: &[String]| CacheKey::of(&TokenDigest::of(token), uid, audiences);
        let keys = [
            of("t", uid, &list(&["ab", "cd"])),
            of("t", uid, &list(&["a", "bcd"])),
            of("t", uid, &list(&["abcd"])),
            of("t", uid, &list(&["cd", "ab"])),
            of("tab", uid, &list(&["cd"])),
            of("t", uid, &list(&["", "abcd"])),
            of("t", ClusterUid::random(), &list(&["abcd"])),
        ];
        let distinct: std::collections::HashSet<_> = keys.into_iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
