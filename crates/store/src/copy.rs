//! Moving a hub from its SQLite file to PostgreSQL, whole and verified.
//!
//! What tables there are is read from the target, which our own migrations have just made; so nothing is left out because
//! somebody forgot to name it here. All goes over in one transaction of the target, the making of the tables included, which takes it
//! back where anything fails: a hub that lives there already, of an older Lanyard maybe, stays as it is.
//! Sealed values stay valid, for what they are bound to is their place, not their database.

mod rows;
mod target;

use lanyard_api::Scope;
use sqlx::Connection as _;

use self::{
    rows::{Digest, Source},
    target::Target,
};
use crate::{
    change::{ChainFault, ChainReport},
    error::StoreError,
    migrations::{connect_alone, require_migrated, tables_made},
    options::{StoreOptions, StoreUrl},
    sql::SqlError,
    store::Store,
    tables::changes::counters,
};

/// Tables that are not copied. Leases are held by running processes, of which there are none; the rows of guards are made by the
/// migrations, as is the list of these.
const LEFT_OUT: [&str; 3] = ["_sqlx_migrations", "guards", "leases"];

/// One table, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub table: String,
    /// How many rows it has, on both sides.
    pub rows: u64,
}

/// A hub in its new place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The tables, in the order in which they were copied.
    pub tables: Vec<CopiedTable>,
    /// The scopes, whose chains were verified in the new place.
    pub scopes: Vec<ChainReport>,
}

/// How far a copy has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStep<'a> {
    /// The chains of the source are verified.
    Verifying,
    /// So many rows of a table have gone over.
    Copying {
        /// The table.
        table: &'a str,
        /// Rows that went.
        rows: u64,
        /// Rows that there are.
        of: u64,
    },
    /// What has arrived is read again.
    Comparing,
    /// The chains of the target are verified.
    VerifyingCopy,
}

/// Why a hub was not copied. The target is as it was, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The directions are wrong.
    #[error(
        "a copy goes from a SQLite file to a PostgreSQL database: give the folder of a hub, and postgres://…"
    )]
    Direction,
    /// The source cannot be read.
    #[error("the source, {place}: {source}")]
    Source {
        /// Where it is.
        place: StoreUrl,
        /// Why not.
        source: StoreError,
    },
    /// The target cannot be written.
    #[error("the target, {place}: {source}")]
    Target {
        /// Where it is.
        place: StoreUrl,
        /// Why not.
        source: StoreError,
    },
    /// Somebody else lives there.
    #[error(
        "the target has table `{table}` already, which is none of Lanyard's: a hub is copied into an empty database, make another"
    )]
    Foreign {
        /// The first such table.
        table: String,
    },
    /// A hub lives there.
    #[error(
        "the target has {rows} rows in table `{table}` already: a hub is copied into an empty database, make another"
    )]
    NotEmpty {
        /// The first such table.
        table: String,
        /// How many.
        rows: u64,
    },
    /// The source is not as Lanyard left it.
    #[error(
        "the chain of scope `{scope}` in the source is broken, {fault}: find out who wrote there before it is copied"
    )]
    BrokenSource {
        /// Where.
        scope: Scope,
        /// What does not fit.
        fault: ChainFault,
    },
    /// Not everything has arrived as it left.
    #[error(
        "table `{table}` did not arrive as it left ({sent} rows sent, {arrived} there): nothing was kept, try again"
    )]
    Differs {
        /// The table.
        table: String,
        /// Rows sent.
        sent: u64,
        /// Rows found.
        arrived: u64,
    },
    /// The copy was kept and does not verify: somebody wrote there meanwhile.
    #[error(
        "the chain of scope `{scope}` in the target is broken, {fault}: somebody wrote there meanwhile; drop that database"
    )]
    BrokenCopy {
        /// Where.
        scope: Scope,
        /// What does not fit.
        fault: ChainFault,
    },
}

/// Copies a hub from a SQLite file to an empty PostgreSQL database, and verifies the chain of every scope on both sides. No hub
/// may have the file open. The source's keyring opens the target too.
///
/// # Errors
/// [`CopyError`] names the side, the rule it breaks and the next step.
pub async fn copy(
    from: &StoreOptions,
    to: &StoreUrl,
    progress: &(dyn Fn(CopyStep<'_>) + Sync),
) -> Result<Copied, CopyError> {
    let (StoreUrl::Sqlite(_), StoreUrl::Postgres(_)) = (&from.url, to) else {
        return Err(CopyError::Direction);
    };
    let of_source = |source| CopyError::Source { place: from.url.clone(), source };
    let of_target = |source| CopyError::Target { place: to.clone(), source };
    progress(CopyStep::Verifying);
    require_migrated(&from.url, from.wait_max).await.map_err(of_source)?;
    let source = Store::open(from).await.map_err(of_source)?;
    let before = verify(&source).await.map_err(of_source)?;
    if let Some((scope, fault)) = first_fault(&before) {
        return Err(CopyError::BrokenSource { scope, fault });
    }
    let mut connection = connect_alone(to).await.map_err(of_target)?;
    let mut target = Target::begin(&mut connection).await.map_err(of_target)?;
    require_empty(&mut target, &of_target).await?;
    target.migrate().await.map_err(of_target)?;
    let tables = target.tables(&LEFT_OUT).await.map_err(of_target)?;
    let mut sent = Vec::with_capacity(tables.len());
    {
        let mut rows_of = Source::begin(&source).await.map_err(of_source)?;
        for table in &tables {
            let (of, mut digest) = (rows_of.count(table).await.map_err(of_source)?, Digest::default());
            let mut batches = rows_of.batches(table);
            while let Some(batch) = batches.next().await.map_err(of_source)? {
                digest.take(&batch);
                target.insert(table, batch).await.map_err(of_target)?;
                progress(CopyStep::Copying { table: &table.name, rows: digest.rows, of });
            }
            sent.push(digest);
        }
    }
    source.close().await;
    progress(CopyStep::Comparing);
    for (table, sent) in tables.iter().zip(&sent) {
        let arrived = target.digest(table).await.map_err(of_target)?;
        if arrived != *sent {
            let (sent, arrived) = (sent.rows, arrived.rows);
            return Err(CopyError::Differs { table: table.name.clone(), sent, arrived });
        }
    }
    target.commit().await.map_err(of_target)?;
    connection.close().await.map_err(|error| of_target(SqlError::from(error).into()))?;
    progress(CopyStep::VerifyingCopy);
    let mut options = from.clone();
    (options.url, options.shared) = (to.clone(), true);
    let copy = Store::open(&options).await.map_err(of_target)?;
    let scopes = verify(&copy).await.map_err(of_target)?;
    copy.close().await;
    if let Some((scope, fault)) = first_fault(&scopes) {
        return Err(CopyError::BrokenCopy { scope, fault });
    }
    let tables = tables.into_iter().zip(sent);
    let tables = tables.map(|(table, sent)| CopiedTable { table: table.name, rows: sent.rows }).collect();
    Ok(Copied { tables, scopes })
}

/// Refuses a target that anybody uses. From here to the end of the transaction nobody else writes to what there is; what is made after
/// this nobody else sees.
async fn require_empty(
    target: &mut Target<'_>,
    of_target: &(dyn Fn(StoreError) -> CopyError + Sync),
) -> Result<(), CopyError> {
    let made = tables_made().await.map_err(of_target)?;
    let mut there = target.table_names().await.map_err(of_target)?;
    if let Some(table) = there.iter().find(|table| !made.contains(*table)) {
        return Err(CopyError::Foreign { table: table.clone() });
    }
    there.retain(|table| !LEFT_OUT.contains(&table.as_str()));
    target.lock(&there).await.map_err(of_target)?;
    for table in there {
        let rows = target.count(&table).await.map_err(of_target)?;
        if rows > 0 {
            return Err(CopyError::NotEmpty { table, rows });
        }
    }
    Ok(())
}

async fn verify(store: &Store) -> Result<Vec<ChainReport>, StoreError> {
    let scopes = counters(&mut store.read().await?).await?;
    let mut reports = Vec::with_capacity(scopes.len());
    for (scope, _) in scopes {
        reports.push(store.verify_chain(scope).await?);
    }
    Ok(reports)
}

fn first_fault(reports: &[ChainReport]) -> Option<(Scope, ChainFault)> {
    reports.iter().find_map(|report| Some((report.scope, report.fault.clone()?)))
}
