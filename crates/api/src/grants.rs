//! The numbers of grants that have none of their own.
//!
//! A proof names the grant that it stands on by number. An access entry has one; a line of aws-auth, an identity-provider
//! configuration and an armed break-glass credential get theirs from what makes them what they are, so that mapping, which mints, and authz, which
//! looks the grant up, come to the same one.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    aws_auth::AwsAuthPart,
    ids::{ClusterUid, EntryId},
    mapping::IdentityProviderConfig,
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

/// Of an identity-provider configuration: of all that decides whose tokens it takes and which claims they are known by. So a
/// configuration in which one of these is another is another grant. Prefixes are not among them: authz sees what they give.
#[must_use]
pub fn identity_provider_grant(config: &IdentityProviderConfig) -> EntryId {
    let settings = &config.settings;
    let mut parts: Vec<&[u8]> = vec![
        b"identity-provider",
        config.cluster.0.as_bytes(),
        config.id.0.as_bytes(),
        settings.issuer_url.as_bytes(),
        settings.client_id.as_bytes(),
        settings.username_claim().as_bytes(),
        settings.groups_claim.as_deref().unwrap_or_default().as_bytes(),
        if settings.email_verified_may_be_absent { b"may be absent" } else { b"required" },
    ];
    for (claim, value) in &settings.required_claims {
        parts.extend([claim.as_bytes(), value.as_bytes()]);
    }
    number(&parts)
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

    #[test]
    fn immunity_12_the_number_of_a_configuration_depends_on_all_that_decides_who_gets_in() {
        use crate::{IdentityProviderConfigId, mapping::IdentityProviderSettings};
        let text = |text: &str| text.to_owned();
        let config = IdentityProviderConfig {
            id: IdentityProviderConfigId::random(),
            cluster: ClusterUid::random(),
            settings: IdentityProviderSettings {
                name: text("okta"),
                issuer_url: text("https://okta.example"),
                client_id: text("kubernetes"),
                username_claim: None,
                username_prefix: None,
                groups_claim: None,
                groups_prefix: None,
                required_claims: Default::default(),
                shared_audience: false,
                ca_bundle_pem: None,
                email_verified_may_be_absent: false,
                tags: Default::default(),
            },
            created_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        let changed = |change: &dyn Fn(&mut IdentityProviderConfig)| {
            let mut other = config.clone();
            change(&mut other);
            identity_provider_grant(&other)
        };
        let same = identity_provider_grant(&config);
        assert_eq!(changed(&|other| drop(other.settings.tags.insert(text("team"), text("a")))), same);
        assert_eq!(changed(&|other| other.settings.groups_prefix = Some(text("okta:"))), same);
        let others = [
            changed(&|other| other.id = IdentityProviderConfigId::random()),
            changed(&|other| other.cluster = ClusterUid::random()),
            changed(&|other| other.settings.issuer_url.push('/')),
            changed(&|other| other.settings.client_id.push('2')),
            changed(&|other| other.settings.username_claim = Some(text("email"))),
            changed(&|other| other.settings.groups_claim = Some(text("groups"))),
            changed(&|other| other.settings.email_verified_may_be_absent = true),
            changed(&|other| drop(other.settings.required_claims.insert(text("hd"), text("example.com")))),
            changed(&|other| drop(other.settings.required_claims.insert(text("hdexample"), text(".com")))),
        ];
        let distinct: std::collections::HashSet<EntryId> = others.iter().copied().chain([same]).collect();
        assert_eq!(distinct.len(), others.len() + 1);
    }
}
