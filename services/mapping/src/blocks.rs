//! Standing refusals, compiled for lookup.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use lanyard_api::{
    Authority, BlockId, Kin, OidcIdentity,
    mapping::{Block, BlockTarget},
};
use lanyard_iam::{AccountId, Ancestor, CanonicalArn};

use crate::{key, knock::Knock};

/// The blocks of one scope.
#[derive(Debug, Default)]
pub(crate) struct BlockSet {
    principals: Map,
    accounts: Map,
    access_keys: Map,
    /// Role → its blocked sessions, by name.
    sessions: HashMap<Box<str>, BlockedSessions, RandomState>,
    oidc_issuers: Map,
    /// Issuer → its blocked subjects.
    oidc_subjects: HashMap<Box<str>, BlockedSessions, RandomState>,
    /// By fingerprint, as ancestors write it.
    certificates: Map,
}

/// The names of sessions or subjects, with what blocks them.
type BlockedSessions = Vec<(Box<str>, BlockId)>;

type Map = HashMap<Box<str>, BlockId, RandomState>;

impl BlockSet {
    pub(crate) fn compile<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Self {
        let mut set = Self::default();
        for block in blocks {
            match &block.target {
                BlockTarget::Principal { authority, canonical_arn } => {
                    set.principals
                        .insert(key::principal_owned(authority, path_less(canonical_arn).as_str()), block.id);
                }
                BlockTarget::Account { authority, account } => {
                    set.accounts.insert(key::principal_owned(authority, account.as_str()), block.id);
                }
                BlockTarget::AccessKey { access_key_id } => {
                    set.access_keys.insert(access_key_id.as_str().into(), block.id);
                }
                BlockTarget::Session { authority, canonical_arn, session_name } => {
                    let role = key::principal_owned(authority, path_less(canonical_arn).as_str());
                    set.sessions.entry(role).or_default().push((session_name.as_str().into(), block.id));
                }
                BlockTarget::OidcIssuer { issuer } => {
                    set.oidc_issuers.insert(issuer.as_str().into(), block.id);
                }
                BlockTarget::OidcSubject { issuer, subject } => {
                    let subjects = set.oidc_subjects.entry(issuer.as_str().into()).or_default();
                    subjects.push((subject.as_str().into(), block.id));
                }
                BlockTarget::Certificate { sha256 } => {
                    set.certificates.insert(sha256.to_string().into(), block.id);
                }
            }
        }
        set
    }

    /// The block that stops them, if any does.
    pub(crate) fn find(&self, knock: &Knock<'_>) -> Option<BlockId> {
        self.account(knock)
            .or_else(|| self.key(knock))
            .or_else(|| self.principal(knock))
            .or_else(|| self.session(knock))
            .or_else(|| self.kin(knock))
            .or_else(|| self.certificate(knock))
            .or_else(|| self.web_identity(knock))
    }

    /// The block that stops somebody of an OIDC issuer, or all of its people; byte for byte.
    pub(crate) fn find_oidc(&self, identity: &OidcIdentity) -> Option<BlockId> {
        self.on_subject(&identity.issuer, &identity.subject)
    }

    fn on_subject(&self, issuer: &str, subject: &str) -> Option<BlockId> {
        let of_issuer = || {
            let of_issuer = self.oidc_subjects.get(issuer)?;
            of_issuer.iter().find(|(blocked, _)| **blocked == *subject).map(|(_, id)| *id)
        };
        self.oidc_issuers.get(issuer).copied().or_else(of_issuer)
    }

    /// The block on somebody of an OIDC issuer by whose token the session was made.
    fn web_identity(&self, knock: &Knock<'_>) -> Option<BlockId> {
        if self.oidc_issuers.is_empty() && self.oidc_subjects.is_empty() {
            return None;
        }
        let mut providers = knock.ancestors.iter().filter(|ancestor| ancestor.starts_with("provider/"));
        providers.find_map(|ancestor| match Ancestor::parse(ancestor)? {
            Ancestor::Provider { issuer, subject, .. } => self.on_subject(&issuer, &subject),
            _ => None,
        })
    }

    fn account(&self, knock: &Knock<'_>) -> Option<BlockId> {
        self.on_account(knock.authority, knock.account)
    }

    fn on_account(&self, authority: &Authority, account: AccountId) -> Option<BlockId> {
        if self.accounts.is_empty() {
            return None;
        }
        key::principal(authority, account.as_str(), |key| self.accounts.get(key).copied())
    }

    fn on_principal(&self, authority: &Authority, canonical: &CanonicalArn) -> Option<BlockId> {
        if self.principals.is_empty() {
            return None;
        }
        key::principal(authority, canonical.as_str(), |key| self.principals.get(key).copied())
    }

    /// The block on somebody whom the session descends from, on their account, or on their session that made the next one.
    fn kin(&self, knock: &Knock<'_>) -> Option<BlockId> {
        knock.kin.iter().find_map(|Kin { account, canonical_arn, session_name }| {
            self.on_account(&Authority::Local, *account)
                .or_else(|| self.on_principal(&Authority::Local, canonical_arn))
                .or_else(|| self.on_session(&Authority::Local, canonical_arn, session_name.as_deref()))
        })
    }

    fn key(&self, knock: &Knock<'_>) -> Option<BlockId> {
        if self.access_keys.is_empty() {
            return None;
        }
        let own = knock.access_key_id.map(lanyard_iam::AccessKeyId::as_str);
        let origins = knock.ancestors.iter().filter_map(|ancestor| ancestor.strip_prefix("key/"));
        own.into_iter().chain(origins).find_map(|key| self.access_keys.get(key).copied())
    }

    /// The block on a certificate that the session was made with.
    fn certificate(&self, knock: &Knock<'_>) -> Option<BlockId> {
        if self.certificates.is_empty() {
            return None;
        }
        let mut shown = knock.ancestors.iter().filter_map(|ancestor| ancestor.strip_prefix("certificate/"));
        shown.find_map(|sha256| self.certificates.get(sha256).copied())
    }

    fn principal(&self, knock: &Knock<'_>) -> Option<BlockId> {
        self.on_principal(knock.authority, knock.canonical)
    }

    fn session(&self, knock: &Knock<'_>) -> Option<BlockId> {
        self.on_session(knock.authority, knock.canonical, knock.session_name)
    }

    fn on_session(
        &self,
        authority: &Authority,
        canonical: &CanonicalArn,
        name: Option<&str>,
    ) -> Option<BlockId> {
        let name = name.filter(|_| !self.sessions.is_empty())?;
        key::principal(authority, canonical.as_str(), |key| {
            self.sessions.get(key)?.iter().find(|(blocked, _)| **blocked == *name).map(|(_, id)| *id)
        })
    }
}

/// A block may have been written with a role's path; nobody knocks with it.
fn path_less(arn: &CanonicalArn) -> CanonicalArn {
    lanyard_iam::PrincipalArn::parse(arn.as_str())
        .map_or_else(|_| arn.clone(), |principal| key::known_as(&principal))
}

#[cfg(test)]
mod tests {
    use lanyard_api::Scope;
    use lanyard_iam::AccessKeyId;
    use time::OffsetDateTime;

    use super::*;

    fn block(target: BlockTarget) -> Block {
        Block {
            id: BlockId::random(),
            scope: Scope::Hub,
            target,
            reason: String::from("test"),
            created_by: String::new(),
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_block_stops_whom_it_names_and_nobody_else() {
        let (aws, local) = (Authority::Aws, Authority::Local);
        let arn = |text: &str| text.parse::<CanonicalArn>().unwrap();
        let key = |text: &str| AccessKeyId::parse(text).unwrap();
        let dev = arn("arn:aws:iam::111122223333:role/Dev");
        let (mine, other) = (key("LKIAMINEMINEMINEMINE"), key("LKIAOTHEROTHEROTHERO"));
        let certificate = |byte: &str| BlockTarget::Certificate { sha256: byte.repeat(32).parse().unwrap() };
        let shown = format!("certificate/{}", "0a".repeat(32));
        let by_token = String::from("provider/111122223333/0b1c https://ci.example repo:a/b c");
        let ancestors = vec![String::from("user/AIDAX"), format!("key/{mine}"), shown, by_token];
        let issuer = |issuer: &str| BlockTarget::OidcIssuer { issuer: issuer.to_owned() };
        let subject = |issuer: &str, subject: &str| BlockTarget::OidcSubject {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        };
        let kin_of = |text: &str, session_name: Option<&str>| Kin {
            account: "777788889999".parse().unwrap(),
            canonical_arn: arn(text),
            session_name: session_name.map(str::to_owned),
        };
        let kin = [
            kin_of("arn:aws:iam::777788889999:user/team/ana", None),
            kin_of("arn:aws:iam::777788889999:role/ci", Some("run-17")),
        ];
        let knock = Knock {
            authority: &aws,
            partition: lanyard_iam::Partition::Aws,
            account: "111122223333".parse().unwrap(),
            principal_id: Some("AROAX"),
            canonical: &dev,
            session_name: Some("ana"),
            access_key_id: Some(&other),
            ancestors: &ancestors,
            kin: &kin,
        };
        let principal = |authority: &Authority, text: &str| BlockTarget::Principal {
            authority: authority.clone(),
            canonical_arn: arn(text),
        };
        let account = |authority: &Authority, id: &str| BlockTarget::Account {
            authority: authority.clone(),
            account: id.parse().unwrap(),
        };
        let session_of = |authority: &Authority, text: &str, name: &str| BlockTarget::Session {
            authority: authority.clone(),
            canonical_arn: arn(text),
            session_name: name.to_owned(),
        };
        let session = |text: &str, name: &str| session_of(&aws, text, name);
        let before = "arn:aws:iam::777788889999:role/CI";
        let cases = [
            (principal(&aws, "arn:aws:iam::111122223333:role/dev"), true),
            (principal(&aws, "arn:aws:iam::111122223333:role/team/Dev"), true),
            (principal(&local, "arn:aws:iam::111122223333:role/Dev"), false),
            (principal(&aws, "arn:aws:iam::111122223333:user/Dev"), false),
            (principal(&aws, "arn:aws:iam::444455556666:role/Dev"), false),
            (account(&aws, "111122223333"), true),
            (account(&local, "111122223333"), false),
            (account(&aws, "444455556666"), false),
            (BlockTarget::AccessKey { access_key_id: other.clone() }, true),
            (BlockTarget::AccessKey { access_key_id: mine.clone() }, true),
            (BlockTarget::AccessKey { access_key_id: key("LKIATHIRDTHIRDTHIRDT") }, false),
            (issuer("https://ci.example"), true),
            (issuer("https://ci.example/"), false),
            (subject("https://ci.example", "repo:a/b c"), true),
            (subject("https://ci.example", "repo:a/b"), false),
            (subject("https://other.example", "repo:a/b c"), false),
            (certificate("0A"), true),
            (certificate("0b"), false),
            (session("arn:aws:iam::111122223333:role/dev", "ana"), true),
            (session("arn:aws:iam::111122223333:role/dev", "Ana"), false),
            (session("arn:aws:iam::111122223333:role/ops", "ana"), false),
            (principal(&local, "arn:aws:iam::777788889999:user/Team/ana"), true),
            (principal(&aws, "arn:aws:iam::777788889999:user/team/ana"), false),
            (principal(&local, "arn:aws:iam::777788889999:user/ana"), false),
            (account(&local, "777788889999"), true),
            (account(&aws, "777788889999"), false),
            (session_of(&local, before, "run-17"), true),
            (session_of(&local, before, "Run-17"), false),
            (session_of(&local, before, "ana"), false),
            (session_of(&aws, before, "run-17"), false),
        ];
        for (target, stops) in cases {
            let block = block(target);
            let found = BlockSet::compile([&block]).find(&knock);
            assert_eq!(found, stops.then_some(block.id), "{:?}", block.target);
        }
        assert_eq!(BlockSet::default().find(&knock), None);
    }

    #[test]
    fn immunity_15_a_block_on_an_issuer_or_subject_stops_these_very_bytes() {
        let who = OidcIdentity {
            config: lanyard_api::IdentityProviderConfigId::random(),
            issuer: "https://okta.example".to_owned(),
            subject: "ana".to_owned(),
            claims: Default::default(),
        };
        let subject = |issuer: &str, subject: &str| BlockTarget::OidcSubject {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        };
        let issuer = |issuer: &str| BlockTarget::OidcIssuer { issuer: issuer.to_owned() };
        let cases = [
            (subject("https://okta.example", "ana"), true),
            (subject("https://okta.example", "Ana"), false),
            (subject("https://okta.example", "ana "), false),
            (subject("https://okta.example/", "ana"), false),
            (subject("https://dex.example", "ana"), false),
            (issuer("https://okta.example"), true),
            (issuer("https://Okta.example"), false),
            (issuer("https://okta.example/"), false),
        ];
        for (target, stops) in cases {
            let block = block(target);
            let found = BlockSet::compile([&block]).find_oidc(&who);
            assert_eq!(found, stops.then_some(block.id), "{:?}", block.target);
        }
        assert_eq!(BlockSet::default().find_oidc(&who), None);
    }
}
