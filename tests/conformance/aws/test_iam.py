"""IAM and STS on the AWS wire: boto3 and the AWS CLI, unchanged, with the sequences that Terraform's resources make."""

from __future__ import annotations

import json

import pytest
from botocore import xform_name

from hub import Principal, unique
from oidc import Issuer, RsaKey
from tokens import Credentials
from wire import Wire, code_of, let, raw, refused

AUDIENCE = "sts.amazonaws.com"
SUBJECT = "repo:octo-org/octo-repo:environment:prod"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def issuer(tmp_path_factory):
    """It signs as GitHub and GitLab do."""
    keys = [RsaKey("rsa")]
    issuer = Issuer(tmp_path_factory.mktemp("ci"), path=f"/{unique('ci')}", keys=keys).start()
    yield issuer
    issuer.stop()


def document(action: str, **more) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **more}]})


def trusting(principal: str) -> str:
    return document("sts:AssumeRole", Principal={"AWS": principal})


def trusting_jobs(arn: str, subject: str | None) -> str:
    name = arn.split(":oidc-provider/")[1]
    condition = {"StringEquals": {f"{name}:aud": AUDIENCE}}
    if subject:
        condition["StringLike"] = {f"{name}:sub": subject}
    return document("sts:AssumeRoleWithWebIdentity", Principal={"Federated": arn}, Condition=condition)


def test_users_and_their_keys(hub, wire, iam):
    name = unique("ana")
    made = iam.create_user(UserName=name, Path="/team/", Tags=[{"Key": "team", "Value": "blue"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{hub.account}:user/team/{name}" and made["UserId"].startswith("AIDA")
    assert iam.get_user(UserName=name)["User"] == made
    key = iam.create_access_key(UserName=name)["AccessKey"]
    hub.secrets.add("a user's secret access key", key["SecretAccessKey"])
    own = Wire(hub, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    hub.settle()
    assert own.sts.get_caller_identity()["Arn"] == made["Arn"]
    iam.put_user_policy(
        UserName=name, PolicyName="self", PolicyDocument=document("iam:*", Resource=made["Arn"])
    )
    hub.settle()
    assert own.client("iam").get_user()["User"]["UserName"] == name, "who is not named is the caller"
    [listed] = own.client("iam").list_access_keys()["AccessKeyMetadata"]
    assert (listed["AccessKeyId"], listed["Status"]) == (key["AccessKeyId"], "Active")
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    hub.settle()
    with refused(own.sts, "InvalidClientTokenId", "", 403):
        own.sts.get_caller_identity()
    iam.tag_user(UserName=name, Tags=[{"Key": "cost", "Value": "1"}])
    iam.untag_user(UserName=name, TagKeys=["team"])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "cost", "Value": "1"}]
    assert iam.list_groups_for_user(UserName=name)["Groups"] == []
    assert iam.list_attached_user_policies(UserName=name)["AttachedPolicies"] == []
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == ["self"]
    assert iam.get_user_policy(UserName=name, PolicyName="self")["PolicyDocument"]["Version"] == "2012-10-17"
    assert wire.sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == hub.account
    iam.delete_user_policy(UserName=name, PolicyName="self")
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)
    with refused(iam, "NoSuchEntity", name, 404):
        iam.get_user(UserName=name)


def test_lists_come_in_pages_that_the_sdk_turns(iam):
    names = sorted(unique("page") for _ in range(5))
    for name in names:
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Users"]) <= 2 for page in pages)
    found = [user["UserName"] for page in pages for user in page["Users"]]
    assert [name for name in found if name in names] == names
    marker = iam.list_users(MaxItems=1)["Marker"]
    with refused(iam, "ValidationError", "Marker"):
        iam.list_roles(MaxItems=1, Marker=marker)


def test_a_role_as_terraform_makes_reads_changes_and_destroys_it(hub, wire, iam):
    """aws_iam_role: create, refresh, update in place, destroy."""
    name = unique("terraform")
    policy = trusting(f"arn:aws:iam::{hub.account}:root")
    created = iam.create_role(
        RoleName=name,
        Path="/ci/",
        AssumeRolePolicyDocument=policy,
        Description="Deploys",
        MaxSessionDuration=7200,
        Tags=[{"Key": "stage", "Value": "live"}],
    )["Role"]

    def refresh() -> dict:
        role = iam.get_role(RoleName=name)["Role"]
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
        return role

    read = refresh()
    assert read == refresh(), "a read after apply shows no difference"
    assert read["AssumeRolePolicyDocument"] == json.loads(policy)
    assert (read["Arn"], read["RoleId"]) == (created["Arn"], created["RoleId"])
    assert read["Arn"] == f"arn:aws:iam::{hub.account}:role/ci/{name}"
    assert (read["Description"], read["MaxSessionDuration"]) == ("Deploys", 7200)
    assert read["Tags"] == [{"Key": "stage", "Value": "live"}]
    iam.update_role(RoleName=name, Description="Deploys more", MaxSessionDuration=3600)
    iam.tag_role(RoleName=name, Tags=[{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "a"}])
    iam.untag_role(RoleName=name, TagKeys=["team"])
    narrower = trusting(hub.create_user("somebody").arn)
    hub.settle()
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=narrower)
    read = refresh()
    assert (read["Description"], read["MaxSessionDuration"]) == ("Deploys more", 3600)
    assert read["Tags"] == iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "stage", "Value": "test"}]
    assert read["AssumeRolePolicyDocument"] == json.loads(narrower)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document("eks:*", Resource="*"))
    got = iam.get_role_policy(RoleName=name, PolicyName="p")
    assert (got["RoleName"], got["PolicyDocument"]["Statement"][0]["Action"]) == (name, "eks:*")
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    with refused(iam, "NoSuchEntity", name, 404):
        iam.get_role(RoleName=name)
    assert wire.aws_json("iam", "list-roles", "--max-items", "1")["Roles"] is not None


def test_each_refusal_has_iams_code(hub, iam):
    name = unique("role")
    policy = trusting(f"arn:aws:iam::{hub.account}:root")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    with refused(iam, "EntityAlreadyExists", name.upper(), 409):
        iam.create_role(RoleName=name.upper(), AssumeRolePolicyDocument=policy)
    with refused(iam, "MalformedPolicyDocument"):
        iam.create_role(RoleName=unique("bad"), AssumeRolePolicyDocument="{}")
    absent = f"arn:aws:iam::{hub.account}:user/{unique('absent')}"
    # IAM's own words.
    said = f'Invalid principal in policy: "AWS":"{absent}"'
    with refused(iam, "MalformedPolicyDocument", said):
        iam.create_role(RoleName=unique("bad"), AssumeRolePolicyDocument=trusting(absent))
    with refused(iam, "MalformedPolicyDocument", said):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting(absent))
    with refused(iam, "MalformedPolicyDocument"):
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument="{}")
    with refused(iam, "NoSuchEntity", "", 404):
        iam.get_role_policy(RoleName=name, PolicyName="none")
    with refused(iam, "InvalidInput", "aws:x"):
        iam.tag_role(RoleName=name, Tags=[{"Key": "aws:x", "Value": ""}])
    boundary = "arn:aws:iam::aws:policy/AdministratorAccess"
    # IAM's own words, of what a user may not get; of a role the model has no such error.
    with refused(iam, "NoSuchEntity", f"Scope ARN: {boundary} does not exist or is not attachable", 404):
        iam.create_user(UserName=unique("u"), PermissionsBoundary=boundary)
    with refused(iam, "ValidationError", "PermissionsBoundary"):
        iam.create_role(RoleName=unique("r"), AssumeRolePolicyDocument=policy, PermissionsBoundary=boundary)
    nobody = hub.create_user("nobody")
    hub.settle()
    with refused(Wire(hub, nobody.credentials).client("iam"), "AccessDenied", "iam:ListUsers", 403) as _:
        Wire(hub, nobody.credentials).client("iam").list_users()


def test_an_oidc_provider_as_terraform_makes_reads_changes_and_destroys_it(hub, iam, issuer):
    """aws_iam_openid_connect_provider."""
    arn = iam.create_open_id_connect_provider(
        Url=issuer.url, ClientIDList=[AUDIENCE], ThumbprintList=["0f" * 20], Tags=[{"Key": "a", "Value": "1"}]
    )["OpenIDConnectProviderArn"]
    name = issuer.url.removeprefix("https://")
    assert arn == f"arn:aws:iam::{hub.account}:oidc-provider/{name}"
    read = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (read["Url"], read["ClientIDList"], read["ThumbprintList"]) == (name, [AUDIENCE], ["0f" * 20])
    assert read["Tags"] == [{"Key": "a", "Value": "1"}]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="other")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=AUDIENCE)
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["1f" * 20])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["a"])
    read = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (read["ClientIDList"], read["ThumbprintList"]) == (["other"], ["1f" * 20])
    tags = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"]
    assert read["Tags"] == tags == [{"Key": "b", "Value": "2"}]
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert {"Arn": arn} in listed
    with refused(iam, "EntityAlreadyExists", "", 409):
        iam.create_open_id_connect_provider(Url=issuer.url)
    with refused(iam, "InvalidInput"):
        iam.create_open_id_connect_provider(Url="http://issuer.example")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    with refused(iam, "NoSuchEntity", "", 404):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def immunity_33_an_oidc_provider_of_another_account_is_not_there(hub, iam):
    """To a tenant, whom their own policies let do anything, one that is there and one that cannot be answer alike."""
    account = hub.cli("iam", "account", "create", "777788889999", "--authority", "local", "--name", "tenant")["value"]["id"]
    tenant = hub.create_user("tenant", account=account)
    words = ["iam", "policy", "put", "all", "--user", tenant.name, "--account", account, "--document", "-"]
    hub.cli(*words, stdin=document("iam:*", Resource="*"))
    there = iam.create_open_id_connect_provider(Url="https://ci.example/there", ClientIDList=[AUDIENCE])
    hub.settle()
    client = Wire(hub, tenant.credentials).client("iam")
    own = f"arn:aws:iam::{account}:oidc-provider/ci.example"
    with refused(client, "NoSuchEntity", "", 404):
        client.get_open_id_connect_provider(OpenIDConnectProviderArn=own)
    for foreign in (there["OpenIDConnectProviderArn"], "arn:aws:iam::999988887777:oidc-provider/ci.example"):
        with refused(client, "AccessDenied", "policies reach their own account alone", 403):
            client.get_open_id_connect_provider(OpenIDConnectProviderArn=foreign)


def test_a_role_is_assumed_and_a_session_token_made(hub, wire):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    made = sts.assume_role(
        RoleArn=role.arn,
        RoleSessionName="night",
        Tags=[{"Key": "team", "Value": "a"}],
        TransitiveTagKeys=["team"],
        SourceIdentity="ana",
    )
    assert made["AssumedRoleUser"]["AssumedRoleId"] == f"{role.principal_id}:night"
    assert made["SourceIdentity"] == "ana" and made["PackedPolicySize"] >= 0
    assert made["SessionTokenSize"] == len(made["Credentials"]["SessionToken"])
    assert 0 < made["SessionTokenUtilization"] <= 100
    session = credentials_of(hub, made)
    assert Wire(hub, session).sts.get_caller_identity()["Arn"] == made["AssumedRoleUser"]["Arn"]
    with refused(sts, "AccessDenied", "", 403):
        sts.assume_role(RoleArn=role.arn + "-none", RoleSessionName="night")
    with refused(sts, "ValidationError", "DurationSeconds"):
        sts.assume_role(RoleArn=role.arn, RoleSessionName="night", DurationSeconds=43200)
    with refused(sts, "MalformedPolicyDocument"):
        sts.assume_role(RoleArn=role.arn, RoleSessionName="night", Policy="{}")
    own_made = sts.get_session_token(DurationSeconds=900, MinimumSessionTokenSize=0)
    own = credentials_of(hub, own_made)
    assert own_made["SessionTokenSize"] == len(own_made["Credentials"]["SessionToken"])
    assert Wire(hub, own).sts.get_caller_identity()["Arn"] == ana.arn
    for key in (session.access_key_id, own.access_key_id):
        assert wire.sts.get_access_key_info(AccessKeyId=key)["Account"] == hub.account, key
    for key in ("ASIAAAAAAAAAAAAAAAAA", "AKIAAAAAAAAAAAAAAAAA"):
        with refused(wire.sts, "ValidationError", "ask AWS"):
            wire.sts.get_access_key_info(AccessKeyId=key)
    with refused(Wire(hub, own).sts, "AccessDenied", "", 403) as _:
        Wire(hub, own).sts.get_session_token()


def test_a_user_made_anew_under_an_old_name_is_not_trusted(hub, iam):
    ana, bob = hub.create_user("ana"), hub.create_user("bob")
    role = unique("role")
    hub.settle()
    both = json.loads(trusting(ana.arn))
    both["Statement"][0]["Principal"]["AWS"] = [ana.arn, bob.arn]
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(both))
    hub.settle()

    def trusted() -> list[str]:
        pages = iam.get_paginator("list_roles").paginate()
        (listed,) = [found for page in pages for found in page["Roles"] if found["RoleName"] == role]
        read = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        assert listed["AssumeRolePolicyDocument"] == read
        return read["Statement"][0]["Principal"]["AWS"]

    def assume(user: Credentials):
        arn = f"arn:aws:iam::{hub.account}:role/{role}"
        return Wire(hub, user).sts.assume_role(RoleArn=arn, RoleSessionName="night")

    assert trusted() == [ana.arn, bob.arn]
    assert assume(ana.credentials)["Credentials"]["SessionToken"]
    hub.cli("iam", "user", "delete", ana.name)
    for made_anew in (False, True):
        if made_anew:
            hub.cli("iam", "user", "create", ana.name)
        assert trusted() == [ana.principal_id, bob.arn], "as IAM shows who is gone"
    another = hub.create_key(ana.name)
    hub.settle()
    with refused(Wire(hub, another).sts, "AccessDenied", "trust policy", 403):
        assume(another)
    assert assume(bob.credentials)["Credentials"]["SessionToken"]
    # Written again it means who bears the name now.
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(both))
    hub.settle()
    assert trusted() == [ana.arn, bob.arn]
    assert assume(another)["Credentials"]["SessionToken"]


def credentials_of(hub, made) -> Credentials:
    key = made["Credentials"]
    secret = hub.secrets.add("a session's secret access key", key["SecretAccessKey"])
    return Credentials(key["AccessKeyId"], secret, hub.secrets.add("a session token", key["SessionToken"]))


@pytest.fixture
def ci(hub, wire, iam, issuer):
    """A role for the jobs of one repository, made by calls of AWS alone: the issuer is known by its authority's thumbprint."""
    made = iam.create_open_id_connect_provider(
        Url=issuer.url, ClientIDList=[AUDIENCE], ThumbprintList=["0" * 40, issuer.thumbprint]
    )
    arn = made["OpenIDConnectProviderArn"]
    policy = trusting_jobs(arn, "repo:octo-org/octo-repo:*")
    role = iam.create_role(RoleName=unique("ci"), AssumeRolePolicyDocument=policy)["Role"]
    hub.settle()
    yield role
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_an_issuer_whose_thumbprint_is_none_of_the_providers_is_not_believed(hub, iam, wire, issuer, ci):
    arn = ci["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Federated"]

    def ask() -> dict:
        token = hub.secrets.add("a web identity token", issuer.token(aud=AUDIENCE, sub=SUBJECT))
        return wire.sts.assume_role_with_web_identity(
            RoleArn=ci["Arn"], RoleSessionName="run-17", WebIdentityToken=token
        )

    credentials_of(hub, ask())
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["0" * 40])
    hub.settle()
    with refused(wire.sts, "IDPCommunicationError"):
        ask()


def test_a_jobs_token_is_exchanged_unsigned_and_its_session_opens_a_cluster(hub, cluster, wire, issuer, ci):
    sts = wire.sts
    token = hub.secrets.add("a web identity token", issuer.token(aud=AUDIENCE, sub=SUBJECT))
    made = sts.assume_role_with_web_identity(RoleArn=ci["Arn"], RoleSessionName="run-17", WebIdentityToken=token)
    assert (made["Provider"], made["Audience"]) == (issuer.url, AUDIENCE)
    assert made["SubjectFromWebIdentityToken"] == SUBJECT
    session = credentials_of(hub, made)
    assert Wire(hub, session).sts.get_caller_identity()["Arn"] == made["AssumedRoleUser"]["Arn"]
    cluster.entry(Principal(ci["RoleName"], ci["Arn"], ci["RoleId"]), groups=["ci"])
    hub.settle()
    assert cluster.log_in(session)["username"] == made["AssumedRoleUser"]["Arn"]

    def ask(code: str, status: int = 400, text: str = "", **claims):
        with refused(sts, code, text, status):
            sts.assume_role_with_web_identity(
                RoleArn=ci["Arn"],
                RoleSessionName="run-17",
                WebIdentityToken=issuer.token(**{"aud": AUDIENCE, "sub": SUBJECT} | claims),
            )

    ask("InvalidIdentityToken", text="Incorrect token audience", aud="kubernetes")
    ask("InvalidIdentityToken", text="No OpenIDConnect provider found in your account for", iss="https://issuer.example")
    ask("ExpiredTokenException", exp=1_700_000_000)
    ask("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity", sub="repo:other/repo:x")
    with refused(sts, "ValidationError", "RoleSessionName"):
        sts.assume_role_with_web_identity(RoleArn=ci["Arn"], RoleSessionName="a b", WebIdentityToken=token)
    block = hub.cli("block", "create", "--oidc-issuer", issuer.url, "--oidc-subject", "blocked", "--reason", "test")
    hub.settle()
    ask("IDPRejectedClaim", 403, sub="blocked")
    hub.cli("block", "delete", block["value"]["id"])


def immunity_11_a_trust_policy_without_a_subject_needs_the_roles_tag(hub, iam, ci):
    arn = ci["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Federated"]
    with refused(iam, "MalformedPolicyDocument", ":sub"):
        iam.create_role(RoleName=unique("open"), AssumeRolePolicyDocument=trusting_jobs(arn, None))
    tag = [{"Key": "lanyard:any-subject", "Value": "true"}]
    iam.create_role(RoleName=unique("open"), AssumeRolePolicyDocument=trusting_jobs(arn, None), Tags=tag)


def immunity_11_a_trust_policy_is_not_opened_by_an_update(hub, iam, ci):
    """Nor does a pattern for everybody's jobs count as a subject."""
    arn, name = ci["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Federated"], ci["RoleName"]
    anybody = "may go on with anybody's name"
    for subject, text in ((None, ":sub"), ("*", anybody), ("repo:*", anybody), ("repo:octo-org*", anybody)):
        open_one = trusting_jobs(arn, subject)
        with refused(iam, "MalformedPolicyDocument", text):
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=open_one)
        with refused(iam, "MalformedPolicyDocument", text):
            iam.create_role(RoleName=unique("open"), AssumeRolePolicyDocument=open_one)
    hub.settle()
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == ci["AssumeRolePolicyDocument"]
    narrow = trusting_jobs(arn, "repo:octo-org/*")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=narrow)
    iam.tag_role(RoleName=name, Tags=[{"Key": "lanyard:any-subject", "Value": "true"}])
    hub.settle()
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting_jobs(arn, "repo:*"))


def test_unsigned_only_that_one_operation_is_answered(hub, wire):
    for action in ("AssumeRole", "GetSessionToken", "GetCallerIdentity"):
        answer = raw(hub, "POST", f"{wire.url}/", f"Action={action}&Version=2011-06-15".encode(), headers=FORM)
        assert (answer.status_code, code_of(answer)) == (403, "MissingAuthenticationToken"), action
    exchange = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    answer = raw(hub, "POST", f"{wire.url}/?{exchange}", b"RoleArn=x", headers=FORM)
    assert code_of(answer) == "InvalidParameterCombination", "immunity 45"
    answer = raw(hub, "POST", f"{wire.url}/", exchange.encode(), headers=FORM)
    assert (answer.status_code, code_of(answer)) == (400, "ValidationError"), answer.text


def test_the_list_of_oidc_providers_has_all_of_them(new_hub):
    """More than one page of the service's own: the model has no marker for who lists them."""
    hub = new_hub("providers", settings={"LANYARD_AUTHN__LIMITS__OIDC_PROVIDERS_MAX": "120"}).start()
    iam = Wire(hub).client("iam")
    made = {
        iam.create_open_id_connect_provider(Url=f"https://{number}.example")["OpenIDConnectProviderArn"]
        for number in range(101)
    }
    hub.settle()
    listed = [one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    assert len(listed) == 101 and set(listed) == made


def test_each_list_of_one_thing_is_an_action_of_its_own(hub, iam):
    """As AWS has them: a policy that was written for them lets them pass, and one that lets the thing be read does not."""
    name = unique("own")
    iam.create_user(UserName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting(hub.account))
    iam.create_instance_profile(InstanceProfileName=name)
    provider = iam.create_open_id_connect_provider(Url=f"https://{name}.example")["OpenIDConnectProviderArn"]
    user, role = {"UserName": name}, {"RoleName": name}
    profile, provider = {"InstanceProfileName": name}, {"OpenIDConnectProviderArn": provider}
    own = {
        "ListUserTags": user,
        "ListGroupsForUser": user,
        "ListAttachedUserPolicies": user,
        "ListRoleTags": role,
        "ListAttachedRolePolicies": role,
        "ListInstanceProfilesForRole": role,
        "UpdateRoleDescription": role | {"Description": "a"},
        "ListInstanceProfileTags": profile,
        "ListOpenIDConnectProviderTags": provider,
    }
    whole = {
        "GetUser": user,
        "GetRole": role,
        "UpdateRole": role,
        "GetInstanceProfile": profile,
        "GetOpenIDConnectProvider": provider,
    }
    hub.settle()
    for allowed, others in ((own, whole), (whole, own)):
        ana = hub.create_user("ana")
        let(hub, ana.name, {"Effect": "Allow", "Action": [f"iam:{action}" for action in allowed], "Resource": "*"})
        theirs = Wire(hub, ana.credentials).client("iam")
        for operation, asked in allowed.items():
            getattr(theirs, xform_name(operation))(**asked)
        for operation, asked in others.items():
            with refused(theirs, "AccessDenied", f"is not authorized to perform: iam:{operation}", 403):
                getattr(theirs, xform_name(operation))(**asked)


def test_who_may_not_tag_makes_nothing_that_has_tags(hub):
    """As IAM and EKS have it: tags that something is made with are asked for by the action that tags it. Some of them let things through."""
    ana = hub.create_user("ana")
    name = unique("tagged")
    made = {
        "CreateUser": ({"UserName": name}, "TagUser"),
        "CreateRole": ({"RoleName": name, "AssumeRolePolicyDocument": trusting(hub.account)}, "TagRole"),
        "CreateInstanceProfile": ({"InstanceProfileName": name}, "TagInstanceProfile"),
        "CreateOpenIDConnectProvider": ({"Url": f"https://{name}.example"}, "TagOpenIDConnectProvider"),
    }
    making = {"Effect": "Allow", "Action": ["eks:CreateCluster", *(f"iam:{one}" for one in made)], "Resource": "*"}
    let(hub, ana.name, making)
    theirs = Wire(hub, ana.credentials)
    iam, eks = theirs.client("iam"), theirs.eks
    cluster = {"name": name, "roleArn": f"arn:aws:iam::{hub.account}:role/any", "resourcesVpcConfig": {}}
    for operation, (asked, tagging) in made.items():
        call = getattr(iam, xform_name(operation))
        with refused(iam, "AccessDenied", f"is not authorized to perform: iam:{tagging} on resource: ", 403):
            call(**asked, Tags=[{"Key": "lanyard:any-subject", "Value": "true"}])
        call(**asked)
    with refused(eks, "AccessDeniedException", "is not authorized to perform: eks:TagResource on resource: ", 403):
        eks.create_cluster(**cluster, tags={"lanyard:allow-lockout": "true"})
    let(hub, ana.name, making, {"Effect": "Allow", "Action": "eks:TagResource", "Resource": "*"})
    assert eks.create_cluster(**cluster, tags={"team": "a"})["cluster"]["tags"] == {"team": "a"}


def test_policies_know_users_and_roles_by_iams_own_key_for_tags(hub, iam):
    """IAM's own examples write `iam:ResourceTag`, beside the key that every resource has."""
    name = unique("kept")
    kept = [{"Key": "kept", "Value": "yes"}]
    iam.create_user(UserName=name, Tags=kept)
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting(hub.account), Tags=kept)["Role"]["Arn"]
    ana = hub.create_user("ana")
    let(
        hub,
        ana.name,
        {"Effect": "Allow", "Action": ["iam:*", "sts:AssumeRole"], "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"iam:ResourceTag/kept": "yes"}}},
    )
    theirs = Wire(hub, ana.credentials)
    own = theirs.client("iam")
    user, named = {"UserName": name}, {"RoleName": name}
    for operation, asked in {"DeleteUser": user, "UntagUser": user | {"TagKeys": ["kept"]}, "DeleteRole": named}.items():
        with refused(own, "AccessDenied", "with an explicit deny in an identity-based policy", 403):
            getattr(own, xform_name(operation))(**asked)
    with refused(theirs.sts, "AccessDenied", "", 403):
        theirs.sts.assume_role(RoleArn=role, RoleSessionName="night")
    iam.untag_user(**user, TagKeys=["kept"])
    iam.untag_role(**named, TagKeys=["kept"])
    hub.settle()
    credentials_of(hub, theirs.sts.assume_role(RoleArn=role, RoleSessionName="night"))
    own.delete_user(**user)
    own.delete_role(**named)
