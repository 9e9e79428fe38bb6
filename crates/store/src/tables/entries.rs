//! Access entries, policy associations and blocks.

use lanyard_api::{
    Authority, ClusterUid, EntryId, Scope,
    mapping::{AccessEntry, AccessScope, Block, BlockTarget, PolicyAssociation},
};
use lanyard_iam::{AccountId, CanonicalArn, PrincipalArn};

use super::principal::{FoldedPrincipal, known_as};
use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record},
    sql::{Connection, Value},
    store::Store,
};

impl Record for AccessEntry {
    const KIND: Kind = Kind::AccessEntry;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.principal_arn.to_string()
    }
}

impl Columns for AccessEntry {
    fn columns(&self) -> Vec<Value> {
        vec![
            self.authority.to_string().into(),
            // What names several is its own text.
            match self.principal_arn.one() {
                Some(arn) => known_as(arn).as_str().into(),
                None => self.principal_arn.to_string().into(),
            },
            Value::moment_or_none(self.ends_at),
        ]
    }
}

/// Whether a cluster has an entry for one principal alone, whose name is told from this one's by letter case at most, and whose path,
/// of a role, by anything: whoever logs in is known by neither.
pub(crate) async fn has_entry_for(
    connection: &mut Connection,
    cluster: ClusterUid,
    authority: &Authority,
    principal: &PrincipalArn,
) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM access_entries \
                         WHERE cluster = $1 AND authority = $2 AND lower(canonical_arn) = $3";
    let folded = known_as(principal).folded();
    let values = [cluster.to_string().into(), authority.to_string().into(), folded.as_str().into()];
    Ok(connection.number(COUNT, values).await? > 0)
}

/// How many access policies an entry has.
pub(crate) async fn policies_of_entry(
    connection: &mut Connection,
    cluster: ClusterUid,
    entry: EntryId,
) -> Result<u64, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM policy_associations WHERE cluster = $1 AND entry = $2";
    let count = connection.number(COUNT, [cluster.to_string().into(), entry.to_string().into()]).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

impl Store {
    /// The clusters of an account, so many at most, that have an entry for one principal alone: as it is known once it logs in.
    /// An entry that is written in other letter case is not found. For explanations; no request waits for it.
    ///
    /// # Errors
    /// When the database does not answer, or holds something else.
    pub async fn clusters_with_entry_for(
        &self,
        account: AccountId,
        authority: &Authority,
        canonical: &CanonicalArn,
        most: u64,
    ) -> Result<Vec<ClusterUid>, StoreError> {
        const SELECT: &str = "SELECT c.uid FROM clusters c JOIN access_entries e ON e.cluster = c.uid \
                              WHERE c.account = $1 AND e.authority = $2 AND e.canonical_arn = $3 \
                              ORDER BY c.uid LIMIT $4";
        let values = [
            account.to_string().into(),
            authority.to_string().into(),
            canonical.as_str().into(),
            Value::number(most),
        ];
        let lines = self.read().await?.fetch(SELECT, values).await?;
        let uid = |text: String| {
            text.parse::<ClusterUid>()
                .map_err(|error| StoreError::Broken(format!("`{text}` is no cluster's uid: {error}")))
        };
        lines.iter().map(|line| uid(line.text(0)?)).collect()
    }
}

impl Record for PolicyAssociation {
    const KIND: Kind = Kind::PolicyAssociation;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        format!("{}/{}", self.entry, self.policy_arn)
    }

    fn name(&self) -> String {
        self.policy_arn.clone()
    }
}

impl Columns for PolicyAssociation {
    fn columns(&self) -> Vec<Value> {
        let name = self.policy_arn.rsplit_once('/').map_or(self.policy_arn.as_str(), |(_, name)| name);
        vec![
            self.entry.to_string().into(),
            name.into(),
            matches!(self.scope, AccessScope::Cluster).into(),
            Value::moment_or_none(self.ends_at),
        ]
    }
}

impl Record for Block {
    const KIND: Kind = Kind::Block;

    fn scope(&self) -> Scope {
        self.scope
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Columns for Block {
    fn columns(&self) -> Vec<Value> {
        let (account, cluster) = match self.scope {
            Scope::Hub => (None, None),
            Scope::Account(id) => (Some(id.to_string()), None),
            Scope::Cluster(uid) => (None, Some(uid.to_string())),
        };
        let target = Target::of(&self.target);
        vec![
            Value::Text(account),
            Value::Text(cluster),
            target.kind.into(),
            Value::Text(target.authority),
            Value::Text(target.account),
            Value::Text(target.arn),
            Value::Text(target.access_key),
            Value::Text(target.session),
            Value::Text(target.issuer),
            Value::Text(target.subject),
            Value::Text(target.certificate),
        ]
    }
}

/// A block's target, spread over its columns.
#[derive(Default)]
struct Target {
    kind: &'static str,
    authority: Option<String>,
    account: Option<String>,
    arn: Option<String>,
    access_key: Option<String>,
    session: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    certificate: Option<String>,
}

impl Target {
    fn of(target: &BlockTarget) -> Self {
        match target {
            BlockTarget::Principal { authority, canonical_arn } => Self {
                kind: "principal",
                authority: Some(authority.to_string()),
                arn: Some(FoldedPrincipal::of(canonical_arn).arn),
                ..Self::default()
            },
            BlockTarget::Account { authority, account } => Self {
                kind: "account",
                authority: Some(authority.to_string()),
                account: Some(account.to_string()),
                ..Self::default()
            },
            BlockTarget::AccessKey { access_key_id } => {
                Self { kind: "access_key", access_key: Some(access_key_id.to_string()), ..Self::default() }
            }
            BlockTarget::Session { authority, canonical_arn, session_name } => Self {
                kind: "session",
                authority: Some(authority.to_string()),
                arn: Some(FoldedPrincipal::of(canonical_arn).arn),
                session: Some(session_name.clone()),
                ..Self::default()
            },
            BlockTarget::OidcSubject { issuer, subject } => Self {
                kind: "oidc_subject",
                issuer: Some(issuer.clone()),
                subject: Some(subject.clone()),
                ..Self::default()
            },
            BlockTarget::OidcIssuer { issuer } => {
                Self { kind: "oidc_issuer", issuer: Some(issuer.clone()), ..Self::default() }
            }
            BlockTarget::Certificate { sha256 } => {
                Self { kind: "certificate", certificate: Some(sha256.to_string()), ..Self::default() }
            }
        }
    }
}
