"""moto's EKS, STS and IAM are a peer: the same calls of both, and the differences are those that docs/aws-compatibility.md has, each with
who is right. One that comes or goes fails here, with the table as it is now."""

from __future__ import annotations

import json

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers
import pytest
from botocore import xform_name
from moto.server import ThreadedMotoServer

import operations
from hub import REGION, unique
from stack import REPLICAS

NONE = "has none"
FAULT = "a fault"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW]})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::@account:root"}, "Action": "sts:AssumeRole"}
        ],
    }
)
TAGS = [{"Key": "team", "Value": "a"}]
CLUSTER_ROLE = "arn:aws:iam::@account:role/cluster"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
USER, ROLE, CLUSTER = {"UserName": "@name"}, {"RoleName": "@name"}, {"name": "@name"}
PROFILE = {"InstanceProfileName": "@name"}
OF = {"clusterName": "@name"}
ENTRY = OF | {"principalArn": "arn:aws:iam::@account:user/@name"}
CONFIG = {"identityProviderConfig": {"type": "oidc", "name": "okta"}}
PODS_OF = OF | {"associationId": "a-0123456789abcdefg"}
PROVIDER = {"OpenIDConnectProviderArn": "arn:aws:iam::@account:oidc-provider/@name.example"}
CREATE = {"roleArn": CLUSTER_ROLE, "resourcesVpcConfig": {"subnetIds": ["subnet-1"]}}
ARN = {"resourceArn": f"arn:aws:eks:{REGION}:@account:cluster/@name"}

# Operation, what is about the call, its parameters; in the order in which both are asked.
CASES = [
    ("sts:GetCallerIdentity", "", {}),
    ("sts:GetSessionToken", "", {}),
    ("sts:GetSessionToken", "of a minute", {"DurationSeconds": 60}),
    ("sts:GetAccessKeyInfo", "of a key that is none", {"AccessKeyId": "LKIAAAAAAAAAAAAAAAAA"}),
    ("iam:CreateUser", "", USER | {"Path": "/", "Tags": TAGS}),
    ("iam:CreateUser", "again", USER),
    ("iam:CreateUser", "again, in other letter case", {"UserName": "@NAME"}),
    ("iam:CreateUser", "with a blank in the name", {"UserName": "a b"}),
    ("iam:CreateUser", "with a reserved tag", {"UserName": "@name-b", "Tags": [{"Key": "aws:a", "Value": ""}]}),
    ("iam:GetUser", "", USER),
    ("iam:GetUser", "of nobody", {"UserName": "nobody"}),
    ("iam:ListUsers", "of pages of none", {"MaxItems": 1, "Marker": "none"}),
    ("iam:TagUser", "", USER | {"Tags": [{"Key": "stage", "Value": "live"}]}),
    ("iam:TagUser", "51 of them", USER | {"Tags": [{"Key": str(n), "Value": ""} for n in range(51)]}),
    ("iam:UntagUser", "", USER | {"TagKeys": ["stage"]}),
    ("iam:ListUserTags", "", USER),
    ("iam:ListGroupsForUser", "", USER),
    ("iam:ListGroupsForUser", "of nobody", {"UserName": "nobody"}),
    ("iam:ListAttachedUserPolicies", "", USER),
    ("iam:ListAttachedUserPolicies", "of nobody", {"UserName": "nobody"}),
    ("iam:CreateAccessKey", "", USER),
    ("iam:CreateAccessKey", "of nobody", {"UserName": "nobody"}),
    ("iam:ListAccessKeys", "", USER),
    ("iam:UpdateAccessKey", "of a key that is none", USER | {"AccessKeyId": "LKIAAAAAAAAAAAAAAAAA", "Status": "Inactive"}),
    ("iam:DeleteAccessKey", "of a key that is none", USER | {"AccessKeyId": "LKIAAAAAAAAAAAAAAAAA"}),
    ("iam:PutUserPolicy", "", USER | {"PolicyName": "p", "PolicyDocument": POLICY}),
    ("iam:PutUserPolicy", "of an empty document", USER | {"PolicyName": "q", "PolicyDocument": "{}"}),
    ("iam:GetUserPolicy", "", USER | {"PolicyName": "p"}),
    ("iam:GetUserPolicy", "of one that is none", USER | {"PolicyName": "none"}),
    ("iam:ListUserPolicies", "", USER),
    ("iam:ListUserPolicies", "of nobody", {"UserName": "nobody"}),
    ("iam:DeleteUser", "with a key and a policy", USER),
    ("iam:DeleteUserPolicy", "", USER | {"PolicyName": "p"}),
    ("iam:CreateRole", "", ROLE | {"AssumeRolePolicyDocument": TRUST, "Description": "a", "MaxSessionDuration": 7200, "Tags": TAGS}),
    ("iam:CreateRole", "again", ROLE | {"AssumeRolePolicyDocument": TRUST}),
    ("iam:CreateRole", "that nobody may assume", {"RoleName": "@name-b", "AssumeRolePolicyDocument": "{}"}),
    ("iam:CreateRole", "with sessions of a minute", {"RoleName": "@name-c", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 60}),
    ("iam:GetRole", "", ROLE),
    ("iam:GetRole", "of none", {"RoleName": "none"}),
    ("iam:ListRoles", "", {}),
    ("iam:UpdateRole", "", ROLE | {"Description": "b", "MaxSessionDuration": 3600}),
    ("iam:UpdateRoleDescription", "", ROLE | {"Description": "c"}),
    ("iam:UpdateAssumeRolePolicy", "", ROLE | {"PolicyDocument": TRUST}),
    ("iam:UpdateAssumeRolePolicy", "of an empty document", ROLE | {"PolicyDocument": "{}"}),
    ("iam:TagRole", "", ROLE | {"Tags": TAGS}),
    ("iam:UntagRole", "", ROLE | {"TagKeys": ["team"]}),
    ("iam:ListRoleTags", "", ROLE),
    ("iam:ListAttachedRolePolicies", "", ROLE),
    ("iam:ListAttachedRolePolicies", "of none", {"RoleName": "none"}),
    ("iam:CreateInstanceProfile", "", PROFILE | {"Path": "/@name/", "Tags": TAGS}),
    ("iam:CreateInstanceProfile", "again", PROFILE),
    ("iam:GetInstanceProfile", "", PROFILE),
    ("iam:GetInstanceProfile", "of none", {"InstanceProfileName": "none"}),
    ("iam:AddRoleToInstanceProfile", "", PROFILE | ROLE),
    ("iam:AddRoleToInstanceProfile", "a second", PROFILE | ROLE),
    ("iam:ListInstanceProfiles", "", {"PathPrefix": "/@name/"}),
    ("iam:TagInstanceProfile", "", PROFILE | {"Tags": [{"Key": "stage", "Value": "live"}]}),
    ("iam:UntagInstanceProfile", "", PROFILE | {"TagKeys": ["stage"]}),
    ("iam:ListInstanceProfileTags", "", PROFILE),
    ("iam:ListInstanceProfilesForRole", "", ROLE),
    ("iam:ListInstanceProfilesForRole", "of none", {"RoleName": "none"}),
    ("iam:DeleteInstanceProfile", "with a role", PROFILE),
    ("iam:RemoveRoleFromInstanceProfile", "", PROFILE | ROLE),
    ("iam:DeleteInstanceProfile", "", PROFILE),
    ("iam:PutRolePolicy", "", ROLE | {"PolicyName": "p", "PolicyDocument": POLICY}),
    ("iam:GetRolePolicy", "", ROLE | {"PolicyName": "p"}),
    ("iam:ListRolePolicies", "", ROLE),
    ("sts:AssumeRole", "", {"RoleArn": "arn:aws:iam::@account:role/@name", "RoleSessionName": "night"}),
    ("sts:AssumeRole", "of none", {"RoleArn": "arn:aws:iam::@account:role/none", "RoleSessionName": "night"}),
    ("sts:AssumeRole", "for longer than the role allows", {"RoleArn": "arn:aws:iam::@account:role/@name", "RoleSessionName": "night", "DurationSeconds": 43200}),
    ("sts:AssumeRole", "with a policy that is none", {"RoleArn": "arn:aws:iam::@account:role/@name", "RoleSessionName": "night", "Policy": "{}"}),
    (
        "sts:AssumeRoleWithWebIdentity",
        "by a token that is none",
        {"RoleArn": "arn:aws:iam::@account:role/@name", "RoleSessionName": "job", "WebIdentityToken": "none"},
    ),
    ("iam:DeleteRole", "with a policy", ROLE),
    ("iam:DeleteRolePolicy", "", ROLE | {"PolicyName": "p"}),
    ("iam:CreateOpenIDConnectProvider", "", {"Url": "https://@name.example", "ClientIDList": ["a"], "ThumbprintList": ["0f" * 20], "Tags": TAGS}),
    ("iam:CreateOpenIDConnectProvider", "again", {"Url": "https://@name.example", "ThumbprintList": ["0f" * 20]}),
    ("iam:CreateOpenIDConnectProvider", "without TLS", {"Url": "http://@name-c.example", "ThumbprintList": ["0f" * 20]}),
    ("iam:CreateOpenIDConnectProvider", "without thumbprints", {"Url": "https://@name-b.example"}),
    ("iam:GetOpenIDConnectProvider", "", PROVIDER),
    ("iam:GetOpenIDConnectProvider", "of none", {"OpenIDConnectProviderArn": "arn:aws:iam::@account:oidc-provider/none.example"}),
    ("iam:ListOpenIDConnectProviders", "", {}),
    ("iam:UpdateOpenIDConnectProviderThumbprint", "", PROVIDER | {"ThumbprintList": ["1f" * 20]}),
    ("iam:AddClientIDToOpenIDConnectProvider", "", PROVIDER | {"ClientID": "b"}),
    ("iam:RemoveClientIDFromOpenIDConnectProvider", "", PROVIDER | {"ClientID": "a"}),
    ("iam:TagOpenIDConnectProvider", "", PROVIDER | {"Tags": TAGS}),
    ("iam:UntagOpenIDConnectProvider", "", PROVIDER | {"TagKeys": ["team"]}),
    ("iam:ListOpenIDConnectProviderTags", "", PROVIDER),
    ("iam:DeleteOpenIDConnectProvider", "", PROVIDER),
    ("iam:DeleteOpenIDConnectProvider", "of none", PROVIDER),
    ("eks:CreateCluster", "", CLUSTER | CREATE | {"tags": {"team": "a"}, "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"}}),
    ("eks:CreateCluster", "again", CLUSTER | CREATE),
    ("eks:CreateCluster", "with a role that is none", {"name": "@name-b", "roleArn": "none", "resourcesVpcConfig": {}}),
    ("eks:CreateCluster", "with a dot in the name", {"name": "a.b"} | CREATE),
    ("eks:DescribeCluster", "", CLUSTER),
    ("eks:DescribeCluster", "of none", {"name": "none"}),
    ("eks:ListClusters", "", {}),
    ("eks:ListClusters", "of a page that is none", {"nextToken": "none"}),
    ("eks:UpdateClusterConfig", "to the mode API", CLUSTER | {"accessConfig": {"authenticationMode": "API"}}),
    ("eks:UpdateClusterConfig", "back again", CLUSTER | {"accessConfig": {"authenticationMode": "CONFIG_MAP"}}),
    ("eks:DescribeUpdate", "of none", CLUSTER | {"updateId": "00000000-0000-0000-0000-000000000000"}),
    ("eks:ListUpdates", "", CLUSTER),
    ("eks:CreateAccessEntry", "", ENTRY),
    ("eks:DescribeAccessEntry", "", ENTRY),
    ("eks:ListAccessEntries", "", OF),
    ("eks:UpdateAccessEntry", "", ENTRY | {"username": "a"}),
    ("eks:AssociateAccessPolicy", "", ENTRY | {"policyArn": VIEW, "accessScope": {"type": "cluster"}}),
    ("eks:ListAssociatedAccessPolicies", "", ENTRY),
    ("eks:DisassociateAccessPolicy", "", ENTRY | {"policyArn": VIEW}),
    ("eks:DeleteAccessEntry", "", ENTRY),
    ("eks:ListAccessPolicies", "", {}),
    ("eks:DescribeClusterVersions", "", {}),
    ("eks:DescribeClusterVersions", "of a support that is none", {"versionStatus": "none"}),
    ("eks:AssociateIdentityProviderConfig", "", OF | {"oidc": {"identityProviderConfigName": "okta", "issuerUrl": "https://@name.example", "clientId": "@name"}}),
    ("eks:DescribeIdentityProviderConfig", "", OF | CONFIG),
    ("eks:ListIdentityProviderConfigs", "", OF),
    ("eks:DisassociateIdentityProviderConfig", "", OF | CONFIG),
    ("eks:CreatePodIdentityAssociation", "with a role that pods may not assume", OF | {"namespace": "a", "serviceAccount": "b", "roleArn": "arn:aws:iam::@account:role/@name"}),
    ("eks:DescribePodIdentityAssociation", "of none", PODS_OF),
    ("eks:ListPodIdentityAssociations", "", OF),
    ("eks:UpdatePodIdentityAssociation", "of none", PODS_OF),
    ("eks:DeletePodIdentityAssociation", "of none", PODS_OF),
    ("eks-auth:AssumeRoleForPodIdentity", "with a token that is none", OF | {"token": "a.b.c"}),
    ("eks:TagResource", "", ARN | {"tags": {"stage": "live"}}),
    ("eks:TagResource", "reserved", ARN | {"tags": {"aws:a": "b"}}),
    ("eks:ListTagsForResource", "", ARN),
    ("eks:ListTagsForResource", "of none", {"resourceArn": ARN["resourceArn"] + "-none"}),
    ("eks:UntagResource", "", ARN | {"tagKeys": ["stage"]}),
    ("eks:DeleteCluster", "", CLUSTER),
    ("eks:DeleteCluster", "of none", CLUSTER),
    ("iam:DeleteRole", "", ROLE),
    ("iam:DeleteRole", "of none", ROLE),
]


def filled(value, names: dict[str, str]):
    """Parameters with the names of one side in them."""
    if isinstance(value, str):
        for name, own in names.items():
            value = value.replace(name, own)
        return value
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    return [filled(inner, names) for inner in value] if isinstance(value, list) else value


def paths(value, place: str = "") -> set[str]:
    """The members that stand in an answer; an empty list or map has none, and what stands in tags and documents
    are no members."""
    if isinstance(value, dict):
        if place.lower().endswith(("tags", "document")):
            return {place} if value else set()
        return set().union(*(paths(inner, f"{place}.{key}" if place else key) for key, inner in value.items()), set())
    if isinstance(value, list):
        return set().union(*(paths(inner, place) for inner in value), set())
    return {place}


class Side:
    """moto or Lanyard: what each call comes to."""

    def __init__(self, client, names: dict[str, str], hub) -> None:
        self._client, self._names, self._hub = client, names, hub
        self._clients = {}

    def ask(self, operation: str, asked: dict) -> tuple[str, set[str]]:
        """The code and status of an error, `answers`, or a fault, as of an operation that is not there; and the members of an answer."""
        service, name = operation.split(":")
        client = self._clients.setdefault(service, self._client(service))
        try:
            answer = getattr(client, xform_name(name))(**filled(asked, self._names))
        except botocore.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response["Error"]["Code"]
            unknown = status >= 500 or code in ("404", "405", "InvalidAction", "UnknownOperationException", "")
            return (FAULT if unknown else f"`{code}` {status}"), set()
        except botocore.parsers.ResponseParserError:
            # A page of its web server in place of an answer.
            return FAULT, set()
        answer.pop("ResponseMetadata")
        # Whether all fit on one page is a matter of how many other tests have made.
        answer.pop("nextToken", None)
        for key in (answer.get("Credentials", {}), answer.get("AccessKey", {})):
            for secret in ("SecretAccessKey", "SessionToken"):
                if secret in key and len(key[secret]) > 12:
                    self._hub.secrets.add("a secret of a comparison", key[secret])
        self._hub.settle()
        return "answers", paths(answer)


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()

    def client(service: str):
        keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "of-nobody"}
        retries = {"max_attempts": 1, "mode": "standard"}
        config = botocore.config.Config(retries=retries, parameter_validation=False)
        return boto3.client(service, endpoint_url=f"http://{host}:{port}", region_name=REGION, config=config, **keys)

    yield client
    server.stop()


def documented() -> list[tuple[str, str, str, str]]:
    """The table of the documentation: operation, case, moto, Lanyard. Who is right and why is for people."""
    section = operations.DOCUMENT.read_text().split("\n## Beside moto\n")[1].split("\n## ")[0]
    lines = [row.strip().removeprefix("|").removesuffix("|") for row in section.splitlines() if row.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    assert all(len(row) == 5 and row[4] for row in rows), "each difference says who is right"
    return [tuple(row[:4]) for row in rows if row[0] != "operation"]


def members(own: set[str], other: set[str]) -> str:
    less = sorted(other - own)
    return "answers" + (f" without {', '.join(f'`{one}`' for one in less)}" if less else "")


@pytest.mark.skipif(bool(REPLICAS), reason="answers have one form, however many processes give them: see the run against one")
def test_the_differences_are_those_that_are_written_down(hub, wire, moto):
    name = unique("moto")
    wire.client("iam").create_user(UserName=name + "-first")
    sides = [
        Side(client, {"@account": account, "@name": name, "@NAME": name.upper()}, hub)
        for client, account in ((moto, "123456789012"), (wire.client, hub.account))
    ]
    asked = {operation for operation, _, _ in CASES}
    assert asked == set(operations.listed()), "each operation is compared"
    came = [(case, [side.ask(case[0], case[2]) for side in sides]) for case in CASES]
    faults = {operation for operation in asked if all(of[0][0] == FAULT for case, of in came if case[0] == operation)}
    found = []
    for (operation, about, _), ((theirs, has), (ours, own)) in came:
        name = operation.replace("eks:", "EKS ").replace("eks-auth:", "EKS-AUTH ").replace("iam:", "IAM ").replace("sts:", "STS ")
        if operation not in faults and theirs != ours:
            found.append((name, about, theirs, ours))
        elif operation not in faults and has != own:
            found.append((name, about, members(has, own), members(own, has)))
    for service in operations.SERVICES:
        names = sorted(one.split(":")[1] for one in faults if one.startswith(f"{service}:"))
        if names:
            found.append((f"{service.upper()} {', '.join(names)}", "", NONE, "has them"))
    shown = "\n".join("| " + " | ".join(row) + " |" for row in sorted(found))
    assert sorted(found) == sorted(documented()), f"the differences are now:\n{shown}"
