//! Why the store has no answer, or refused a write; and what a caller makes of it.

use lanyard_api::{CallError, ClusterId, ClusterUid, Fault, Revision, Scope};

use lanyard_iam::AccountId;
use lanyard_kit::tls::FileError;

use crate::{keyring::KeyringError, kind::Kind, migrations::Migration};

/// Why a transaction or a read did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record with this key, or with another name or number that must be unique, is there already.
    #[error("{} `{key}` exists already", .kind.noun())]
    Exists {
        /// Of which kind.
        kind: Kind,
        /// What people call the record that was to be written.
        key: String,
    },
    /// What the record names does not exist: its cluster, account, user or entry.
    #[error("{} `{key}` names something that does not exist: make that first", .kind.noun())]
    Dangling {
        /// Of which kind.
        kind: Kind,
        /// Its key.
        key: String,
    },
    /// Other records name it still.
    #[error("{} `{key}` is still in use: remove what names it first", .kind.noun())]
    InUse {
        /// Of which kind.
        kind: Kind,
        /// Its key.
        key: String,
    },
    /// A record breaks a rule of its table.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The transaction writes in a scope that it did not name when it began.
    #[error("the transaction writes in scope `{0}`, which it did not begin with: name it in begin")]
    ScopeNotBegun(Scope),
    /// The signature, or the caller's token, was used before.
    #[error("this request was made before: sign again")]
    Replayed {
        /// What that use answered, where it can be given again: recorded, and its scopes not changed since.
        answer: Option<Vec<u8>>,
    },
    /// The caller's token came with another request before.
    #[error(
        "the client request token came with other parameters before: give each request a token of its own"
    )]
    TokenOfAnother,
    /// The caller's token came before, with a request whose answer held a secret.
    #[error(
        "the client_request_token was used, and what was answered then holds a secret, which is told once: look at what there is, and \
         ask again with another token"
    )]
    TokenUsedUp,
    /// The write would leave clusters without an administrator.
    #[error(
        "the lockout guard: the change would leave {} without an administrator who could log in now: make another one first, or \
         allow it by name", which(.clusters)
    )]
    Lockout {
        /// Which.
        clusters: Vec<LockedOut>,
    },
    /// The block would stop everybody who may lift it.
    #[error(
        "the block would leave nobody who may lift it (lanyard:DeleteBlock): block somebody narrower, first let \
         somebody else lift blocks, or allow it by name"
    )]
    NobodyLifts,
    /// The change is of a watcher that has lost its lease: another has taken it since.
    #[error(
        "another replica watches this cluster by now: what this one saw is not taken, and the other one has seen it too"
    )]
    LeaseLost,
    /// A reason that a change line does not take.
    #[error("the reason is longer than 2048 bytes or holds a NUL character: shorten it")]
    Reason,
    /// A write of this transaction failed before, so it cannot be committed.
    #[error("the transaction failed before: begin another")]
    Aborted,
    /// Another transaction was in the way; trying again may help.
    #[error("another transaction was in the way: try again")]
    Conflict,
    /// The store shows a lower revision than one that this process has seen: a restored dump, or a standby that lags.
    #[error(
        "scope `{scope}` is at revision {found} in the store, and was at {seen}: an old dump or standby was put in place; \
         restart the process only when that is what you want"
    )]
    Regressed {
        /// The scope.
        scope: Scope,
        /// The highest revision seen.
        seen: Revision,
        /// What the store has now.
        found: Revision,
    },
    /// The database cannot be reached, or is too slow.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The database holds what Lanyard never wrote, or refused what it always takes.
    #[error("the store is at fault: {0}")]
    Broken(String),
    /// The database was migrated by a program that knows more.
    #[error(
        "the store has migration `{found}`, of a newer lanyard than this one, {}: run that newer one",
        how_far(.newest.as_ref())
    )]
    Newer {
        /// What this program does not know.
        found: Migration,
        /// The newest that it knows.
        newest: Option<Migration>,
    },
    /// A migration there is not the one of the same number here.
    #[error(
        "migration `{0}` of the store is not the one that this lanyard has: run the lanyard that made the store"
    )]
    Altered(Migration),
    /// The database lacks migrations, and this process was told not to apply any.
    #[error("the store lacks migration `{}`: run `lanyard db migrate`", all_of(.missing))]
    Outdated {
        /// What is missing, in order.
        missing: Vec<Migration>,
    },
    /// The database's file may not be used, or cannot be.
    #[error("the store's file: {0}")]
    File(#[from] FileError),
    /// A key is missing, or something sealed does not open.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// A cluster that a refused write would have left without an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedOut {
    /// Its number.
    pub cluster: ClusterUid,
    /// Its id; for those alone who may know the cluster.
    pub id: ClusterId,
    /// Its account, by which to tell who may know it.
    pub account: AccountId,
    /// The actor is of that account and the call about this cluster: they are told which it is.
    pub is_told: bool,
}

/// Why a record cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A text that the database cannot hold or compare exactly.
    #[error("{} `{}` holds a NUL character: take it out", .kind.noun(), .key.escape_debug())]
    Nul {
        /// Of which kind.
        kind: Kind,
        /// Its key.
        key: String,
    },
    /// A name is longer than the store compares.
    #[error("a name of this {} is {bytes} bytes long, the limit is {limit}", .kind.noun())]
    TextTooLong {
        /// Of which kind.
        kind: Kind,
        /// Its length.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// The database's own rules refuse it.
    #[error("{} `{key}` breaks a rule of its table", .kind.noun())]
    Refused {
        /// Of which kind.
        kind: Kind,
        /// Its key.
        key: String,
    },
    /// A record is longer than the store takes.
    #[error("{} `{key}` is {bytes} bytes long, the limit is {limit}", .kind.noun())]
    TooLong {
        /// Of which kind.
        kind: Kind,
        /// Its key.
        key: String,
        /// Its length.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// Bytes that are no record of their kind.
    #[error("a stored {} cannot be read: {detail}", .kind.noun())]
    Unreadable {
        /// Of which kind.
        kind: Kind,
        /// What is wrong with it.
        detail: String,
    },
    /// A record in a scope where its kind has no place.
    #[error("{} `{key}` has no place in scope `{scope}`", .kind.noun())]
    Misplaced {
        /// Of which kind.
        kind: Kind,
        /// Its key.
        key: String,
        /// The scope.
        scope: Scope,
    },
}

fn how_far(newest: Option<&Migration>) -> String {
    newest.map_or_else(|| "which knows none".to_owned(), |newest| format!("which knows up to `{newest}`"))
}

fn all_of(missing: &[Migration]) -> String {
    missing.iter().map(Migration::to_string).collect::<Vec<_>>().join("`, `")
}

/// Most clusters that a refusal names.
const NAMED_MAX: usize = 10;

/// The clusters by name, as far as the actor is told; of the others how many they are.
fn which(clusters: &[LockedOut]) -> String {
    let told = clusters.iter().filter(|cluster| cluster.is_told);
    let named: Vec<_> = told.take(NAMED_MAX).map(|cluster| format!("`{}`", cluster.id)).collect();
    let noun = if clusters.len() == 1 { "cluster" } else { "clusters" };
    match (named.join(", "), clusters.len().saturating_sub(named.len())) {
        (names, 1) if names.is_empty() => "a cluster".to_owned(),
        (names, others) if names.is_empty() => format!("{others} {noun}"),
        (names, 0) => format!("{noun} {names}"),
        (names, others) => format!("{noun} {names} and {others} more"),
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict => {
                Self::Unavailable { part: "the store".into(), detail: "try again".into() }
            }
            StoreError::Exists { .. }
            | StoreError::Dangling { .. }
            | StoreError::InUse { .. }
            | StoreError::Record(_)
            | StoreError::ScopeNotBegun(_)
            | StoreError::Replayed { .. }
            | StoreError::TokenOfAnother
            | StoreError::TokenUsedUp
            | StoreError::Lockout { .. }
            | StoreError::NobodyLifts
            | StoreError::LeaseLost
            | StoreError::Regressed { .. }
            | StoreError::Reason
            | StoreError::Aborted
            | StoreError::Broken(_)
            | StoreError::Newer { .. }
            | StoreError::Altered(_)
            | StoreError::Outdated { .. }
            | StoreError::File(_)
            | StoreError::Keyring(_) => Self::Internal,
        }
    }
}

impl From<StoreError> for CallError {
    /// What a caller is told. Faults are logged here, for their text stays inside.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists { kind, key } => Self::exists(kind.noun(), key),
            StoreError::Dangling { .. } => Self::precondition("dangling", error.to_string()),
            StoreError::InUse { .. } => Self::precondition("in_use", error.to_string()),
            StoreError::LeaseLost => Self::precondition("lease_lost", error.to_string()),
            StoreError::Reason => Self::invalid("reason", "length", error.to_string()),
            StoreError::Record(RecordError::Nul { kind, .. }) => {
                Self::invalid(kind.as_str(), "nul", error.to_string())
            }
            StoreError::Record(RecordError::TextTooLong { kind, .. }) => {
                Self::invalid(kind.as_str(), "length", error.to_string())
            }
            StoreError::Record(RecordError::Refused { kind, .. }) => {
                Self::invalid(kind.as_str(), "refused", error.to_string())
            }
            StoreError::Record(RecordError::TooLong { kind, limit, .. }) => Self::LimitExceeded {
                what: format!("bytes of one {}", kind.noun()).into(),
                limit: limit as u64,
            },
            StoreError::Replayed { .. } => Self::Replayed,
            StoreError::TokenOfAnother => {
                Self::precondition("idempotent_parameter_mismatch", error.to_string())
            }
            StoreError::TokenUsedUp => Self::precondition("request_token_used_up", error.to_string()),
            StoreError::Lockout { .. } | StoreError::NobodyLifts => {
                Self::precondition("lockout", error.to_string())
            }
            StoreError::Record(RecordError::Unreadable { .. } | RecordError::Misplaced { .. })
            | StoreError::ScopeNotBegun(_)
            | StoreError::Aborted
            | StoreError::Conflict
            | StoreError::Regressed { .. }
            | StoreError::Unavailable(_)
            | StoreError::Broken(_)
            | StoreError::Newer { .. }
            | StoreError::Altered(_)
            | StoreError::Outdated { .. }
            | StoreError::File(_)
            | StoreError::Keyring(_) => {
                tracing::error!(error = %error, "the store did not do a mutation");
                Self::Fault(Fault::from(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: StoreError) -> String {
        match CallError::from(error) {
            CallError::NotFound { .. } => "not found".to_owned(),
            CallError::AlreadyExists { kind, name } => format!("exists: {kind} {name}"),
            CallError::Invalid { field, rule, .. } => format!("invalid: {field} {rule}"),
            CallError::Precondition { rule, message } => format!("precondition: {rule}: {message}"),
            CallError::LimitExceeded { what, limit } => format!("limit: {what} {limit}"),
            CallError::Denied(_) => "denied".to_owned(),
            CallError::Replayed => "replayed".to_owned(),
            CallError::Fault(fault) => format!("fault: {}: {fault}", fault.code()),
        }
    }

    #[test]
    fn a_caller_is_told_what_it_can_act_on_and_nothing_of_others_or_of_the_database() {
        let (kind, key) = (Kind::User, "ana".to_owned());
        let cluster = || LockedOut {
            cluster: ClusterUid::random(),
            id: "prod".parse().unwrap(),
            account: "111122223333".parse().unwrap(),
            is_told: false,
        };
        let scope = Scope::Hub;
        let cases = [
            (StoreError::Exists { kind, key: key.clone() }, "exists: user ana"),
            (
                StoreError::Dangling { kind, key: key.clone() },
                "precondition: dangling: user `ana` names something that does not exist: make that first",
            ),
            (
                StoreError::InUse { kind, key: key.clone() },
                "precondition: in_use: user `ana` is still in use: remove what names it first",
            ),
            (RecordError::Nul { kind, key: key.clone() }.into(), "invalid: user nul"),
            (RecordError::TextTooLong { kind, bytes: 2000, limit: 1024 }.into(), "invalid: user length"),
            (RecordError::Refused { kind, key: key.clone() }.into(), "invalid: user refused"),
            (
                RecordError::TooLong { kind, key: key.clone(), bytes: 9, limit: 8 }.into(),
                "limit: bytes of one user 8",
            ),
            (
                RecordError::Unreadable { kind, detail: "at line 1".to_owned() }.into(),
                "fault: internal: internal fault, see the log",
            ),
            (
                RecordError::Misplaced { kind, key, scope }.into(),
                "fault: internal: internal fault, see the log",
            ),
            (
                StoreError::LeaseLost,
                "precondition: lease_lost: another replica watches this cluster by now: what this one saw is not taken, and \
                 the other one has seen it too",
            ),
            (StoreError::Reason, "invalid: reason length"),
            (StoreError::Replayed { answer: None }, "replayed"),
            (
                StoreError::TokenOfAnother,
                "precondition: idempotent_parameter_mismatch: the client request token came with other parameters before: give each \
                 request a token of its own",
            ),
            (
                StoreError::TokenUsedUp,
                "precondition: request_token_used_up: the client_request_token was used, and what was answered then holds a secret, \
                 which is told once: look at what there is, and ask again with another token",
            ),
            (
                StoreError::Lockout { clusters: vec![cluster()] },
                "precondition: lockout: the lockout guard: the change would leave a cluster without an administrator who could log in \
                 now: make another one first, or allow it by name",
            ),
            (
                StoreError::Lockout { clusters: vec![LockedOut { is_told: true, ..cluster() }, cluster()] },
                "precondition: lockout: the lockout guard: the change would leave clusters `prod` and 1 more without an administrator \
                 who could log in now: make another one first, or allow it by name",
            ),
            (
                StoreError::NobodyLifts,
                "precondition: lockout: the block would leave nobody who may lift it (lanyard:DeleteBlock): block somebody \
                 narrower, first let somebody else lift blocks, or allow it by name",
            ),
            (StoreError::Conflict, "fault: unavailable: the store is not available: try again"),
            (
                StoreError::Unavailable("10.0.0.1 refused".to_owned()),
                "fault: unavailable: the store is not available: try again",
            ),
            (StoreError::Broken("SELECT".to_owned()), "fault: internal: internal fault, see the log"),
            (StoreError::Aborted, "fault: internal: internal fault, see the log"),
            (StoreError::ScopeNotBegun(scope), "fault: internal: internal fault, see the log"),
            (
                StoreError::Regressed { scope, seen: Revision(2), found: Revision(1) },
                "fault: internal: internal fault, see the log",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(told(error), expected);
        }
        let of = |is_told: &[bool]| {
            which(&is_told.iter().map(|&is_told| LockedOut { is_told, ..cluster() }).collect::<Vec<_>>())
        };
        assert_eq!(of(&[true]), "cluster `prod`");
        assert_eq!(of(&[true; 2]), "clusters `prod`, `prod`");
        assert_eq!(of(&[false; 12]), "12 clusters");
        assert!(of(&[true; 12]).ends_with(", `prod` and 2 more"));
    }
}
