"""The last administrator of a cluster, over every operation of the AWS wire that could take them away (immunity 56)."""

from __future__ import annotations

import json

import pytest
from botocore import xform_name

import operations
from hub import trust_policy, unique
from wire import refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
# Changes by which nobody loses anything: they give, make something new, or are of a cluster's own end.
HARMLESS = {
    "eks-auth:AssumeRoleForPodIdentity",
    "eks:CreateCluster",
    "eks:DeleteCluster",
    # Of an entry's name and groups, none of which makes an administrator: there is a test of it.
    "eks:UpdateAccessEntry",
    "eks:AssociateIdentityProviderConfig",
    "eks:DisassociateIdentityProviderConfig",
    "eks:CreatePodIdentityAssociation",
    "eks:UpdatePodIdentityAssociation",
    "eks:DeletePodIdentityAssociation",
    "eks:TagResource",
    "eks:UntagResource",
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "iam:CreateUser",
    "iam:CreateAccessKey",
    "iam:CreateRole",
    # What tag a role has not, a session of it may be given.
    "iam:UntagRole",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
    # A cluster's nodes are no administrators of it.
    "iam:CreateInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:AddRoleToInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:UntagInstanceProfile",
    "iam:CreateOpenIDConnectProvider",
    # Who comes by an issuer's token is not counted as an administrator.
    "iam:DeleteOpenIDConnectProvider",
    "iam:UpdateOpenIDConnectProviderThumbprint",
    "iam:AddClientIDToOpenIDConnectProvider",
    "iam:RemoveClientIDFromOpenIDConnectProvider",
    "iam:TagOpenIDConnectProvider",
    "iam:UntagOpenIDConnectProvider",
}
# Changes of which there is a test of their own, for they take somebody away of whom aws-auth knows.
BESIDE_AWS_AUTH = {"eks:CreateAccessEntry", "eks:UpdateClusterConfig"}


def sts(effect: str, resource: str) -> str:
    statement = {"Effect": effect, "Action": "sts:AssumeRole", "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Guarded:
    """A cluster whose one administrator is a role, which another role may assume, which ana may by her policy and her tag."""

    def __init__(self, hub, eks, iam) -> None:
        self.cluster = unique("guarded")
        ana = hub.create_user("ana")
        between, last = unique("between"), unique("last")
        self.last = last
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{hub.account}:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:PrincipalTag/team": "a"}},
        }
        by_tag = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.tag_user(UserName=ana.name, Tags=[{"Key": "team", "Value": "a"}])
        between_arn = iam.create_role(RoleName=between, AssumeRolePolicyDocument=by_tag)["Role"]["Arn"]
        iam.put_user_policy(UserName=ana.name, PolicyName="own", PolicyDocument=sts("Allow", between_arn))
        # The last role trusts the account, so that the one between needs its policy.
        last_arn = iam.create_role(RoleName=last, AssumeRolePolicyDocument=by_tag)["Role"]["Arn"]
        iam.tag_role(RoleName=between, Tags=[{"Key": "team", "Value": "a"}])
        iam.put_role_policy(RoleName=between, PolicyName="own", PolicyDocument=sts("Allow", last_arn))
        hub.settle()
        config = {"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
        eks.create_cluster(name=self.cluster, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=config)
        hub.settle()
        entry = {"clusterName": self.cluster, "principalArn": last_arn}
        eks.create_access_entry(**entry)
        hub.settle()
        policy = entry | {"policyArn": ADMIN}
        eks.associate_access_policy(**policy, accessScope={"type": "cluster"})
        hub.settle()
        user, key = {"UserName": ana.name}, {"AccessKeyId": ana.credentials.access_key_id}
        # Without a key nobody can be it.
        keyless = hub.cli("iam", "user", "create", unique("keyless"))["value"]["name"]
        nobody = trust_policy(f"arn:aws:iam::{hub.account}:user/{keyless}")
        hub.settle()
        state, odd = "InvalidRequestException", "UnmodifiableEntity"
        # Operation, its parameters, and the error that it gives.
        self.calls = [
            ("eks:DeleteAccessEntry", entry, state),
            ("eks:DisassociateAccessPolicy", policy, state),
            ("eks:AssociateAccessPolicy", policy | {"accessScope": {"type": "namespace", "namespaces": ["a"]}}, state),
            ("iam:DeleteUser", user, "DeleteConflict"),
            ("iam:UpdateAccessKey", user | key | {"Status": "Inactive"}, "ValidationError"),
            ("iam:DeleteAccessKey", user | key, "ValidationError"),
            ("iam:PutUserPolicy", user | {"PolicyName": "no", "PolicyDocument": sts("Deny", "*")}, "ValidationError"),
            ("iam:PutUserPolicy", user | {"PolicyName": "own", "PolicyDocument": sts("Allow", f"{last_arn}-b")}, "ValidationError"),
            ("iam:DeleteUserPolicy", user | {"PolicyName": "own"}, "ValidationError"),
            ("iam:TagUser", user | {"Tags": [{"Key": "team", "Value": "b"}]}, "ValidationError"),
            ("iam:UntagUser", user | {"TagKeys": ["team"]}, "ValidationError"),
            ("iam:UpdateAssumeRolePolicy", {"RoleName": between, "PolicyDocument": nobody}, odd),
            ("iam:UpdateAssumeRolePolicy", {"RoleName": last, "PolicyDocument": nobody}, odd),
            ("iam:DeleteRole", {"RoleName": between}, "DeleteConflict"),
            ("iam:DeleteRole", {"RoleName": last}, "DeleteConflict"),
            ("iam:TagRole", {"RoleName": between, "Tags": [{"Key": "team", "Value": "b"}]}, "ValidationError"),
            ("iam:PutRolePolicy", {"RoleName": between, "PolicyName": "no", "PolicyDocument": sts("Deny", last_arn)}, odd),
            ("iam:DeleteRolePolicy", {"RoleName": between, "PolicyName": "own"}, odd),
        ]


@pytest.fixture(scope="module")
def guarded(hub, eks, iam) -> Guarded:
    return Guarded(hub, eks, iam)


def immunity_56_every_changing_operation_is_looked_at(guarded):
    changing = {name for name in operations.listed() if not name.split(":")[1].startswith(("List", "Get", "Describe"))}
    looked_at = {operation for operation, _, _ in guarded.calls} | BESIDE_AWS_AUTH
    assert looked_at | HARMLESS == changing and not looked_at & HARMLESS


def immunity_56_no_operation_takes_the_last_administrator(hub, wire, guarded):
    status = {"DeleteConflict": 409}
    for operation, asked, code in guarded.calls:
        service, name = operation.split(":")
        client = wire.client(service)
        # What still has a key or a policy is in the way of its own end, and those cannot go.
        text = "still has" if code == "DeleteConflict" and guarded.last not in asked.values() else "administrator"
        with refused(client, code, text, status.get(code, 400)) as told:
            getattr(client, xform_name(name))(**asked)
            raise AssertionError(f"{operation} {asked} is done")
        if text == "administrator":
            # The rule, what would be lost, and the way on for who has AWS's tools alone. Who changes a user need not know of the cluster.
            lost = f"cluster `{guarded.cluster}`" if service == "eks" else "leave a cluster without"
            for said in ("the lockout guard", lost, "AssociateAccessPolicy", "`lanyard:allow-lockout` = `true`"):
                assert said in told["Message"], (operation, told)
            assert service == "eks" or guarded.cluster not in told["Message"], (operation, told)


def immunity_56_no_step_to_entries_alone_leaves_nobody(hub, eks):
    """aws-auth has the one administrator: in the mode API nobody would be left."""
    name, ana = unique("mode"), hub.create_user("ana")
    config = {"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=config)
    hub.settle()
    masters = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: ana\n    groups: [system:masters]\n"
    assert hub.run("aws-auth", "push", name, "-", stdin=masters).returncode == 0
    with refused(eks, "InvalidRequestException", "administrator"):
        eks.update_cluster_config(name=name, accessConfig={"authenticationMode": "API"})
    assert eks.describe_cluster(name=name)["cluster"]["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"


def immunity_56_an_entry_that_shadows_an_administrator_of_aws_auth_is_refused(hub, eks):
    """Entries win over aws-auth: one without its groups would take them away."""
    name, ana = unique("shadow"), hub.create_user("ana")
    config = {"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=config)
    hub.settle()
    masters = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: ana\n    groups: [system:masters]\n"
    assert hub.run("aws-auth", "push", name, "-", stdin=masters).returncode == 0
    with refused(eks, "InvalidRequestException", "administrator"):
        eks.create_access_entry(clusterName=name, principalArn=ana.arn, kubernetesGroups=["viewers"])
    assert eks.list_access_entries(clusterName=name)["accessEntries"] == []


def immunity_56_whatever_an_entry_is_called_its_administrator_stays_one(hub, eks):
    """Another name and other groups, in both modes in which entries count; and the guard counts on whom it counted before."""
    for mode in ("API", "API_AND_CONFIG_MAP"):
        name, ana = unique("named"), hub.create_user("ana")
        config = {"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": False}
        eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=config)
        hub.settle()
        entry = {"clusterName": name, "principalArn": ana.arn}
        eks.create_access_entry(**entry, kubernetesGroups=["admins"])
        hub.settle()
        eks.associate_access_policy(**entry, policyArn=ADMIN, accessScope={"type": "cluster"})
        hub.settle()
        for change in ({"username": "ana"}, {"kubernetesGroups": ["viewers"]}, {"kubernetesGroups": []}):
            eks.update_access_entry(**entry, **change)
            hub.settle()
            policies = eks.list_associated_access_policies(**entry)["associatedAccessPolicies"]
            assert [policy["policyArn"] for policy in policies] == [ADMIN], (mode, change)
            with refused(eks, "InvalidRequestException", "administrator"):
                eks.delete_access_entry(**entry)


def immunity_56_the_way_out_is_a_second_administrator_or_the_clusters_tag(hub, eks):
    name, ana, ben = unique("open"), hub.create_user("ana"), hub.create_user("ben")
    config = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    arn = eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=config)["cluster"]["arn"]
    hub.settle()
    for person in (ana, ben):
        eks.create_access_entry(clusterName=name, principalArn=person.arn)
        hub.settle()
        eks.associate_access_policy(
            clusterName=name, principalArn=person.arn, policyArn=ADMIN, accessScope={"type": "cluster"}
        )
        hub.settle()
    eks.delete_access_entry(clusterName=name, principalArn=ana.arn)
    hub.settle()
    with refused(eks, "InvalidRequestException", "administrator"):
        eks.delete_access_entry(clusterName=name, principalArn=ben.arn)
    eks.tag_resource(resourceArn=arn, tags={"lanyard:allow-lockout": "true"})
    hub.settle()
    eks.delete_access_entry(clusterName=name, principalArn=ben.arn)
