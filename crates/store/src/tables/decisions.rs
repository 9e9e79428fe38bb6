//! Finished decisions, kept within bounds for `explain --id`.

use std::{fmt::Write as _, sync::LazyLock};

use lanyard_api::{DecisionId, authz::DecisionRecord};
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    options::StoreOptions,
    sql::{Access, Connection, Value},
    store::Store,
};

/// Columns of a row.
const COLUMNS: usize = 5;

/// How many rows a statement writes, the most first. A round trip to the database costs many times what a row in it does.
const ROWS: [usize; 3] = [64, 8, 1];

/// The statement for each of [`ROWS`].
static PUT: LazyLock<[(usize, &'static str); 3]> = LazyLock::new(|| ROWS.map(|rows| (rows, put(rows))));

fn put(rows: usize) -> &'static str {
    let mut sql = "INSERT INTO decisions (id, at, cluster, lets_in, body) VALUES ".to_owned();
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=COLUMNS {
            let comma = if column == 1 { "" } else { ", " };
            // Writing into a string cannot fail.
            let _ = write!(sql, "{comma}${}", row * COLUMNS + column);
        }
        sql.push(')');
    }
    sql.push_str(" ON CONFLICT (id) DO NOTHING");
    sql.leak()
}

impl Store {
    /// Keeps finished decisions, all or none of the batch; one that is kept already stays as it is. Once in so many it
    /// removes what is too old or too many, so that the table keeps its bound at any rate.
    ///
    /// # Errors
    /// When the database does not take them.
    pub async fn put_decisions(&self, batch: &[DecisionRecord]) -> Result<(), StoreError> {
        let mut values = Vec::with_capacity(batch.len());
        for decision in batch {
            values.push(values_of(decision)?);
        }
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        let mut left = values.into_iter();
        for (rows, sql) in *PUT {
            while left.len() >= rows {
                let values = left.by_ref().take(rows).flatten().collect();
                connection.execute_all(sql, values).await?;
            }
        }
        connection.commit().await?;
        drop(permit);
        if self.is_time_to_sweep(batch.len()) {
            self.sweep_decisions().await?;
        }
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

    /// Removes the decisions that are too old or too many, a part at a time, so that no transaction holds the writer for
    /// long.
    pub(crate) async fn sweep_decisions(&self) -> Result<(), StoreError> {
        loop {
            let (mut connection, permit) = self.open_connection(Access::Write).await?;
            let swept = sweep(&mut connection, self.options(), self.clock().now()).await?;
            connection.commit().await?;
            drop(permit);
            if swept < SWEPT_MAX {
                return Ok(());
            }
        }
    }
}

fn values_of(decision: &DecisionRecord) -> Result<[Value; COLUMNS], StoreError> {
    let body = serde_json::to_vec(decision)
        .map_err(|error| StoreError::Broken(format!("a decision cannot be written: {error}")))?;
    Ok([
        decision.id.to_string().into(),
        Value::moment(decision.at),
        decision.cluster.to_string().into(),
        Value::number(decision.outcome.lets_in().into()),
        body.into(),
    ])
}

/// Most rows that one statement removes.
const SWEPT_MAX: u64 = 10_000;

/// Removes some; answers how many at most by one statement.
async fn sweep(
    connection: &mut Connection,
    options: &StoreOptions,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    const TOO_OLD: &str = "DELETE FROM decisions WHERE id IN \
        (SELECT id FROM decisions WHERE lets_in = $1 AND at < $2 LIMIT $3)";
    const TOO_MANY: &str = "DELETE FROM decisions WHERE id IN \
        (SELECT id FROM decisions WHERE lets_in = $1 ORDER BY at DESC, id DESC LIMIT $3 OFFSET $2)";
    let kept = time::Duration::try_from(options.decisions_kept).unwrap_or(time::Duration::MAX);
    let oldest = now.checked_sub(kept);
    let mut most = 0;
    for lets_in in [0, 1] {
        let bounds =
            [(TOO_OLD, oldest.map(Value::moment)), (TOO_MANY, Some(Value::number(options.decisions_max)))];
        for (sql, bound) in bounds {
            let Some(bound) = bound else { continue };
            let values = [Value::number(lets_in), bound, Value::number(SWEPT_MAX)];
            most = most.max(connection.execute(sql, values).await?);
        }
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_numbers_every_value_of_its_rows_once() {
        assert_eq!(
            put(2),
            "INSERT INTO decisions (id, at, cluster, lets_in, body) VALUES ($1, $2, $3, $4, $5), \
             ($6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING"
        );
    }
}
