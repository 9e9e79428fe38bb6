//! The numbers of grants that have none of their own.
//!
//! A proof names the grant that it stands on by number. An access entry has one; a line of aws-auth and an armed
//! break-glass credential get theirs from what makes them what they are, so that mapping, which mints, and authz, which
//! looks the grant up, come to the same one.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    aws_auth::AwsAuthPart,
    ids::{ClusterUid, EntryId},
};

/// Of a line of aws-auth: the same for the same principal (or account) in the same part, whatever else the line says and
/// wherever it stands. `key` is the line's folded ARN, or the account's number.
#[must_use]
pub fn aws_auth_grant(cluster: ClusterUid, part: AwsAuthPart, key: &str) -> EntryId {
    number(&[b"aws-auth", cluster.0.as_bytes(), part.as_str().as_bytes(), key.as_bytes()])
}

/// Of a cluster's break-glass identity, for one arming: `token_sha256` is that of the credential, in hex.
#[must_use]
pub fn break_glass_grant(cluster: ClusterUid, token_sha256: &str) -> EntryId {
    number(&[b"break-glass", cluster.0.as_bytes(), token_sha256.as_bytes()])
}

fn number(parts: &[&[u8]]) -> EntryId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    EntryId(Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immunity_12_the_number_of_a_grant_depends_on_all_that_makes_it() {
        let (here, there) = (ClusterUid::random(), ClusterUid::random());
        let arn = "arn:aws:iam::111122223333:role/dev";
        let all = [
            aws_auth_grant(here, AwsAuthPart::MapRoles, arn),
            aws_auth_grant(there, AwsAuthPart::MapRoles, arn),
            aws_auth_grant(here, AwsAuthPart::MapUsers, arn),
            aws_auth_grant(here, AwsAuthPart::MapRoles, "arn:aws:iam::111122223333:role/de"),
            break_glass_grant(here, arn),
            break_glass_grant(there, arn),
        ];
        let distinct: std::collections::HashSet<EntryId> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(aws_auth_grant(here, AwsAuthPart::MapRoles, arn), all[0]);
    }
}
