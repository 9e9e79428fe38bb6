//! The database, opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use lanyard_api::{
    ClusterId, HubId, Revision, Scope,
    authn::{
        accounts::{AccessKey, InlinePolicy, PolicyOwner},
        instance_profiles::InstanceProfile,
    },
    mapping::Cluster,
};
use lanyard_iam::{AccountId, PrincipalArn};
use lanyard_kit::Clock;
use tokio::{sync::OwnedSemaphorePermit, task::AbortHandle};

use crate::{
    change::Change,
    error::StoreError,
    feed::{Feed, Words, tail},
    keyring::Keyring,
    kind::Kind,
    model::Row,
    options::StoreOptions,
    record::{Record, record_of},
    sql::{Access, Connection, Database},
    tables::{
        accounts::{access_keys_of, bearers, policies_of, profiles_with},
        changes::{attach_sealed, bodies_after, counter_of, counters, lines_after, sealed_rows_of},
        clusters::cluster_by_id,
        purpose_keys::open_keys,
        scope_id,
        settings::Setting,
        statements, uses,
    },
};

/// The part of their bound by which decisions may be too many between two sweeps: a tenth.
const DECISIONS_SWEPT_AT: u64 = 10;

/// One database, opened and migrated. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    database: Database,
    options: StoreOptions,
    feed: Feed,
    tailer: std::sync::OnceLock<AbortHandle>,
    /// Decisions put since the last time that they were swept.
    decisions_unswept: AtomicU64,
    /// One fetches the purposes' keys at a time, so that what was read first is not taken last.
    keys_turn: tokio::sync::Mutex<()>,
    /// When they were last asked for because something did not open, whatever came of it.
    keys_asked_for: Mutex<Option<Instant>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(tailer) = self.tailer.get() {
            tailer.abort();
        }
    }
}

impl Store {
    /// Opens the database, makes or migrates its tables, fetches or makes the purposes' keys into the keyring, and starts the
    /// tailer. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it cannot be reached, [`StoreError::Keyring`] where the envelope key is not the one
    /// that the store was made with, [`StoreError::Newer`] for a database of a newer program.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let database = Database::open(options).await?;
        open_keys(&database, &options.keyring, options.wait_max, options.clock.now()).await?;
        let words = Words::of(&database).await?;
        let feed = Feed::default();
        let wake = Arc::clone(&feed.wake);
        let (options, tailer) = (options.clone(), std::sync::OnceLock::new());
        let (poll, is_shared) = (options.poll_interval, options.shared);
        let inner = Arc::new(Inner {
            database,
            options,
            feed,
            tailer,
            decisions_unswept: AtomicU64::new(0),
            keys_turn: tokio::sync::Mutex::default(),
            keys_asked_for: Mutex::default(),
        });
        let store = Self { inner };
        let begun = counters(&mut store.read().await?).await?;
        store.feed().begin(&begun);
        let task = tokio::spawn(tail(Arc::downgrade(&store.inner), wake, words, poll, is_shared));
        // Set once, right here.
        let _ = store.inner.tailer.set(task.abort_handle());
        Ok(store)
    }

    /// The hub's id, once settled, without the envelope key: for who has to know the hub to find that key. Makes and migrates
    /// the tables as [`Self::open`] does.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn hub_id_in(options: &StoreOptions) -> Result<Option<HubId>, StoreError> {
        let database = Database::open(options).await?;
        let (mut connection, permit) = database.begin(Access::Read, options.wait_max).await?;
        let setting = one::<Setting>(&mut connection, Scope::Hub, Setting::HUB_ID).await;
        drop((connection, permit));
        database.close().await;
        setting?.map(|setting| setting.settled()).transpose()
    }

    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The keyring, with the purposes' keys in it.
    pub fn keyring(&self) -> &Keyring {
        &self.inner.options.keyring
    }

    pub(crate) fn keys_turn(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.keys_turn
    }

    pub(crate) fn keys_asked_for(&self) -> MutexGuard<'_, Option<Instant>> {
        self.inner.keys_asked_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.options.clock
    }

    /// Waits for the transactions at work and closes the database; nothing can be read or written after that. Dropping the last
    /// handle closes it too, without waiting.
    pub async fn close(&self) {
        if let Some(tailer) = self.inner.tailer.get() {
            tailer.abort();
        }
        self.database().close().await;
    }

    /// One record.
    ///
    /// # Errors
    /// When the database does not answer, or what it holds is no such record.
    pub async fn get<R: Record>(&self, scope: Scope, key: &str) -> Result<Option<R>, StoreError> {
        if key.contains('\0') {
            return Ok(None);
        }
        one(&mut self.read().await?, scope, key).await
    }

    /// A cluster by its id.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn cluster_by_id(&self, id: &ClusterId) -> Result<Option<Cluster>, StoreError> {
        cluster_by_id(&mut self.read().await?, id).await
    }

    /// The records of a kind in a scope whose keys come next after one, in the order of their keys: so many at most, found by the
    /// table's index however many there are before and behind. After the empty text come the first.
    ///
    /// # Errors
    /// When the database does not answer, or a record cannot be read.
    pub async fn list_after<R: Record>(
        &self,
        scope: Scope,
        after: &str,
        records_max: u32,
    ) -> Result<Vec<R>, StoreError> {
        // No key holds that character, and PostgreSQL takes no text with it: the same keys come after what stands before it.
        let after = after.split('\0').next().unwrap_or_default();
        let bodies = bodies_after(&mut self.read().await?, R::KIND, scope, after, records_max).await?;
        bodies.iter().map(|body| record_of(body)).collect()
    }

    /// The access keys of a user, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn access_keys_of(&self, account: AccountId, user: &str) -> Result<Vec<AccessKey>, StoreError> {
        access_keys_of(&mut self.read().await?, account, user).await
    }

    /// The inline policies of an owner, in the order of their names.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn policies_of(
        &self,
        account: AccountId,
        owner: &PolicyOwner,
    ) -> Result<Vec<InlinePolicy>, StoreError> {
        policies_of(&mut self.read().await?, account, owner).await
    }

    /// The instance profiles that have a role and whose names come after one, in the order of their names: so many at most, found by
    /// an index however many the account has. After the empty text come the first.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn profiles_with(
        &self,
        account: AccountId,
        role: &str,
        after: &str,
        most: u32,
    ) -> Result<Vec<InstanceProfile>, StoreError> {
        profiles_with(&mut self.read().await?, account, role, after, most).await
    }

    /// The unique ids of the users and roles that bear some ARNs' names now, by ARN: all of one moment, and in few questions however
    /// many they are. Other principals, and those of whom there is none, are left out. Paths are not looked at: whoever is made anew
    /// under another one has another id.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn bearers(
        &self,
        arns: &BTreeSet<PrincipalArn>,
    ) -> Result<BTreeMap<PrincipalArn, String>, StoreError> {
        if arns.is_empty() {
            return Ok(BTreeMap::new());
        }
        bearers(&mut self.read().await?, arns).await
    }

    /// All records of a kind in a scope, in the order of their keys, and the revision they are of.
    ///
    /// # Errors
    /// As [`Self::load_rows`], and where a record cannot be read.
    pub async fn load<R: Record>(&self, scope: Scope) -> Result<(Revision, Vec<R>), StoreError> {
        let (revision, rows) = self.load_rows(scope, &[R::KIND]).await?;
        let records: Result<Vec<R>, _> = rows.iter().map(Row::decode).collect();
        Ok((revision, records?))
    }

    /// All rows of some kinds in a scope, kind by kind, in the order of their keys, and the revision they are of: of one moment.
    ///
    /// # Errors
    /// [`StoreError::Regressed`] where that revision is lower than one seen before; otherwise when the database does not
    /// answer.
    pub async fn load_rows(&self, scope: Scope, kinds: &[Kind]) -> Result<(Revision, Vec<Row>), StoreError> {
        let seen = self.feed().seen(scope);
        let mut connection = self.read().await?;
        let (revision, _) = counter_of(&mut connection, scope).await?;
        self.feed().refuse_lower(scope, seen, revision)?;
        let mut rows = Vec::new();
        for kind in kinds {
            rows.extend(sealed_rows_of(&mut connection, *kind, scope).await?);
        }
        drop(connection);
        self.learn_keys(rows.iter().filter_map(|row| row.sealed.as_ref())).await?;
        Ok((revision, rows))
    }

    /// A scope's counter; 0 for one that was never written in.
    ///
    /// # Errors
    /// As [`Self::load_rows`].
    pub async fn revision(&self, scope: Scope) -> Result<Revision, StoreError> {
        Ok(self.load_rows(scope, &[]).await?.0)
    }

    /// The lines of the next so many revisions after one, in order: whole revisions.
    ///
    /// # Errors
    /// When the database does not answer, or a line cannot be read.
    pub async fn changes_since(
        &self,
        scope: Scope,
        revision: Revision,
        revisions_max: u32,
    ) -> Result<Vec<Change>, StoreError> {
        let mut connection = self.read().await?;
        let lines = lines_after(&mut connection, scope, revision, u64::from(revisions_max)).await?;
        let mut changes: Vec<Change> = lines.into_iter().map(|line| line.change).collect();
        attach_sealed(&mut connection, &mut changes).await?;
        drop(connection);
        self.learn_keys(changes.iter().filter_map(|change| change.sealed.as_ref())).await?;
        Ok(changes)
    }

    /// Removes what is kept no longer: signatures and tokens whose time is over, decisions beyond their bounds. The
    /// store does so by itself every minute.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.clock().now();
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        uses::sweep(&mut connection, now).await?;
        connection.commit().await?;
        drop(permit);
        self.sweep_decisions().await
    }

    /// Counts so many more decisions; whether there are enough by now to look for those that are too many.
    pub(crate) fn is_time_to_sweep(&self, decisions: usize) -> bool {
        let enough = self.options().decisions_max.div_ceil(DECISIONS_SWEPT_AT);
        let unswept = &self.inner.decisions_unswept;
        let more = decisions as u64;
        let is_time = unswept.fetch_add(more, Ordering::Relaxed).saturating_add(more) >= enough;
        if is_time {
            unswept.store(0, Ordering::Relaxed);
        }
        is_time
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.inner.feed
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// A view of one moment.
    pub(crate) async fn read(&self) -> Result<Connection, StoreError> {
        Ok(self.open_connection(Access::Read).await?.0)
    }

    pub(crate) async fn open_connection(
        &self,
        access: Access,
    ) -> Result<(Connection, Option<OwnedSemaphorePermit>), StoreError> {
        self.database().begin(access, self.options().wait_max).await
    }
}

async fn one<R: Record>(
    connection: &mut Connection,
    scope: Scope,
    key: &str,
) -> Result<Option<R>, StoreError> {
    let id = scope_id(R::KIND, scope, key)?;
    let line = connection.fetch_one(statements(R::KIND).select_one, [id.into(), key.into()]).await?;
    line.map(|line| record_of(&line.bytes(0)?)).transpose()
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.options().url).finish_non_exhaustive()
    }
}
