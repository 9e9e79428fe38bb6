//! Accounts, users, access keys, roles, inline policies, instance profiles and OIDC providers.

use lanyard_api::{
    Scope,
    authn::{
        accounts::{AccessKey, Account, IamRole, InlinePolicy, PolicyOwner, User},
        instance_profiles::InstanceProfile,
        oidc_providers::OidcProvider,
    },
};
use lanyard_iam::AccountId;

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record, record_of},
    sql::{Connection, Value},
};

impl Record for Account {
    const KIND: Kind = Kind::Account;

    fn scope(&self) -> Scope {
        Scope::Hub
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Columns for Account {
    fn columns(&self) -> Vec<Value> {
        vec![self.partition.to_string().into(), self.authority.to_string().into()]
    }
}

impl Record for User {
    const KIND: Kind = Kind::User;

    fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Columns for User {
    fn columns(&self) -> Vec<Value> {
        vec![folded(&self.name), self.path.as_str().into(), self.principal_id.as_str().into()]
    }
}

impl Record for AccessKey {
    const KIND: Kind = Kind::AccessKey;

    fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Columns for AccessKey {
    fn columns(&self) -> Vec<Value> {
        vec![self.user.as_str().into(), self.active.into()]
    }
}

impl Record for IamRole {
    const KIND: Kind = Kind::IamRole;

    fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Columns for IamRole {
    fn columns(&self) -> Vec<Value> {
        vec![folded(&self.name), self.principal_id.as_str().into()]
    }
}

impl Record for InlinePolicy {
    const KIND: Kind = Kind::InlinePolicy;

    fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }

    fn key(&self) -> String {
        format!("{}/{}/{}", self.owner.kind(), self.owner.name(), self.name)
    }
}

impl Columns for InlinePolicy {
    fn columns(&self) -> Vec<Value> {
        let name = |of: bool| of.then(|| self.owner.name());
        let (is_user, is_role, is_principal) = match &self.owner {
            PolicyOwner::User(_) => (true, false, false),
            PolicyOwner::Role(_) => (false, true, false),
            PolicyOwner::Principal(_) => (false, false, true),
        };
        [is_user, is_role, is_principal].map(|of| Value::text_or_none(name(of))).into()
    }
}

impl Record for InstanceProfile {
    const KIND: Kind = Kind::InstanceProfile;

    fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Columns for InstanceProfile {
    fn columns(&self) -> Vec<Value> {
        let role = Value::text_or_none(self.role.as_deref());
        vec![folded(&self.name), self.profile_id.as_str().into(), role]
    }
}

impl Record for OidcProvider {
    const KIND: Kind = Kind::OidcProvider;

    fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }

    fn key(&self) -> String {
        self.issuer_url.clone()
    }
}

impl Columns for OidcProvider {
    fn columns(&self) -> Vec<Value> {
        vec![self.id.to_string().into()]
    }
}

/// The access keys of a user, in the order of their ids: found by an index, however many the account has.
pub(crate) async fn access_keys_of(
    connection: &mut Connection,
    account: AccountId,
    user: &str,
) -> Result<Vec<AccessKey>, StoreError> {
    const OF_USER: &str = "SELECT body FROM access_keys WHERE account = $1 AND user_name = $2 ORDER BY id";
    let lines = connection.fetch(OF_USER, [account.to_string().into(), user.into()]).await?;
    lines.iter().map(|line| record_of(&line.bytes(0)?)).collect()
}

/// IAM tells names apart without letter case; they hold ASCII only.
fn folded(name: &str) -> Value {
    name.to_ascii_lowercase().into()
}
