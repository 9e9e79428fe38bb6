//! Leases: who may do something alone, until when.

use std::time::Duration;

use lanyard_api::ClusterUid;
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    sql::{Access, Connection, Value},
    store::Store,
};

/// A lease that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What for.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Counts up each time that another takes it: what a former holder still writes can be told by it.
    pub term: u64,
    /// When it ends unless renewed.
    pub ends_at: OffsetDateTime,
}

/// The name of the lease under which a cluster is watched.
#[must_use]
pub fn spoke_lease(cluster: ClusterUid) -> String {
    format!("spoke/{cluster}")
}

/// The term of a lease that anybody ever took.
pub(crate) async fn term_of(connection: &mut Connection, name: &str) -> Result<Option<u64>, StoreError> {
    let line = connection.fetch_one("SELECT term FROM leases WHERE name = $1", [name.into()]).await?;
    line.map(|line| line.unsigned(0)).transpose()
}

/// What two clocks differ by at most where each is right: vouchers between services allow no more.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_mins(1);

impl Store {
    /// Takes a lease that nobody else holds, or renews one's own; none where another holds it. Renewing keeps the term.
    ///
    /// # Errors
    /// When the database does not answer; then the lease is held no longer than was known before.
    pub async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        lifetime: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        // One statement, so that of two who try at once one finds the other's row.
        const ACQUIRE: &str = "INSERT INTO leases (name, holder, term, ends_at) VALUES ($1, $2, 1, $4) \
            ON CONFLICT (name) DO UPDATE SET \
            term = CASE WHEN leases.holder = excluded.holder THEN leases.term ELSE leases.term + 1 END, \
            holder = excluded.holder, ends_at = excluded.ends_at \
            WHERE leases.holder = excluded.holder OR leases.ends_at <= $3 OR leases.ends_at > $5 \
            RETURNING term, ends_at";
        let now = self.clock().now();
        // From before the row is written: never longer than whoever reads it believes.
        let ends_at = now + lifetime;
        // Nobody holds one for longer than that: it was written by a clock that was ahead and has been set right since.
        let nobodys = ends_at + CLOCKS_DIFFER_MAX;
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        let values =
            [name.into(), holder.into(), Value::moment(now), Value::moment(ends_at), Value::moment(nobodys)];
        let line = connection.fetch_one(ACQUIRE, values).await?;
        let lease = match line {
            None => None,
            Some(line) => {
                let ends_at = crate::sql::moment(line.integer(1)?).unwrap_or(ends_at);
                Some(Lease {
                    name: name.to_owned(),
                    holder: holder.to_owned(),
                    term: line.unsigned(0)?,
                    ends_at,
                })
            }
        };
        connection.commit().await?;
        drop(permit);
        Ok(lease)
    }

    /// A lease as it stands, ended or not; none that nobody ever took.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lease(&self, name: &str) -> Result<Option<Lease>, StoreError> {
        const GET: &str = "SELECT holder, term, ends_at FROM leases WHERE name = $1";
        let Some(line) = self.read().await?.fetch_one(GET, [name.into()]).await? else { return Ok(None) };
        let ends_at = crate::sql::moment(line.integer(2)?)
            .ok_or_else(|| StoreError::Broken(format!("lease `{name}` has no end")))?;
        Ok(Some(Lease { name: name.to_owned(), holder: line.text(0)?, term: line.unsigned(1)?, ends_at }))
    }

    /// Gives a lease back; false where another holds it by now.
    ///
    /// # Errors
    /// When the database does not answer; then the lease ends by itself.
    pub async fn release_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        // The row stays, ended, so that terms go on counting up.
        const RELEASE: &str = "UPDATE leases SET ends_at = $4 WHERE name = $1 AND holder = $2 AND term = $3";
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        let values = [
            lease.name.as_str().into(),
            lease.holder.as_str().into(),
            Value::number(lease.term),
            Value::moment(self.clock().now()),
        ];
        let released = connection.execute(RELEASE, values).await? > 0;
        connection.commit().await?;
        drop(permit);
        Ok(released)
    }
}
