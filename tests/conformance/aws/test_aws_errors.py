"""Errors that the models have of operations of IAM, STS and EKS, each by the rule that gives it; most others stand beside what they
are about."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from botocore import xform_name

from hub import unique
from oidc import Issuer
from tokens import Credentials
from wire import ANY_CLUSTER, PODS, Wire, refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
STATUS = {"NoSuchEntity": 404, "EntityAlreadyExists": 409, "LimitExceeded": 409, "DeleteConflict": 409}
TAG = [{"Key": "a", "Value": "b"}]
RESERVED = [{"Key": "aws:a", "Value": "b"}]
MANY = [{"Key": str(n), "Value": ""} for n in range(51)]


def refuses(client, name: str, code: str, text: str = "", /, **asked) -> None:
    with refused(client, code, text, STATUS.get(code, 400)):
        getattr(client, xform_name(name))(**asked)


def test_who_is_not_there_is_no_entity(iam):
    """Every operation of IAM about something: of nothing."""
    nobody = unique("nobody")
    user, role = {"UserName": nobody}, {"RoleName": nobody}
    policy, profile = {"PolicyName": "p"}, {"InstanceProfileName": nobody}
    key = {"AccessKeyId": "LKIAAAAAAAAAAAAAAAAA"}
    calls = {
        "GetUser": user,
        "DeleteUser": user,
        "TagUser": user | {"Tags": TAG},
        "UntagUser": user | {"TagKeys": ["a"]},
        "ListUserTags": user,
        "ListGroupsForUser": user,
        "ListAttachedUserPolicies": user,
        "CreateAccessKey": user,
        "ListAccessKeys": user,
        "UpdateAccessKey": user | key | {"Status": "Inactive"},
        "DeleteAccessKey": user | key,
        "PutUserPolicy": user | policy | {"PolicyDocument": ALL},
        "GetUserPolicy": user | policy,
        "ListUserPolicies": user,
        "DeleteUserPolicy": user | policy,
        "GetRole": role,
        "UpdateRole": role,
        "UpdateRoleDescription": role | {"Description": "a"},
        "UpdateAssumeRolePolicy": role | {"PolicyDocument": PODS},
        "DeleteRole": role,
        "TagRole": role | {"Tags": TAG},
        "UntagRole": role | {"TagKeys": ["a"]},
        "ListRoleTags": role,
        "ListAttachedRolePolicies": role,
        "ListInstanceProfilesForRole": role,
        "GetInstanceProfile": profile,
        "DeleteInstanceProfile": profile,
        "AddRoleToInstanceProfile": profile | role,
        "RemoveRoleFromInstanceProfile": profile | role,
        "TagInstanceProfile": profile | {"Tags": TAG},
        "UntagInstanceProfile": profile | {"TagKeys": ["a"]},
        "ListInstanceProfileTags": profile,
        "PutRolePolicy": role | policy | {"PolicyDocument": ALL},
        "GetRolePolicy": role | policy,
        "ListRolePolicies": role,
        "DeleteRolePolicy": role | policy,
    }
    for name, asked in calls.items():
        refuses(iam, name, "NoSuchEntity", **asked)
    made = unique("made")
    iam.create_user(UserName=made)
    iam.create_role(RoleName=made, AssumeRolePolicyDocument=PODS)
    for name, asked in (
        ("UpdateAccessKey", key | {"UserName": made, "Status": "Inactive"}),
        ("DeleteAccessKey", key | {"UserName": made}),
        ("GetUserPolicy", policy | {"UserName": made}),
        ("DeleteUserPolicy", policy | {"UserName": made}),
        ("GetRolePolicy", policy | {"RoleName": made}),
        ("DeleteRolePolicy", policy | {"RoleName": made}),
    ):
        refuses(iam, name, "NoSuchEntity", **asked)


def providers(arn: str) -> dict[str, dict]:
    own = {"OpenIDConnectProviderArn": arn}
    return {
        "GetOpenIDConnectProvider": own,
        "DeleteOpenIDConnectProvider": own,
        "UpdateOpenIDConnectProviderThumbprint": own | {"ThumbprintList": ["0f" * 20]},
        "AddClientIDToOpenIDConnectProvider": own | {"ClientID": "a"},
        "RemoveClientIDFromOpenIDConnectProvider": own | {"ClientID": "a"},
        "TagOpenIDConnectProvider": own | {"Tags": TAG},
        "UntagOpenIDConnectProvider": own | {"TagKeys": ["a"]},
        "ListOpenIDConnectProviderTags": own,
    }


def test_an_oidc_provider_that_is_none_or_whose_arn_is_none(hub, iam):
    for name, asked in providers(f"arn:aws:iam::{hub.account}:oidc-provider/none.example").items():
        refuses(iam, name, "NoSuchEntity", **asked)
    for name, asked in providers(f"arn:aws:iam::{hub.account}:role/none.example").items():
        refuses(iam, name, "InvalidInput", "OpenIDConnectProviderArn", **asked)


def test_what_is_there_is_there_already_in_any_letter_case(iam):
    name = unique("twice")
    iam.create_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)
    for again in (name, name.upper()):
        refuses(iam, "CreateUser", "EntityAlreadyExists", again, UserName=again)
        refuses(iam, "CreateRole", "EntityAlreadyExists", again, RoleName=again, AssumeRolePolicyDocument=PODS)
    iam.create_instance_profile(InstanceProfileName=name)
    refuses(iam, "CreateInstanceProfile", "EntityAlreadyExists", name, InstanceProfileName=name)
    url = f"https://{name}.example"
    iam.create_open_id_connect_provider(Url=url)
    refuses(iam, "CreateOpenIDConnectProvider", "EntityAlreadyExists", Url=url)
    refuses(iam, "CreateOpenIDConnectProvider", "EntityAlreadyExists", Url=f"{url}/")


def test_no_oidc_provider_has_the_name_that_every_cluster_gives_itself(iam):
    for host in ("kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "kubernetes.default", "kubernetes"):
        create = "CreateOpenIDConnectProvider"
        refuses(iam, create, "InvalidInput", "every cluster gives itself", Url=f"https://{host}")


def test_what_is_no_input(iam):
    name = unique("input")
    iam.create_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)
    iam.create_instance_profile(InstanceProfileName=name)
    arn = iam.create_open_id_connect_provider(Url=f"https://{name}.example")["OpenIDConnectProviderArn"]
    calls = [
        ("CreateUser", {"UserName": unique("u"), "Tags": RESERVED}),
        ("CreateRole", {"RoleName": unique("r"), "AssumeRolePolicyDocument": PODS, "Tags": RESERVED}),
        ("TagUser", {"UserName": name, "Tags": RESERVED}),
        ("TagUser", {"UserName": name, "Tags": [*TAG, {"Key": "A", "Value": ""}]}),
        ("TagRole", {"RoleName": name, "Tags": RESERVED}),
        ("CreateInstanceProfile", {"InstanceProfileName": unique("p"), "Tags": RESERVED}),
        ("TagInstanceProfile", {"InstanceProfileName": name, "Tags": RESERVED}),
        ("CreateOpenIDConnectProvider", {"Url": "http://issuer.example"}),
        ("CreateOpenIDConnectProvider", {"Url": "https://10.0.0.1/a"}),
        ("CreateRole", {"RoleName": "AWSReservedSSO_Dev_0123456789abcdef", "AssumeRolePolicyDocument": PODS}),
        ("CreateRole", {"RoleName": unique("r"), "Path": "/aws-service-role/x/", "AssumeRolePolicyDocument": PODS}),
        ("CreateOpenIDConnectProvider", {"Url": f"https://{unique('i')}.example", "ThumbprintList": ["0g" * 20]}),
        ("TagOpenIDConnectProvider", {"OpenIDConnectProviderArn": arn, "Tags": RESERVED}),
        ("UpdateOpenIDConnectProviderThumbprint", {"OpenIDConnectProviderArn": arn, "ThumbprintList": ["0g" * 20]}),
    ]
    for operation, asked in calls:
        refuses(iam, operation, "InvalidInput", **asked)


def test_what_breaks_a_constraint_of_the_model_is_named(iam):
    name = unique("rule")
    iam.create_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)
    calls = [
        ("CreateUser", "UserName", {"UserName": "a b"}),
        ("CreateUser", "UserName", {"UserName": "a" * 65}),
        ("CreateUser", "Path", {"UserName": unique("u"), "Path": "team"}),
        ("CreateRole", "RoleName", {"RoleName": "a/b", "AssumeRolePolicyDocument": PODS}),
        ("CreateRole", "MaxSessionDuration", {"RoleName": unique("r"), "AssumeRolePolicyDocument": PODS, "MaxSessionDuration": 60}),
        ("CreateRole", "Description", {"RoleName": unique("r"), "AssumeRolePolicyDocument": PODS, "Description": "a" * 1001}),
        ("UpdateRole", "MaxSessionDuration", {"RoleName": name, "MaxSessionDuration": 43201}),
        ("UpdateAccessKey", "Status", {"UserName": name, "AccessKeyId": "LKIAAAAAAAAAAAAAAAAA", "Status": "Off"}),
        ("PutUserPolicy", "PolicyName", {"UserName": name, "PolicyName": "a b", "PolicyDocument": ALL}),
        ("ListUsers", "MaxItems", {"MaxItems": 1001}),
        ("UpdateRole", "MaxSessionDuration", {"RoleName": name, "MaxSessionDuration": 0}),
        ("CreateUser", "Path", {"UserName": unique("u"), "Path": ""}),
        ("GetUser", "UserName", {"UserName": "a b\x7f\u202e"}),
        ("GetUser", "UserName", {"UserName": "a" * 5000}),
        ("DeleteRole", "RoleName", {"RoleName": "a" * 65}),
        ("GetUserPolicy", "PolicyName", {"UserName": name, "PolicyName": "a\0"}),
        ("UntagUser", "TagKeys", {"UserName": name}),
        ("UntagRole", "TagKeys", {"RoleName": name, "TagKeys": [str(n) for n in range(51)]}),
        ("ListUserTags", "UserName", {}),
        ("TagUser", "Tags.member.1.Key", {"UserName": name, "Tags": [{"Key": "k" * 129, "Value": ""}]}),
        ("TagUser", "Tags.member.1.Key", {"UserName": name, "Tags": [{"Key": "*", "Value": ""}]}),
        ("TagRole", "Tags.member.1.Value", {"RoleName": name, "Tags": [{"Key": "k", "Value": "v" * 257}]}),
        ("CreateUser", "Tags.member.1.Value", {"UserName": unique("u"), "Tags": [{"Key": "k", "Value": "<"}]}),
        ("PutUserPolicy", "PolicyDocument", {"UserName": name, "PolicyName": "p", "PolicyDocument": ALL.replace("*", "\u20ac")}),
        ("CreateRole", "AssumeRolePolicyDocument", {"RoleName": unique("r"), "AssumeRolePolicyDocument": PODS + " " * 131_072}),
        ("CreateOpenIDConnectProvider", "Url", {"Url": f"https://{'a' * 248}"}),
        ("CreateOpenIDConnectProvider", "ClientIDList", {"Url": f"https://{unique('i')}.example", "ClientIDList": ["a" * 256]}),
        ("CreateOpenIDConnectProvider", "ThumbprintList", {"Url": f"https://{unique('i')}.example", "ThumbprintList": ["0f" * 21]}),
        ("ListAttachedUserPolicies", "PathPrefix", {"UserName": name, "PathPrefix": "/team"}),
        ("ListAttachedRolePolicies", "PathPrefix", {"RoleName": name, "PathPrefix": "/team/!/"}),
        # An empty name is nobody's, and not the caller's.
        ("CreateAccessKey", "UserName", {"UserName": ""}),
        ("ListAccessKeys", "UserName", {"UserName": ""}),
        ("DeleteAccessKey", "UserName", {"UserName": "", "AccessKeyId": "LKIAAAAAAAAAAAAAAAAA"}),
    ]
    for operation, text, asked in calls:
        refuses(iam, operation, "ValidationError", text, **asked)


def test_no_key_is_made_one_that_has_expired(hub, iam):
    """The model has the status, which is for AWS to give."""
    name = unique("expired")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    hub.secrets.add("a user's secret access key", key["SecretAccessKey"])
    refuses(iam, "UpdateAccessKey", "InvalidInput", "Status", UserName=name, AccessKeyId=key["AccessKeyId"], Status="Expired")
    assert iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["Status"] == "Active"


def test_thumbprints_that_are_not_given_stay(hub, iam):
    arn = iam.create_open_id_connect_provider(Url=f"https://{unique('print')}.example", ThumbprintList=["0f" * 20])[
        "OpenIDConnectProviderArn"
    ]
    hub.settle()
    refuses(iam, "UpdateOpenIDConnectProviderThumbprint", "ValidationError", "ThumbprintList", OpenIDConnectProviderArn=arn)
    hub.settle()
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ThumbprintList"] == ["0f" * 20]


def test_documents_that_are_none(hub, iam):
    name = unique("document")
    iam.create_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)
    for bad in ("{}", "[]", "x", ALL.replace("Allow", "Perhaps"), ALL.replace("2012", "2022")):
        document = {"PolicyName": "p", "PolicyDocument": bad}
        refuses(iam, "PutUserPolicy", "MalformedPolicyDocument", UserName=name, **document)
        refuses(iam, "PutRolePolicy", "MalformedPolicyDocument", RoleName=name, **document)
    for bad in ("{}", ALL):
        refuses(iam, "CreateRole", "MalformedPolicyDocument", RoleName=unique("r"), AssumeRolePolicyDocument=bad)
        refuses(iam, "UpdateAssumeRolePolicy", "MalformedPolicyDocument", RoleName=name, PolicyDocument=bad)
    hub.settle()
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []


def test_quotas(hub, iam):
    name = unique("quota")
    iam.create_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)
    arn = iam.create_open_id_connect_provider(
        Url=f"https://{name}.example", ClientIDList=[f"client-{n}" for n in range(100)]
    )["OpenIDConnectProviderArn"]
    for _ in range(2):
        key = iam.create_access_key(UserName=name)["AccessKey"]
        hub.secrets.add("a user's secret access key", key["SecretAccessKey"])
    refuses(iam, "CreateAccessKey", "LimitExceeded", "2", UserName=name)
    refuses(iam, "TagUser", "LimitExceeded", "50", UserName=name, Tags=MANY)
    refuses(iam, "TagRole", "LimitExceeded", "50", RoleName=name, Tags=MANY)
    refuses(iam, "TagOpenIDConnectProvider", "LimitExceeded", "50", OpenIDConnectProviderArn=arn, Tags=MANY)
    refuses(iam, "AddClientIDToOpenIDConnectProvider", "LimitExceeded", "100", OpenIDConnectProviderArn=arn, ClientID="one-more")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::" + "a" * 60] * 100}
    large = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    refuses(iam, "PutUserPolicy", "LimitExceeded", "2048", UserName=name, PolicyName="p", PolicyDocument=large)
    trusting = json.loads(PODS)
    trusting["Statement"] = [statement | {"Sid": f"a{n}"} for n in range(30) for statement in trusting["Statement"]]
    # Longer than a trust policy may be, and not than any document.
    trusting = json.dumps(trusting)
    assert 2048 < len("".join(trusting.split())) < len(trusting) < 4096
    refuses(iam, "UpdateAssumeRolePolicy", "LimitExceeded", "2048", RoleName=name, PolicyDocument=trusting)
    refuses(iam, "CreateRole", "LimitExceeded", "2048", RoleName=unique("r"), AssumeRolePolicyDocument=trusting)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=large)
    refuses(iam, "PutRolePolicy", "LimitExceeded", "10240", RoleName=name, PolicyName="q", PolicyDocument=large)


def test_who_has_something_left_is_not_deleted(hub, iam):
    """As IAM has it: keys and inline policies go first, so that nobody takes away more than they see."""
    name = unique("left")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    hub.secrets.add("a user's secret access key", key["SecretAccessKey"])
    refuses(iam, "DeleteUser", "DeleteConflict", "access keys", UserName=name)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=ALL)
    refuses(iam, "DeleteUser", "DeleteConflict", "inline policies", UserName=name)
    iam.delete_user_policy(UserName=name, PolicyName="p")
    iam.delete_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=ALL)
    refuses(iam, "DeleteRole", "DeleteConflict", "inline policies", RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)


# STS

AUDIENCE = "sts.amazonaws.com"


def test_a_session_policy_that_is_none_or_too_large(hub):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    asked = {"RoleArn": role.arn, "RoleSessionName": "night"}
    refuses(sts, "AssumeRole", "MalformedPolicyDocument", **asked, Policy='{"a":1}')
    tags = [{"Key": f"{n}-" + "k" * 100, "Value": f"{n}-" + "v" * 250} for n in range(50)]
    refuses(sts, "AssumeRole", "PackedPolicyTooLarge", **asked, Tags=tags)
    for more, text in (
        ({"DurationSeconds": 899}, "DurationSeconds"),
        ({"ExternalId": "a b"}, "ExternalId"),
        ({"SourceIdentity": "aws:a"}, "SourceIdentity"),
        ({"RoleSessionName": "a b"}, "RoleSessionName"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]}, "PolicyArns"),
        ({"SerialNumber": "arn:aws:iam::111122223333:mfa/ana", "TokenCode": "123456"}, "SerialNumber"),
        ({"TransitiveTagKeys": ["none"]}, "ransitive"),
        ({"TransitiveTagKeys": ["Team"], "Tags": [{"Key": "team", "Value": "a"}]}, "`Team` is not among the tags"),
        ({"Tags": [{"Key": str(n), "Value": ""} for n in range(51)]}, "50"),
        ({"Tags": [{"Key": "k" * 129, "Value": ""}]}, "128"),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "256"),
        ({"Tags": [{"Key": "aws:k", "Value": ""}]}, "aws:"),
        ({"MinimumSessionTokenSize": 1024}, "MinimumSessionTokenSize: a session token is as long"),
        ({"MinimumSessionTokenSize": 4097}, "MinimumSessionTokenSize: it has to be a whole number from 0 to 4096"),
    ):
        refuses(sts, "AssumeRole", "ValidationError", text, **{**asked, **more})
    refuses(sts, "GetSessionToken", "ValidationError", "MinimumSessionTokenSize", MinimumSessionTokenSize=1)
    refuses(sts, "GetSessionToken", "ValidationError", "DurationSeconds", DurationSeconds=60)
    refuses(sts, "GetSessionToken", "ValidationError", "SerialNumber", SerialNumber="GAHT12345678", TokenCode="123456")


def session_of(hub, made: dict) -> Credentials:
    key = made["Credentials"]
    secret = hub.secrets.add("a session's secret access key", key["SecretAccessKey"])
    return Credentials(key["AccessKeyId"], secret, hub.secrets.add("a session token", key["SessionToken"]))


def policy_of(characters: int) -> str:
    """A policy document of so many characters."""

    def document(sid: str) -> str:
        statement = {"Sid": sid, "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))

    return document("a" * (characters - len(document(""))))


def test_what_a_session_is_asked_for_has_upper_bounds(hub):
    """What is just within each is taken, and one more is refused by its parameter."""
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    asked = {"RoleArn": role.arn, "RoleSessionName": "night"}
    for parameter, most in (("RoleSessionName", 64), ("ExternalId", 1224), ("SourceIdentity", 256)):
        session_of(hub, sts.assume_role(**asked | {parameter: "a" * most}))
        for wrong in ("a" * (most + 1), "a"):
            refuses(sts, "AssumeRole", "ValidationError", parameter, **asked | {parameter: wrong})
    # A session is in its token whole, so that the token's length is met before the document's.
    session_of(hub, sts.assume_role(**asked, Policy=policy_of(1024)))
    refuses(sts, "AssumeRole", "PackedPolicyTooLarge", "at most 2000", **asked, Policy=policy_of(2048))
    # Of the text as it comes, whose blanks count.
    for wrong in (policy_of(2049), policy_of(1024) + " " * 1025, "", policy_of(1024).replace("aaa", "\u0100")):
        refuses(sts, "AssumeRole", "ValidationError", "Policy: it has", **asked, Policy=wrong)
    refuses(sts, "AssumeRole", "PackedPolicyTooLarge", "at most 2000", **asked, Policy=policy_of(1024) + " " * 1024)
    session_of(hub, sts.assume_role(**asked, Policy=policy_of(512) + "\t\r\n " * 40))
    session_of(hub, sts.get_session_token(DurationSeconds=129_600))
    refuses(sts, "GetSessionToken", "ValidationError", "DurationSeconds", DurationSeconds=129_601)


def test_what_a_sessions_tags_and_contexts_may_not_be(hub):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    asked = {"RoleArn": role.arn, "RoleSessionName": "night"}
    context = {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": "a.b.c"}
    fifty_one = {"Tags": [{"Key": "k", "Value": ""}], "TransitiveTagKeys": ["k"] * 51}
    for more, text in (
        ({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "Team", "Value": "b"}]}, "letter case"),
        ({"Tags": [{"Key": "te#am", "Value": "a"}]}, "Tags.member.1.Key: `te#am`"),
        ({"Tags": [{"Key": "team", "Value": "a,b"}]}, "Tags.member.1.Value: `a,b`"),
        (fifty_one, "TransitiveTagKeys: at most 50"),
        ({"ProvidedContexts": [context]}, "ProvidedContexts"),
        ({"ProvidedContexts": [context] * 6}, "ProvidedContexts"),
    ):
        refuses(sts, "AssumeRole", "ValidationError", text, **asked, **more)
    # Also of a role that is not there, of which nobody hears before the request is whole.
    absent = {"RoleArn": role.arn + "-none", "RoleSessionName": "night"}
    with refused(sts, "AccessDenied", status=403):
        sts.assume_role(**absent)
    for more, text in (({"Tags": MANY}, "Tags: at most 50"), (fifty_one, "TransitiveTagKeys: at most 50")):
        refuses(sts, "AssumeRole", "ValidationError", text, **absent, **more)
    taken = [{"Key": "Te am_.:/=+-@1", "Value": "Te am_.:/=+-@1"}, {"Key": "empty", "Value": ""}]
    session_of(hub, sts.assume_role(**asked, Tags=taken))


def test_a_role_session_makes_another_of_an_hour_at_most(hub, iam):
    ana = hub.create_user("ana")
    between = hub.create_role("between", trusts=ana.arn)
    last = hub.create_role("last", trusts=between.arn)
    iam.update_role(RoleName=between.name, MaxSessionDuration=7200)
    iam.update_role(RoleName=last.name, MaxSessionDuration=7200)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    first = {"RoleArn": between.arn, "RoleSessionName": "first"}
    refuses(sts, "AssumeRole", "ValidationError", "role's own maximum", **first, DurationSeconds=7201)
    chained = Wire(hub, session_of(hub, sts.assume_role(**first, DurationSeconds=7200))).sts
    second = {"RoleArn": last.arn, "RoleSessionName": "second"}
    refuses(chained, "AssumeRole", "ValidationError", "a role session makes it", **second, DurationSeconds=3601)
    session_of(hub, chained.assume_role(**second, DurationSeconds=3600))


def test_a_transitive_tag_goes_down_the_chain_and_is_given_once(hub):
    ana = hub.create_user("ana")
    between = hub.create_role("between", trusts=ana.arn)
    last = hub.create_role("last", trusts=between.arn)
    hub.settle()
    tags = {"Tags": [{"Key": "team", "Value": "a"}], "TransitiveTagKeys": ["team"]}
    made = Wire(hub, ana.credentials).sts.assume_role(RoleArn=between.arn, RoleSessionName="first", **tags)
    key = made["Credentials"]
    secret = hub.secrets.add("a session's secret access key", key["SecretAccessKey"])
    token = hub.secrets.add("a session token", key["SessionToken"])
    sts = Wire(hub, Credentials(key["AccessKeyId"], secret, token)).sts
    asked = {"RoleArn": last.arn, "RoleSessionName": "second"}
    for name in ("team", "Team"):
        refuses(sts, "AssumeRole", "ValidationError", "transitive", **asked, Tags=[{"Key": name, "Value": "b"}])
    second = sts.assume_role(**asked, Tags=[{"Key": "stage", "Value": "live"}])["Credentials"]
    hub.secrets.add("a session's secret access key", second["SecretAccessKey"])
    hub.secrets.add("a session token", second["SessionToken"])


@pytest.fixture
def issuers(tmp_path_factory):
    """Makes issuers, and stops them."""
    made = []

    def make(**choices) -> Issuer:
        made.append(Issuer(tmp_path_factory.mktemp("errors"), path=f"/{unique('ci')}", **choices).start())
        return made[-1]

    yield make
    for issuer in made:
        issuer.stop()


def exchange_of(hub, iam, issuer: Issuer) -> dict:
    """What asks for the session of a role that trusts a job of the issuer."""
    hub.cli("iam", "oidc-provider", "create", issuer.url, "--client-id", AUDIENCE, "--ca-bundle", str(issuer.ca))
    name = issuer.url.removeprefix("https://")
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{hub.account}:oidc-provider/{name}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{name}:aud": AUDIENCE, f"{name}:sub": "job-17"}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=unique("ci"), AssumeRolePolicyDocument=trust)["Role"]
    hub.settle()
    token = hub.secrets.add("a web identity token", issuer.token(aud=AUDIENCE, sub="job-17"))
    return {"RoleArn": role["Arn"], "RoleSessionName": "run", "WebIdentityToken": token}


def test_a_web_identitys_session_policy_and_an_issuer_that_is_away(hub, wire, iam, issuers):
    away = exchange_of(hub, iam, issuers(away=True))
    refuses(wire.sts, "AssumeRoleWithWebIdentity", "IDPCommunicationError", **away)
    asked = exchange_of(hub, iam, issuers())
    # Of what cannot be packed.
    names = "".join(base64.b64encode(hashlib.sha512(bytes([n])).digest()).decode().rstrip("=") for n in range(21))
    large = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{names}"}
    for more, code, text in (
        ({"Policy": '{"a":1}'}, "MalformedPolicyDocument", ""),
        ({"Policy": json.dumps({"Version": "2012-10-17", "Statement": [large]})}, "PackedPolicyTooLarge", ""),
        ({"Policy": policy_of(1024) + " " * 1025}, "ValidationError", "Policy: it has 2049 characters"),
        ({"Policy": ""}, "ValidationError", "Policy: it has 0 characters"),
        ({"Policy": '{"\u0100":1}'}, "ValidationError", "Policy: it has to be of the characters"),
        ({"DurationSeconds": 899}, "ValidationError", "DurationSeconds"),
        ({"ProviderId": "www.amazon.com"}, "ValidationError", "ProviderId"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]}, "ValidationError", "PolicyArns"),
    ):
        refuses(wire.sts, "AssumeRoleWithWebIdentity", code, text, **asked, **more)


# EKS


def test_clusters_that_are_none_and_pages_that_are_none(eks, hub):
    name = unique("pages")
    eks.create_cluster(
        name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
    )
    hub.settle()
    arn = f"arn:aws:iam::{hub.account}:user/nobody"
    none = {"clusterName": "none"}
    entry, association = none | {"principalArn": arn}, none | {"associationId": "a-0123456789abcdefg"}
    config = {"identityProviderConfig": {"type": "oidc", "name": "a"}}
    calls = {
        "DescribeCluster": {"name": "none"},
        "DeleteCluster": {"name": "none"},
        "DescribeUpdate": {"name": "none", "updateId": "00000000-0000-0000-0000-000000000000"},
        "ListUpdates": {"name": "none"},
        "DescribeAccessEntry": entry,
        "ListAccessEntries": none,
        "UpdateAccessEntry": entry,
        "DeleteAccessEntry": entry,
        "AssociateAccessPolicy": entry | {"policyArn": VIEW, "accessScope": {"type": "cluster"}},
        "DisassociateAccessPolicy": entry | {"policyArn": VIEW},
        "ListAssociatedAccessPolicies": entry,
        "ListIdentityProviderConfigs": none,
        "DescribeIdentityProviderConfig": none | config,
        "DisassociateIdentityProviderConfig": none | config,
        "ListPodIdentityAssociations": none,
        "DescribePodIdentityAssociation": association,
        "UpdatePodIdentityAssociation": association,
        "DeletePodIdentityAssociation": association,
    }
    for operation, asked in calls.items():
        with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
            getattr(eks, xform_name(operation))(**asked)
    of = {"clusterName": name}
    for operation, asked in (
        ("ListIdentityProviderConfigs", of),
        ("ListPodIdentityAssociations", of),
        ("ListAccessEntries", of),
        ("ListUpdates", {"name": name}),
        ("ListClusters", {}),
        ("ListAccessPolicies", {}),
        ("DescribeClusterVersions", {}),
    ):
        refuses(eks, operation, "InvalidParameterException", "nextToken", **asked, nextToken="AAAA")
    for operation in ("DescribePodIdentityAssociation", "UpdatePodIdentityAssociation", "DeletePodIdentityAssociation"):
        refuses(eks, operation, "InvalidParameterException", "associationId", **of, associationId="a-1")
    for operation in ("DescribeAccessEntry", "DeleteAccessEntry", "UpdateAccessEntry", "ListAssociatedAccessPolicies"):
        with refused(eks, "ResourceNotFoundException", "The specified principalArn could not be found.", 404):
            getattr(eks, xform_name(operation))(**of, principalArn=arn)


def test_limits(hub_beside):
    """On a hub with room for one of each."""
    settings = {
        f"LANYARD_{name}": "1"
        for name in (
            "MAPPING__LIMITS__CLUSTERS_PER_REGION",
            "MAPPING__LIMITS__ENTRIES_PER_CLUSTER",
            "CREDENTIALS__ASSOCIATIONS_PER_CLUSTER",
            "AUTHN__LIMITS__USERS_MAX",
            "AUTHN__LIMITS__ROLES_MAX",
            "AUTHN__LIMITS__INSTANCE_PROFILES_MAX",
            "AUTHN__LIMITS__OIDC_PROVIDERS_MAX",
        )
    }
    hub = hub_beside("narrow", settings=settings).start()
    wire = Wire(hub)
    eks, iam = wire.eks, wire.client("iam")
    made = {"roleArn": ROLE, "resourcesVpcConfig": {}, "accessConfig": {"authenticationMode": "API"}}
    eks.create_cluster(name="one", **made)
    refuses(eks, "CreateCluster", "ResourceLimitExceededException", name="two", **made)
    trust = iam.create_role(RoleName="one", AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)["Role"]["Arn"]
    hub.settle()
    refuses(iam, "CreateRole", "LimitExceeded", RoleName="two", AssumeRolePolicyDocument=PODS)
    # The creator of the cluster has the one entry, and is the one user.
    refuses(eks, "CreateAccessEntry", "ResourceLimitExceededException", clusterName="one", principalArn=trust)
    refuses(iam, "CreateUser", "LimitExceeded", UserName="two")
    iam.create_instance_profile(InstanceProfileName="one")
    refuses(iam, "CreateInstanceProfile", "LimitExceeded", InstanceProfileName="two")
    iam.create_open_id_connect_provider(Url="https://one.example")
    refuses(iam, "CreateOpenIDConnectProvider", "LimitExceeded", Url="https://two.example")
    asked = {"clusterName": "one", "serviceAccount": "bot", "roleArn": trust}
    eks.create_pod_identity_association(namespace="one", **asked)
    refuses(eks, "CreatePodIdentityAssociation", "ResourceLimitExceededException", namespace="two", **asked)
