//! What authn proves about a person or program, and what mapping makes of it.

mod parts;

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn, Partition, PrincipalArn};
use serde::{Deserialize, Serialize};

pub use parts::{IdentityPart, Standing};

use crate::{
    ids::{ClusterUid, IdentityProviderConfigId, InvalidName},
    proof::AUTHENTICATED_GROUP,
};

/// Longest name of a self-hosted STS.
const STS_NAME_CHARS_MAX: usize = 63;

/// Who vouches for the identities of an account. On a hub an account number has exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Authority {
    /// AWS, by its STS.
    Aws,
    /// Lanyard's own users, roles and keys.
    Local,
    /// One named self-hosted STS.
    Sts(String),
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => f.write_str("aws"),
            Self::Local => f.write_str("local"),
            Self::Sts(name) => write!(f, "sts:{name}"),
        }
    }
}

impl FromStr for Authority {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let name_is_good = |name: &str| {
            (1..=STS_NAME_CHARS_MAX).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match input {
            "aws" => Ok(Self::Aws),
            "local" => Ok(Self::Local),
            _ => match input.strip_prefix("sts:") {
                Some(name) if name_is_good(name) => Ok(Self::Sts(name.to_owned())),
                _ => Err(InvalidName {
                    what: "authority",
                    input: input.chars().take(80).collect(),
                    rule: "`aws`, `local`, or `sts:` and a name of lower-case letters, digits and `-`",
                }),
            },
        }
    }
}

impl TryFrom<String> for Authority {
    type Error = InvalidName;

    fn try_from(input: String) -> Result<Self, Self::Error> {
        input.parse()
    }
}

impl From<Authority> for String {
    fn from(authority: Authority) -> Self {
        authority.to_string()
    }
}

/// Who somebody is, as authn proved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are of the large kind, and are shared rather than moved"
)]
pub enum Identity {
    /// A principal of AWS or of the hub's own accounts.
    Aws(AwsIdentity),
    /// Somebody whom a configured OIDC issuer knows.
    Oidc(OidcIdentity),
}

impl Identity {
    /// Who it is, for people and records: the canonical ARN, or issuer and subject.
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::Aws(aws) => aws.canonical_arn.shared(),
            Self::Oidc(oidc) => oidc.name().into(),
        }
    }

    /// The identity of AWS kind, if it is one.
    pub fn aws(&self) -> Option<&AwsIdentity> {
        match self {
            Self::Aws(aws) => Some(aws),
            Self::Oidc(_) => None,
        }
    }
}

impl From<AwsIdentity> for Identity {
    fn from(aws: AwsIdentity) -> Self {
        Self::Aws(aws)
    }
}

impl From<OidcIdentity> for Identity {
    fn from(oidc: OidcIdentity) -> Self {
        Self::Oidc(oidc)
    }
}

/// Whom an OIDC issuer has issued a token to. All of it is verified; what the claims are worth is mapping's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcIdentity {
    /// The configuration that the token was verified by.
    pub config: IdentityProviderConfigId,
    /// The claim `iss`, which is the configured URL.
    pub issuer: String,
    /// The claim `sub`: who it is, for as long as the issuer lives.
    pub subject: String,
    /// The claims that the configuration names, as far as the token has them, and which of them it says that the issuer keeps elsewhere
    /// ([`CLAIM_NAMES`](crate::mapping::CLAIM_NAMES)).
    pub claims: BTreeMap<String, ClaimValue>,
}

impl OidcIdentity {
    /// `oidc:<issuer>#<subject>`: an issuer has no `#`, so that two persons never share it.
    pub fn name(&self) -> String {
        ["oidc:", &self.issuer, "#", &self.subject].concat()
    }
}

/// The value of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimValue {
    /// Text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// True or false.
    Flag(bool),
    /// Something that nothing can be mapped from: a number, an object.
    Other,
}

/// An identity of AWS kind, as its authority vouched for it.
///
/// Everything here is verified but the session name (and what it is part of, `arn`) and the session tags, which whoever assumed the
/// role chose, and what a federated user is called: [`Identity::parts`] says it of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsIdentity {
    /// Who vouches.
    pub authority: Authority,
    /// The account, verified.
    pub account: AccountId,
    /// The partition, verified.
    pub partition: Partition,
    /// `AIDA…`, `AROA…`, the account number for root: without the session name. Verified.
    pub principal_id: String,
    /// The whole ARN, session included.
    pub arn: PrincipalArn,
    /// The principal's ARN with the role session removed.
    pub canonical_arn: CanonicalArn,
    /// The path of the role or user where the authority tells it (local IAM does; STS leaves a role's out).
    pub principal_arn: Option<PrincipalArn>,
    /// Of a role session; chosen by the caller.
    pub session_name: Option<String>,
    /// Session tags; chosen by the caller.
    pub tags: BTreeMap<String, String>,
    /// The key that signed the token.
    pub access_key_id: AccessKeyId,
    /// A break-glass identity is a local principal of a kind reserved for it.
    pub kind: IdentityKind,
    /// Ancestors of a local role session (`key/<id>`, `certificate/<SHA-256>`, `user/<id>`, `role/<id>`; behind the role of a session
    /// `certificate/:<name>`): what a block or a deletion reaches. See [`lanyard_iam::Ancestor::names`].
    pub ancestors: Vec<String>,
    /// The users and roles among the ancestors, as blocks name them; in no order.
    pub kin: Vec<Kin>,
}

/// A local principal that a session descends from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kin {
    /// Its account.
    pub account: AccountId,
    /// Its canonical ARN; a role's is without the path.
    pub canonical_arn: CanonicalArn,
    /// The name of the role's session that made the next one; not known of a session that an older version made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
}

/// Ordinary, or the sealed way back in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// A user, role session, root or federated user.
    Ordinary,
    /// A cluster's break-glass identity.
    BreakGlass,
}

/// What Kubernetes takes along about somebody without looking at it. Most keys are ours, and known beforehand.
pub type Extra = BTreeMap<Cow<'static, str>, Vec<String>>;

/// What Kubernetes sees of somebody: the badge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The username.
    pub username: String,
    /// Stable over renames: `aws-iam-authenticator:<account>:<user id>`, `oidc:<issuer>#<subject>`.
    pub uid: String,
    /// Groups, without those the API server adds.
    pub groups: Vec<String>,
    /// Extra values: the ARN's parts and the proof. Keys are lower case.
    pub extra: Extra,
}

impl UserInfo {
    /// The same as an API server has them once they are let in: with the group that it adds to everybody, to which a cluster's RBAC
    /// gives something as a rule.
    #[must_use]
    pub fn let_in(mut self) -> Self {
        if !self.groups.iter().any(|group| group == AUTHENTICATED_GROUP) {
            self.groups.push(AUTHENTICATED_GROUP.to_owned());
        }
        self
    }
}

/// A value together with what proves that authn answered it.
///
/// In one process the voucher is empty: nobody stands between. Over the wire it is authn's MAC over the value, for one
/// cluster and one minute, so that a door carries an identity or an actor but cannot make one up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched<T> {
    /// What was answered.
    pub value: T,
    /// Opaque to doors; checked by the gRPC server of the service addressed.
    pub voucher: bytes::Bytes,
}

impl<T> Vouched<T> {
    /// A value that stays in this process.
    pub fn in_process(value: T) -> Self {
        Self { value, voucher: bytes::Bytes::new() }
    }
}

/// A (authority, account) pair that a cluster lets in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedAccount {
    /// Who vouches for it.
    pub authority: Authority,
    /// The account.
    pub account: AccountId,
}

/// Who performs a management call, as admitted by authn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Who.
    pub kind: ActorKind,
    /// The action that was admitted, such as `eks:CreateAccessEntry`.
    pub action: String,
    /// The resource's ARN that it was admitted for.
    pub resource: String,
    /// SHA-256 of the request's bytes, so that the admission fits one request alone.
    #[serde(with = "hex_digest")]
    pub request_digest: [u8; 32],
    /// The signature of a mutation, which counts once.
    pub signature: Option<SignatureUse>,
    /// The statement that allowed it, for the audit line.
    pub allowed_by: String,
}

/// The kinds of actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActorKind {
    /// A principal of an account, with the account its names resolve in.
    Principal {
        /// Its authority.
        authority: Authority,
        /// Its whole ARN, session included.
        arn: PrincipalArn,
        /// Its unique id.
        principal_id: String,
        /// What a role session made by it descends from and inherits.
        lineage: Box<Lineage>,
        /// The policy of its session, as the JSON given: for the one call that asks for it, so that all others carry no more than they
        /// need.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_policy: Option<String>,
    },
    /// A spoke cluster, by its certificate: its own aws-auth, RBAC, ServiceAccounts and keys alone.
    Spoke {
        /// Which.
        cluster: ClusterUid,
    },
    /// A node of a cluster, by the projected token of its agent: it vends to its own pods, and does nothing else.
    Node {
        /// Of which cluster.
        cluster: ClusterUid,
        /// What it is called there, which the token proves.
        name: String,
    },
    /// Lanyard itself: first start, pinning, break-glass.
    System {
        /// Why it acts.
        purpose: String,
    },
}

/// What a role session made by an actor descends from and inherits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The key that signed the call; none where a certificate's did.
    pub access_key_id: Option<AccessKeyId>,
    /// The actor's own ancestors if it is a role session, the nearest first: `key/<id>`, `user/<id>`, `role/<id>`,
    /// behind the role of a session `certificate/:<name>`; and the `certificate/<SHA-256>` that the actor, or whoever the session descends from, has shown.
    pub ancestors: Vec<String>,
    /// Its transitive session tags.
    pub transitive_tags: BTreeMap<String, String>,
    /// Its source identity.
    pub source_identity: Option<String>,
    /// How many roles were assumed on the way to it: 0 for a user.
    pub chain_depth: u8,
}

impl Actor {
    /// Lanyard itself.
    pub fn system(purpose: &str) -> Self {
        Self {
            kind: ActorKind::System { purpose: purpose.to_owned() },
            action: String::from("lanyard:System"),
            resource: String::from("*"),
            request_digest: [0; 32],
            signature: None,
            allowed_by: String::from("system"),
        }
    }

    /// The account that its names resolve in; none for spokes, nodes and the system.
    pub fn account(&self) -> Option<AccountId> {
        match &self.kind {
            ActorKind::Principal { arn, .. } => Some(arn.account),
            ActorKind::Spoke { .. } | ActorKind::Node { .. } | ActorKind::System { .. } => None,
        }
    }

    /// How audit lines and lists name it.
    pub fn name(&self) -> String {
        match &self.kind {
            ActorKind::Principal { arn, .. } => arn.to_string(),
            ActorKind::Spoke { cluster } => format!("spoke:{cluster}"),
            ActorKind::Node { cluster, name } => format!("node:{cluster}/{name}"),
            ActorKind::System { purpose } => format!("system:{purpose}"),
        }
    }
}

/// One use of a signature: its digest, and until when a second arrival has to be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureUse {
    /// SHA-256 of the signature with its key id and hub id.
    #[serde(with = "hex_digest")]
    pub digest: [u8; 32],
    /// After this moment the signature is too old anyway.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: time::OffsetDateTime,
}

mod hex_digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(digest: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(digest))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest).map_err(|_| D::Error::custom("not 64 hex digits"))?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_let_in_is_in_the_group_of_all_once() {
        for groups in [vec![], vec!["devs"], vec!["devs", AUTHENTICATED_GROUP]] {
            let groups = groups.into_iter().map(str::to_owned).collect();
            let user = UserInfo { groups, ..UserInfo::default() }.let_in();
            let count = user.groups.iter().filter(|group| *group == AUTHENTICATED_GROUP).count();
            assert_eq!((count, user.clone().let_in()), (1, user));
        }
    }
}
