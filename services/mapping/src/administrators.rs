//! Who is an administrator by which source: the rows that the store's lockout guard counts. They are written in the
//! transaction of whatever changes them.
//!
//! Who can never be given a username is none. Whether such a principal could log in now (its keys, blocks on it, the account's
//! trust, the mode) the store joins in itself, so none of that is asked here.

use std::collections::{BTreeMap, HashSet};

use lanyard_api::{
    Authority, EntryId, Scope,
    access_policies::{AccessPolicies, CLUSTER_ADMIN_POLICY},
    aws_auth::{AwsAuth, AwsAuthLine, AwsAuthPart},
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, AwsAuthStatus, AwsAuthVersion, Cluster,
        IdentityProviderConfig, PolicyAssociation,
    },
    template::{Placeholder, Template},
};
use lanyard_iam::{AccountId, CanonicalArn, FoldedArn, PrincipalArn};
use lanyard_store::{Administrator, AdministratorSource, Record as _, StoreError, Transaction};

use crate::{
    key,
    resolution::{can_be_named, counts_aws_auth, counts_entries},
    rules::{issuers::Issuers, sure},
};

/// By which rules the rows are made. Counted up where other principals are administrators than before, so that the rows of before are
/// made anew at the next start (`engine::recount`).
pub(crate) const RULES: u32 = 1;

/// Whether an association makes administrators.
pub(crate) fn makes_administrator(association: &PolicyAssociation) -> bool {
    association.scope == AccessScope::Cluster
        && association.policy_arn.rsplit_once('/').is_some_and(|(_, name)| name == CLUSTER_ADMIN_POLICY)
}

/// The issuers of a cluster, as the transaction sees them.
pub(crate) async fn issuers_of(tx: &mut Transaction, scope: Scope) -> Result<Issuers, StoreError> {
    let configs: Vec<IdentityProviderConfig> = tx.list(scope).await?;
    Ok(Issuers::of(configs.iter().map(|config| &config.settings)))
}

/// Whether what a template becomes is, or may be, a name of an issuer's people, so that each login by it is refused. `canonical` is the
/// principal's ARN.
fn is_taken(username: &Template, account: AccountId, canonical: &CanonicalArn, issuers: &Issuers) -> bool {
    let filled = || sure::filled(username.as_str(), account, Some(canonical.as_str()));
    !username.is_literal() && issuers.taking(&filled()).is_some()
}

/// The row of an entry, given its association with the administrator's policy. Whoever a rule picks is nobody in particular, who
/// may not exist, so that only an entry that means one principal counts; and none that waits to be pinned.
fn of_entry(
    entry: &AccessEntry,
    association: &PolicyAssociation,
    issuers: &Issuers,
) -> Option<Administrator> {
    if entry.pin_until.is_some() && entry.principal_id.is_none() {
        return None;
    }
    let canonical_arn = key::one_of(&entry.principal_arn)?;
    let username = Template::parse(&entry.username).ok()?;
    let principal = PrincipalArn::parse(canonical_arn.as_str()).ok()?;
    if !can_be_named(&username, &principal) || is_taken(&username, principal.account, &canonical_arn, issuers)
    {
        return None;
    }
    let ends_at = match (entry.ends_at, association.ends_at) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Some(Administrator {
        cluster: entry.cluster,
        source: AdministratorSource::Entry(entry.id),
        authority: entry.authority.clone(),
        account: entry.principal_arn.account(),
        canonical_arn,
        principal_id: entry.principal_id.clone(),
        ends_at,
    })
}

/// Puts or removes the row of one entry, by whether it has the administrator's policy now.
pub(crate) async fn sync_entry(tx: &mut Transaction, entry: &AccessEntry) -> Result<(), StoreError> {
    let scope = Scope::Cluster(entry.cluster);
    let source = AdministratorSource::Entry(entry.id).to_string();
    let association = tx.get::<PolicyAssociation>(scope, &administrator_key(entry)).await?;
    let association = association.filter(makes_administrator);
    let issuers = match &association {
        Some(_) => issuers_of(tx, scope).await?,
        None => Issuers::default(),
    };
    match association.and_then(|association| of_entry(entry, &association, &issuers)) {
        Some(row) => tx.put(&row).await,
        None => tx.delete::<Administrator>(scope, &source).await.map(drop),
    }
}

/// Makes all rows of a cluster anew. An issuer came or went, and with it the usernames by which nobody else gets in; or the rules are
/// others than those that the rows were made by.
pub(crate) async fn sync_cluster(tx: &mut Transaction, cluster: &Cluster) -> Result<(), StoreError> {
    let scope = Scope::Cluster(cluster.uid);
    let associations: Vec<PolicyAssociation> = tx.list(scope).await?;
    let administering: HashSet<EntryId> = associations
        .iter()
        .filter(|association| makes_administrator(association))
        .map(|association| association.entry)
        .collect();
    if !administering.is_empty() {
        let entries: Vec<AccessEntry> = tx.list(scope).await?;
        for entry in entries.iter().filter(|entry| administering.contains(&entry.id)) {
            sync_entry(tx, entry).await?;
        }
    }
    if !counts_aws_auth(cluster.authentication_mode) {
        return Ok(());
    }
    let auth = in_force(tx, cluster).await?;
    sync_aws_auth(tx, cluster, &auth).await
}

/// The key under which an entry's association with the administrator's policy is stored, if it has it.
fn administrator_key(entry: &AccessEntry) -> String {
    let policy = AccessPolicies::arn_of(CLUSTER_ADMIN_POLICY, entry.principal_arn.partition());
    format!("{}/{policy}", entry.id)
}

/// Makes the rows of aws-auth be those of this map: its lines that give `system:masters`, but for principals with an entry
/// where entries count, for an entry wins over aws-auth entirely.
pub(crate) async fn sync_aws_auth(
    tx: &mut Transaction,
    cluster: &Cluster,
    auth: &AwsAuth,
) -> Result<(), StoreError> {
    let scope = Scope::Cluster(cluster.uid);
    let mut wanted = BTreeMap::new();
    if auth.lines.iter().any(AwsAuthLine::gives_masters) {
        let issuers = issuers_of(tx, scope).await?;
        let entries: Vec<AccessEntry> =
            if counts_entries(cluster.authentication_mode) { tx.list(scope).await? } else { Vec::new() };
        let taken: Vec<Box<str>> = entries.iter().filter_map(principal_key).collect();
        let several: Vec<&AccessEntry> =
            entries.iter().filter(|entry| entry.principal_arn.one().is_none()).collect();
        let is_meant = |row: &Administrator| {
            several.iter().any(|entry| {
                entry.authority == row.authority && entry.principal_arn.means(row.canonical_arn.as_str())
            })
        };
        let by_role: HashSet<FoldedArn> = auth
            .lines
            .iter()
            .filter(|line| line.part == AwsAuthPart::MapRoles)
            .map(AwsAuthLine::key)
            .collect();
        // Roles go before users, whichever of the two an ARN is of.
        let counts =
            |line: &AwsAuthLine| line.part == AwsAuthPart::MapRoles || !by_role.contains(&line.key());
        for line in auth.lines.iter().filter(|line| line.gives_masters() && counts(line)) {
            if let Some(row) = of_line(cluster, line, &issuers)
                && !taken.contains(&key::principal_owned(&row.authority, row.canonical_arn.as_str()))
                && !is_meant(&row)
            {
                wanted.insert(row.key(), row);
            }
        }
    }
    let rows: Vec<Administrator> = tx.list(scope).await?;
    for row in rows.iter().filter(|row| matches!(row.source, AdministratorSource::AwsAuth(_))) {
        if !wanted.contains_key(&row.key()) {
            tx.delete::<Administrator>(scope, &row.key()).await?;
        }
    }
    for row in wanted.values() {
        tx.put(row).await?;
    }
    Ok(())
}

fn principal_key(entry: &AccessEntry) -> Option<Box<str>> {
    let arn = entry.principal_arn.one()?;
    Some(key::principal_owned(&entry.authority, key::known_as(arn).as_str()))
}

/// The same after an entry came or went: its principal's line counts or does not.
pub(crate) async fn sync_shadow(tx: &mut Transaction, cluster: &Cluster) -> Result<(), StoreError> {
    if cluster.authentication_mode != AuthenticationMode::ApiAndConfigMap {
        return Ok(());
    }
    let auth = in_force(tx, cluster).await?;
    sync_aws_auth(tx, cluster, &auth).await
}

/// The aws-auth in force, as the transaction sees it.
pub(crate) async fn in_force(tx: &mut Transaction, cluster: &Cluster) -> Result<AwsAuth, StoreError> {
    let versions: Vec<AwsAuthVersion> = tx.list(Scope::Cluster(cluster.uid)).await?;
    let newest = versions.iter().rev().find(|version| version.status == AwsAuthStatus::Accepted);
    Ok(newest.map(|version| AwsAuth::of_accepted(&version.content).auth).unwrap_or_default())
}

/// Whether a line's principal could be let in by it. Nodes do not count: which machines there are the guard does not ask,
/// and none of them gives a cluster back to its people.
fn lets_in(principal: &PrincipalArn, line: &AwsAuthLine) -> bool {
    let names_node =
        |template: &Template| template.placeholders().any(|one| one == Placeholder::Ec2PrivateDnsName);
    can_be_named(&line.username, principal)
        && line.lacks().is_none()
        && !line.is_for_nodes()
        && !line.templates().any(names_node)
}

/// The row of a line; none for an account that the cluster does not trust, for nobody of it gets in.
fn of_line(cluster: &Cluster, line: &AwsAuthLine, issuers: &Issuers) -> Option<Administrator> {
    let principal = PrincipalArn::parse(line.arn.as_str()).ok()?;
    let canonical_arn = CanonicalArn::of(&principal);
    if !lets_in(&principal, line) || is_taken(&line.username, principal.account, &canonical_arn, issuers) {
        return None;
    }
    let authority: &Authority = &cluster
        .trusted_accounts
        .iter()
        .find(|pair| pair.account == principal.account && principal.partition == cluster.partition)?
        .authority;
    Some(Administrator {
        cluster: cluster.uid,
        source: AdministratorSource::AwsAuth(line.path()),
        authority: authority.clone(),
        account: principal.account,
        canonical_arn,
        principal_id: None,
        ends_at: None,
    })
}
