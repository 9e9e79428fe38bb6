//! Accounts, users, access keys, roles, inline policies, instance profiles and OIDC providers.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{
    Scope,
    authn::{
        accounts::{AccessKey, Account, IamRole, InlinePolicy, PolicyOwner, User},
        instance_profiles::InstanceProfile,
        oidc_providers::OidcProvider,
    },
};
use lanyard_iam::{AccountId, PrincipalArn, PrincipalKind};

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

/// Questions about what belongs to one user, role or principal. Each is answered by an index, however much the account has.
pub(crate) mod of_one {
    /// The access keys of a user, `$2`.
    pub(crate) const KEYS: &str =
        "SELECT body FROM access_keys WHERE account = $1 AND user_name = $2 ORDER BY id";
    /// The inline policies of a user, `$2`.
    pub(crate) const POLICIES_OF_USER: &str =
        "SELECT body FROM inline_policies WHERE account = $1 AND user_name = $2 ORDER BY key";
    /// The inline policies of a role, `$2`.
    pub(crate) const POLICIES_OF_ROLE: &str =
        "SELECT body FROM inline_policies WHERE account = $1 AND role_name = $2 ORDER BY key";
    /// The inline policies of a principal of another authority, `$2`.
    pub(crate) const POLICIES_OF_PRINCIPAL: &str =
        "SELECT body FROM inline_policies WHERE account = $1 AND principal_arn = $2 ORDER BY key";
    /// The instance profiles that have a role, `$2`: those that come after one, `$3`, and no more than `$4`.
    pub(crate) const PROFILES_WITH_ROLE: &str = "SELECT body FROM instance_profiles \
         WHERE account = $1 AND role_name = $2 AND name > $3 ORDER BY name LIMIT $4";
    /// How many principals of other authorities have inline policies; no more than `$2` are counted.
    pub(crate) const PRINCIPALS: &str = "SELECT COUNT(*) FROM (SELECT DISTINCT principal_arn FROM inline_policies \
         WHERE account = $1 AND principal_arn IS NOT NULL LIMIT $2) AS principals";
    /// How many users and roles have a unique id, `$2`: one or none.
    pub(crate) const BEARERS_OF_ID: &str = "SELECT COUNT(*) FROM \
         (SELECT principal_id FROM users WHERE account = $1 AND principal_id = $2 \
         UNION ALL SELECT principal_id FROM iam_roles WHERE account = $1 AND principal_id = $2) AS bearers";
}

/// Questions about some names at once, `$2` and on. Those that are fewer are filled up with the empty one, which nobody has.
mod of_some {
    /// How many names one question is about.
    pub(super) const NAMES: usize = 16;
    /// The unique ids of users.
    pub(super) const USER_IDS: &str = "SELECT name, principal_id FROM users WHERE account = $1 \
         AND name IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    /// The unique ids of roles.
    pub(super) const ROLE_IDS: &str = "SELECT name, principal_id FROM iam_roles WHERE account = $1 \
         AND name IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
}

/// The unique ids of the users and roles that bear the names of some ARNs. Paths are not looked at: names are unique without them.
pub(crate) async fn bearers(
    connection: &mut Connection,
    arns: &BTreeSet<PrincipalArn>,
) -> Result<BTreeMap<PrincipalArn, String>, StoreError> {
    let mut asked: BTreeMap<(AccountId, &'static str), Vec<(&str, &PrincipalArn)>> = BTreeMap::new();
    for arn in arns {
        let (question, name) = match &arn.kind {
            PrincipalKind::User { name, .. } => (of_some::USER_IDS, name.as_str()),
            PrincipalKind::Role { name, .. } => (of_some::ROLE_IDS, name.as_str()),
            _ => continue,
        };
        asked.entry((arn.account, question)).or_default().push((name, arn));
    }
    let mut bearers = BTreeMap::new();
    for ((account, question), named) in asked {
        for some in named.chunks(of_some::NAMES) {
            let values: [Value; of_some::NAMES + 1] = std::array::from_fn(|at| match at.checked_sub(1) {
                None => account.to_string().into(),
                Some(at) => some.get(at).map_or("", |(name, _)| *name).into(),
            });
            for line in connection.fetch(question, values).await? {
                let (name, id) = (line.text(0)?, line.text(1)?);
                for (_, arn) in some.iter().filter(|(other, _)| *other == name) {
                    bearers.insert((*arn).clone(), id.clone());
                }
            }
        }
    }
    Ok(bearers)
}

/// Whether a user or role of an account has a unique id.
pub(crate) async fn has_principal(
    connection: &mut Connection,
    account: AccountId,
    id: &str,
) -> Result<bool, StoreError> {
    Ok(connection.number(of_one::BEARERS_OF_ID, [account.to_string().into(), id.into()]).await? > 0)
}

/// The access keys of a user, in the order of their ids.
pub(crate) async fn access_keys_of(
    connection: &mut Connection,
    account: AccountId,
    user: &str,
) -> Result<Vec<AccessKey>, StoreError> {
    belonging(connection, of_one::KEYS, account, user).await
}

/// The inline policies of an owner, in the order of their names.
pub(crate) async fn policies_of(
    connection: &mut Connection,
    account: AccountId,
    owner: &PolicyOwner,
) -> Result<Vec<InlinePolicy>, StoreError> {
    let of_owner = match owner {
        PolicyOwner::User(_) => of_one::POLICIES_OF_USER,
        PolicyOwner::Role(_) => of_one::POLICIES_OF_ROLE,
        PolicyOwner::Principal(_) => of_one::POLICIES_OF_PRINCIPAL,
    };
    belonging(connection, of_owner, account, owner.name()).await
}

/// The instance profiles that have a role and whose names come after one, in their order, so many at most.
pub(crate) async fn profiles_with(
    connection: &mut Connection,
    account: AccountId,
    role: &str,
    after: &str,
    most: u32,
) -> Result<Vec<InstanceProfile>, StoreError> {
    // As of `belonging`; and the same names come after what stands before such a character.
    let after = after.split('\0').next().unwrap_or_default();
    if role.contains('\0') {
        return Ok(Vec::new());
    }
    let values = [account.to_string().into(), role.into(), after.into(), Value::number(most.into())];
    let lines = connection.fetch(of_one::PROFILES_WITH_ROLE, values).await?;
    lines.iter().map(|line| record_of(&line.bytes(0)?)).collect()
}

/// How many principals of an account have inline policies, of those whom another authority keeps; none is counted beyond `most`.
pub(crate) async fn principals_with_policies(
    connection: &mut Connection,
    account: AccountId,
    most: u64,
) -> Result<u64, StoreError> {
    let values = [account.to_string().into(), Value::number(most)];
    let count = connection.number(of_one::PRINCIPALS, values).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The records of an account that belong to one name.
async fn belonging<R: Record>(
    connection: &mut Connection,
    sql: &'static str,
    account: AccountId,
    name: &str,
) -> Result<Vec<R>, StoreError> {
    // No name holds that character, and PostgreSQL takes no text with it.
    if name.contains('\0') {
        return Ok(Vec::new());
    }
    let lines = connection.fetch(sql, [account.to_string().into(), name.into()]).await?;
    lines.iter().map(|line| record_of(&line.bytes(0)?)).collect()
}

/// IAM tells names apart without letter case; they hold ASCII only.
fn folded(name: &str) -> Value {
    name.to_ascii_lowercase().into()
}
