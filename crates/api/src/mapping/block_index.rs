//! Standing refusals, indexed for a look at each request.

use std::collections::HashMap;

use lanyard_iam::{AccessKeyId, AccountId, Ancestor, CanonicalArn, FoldedArn};

use super::blocks::{Block, BlockTarget};
use crate::{
    identity::Authority,
    ids::{BlockId, CertificateSha256},
};

/// The blocks of one scope. Without blocks a look costs nothing.
#[derive(Debug, Default)]
pub struct BlockIndex {
    principals: HashMap<(Authority, FoldedArn), BlockId>,
    accounts: HashMap<(Authority, AccountId), BlockId>,
    keys: HashMap<AccessKeyId, BlockId>,
    sessions: HashMap<(Authority, FoldedArn, String), BlockId>,
    oidc_issuers: HashMap<String, BlockId>,
    /// Issuer → subject → what blocks them.
    oidc_subjects: HashMap<String, HashMap<String, BlockId>>,
    certificates: HashMap<CertificateSha256, BlockId>,
}

/// Somebody, as blocks name people.
#[derive(Debug, Clone, Copy)]
pub struct Someone<'a> {
    /// Who vouches for them.
    pub authority: &'a Authority,
    /// Their account.
    pub account: AccountId,
    /// Without path for roles.
    pub canonical_arn: &'a CanonicalArn,
    /// The name of their session, where it is known.
    pub session_name: Option<&'a str>,
}

impl BlockIndex {
    /// Indexes the blocks of a scope.
    pub fn compile<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Self {
        let mut index = Self::default();
        for block in blocks {
            match block.target.clone() {
                BlockTarget::Principal { authority, canonical_arn } => {
                    index.principals.insert((authority, canonical_arn.folded()), block.id);
                }
                BlockTarget::Account { authority, account } => {
                    index.accounts.insert((authority, account), block.id);
                }
                BlockTarget::AccessKey { access_key_id } => {
                    index.keys.insert(access_key_id, block.id);
                }
                BlockTarget::Session { authority, canonical_arn, session_name } => {
                    index.sessions.insert((authority, canonical_arn.folded(), session_name), block.id);
                }
                BlockTarget::OidcIssuer { issuer } => {
                    index.oidc_issuers.insert(issuer, block.id);
                }
                BlockTarget::OidcSubject { issuer, subject } => {
                    index.oidc_subjects.entry(issuer).or_default().insert(subject, block.id);
                }
                BlockTarget::Certificate { sha256 } => {
                    index.certificates.insert(sha256, block.id);
                }
            }
        }
        index
    }

    /// The block on a key.
    pub fn on_key(&self, key: &AccessKeyId) -> Option<BlockId> {
        self.keys.get(key).copied()
    }

    /// The block on a client certificate.
    pub fn on_certificate(&self, sha256: &CertificateSha256) -> Option<BlockId> {
        self.certificates.get(sha256).copied()
    }

    /// The block on all of an OIDC issuer's people.
    pub fn on_oidc_issuer(&self, issuer: &str) -> Option<BlockId> {
        self.oidc_issuers.get(issuer).copied()
    }

    /// The block on one of them.
    pub fn on_oidc_subject(&self, issuer: &str, subject: &str) -> Option<BlockId> {
        self.oidc_subjects.get(issuer)?.get(subject).copied()
    }

    /// The block on an OIDC issuer, or on somebody whom it knows, that a session descends from.
    pub fn on_web_identities(&self, ancestors: &[String]) -> Option<BlockId> {
        if self.oidc_issuers.is_empty() && self.oidc_subjects.is_empty() {
            return None;
        }
        web_identities(ancestors).find_map(|(issuer, subject)| {
            self.on_oidc_issuer(&issuer).or_else(|| self.on_oidc_subject(&issuer, &subject))
        })
    }

    /// Whether [`BlockIndex::on`] finds a block on nobody at all.
    pub fn names_nobody(&self) -> bool {
        self.principals.is_empty() && self.accounts.is_empty() && self.sessions.is_empty()
    }

    /// The block on somebody, their account or their session.
    pub fn on(&self, who: &Someone<'_>) -> Option<BlockId> {
        if self.names_nobody() {
            return None;
        }
        let account = self.accounts.get(&(who.authority.clone(), who.account));
        let principal = || {
            let folded = (who.authority.clone(), who.canonical_arn.folded());
            self.principals.get(&folded).copied().or_else(|| {
                let session = who.session_name?.to_owned();
                self.sessions.get(&(folded.0, folded.1, session)).copied()
            })
        };
        account.copied().or_else(principal)
    }
}

/// Those of an OIDC issuer (issuer, subject) by whose token a session was made, from the names of its ancestors.
fn web_identities(ancestors: &[String]) -> impl Iterator<Item = (String, String)> {
    let providers = ancestors.iter().filter(|name| name.starts_with("provider/"));
    providers.filter_map(|name| match Ancestor::parse(name)? {
        Ancestor::Provider { issuer, subject, .. } => Some((issuer, subject)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::ids::Scope;

    const ROLE: &str = "arn:aws:iam::111122223333:role/Dev";

    fn block(target: BlockTarget) -> Block {
        Block {
            id: BlockId::random(),
            scope: Scope::Hub,
            target,
            reason: "left".to_owned(),
            created_by: "ana".to_owned(),
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn is_blocked(target: BlockTarget, authority: &Authority, arn: &str, session_name: Option<&str>) -> bool {
        let canonical_arn = CanonicalArn::parse(arn).unwrap();
        let account = AccountId::parse(arn.split(':').nth(4).unwrap()).unwrap();
        let block = block(target);
        let found = BlockIndex::compile([&block]).on(&Someone {
            authority,
            account,
            canonical_arn: &canonical_arn,
            session_name,
        });
        assert!(found.is_none_or(|id| id == block.id));
        found.is_some()
    }

    #[test]
    fn a_block_stops_whom_it_names_and_nobody_else() {
        let (aws, local) = (Authority::Aws, Authority::Local);
        let principal =
            || BlockTarget::Principal { authority: Authority::Aws, canonical_arn: ROLE.parse().unwrap() };
        let account = || BlockTarget::Account {
            authority: Authority::Aws,
            account: AccountId::parse("111122223333").unwrap(),
        };
        let session = || BlockTarget::Session {
            authority: Authority::Aws,
            canonical_arn: ROLE.parse().unwrap(),
            session_name: "ana".to_owned(),
        };
        let other = "arn:aws:iam::111122223333:role/Dev2";
        let cases = [
            ("principal", is_blocked(principal(), &aws, ROLE, Some("x")), true),
            (
                "principal, other letter case",
                is_blocked(principal(), &aws, &ROLE.replace("Dev", "DEV"), None),
                true,
            ),
            ("principal, other authority", is_blocked(principal(), &local, ROLE, None), false),
            ("principal, other role", is_blocked(principal(), &aws, other, None), false),
            ("account", is_blocked(account(), &aws, other, None), true),
            ("account, other authority", is_blocked(account(), &local, other, None), false),
            ("account, other number", is_blocked(account(), &aws, &ROLE.replace('1', "4"), None), false),
            ("session", is_blocked(session(), &aws, ROLE, Some("ana")), true),
            ("session, other letter case", is_blocked(session(), &aws, ROLE, Some("Ana")), false),
            ("session, none", is_blocked(session(), &aws, ROLE, None), false),
        ];
        for (what, found, expected) in cases {
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn a_block_on_a_key_is_found_by_the_key() {
        let key = AccessKeyId::parse("AKIAEXAMPLE123456789").unwrap();
        let block = block(BlockTarget::AccessKey { access_key_id: key.clone() });
        let index = BlockIndex::compile([&block]);
        assert_eq!(index.on_key(&key), Some(block.id));
        assert_eq!(index.on_key(&AccessKeyId::parse("AKIAEXAMPLE123456780").unwrap()), None);
    }
}
