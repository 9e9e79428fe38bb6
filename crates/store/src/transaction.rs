//! A mutation: one database transaction with its locks, its change lines and its guard.

mod answer;
mod commit;
mod write;

use std::collections::{BTreeMap, HashMap};

use lanyard_api::{
    ActorKind, Authority, ClusterId, ClusterUid, EntryId, Mutation, Revision, Scope,
    authn::{
        accounts::{AccessKey, InlinePolicy, PolicyOwner},
        instance_profiles::InstanceProfile,
    },
    mapping::{Cluster, ClusterUpdate},
};
use lanyard_iam::{AccountId, PrincipalArn};
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    error::StoreError,
    kind::Kind,
    lockout::{Guard, LiftGuard},
    record::{Record, record_of},
    sql::{Access, Connection},
    store::Store,
    tables::{
        accounts::{access_keys_of, has_principal, policies_of, principals_with_policies, profiles_with},
        changes::{lock_counter, rows_of},
        clusters::cluster_by_id,
        entries::{has_entry_for, policies_of_entry},
        leases::{spoke_lease, term_of},
        scope_id, statements,
        uses::{self, Use},
    },
    telemetry::Timer,
};

pub use answer::replayed;
pub use write::check_record;

/// Longest reason that a change line takes.
pub const REASON_BYTES_MAX: usize = 2048;

/// About what a line has beside records, key, actor and reason: its scope and kind, numbers, a MAC, and what the database needs for a row.
pub(crate) const LINE_BYTES: usize = 256;

/// One mutation: its reads and writes, all or none of them. Dropped without [`Transaction::commit`], it leaves nothing.
///
/// After a write that failed it cannot be committed any more.
pub struct Transaction {
    store: Store,
    pub(crate) connection: Connection,
    /// SQLite's one writer's.
    permit: Option<OwnedSemaphorePermit>,
    timer: Timer,
    now: OffsetDateTime,
    actor: String,
    /// The actor's account; none of what is no principal.
    own_account: Option<AccountId>,
    reason: Option<String>,
    /// What makes it count once.
    uses: Vec<Use>,
    allow_lockout: bool,
    /// As it began: the first is the one whose revision is answered.
    first: Scope,
    counters: BTreeMap<Scope, Counter>,
    /// In the order of first writes; the index finds them again.
    writes: Vec<Written>,
    written: HashMap<(Scope, Kind, String), usize>,
    guard: Option<Guard>,
    lifting: Option<LiftGuard>,
    /// What the answer says to follow the mutation by.
    update: Option<ClusterUpdate>,
    is_failed: bool,
}

/// A locked counter.
struct Counter {
    revision: Revision,
    mac: Vec<u8>,
}

/// What became of one record so far.
struct Written {
    scope: Scope,
    kind: Kind,
    key: String,
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
}

/// A committed mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Of the first scope that the transaction began with.
    pub revision: Revision,
    /// Of each of its scopes.
    pub revisions: BTreeMap<Scope, Revision>,
    /// This process's followers have applied it. Otherwise the store went away between commit and delivery, and they will as
    /// soon as it is back.
    pub applied: bool,
    /// That, and there is no other process that would have to.
    pub confirmed: bool,
}

impl Store {
    /// Begins a mutation that writes in these scopes, and holds their counters until its end. `name` labels its metrics.
    ///
    /// Where the actor's signature is one that counts once, it is used up by this mutation, if it commits; so is the token that the
    /// caller gave.
    ///
    /// # Errors
    /// [`StoreError::Replayed`] for a signature or a token that was used, [`StoreError::TokenOfAnother`] and
    /// [`StoreError::TokenUsedUp`] for a token that has no answer to give; [`StoreError::LeaseLost`] for a watcher whose lease another has by
    /// now; [`StoreError::Regressed`] where the store is an old one.
    pub async fn begin(
        &self,
        name: &'static str,
        mutation: &Mutation,
        scopes: &[Scope],
    ) -> Result<Transaction, StoreError> {
        let mut timer = Timer::start(name);
        let begun = self.begin_timed(mutation, scopes).await;
        let (connection, permit, counters) = begun.inspect_err(|error| timer.failed(error))?;
        let first = scopes.first().copied().unwrap_or(Scope::Hub);
        let actor = &mutation.actor.value;
        let mut transaction = Transaction {
            store: self.clone(),
            connection,
            permit,
            timer,
            now: self.clock().now(),
            actor: actor.name(),
            own_account: match &actor.kind {
                ActorKind::Principal { arn, .. } => Some(arn.account),
                ActorKind::Spoke { .. } | ActorKind::Node { .. } | ActorKind::System { .. } => None,
            },
            reason: mutation.reason.clone(),
            uses: Use::all_of(mutation, self.clock().now()),
            allow_lockout: mutation.allow_lockout,
            first,
            counters,
            writes: Vec::new(),
            written: HashMap::new(),
            guard: None,
            lifting: None,
            update: None,
            is_failed: false,
        };
        transaction.claim_uses().await?;
        Ok(transaction)
    }

    async fn begin_timed(&self, mutation: &Mutation, scopes: &[Scope]) -> Result<Begun, StoreError> {
        if scopes.is_empty() {
            return Err(StoreError::ScopeNotBegun(Scope::Hub));
        }
        if mutation
            .reason
            .as_ref()
            .is_some_and(|reason| reason.len() > REASON_BYTES_MAX || reason.contains('\0'))
        {
            return Err(StoreError::Reason);
        }
        // The scopes' own order is that of locking: hub, accounts, clusters. What was seen has to be known before.
        let mut counters: BTreeMap<Scope, Counter> = BTreeMap::new();
        let seen: BTreeMap<Scope, Revision> =
            scopes.iter().map(|scope| (*scope, self.feed().seen(*scope))).collect();
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        for (scope, seen) in seen {
            let (revision, mac) = lock_counter(&mut connection, scope).await?;
            self.feed().refuse_lower(scope, seen, revision)?;
            counters.insert(scope, Counter { revision, mac });
        }
        if let Some(term) = mutation.lease_term {
            fence(&mut connection, term, counters.keys()).await?;
        }
        Ok((connection, permit, counters))
    }
}

/// Refuses a watcher whose lease on a cluster another has taken since. The scope's counter is locked by now: what that other one
/// writes comes after whatever was begun before it took the lease.
async fn fence(
    connection: &mut Connection,
    term: u64,
    scopes: impl Iterator<Item = &Scope>,
) -> Result<(), StoreError> {
    for scope in scopes {
        let Scope::Cluster(cluster) = scope else { continue };
        let now = term_of(connection, &spoke_lease(*cluster)).await?;
        if now.is_some_and(|now| now != term) {
            return Err(StoreError::LeaseLost);
        }
    }
    Ok(())
}

type Begun = (Connection, Option<OwnedSemaphorePermit>, BTreeMap<Scope, Counter>);

impl Transaction {
    /// The moment of this mutation: what its records and change lines say.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// The revision of a scope that this mutation will be, if it changes anything there.
    ///
    /// # Errors
    /// [`StoreError::ScopeNotBegun`].
    pub fn next_revision(&self, scope: Scope) -> Result<Revision, StoreError> {
        let counter = self.counters.get(&scope).ok_or(StoreError::ScopeNotBegun(scope))?;
        Ok(Revision(counter.revision.0 + 1))
    }

    /// About how many bytes the lines of this mutation are, so far. They are never deleted. Of small records most of it is not the record:
    /// each line says who did it, and why in as many words as they gave.
    #[must_use]
    pub fn line_bytes(&self) -> u64 {
        let reason = self.reason.as_ref().map_or(0, String::len);
        let of_each = LINE_BYTES + self.actor.len() + reason;
        let bytes = |body: &Option<Vec<u8>>| body.as_ref().map_or(0, Vec::len);
        let changed = self.writes.iter().filter(|written| written.before != written.after);
        changed
            .map(|written| of_each + written.key.len() + bytes(&written.before) + bytes(&written.after))
            .map(|bytes| bytes as u64)
            .sum()
    }

    /// Whether this process alone can say that a change is in force everywhere: what an answer that is kept for a second arrival
    /// may claim.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.store.options().alone
    }

    /// One record, of any scope. In scopes that the transaction did not begin with, another may change it before this one
    /// commits.
    ///
    /// # Errors
    /// When the database does not answer, or what it holds is no such record.
    pub async fn get<R: Record>(&mut self, scope: Scope, key: &str) -> Result<Option<R>, StoreError> {
        let body = self.body(R::KIND, scope, key).await;
        self.noted(body)?.as_deref().map(record_of).transpose()
    }

    /// All records of a kind in a scope, in the order of their keys.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list<R: Record>(&mut self, scope: Scope) -> Result<Vec<R>, StoreError> {
        let rows = rows_of(&mut self.connection, R::KIND, scope).await;
        self.noted(rows)?.iter().map(|(_, body)| record_of(body)).collect()
    }

    /// How many there are.
    ///
    /// # Errors
    /// When the database does not answer, or the kind has no place in the scope.
    pub async fn count<R: Record>(&mut self, scope: Scope) -> Result<u64, StoreError> {
        let id = scope_id(R::KIND, scope, "")?;
        let count = self.connection.number(statements(R::KIND).count, [id.into()]).await;
        Ok(u64::try_from(self.noted(count.map_err(StoreError::from))?).unwrap_or(0))
    }

    /// A cluster by its id.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn cluster_by_id(&mut self, id: &ClusterId) -> Result<Option<Cluster>, StoreError> {
        let cluster = cluster_by_id(&mut self.connection, id).await;
        self.noted(cluster)
    }

    /// The access keys of a user, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn access_keys_of(
        &mut self,
        account: AccountId,
        user: &str,
    ) -> Result<Vec<AccessKey>, StoreError> {
        let keys = access_keys_of(&mut self.connection, account, user).await;
        self.noted(keys)
    }

    /// The inline policies of an owner, in the order of their names.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn policies_of(
        &mut self,
        account: AccountId,
        owner: &PolicyOwner,
    ) -> Result<Vec<InlinePolicy>, StoreError> {
        let policies = policies_of(&mut self.connection, account, owner).await;
        self.noted(policies)
    }

    /// How many principals of an account have inline policies, of those whom another authority than the hub keeps; none is counted
    /// beyond `most`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn principals_with_policies(
        &mut self,
        account: AccountId,
        most: u64,
    ) -> Result<u64, StoreError> {
        let count = principals_with_policies(&mut self.connection, account, most).await;
        self.noted(count)
    }

    /// Whether a user or role of an account has a unique id.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn has_principal(&mut self, account: AccountId, id: &str) -> Result<bool, StoreError> {
        let found = has_principal(&mut self.connection, account, id).await;
        self.noted(found)
    }

    /// An instance profile that has a role, if one has.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn profile_with(
        &mut self,
        account: AccountId,
        role: &str,
    ) -> Result<Option<InstanceProfile>, StoreError> {
        let first = profiles_with(&mut self.connection, account, role, "", 1).await;
        Ok(self.noted(first)?.into_iter().next())
    }

    /// Whether a cluster has an entry for a principal, as it is known once it logs in: letter case does not tell names apart, nor a path
    /// roles.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn has_entry_for(
        &mut self,
        cluster: ClusterUid,
        authority: &Authority,
        principal: &PrincipalArn,
    ) -> Result<bool, StoreError> {
        let found = has_entry_for(&mut self.connection, cluster, authority, principal).await;
        self.noted(found)
    }

    /// How many access policies an entry of a cluster has.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn policies_of_entry(
        &mut self,
        cluster: ClusterUid,
        entry: EntryId,
    ) -> Result<u64, StoreError> {
        let count = policies_of_entry(&mut self.connection, cluster, entry).await;
        self.noted(count)
    }

    /// The bytes of one record.
    async fn body(&mut self, kind: Kind, scope: Scope, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if key.contains('\0') {
            return Ok(None);
        }
        let id = scope_id(kind, scope, key)?;
        let line = self.connection.fetch_one(statements(kind).select_one, [id.into(), key.into()]).await?;
        Ok(line.map(|line| line.bytes(0)).transpose()?)
    }

    pub(crate) fn set_update(&mut self, update: ClusterUpdate) {
        self.update = Some(update);
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Remembers a failure: Postgres takes nothing more from a transaction after one, and SQLite is held to the same.
    pub(crate) fn noted<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.inspect_err(|error| {
            self.is_failed = true;
            self.timer.failed(error);
        })
    }

    async fn claim_uses(&mut self) -> Result<(), StoreError> {
        let revisions = self.revisions();
        for used in self.uses.clone() {
            let claimed = uses::claim(&mut self.connection, &used, &revisions, self.now).await;
            self.noted(claimed)?;
        }
        Ok(())
    }

    fn revisions(&self) -> BTreeMap<Scope, Revision> {
        self.counters.iter().map(|(scope, counter)| (*scope, counter.revision)).collect()
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("actor", &self.actor)
            .field("writes", &self.writes.len())
            .finish_non_exhaustive()
    }
}
