//! Snapshots that keep up with the store: the models, and the view that decisions are made from.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use foldhash::fast::RandomState;
use lanyard_api::{
    ClusterUid, Revision, Scope,
    proof::{Handle, ProofKey},
};
use lanyard_iam::AccountId;
use lanyard_store::{
    Change, Followed, Keyring, KeyringError, Kind, Model, Purpose, RbacObject, Record, Row, Store, StoreError,
};

use crate::{
    config::AuthzConfig,
    decision::{Lacking, World},
    handles::ProofKeys,
    snapshot::{AccountRows, AccountSnapshot, ClusterRows, ClusterSnapshot, HubRows, HubSnapshot},
};

/// One record of a scope: as it is now, or its bare key where it is gone.
pub(crate) enum Fact<'a> {
    Row(&'a Row),
    Change(&'a Change),
}

impl Fact<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Row(row) => row.kind,
            Self::Change(change) => change.kind,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Row(row) => &row.key,
            Self::Change(change) => &change.key,
        }
    }

    fn now<R: Record>(&self) -> Result<Option<R>, StoreError> {
        match self {
            Self::Row(row) => row.decode().map(Some),
            Self::Change(change) => change.after(),
        }
    }
}

/// Rows that take facts.
pub(crate) trait Takes {
    fn take(&mut self, fact: &Fact<'_>) -> Result<(), StoreError>;
}

impl Takes for HubRows {
    fn take(&mut self, fact: &Fact<'_>) -> Result<(), StoreError> {
        match fact.kind() {
            Kind::Account => self.set_account(fact.key(), fact.now()?),
            Kind::Cluster => self.set_cluster(fact.key(), fact.now()?),
            Kind::Block => self.set_block(fact.key(), fact.now()?),
            _ => {}
        }
        Ok(())
    }
}

impl Takes for AccountRows {
    fn take(&mut self, fact: &Fact<'_>) -> Result<(), StoreError> {
        match fact.kind() {
            Kind::User => self.set_user(fact.key(), fact.now()?),
            Kind::IamRole => self.set_role(fact.key(), fact.now()?),
            Kind::AccessKey => self.set_access_key(fact.key(), fact.now()?),
            Kind::OidcProvider => self.set_oidc_provider(fact.key(), fact.now()?),
            Kind::Block => self.set_block(fact.key(), fact.now()?),
            _ => {}
        }
        Ok(())
    }
}

impl Takes for ClusterRows {
    fn take(&mut self, fact: &Fact<'_>) -> Result<(), StoreError> {
        match fact.kind() {
            Kind::AccessEntry => self.set_entry(fact.key(), fact.now()?),
            Kind::PolicyAssociation => self.set_association(fact.key(), fact.now()?),
            Kind::AwsAuthVersion => self.set_aws_auth(fact.key(), fact.now()?),
            Kind::Node => self.set_node(fact.key(), fact.now()?),
            Kind::BreakGlass => self.set_break_glass(fact.now()?.as_ref()),
            Kind::IdentityProviderConfig => self.set_identity_provider(fact.key(), fact.now()?),
            Kind::PodIdentityAssociation => self.set_pod_identity_association(fact.key(), fact.now()?),
            Kind::Block => self.set_block(fact.key(), fact.now()?),
            Kind::RbacObject => {
                let stored: Option<RbacObject> = fact.now()?;
                self.set_object(fact.key(), stored.map(|stored| stored.object));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What the three models share: the keys that handles are made with, and whether they are the newest still.
#[derive(Clone, Debug)]
struct Keys {
    keys: ProofKeys,
    /// Once set, snapshots are dropped with the next change of their scope: nobody reads them any more.
    retired: Arc<AtomicBool>,
}

impl Keys {
    fn refuse_if_retired(&self) -> Result<(), StoreError> {
        if self.retired.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(
                "let go after a rotation of the proof key, as it should be".to_owned(),
            ));
        }
        Ok(())
    }
}

struct HubModel(Keys);
struct AccountModel(Keys);
struct ClusterModel(Keys);

fn take_all(rows: &mut impl Takes, all: &[Row]) -> Result<(), StoreError> {
    all.iter().try_for_each(|row| rows.take(&Fact::Row(row)))
}

impl Model for HubModel {
    type Rows = HubRows;
    type Snapshot = HubSnapshot;
    const KINDS: &'static [Kind] = &[Kind::Account, Kind::Cluster, Kind::Block];

    fn build(&self, _scope: Scope, all: Vec<Row>) -> Result<Self::Rows, StoreError> {
        let mut rows = HubRows::default();
        take_all(&mut rows, &all)?;
        Ok(rows)
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        self.0.refuse_if_retired()?;
        rows.take(&Fact::Change(change))
    }

    fn compile(&self, _scope: Scope, rows: &Self::Rows, _revision: Revision) -> Self::Snapshot {
        rows.compile(&self.0.keys)
    }
}

impl Model for AccountModel {
    type Rows = AccountRows;
    type Snapshot = AccountSnapshot;
    const KINDS: &'static [Kind] =
        &[Kind::User, Kind::IamRole, Kind::AccessKey, Kind::OidcProvider, Kind::Block];

    fn build(&self, _scope: Scope, all: Vec<Row>) -> Result<Self::Rows, StoreError> {
        let mut rows = AccountRows::new(self.0.keys.clone());
        take_all(&mut rows, &all)?;
        Ok(rows)
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        self.0.refuse_if_retired()?;
        rows.take(&Fact::Change(change))
    }

    fn compile(&self, _scope: Scope, rows: &Self::Rows, _revision: Revision) -> Self::Snapshot {
        rows.compile()
    }
}

impl Model for ClusterModel {
    type Rows = ClusterRows;
    type Snapshot = ClusterSnapshot;
    const KINDS: &'static [Kind] = &[
        Kind::AccessEntry,
        Kind::PolicyAssociation,
        Kind::AwsAuthVersion,
        Kind::Node,
        Kind::BreakGlass,
        Kind::RbacObject,
        Kind::IdentityProviderConfig,
        Kind::PodIdentityAssociation,
        Kind::Block,
    ];

    fn build(&self, scope: Scope, all: Vec<Row>) -> Result<Self::Rows, StoreError> {
        let Scope::Cluster(cluster) = scope else {
            return Err(StoreError::Broken(format!("scope {scope} is no cluster")));
        };
        let mut rows = ClusterRows::new(cluster, self.0.keys.clone());
        take_all(&mut rows, &all)?;
        Ok(rows)
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        self.0.refuse_if_retired()?;
        rows.take(&Fact::Change(change))
    }

    fn compile(&self, _scope: Scope, rows: &Self::Rows, _revision: Revision) -> Self::Snapshot {
        rows.compile()
    }
}

/// Everything in memory, made with one set of proof keys.
pub(crate) struct View {
    store: Store,
    keys: Keys,
    hub: Followed<HubModel>,
    accounts: Followed<AccountModel>,
    clusters: Followed<ClusterModel>,
}

impl View {
    /// With the keys that the store has now.
    pub(crate) fn follow(store: &Store, config: &AuthzConfig) -> Result<Self, StoreError> {
        let keys = Keys { keys: proof_keys(store.keyring())?, retired: Arc::default() };
        Ok(Self {
            hub: Followed::new(store, HubModel(keys.clone()), 1),
            accounts: Followed::new(store, AccountModel(keys.clone()), config.accounts_max),
            clusters: Followed::new(store, ClusterModel(keys.clone()), config.clusters_max),
            store: store.clone(),
            keys,
        })
    }

    /// Whether the keyring has proof keys by now that these snapshots were not made with.
    fn has_newer_keys(&self) -> bool {
        let newest = self.store.keyring().newest_version(Purpose::Proof).ok();
        newest != self.keys.keys.all().iter().map(ProofKey::id).max()
    }

    /// Lets go of the snapshots, one by one as their scopes change.
    pub(crate) fn retire(&self) {
        self.keys.retired.store(true, Ordering::Relaxed);
    }

    /// Brings snapshots into memory.
    pub(crate) async fn load(&self, scopes: &[Scope]) -> Result<(), StoreError> {
        for scope in scopes {
            match scope {
                Scope::Hub => self.hub.get(*scope).await.map(drop)?,
                Scope::Account(_) => self.accounts.get(*scope).await.map(drop)?,
                Scope::Cluster(_) => self.clusters.get(*scope).await.map(drop)?,
            }
        }
        Ok(())
    }

    /// The hub, loaded if need be.
    pub(crate) async fn loaded_hub(&self) -> Result<Arc<HubSnapshot>, StoreError> {
        self.hub.get(Scope::Hub).await
    }

    /// A cluster, loaded if need be.
    pub(crate) async fn loaded_cluster(
        &self,
        cluster: ClusterUid,
    ) -> Result<Arc<ClusterSnapshot>, StoreError> {
        self.clusters.get(Scope::Cluster(cluster)).await
    }
}

/// A view as it is for one question.
pub(crate) struct Current<'v> {
    view: &'v View,
    caught_up: &'v CaughtUp,
    /// Whether the view has caught up with the store since the question came.
    is_caught_up: bool,
    /// How many notes there were before anything of the view was looked at: what a later one tells of, these snapshots may lack yet.
    notes_before: u64,
}

impl<'v> Current<'v> {
    pub(crate) fn new(view: &'v View, caught_up: &'v CaughtUp, is_caught_up: bool) -> Self {
        Self { view, caught_up, is_caught_up, notes_before: caught_up.notes() }
    }
}

impl World for Current<'_> {
    fn hub(&self) -> Option<Arc<HubSnapshot>> {
        self.view.hub.peek(Scope::Hub)
    }

    fn account(&self, account: AccountId) -> Option<Arc<AccountSnapshot>> {
        self.view.accounts.peek(Scope::Account(account))
    }

    fn cluster(&self, cluster: ClusterUid) -> Option<(Arc<ClusterSnapshot>, Revision)> {
        self.view.clusters.peek_at(Scope::Cluster(cluster))
    }

    fn keys(&self) -> &ProofKeys {
        &self.view.keys.keys
    }

    fn may_have_newer_keys(&self) -> bool {
        self.view.has_newer_keys() || !self.view.store.has_asked_for_keys()
    }

    fn is_caught_up_with(&self, named: &Handle) -> bool {
        self.is_caught_up || self.caught_up.has_met(named, self.notes_before)
    }
}

/// Most of what proofs have named and was not there that is remembered, the last come.
const MET_MAX: usize = 10_000;

/// How far this process has caught up with the store because questions asked for it.
#[derive(Default)]
pub(crate) struct CaughtUp {
    /// When it last began to. Many who ask at once share one look.
    last: tokio::sync::Mutex<Option<Instant>>,
    met: Mutex<Met>,
    /// How many notes were made of what was met. Read for each question, so it waits for nobody.
    notes: AtomicU64,
}

/// What a proof has named before this process caught up: a proof names what was there when it was made, and each number is given once.
/// So where it is in nobody's memory after that it is gone for good, however often its proof is shown.
#[derive(Default)]
struct Met {
    order: VecDeque<Handle>,
    /// With the number of the note.
    all: HashMap<Handle, u64, RandomState>,
}

impl CaughtUp {
    /// How many notes there are. What is looked at after this is at least as new as each of them.
    fn notes(&self) -> u64 {
        self.notes.load(Ordering::Acquire)
    }

    /// Whether the store was caught up with since a proof named this, and that is among the first so many notes.
    fn has_met(&self, named: &Handle, notes_before: u64) -> bool {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.all.get(named).is_some_and(|note| *note <= notes_before)
    }

    /// The store was caught up with since a proof named this.
    pub(crate) fn note(&self, named: Handle) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.all.contains_key(&named) {
            return;
        }
        let note = self.notes.load(Ordering::Relaxed).saturating_add(1);
        met.all.insert(named, note);
        // After what was caught up with, for whoever reads the number and then looks.
        self.notes.store(note, Ordering::Release);
        met.order.push_back(named);
        if met.order.len() > MET_MAX
            && let Some(first) = met.order.pop_front()
        {
            met.all.remove(&first);
        }
    }

    /// Brings everything in memory up to what the store had at `asked_at`, or later.
    pub(crate) async fn since(&self, asked_at: Instant, store: &Store) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        if last.is_none_or(|began| began < asked_at) {
            let began = Instant::now();
            store.catch_up().await?;
            *last = Some(began);
        }
        Ok(())
    }
}

fn proof_keys(keyring: &Keyring) -> Result<ProofKeys, KeyringError> {
    let keys = keyring.purpose_keys(Purpose::Proof)?;
    Ok(ProofKeys::new(keys.iter().map(|(version, secret)| ProofKey::new(*version, secret)).collect()))
}

/// The same for all questions of a batch: what was seen once stays as it was.
pub(crate) struct Pinned<'w, W> {
    world: &'w W,
    seen: std::cell::RefCell<Seen>,
}

/// What the questions of a batch have seen.
#[derive(Default)]
pub(crate) struct Seen {
    hub: Option<Arc<HubSnapshot>>,
    accounts: Vec<(AccountId, Arc<AccountSnapshot>)>,
    clusters: Vec<(ClusterUid, (Arc<ClusterSnapshot>, Revision))>,
}

impl Seen {
    /// Asks a world in which whatever was seen before is as it was then.
    pub(crate) fn ask<W: World, T>(&mut self, world: &W, question: impl FnOnce(&Pinned<'_, W>) -> T) -> T {
        let pinned = Pinned { world, seen: std::cell::RefCell::new(std::mem::take(self)) };
        let answer = question(&pinned);
        *self = pinned.seen.into_inner();
        answer
    }
}

impl<W: World> World for Pinned<'_, W> {
    fn hub(&self) -> Option<Arc<HubSnapshot>> {
        let mut seen = self.seen.borrow_mut();
        if seen.hub.is_none() {
            seen.hub = self.world.hub();
        }
        seen.hub.clone()
    }

    fn account(&self, account: AccountId) -> Option<Arc<AccountSnapshot>> {
        once(&mut self.seen.borrow_mut().accounts, account, || self.world.account(account))
    }

    fn cluster(&self, cluster: ClusterUid) -> Option<(Arc<ClusterSnapshot>, Revision)> {
        once(&mut self.seen.borrow_mut().clusters, cluster, || self.world.cluster(cluster))
    }

    fn keys(&self) -> &ProofKeys {
        self.world.keys()
    }

    fn may_have_newer_keys(&self) -> bool {
        self.world.may_have_newer_keys()
    }

    fn is_caught_up_with(&self, named: &Handle) -> bool {
        self.world.is_caught_up_with(named)
    }
}

fn once<K: PartialEq, V: Clone>(
    seen: &mut Vec<(K, V)>,
    key: K,
    look: impl FnOnce() -> Option<V>,
) -> Option<V> {
    if let Some((_, known)) = seen.iter().find(|(known, _)| *known == key) {
        return Some(known.clone());
    }
    let found = look()?;
    seen.push((key, found.clone()));
    Some(found)
}

impl Lacking {
    /// Brings what is lacking into memory; where there are newer keys, makes another view.
    pub(crate) async fn supply(
        self,
        view: &View,
        catch_up: impl Future<Output = Result<(), StoreError>>,
        renew: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Scopes(scopes) => view.load(&scopes).await,
            Self::Newer(_) => catch_up.await,
            Self::Keys => {
                if !view.has_newer_keys() {
                    view.store.ask_for_keys().await;
                }
                if view.has_newer_keys() { renew() } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lanyard_kit::SystemClock;
    use lanyard_store::test_support::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn what_was_caught_up_with_later_is_not_believed_of_older_snapshots() {
        let database = TestDatabase::sqlite();
        let store = database.open(Arc::new(SystemClock)).await;
        let view = View::follow(&store, &AuthzConfig::default()).unwrap();
        let (caught_up, named) = (CaughtUp::default(), Handle([7; 16]));
        let first = Current::new(&view, &caught_up, false);
        assert!(!first.is_caught_up_with(&named));
        // Another question misses it, catches up, and finds it gone, or there; the first may have looked before that.
        caught_up.note(named);
        assert!(!first.is_caught_up_with(&named), "its snapshots may be older than the note");
        let of_batch = Seen::default().ask(&first, |pinned| pinned.is_caught_up_with(&named));
        assert!(!of_batch, "and so those that a batch shares");
        assert!(Current::new(&view, &caught_up, false).is_caught_up_with(&named), "whoever comes after it");
        // Noted again by one that had begun before, too: the first note is as good as ever.
        caught_up.note(named);
        let second = Current::new(&view, &caught_up, false);
        caught_up.note(Handle([8; 16]));
        assert!(second.is_caught_up_with(&named), "and whatever is noted since");
        assert!(Current::new(&view, &caught_up, true).is_caught_up_with(&Handle([9; 16])));
    }
}
