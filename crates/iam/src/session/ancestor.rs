//! What a session descends from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::wire;
use crate::arn::is_session_name;
use crate::id::{AccessKeyId, AccountId, PrincipalId};

/// Longest name of an authority, association, issuer or subject, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// Something that a session descends from. When it is gone, or made anew, the session is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ancestor {
    /// The key that signed the request; in a chain also the keys of the sessions before.
    #[serde(rename = "k")]
    AccessKey(AccessKeyId),
    /// A user, by unique id.
    #[serde(rename = "u")]
    User(PrincipalId),
    /// A role, by unique id.
    #[serde(rename = "r")]
    Role(PrincipalId),
    /// The session of a role that made the next one: a block may name it, and it is there while its role is. A token has it as two,
    /// and so have names that services tell each other ([`Self::names`]).
    #[serde(skip)]
    RoleSession {
        /// The role, by unique id.
        role: PrincipalId,
        /// The session's name.
        name: String,
    },
    /// An OIDC provider of an account, and the subject it vouched for.
    #[serde(rename = "p")]
    Provider {
        /// The provider's account.
        #[serde(rename = "a")]
        account: AccountId,
        /// The provider's number: one that is made again for the same issuer has another.
        #[serde(rename = "i")]
        id: String,
        /// The issuer, as its tokens write it.
        #[serde(rename = "u")]
        issuer: String,
        /// The subject.
        #[serde(rename = "s")]
        subject: String,
    },
    /// A Pod Identity association of the cluster that is an ancestor too.
    #[serde(rename = "a")]
    Association {
        /// Its id: one that is made again for the same ServiceAccount has another.
        #[serde(rename = "i")]
        id: String,
        /// The cluster's revision that it was read at: whoever's state is older cannot say that it is gone.
        #[serde(rename = "v")]
        revision: u64,
    },
    /// A cluster, by its uid.
    #[serde(rename = "c")]
    Cluster(String),
    /// The client certificate whose key signed the request, by the SHA-256 of its bytes in hex.
    #[serde(rename = "x")]
    Certificate(String),
    /// The registration of an account whose principals another authority keeps.
    #[serde(rename = "n")]
    Account {
        /// Its number.
        #[serde(rename = "a")]
        account: AccountId,
        /// When it was registered, in nanoseconds of Unix time: one that is registered anew has another moment.
        #[serde(rename = "t")]
        registered_nanoseconds: i64,
    },
}

impl Ancestor {
    /// What stands before the name of a session that is written in a certificate's place: no certificate begins with it.
    pub const SESSION: char = ':';

    /// The names of what a session descends from, as services tell them to each other: for a session of a role `role/<id>`, and then
    /// `certificate/:<name>`. The version before reads and hands on these two, as it does in a token.
    #[must_use]
    pub fn names(ancestors: &[Self]) -> Vec<String> {
        wire::written(ancestors.to_vec()).iter().map(Self::to_string).collect()
    }

    /// Reads [`Self::names`]. None where one of them is no name.
    #[must_use]
    pub fn parse_names(names: &[String]) -> Option<Vec<Self>> {
        let ancestors: Option<Vec<Self>> = names.iter().map(|name| Self::parse(name)).collect();
        ancestors.map(wire::read)
    }

    /// Reads what [`fmt::Display`] writes: `key/<id>`, `user/<id>`, `role/<id>`, `role/<id>:<session>`, `association/<id>/<revision>`,
    /// `cluster/<uid>`, `certificate/<SHA-256>`, `account/<number>/<nanoseconds>`, and `provider/<account>/<id> <issuer> <subject>`.
    /// None for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        Some(match kind {
            "key" => Self::AccessKey(AccessKeyId::parse(id).ok()?),
            "user" => Self::User(PrincipalId::parse(id).ok()?),
            "role" => match id.split_once(':') {
                None => Self::Role(PrincipalId::parse(id).ok()?),
                Some((role, name)) if is_session_name(name) => {
                    Self::RoleSession { role: PrincipalId::parse(role).ok()?, name: name.to_owned() }
                }
                Some(_) => return None,
            },
            "association" => {
                let (id, revision) = id.split_once('/')?;
                Self::Association { id: id.to_owned(), revision: revision.parse().ok()? }
            }
            "cluster" => Self::Cluster(id.to_owned()),
            "certificate" => Self::Certificate(id.to_owned()),
            "account" => {
                let (account, moment) = id.split_once('/')?;
                let registered_nanoseconds = moment.parse().ok()?;
                Self::Account { account: AccountId::parse(account).ok()?, registered_nanoseconds }
            }
            "provider" => {
                let (account, rest) = id.split_once('/')?;
                // An issuer's URL has no blanks; a subject may.
                let mut parts = rest.splitn(3, ' ').map(str::to_owned);
                let (id, issuer, subject) = (parts.next()?, parts.next()?, parts.next()?);
                Self::Provider { account: AccountId::parse(account).ok()?, id, issuer, subject }
            }
            _ => return None,
        })
    }

    pub(super) fn is_bounded(&self) -> bool {
        match self {
            Self::AccessKey(_) | Self::User(_) | Self::Role(_) | Self::Account { .. } => true,
            Self::RoleSession { role: _, name } => is_session_name(name),
            Self::Provider { account: _, id, issuer, subject } => {
                [id, issuer, subject].into_iter().all(|text| is_short(text))
                    && !id.contains([' ', '/'])
                    && !issuer.contains(' ')
            }
            Self::Association { id, revision: _ } => is_short(id) && !id.contains('/'),
            Self::Cluster(id) | Self::Certificate(id) => is_short(id),
        }
    }
}

/// As people read it; in a row that services tell each other a role's session has two names ([`Ancestor::names`]).
impl fmt::Display for Ancestor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessKey(key) => write!(f, "key/{key}"),
            Self::User(id) => write!(f, "user/{id}"),
            Self::Role(id) => write!(f, "role/{id}"),
            Self::RoleSession { role, name } => write!(f, "role/{role}:{name}"),
            Self::Provider { account, id, issuer, subject } => {
                write!(f, "provider/{account}/{id} {issuer} {subject}")
            }
            Self::Association { id, revision } => write!(f, "association/{id}/{revision}"),
            Self::Cluster(uid) => write!(f, "cluster/{uid}"),
            Self::Certificate(sha256) => write!(f, "certificate/{sha256}"),
            Self::Account { account, registered_nanoseconds } => {
                write!(f, "account/{account}/{registered_nanoseconds}")
            }
        }
    }
}

pub(super) fn is_short(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Services of both versions are about while a hub is brought to the next.
    #[test]
    fn a_service_of_the_version_before_reads_each_name_and_takes_the_role_for_one() {
        let role = || PrincipalId::parse("AROAX").unwrap();
        let session = || Ancestor::RoleSession { role: role(), name: "ci-17".to_owned() };
        let shown = || Ancestor::Certificate("0aff".to_owned());
        let names = Ancestor::names(&[session(), Ancestor::Role(role()), shown()]);
        assert_eq!(names, ["role/AROAX", "certificate/:ci-17", "role/AROAX", "certificate/0aff"]);
        assert_eq!(Ancestor::parse_names(&names), Some(vec![session(), Ancestor::Role(role()), shown()]));
        let each: Vec<Ancestor> = names.iter().map(|name| Ancestor::parse(name).unwrap()).collect();
        let handed_on = [
            Ancestor::Role(role()),
            Ancestor::Certificate(":ci-17".to_owned()),
            Ancestor::Role(role()),
            shown(),
        ];
        assert_eq!(each, handed_on);
        let as_one = ["role/AROAX:ci-17".to_owned()];
        assert_eq!(Ancestor::parse_names(&as_one), Some(vec![session()]));
        assert_eq!(Ancestor::parse_names(&["role/AROAX".to_owned(), "nobody/x".to_owned()]), None);
    }

    #[test]
    fn ancestors_read_back_what_identities_write() {
        let written = [
            "key/LKIAAAAAAAAAAAAAAAAA",
            "user/AIDAAAAAAAAAAAAAAAAAA",
            "role/AROAAAAAAAAAAAAAAAAAA",
            "role/AROAAAAAAAAAAAAAAAAAA:ana@example.com",
            "certificate/0aff",
            "cluster/0b1c",
            "association/a-1/17",
            "account/111122223333/1790000000000000001",
            "provider/111122223333/0b1c https://issuer.example/realms/a sub with/blank s",
        ];
        for text in written {
            let ancestor = Ancestor::parse(text).unwrap();
            assert_eq!(ancestor.to_string(), text);
        }
        for bad in [
            "",
            "key",
            "key/",
            "nobody/x",
            "role/AROAX:",
            "role/AROAX:a",
            "role/AROAX:a b",
            "role/AROAX:ana:bob",
            "role/:ana",
            "association/a-1",
            "association/a-1/x",
            "provider/1/x y z",
            "provider/111122223333/x y",
            "provider/111122223333",
        ] {
            assert_eq!(Ancestor::parse(bad), None, "{bad}");
        }
    }
}
