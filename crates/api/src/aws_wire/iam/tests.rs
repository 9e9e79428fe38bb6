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
    let arn = "OpenIDConnectProviderArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Aoidc-provider%2Fci.example%2Fa";
    let cases = [
        ("Action=CreateUser&UserName=bob".to_owned(), "Accounts/CreateUser", "iam:CreateUser"),
        ("Action=ListUserTags&UserName=bob".to_owned(), "Accounts/GetUser", "iam:ListUserTags"),
        ("Action=ListAccessKeys".to_owned(), "Accounts/ListAccessKeys", "iam:ListAccessKeys"),
        (
            "Action=ListAttachedRolePolicies&RoleName=ci".to_owned(),
            "Accounts/GetRole",
            "iam:ListAttachedRolePolicies",
        ),
        ("Action=GetRole&RoleName=ci".to_owned(), "Accounts/GetRole", "iam:GetRole"),
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
            "iam:ListInstanceProfileTags",
        ),
        ("Action=ListRolePolicies&RoleName=ci".to_owned(), "Accounts/ListPolicies", "iam:ListRolePolicies"),
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
        let name = form.split(['=', '&']).nth(1).unwrap();
        let own = OPERATIONS.iter().find(|operation| operation.name == name).unwrap().action;
        assert_eq!(own.unwrap_or(call.action), action, "{form}");
    }
}

#[test]
fn each_operation_is_weighed_as_the_action_of_its_name() {
    use crate::methods::{Action, MANAGED};
    let of_methods: Vec<&str> = MANAGED
        .iter()
        .flat_map(|method| match method.action {
            Action::Always(action) => vec![action],
            Action::ByOwner { user, role } => vec![user, role],
        })
        .collect();
    for operation in OPERATIONS {
        let action = format!("iam:{}", operation.name);
        match operation.action {
            Some(own) => assert!(own == action && !of_methods.contains(&own), "{own}"),
            None => assert!(of_methods.contains(&action.as_str()), "{action}"),
        }
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
    let arn = "OpenIDConnectProviderArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Aoidc-provider%2Fci.example%2Fa";
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
fn nothing_is_taken_of_what_is_not_whole_or_has_to_be_given() {
    let arn = "OpenIDConnectProviderArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Aoidc-provider%2Fci.example%2Fa";
    let many: String = (1..=51).map(|number| format!("&TagKeys.member.{number}=k{number}")).collect();
    let cases = [
        // An empty name is nobody's, and least of all the caller's.
        ("CreateAccessKey&UserName=".to_owned(), "UserName"),
        ("ListAccessKeys&UserName=".to_owned(), "UserName"),
        ("DeleteAccessKey&UserName=&AccessKeyId=LKIAAAAAAAAAAAAAAAAA".to_owned(), "UserName"),
        ("UpdateAccessKey&UserName=&AccessKeyId=LKIAAAAAAAAAAAAAAAAA&Status=Inactive".to_owned(), "UserName"),
        ("GetUser&UserName=".to_owned(), "UserName"),
        ("ListUserTags".to_owned(), "UserName"),
        ("ListGroupsForUser".to_owned(), "UserName"),
        ("ListAttachedUserPolicies".to_owned(), "UserName"),
        (format!("UpdateOpenIDConnectProviderThumbprint&{arn}"), "ThumbprintList"),
        (format!("UntagOpenIDConnectProvider&{arn}"), "TagKeys"),
        ("UntagUser&UserName=a".to_owned(), "TagKeys"),
        ("UntagRole&RoleName=a".to_owned(), "TagKeys"),
        ("UntagInstanceProfile&InstanceProfileName=a".to_owned(), "TagKeys"),
        (format!("UntagRole&RoleName=a{many}"), "TagKeys"),
        ("UntagRole&RoleName=a&TagKeys.member.1=a&TagKeys.member.3=c".to_owned(), "TagKeys"),
        ("UntagRole&RoleName=a&TagKeys.member.1=%2A".to_owned(), "TagKeys.member.1"),
        ("CreateUser&UserName=a&Tags.member.2.Key=a&Tags.member.2.Value=1".to_owned(), "Tags"),
        ("TagUser&UserName=a&Tags.member.1.Key=a".to_owned(), "Tags.member.1.Value"),
        ("TagUser&UserName=a".to_owned(), "Tags"),
        ("TagRole&RoleName=a".to_owned(), "Tags"),
        ("TagInstanceProfile&InstanceProfileName=a".to_owned(), "Tags"),
        (format!("TagOpenIDConnectProvider&{arn}"), "Tags"),
        ("CreateUser&UserName=a&Path=".to_owned(), "Path"),
        ("UpdateRole&RoleName=a&MaxSessionDuration=0".to_owned(), "MaxSessionDuration"),
        ("UpdateRole&RoleName=a&MaxSigninSessionDuration=3600".to_owned(), "MaxSigninSessionDuration"),
        (format!("GetUser&UserName={}", "a".repeat(5_000)), "UserName"),
        ("GetRolePolicy&RoleName=a%20b&PolicyName=p".to_owned(), "RoleName"),
        ("DeleteUserPolicy&UserName=a&PolicyName=%00".to_owned(), "PolicyName"),
        ("TagUser&UserName=a&Tags.member.1.Key=%2A&Tags.member.1.Value=".to_owned(), "Tags.member.1.Key"),
        ("TagUser&UserName=a&Tags.member.1.Key=a&Tags.member.1.Value=%2A".to_owned(), "Tags.member.1.Value"),
        ("PutUserPolicy&UserName=a&PolicyName=p&PolicyDocument=%C4%80".to_owned(), "PolicyDocument"),
        ("UpdateAssumeRolePolicy&RoleName=a&PolicyDocument=".to_owned(), "PolicyDocument"),
        (format!("CreateOpenIDConnectProvider&Url=https%3A%2F%2F{}", "a".repeat(248)), "Url"),
        (format!("AddClientIDToOpenIDConnectProvider&{arn}&ClientID={}", "a".repeat(256)), "ClientID"),
        (
            format!("UpdateOpenIDConnectProviderThumbprint&{arn}&ThumbprintList.member.1=0f"),
            "ThumbprintList.member.1",
        ),
        ("GetOpenIDConnectProvider&OpenIDConnectProviderArn=x".to_owned(), "OpenIDConnectProviderArn"),
        ("ListAttachedUserPolicies&UserName=a&PathPrefix=%2Fteam".to_owned(), "PathPrefix"),
        ("ListAttachedRolePolicies&RoleName=a&PathPrefix=%2F%2F".to_owned(), "PathPrefix"),
        ("ListAttachedRolePolicies&RoleName=a&PathPrefix=%2Fa%21%2F".to_owned(), "PathPrefix"),
    ];
    for (form, parameter) in cases {
        let error = read(&format!("Action={form}")).unwrap_err();
        assert_eq!((&*error.code, error.status), ("ValidationError", 400), "{form}: {error}");
        assert!(error.message.starts_with(&format!("{parameter}: ")), "{form}: {error}");
        assert!(error.message.len() < 300, "{error}");
    }
    for prefix in ["%2F", "%2Fteam%2F", "%2Fteam%2Fa.b%2F"] {
        let form = format!("Action=ListAttachedUserPolicies&UserName=a&PathPrefix={prefix}");
        assert!(read(&form).is_ok(), "{prefix}");
    }
    let emptied = read(&format!("Action=UpdateOpenIDConnectProviderThumbprint&{arn}&ThumbprintList="));
    let emptied = pb::UpdateOidcProviderThumbprintsRequest::decode(emptied.unwrap().message).unwrap();
    assert_eq!(emptied.thumbprints, Vec::<String>::new(), "an empty list is one");
}

#[test]
fn what_breaks_a_rule_is_named_by_its_parameter() {
    let cases = [
        ("Action=GetRole", "ValidationError", "RoleName"),
        ("Action=UpdateRoleDescription&RoleName=ci", "ValidationError", "Description"),
        ("Action=CreateUser&UserName=a&PermissionsBoundary=x", "ValidationError", "PermissionsBoundary"),
        ("Action=CreateUser&UserName=a&PermissionsBoundary=", "ValidationError", "PermissionsBoundary"),
        (
            "Action=CreateUser&UserName=a&PermissionsBoundary=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2Fx",
            "NoSuchEntity",
            "arn:aws:iam::aws:policy/x does not exist or is not attachable",
        ),
        (
            "Action=CreateRole&RoleName=a&PermissionsBoundary=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2Fx",
            "ValidationError",
            "PermissionsBoundary",
        ),
        (
            "Action=CreateRole&RoleName=a&AssumeRolePolicyDocument=x&MaxSessionDuration=soon",
            "ValidationError",
            "MaxSessionDuration",
        ),
        ("Action=UpdateAccessKey&AccessKeyId=x&Status=Gone", "ValidationError", "Status"),
        ("Action=UpdateAccessKey&AccessKeyId=x&Status=Expired", "InvalidInput", "does not expire"),
        ("Action=ListRoles&MaxItems=0", "ValidationError", "MaxItems"),
        ("Action=ListRoles&Marker=none", "ValidationError", "Marker"),
        ("Action=ListRoles&Marker=", "ValidationError", "Marker: it is empty"),
        ("Action=ListUserTags&UserName=a&Marker=", "ValidationError", "Marker: it is empty"),
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
        ("Action=PutRolePermissionsBoundary", "InvalidAction", "there are no managed policies on this hub"),
        ("Action=CreatePolicyVersion", "InvalidAction", "there are no managed policies on this hub"),
        ("Action=Nothing", "InvalidAction", "Could not find operation Nothing for version 2010-05-08"),
    ];
    for (form, code, said) in cases {
        let error = read(form).unwrap_err();
        assert_eq!(error.code, code, "{form}");
        assert!(error.message.contains(said), "{form}: {error}");
    }
}

#[test]
fn one_list_alone_names_a_user_as_one_who_is_made() {
    for (action, most) in [("ListAttachedUserPolicies", 64), ("ListGroupsForUser", 128)] {
        let of = |chars| read(&format!("Action={action}&UserName={}", "a".repeat(chars)));
        assert!(of(most).is_ok(), "{action}");
        let error = of(most + 1).unwrap_err();
        assert_eq!(error.code, "ValidationError", "{action}");
        assert!(error.message.starts_with("UserName: "), "{action}: {error}");
    }
}

#[test]
fn an_issuers_url_loses_the_port_that_its_scheme_has_anyway() {
    let cases = [
        ("https://ci.example:443", "https://ci.example"),
        ("https://ci.example:443/id/A", "https://ci.example/id/A"),
        ("https://[2001:db8::1]:443/id", "https://[2001:db8::1]/id"),
        ("https://[2001:db8::443]", "https://[2001:db8::443]"),
        ("https://ci.example:4430/a", "https://ci.example:4430/a"),
        ("https://ci.example/a:443", "https://ci.example/a:443"),
        ("http://ci.example:443", "http://ci.example:443"),
    ];
    for (given, kept) in cases {
        let form = form_urlencoded(given);
        let asked = read(&format!("Action=CreateOpenIDConnectProvider&Url={form}")).unwrap();
        let made = pb::CreateOidcProviderRequest::decode(asked.message).unwrap();
        assert_eq!(made.issuer_url, kept, "{given}");
    }
}

/// As clients write a URL in a form.
fn form_urlencoded(url: &str) -> String {
    url.replace(':', "%3A").replace('/', "%2F").replace('[', "%5B").replace(']', "%5D")
}
