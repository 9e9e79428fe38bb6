"""Instance profiles on the AWS wire: the sequence of Terraform's `aws_iam_instance_profile`, and lists by path."""

from __future__ import annotations

import json

import pytest

from hub import unique
from wire import refused

EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture
def iam(wire):
    return wire.client("iam")


def test_a_profile_is_made_given_a_role_read_emptied_and_deleted(hub, iam):
    role, name = unique("node"), unique("node")
    iam.create_role(RoleName=role, Path="/nodes/", AssumeRolePolicyDocument=EC2)
    tags = [{"Key": "team", "Value": "blue"}]
    made = iam.create_instance_profile(InstanceProfileName=name, Path="/nodes/", Tags=tags)["InstanceProfile"]
    assert made["Arn"] == f"arn:aws:iam::{hub.account}:instance-profile/nodes/{name}"
    assert made["InstanceProfileId"].startswith("AIPA") and made["Roles"] == [] and made["Tags"] == tags
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    hub.settle()
    found = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert [one["RoleName"] for one in found["Roles"]] == [role]
    assert found["Roles"][0]["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"
    of_role = iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
    assert [one["InstanceProfileName"] for one in of_role] == [name]
    with refused(iam, "LimitExceeded", "", 409):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    with refused(iam, "DeleteConflict", role, 409):
        iam.delete_instance_profile(InstanceProfileName=name)
    with refused(iam, "DeleteConflict", name, 409):
        iam.delete_role(RoleName=role)
    iam.untag_instance_profile(InstanceProfileName=name, TagKeys=["team"])
    iam.tag_instance_profile(InstanceProfileName=name, Tags=[{"Key": "stage", "Value": "test"}])
    hub.settle()
    listed = iam.list_instance_profile_tags(InstanceProfileName=name)["Tags"]
    assert listed == [{"Key": "stage", "Value": "test"}]
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
    iam.delete_instance_profile(InstanceProfileName=name)
    iam.delete_role(RoleName=role)
    hub.settle()
    with refused(iam, "NoSuchEntity", name, 404):
        iam.get_instance_profile(InstanceProfileName=name)


def test_lists_are_cut_by_path_and_paged(hub, iam):
    path = f"/{unique('team')}/"
    names = sorted(unique("p") for _ in range(3))
    for name in names:
        iam.create_instance_profile(InstanceProfileName=name, Path=path)
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=EC2)
        iam.create_user(UserName=name, Path=f"{path}people/")
    hub.settle()
    lists = {"list_instance_profiles": "InstanceProfiles", "list_roles": "Roles", "list_users": "Users"}
    for operation, member in lists.items():
        pages = iam.get_paginator(operation).paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
        found = [one for page in pages for one in page[member]]
        key = member.removesuffix("s") + "Name"
        assert [one[key] for one in found] == names and all(one["Path"].startswith(path) for one in found)
    assert iam.list_roles(PathPrefix=f"{path}none/")["Roles"] == []


def test_tags_have_their_limit(iam):
    name = unique("tagged")
    iam.create_instance_profile(InstanceProfileName=name)
    with refused(iam, "LimitExceeded", "", 409):
        iam.tag_instance_profile(InstanceProfileName=name, Tags=[{"Key": str(n), "Value": ""} for n in range(51)])
