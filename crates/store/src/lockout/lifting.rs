//! No block is put up that leaves nobody who may lift it.
//!
//! A cluster's block stops nobody's management calls. One of an account or of the hub stops those of whom it names, so that
//! it may stop whoever would lift it: principals of that account who may, and the hub's operators for all.

use lanyard_api::{HubId, Scope};
use lanyard_iam::AccountId;
use time::OffsetDateTime;

use super::people::{Gates, People};
use crate::{error::StoreError, record::record_of, sql::Connection, tables::settings::Setting};

/// What lifting a block is called in policy documents.
const DELETE_BLOCK: &str = "lanyard:DeleteBlock";

/// The guard of one transaction that puts blocks up: whether somebody might have lifted them before.
pub(crate) struct LiftGuard {
    now: OffsetDateTime,
    scope: Scope,
    could: bool,
}

impl LiftGuard {
    /// Looks before the first block is written.
    pub(crate) async fn begin(
        connection: &mut Connection,
        now: OffsetDateTime,
        scope: Scope,
    ) -> Result<Self, StoreError> {
        let could = match scope {
            Scope::Cluster(_) => false,
            Scope::Hub | Scope::Account(_) => can_be_lifted(connection, now, scope).await?,
        };
        Ok(Self { now, scope, could })
    }

    /// Whether nobody is left who may lift a block of the scope, and before there was somebody.
    pub(crate) async fn locks_out(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        Ok(self.could && !can_be_lifted(connection, self.now, self.scope).await?)
    }
}

/// Whether somebody who could act now may lift a block of this scope.
async fn can_be_lifted(
    connection: &mut Connection,
    now: OffsetDateTime,
    scope: Scope,
) -> Result<bool, StoreError> {
    let Some(hub) = Hub::find(connection).await? else { return Ok(false) };
    let mut people = People::load(connection, now).await?;
    if let Scope::Account(account) = scope
        && account != hub.account
        && let Some(partition) = people.partition_of(account)
    {
        let resource = format!("arn:{partition}:lanyard::{account}:account/{account}");
        if somebody_may(&mut people, account, &resource).await? {
            return Ok(true);
        }
    }
    let Some(partition) = people.partition_of(hub.account) else { return Ok(false) };
    let (account, id) = (hub.account, hub.id);
    let resource = match scope {
        Scope::Account(own) if own == account => {
            format!("arn:{partition}:lanyard::{account}:account/{account}")
        }
        _ => format!("arn:{partition}:lanyard::{account}:hub/{id}"),
    };
    somebody_may(&mut people, account, &resource).await
}

async fn somebody_may(
    people: &mut People<'_>,
    account: AccountId,
    resource: &str,
) -> Result<bool, StoreError> {
    // Admit looks at the blocks of the hub and of the caller's own account.
    let gates = Gates { cluster: None, accounts: [account].into() };
    for person in people.home(account).await?.iter() {
        if people.may(person, DELETE_BLOCK, resource) && people.can_act(person, &gates).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the hub is called, once it has been settled.
struct Hub {
    id: HubId,
    account: AccountId,
}

impl Hub {
    async fn find(connection: &mut Connection) -> Result<Option<Self>, StoreError> {
        const SELECT: &str = "SELECT body FROM settings WHERE name = $1";
        let mut values = Vec::new();
        for name in [Setting::HUB_ID, Setting::EMBEDDED_ACCOUNT] {
            let Some(line) = connection.fetch_one(SELECT, [name.into()]).await? else { return Ok(None) };
            values.push(record_of::<Setting>(&line.bytes(0)?)?.value);
        }
        let broken = || StoreError::Broken("the hub has no good id or account".to_owned());
        let [id, account] = values.as_slice() else { return Err(broken()) };
        let id = id.parse().map_err(|_| broken())?;
        Ok(Some(Self { id, account: account.parse().map_err(|_| broken())? }))
    }
}
