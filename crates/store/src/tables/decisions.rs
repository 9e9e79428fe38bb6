//! Finished decisions, kept within bounds for `explain --id`.

use lanyard_api::{DecisionId, authz::DecisionRecord};
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    options::StoreOptions,
    sql::{Access, Connection, Value},
    store::Store,
};

impl Store {
    /// Keeps finished decisions, all or none of the batch; one that is kept already stays as it is.
    ///
    /// # Errors
    /// When the database does not take them.
    pub async fn put_decisions(&self, batch: &[DecisionRecord]) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO decisions (id, at, cluster, body) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (id) DO NOTHING";
        let bodies: Result<Vec<_>, _> = batch.iter().map(serde_json::to_vec).collect();
        let bodies =
            bodies.map_err(|error| StoreError::Broken(format!("a decision cannot be written: {error}")))?;
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        for (decision, body) in batch.iter().zip(bodies) {
            let values = [
                decision.id.to_string().into(),
                Value::moment(decision.at),
                decision.cluster.to_string().into(),
                body.into(),
            ];
            connection.execute(PUT, values).await?;
        }
        connection.commit().await?;
        drop(permit);
        Ok(())
    }

    /// A decision, while it is kept.
    ///
    /// # Errors
    /// When the database does not answer, or holds something else under the id.
    pub async fn get_decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        const GET: &str = "SELECT body FROM decisions WHERE id = $1";
        let mut connection = self.read().await?;
        let Some(line) = connection.fetch_one(GET, [id.to_string().into()]).await? else { return Ok(None) };
        let read = serde_json::from_slice(&line.bytes(0)?);
        read.map(Some).map_err(|error| StoreError::Broken(format!("decision `{id}` cannot be read: {error}")))
    }
}

/// Removes the decisions that are too old or too many.
pub(crate) async fn sweep(
    connection: &mut Connection,
    options: &StoreOptions,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    const TOO_OLD: &str = "DELETE FROM decisions WHERE at < $1";
    const TOO_MANY: &str = "DELETE FROM decisions WHERE id IN \
        (SELECT id FROM decisions ORDER BY at DESC, id DESC LIMIT $2 OFFSET $1)";
    /// At most so many at once, so that no sweep holds the writer for long.
    const SWEPT_MAX: u64 = 10_000;
    let oldest =
        now.checked_sub(time::Duration::try_from(options.decisions_kept).unwrap_or(time::Duration::MAX));
    let mut swept = 0;
    if let Some(oldest) = oldest {
        swept += connection.execute(TOO_OLD, [Value::moment(oldest)]).await?;
    }
    let values = [Value::number(options.decisions_max), Value::number(SWEPT_MAX)];
    swept += connection.execute(TOO_MANY, values).await?;
    Ok(swept)
}
