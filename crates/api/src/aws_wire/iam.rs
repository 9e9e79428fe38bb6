//! IAM (2010-05-08): the part that access needs, with what clients and Terraform read beside it.
//!
//! What there is none of on a hub, managed policies and groups, is answered as an empty list of whatever user or role is named, for
//! who may ask for that list. Such lists, and those of tags, are read by the method that answers the thing whole, and are weighed as
//! the actions of their own that AWS has for them.

mod constraints;
mod instance_profiles;
mod oidc_providers;
mod policies;
mod roles;
mod users;

use std::collections::BTreeMap;

use lanyard_proto::call::v1 as call;

use super::{
    AwsError,
    input::{Asked, Input},
    operation::{Operation, Service},
};
use crate::mutation::PAGE_ITEMS_MAX;

/// Longest beginning of a path, in characters (IAM's model).
const PATH_PREFIX_CHARS_MAX: usize = 512;
/// Most keys of tags that one call takes off (IAM's model).
const TAG_KEYS_MAX: usize = 50;

const fn action(name: &'static str, read: fn(&Input<'_>) -> Result<Asked, AwsError>) -> Operation {
    Operation::action(Service::Iam, name, read)
}

/// Its operations.
pub(super) const OPERATIONS: &[Operation] = &[
    action("CreateUser", users::create),
    action("GetUser", users::get),
    action("ListUsers", users::list).paged(),
    action("DeleteUser", users::delete),
    action("TagUser", users::tag),
    action("UntagUser", users::untag),
    action("ListUserTags", users::get_named).cut_at_the_door().weighed_as("iam:ListUserTags"),
    action("ListGroupsForUser", users::get_named).cut_at_the_door().weighed_as("iam:ListGroupsForUser"),
    action("ListAttachedUserPolicies", users::get_with_path_prefix)
        .cut_at_the_door()
        .weighed_as("iam:ListAttachedUserPolicies"),
    action("CreateAccessKey", users::create_key),
    action("ListAccessKeys", users::list_keys).cut_at_the_door(),
    action("UpdateAccessKey", users::update_key),
    action("DeleteAccessKey", users::delete_key),
    action("CreateRole", roles::create),
    action("GetRole", roles::get),
    action("ListRoles", roles::list).paged(),
    action("UpdateRole", roles::update),
    action("UpdateRoleDescription", roles::update_description).weighed_as("iam:UpdateRoleDescription"),
    action("UpdateAssumeRolePolicy", roles::update_trust),
    action("DeleteRole", roles::delete),
    action("TagRole", roles::tag),
    action("UntagRole", roles::untag),
    action("ListRoleTags", roles::get).cut_at_the_door().weighed_as("iam:ListRoleTags"),
    action("ListAttachedRolePolicies", roles::get_with_path_prefix)
        .cut_at_the_door()
        .weighed_as("iam:ListAttachedRolePolicies"),
    action("ListInstanceProfilesForRole", instance_profiles::list_for_role).paged(),
    action("CreateInstanceProfile", instance_profiles::create),
    action("GetInstanceProfile", instance_profiles::get),
    action("ListInstanceProfiles", instance_profiles::list).paged(),
    action("AddRoleToInstanceProfile", instance_profiles::add_role),
    action("RemoveRoleFromInstanceProfile", instance_profiles::remove_role),
    action("TagInstanceProfile", instance_profiles::tag),
    action("UntagInstanceProfile", instance_profiles::untag),
    action("ListInstanceProfileTags", instance_profiles::get)
        .cut_at_the_door()
        .weighed_as("iam:ListInstanceProfileTags"),
    action("DeleteInstanceProfile", instance_profiles::delete),
    action("PutUserPolicy", policies::put_on_user),
    action("GetUserPolicy", policies::get_of_user),
    action("ListUserPolicies", policies::list_of_user).cut_at_the_door(),
    action("DeleteUserPolicy", policies::delete_of_user),
    action("PutRolePolicy", policies::put_on_role),
    action("GetRolePolicy", policies::get_of_role),
    action("ListRolePolicies", policies::list_of_role).cut_at_the_door(),
    action("DeleteRolePolicy", policies::delete_of_role),
    action("CreateOpenIDConnectProvider", oidc_providers::create),
    action("GetOpenIDConnectProvider", oidc_providers::get),
    action("ListOpenIDConnectProviders", oidc_providers::list),
    action("DeleteOpenIDConnectProvider", oidc_providers::delete),
    action("UpdateOpenIDConnectProviderThumbprint", oidc_providers::update_thumbprints),
    action("AddClientIDToOpenIDConnectProvider", oidc_providers::add_client_id),
    action("RemoveClientIDFromOpenIDConnectProvider", oidc_providers::remove_client_id),
    action("TagOpenIDConnectProvider", oidc_providers::tag),
    action("UntagOpenIDConnectProvider", oidc_providers::untag),
    action("ListOpenIDConnectProviderTags", oidc_providers::get)
        .cut_at_the_door()
        .weighed_as("iam:ListOpenIDConnectProviderTags"),
];

impl<'a> Input<'a> {
    /// A parameter that has to be given and not be empty.
    pub(super) fn text(&self, name: &str) -> Result<String, AwsError> {
        let given = self.optional_text(name)?.filter(|text| !text.is_empty());
        self.required(name, given)
    }

    /// A parameter that may be left out. One that is empty is given: it means nothing but what the model lets it.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, AwsError> {
        let given = self.parameter(name)?;
        match given.and_then(|text| constraints::broken(self.service(), name, text)) {
            Some(rule) => Err(self.invalid(name, &rule)),
            None => Ok(given.map(str::to_owned)),
        }
    }

    /// A list of texts, that may be left out.
    pub(super) fn texts(&self, list: &str) -> Result<Vec<String>, AwsError> {
        self.members(list)?.iter().map(|member| self.text(member)).collect()
    }

    /// A list of texts that has to be given, and may be empty.
    fn required_texts(&self, list: &str) -> Result<Vec<String>, AwsError> {
        let texts = self.texts(list)?;
        self.required(list, self.is_given(list).then_some(texts))
    }

    /// The keys of the tags that are taken off.
    fn tag_keys(&self) -> Result<Vec<String>, AwsError> {
        let keys = self.required_texts("TagKeys")?;
        if keys.len() > TAG_KEYS_MAX {
            let rule = format!("{} keys are given, and {TAG_KEYS_MAX} at most may be", keys.len());
            return Err(self.invalid("TagKeys", &rule));
        }
        Ok(keys)
    }

    /// A list of tags; a key stands once.
    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, AwsError> {
        let mut tags = BTreeMap::new();
        for member in self.members("Tags")? {
            let (key, value) = (format!("{member}.Key"), format!("{member}.Value"));
            let (key, value) = (self.text(&key)?, self.required(&value, self.optional_text(&value)?)?);
            if tags.insert(key, value).is_some() {
                return Err(self.invalid("Tags", "a key stands twice: keep one of them"));
            }
        }
        Ok(tags)
    }

    /// The tags that something is given: the list has to be there, and that it is not empty is its service's rule.
    fn tags_to_put(&self) -> Result<BTreeMap<String, String>, AwsError> {
        let tags = self.tags()?;
        self.required("Tags", self.is_given("Tags").then_some(tags))
    }

    /// Refuses what the hub has nothing of, rather than to leave it out.
    pub(super) fn refuse(&self, names: &[&str], why: &str) -> Result<(), AwsError> {
        match names.iter().find(|name| self.is_given(name)) {
            Some(name) => Err(self.invalid(name, why)),
            None => Ok(()),
        }
    }

    /// Refuses a permissions boundary as IAM does one that there is not: it would be a managed policy, and there are none here.
    fn refuse_boundary(&self) -> Result<(), AwsError> {
        let Some(arn) = self.optional_text("PermissionsBoundary")? else { return Ok(()) };
        // IAM's own words.
        let message = format!(
            "Scope ARN: {} does not exist or is not attachable: there are no managed policies on this hub",
            lanyard_iam::shown(&arn)
        );
        Err(AwsError::new("NoSuchEntity", 404, message))
    }

    /// Refuses a list that is not taken here; an empty one, which SDKs write as its bare name, asks for nothing.
    pub(super) fn refuse_items(&self, name: &str, why: &str) -> Result<(), AwsError> {
        if self.has_items(name) { Err(self.invalid(name, why)) } else { Ok(()) }
    }

    /// What the paths of a list begin with: IAM's default is all of them.
    fn path_prefix(&self) -> Result<String, AwsError> {
        let prefix = self.optional_text("PathPrefix")?.unwrap_or_else(|| "/".to_owned());
        let is_one = (1..=PATH_PREFIX_CHARS_MAX).contains(&prefix.len())
            && prefix.starts_with('/')
            && prefix.bytes().all(|byte| byte.is_ascii_graphic());
        if is_one {
            return Ok(prefix);
        }
        let rule = "it has to begin with a slash, and be at most 512 visible characters of ASCII";
        Err(self.invalid("PathPrefix", rule))
    }

    /// What the paths of attached policies begin with: a whole path, as the model has it of them alone. There are none to be left out.
    fn policy_path_prefix(&self) -> Result<(), AwsError> {
        let Some(prefix) = self.optional_text("PathPrefix")? else { return Ok(()) };
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".,+@=_-".contains(&byte))
        };
        let inside = prefix.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let is_whole = prefix == "/" || inside.is_some_and(|inside| inside.split('/').all(is_part));
        if is_whole && prefix.len() <= PATH_PREFIX_CHARS_MAX {
            return Ok(());
        }
        let rule = "it has to be a whole path: between slashes, letters, digits and `.,+@=_-`, 512 characters at most";
        Err(self.invalid("PathPrefix", rule))
    }

    /// Which page is asked for. IAM takes up to a thousand items and may answer fewer.
    pub(super) fn marker_page(&self) -> Result<call::PageQuery, AwsError> {
        if self.parameter("Marker")? == Some("") {
            return Err(self.invalid("Marker", "it is empty: leave it out for the first page"));
        }
        let items_max = self.number("MaxItems", 1..=1_000)?.map_or(0, |count| count.min(PAGE_ITEMS_MAX));
        let token = self.page_token("Marker")?;
        Ok(call::PageQuery { items_max, token })
    }
}

#[cfg(test)]
mod tests;
