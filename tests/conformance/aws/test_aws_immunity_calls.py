"""Attacks on the calls of the AWS wire: policies with exclusions, accounts of others, signatures used again (immunity 19, 31, 32, 33)."""

from __future__ import annotations

import base64
import json
import uuid
from urllib.parse import parse_qsl, urlsplit

import botocore.exceptions
import pytest
from botocore import xform_name

import operations
from hub import unique
from tokens import PREFIX, Credentials
from wire import ANY_CLUSTER, PODS, Wire, code_of, raw, refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TENANT = "888899990000"
API = {"authenticationMode": "API"}


def create(eks, stem: str) -> str:
    name = unique(stem)
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=API)
    return name


def allowed(hub, user: str, *statements: dict, account: str | None = None) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    of_account = ["--account", account] if account else []
    hub.cli("iam", "policy", "put", "p", "--user", user, *of_account, "--document", "-", stdin=document)
    hub.settle()


def immunity_19_exclusions_except_what_they_name_and_grant_nothing_else(hub, wire, eks):
    ours, theirs = create(eks, "ours"), create(eks, "theirs")
    ana = hub.create_user("ana")
    own = Wire(hub, ana.credentials)
    arn = eks.describe_cluster(name=theirs)["cluster"]["arn"]
    star = {"Effect": "Allow", "Resource": "*"}
    # Statements, and whether ana may: describe ours, describe theirs, list clusters, delete ours, list users.
    cases = [
        ([star | {"NotAction": "eks:Delete*"}], (True, True, True, False, True)),
        ([star | {"NotAction": ["iam:*", "eks:DeleteCluster"]}], (True, True, True, False, False)),
        ([{"Effect": "Allow", "Action": "eks:Describe*", "NotResource": arn}], (True, False, False, False, False)),
        (
            [star | {"Action": "*"}, {"Effect": "Deny", "NotAction": ["eks:DescribeCluster"], "Resource": "*"}],
            (True, True, False, False, False),
        ),
        (
            [star | {"Action": "eks:*"}, {"Effect": "Deny", "Action": "eks:*", "NotResource": f"{arn}*"}],
            (False, True, False, False, False),
        ),
        ([star | {"Action": "*"}, {"Effect": "Deny", "Action": "EKS:describecluster", "Resource": arn}], (True, False, True, None, True)),
        ([{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn[:-1] + "?"}], (False, True, False, False, False)),
        ([{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn + "?"}], (False, False, False, False, False)),
        ([star | {"NotAction": "*"}], (False, False, False, False, False)),
    ]
    for statements, expected in cases:
        allowed(hub, ana.name, *statements)
        calls = [
            lambda: own.eks.describe_cluster(name=ours),
            lambda: own.eks.describe_cluster(name=theirs),
            lambda: own.eks.list_clusters(),
            lambda: own.eks.delete_cluster(name=ours),
            lambda: own.client("iam").list_users(),
        ]
        for call, may in zip(calls, expected, strict=True):
            if may is None:
                continue
            try:
                call()
                assert may, statements
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
                assert not may, (statements, error)


def immunity_31_an_arn_counts_by_who_vouches_for_its_account(hub, wire, eks):
    """A number that AWS vouches for is nobody's to take, by any road of this wire."""
    number = "123412341234"
    hub.cli("iam", "account", "create", number, "--authority", "aws", "--name", unique("aws"))
    hub.refused("iam", "account", "create", number, "--authority", "local", "--name", unique("taken"))
    hub.settle()
    cluster = create(eks, "authority")
    hub.settle()
    for arn in (f"arn:aws:iam::{number}:user/ana", "arn:aws:iam::999988887777:user/ana"):
        with refused(eks, "InvalidParameterException"):
            eks.create_access_entry(clusterName=cluster, principalArn=arn)
    # Nobody signs as one of it: the hub has no keys of such an account, and makes none.
    with refused(Wire(hub, Credentials("AKIAIOSFODNN7EXAMPLE", "x" * 40)).sts, "InvalidClientTokenId", "", 403):
        Wire(hub, Credentials("AKIAIOSFODNN7EXAMPLE", "x" * 40)).sts.get_caller_identity()
    # And no session name or issuer's prefix makes a name of it.
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    with refused(Wire(hub, ana.credentials).sts, "ValidationError", "RoleSessionName"):
        Wire(hub, ana.credentials).sts.assume_role(RoleArn=role.arn, RoleSessionName=f"arn:aws:iam::{number}:user/ana")
    oidc = {"identityProviderConfigName": "a", "issuerUrl": f"https://{cluster}.example", "clientId": cluster}
    with refused(eks, "InvalidParameterException"):
        eks.associate_identity_provider_config(
            clusterName=cluster, oidc=oidc | {"usernamePrefix": f"arn:aws:iam::{number}:user/"}
        )


def immunity_32_a_client_token_says_who_its_maker_is_and_nothing_else(hub, wire, eks):
    name = create(eks, "token")
    hub.settle()
    token = wire.aws_json("eks", "get-token", "--cluster-name", name)["status"]["token"]
    hub.secrets.add("a client token", token)
    encoded = token.removeprefix(PREFIX)
    query = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()).query
    said = dict(parse_qsl(query))
    header = "AWS4-HMAC-SHA256 " + ", ".join(
        f"{part}={said[f'X-Amz-{part}']}" for part in ("Credential", "SignedHeaders", "Signature")
    )
    signed = {"x-k8s-aws-id": name}
    as_header = signed | {"Authorization": header, "X-Amz-Date": said["X-Amz-Date"]}
    form = b"Action=CreateUser&Version=2010-05-08&UserName=replayed"
    attempts = [
        ("GET", f"/?{query.replace('GetCallerIdentity', 'GetSessionToken')}", b"", signed),
        ("GET", f"/?{query.replace('Action=GetCallerIdentity&Version=2011-06-15', 'Action=ListUsers&Version=2010-05-08')}", b"", signed),
        ("POST", f"/?{query}", form, signed | FORM),
        ("GET", f"/clusters/{name}?{query}", b"", signed),
        ("DELETE", f"/clusters/{name}?{query}", b"", signed),
        ("POST", "/", form, as_header | FORM),
        ("DELETE", f"/clusters/{name}", b"", as_header),
        ("DELETE", f"/clusters/{name}", b"", {"Authorization": f"Bearer {token}"}),
    ]
    for method, path, body, headers in attempts:
        answer = raw(hub, method, f"{wire.url}{path}", body, headers=headers)
        assert answer.status_code in (400, 403, 404), (method, path[:60], answer.text)
    assert eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE"


def immunity_32_a_captured_call_is_good_for_one_method_path_body_service_and_hub(hub, wire, eks, new_hub):
    name = create(eks, "captured")
    hub.settle()
    ana = hub.create_user("ana")
    path = f"/clusters/{name}/access-entries"
    body = json.dumps({"principalArn": ana.arn}).encode()
    elsewhere = new_hub("elsewhere").start()

    def change(**other):
        return lambda sent: sent.update(other)

    def at_another_hub(sent):
        sent["url"] = sent["url"].replace(wire.url, elsewhere.ready["aws"])

    attacks = [
        change(method="PUT"),
        change(method="DELETE"),
        change(url=f"{wire.url}/clusters/{name}"),
        change(url=f"{wire.url}{path}?a=b"),
        change(data=b"{}"),
        change(data=body + b" "),
    ]
    for attack in attacks:
        answer = wire.send("POST", path, body, alter=attack)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), answer.text
    captured = {}

    def capture(sent):
        captured.update({**sent, "headers": dict(sent["headers"])})
        sent["data"] = b"{}"

    assert wire.send("POST", path, body, alter=capture).status_code == 403
    at_another_hub(captured)
    answer = raw(elsewhere, **captured)
    assert answer.status_code == 403, answer.text
    # A signature for the management door is none for this one.
    answer = wire.send("POST", path, body, service="lanyard")
    assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), answer.text
    assert ana.arn not in eks.list_access_entries(clusterName=name)["accessEntries"]


def immunity_32_an_answer_that_held_a_secret_is_never_given_again(hub, wire):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    own = Wire(hub, ana.credentials)
    forms = [
        (wire, "iam", f"Action=CreateAccessKey&Version=2010-05-08&UserName={ana.name}"),
        (own, "sts", "Action=GetSessionToken&Version=2011-06-15"),
        (own, "sts", f"Action=AssumeRole&Version=2011-06-15&RoleSessionName=night&RoleArn={role.arn.replace(':', '%3A').replace('/', '%2F')}"),
    ]
    for caller, service, form in forms:
        captured = {}

        def capture(sent, captured=captured):
            captured.update({**sent, "headers": dict(sent["headers"])})

        # Another call of this second may bear the same signature, so each bears a header of its own.
        headers = FORM | {"X-Test-Number": str(uuid.uuid4())}
        first = caller.send("POST", "/", form.encode(), service=service, headers=headers, alter=capture)
        assert first.status_code == 200, first.text
        for element, label in (("SecretAccessKey", "a secret access key"), ("SessionToken", "a session token")):
            if f"<{element}>" in first.text:
                hub.secrets.add(label, first.text.split(f"<{element}>")[1].split("<")[0])
        again = raw(hub, **captured)
        assert (again.status_code, code_of(again)) == (400, "Throttling"), (form, again.text)
        assert "Secret" not in again.text


# 33


class Tenants:
    """What the hub's first account has one of each, and eve of another account, who may do anything there."""

    def __init__(self, hub, wire, eks, iam) -> None:
        self.hub, self.eks, self.iam = hub, eks, iam
        self.cluster = create(eks, "tenant")
        self.user, self.role = hub.create_user("landlord"), unique("landlord")
        made = iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)
        self.role_arn = made["Role"]["Arn"]
        iam.create_instance_profile(InstanceProfileName=self.role)
        url = f"https://{self.role}.example"
        self.provider = iam.create_open_id_connect_provider(Url=url, ClientIDList=["a"])["OpenIDConnectProviderArn"]
        iam.put_user_policy(UserName=self.user.name, PolicyName="own", PolicyDocument=_star())
        iam.put_role_policy(RoleName=self.role, PolicyName="own", PolicyDocument=_star())
        hub.settle()
        made = eks.create_access_entry(clusterName=self.cluster, principalArn=self.user.arn)
        self.entry_arn = made["accessEntry"]["accessEntryArn"]
        oidc = {"identityProviderConfigName": "okta", "issuerUrl": url, "clientId": self.cluster}
        update = eks.associate_identity_provider_config(clusterName=self.cluster, oidc=oidc)["update"]
        association = eks.create_pod_identity_association(
            clusterName=self.cluster, namespace="a", serviceAccount="bot", roleArn=self.role_arn
        )["association"]
        hub.settle()
        eks.associate_access_policy(
            clusterName=self.cluster, principalArn=self.user.arn, policyArn=VIEW, accessScope={"type": "cluster"}
        )
        self.arn = eks.describe_cluster(name=self.cluster)["cluster"]["arn"]
        hub.cli("iam", "account", "create", TENANT, "--authority", "local", "--name", unique("tenant"))
        self.eve = hub.create_user("eve", account=TENANT)
        allowed(hub, self.eve.name, {"Effect": "Allow", "Action": "*", "Resource": "*"}, account=TENANT)
        of = {"clusterName": self.cluster}
        entry, config = of | {"principalArn": self.user.arn}, {"identityProviderConfig": {"type": "oidc", "name": "okta"}}
        pods = of | {"associationId": association["associationId"]}
        user, role, own = {"UserName": self.user.name}, {"RoleName": self.role}, {"PolicyName": "own"}
        key = {"AccessKeyId": self.user.credentials.access_key_id}
        profile = {"InstanceProfileName": self.role}
        provider, tags = {"OpenIDConnectProviderArn": self.provider}, [{"Key": "a", "Value": "b"}]
        self.asked = {
            "eks:DescribeCluster": {"name": self.cluster},
            "eks:UpdateClusterConfig": {"name": self.cluster, "accessConfig": API},
            "eks:DeleteCluster": {"name": self.cluster},
            "eks:DescribeUpdate": {"name": self.cluster, "updateId": update["id"]},
            "eks:ListUpdates": {"name": self.cluster},
            "eks:CreateAccessEntry": of | {"principalArn": self.eve.arn},
            "eks:DescribeAccessEntry": entry,
            "eks:ListAccessEntries": of,
            "eks:UpdateAccessEntry": entry | {"username": "eve"},
            "eks:DeleteAccessEntry": entry,
            "eks:AssociateAccessPolicy": entry | {"policyArn": VIEW, "accessScope": {"type": "cluster"}},
            "eks:DisassociateAccessPolicy": entry | {"policyArn": VIEW},
            "eks:ListAssociatedAccessPolicies": entry,
            "eks:AssociateIdentityProviderConfig": of | {"oidc": oidc},
            "eks:DescribeIdentityProviderConfig": of | config,
            "eks:ListIdentityProviderConfigs": of,
            "eks:DisassociateIdentityProviderConfig": of | config,
            "eks:CreatePodIdentityAssociation": of | {"namespace": "b", "serviceAccount": "bot", "roleArn": self.role_arn},
            "eks:DescribePodIdentityAssociation": pods,
            "eks:ListPodIdentityAssociations": of,
            "eks:UpdatePodIdentityAssociation": pods | {"disableSessionTags": True},
            "eks:DeletePodIdentityAssociation": pods,
            "eks-auth:AssumeRoleForPodIdentity": of | {"token": "a.b.c"},
            "eks:TagResource": {"tags": {"a": "b"}},
            "eks:UntagResource": {"tagKeys": ["a"]},
            "eks:ListTagsForResource": {},
            "sts:AssumeRole": {"RoleArn": self.role_arn, "RoleSessionName": "eve"},
            "iam:GetUser": user,
            "iam:DeleteUser": user,
            "iam:TagUser": user | {"Tags": tags},
            "iam:UntagUser": user | {"TagKeys": ["a"]},
            "iam:ListUserTags": user,
            "iam:ListGroupsForUser": user,
            "iam:ListAttachedUserPolicies": user,
            "iam:CreateAccessKey": user,
            "iam:ListAccessKeys": user,
            "iam:UpdateAccessKey": user | key | {"Status": "Inactive"},
            "iam:DeleteAccessKey": user | key,
            "iam:PutUserPolicy": user | own | {"PolicyDocument": _star()},
            "iam:GetUserPolicy": user | own,
            "iam:ListUserPolicies": user,
            "iam:DeleteUserPolicy": user | own,
            "iam:GetRole": role,
            "iam:UpdateRole": role,
            "iam:UpdateRoleDescription": role | {"Description": "eve's"},
            "iam:UpdateAssumeRolePolicy": role | {"PolicyDocument": PODS},
            "iam:DeleteRole": role,
            "iam:TagRole": role | {"Tags": tags},
            "iam:UntagRole": role | {"TagKeys": ["a"]},
            "iam:ListRoleTags": role,
            "iam:ListAttachedRolePolicies": role,
            "iam:ListInstanceProfilesForRole": role,
            "iam:PutRolePolicy": role | own | {"PolicyDocument": _star()},
            "iam:GetRolePolicy": role | own,
            "iam:ListRolePolicies": role,
            "iam:DeleteRolePolicy": role | own,
            "iam:GetInstanceProfile": profile,
            "iam:DeleteInstanceProfile": profile,
            "iam:AddRoleToInstanceProfile": profile | role,
            "iam:RemoveRoleFromInstanceProfile": profile | role,
            "iam:TagInstanceProfile": profile | {"Tags": tags},
            "iam:UntagInstanceProfile": profile | {"TagKeys": ["a"]},
            "iam:ListInstanceProfileTags": profile,
            "iam:GetOpenIDConnectProvider": provider,
            "iam:DeleteOpenIDConnectProvider": provider,
            "iam:UpdateOpenIDConnectProviderThumbprint": provider | {"ThumbprintList": ["0f" * 20]},
            "iam:AddClientIDToOpenIDConnectProvider": provider | {"ClientID": "b"},
            "iam:RemoveClientIDFromOpenIDConnectProvider": provider | {"ClientID": "a"},
            "iam:TagOpenIDConnectProvider": provider | {"Tags": tags},
            "iam:UntagOpenIDConnectProvider": provider | {"TagKeys": ["a"]},
            "iam:ListOpenIDConnectProviderTags": provider,
        }

    def state(self):
        """All that the account has of it."""
        of, user, role = {"clusterName": self.cluster}, {"UserName": self.user.name}, {"RoleName": self.role}
        answers = [
            self.eks.describe_cluster(name=self.cluster),
            self.eks.list_updates(name=self.cluster),
            self.eks.list_access_entries(**of),
            self.eks.describe_access_entry(**of, principalArn=self.user.arn),
            self.eks.list_associated_access_policies(**of, principalArn=self.user.arn),
            self.eks.list_identity_provider_configs(**of),
            self.eks.list_pod_identity_associations(**of),
            self.iam.get_user(**user),
            self.iam.list_access_keys(**user),
            self.iam.list_user_policies(**user),
            self.iam.get_role(**role),
            self.iam.list_role_policies(**role),
            self.iam.get_instance_profile(InstanceProfileName=self.role),
            self.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=self.provider),
        ]
        for answer in answers:
            answer.pop("ResponseMetadata")
        return answers


def _star() -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


@pytest.fixture(scope="module")
def tenants(hub, wire, eks, iam) -> Tenants:
    return Tenants(hub, wire, eks, iam)


# Those that name nothing of an account, and those that make something or list.
OF_NOBODY = {"eks:ListAccessPolicies", "sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetAccessKeyInfo"}
OF_NOBODY |= {"sts:AssumeRoleWithWebIdentity"}
MADE = {"eks:CreateCluster", "iam:CreateUser", "iam:CreateRole", "iam:CreateInstanceProfile", "iam:CreateOpenIDConnectProvider"}
LISTS = {"eks:ListClusters", "iam:ListUsers", "iam:ListRoles", "iam:ListInstanceProfiles", "iam:ListOpenIDConnectProviders"}


def immunity_33_every_operation_is_looked_at(tenants):
    assert set(tenants.asked) | OF_NOBODY | MADE | LISTS == set(operations.listed())


def immunity_33_what_is_another_accounts_is_not_there(hub, tenants):
    own = Wire(hub, tenants.eve.credentials)
    before = tenants.state()
    for operation, asked in tenants.asked.items():
        service, name = operation.split(":")
        client = own.client(service)
        call = getattr(client, xform_name(name))
        if name in ("TagResource", "UntagResource", "ListTagsForResource"):
            # By an ARN of the other account, which is no cluster of the caller's, whatever its policies say.
            for arn in (tenants.arn, tenants.entry_arn):
                with pytest.raises(botocore.exceptions.ClientError) as refusal:
                    call(resourceArn=arn, **asked)
                assert refusal.value.response["Error"]["Code"] in ("NotFoundException", "AccessDeniedException"), refusal
            continue
        code, status = {
            "eks": ("ResourceNotFoundException", 404),
            "eks-auth": ("ResourceNotFoundException", 404),
            "sts": ("AccessDenied", 403),
            "iam": ("AccessDenied", 403) if "OpenIDConnectProviderArn" in asked else ("NoSuchEntity", 404),
        }[service]
        with refused(client, code, "", status):
            call(**asked)
    hub.settle()
    assert tenants.state() == before, "nothing came of any of it"


def immunity_33_lists_never_show_it_and_its_names_are_free(hub, tenants):
    own = Wire(hub, tenants.eve.credentials)
    eks, iam = own.eks, own.client("iam")
    told = [eks.list_clusters(), iam.list_users(), iam.list_roles(), iam.list_instance_profiles(), iam.list_open_id_connect_providers()]
    for stranger in (tenants.cluster, tenants.user.name, tenants.role, hub.account):
        assert stranger not in str(told)
    # Each makes its own of the same name, and neither sees the other's.
    eks.create_cluster(name=tenants.cluster, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=API)
    iam.create_user(UserName=tenants.user.name)
    iam.create_role(RoleName=tenants.role, AssumeRolePolicyDocument=PODS)
    hub.settle()
    assert f":{TENANT}:" in eks.describe_cluster(name=tenants.cluster)["cluster"]["arn"]
    assert f":{hub.account}:" in tenants.eks.describe_cluster(name=tenants.cluster)["cluster"]["arn"]
    assert eks.list_access_entries(clusterName=tenants.cluster)["accessEntries"] == [tenants.eve.arn]
    eks.delete_cluster(name=tenants.cluster)
    iam.delete_user(UserName=tenants.user.name)
    iam.delete_role(RoleName=tenants.role)
    hub.settle()
    assert tenants.eks.describe_cluster(name=tenants.cluster)["cluster"]["status"] == "ACTIVE"
    assert tenants.iam.get_user(UserName=tenants.user.name)["User"]["Arn"] == tenants.user.arn
