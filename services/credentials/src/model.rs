//! The roles of an account, in memory.

use std::collections::BTreeMap;

use lanyard_api::{Revision, Scope, authn::accounts::IamRole};
use lanyard_store::{Change, Kind, Model, Row, StoreError};

/// Compiles an account's roles.
pub(crate) struct Roles;

/// The roles of one account at a revision.
pub(crate) struct RoleSnapshot {
    by_name: BTreeMap<String, IamRole>,
    /// The account's revision when this was compiled.
    pub(crate) revision: Revision,
}

impl RoleSnapshot {
    /// Role names are unique ignoring letter case (IAM).
    pub(crate) fn role(&self, name: &str) -> Option<&IamRole> {
        self.by_name.get(&name.to_ascii_lowercase())
    }
}

impl Model for Roles {
    type Rows = BTreeMap<String, IamRole>;
    type Snapshot = RoleSnapshot;
    const KINDS: &'static [Kind] = &[Kind::IamRole];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<Self::Rows, StoreError> {
        rows.into_iter().map(|row| Ok((row.key.clone(), row.decode()?))).collect()
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        match change.after::<IamRole>()? {
            Some(role) => rows.insert(change.key.clone(), role),
            None => rows.remove(&change.key),
        };
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &Self::Rows, revision: Revision) -> RoleSnapshot {
        let by_name = rows.values().map(|role| (role.name.to_ascii_lowercase(), role.clone())).collect();
        RoleSnapshot { by_name, revision }
    }
}
