//! IAM (2010-05-08): the part that access needs, with what clients and Terraform read beside it.
//!
//! What there is none of on a hub, managed policies and groups, is answered as an empty list of whatever user or role is named, for
//! who may look at that one.

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
    action("ListUserTags", users::get).cut_at_the_door(),
    action("ListGroupsForUser", users::get).cut_at_the_door(),
    action("ListAttachedUserPolicies", users::get_with_path_prefix).cut_at_the_door(),
    action("CreateAccessKey", users::create_key),
    action("ListAccessKeys", users::list_keys).cut_at_the_door(),
    action("UpdateAccessKey", users::update_key),
    action("DeleteAccessKey", users::delete_key),
    action("CreateRole", roles::create),
    action("GetRole", roles::get),
    action("ListRoles", roles::list).paged(),
    action("UpdateRole", roles::update),
    action("UpdateRoleDescription", roles::update_description),
    action("UpdateAssumeRolePolicy", roles::update_trust),
    action("DeleteRole", roles::delete),
    action("TagRole", roles::tag),
    action("UntagRole", roles::untag),
    action("ListRoleTags", roles::get).cut_at_the_door(),
    action("ListAttachedRolePolicies", roles::get_with_path_prefix).cut_at_the_door(),
    action("ListInstanceProfilesForRole", instance_profiles::list_for_role).paged(),
    action("CreateInstanceProfile", instance_profiles::create),
    action("GetInstanceProfile", instance_profiles::get),
    action("ListInstanceProfiles", instance_profiles::list).paged(),
    action("AddRoleToInstanceProfile", instance_profiles::add_role),
    action("RemoveRoleFromInstanceProfile", instance_profiles::remove_role),
    action("TagInstanceProfile", instance_profiles::tag),
    action("UntagInstanceProfile", instance_profiles::untag),
    action("ListInstanceProfileTags", instance_profiles::get).cut_at_the_door(),
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
    action("ListOpenIDConnectProviderTags", oidc_providers::get).cut_at_the_door(),
];

impl<'a> Input<'a> {
    /// A parameter that has to be given and not be empty.
    pub(super) fn text(&self, name: &str) -> Result<String, AwsError> {
        let given = self.parameter(name)?.filter(|text| !text.is_empty());
        self.required(name, given).map(str::to_owned)
    }

    /// A parameter that may be left out.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, AwsError> {
        Ok(self.parameter(name)?.map(str::to_owned))
    }

    /// A whole number that may be left out.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, AwsError> {
        let read = |text: &str| text.parse().map_err(|_| self.invalid(name, "it has to be a whole number"));
        self.parameter(name)?.map(read).transpose()
    }

    /// A list of texts.
    pub(super) fn texts(&self, list: &str) -> Result<Vec<String>, AwsError> {
        self.members(list).iter().map(|member| self.text(member)).collect()
    }

    /// A list of tags; a key stands once.
    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, AwsError> {
        let mut tags = BTreeMap::new();
        for member in self.members("Tags") {
            let key = self.text(&format!("{member}.Key"))?;
            let value = self.required(&member, self.optional_text(&format!("{member}.Value"))?)?;
            if tags.insert(key, value).is_some() {
                return Err(self.invalid("Tags", "a key stands twice: keep one of them"));
            }
        }
        Ok(tags)
    }

    /// Refuses what the hub has nothing of, rather than to leave it out.
    pub(super) fn refuse(&self, names: &[&str], why: &str) -> Result<(), AwsError> {
        for name in names {
            let is_given = self.parameter(name)?.is_some() || !self.members(name).is_empty();
            if is_given {
                return Err(self.invalid(name, why));
            }
        }
        Ok(())
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

    /// Which page is asked for. IAM takes up to a thousand items and may answer fewer.
    pub(super) fn marker_page(&self) -> Result<call::PageQuery, AwsError> {
        let items_max = match self.number("MaxItems")? {
            None => 0,
            Some(count @ 1..=1_000) => count.min(PAGE_ITEMS_MAX),
            Some(_) => return Err(self.invalid("MaxItems", "it has to be a number from 1 to 1000")),
        };
        let token = self.page_token("Marker")?;
        Ok(call::PageQuery { items_max, token })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use lanyard_proto::authn::v1 as pb;
    use zeroize::Zeroizing;

    use super::super::{Caller, HttpCall, find};
    use super::*;
    use crate::mutation::PageQuery;

    fn read_as(form: &str, user_name: Option<&str>) -> Result<Asked, AwsError> {
        let body = format!("Version=2010-05-08&{form}");
        let call = HttpCall { method: "POST", path: "/", query: "", body: body.as_bytes() };
        let caller = Caller {
            principal: "1/AIDA",
            user_name,
            region: "us-east-1",
            cluster: &|_| None,
            page_secrets: &[Zeroizing::new([7; 32])],
        };
        find(Service::Iam, &call)?.read(&caller)
    }

    fn read(form: &str) -> Result<Asked, AwsError> {
        read_as(form, Some("ana"))
    }

    #[test]
    fn each_operation_makes_the_call_that_means_the_same() {
        let arn =
            "OpenIDConnectProviderArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Aoidc-provider%2Fci.example%2Fa";
        let cases = [
            ("Action=CreateUser&UserName=bob".to_owned(), "Accounts/CreateUser", "iam:CreateUser"),
            ("Action=ListUserTags&UserName=bob".to_owned(), "Accounts/GetUser", "iam:GetUser"),
            ("Action=ListAccessKeys".to_owned(), "Accounts/ListAccessKeys", "iam:ListAccessKeys"),
            ("Action=ListAttachedRolePolicies&RoleName=ci".to_owned(), "Accounts/GetRole", "iam:GetRole"),
            (
                "Action=ListInstanceProfilesForRole&RoleName=ci".to_owned(),
                "InstanceProfiles/ListInstanceProfilesForRole",
                "iam:ListInstanceProfilesForRole",
            ),
            (
                "Action=AddRoleToInstanceProfile&InstanceProfileName=node&RoleName=ci".to_owned(),
                "InstanceProfiles/AddRoleToInstanceProfile",
                "iam:AddRoleToInstanceProfile",
            ),
            (
                "Action=ListInstanceProfileTags&InstanceProfileName=node".to_owned(),
                "InstanceProfiles/GetInstanceProfile",
                "iam:GetInstanceProfile",
            ),
            (
                "Action=ListRolePolicies&RoleName=ci".to_owned(),
                "Accounts/ListPolicies",
                "iam:ListRolePolicies",
            ),
            (
                "Action=GetUserPolicy&UserName=a&PolicyName=p".to_owned(),
                "Accounts/GetPolicy",
                "iam:GetUserPolicy",
            ),
            (
                "Action=PutRolePolicy&RoleName=ci&PolicyName=p&PolicyDocument=%7B%7D".to_owned(),
                "Accounts/PutPolicy",
                "iam:PutRolePolicy",
            ),
            (
                format!("Action=GetOpenIDConnectProvider&{arn}"),
                "OidcProviders/GetOidcProvider",
                "iam:GetOpenIDConnectProvider",
            ),
            (
                format!("Action=AddClientIDToOpenIDConnectProvider&{arn}&ClientID=sts"),
                "OidcProviders/AddOidcClientId",
                "iam:AddClientIDToOpenIDConnectProvider",
            ),
        ];
        for (form, method, action) in cases {
            let asked = read(&form).unwrap();
            assert_eq!(asked.method.path, format!("/lanyard.authn.v1.{method}"), "{form}");
            let call = crate::methods::read(asked.method.path, &asked.message).unwrap();
            assert_eq!(call.action, action, "{form}");
        }
    }

    #[test]
    fn lists_numbers_and_names_become_fields() {
        let asked = read(
            "Action=CreateRole&RoleName=ci&Path=%2Fteam%2F&AssumeRolePolicyDocument=%7B%7D&MaxSessionDuration=7200&\
             Description=Deploys&Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b&Tags.member.2.Value=",
        );
        let role = pb::CreateRoleRequest::decode(asked.unwrap().message).unwrap();
        let tags = [("a", "1"), ("b", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let expected = pb::CreateRoleRequest {
            mutation: None,
            account: None,
            path: "/team/".to_owned(),
            name: "ci".to_owned(),
            trust_policy: "{}".to_owned(),
            session_seconds_max: 7_200,
            tags,
            description: "Deploys".to_owned(),
            allow_any_subject: false,
        };
        assert_eq!(role, expected);
        let asked = read("Action=UpdateRole&RoleName=ci").unwrap();
        let update = pb::UpdateRoleRequest::decode(asked.message).unwrap();
        assert_eq!((update.description, update.session_seconds_max), (None, Some(3_600)), "as IAM has it");
        let asked = read("Action=UpdateRoleDescription&RoleName=ci&Description=").unwrap();
        let update = pb::UpdateRoleRequest::decode(asked.message).unwrap();
        assert_eq!((update.description.as_deref(), update.session_seconds_max), (Some(""), None));
        let arn =
            "OpenIDConnectProviderArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Aoidc-provider%2Fci.example%2Fa";
        let asked = read(&format!("Action=DeleteOpenIDConnectProvider&{arn}")).unwrap();
        let gone = pb::DeleteOidcProviderRequest::decode(asked.message).unwrap();
        assert_eq!(
            (gone.account.as_deref(), gone.issuer_url.as_str()),
            (Some("111122223333"), "https://ci.example/a")
        );
        let asked = read("Action=ListUsers&PathPrefix=%2Fteam%2F").unwrap();
        let users = pb::ListUsersRequest::decode(asked.message).unwrap();
        assert_eq!(users.path_prefix, "/team/");
        let own = |user_name| read_as("Action=CreateAccessKey", user_name);
        let key = pb::CreateAccessKeyRequest::decode(own(Some("ana")).unwrap().message).unwrap();
        assert_eq!(key.user, "ana", "who is not named is the caller");
        assert_eq!(own(None).unwrap_err().code, "ValidationError");
    }

    #[test]
    fn a_list_that_the_service_answers_whole_has_a_page_for_the_door_to_cut() {
        let asked = read("Action=ListUserTags&UserName=bob&MaxItems=1").unwrap();
        let key = asked.page_key.unwrap();
        assert_eq!(asked.page, Some(PageQuery { items_max: 1, token: String::new() }));
        let next = format!("Action=ListUserTags&UserName=bob&MaxItems=7&Marker={}", key.seal("cost"));
        let asked = read(&next).unwrap();
        assert_eq!(asked.page, Some(PageQuery { items_max: 7, token: "cost".to_owned() }));
        assert_eq!(asked.page_key, Some(key.clone()), "the next page's token is of the same list");
        for other in ["ListUserTags&UserName=eve", "ListUserPolicies&UserName=bob"] {
            let form = format!("Action={other}&Marker={}", key.seal("cost"));
            assert_eq!(read(&form).unwrap_err().code, "ValidationError", "{form}");
        }
        for form in ["Action=ListUsers", "Action=GetUser&UserName=bob"] {
            assert_eq!(read(form).unwrap().page, None, "{form}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_named_by_its_parameter() {
        let cases = [
            ("Action=GetRole", "ValidationError", "RoleName"),
            ("Action=UpdateRoleDescription&RoleName=ci", "ValidationError", "Description"),
            ("Action=CreateUser&UserName=a&PermissionsBoundary=x", "ValidationError", "PermissionsBoundary"),
            (
                "Action=CreateRole&RoleName=a&AssumeRolePolicyDocument=x&MaxSessionDuration=soon",
                "ValidationError",
                "MaxSessionDuration",
            ),
            ("Action=UpdateAccessKey&AccessKeyId=x&Status=Gone", "ValidationError", "Status"),
            ("Action=ListRoles&MaxItems=0", "ValidationError", "MaxItems"),
            ("Action=ListRoles&Marker=none", "ValidationError", "Marker"),
            ("Action=ListUsers&PathPrefix=a%2F", "ValidationError", "PathPrefix"),
            ("Action=ListRoles&PathPrefix=", "ValidationError", "PathPrefix"),
            ("Action=ListRolePolicies&RoleName=a&MaxItems=1001", "ValidationError", "MaxItems"),
            ("Action=ListUserTags&UserName=a&MaxItems=few", "ValidationError", "MaxItems"),
            ("Action=ListAccessKeys&UserName=a&Marker=b", "ValidationError", "Marker"),
            ("Action=ListAttachedRolePolicies&RoleName=a&PathPrefix=b", "ValidationError", "PathPrefix"),
            ("Action=CreateInstanceProfile&Path=%2F", "ValidationError", "InstanceProfileName"),
            (
                "Action=TagRole&RoleName=a&Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=a&Tags.member.2.Value=2",
                "ValidationError",
                "Tags",
            ),
            (
                "Action=GetOpenIDConnectProvider&OpenIDConnectProviderArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx",
                "InvalidInput",
                "OpenIDConnectProviderArn",
            ),
            (
                "Action=CreateGroup&GroupName=a",
                "InvalidAction",
                "CreateGroup for version 2010-05-08: there are no groups",
            ),
            (
                "Action=AttachRolePolicy&RoleName=a",
                "InvalidAction",
                "inline ones by PutUserPolicy and PutRolePolicy",
            ),
            (
                "Action=PutRolePermissionsBoundary",
                "InvalidAction",
                "there are no managed policies on this hub",
            ),
            ("Action=CreatePolicyVersion", "InvalidAction", "there are no managed policies on this hub"),
            ("Action=Nothing", "InvalidAction", "Could not find operation Nothing for version 2010-05-08"),
        ];
        for (form, code, said) in cases {
            let error = read(form).unwrap_err();
            assert_eq!(error.code, code, "{form}");
            assert!(error.message.contains(said), "{form}: {error}");
        }
    }
}
