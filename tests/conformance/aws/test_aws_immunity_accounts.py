"""Attacks across accounts on the AWS wire: what is another account's is not there, for any operation (immunity 33)."""

from __future__ import annotations

import json

import botocore.exceptions
import pytest
from botocore import xform_name

import operations
from hub import unique
from wire import ANY_CLUSTER, API, CLUSTER_ROLE, PODS, Wire, create, let, refused

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
TENANT = "888899990000"


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
        self.association_arn = association["associationArn"]
        config = {"clusterName": self.cluster, "identityProviderConfig": {"type": "oidc", "name": "okta"}}
        read = eks.describe_identity_provider_config(**config)["identityProviderConfig"]["oidc"]
        self.config_arn = read["identityProviderConfigArn"]
        self.arn = eks.describe_cluster(name=self.cluster)["cluster"]["arn"]
        hub.cli("iam", "account", "create", TENANT, "--authority", "local", "--name", unique("tenant"))
        self.eve = hub.create_user("eve", account=TENANT)
        let(hub, self.eve.name, {"Effect": "Allow", "Action": "*", "Resource": "*"}, account=TENANT)
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
OF_NOBODY |= {"eks:DescribeClusterVersions", "sts:AssumeRoleWithWebIdentity"}
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
                with refused(client, "NotFoundException", "", 404):
                    call(resourceArn=arn, **asked)
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


def immunity_33_tags_of_what_is_another_accounts_are_asked_for_as_of_what_is_nowhere(hub, tenants):
    """One answer to both, but for the name in it: that it is not there, and to who may not ask at all, that."""
    before = tenants.state()
    bob = hub.create_user("bob", account=TENANT)
    hub.settle()
    for caller, expected in ((tenants.eve, ("NotFoundException", 404)), (bob, ("AccessDeniedException", 403))):
        own = Wire(hub, caller.credentials).eks
        calls = (
            ("tag_resource", {"tags": {"a": "b"}}),
            ("untag_resource", {"tagKeys": ["a"]}),
            ("list_tags_for_resource", {}),
        )
        for there in (tenants.arn, tenants.entry_arn, tenants.config_arn, tenants.association_arn):
            nowhere = there[:-1] + ("1" if there[-1] == "0" else "0")
            for name, asked in calls:
                told = []
                for arn in (there, nowhere):
                    with pytest.raises(botocore.exceptions.ClientError) as refusal:
                        getattr(own, name)(resourceArn=arn, **asked)
                    said = refusal.value.response
                    text = said["Error"]["Message"].replace(arn, "ARN").replace(arn.rsplit("/", 1)[1], "NAME")
                    told.append((said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"], text))
                assert told[0] == told[1], (name, there, told)
                assert told[0][:2] == expected, (name, there, told)
    hub.settle()
    assert tenants.state() == before


def immunity_33_lists_never_show_it_and_its_names_are_free(hub, tenants):
    own = Wire(hub, tenants.eve.credentials)
    eks, iam = own.eks, own.client("iam")
    told = [eks.list_clusters(), iam.list_users(), iam.list_roles(), iam.list_instance_profiles(), iam.list_open_id_connect_providers()]
    for stranger in (tenants.cluster, tenants.user.name, tenants.role, hub.account):
        assert stranger not in str(told)
    # Each makes its own of the same name, and neither sees the other's.
    eks.create_cluster(name=tenants.cluster, roleArn=CLUSTER_ROLE, resourcesVpcConfig={}, accessConfig=API)
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
