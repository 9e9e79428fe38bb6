"""Tags on the AWS wire, by the ARN of what bears them, with the two errors that these operations have."""

from __future__ import annotations

import json

import pytest

from hub import REGION, unique
from wire import ANY_CLUSTER, PODS, Wire, code_of, refused


@pytest.fixture
def cluster(hub, eks) -> dict:
    made = eks.create_cluster(
        name=unique("tags"),
        roleArn="arn:aws:iam::111122223333:role/cluster",
        resourcesVpcConfig={},
        accessConfig={"authenticationMode": "API"},
    )["cluster"]
    hub.settle()
    return made


def edited(hub, eks, arn: str) -> dict:
    """Tags put on, replaced, listed and taken off; those that are left."""
    eks.tag_resource(resourceArn=arn, tags={"team": "a", "stage": "test", "gone": "1"})
    hub.settle()
    eks.tag_resource(resourceArn=arn, tags={"stage": "live & well"})
    hub.settle()
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "a", "stage": "live & well", "gone": "1"}
    eks.untag_resource(resourceArn=arn, tagKeys=["gone", "never there"])
    hub.settle()
    left = eks.list_tags_for_resource(resourceArn=arn)["tags"]
    assert left == {"team": "a", "stage": "live & well"}
    return left


def test_everything_that_has_tags_is_tagged_by_its_arn_and_shows_them(hub, wire, eks, cluster):
    name = cluster["name"]
    left = edited(hub, eks, cluster["arn"])
    assert eks.describe_cluster(name=name)["cluster"]["tags"] == left

    ana = hub.create_user("ana", path="/team/")
    hub.settle()
    entry = eks.create_access_entry(clusterName=name, principalArn=ana.arn)["accessEntry"]
    left = edited(hub, eks, entry["accessEntryArn"])
    assert eks.describe_access_entry(clusterName=name, principalArn=ana.arn)["accessEntry"]["tags"] == left

    oidc = {"identityProviderConfigName": "okta", "issuerUrl": f"https://{name}.example", "clientId": name}
    eks.associate_identity_provider_config(clusterName=name, oidc=oidc)
    hub.settle()
    config = {"clusterName": name, "identityProviderConfig": {"type": "oidc", "name": "okta"}}

    def provider() -> dict:
        return eks.describe_identity_provider_config(**config)["identityProviderConfig"]["oidc"]

    left = edited(hub, eks, provider()["identityProviderConfigArn"])
    assert provider()["tags"] == left

    made = wire.client("iam").create_role(RoleName=unique("app"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)
    role = made["Role"]["Arn"]
    hub.settle()
    association = eks.create_pod_identity_association(
        clusterName=name, namespace="a", serviceAccount="bot", roleArn=role
    )["association"]
    left = edited(hub, eks, association["associationArn"])
    named = {"clusterName": name, "associationId": association["associationId"]}
    assert eks.describe_pod_identity_association(**named)["association"]["tags"] == left


def test_tags_by_the_aws_cli(hub, wire, cluster):
    arn = ("--resource-arn", cluster["arn"])
    wire.aws_json("eks", "tag-resource", *arn, "--tags", "team=a,stage=live")
    hub.settle()
    wire.aws_json("eks", "untag-resource", *arn, "--tag-keys", "stage")
    hub.settle()
    assert wire.aws_json("eks", "list-tags-for-resource", *arn)["tags"] == {"team": "a"}


def test_each_rule_of_tags_has_one_of_their_two_errors(hub, eks, cluster):
    arn, account = cluster["arn"], hub.account
    head = f"arn:aws:eks:{REGION}:{account}"
    number = "00000000-0000-0000-0000-000000000003"
    missing = [
        f"{arn}-none",
        f"{head}:access-entry/{cluster['name']}/user/{account}/ana/{number}",
        f"{head}:identityproviderconfig/{cluster['name']}/oidc/okta/{number}",
        f"{head}:podidentityassociation/{cluster['name']}/a-0123456789abcdefg",
    ]
    malformed = ["tags", f"{head}:nodegroup/a/b/c", f"arn:aws:iam::{account}:role/a", f"{head}:cluster"]
    for arns, code, status in ((missing, "NotFoundException", 404), (malformed, "BadRequestException", 400)):
        for other in arns:
            with refused(eks, code, "", status):
                eks.list_tags_for_resource(resourceArn=other)
            with refused(eks, code, "", status):
                eks.tag_resource(resourceArn=other, tags={"a": "b"})
            with refused(eks, code, "", status):
                eks.untag_resource(resourceArn=other, tagKeys=["a"])
    many = {str(n): "" for n in range(51)}
    for tags in ({"aws:x": "1"}, {"AwS:x": "1"}, {"k": "AWS:x"}, {"": "1"}, {"k" * 129: "1"}, {"k": "v" * 257}, many):
        with refused(eks, "BadRequestException", ""):
            eks.tag_resource(resourceArn=arn, tags=tags)
    eks.tag_resource(resourceArn=arn, tags={str(n): "" for n in range(50)})
    hub.settle()
    with refused(eks, "BadRequestException", "at most 50"):
        eks.tag_resource(resourceArn=arn, tags={"one more": ""})
    for keys in (list(many), [""], ["k" * 129]):
        with refused(eks, "BadRequestException", ""):
            eks.untag_resource(resourceArn=arn, tagKeys=keys)
    assert len(eks.list_tags_for_resource(resourceArn=arn)["tags"]) == 50


def test_the_tags_of_another_region_are_asked_for_there(hub, wire, eks):
    """Also by whom a policy keeps to one region: the ARN is no way around `aws:RequestedRegion`."""
    there = Wire(hub, region="eu-west-1").eks
    arn = there.create_cluster(name=unique("tags"), roleArn="arn:aws:iam::111122223333:role/cluster", resourcesVpcConfig={})[
        "cluster"
    ]["arn"]
    hub.settle()
    with refused(eks, "BadRequestException", "`eu-west-1`"):
        eks.tag_resource(resourceArn=arn, tags={"lanyard:allow-lockout": "true"})
    with refused(eks, "BadRequestException", "`eu-west-1`"):
        eks.untag_resource(resourceArn=arn, tagKeys=["a"])
    with refused(eks, "BadRequestException", "`eu-west-1`"):
        eks.list_tags_for_resource(resourceArn=arn)
    assert there.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_tags_of_a_new_part_of_a_cluster_are_weighed_on_that_part(hub, cluster):
    ana, name = hub.create_user("ana"), cluster["name"]
    of_parts = cluster["arn"].rpartition(":")[0]
    making = ["eks:CreateAccessEntry", "eks:AssociateIdentityProviderConfig"]
    statements = [
        {"Effect": "Allow", "Action": making, "Resource": cluster["arn"]},
        {"Effect": "Allow", "Action": "eks:TagResource", "Resource": f"{of_parts}:access-entry/{name}/user/*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
    hub.settle()
    theirs, tags = Wire(hub, ana.credentials).eks, {"team": "a"}
    made = theirs.create_access_entry(clusterName=name, principalArn=ana.arn, tags=tags)
    assert made["accessEntry"]["tags"] == tags
    oidc = {"identityProviderConfigName": "okta", "issuerUrl": f"https://{name}.example", "clientId": name}
    with refused(theirs, "AccessDeniedException", f"{of_parts}:identityproviderconfig/{name}/oidc/okta/*", 403):
        theirs.associate_identity_provider_config(clusterName=name, oidc=oidc, tags=tags)


def test_a_call_about_no_tag_is_refused(wire, cluster):
    path = "/tags/" + cluster["arn"].replace(":", "%3A").replace("/", "%2F")
    for method, body in (("POST", b"{}"), ("POST", b'{"tags":{}}'), ("DELETE", b"")):
        answer = wire.send(method, path, body)
        assert (answer.status_code, code_of(answer)) == (400, "BadRequestException"), answer.text


def test_who_may_tag_one_team_s_clusters_tags_no_other_s(hub, eks, cluster):
    ana = hub.create_user("ana")
    statement = {
        "Effect": "Allow",
        "Action": ["eks:TagResource", "eks:ListTagsForResource"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
    hub.settle()
    theirs, arn = Wire(hub, ana.credentials).eks, cluster["arn"]
    with refused(theirs, "AccessDeniedException", "eks:TagResource", 403):
        theirs.tag_resource(resourceArn=arn, tags={"team": "a"})
    eks.tag_resource(resourceArn=arn, tags={"team": "a"})
    hub.settle()
    theirs.tag_resource(resourceArn=arn, tags={"stage": "live"})
    hub.settle()
    assert theirs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "a", "stage": "live"}
    with refused(theirs, "AccessDeniedException", "eks:UntagResource", 403):
        theirs.untag_resource(resourceArn=arn, tagKeys=["team"])
