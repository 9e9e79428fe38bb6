//! The lockout guard: no write takes a cluster from some live administrators to none, and no block takes itself from those who
//! might lift it, unless it says so.

mod lifting;
mod people;

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{ClusterUid, Scope};
use lanyard_iam::AccountId;
use time::OffsetDateTime;

pub(crate) use lifting::LiftGuard;
use people::{Gates, People};

use crate::{
    error::{LockedOut, StoreError},
    kind::Kind,
    sql::{Connection, Value},
};

/// The clusters that have a live administrator. Parameters: `$1` the moment, `$2` one cluster alone, or empty.
///
/// Live is who could log in now. The source counts: a line of aws-auth where the mode reads it, an entry where the mode does,
/// while it has the cluster administrator's policy, neither has ended, and nobody else has knocked under its ARN; where no
/// username can be made for the principal, mapping writes no row. Nothing blocks the principal or its account, in the cluster,
/// all clusters of its account, or the hub. The account is registered with that authority and the cluster trusts it. A local
/// user has an active key that is not blocked. A local role exists; who might assume it [`People`] finds out: it comes with its
/// account and name, and with the account of the cluster. Of other authorities' principals nothing more is known.
const LIVE: &str = "\
SELECT DISTINCT a.cluster, c.account,
CASE WHEN a.authority = 'local' AND a.principal_kind = 'role' THEN a.account ELSE '' END,
CASE WHEN a.authority = 'local' AND a.principal_kind = 'role' THEN a.principal_name ELSE '' END
FROM administrators a
JOIN clusters c ON c.uid = a.cluster
JOIN cluster_trusts t ON t.cluster = a.cluster AND t.authority = a.authority AND t.account = a.account
JOIN accounts n ON n.id = a.account AND n.authority = a.authority AND n.partition_name = a.partition_name
LEFT JOIN access_entries e ON e.cluster = a.cluster AND e.id = a.entry
WHERE ($2 = '' OR a.cluster = $2)
AND (a.ends_at IS NULL OR a.ends_at > $1)
AND (
    (a.entry IS NULL AND c.authentication_mode <> 'API')
    OR (
        a.entry IS NOT NULL AND c.authentication_mode <> 'CONFIG_MAP' AND (e.ends_at IS NULL OR e.ends_at > $1)
        AND EXISTS (
            SELECT 1 FROM policy_associations p
            WHERE p.cluster = a.cluster AND p.entry = a.entry AND p.policy_name = 'AmazonEKSClusterAdminPolicy'
            AND p.is_cluster_wide = 1 AND (p.ends_at IS NULL OR p.ends_at > $1)
        )
        AND NOT EXISTS (SELECT 1 FROM stale_entries s WHERE s.cluster = a.cluster AND s.entry = a.entry)
    )
)
AND NOT EXISTS (
    SELECT 1 FROM blocks b
    WHERE (b.scope = 'hub' OR b.cluster = a.cluster OR b.account = c.account) AND b.target_authority = a.authority
    AND (
        (b.target_kind = 'principal' AND b.target_arn_folded = a.arn_folded)
        OR (b.target_kind = 'account' AND b.target_account = a.account)
    )
)
AND (
    a.authority <> 'local'
    OR (
        a.principal_kind = 'user' AND EXISTS (
            SELECT 1 FROM users u JOIN access_keys k ON k.account = u.account AND k.user_name = u.name
            WHERE u.account = a.account AND u.name_folded = a.principal_name AND LOWER(u.path) = a.principal_path
            AND (a.principal_id IS NULL OR a.principal_id = u.principal_id) AND k.active = 1
            AND NOT EXISTS (
                SELECT 1 FROM blocks b WHERE b.target_kind = 'access_key' AND b.target_access_key = k.id
                AND (b.scope = 'hub' OR b.cluster = a.cluster OR b.account = c.account)
            )
        )
    )
    OR (
        a.principal_kind = 'role' AND EXISTS (
            SELECT 1 FROM iam_roles r WHERE r.account = a.account AND r.name_folded = a.principal_name
            AND (a.principal_id IS NULL OR a.principal_id = r.principal_id)
        )
    )
)";

/// What a transaction does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Insert,
    Put,
    Delete,
}

/// Whether a write may make or unmake a live administrator.
pub(crate) fn is_weighed(kind: Kind, write: Write) -> bool {
    match kind {
        Kind::Account
        | Kind::Cluster
        | Kind::User
        | Kind::AccessKey
        | Kind::IamRole
        // An identity policy lets its owner assume a role, or denies it.
        | Kind::InlinePolicy
        | Kind::PolicyAssociation
        | Kind::Administrator => true,
        // A new entry has no policy yet; the end of a block locks nobody out.
        Kind::AccessEntry => write != Write::Insert,
        Kind::Block => write != Write::Delete,
        Kind::SpokeCredential
        | Kind::SpokeKubeconfig
        | Kind::AwsAuthVersion
        | Kind::Node
        | Kind::BreakGlass
        | Kind::RbacObject
        | Kind::ServiceAccount
        | Kind::WorkloadIssuer
        | Kind::HostedIssuer
        | Kind::PodIdentityAssociation
        | Kind::ClusterUpdate
        // It is written when it has happened already: to refuse it would make no administrator of who is none.
        | Kind::StaleEntry
        // Nobody of an issuer is an administrator that the guard counts.
        | Kind::IdentityProviderConfig
        // Which role an instance gets is EC2's to say, and no way to become an administrator that the guard counts.
        | Kind::InstanceProfile
        | Kind::OidcProvider
        | Kind::Setting => false,
    }
}

/// The guard of one transaction: which clusters had a live administrator before its first write that is weighed.
pub(crate) struct Guard {
    now: OffsetDateTime,
    /// One cluster alone, or empty: accounts and the hub reach them all.
    cluster: String,
    /// What the transaction writes in.
    scopes: Vec<Scope>,
    before: BTreeSet<String>,
}

impl Guard {
    /// Waits for every other transaction that is weighed, and looks.
    ///
    /// Two that each leave one administrator could leave none together; so the guard's row is locked, always after the scopes,
    /// and until the end.
    pub(crate) async fn begin(
        connection: &mut Connection,
        now: OffsetDateTime,
        scopes: impl Iterator<Item = Scope>,
    ) -> Result<Self, StoreError> {
        connection.execute("UPDATE guards SET name = name WHERE name = 'lockout'", []).await?;
        let scopes: Vec<_> = scopes.collect();
        let cluster = match scopes.as_slice() {
            [Scope::Cluster(uid)] => uid.to_string(),
            _ => String::new(),
        };
        let before = live(connection, now, &cluster).await?;
        Ok(Self { now, cluster, scopes, before })
    }

    /// The clusters that had a live administrator and have none now, still exist, and are not marked to allow it. One of the actor's own
    /// account is told by name where the call is about it: whoever may change a user need not know of the clusters behind, and what one
    /// may not describe does not exist, in errors too.
    pub(crate) async fn locked_out(
        &self,
        connection: &mut Connection,
        own: Option<AccountId>,
    ) -> Result<Vec<LockedOut>, StoreError> {
        const CLUSTER: &str = "SELECT id, account FROM clusters WHERE uid = $1 AND allows_lockout = 0";
        let after = live_among(connection, self.now, &self.cluster, Some(&self.before)).await?;
        let mut clusters = Vec::new();
        for uid in self.before.difference(&after) {
            if let Some(line) = connection.fetch_one(CLUSTER, [uid.as_str().into()]).await? {
                let broken =
                    |_| StoreError::Broken(format!("cluster `{uid}` has an id or account that is none"));
                let cluster: ClusterUid = uid.parse().map_err(broken)?;
                let id = line.text(0)?.parse().map_err(broken)?;
                let account = line.text(1)?.parse();
                let account = account
                    .map_err(|_| StoreError::Broken(format!("cluster `{uid}` has no good account")))?;
                let is_told = own == Some(account) && self.scopes.contains(&Scope::Cluster(cluster));
                clusters.push(LockedOut { cluster, id, account, is_told });
            }
        }
        Ok(clusters)
    }
}

/// The clusters that have a live administrator; of one alone where one is given.
pub(crate) async fn live(
    connection: &mut Connection,
    now: OffsetDateTime,
    cluster: &str,
) -> Result<BTreeSet<String>, StoreError> {
    live_among(connection, now, cluster, None).await
}

/// The same. Of clusters that are not among those asked about it is not found out who could assume a role.
async fn live_among(
    connection: &mut Connection,
    now: OffsetDateTime,
    cluster: &str,
    asked: Option<&BTreeSet<String>>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut live = BTreeSet::new();
    let mut by_roles: BTreeMap<String, Vec<RoleOfCluster>> = BTreeMap::new();
    for line in connection.fetch(LIVE, [Value::moment(now), cluster.into()]).await? {
        let (cluster, role_account) = (line.text(0)?, line.text(2)?);
        if role_account.is_empty() {
            live.insert(cluster);
        } else {
            let role =
                RoleOfCluster { of_cluster: line.text(1)?, account: role_account, name: line.text(3)? };
            by_roles.entry(cluster).or_default().push(role);
        }
    }
    by_roles
        .retain(|cluster, _| !live.contains(cluster) && asked.is_none_or(|asked| asked.contains(cluster)));
    if by_roles.is_empty() {
        return Ok(live);
    }
    let mut people = People::load(connection, now).await?;
    for (cluster, roles) in by_roles {
        for role in roles {
            if role.is_live(&mut people, &cluster).await? {
                live.insert(cluster);
                break;
            }
        }
    }
    Ok(live)
}

/// A local role that is a cluster's administrator, as the query tells it.
struct RoleOfCluster {
    of_cluster: String,
    account: String,
    name: String,
}

impl RoleOfCluster {
    /// Whether somebody could log in by it now.
    async fn is_live(&self, people: &mut People<'_>, cluster: &str) -> Result<bool, StoreError> {
        let broken = |_| StoreError::Broken(format!("cluster `{cluster}` has an administrator that is none"));
        let gates = Gates {
            cluster: Some(cluster.parse().map_err(broken)?),
            accounts: BTreeSet::from([account(&self.of_cluster)?]),
        };
        let Some(role) = people.role(account(&self.account)?, &self.name).await? else { return Ok(false) };
        people.can_act(&role, &gates).await
    }
}

fn account(text: &str) -> Result<AccountId, StoreError> {
    text.parse().map_err(|_| StoreError::Broken(format!("account `{text}` has no good number")))
}
