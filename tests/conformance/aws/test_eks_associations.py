"""Pod Identity associations on the AWS wire: which ServiceAccount's pods get which role."""

from __future__ import annotations

import json
import re

import pytest

from hub import REGION, trust_policy, unique
from wire import ANY_CLUSTER, PODS, Wire, refused

TARGET = "arn:aws:iam::444455556666:role/data"
SUMMARY = {"clusterName", "namespace", "serviceAccount", "associationArn", "associationId"}


@pytest.fixture
def cluster(hub, eks) -> str:
    name = unique("pods")
    eks.create_cluster(name=name, roleArn="arn:aws:iam::111122223333:role/cluster", resourcesVpcConfig={})
    hub.settle()
    return name


@pytest.fixture
def role(hub, wire):
    """Makes roles that trust whom a document says."""

    def make(document: str = PODS) -> str:
        made = wire.client("iam").create_role(
            RoleName=unique("app"), AssumeRolePolicyDocument=document, Tags=ANY_CLUSTER
        )
        hub.settle()
        return made["Role"]["Arn"]

    return make


def create(eks, cluster: str, role: str, **members) -> dict:
    asked = {"clusterName": cluster, "namespace": "team-a", "serviceAccount": "bot", "roleArn": role, **members}
    return eks.create_pod_identity_association(**asked)["association"]


def test_an_association_is_made_read_changed_and_deleted(hub, wire, eks, cluster, role):
    app, other = role(), role()
    made = create(eks, cluster, app, tags={"k": "v"})
    assert re.fullmatch("a-[a-z0-9]{17}", made["associationId"])
    arn = f"arn:aws:eks:{REGION}:{hub.account}:podidentityassociation/{cluster}/{made['associationId']}"
    assert made["associationArn"] == arn and made["clusterName"] == cluster
    assert (made["namespace"], made["serviceAccount"], made["roleArn"]) == ("team-a", "bot", app)
    assert made["tags"] == {"k": "v"} and made["disableSessionTags"] is False
    assert not {"targetRoleArn", "externalId", "policy"} & set(made)
    hub.settle()
    named = {"clusterName": cluster, "associationId": made["associationId"]}
    assert eks.describe_pod_identity_association(**named)["association"] == made, "no difference after a write"
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
    change = {"roleArn": other, "targetRoleArn": TARGET, "disableSessionTags": True, "policy": policy}
    changed = eks.update_pod_identity_association(**named, **change)["association"]
    assert {name: changed[name] for name in change} == change
    assert changed["externalId"] == f"{REGION}/{hub.account}/{cluster}/team-a/bot"
    assert changed["createdAt"] == made["createdAt"] and changed["modifiedAt"] >= made["modifiedAt"]
    assert changed["tags"] == {"k": "v"}, "what is absent stays"
    hub.settle()
    assert eks.describe_pod_identity_association(**named)["association"] == changed
    bare = eks.update_pod_identity_association(**named, targetRoleArn="", policy="")["association"]
    assert not {"targetRoleArn", "externalId", "policy"} & set(bare) and bare["roleArn"] == other
    hub.settle()
    assert eks.delete_pod_identity_association(**named)["association"] == bare, "the one that went"
    hub.settle()
    for again in (
        eks.describe_pod_identity_association,
        eks.update_pod_identity_association,
        eks.delete_pod_identity_association,
    ):
        with refused(eks, "ResourceNotFoundException", "", 404):
            again(**named)
    # Made again it is another one. By the AWS CLI the same.
    words = ("--cluster-name", cluster, "--namespace", "team-a", "--service-account", "bot", "--role-arn", app)
    told = wire.aws_json("eks", "create-pod-identity-association", *words)["association"]
    assert told["roleArn"] == app and told["associationId"] != made["associationId"]
    done = wire.aws("eks", "create-pod-identity-association", *words)
    assert "ResourceInUseException" in done.stderr and told["associationId"] in done.stderr, done.stderr


def test_associations_are_listed_without_their_roles(hub, eks, cluster, role):
    app = role()
    pairs = [("team-a", "bot"), ("team-a", "job"), ("team-b", "bot")]
    for namespace, account in pairs:
        create(eks, cluster, app, namespace=namespace, serviceAccount=account)
    hub.settle()

    def listed(**filters) -> list[tuple[str, str]]:
        found = eks.list_pod_identity_associations(clusterName=cluster, **filters)["associations"]
        assert all(set(one) == SUMMARY for one in found), found
        return [(one["namespace"], one["serviceAccount"]) for one in found]

    assert listed() == pairs
    assert listed(namespace="team-a") == pairs[:2]
    assert listed(serviceAccount="bot") == [pairs[0], pairs[2]]
    assert listed(namespace="team-b", serviceAccount="bot") == [pairs[2]]
    assert listed(namespace="team-c") == []
    paginator = eks.get_paginator("list_pod_identity_associations")
    pages = list(paginator.paginate(clusterName=cluster, namespace="team-a", PaginationConfig={"PageSize": 1}))
    assert [[one["serviceAccount"] for one in page["associations"]] for page in pages] == [["bot"], ["job"]]
    token = pages[0]["nextToken"]
    with refused(eks, "InvalidParameterException", "nextToken"):
        eks.list_pod_identity_associations(clusterName=cluster, namespace="team-b", nextToken=token)


def test_each_rule_of_an_association_has_its_error(hub, eks, cluster, role):
    app = role()
    untrusting = role(trust_policy(f"arn:aws:iam::{hub.account}:root"))
    policy = '{"Version":"2012-10-17","Statement":[]}'
    parameters = [
        ({"roleArn": f"arn:aws:iam::{hub.account}:role/none"}, "Role provided in the request does not exist"),
        ({"roleArn": untrusting}, "Trust policy of the role provided is invalid"),
        ({"roleArn": TARGET}, ""),
        ({"roleArn": f"arn:aws:iam::{hub.account}:user/ana"}, ""),
        ({"roleArn": "app"}, ""),
        ({"targetRoleArn": "data"}, ""),
        ({"namespace": "Team"}, ""),
        ({"namespace": ""}, ""),
        ({"serviceAccount": "-"}, ""),
        ({"policy": policy}, ""),
        ({"policy": "{", "disableSessionTags": True}, ""),
        ({"tags": {"AWS:x": "1"}}, ""),
    ]
    for members, text in parameters:
        with refused(eks, "InvalidParameterException", text):
            create(eks, cluster, app, **members)
    made = create(eks, cluster, app)
    with refused(eks, "ResourceInUseException", f"Association already exists: {made['associationId']}", 409):
        create(eks, cluster, app)
    named = {"clusterName": cluster, "associationId": made["associationId"]}
    for members, text in parameters[:3]:
        with refused(eks, "InvalidParameterException", text):
            eks.update_pod_identity_association(**named, **members)
    with refused(eks, "InvalidParameterException", "associationId"):
        eks.describe_pod_identity_association(clusterName=cluster, associationId="a-1")
    with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
        create(eks, "none", app)
    with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
        eks.list_pod_identity_associations(clusterName="none")


def immunity_11_a_role_that_is_open_to_any_cluster_is_refused_with_the_condition_that_is_lacking(hub, wire, eks, cluster):
    iam = wire.client("iam")
    name = unique("open")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=PODS)["Role"]["Arn"]
    hub.settle()
    with refused(eks, "InvalidParameterException", "Trust policy of the role provided is invalid") as told:
        create(eks, cluster, arn)
    own = f"arn:aws:eks:{REGION}:{hub.account}:cluster/{cluster}"
    assert "aws:SourceArn" in told["Message"] and own in told["Message"], told
    assert eks.list_pod_identity_associations(clusterName=cluster)["associations"] == []
    # With that condition it is taken, and so it is with the tag.
    document = json.loads(PODS)
    document["Statement"][0]["Condition"] = {"ArnEquals": {"aws:SourceArn": own}}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
    hub.settle()
    create(eks, cluster, arn)


def test_who_may_not_pass_the_role_associates_none(hub, eks, cluster, role):
    app, ana = role(), hub.create_user("ana")
    theirs = Wire(hub, ana.credentials).eks

    def may(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
        hub.settle()

    may("eks:CreatePodIdentityAssociation")
    with refused(theirs, "AccessDeniedException", "iam:PassRole", 403):
        create(theirs, cluster, app)
    may("eks:CreatePodIdentityAssociation", "iam:PassRole")
    made = create(theirs, cluster, app)
    hub.settle()
    with refused(theirs, "AccessDeniedException", "eks:DescribePodIdentityAssociation", 403):
        theirs.describe_pod_identity_association(clusterName=cluster, associationId=made["associationId"])
