//! A scenario as it is written.

use std::collections::BTreeMap;

use lanyard_api::{
    authz::{Attributes, ResourceAttributes},
    mapping::{AuthenticationMode, AuthorizerMode, EntryType},
};
use serde::Deserialize;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What it shows, in a sentence.
    pub(super) about: String,
    #[serde(default)]
    pub(super) cluster: ClusterText,
    #[serde(default)]
    pub(super) people: BTreeMap<String, PersonText>,
    #[serde(default)]
    pub(super) aws_auth: Option<String>,
    #[serde(default)]
    pub(super) rbac: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// The cluster of account 111122223333; both that and 444455556666 are local accounts that it trusts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ClusterText {
    pub(super) authorizer: Option<AuthorizerMode>,
    pub(super) mode: Option<AuthenticationMode>,
}

/// A local user of account 111122223333 with an active key; by default with an access entry under their own name.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PersonText {
    /// A name or template; what it becomes for this person.
    pub(super) username: Option<String>,
    pub(super) becomes: Option<String>,
    pub(super) groups: Vec<String>,
    /// Access policy → namespaces; none of them is the cluster.
    pub(super) policies: BTreeMap<String, Vec<String>>,
    #[serde(rename = "type")]
    pub(super) entry_type: Option<EntryType>,
    pub(super) ends_in_seconds: Option<i64>,
    /// They come as a session of this name.
    pub(super) session: Option<String>,
    /// Mapped by this part of aws-auth, and without an entry: `mapUsers` or `mapAccounts`.
    pub(super) by: Option<String>,
}

/// What happens next.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Step {
    Ask(Ask),
    /// A fresh proof, of the badge that the person has now.
    LogIn(String),
    /// The entry of a person, whole.
    Entry {
        of: String,
        username: Option<String>,
        groups: Vec<String>,
    },
    DeleteEntry(String),
    /// Makes an entry for somebody whom aws-auth maps.
    MakeEntry {
        of: String,
        username: String,
        groups: Vec<String>,
    },
    Policy {
        of: String,
        policy: String,
        namespaces: Option<Vec<String>>,
        ends_in_seconds: Option<i64>,
    },
    DropPolicy {
        of: String,
        policy: String,
    },
    Block {
        of: String,
        by: BlockedBy,
        at: BlockedAt,
    },
    LiftBlocks,
    Key {
        of: String,
        active: bool,
    },
    DeleteUser(String),
    AwsAuth(String),
    Rbac(String),
    /// Binds a session of somebody's.
    Node {
        of: String,
        session: String,
        name: String,
    },
    DropNode(String),
    Mode(AuthenticationMode),
    Authorizer(AuthorizerMode),
    TrustNobody,
    Wait {
        seconds: i64,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BlockedBy {
    Principal,
    Account,
    Key,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BlockedAt {
    Hub,
    Account,
    Cluster,
}

/// A question and its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// One of the people, with their proof; or a bare name.
    #[serde(rename = "as")]
    pub(super) who: String,
    /// Groups of a bare name; of a person, those that they claim besides.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Bears the proof of this person, whoever asks.
    #[serde(default)]
    pub(super) proof_of: Option<String>,
    /// `get pods/log web in dev-1`, `list deployments.apps`, `get /metrics`.
    what: String,
    #[serde(default)]
    pub(super) full: bool,
    /// `allow`, `deny` or `no_opinion`.
    pub(super) expect: String,
    /// The whole text of the reason.
    pub(super) because: String,
    /// Parts of hints that must be there; where some are given, an explanation is asked for.
    #[serde(default)]
    pub(super) hints: Vec<String>,
}

impl Ask {
    pub(super) fn attributes(&self) -> Attributes {
        let (asked, namespace) = self.what.split_once(" in ").unwrap_or((&self.what, ""));
        let mut words = asked.split(' ');
        let (verb, what, name) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
        assert_eq!(words.next(), None, "{}", self.what);
        if what.starts_with('/') {
            return Attributes::NonResource { path: what.into(), verb: verb.into() };
        }
        let (kind, subresource) = what.split_once('/').unwrap_or((what, ""));
        let (resource, group) = kind.split_once('.').unwrap_or((kind, ""));
        Attributes::Resource(ResourceAttributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..ResourceAttributes::default()
        })
    }
}
