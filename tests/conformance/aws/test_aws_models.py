"""What the models ask of parameters, one operation after the other: one that has to be given is left out, and one that has bounds is
just outside of them. The lists are the models' own, so that what a newer model asks is looked at too. Nothing comes of any of it."""

from __future__ import annotations

import json

import pytest
from botocore import xform_name

import operations
from hub import REGION, unique
from wire import CLUSTER_ROLE, PODS, refused

ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})

# Good values of all that some operation requires, but of ARNs of the hub's account.
GOOD = {
    "AccessKeyId": "LKIAAAAAAAAAAAAAAAAA",
    "AssumeRolePolicyDocument": PODS,
    "ClientID": "a",
    "Description": "a",
    "InstanceProfileName": "nobody",
    "PolicyDocument": ALL,
    "PolicyName": "p",
    "RoleName": "nobody",
    "RoleSessionName": "night",
    "Status": "Inactive",
    "TagKeys": ["a"],
    "Tags": [{"Key": "a", "Value": "b"}],
    "ThumbprintList": ["0f" * 20],
    "Url": "https://none.example",
    "UserName": "nobody",
    "WebIdentityToken": "a.b.c",
    "accessScope": {"type": "cluster"},
    "identityProviderConfig": {"type": "oidc", "name": "a"},
    "namespace": "a",
    "oidc": {"identityProviderConfigName": "a", "issuerUrl": "https://none.example", "clientId": "a"},
    "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
    "resourcesVpcConfig": {},
    "serviceAccount": "a",
    "tagKeys": ["a"],
    "tags": {"a": "b"},
}

QUERY = sorted(
    name for name, model in operations.listed().items() if name.split(":")[0] in ("iam", "sts") and model.input_shape
)
BODIES = sorted(
    name
    for name, model in operations.listed().items()
    if name.startswith("eks:") and (model.http["method"] == "POST" or name == "eks:UntagResource")
)


def asks(hub, cluster: str, operation: str) -> dict:
    """What an operation requires, and nothing else."""
    role = f"arn:aws:iam::{hub.account}:role/nobody"
    good = GOOD | {
        "OpenIDConnectProviderArn": f"arn:aws:iam::{hub.account}:oidc-provider/none.example",
        "RoleArn": role,
        "associationId": "a-0123456789abcdefg",
        "clusterName": cluster,
        "name": unique("none") if operation == "eks:CreateCluster" else cluster,
        "principalArn": role,
        "resourceArn": f"arn:aws:eks:{REGION}:{hub.account}:cluster/{cluster}",
        "roleArn": CLUSTER_ROLE,
    }
    return {name: good[name] for name in operations.listed()[operation].input_shape.required_members}


@pytest.fixture(scope="module")
def cluster(hub, eks) -> str:
    name = unique("models")
    eks.create_cluster(name=name, roleArn=CLUSTER_ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API"})
    hub.settle()
    return name


def refuses(wire, operation: str, code: str, text: str, requests: list[dict]) -> None:
    service, name = operation.split(":")
    client = wire.client(service)
    for asked in requests:
        with refused(client, code, text):
            getattr(client, xform_name(name))(**asked)


def outside(shape) -> list:
    """What a parameter of this shape may not be by the bounds of texts and numbers, its own or its items'."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    beside = [least - 1] if least is not None else []
    beside += [most + 1] if most is not None else []
    if shape.type_name == "string":
        # No text is shorter than an empty one.
        return ["a" * length for length in beside if length >= 0]
    if shape.type_name == "list":
        return [[item] for item in outside(shape.member)]
    if shape.type_name == "structure":
        good = {name: "a" for name in shape.required_members}
        return [good | {name: wrong} for name, member in shape.members.items() for wrong in outside(member)]
    return beside if shape.type_name == "integer" else []


def without(asked: dict, name: str) -> dict:
    return {other: value for other, value in asked.items() if other != name}


@pytest.mark.parametrize("operation", QUERY)
def test_what_is_required_has_to_be_given(hub, wire, operation):
    asked = asks(hub, "none", operation)
    for name in asked:
        refuses(wire, operation, "ValidationError", name, [without(asked, name)])


@pytest.mark.parametrize("operation", QUERY)
def test_what_has_bounds_is_within_them(hub, wire, operation):
    asked = asks(hub, "none", operation)
    for name, shape in operations.listed()[operation].input_shape.members.items():
        refuses(wire, operation, "ValidationError", name, [asked | {name: value} for value in outside(shape)])


@pytest.mark.parametrize("operation", BODIES)
def test_what_a_body_requires_has_to_be_given(hub, wire, cluster, operation):
    """Also within its structures. What stands in the path is there, or it is another path."""
    asked, shape = asks(hub, cluster, operation), operations.listed()[operation].input_shape
    code = "BadRequestException" if operation in ("eks:TagResource", "eks:UntagResource") else "InvalidParameterException"
    for name in asked:
        member = shape.members[name]
        if member.serialization.get("location") == "uri":
            continue
        refuses(wire, operation, code, name, [without(asked, name)])
        for inner in getattr(member, "required_members", []):
            refuses(wire, operation, code, f"{name}.{inner}", [asked | {name: without(asked[name], inner)}])
