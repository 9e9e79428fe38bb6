//! What the watchers of spoke clusters say of themselves.

use lanyard_api::{ClusterUid, mapping::SpokeWatch};

use crate::{error::StoreError, sql::Access, store::Store};

impl Store {
    /// Keeps what a watcher says, in place of what was said before. A cluster that is gone is none to say anything of.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn put_spoke_watch(&self, cluster: ClusterUid, watch: &SpokeWatch) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO spoke_watches (cluster, body) SELECT uid, $2 FROM clusters WHERE uid = $1 \
            ON CONFLICT (cluster) DO UPDATE SET body = excluded.body";
        let body = serde_json::to_vec(watch)
            .map_err(|error| StoreError::Broken(format!("a watch cannot be written: {error}")))?;
        let (mut connection, permit) = self.open_connection(Access::Write).await?;
        connection.execute(PUT, [cluster.to_string().into(), body.into()]).await?;
        connection.commit().await?;
        drop(permit);
        Ok(())
    }

    /// What was said last.
    ///
    /// # Errors
    /// When the database does not answer, or holds something else.
    pub async fn spoke_watch(&self, cluster: ClusterUid) -> Result<Option<SpokeWatch>, StoreError> {
        const GET: &str = "SELECT body FROM spoke_watches WHERE cluster = $1";
        let mut connection = self.read().await?;
        let Some(line) = connection.fetch_one(GET, [cluster.to_string().into()]).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&line.bytes(0)?);
        read.map(Some).map_err(|error| {
            StoreError::Broken(format!("the watch of cluster `{cluster}` cannot be read: {error}"))
        })
    }
}
