//! The roles that EC2 instances run with, as EC2 names them.

use std::{collections::BTreeMap, future::Future};

use lanyard_iam::{AccountId, Partition};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::accounts::{IamRole, Named, OfAccount};
use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// What an EC2 instance is given so that it gets a role's credentials (IAM: instance profiles).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceProfile {
    /// Its account.
    pub account: AccountId,
    /// `/` or `/team/`.
    pub path: String,
    /// Unique in the account, whatever the path and letter case.
    pub name: String,
    /// `AIPA…`; a profile made again under the same name has another.
    pub profile_id: String,
    /// The name of the role in it, one at most.
    pub role: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl InstanceProfile {
    /// `arn:P:iam::A:instance-profile/PATH/NAME`.
    #[must_use]
    pub fn arn(&self, partition: Partition) -> String {
        format!("arn:{partition}:iam::{}:instance-profile{}{}", self.account, self.path, self.name)
    }
}

/// A profile with the role in it, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfileDetail {
    /// The profile.
    pub profile: InstanceProfile,
    /// The role in it.
    pub iam_role: Option<IamRole>,
}

/// What makes a profile.
#[derive(Debug, Clone, Default)]
pub struct CreateInstanceProfile {
    /// The account; none means the actor's own.
    pub account: Option<AccountId>,
    /// Empty means `/`.
    pub path: String,
    /// The name.
    pub name: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// One change of a profile that is there.
#[derive(Debug, Clone)]
pub enum UpdateInstanceProfile {
    /// Puts a role into one that has none.
    AddRole(String),
    /// Takes out the role that it has.
    RemoveRole(String),
    /// Puts tags on it, beside those that it has.
    Tag(BTreeMap<String, String>),
    /// Takes tags away.
    Untag(Vec<String>),
}

/// The instance profiles of local accounts.
pub trait InstanceProfiles: Send + Sync + 'static {
    /// Makes a profile without a role.
    fn create_instance_profile(
        &self,
        by: Mutation,
        profile: CreateInstanceProfile,
    ) -> impl Future<Output = Result<Mutated<InstanceProfileDetail>, CallError>> + Send;
    /// One profile.
    fn get_instance_profile(
        &self,
        by: Vouched<Actor>,
        profile: Named,
    ) -> impl Future<Output = Result<InstanceProfileDetail, CallError>> + Send;
    /// Profiles by name.
    fn list_instance_profiles(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<InstanceProfileDetail>, CallError>> + Send;
    /// The profiles that have a role, by name.
    fn list_instance_profiles_for_role(
        &self,
        by: Vouched<Actor>,
        role: Named,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<InstanceProfileDetail>, CallError>> + Send;
    /// Changes one thing about a profile.
    fn update_instance_profile(
        &self,
        by: Mutation,
        profile: Named,
        update: UpdateInstanceProfile,
    ) -> impl Future<Output = Result<Mutated<InstanceProfileDetail>, CallError>> + Send;
    /// Deletes a profile that has no role.
    fn delete_instance_profile(
        &self,
        by: Mutation,
        profile: Named,
    ) -> impl Future<Output = Result<Mutated<InstanceProfileDetail>, CallError>> + Send;
}
