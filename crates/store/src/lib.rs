//! Every SQL statement of the project, and what makes its rows worth trusting.
//!
//! [`Store`] is one database: a SQLite file or PostgreSQL, behind one set of functions and one test suite. Postgres is
//! meant for several replicas, SQLite for `lanyard serve`.
//!
//! *Writing.* Every mutation is one [`Transaction`]: [`Store::begin`] locks the counters of the [scopes](lanyard_api::Scope)
//! that it may touch, records are read and written, and [`Transaction::commit`] adds one [`Change`] line for each record
//! that really changed, chained to the scope's line before by an HMAC whose key is not in the database
//! ([`Store::verify_chain`]). The lockout guard stands here too: no transaction takes a cluster from some live
//! [`Administrator`] to none, unless it says so. A signature that was used is refused with [`StoreError::Replayed`].
//!
//! *Reading.* What decides, decides from memory: a [`Model`] says how the rows of a scope become an immutable snapshot,
//! and [`Followed`] keeps one for each scope that is asked for, loaded on demand and moved on by each change, in commit
//! order: never one twice, none left out. A commit of this process is applied before [`Transaction::commit`] returns.
//!
//! *Secrets.* [`Keyring`] seals and opens; each [`Purpose`] has a key of its own, and what is sealed is bound to its
//! [`Place`], so that it cannot be moved.
//!
//! A record is anything that implements [`Record`]: most are types of `lanyard-api`, stored as the exact bytes that the
//! change line hashes, beside the columns that the database's own constraints need.

mod chain;
mod change;
mod copy;
mod error;
mod feed;
mod followed;
mod keyring;
mod kind;
mod lockout;
mod migrations;
mod model;
mod options;
mod pushes;
mod record;
mod signal;
mod sql;
mod store;
mod tables;
mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
mod transaction;

pub use change::{ChainFault, ChainReport, Change};
pub use copy::{Copied, CopiedTable, CopyError, CopyStep, copy};
pub use error::{LockedOut, RecordError, StoreError};
pub use feed::Follower;
pub use followed::Followed;
pub use keyring::{
    EnvelopeKey, Holder, Keyed, Keyring, KeyringError, KmsEnvelope, Needed, Place, Purpose, PurposeKey,
    Sealed, WrappedEnvelope,
};
pub use kind::Kind;
pub use migrations::{Migration, known_migrations, migrate, missing_migrations, require_migrated};
pub use model::{Model, Row};
pub use options::{
    ANSWER_MAX, CONNECTIONS_MAX, DECISIONS_KEPT, DECISIONS_MAX, POLL_INTERVAL, StoreOptions, StoreUrl,
    StoreUrlError, WAIT_MAX,
};
pub use pushes::{SpokePushQuota, SpokePushes};
pub use record::{RECORD_BYTES_MAX, Record, TEXT_BYTES_MAX};
pub use signal::{ChangeListener, ChangeSignal, Heard};
pub use store::Store;
pub use tables::{
    administrators::{Administrator, AdministratorSource},
    leases::{Lease, spoke_lease},
    old_keys::Resealed,
    purpose_keys::KeyVersion,
    rbac::RbacObject,
    settings::{ExternalUrl, Setting},
    stale_entries::StaleEntry,
    workloads::{ClusterServiceAccount, IssuerTaken},
};
pub use transaction::{Committed, REASON_BYTES_MAX, Transaction, check_record, replayed};

#[cfg(test)]
mod suite;
