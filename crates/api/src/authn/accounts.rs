//! Accounts, users, access keys, roles and policy documents.

use std::{collections::BTreeMap, future::Future};

use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn, Partition, PolicyError, TrustPolicy};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Authority, Vouched},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// An account number and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Twelve digits; registered once on a hub.
    pub id: AccountId,
    /// Where its ARNs live.
    pub partition: Partition,
    /// Who vouches for its identities.
    pub authority: Authority,
    /// For people.
    pub name: String,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A local IAM user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its account.
    pub account: AccountId,
    /// `/` or `/team/`.
    pub path: String,
    /// Unique in the account, whatever the path and letter case.
    pub name: String,
    /// `AIDA…`; a user made again under the same name has another.
    pub principal_id: String,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// An access key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// `LKIA…`.
    pub id: AccessKeyId,
    /// The owner's account.
    pub account: AccountId,
    /// The owner's name.
    pub user: String,
    /// Only an active key signs.
    pub active: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A new access key; its secret is shown this once.
#[derive(Debug)]
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret.
    pub secret: SecretString,
}

/// A local IAM role; in an account of authority `aws`, what is known of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IamRole {
    /// Its account.
    pub account: AccountId,
    /// `/` or `/team/`.
    pub path: String,
    /// Unique in the account, whatever the path and letter case.
    pub name: String,
    /// `AROA…`; a role made again under the same name has another.
    pub principal_id: String,
    /// Who may assume it, as the JSON given. Where it is shown, a user or role that is gone stands there by its unique id.
    pub trust_policy: String,
    /// The unique ids of the users and roles of this hub that the trust policy names, by ARN: it trusts these principals, and nobody
    /// who bears their ARNs later. An ARN that is not here means whoever bears it, as those of principals do that AWS keeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trusted_ids: BTreeMap<String, String>,
    /// 3600 to 43200.
    pub session_seconds_max: u32,
    /// Sessions issued before this moment are refused.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub revoked_before: Option<OffsetDateTime>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// For people; empty where none was given.
    #[serde(default)]
    pub description: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl IamRole {
    /// Whom it trusts.
    ///
    /// # Errors
    /// As [`TrustPolicy::parse`], for a role that something else has written: then it trusts nobody.
    pub fn trust(&self) -> Result<TrustPolicy, PolicyError> {
        TrustPolicy::parse(&self.trust_policy).map(|policy| policy.meaning(&self.trusted_ids))
    }
}

/// The tag by which a role may let in whomever an OIDC issuer knows, with the value `true`: callers whose wire has no flag for
/// that say so by it.
pub const ANY_SUBJECT_TAG: &str = "lanyard:any-subject";

/// Whose inline policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOwner {
    /// A user's, by name.
    User(String),
    /// A role's, by name.
    Role(String),
    /// A user's or role's of an account whose authority is not the hub, by its canonical ARN: a user's with the path, a role's without,
    /// for STS leaves that out. Spelled as the authority spells it.
    Principal(CanonicalArn),
}

impl PolicyOwner {
    /// `user`, `role` or `principal`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Role(_) => "role",
            Self::Principal(_) => "principal",
        }
    }

    /// The owner's name, or ARN.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Role(name) => name,
            Self::Principal(arn) => arn.as_str(),
        }
    }
}

/// An inline policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InlinePolicy {
    /// The owner's account.
    pub account: AccountId,
    /// Whose.
    pub owner: PolicyOwner,
    /// Its name, unique at its owner.
    pub name: String,
    /// The document, as the JSON given.
    pub document: String,
}

/// What a caller's calls are weighed by at this hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerPolicies {
    /// Whose policies these are: the caller, or the role of the caller's session.
    pub owner: PolicyOwner,
    /// The owner's inline policies, by name.
    pub policies: Vec<InlinePolicy>,
    /// The session's own policy, as the JSON given, where one narrows it: both have to allow a call.
    pub session_policy: Option<String>,
}

/// What makes a user.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// The account; none means the actor's own.
    pub account: Option<AccountId>,
    /// Empty means `/`.
    pub path: String,
    /// 1 to 64 of `[\w+=,.@-]`.
    pub name: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// What makes a role.
#[derive(Debug, Clone)]
pub struct CreateRole {
    /// The account; none means the actor's own.
    pub account: Option<AccountId>,
    /// Empty means `/`.
    pub path: String,
    /// 1 to 64 of `[\w+=,.@-]`.
    pub name: String,
    /// Who may assume it.
    pub trust_policy: String,
    /// 0 means 3600.
    pub session_seconds_max: u32,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// For people.
    pub description: String,
    /// Take a trust policy that lets in whomever an OIDC issuer knows; [`ANY_SUBJECT_TAG`] says the same.
    pub allow_any_subject: bool,
}

/// What of a role changes beside its trust policy; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct UpdateRole {
    /// For people.
    pub description: Option<String>,
    /// 3600 to 43200.
    pub session_seconds_max: Option<u32>,
}

/// What of an account is listed.
#[derive(Debug, Clone, Default)]
pub struct OfAccount {
    /// The account; none means the actor's own.
    pub account: Option<AccountId>,
    /// What paths have to begin with; empty means any.
    pub path_prefix: String,
}

impl From<Option<AccountId>> for OfAccount {
    /// All that an account has.
    fn from(account: Option<AccountId>) -> Self {
        Self { account, path_prefix: String::new() }
    }
}

/// Something with a name in an account; no account means the actor's own.
#[derive(Debug, Clone)]
pub struct Named {
    /// The account.
    pub account: Option<AccountId>,
    /// The name.
    pub name: String,
}

/// The accounts of the hub and the principals of local ones.
pub trait Accounts: Send + Sync + 'static {
    /// Registers an account with its one authority.
    fn create_account(
        &self,
        by: Mutation,
        account: CreateAccount,
    ) -> impl Future<Output = Result<Mutated<Account>, CallError>> + Send;
    /// Removes an account that nothing names any more.
    fn delete_account(
        &self,
        by: Mutation,
        id: AccountId,
    ) -> impl Future<Output = Result<Mutated<Account>, CallError>> + Send;
    /// The accounts that the actor may see.
    fn list_accounts(
        &self,
        by: Vouched<Actor>,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<Account>, CallError>> + Send;

    /// Makes a user.
    fn create_user(
        &self,
        by: Mutation,
        user: CreateUser,
    ) -> impl Future<Output = Result<Mutated<User>, CallError>> + Send;
    /// One user.
    fn get_user(
        &self,
        by: Vouched<Actor>,
        user: Named,
    ) -> impl Future<Output = Result<User, CallError>> + Send;
    /// Users by name.
    fn list_users(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<User>, CallError>> + Send;
    /// Puts tags on a user, beside those that it has.
    fn tag_user(
        &self,
        by: Mutation,
        user: Named,
        tags: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Mutated<User>, CallError>> + Send;
    /// Takes tags away from a user.
    fn untag_user(
        &self,
        by: Mutation,
        user: Named,
        keys: Vec<String>,
    ) -> impl Future<Output = Result<Mutated<User>, CallError>> + Send;
    /// Deletes a user with its keys and inline policies; where it is to be `only_bare`, one that has some is refused (`still_has`).
    fn delete_user(
        &self,
        by: Mutation,
        user: Named,
        only_bare: bool,
    ) -> impl Future<Output = Result<Mutated<User>, CallError>> + Send;

    /// Makes an access key; the secret is in this answer alone.
    fn create_access_key(
        &self,
        by: Mutation,
        user: Named,
    ) -> impl Future<Output = Result<Mutated<NewAccessKey>, CallError>> + Send;
    /// A user's keys.
    fn list_access_keys(
        &self,
        by: Vouched<Actor>,
        user: Named,
    ) -> impl Future<Output = Result<Vec<AccessKey>, CallError>> + Send;
    /// The account of a key of this hub, as its id tells; whether there is such a key does not matter.
    fn get_access_key_info(
        &self,
        by: Vouched<Actor>,
        key: AccessKeyId,
    ) -> impl Future<Output = Result<AccountId, CallError>> + Send;
    /// Switches a key on or off.
    fn set_access_key_active(
        &self,
        by: Mutation,
        user: Named,
        key: AccessKeyId,
        active: bool,
    ) -> impl Future<Output = Result<Mutated<AccessKey>, CallError>> + Send;
    /// Deletes a key.
    fn delete_access_key(
        &self,
        by: Mutation,
        user: Named,
        key: AccessKeyId,
    ) -> impl Future<Output = Result<Mutated<AccessKey>, CallError>> + Send;

    /// Makes a role.
    fn create_role(
        &self,
        by: Mutation,
        role: CreateRole,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;
    /// One role.
    fn get_role(
        &self,
        by: Vouched<Actor>,
        role: Named,
    ) -> impl Future<Output = Result<IamRole, CallError>> + Send;
    /// Roles by name.
    fn list_roles(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<IamRole>, CallError>> + Send;
    /// Changes what a role is described as, and how long its sessions may last.
    fn update_role(
        &self,
        by: Mutation,
        role: Named,
        update: UpdateRole,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;
    /// Puts tags on a role, beside those that it has.
    fn tag_role(
        &self,
        by: Mutation,
        role: Named,
        tags: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;
    /// Takes tags away from a role.
    fn untag_role(
        &self,
        by: Mutation,
        role: Named,
        keys: Vec<String>,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;
    /// Replaces a role's trust policy; with `allow_any_subject` also by one that lets in whomever an OIDC issuer knows.
    fn update_trust_policy(
        &self,
        by: Mutation,
        role: Named,
        trust_policy: String,
        allow_any_subject: bool,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;
    /// Refuses all sessions of a role issued until now.
    fn revoke_sessions(
        &self,
        by: Mutation,
        role: Named,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;
    /// Deletes a role with its inline policies; where it is to be `only_bare`, one that has some is refused (`still_has`).
    fn delete_role(
        &self,
        by: Mutation,
        role: Named,
        only_bare: bool,
    ) -> impl Future<Output = Result<Mutated<IamRole>, CallError>> + Send;

    /// Puts an inline policy on a user or role.
    fn put_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
        document: String,
    ) -> impl Future<Output = Result<Mutated<InlinePolicy>, CallError>> + Send;
    /// One inline policy.
    fn get_policy(
        &self,
        by: Vouched<Actor>,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> impl Future<Output = Result<InlinePolicy, CallError>> + Send;
    /// A user's or role's inline policies.
    fn list_policies(
        &self,
        by: Vouched<Actor>,
        account: Option<AccountId>,
        owner: PolicyOwner,
    ) -> impl Future<Output = Result<Vec<InlinePolicy>, CallError>> + Send;
    /// Removes an inline policy.
    fn delete_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> impl Future<Output = Result<Mutated<InlinePolicy>, CallError>> + Send;
    /// The policies that the actor's own calls are weighed by, whatever they allow.
    fn get_caller_policies(
        &self,
        by: Vouched<Actor>,
    ) -> impl Future<Output = Result<CallerPolicies, CallError>> + Send;
}

/// What registers an account.
#[derive(Debug, Clone)]
pub struct CreateAccount {
    /// The number.
    pub id: AccountId,
    /// Its partition.
    pub partition: Partition,
    /// Who vouches for it.
    pub authority: Authority,
    /// For people.
    pub name: String,
}
