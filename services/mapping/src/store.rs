//! The snapshots, kept up with the store. Beside the engine's transactions this is the only place that knows how rows are
//! stored.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use lanyard_api::{
    Basis, ClusterUid, EntryId, Fault, Revision, Scope,
    authn::accounts::{Account, IamRole, User},
    aws_auth::{AwsAuth, Checked},
    mapping::{
        AccessEntry, AwsAuthStatus, AwsAuthVersion, Block, BreakGlass, Cluster, ClusterDirectory,
        IdentityProviderConfig, Node, PolicyAssociation, SpokeCredential, SpokeKubeconfig,
    },
};
use lanyard_iam::AccountId;
use lanyard_kit::telemetry::names;
use lanyard_store::{Change, Followed, Follower, Kind, Model, Row, StaleEntry, Store, StoreError};
use tokio::sync::watch;

use crate::{
    config::Memory,
    hub::HubSnapshot,
    principals::AccountSnapshot,
    snapshot::{AssociationsByEntry, ClusterSnapshot, Entry, InForce, Parts},
};

/// The state that mapping answers from.
pub(crate) struct State {
    hub: Followed<HubModel>,
    accounts: Followed<AccountModel>,
    clusters: Followed<ClusterModel>,
    directory: Arc<DirectoryFeed>,
}

impl State {
    /// Loads the hub, and follows it.
    pub(crate) async fn open(store: &Store, memory: &Memory) -> Result<Self, StoreError> {
        let hub = Followed::new(store, HubModel, 1);
        let directory = Arc::new(DirectoryFeed::new(hub.clone()));
        // Behind the hub's own: when the feed hears of a change, the snapshot has it.
        store.follow(Arc::clone(&directory) as Arc<dyn Follower>);
        let state = Self {
            accounts: Followed::new(store, AccountModel, memory.accounts_max),
            clusters: Followed::new(store, ClusterModel, memory.clusters_max),
            hub,
            directory,
        };
        state.hub.get(Scope::Hub).await?;
        state.directory.publish();
        Ok(state)
    }

    pub(crate) async fn hub(&self) -> Result<Arc<HubSnapshot>, Fault> {
        self.hub.get(Scope::Hub).await.map_err(fault)
    }

    /// A cluster's three scopes, each with the revision that it is true of: the hub, the account that the hub says is the
    /// cluster's, and its own. None where the hub has no such cluster.
    pub(crate) async fn view(&self, uid: ClusterUid) -> Result<Option<View>, Fault> {
        let (hub, hub_at) = self.hub.get_at(Scope::Hub).await.map_err(fault)?;
        let Some(cluster) = hub.clusters.get(&uid).cloned() else { return Ok(None) };
        let account = self.accounts.get_at(Scope::Account(cluster.account)).await.map_err(fault)?;
        let own = self.clusters.get_at(Scope::Cluster(uid)).await.map_err(fault)?;
        let basis = Basis { hub: hub_at, account: account.1, cluster: own.1 };
        Ok(Some(View { hub, cluster, account: account.0, snapshot: own.0, basis }))
    }

    pub(crate) async fn account(&self, id: AccountId) -> Result<Arc<AccountSnapshot>, Fault> {
        self.accounts.get(Scope::Account(id)).await.map_err(fault)
    }

    pub(crate) async fn cluster(&self, uid: ClusterUid) -> Result<Arc<ClusterSnapshot>, Fault> {
        self.clusters.get(Scope::Cluster(uid)).await.map_err(fault)
    }

    /// A cluster's snapshot if it is in memory: for looks at other clusters, which load few.
    pub(crate) fn cluster_in_memory(&self, uid: ClusterUid) -> Option<Arc<ClusterSnapshot>> {
        self.clusters.peek(Scope::Cluster(uid))
    }

    pub(crate) fn directory(&self) -> watch::Receiver<Arc<ClusterDirectory>> {
        self.directory.sender.subscribe()
    }
}

/// What a question about one cluster is answered from.
pub(crate) struct View {
    pub(crate) hub: Arc<HubSnapshot>,
    pub(crate) cluster: Arc<Cluster>,
    /// Of the cluster's own account.
    pub(crate) account: Arc<AccountSnapshot>,
    pub(crate) snapshot: Arc<ClusterSnapshot>,
    /// What they are true of.
    pub(crate) basis: Basis,
}

fn fault(error: StoreError) -> Fault {
    tracing::error!(error = %error, "a snapshot could not be loaded");
    Fault::from(error)
}

/// Hands the gateway a new directory after each change of the hub.
struct DirectoryFeed {
    hub: Followed<HubModel>,
    sender: watch::Sender<Arc<ClusterDirectory>>,
    /// Keeps the order: what is sent last is the newest.
    turn: RwLock<()>,
}

impl DirectoryFeed {
    fn new(hub: Followed<HubModel>) -> Self {
        Self { hub, sender: watch::Sender::default(), turn: RwLock::new(()) }
    }

    fn publish(&self) {
        let _turn = self.turn.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = self.hub.peek(Scope::Hub) {
            self.sender.send_if_modified(|directory| {
                let newer =
                    !Arc::ptr_eq(directory, &hub.directory) && hub.directory.revision >= directory.revision;
                if newer {
                    *directory = Arc::clone(&hub.directory);
                    // A gauge is a float, which is exact up to 2^53.
                    metrics::gauge!(names::DIRECTORY_REVISION).set(directory.revision.0 as f64);
                }
                newer
            });
        }
    }
}

impl Follower for DirectoryFeed {
    fn apply(&self, changes: &[Change]) {
        if changes.iter().any(|change| change.scope == Scope::Hub) {
            self.publish();
        }
    }
}

/// Hub rows → [`HubSnapshot`].
pub(crate) struct HubModel;

/// The hub's rows, read.
#[derive(Default)]
pub(crate) struct HubRows {
    accounts: BTreeMap<String, Account>,
    clusters: BTreeMap<String, Arc<Cluster>>,
    credentials: BTreeMap<String, SpokeCredential>,
    kubeconfigs: BTreeMap<String, SpokeKubeconfig>,
    blocks: BTreeMap<String, Block>,
}

impl Model for HubModel {
    type Rows = HubRows;
    type Snapshot = HubSnapshot;
    const KINDS: &'static [Kind] =
        &[Kind::Account, Kind::Cluster, Kind::SpokeCredential, Kind::SpokeKubeconfig, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<HubRows, StoreError> {
        let mut read = HubRows::default();
        for row in rows {
            match row.kind {
                Kind::Account => drop(read.accounts.insert(row.key.clone(), row.decode()?)),
                Kind::Cluster => drop(read.clusters.insert(row.key.clone(), Arc::new(row.decode()?))),
                Kind::SpokeCredential => drop(read.credentials.insert(row.key.clone(), row.decode()?)),
                Kind::SpokeKubeconfig => drop(read.kubeconfigs.insert(row.key.clone(), row.decode()?)),
                Kind::Block => drop(read.blocks.insert(row.key.clone(), row.decode()?)),
                _ => {}
            }
        }
        Ok(read)
    }

    fn apply(&self, rows: &mut HubRows, change: &Change) -> Result<(), StoreError> {
        let key = change.key.clone();
        match change.kind {
            Kind::Account => set(&mut rows.accounts, key, change.after()?),
            Kind::Cluster => set(&mut rows.clusters, key, change.after()?.map(Arc::new)),
            Kind::SpokeCredential => set(&mut rows.credentials, key, change.after()?),
            Kind::SpokeKubeconfig => set(&mut rows.kubeconfigs, key, change.after()?),
            Kind::Block => set(&mut rows.blocks, key, change.after()?),
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &HubRows, revision: Revision) -> HubSnapshot {
        HubSnapshot::compile(
            revision,
            rows.accounts.values(),
            rows.clusters.values(),
            rows.credentials.values(),
            rows.kubeconfigs.values(),
            rows.blocks.values(),
        )
    }
}

/// Account rows → [`AccountSnapshot`].
pub(crate) struct AccountModel;

/// An account's rows, read.
#[derive(Default)]
pub(crate) struct AccountRows {
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, IamRole>,
    blocks: BTreeMap<String, Block>,
}

impl Model for AccountModel {
    type Rows = AccountRows;
    type Snapshot = AccountSnapshot;
    const KINDS: &'static [Kind] = &[Kind::User, Kind::IamRole, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<AccountRows, StoreError> {
        let mut read = AccountRows::default();
        for row in rows {
            match row.kind {
                Kind::User => drop(read.users.insert(row.key.clone(), row.decode()?)),
                Kind::IamRole => drop(read.roles.insert(row.key.clone(), row.decode()?)),
                Kind::Block => drop(read.blocks.insert(row.key.clone(), row.decode()?)),
                _ => {}
            }
        }
        Ok(read)
    }

    fn apply(&self, rows: &mut AccountRows, change: &Change) -> Result<(), StoreError> {
        let key = change.key.clone();
        match change.kind {
            Kind::User => set(&mut rows.users, key, change.after()?),
            Kind::IamRole => set(&mut rows.roles, key, change.after()?),
            Kind::Block => set(&mut rows.blocks, key, change.after()?),
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &AccountRows, _: Revision) -> AccountSnapshot {
        AccountSnapshot::compile(rows.users.values(), rows.roles.values(), rows.blocks.values())
    }
}

/// Cluster rows → [`ClusterSnapshot`].
pub(crate) struct ClusterModel;

/// A cluster's rows, read, with what is costly to compile compiled once.
#[derive(Default)]
pub(crate) struct ClusterRows {
    entries: BTreeMap<String, Arc<Entry>>,
    associations: AssociationsByEntry,
    stale: BTreeMap<String, StaleEntry>,
    versions: BTreeMap<String, Arc<AwsAuthVersion>>,
    in_force: Option<Arc<InForce>>,
    nodes: BTreeMap<String, Node>,
    blocks: BTreeMap<String, Block>,
    break_glass: Option<BreakGlass>,
    identity_providers: BTreeMap<String, Arc<IdentityProviderConfig>>,
}

impl ClusterRows {
    /// The newest accepted version counts.
    fn compile_aws_auth(&mut self) {
        let newest = self.versions.values().rev().find(|version| version.status == AwsAuthStatus::Accepted);
        let unchanged = match (newest, &self.in_force) {
            (Some(newest), Some(in_force)) => newest.version == in_force.version,
            (None, None) => true,
            _ => false,
        };
        if !unchanged {
            self.in_force = newest.map(|version| Arc::new(in_force(version)));
        }
    }

    /// Puts an association in its place, or takes it away: its key is its entry's number and its policy's ARN. All others stay shared with
    /// the snapshots that have them.
    fn associate(&mut self, key: &str, association: Option<PolicyAssociation>) -> Result<(), StoreError> {
        let parts = key.split_once('/').and_then(|(entry, arn)| Some((entry.parse::<EntryId>().ok()?, arn)));
        let (entry, policy_arn) =
            parts.ok_or_else(|| StoreError::Broken(format!("`{key}` is no policy association's key")))?;
        let of_entry = Arc::make_mut(self.associations.entry(entry).or_default());
        of_entry.retain(|one| one.policy_arn != policy_arn);
        if let Some(association) = association {
            let at = of_entry.partition_point(|one| one.policy_arn.as_str() < policy_arn);
            of_entry.insert(at, Arc::new(association));
        }
        if of_entry.is_empty() {
            self.associations.remove(&entry);
        }
        Ok(())
    }
}

/// A version that was accepted, whatever is asked of versions by now. Where it would be refused, this says so: the findings that are
/// stored with it are of when it came.
fn in_force(version: &AwsAuthVersion) -> InForce {
    let Checked { auth, findings } = AwsAuth::of_accepted(&version.content);
    if let Some(fault) = findings.iter().find(|finding| finding.is_fatal()) {
        tracing::warn!(
            cluster.uid = %version.cluster, version = version.version, line = fault.line, path = %fault.path,
            fault = %fault.message, "the aws-auth in force would be rejected by now"
        );
    }
    InForce::compile(version.version, auth)
}

impl Model for ClusterModel {
    type Rows = ClusterRows;
    type Snapshot = ClusterSnapshot;
    const KINDS: &'static [Kind] = &[
        Kind::AccessEntry,
        Kind::PolicyAssociation,
        Kind::StaleEntry,
        Kind::AwsAuthVersion,
        Kind::Node,
        Kind::BreakGlass,
        Kind::IdentityProviderConfig,
        Kind::Block,
    ];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<ClusterRows, StoreError> {
        let mut read = ClusterRows::default();
        for row in rows {
            match row.kind {
                Kind::AccessEntry => drop(read.entries.insert(row.key.clone(), entry(row.decode()?)?)),
                Kind::PolicyAssociation => read.associate(&row.key, Some(row.decode()?))?,
                Kind::StaleEntry => drop(read.stale.insert(row.key.clone(), row.decode()?)),
                Kind::AwsAuthVersion => drop(read.versions.insert(row.key.clone(), Arc::new(row.decode()?))),
                Kind::Node => drop(read.nodes.insert(row.key.clone(), row.decode()?)),
                Kind::Block => drop(read.blocks.insert(row.key.clone(), row.decode()?)),
                Kind::BreakGlass => read.break_glass = Some(row.decode()?),
                Kind::IdentityProviderConfig => {
                    read.identity_providers.insert(row.key.clone(), Arc::new(row.decode()?));
                }
                _ => {}
            }
        }
        read.compile_aws_auth();
        Ok(read)
    }

    fn apply(&self, rows: &mut ClusterRows, change: &Change) -> Result<(), StoreError> {
        let key = change.key.clone();
        match change.kind {
            Kind::AccessEntry => set(&mut rows.entries, key, change.after()?.map(entry).transpose()?),
            Kind::PolicyAssociation => rows.associate(&key, change.after()?)?,
            Kind::StaleEntry => set(&mut rows.stale, key, change.after()?),
            Kind::AwsAuthVersion => {
                set(&mut rows.versions, key, change.after()?.map(Arc::new));
                rows.compile_aws_auth();
            }
            Kind::Node => set(&mut rows.nodes, key, change.after()?),
            Kind::Block => set(&mut rows.blocks, key, change.after()?),
            Kind::BreakGlass => rows.break_glass = change.after()?,
            Kind::IdentityProviderConfig => {
                set(&mut rows.identity_providers, key, change.after()?.map(Arc::new));
            }
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &ClusterRows, revision: Revision) -> ClusterSnapshot {
        ClusterSnapshot::compile(Parts {
            revision,
            entries: rows.entries.values().cloned().collect(),
            associations: rows.associations.clone(),
            stale: rows.stale.values().collect(),
            versions: rows.versions.values().cloned().collect(),
            aws_auth: rows.in_force.clone(),
            identity_providers: rows.identity_providers.values().cloned().collect(),
            nodes: rows.nodes.values().collect(),
            blocks: rows.blocks.values().collect(),
            break_glass: rows.break_glass.as_ref(),
        })
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, key: String, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

/// Entries were judged when they were written; one that cannot be read is the store's fault.
fn entry(record: AccessEntry) -> Result<Arc<Entry>, StoreError> {
    let id = record.id;
    Entry::compile(record)
        .map(Arc::new)
        .map_err(|error| StoreError::Broken(format!("access entry `{id}` has no readable username: {error}")))
}

#[cfg(test)]
mod tests {
    use lanyard_api::mapping::AccessScope;
    use lanyard_store::Record as _;
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn associations_stand_in_the_order_of_their_policies_and_are_shared_with_what_was_before() {
        let (cluster, scope, at) = (ClusterUid::random(), AccessScope::Cluster, OffsetDateTime::UNIX_EPOCH);
        let [one, other] = [EntryId::random(), EntryId::random()];
        let association = |entry: EntryId, policy: &str| PolicyAssociation {
            cluster,
            entry,
            policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{policy}"),
            scope: scope.clone(),
            ends_at: None,
            associated_at: at,
            modified_at: at,
        };
        let mut rows = ClusterRows::default();
        for (entry, policy) in [(one, "View"), (one, "Admin"), (other, "View")] {
            let association = association(entry, policy);
            rows.associate(&association.key(), Some(association)).unwrap();
        }
        let before = rows.associations.clone();
        let edit = association(one, "Edit");
        rows.associate(&edit.key(), Some(edit)).unwrap();
        rows.associate(&association(one, "Admin").key(), None).unwrap();
        let named = |of: &AssociationsByEntry, entry: EntryId| -> Vec<String> {
            let name = |one: &Arc<PolicyAssociation>| one.policy_arn.rsplit_once('/').unwrap().1.to_owned();
            of.get(&entry).into_iter().flat_map(|of_entry| of_entry.iter()).map(name).collect()
        };
        assert_eq!(named(&before, one), ["Admin", "View"]);
        assert_eq!(named(&rows.associations, one), ["Edit", "View"]);
        assert!(Arc::ptr_eq(&before[&other], &rows.associations[&other]));
        assert!(Arc::ptr_eq(&before[&one][1], &rows.associations[&one][1]));

        rows.associate(&association(other, "View").key(), None).unwrap();
        assert!(!rows.associations.contains_key(&other), "who has none is not there");
        assert!(rows.associate("no-key", None).is_err());
    }
}
