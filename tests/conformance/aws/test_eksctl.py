"""What eksctl asks (v0.215.0), with its very parameters and in its order, by boto3: its own program takes a quarter of an hour to build.

It reads many members without a look whether they are there, and ends where one is not; those are looked at here. What docs/aws-compatibility.md
says of eksctl was tried with the program itself."""

from __future__ import annotations

import base64
import re

import pytest

from hub import unique
from wire import ANY_CLUSTER, CLUSTER_ROLE, PODS, Wire

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
# Go's `arn.Parse`.
ARN = re.compile("arn:[^:]+:[^:]+:[^:]*:[^:]*:.+")


def begin(wire: Wire, cluster: str) -> dict:
    """What each command on a cluster begins with (`NewProviderForExistingCluster`): the cluster as it is known then."""
    who = wire.sts.get_caller_identity()
    assert ARN.fullmatch(who["Arn"]) and who["Account"]
    told = wire.eks.describe_cluster(name=cluster)["cluster"]
    assert "connectorConfig" not in told and told["status"] == "ACTIVE"
    assert base64.b64decode(told["certificateAuthority"]["data"], validate=True)
    assert told["endpoint"] and ARN.fullmatch(told["arn"])
    # Of a cluster on an Outpost there would have to be the ARN of one, and of one alone.
    assert "outpostConfig" not in told
    # The first of them is looked at.
    versions = wire.eks.describe_cluster_versions()["clusterVersions"]
    supported = [version["clusterVersion"] for version in versions if version["versionStatus"] != "UNSUPPORTED"]
    assert all(re.fullmatch(r"\d+\.\d+", version) for version in supported) and supported
    return told


def wait(eks, cluster: str, update: dict) -> None:
    """Its waiter looks at once, and again half a minute later."""
    assert eks.describe_update(name=cluster, updateId=update["id"])["update"]["status"] == "Successful"


@pytest.fixture
def cluster(hub, eks) -> str:
    name = unique("eksctl")
    mode = {"authenticationMode": "API_AND_CONFIG_MAP"}
    eks.create_cluster(name=name, roleArn=CLUSTER_ROLE, resourcesVpcConfig={}, accessConfig=mode)
    hub.settle()
    return name


def test_get_cluster(hub, wire, eks, cluster):
    """`get cluster NAME`: where there is a network it has an id, for that is shown without a look."""
    begin(wire, cluster)
    told = eks.describe_cluster(name=cluster)["cluster"]
    assert "resourcesVpcConfig" not in told or told["resourcesVpcConfig"]["vpcId"]
    assert not told.get("connectorConfig")


def test_get_accessentry(hub, wire, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    eks.create_access_entry(clusterName=cluster, principalArn=ana.arn, kubernetesGroups=["devs"])
    hub.settle()
    scope = {"type": "namespace", "namespaces": ["a"]}
    eks.associate_access_policy(clusterName=cluster, principalArn=ana.arn, policyArn=VIEW, accessScope=scope)
    hub.settle()
    assert begin(wire, cluster)["accessConfig"]["authenticationMode"] != "CONFIG_MAP"
    summaries = {}
    for arn in eks.list_access_entries(clusterName=cluster)["accessEntries"]:
        entry = eks.describe_access_entry(clusterName=cluster, principalArn=arn)["accessEntry"]
        policies = eks.list_associated_access_policies(clusterName=cluster, principalArn=arn)["associatedAccessPolicies"]
        assert all(ARN.fullmatch(policy["policyArn"]) for policy in policies)
        summaries[arn] = entry["kubernetesGroups"], [policy["accessScope"] for policy in policies]
    assert summaries[ana.arn] == (["devs"], [scope])


def test_utils_update_authentication_mode(hub, wire, eks, cluster):
    begin(wire, cluster)
    update = eks.update_cluster_config(name=cluster, accessConfig={"authenticationMode": "API"})["update"]
    hub.settle()
    wait(eks, cluster, update)
    assert begin(wire, cluster)["accessConfig"]["authenticationMode"] == "API"


def test_associate_get_and_disassociate_identityprovider(hub, wire, eks, cluster):
    begin(wire, cluster)
    oidc = {"clientId": cluster, "issuerUrl": f"https://{cluster}.example", "identityProviderConfigName": "okta"}
    more = {"groupsClaim": "groups", "groupsPrefix": "okta:", "usernameClaim": "email", "usernamePrefix": "okta:"}
    asked = {"clusterName": cluster, "oidc": oidc | more | {"requiredClaims": {"team": "a"}}, "tags": {"team": "a"}}
    update = eks.associate_identity_provider_config(**asked)["update"]
    hub.settle()
    wait(eks, cluster, update)
    begin(wire, cluster)
    [config] = eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"]
    told = eks.describe_identity_provider_config(clusterName=cluster, identityProviderConfig=config)
    told = told["identityProviderConfig"]["oidc"]
    assert {name: told[name] for name in asked["oidc"]} == asked["oidc"]
    assert told["status"] == "ACTIVE" and ARN.fullmatch(told["identityProviderConfigArn"])
    begin(wire, cluster)
    config = {"name": "okta", "type": "oidc"}
    told = eks.describe_identity_provider_config(clusterName=cluster, identityProviderConfig=config)
    assert told["identityProviderConfig"]["oidc"]["status"] != "DELETING"
    gone = eks.disassociate_identity_provider_config(clusterName=cluster, identityProviderConfig=config)["update"]
    hub.settle()
    wait(eks, cluster, gone)
    assert eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"] == []


def test_get_podidentityassociation(hub, wire, eks, iam, cluster):
    made = iam.create_role(RoleName=unique("eksctl"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)
    role = made["Role"]["Arn"]
    hub.settle()
    for account in ("bot", "cat"):
        asked = {"clusterName": cluster, "namespace": "team-a", "serviceAccount": account, "roleArn": role}
        eks.create_pod_identity_association(**asked)
    hub.settle()
    begin(wire, cluster)
    for filters, count in (({}, 2), ({"namespace": "team-a"}, 2), ({"namespace": "team-a", "serviceAccount": "bot"}, 1)):
        listed = eks.list_pod_identity_associations(clusterName=cluster, **filters)["associations"]
        assert len(listed) == count
        for association in listed:
            assert "ownerArn" not in association
            own = {"clusterName": cluster, "associationId": association["associationId"]}
            told = eks.describe_pod_identity_association(**own)["association"]
            assert told["roleArn"] == role and told["associationArn"] and told["namespace"] and told["serviceAccount"]


def test_utils_associate_iam_oidc_provider(hub, wire, eks, iam, cluster):
    """Of a cluster whose issuer is known: asks whether there is a provider, makes it with the last certificate that the issuer shows, and tags
    the cluster."""
    told = begin(wire, cluster)
    host = f"{cluster}.example"
    arn = f"arn:aws:iam::{told['arn'].split(':')[4]}:oidc-provider/{host}"
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    # It puts the port into the URL that an issuer leaves out.
    made = iam.create_open_id_connect_provider(
        ClientIDList=["sts.amazonaws.com"],
        ThumbprintList=["0f" * 20],
        Url=f"https://{host}:443",
        Tags=[
            {"Key": "alpha.eksctl.io/cluster-name", "Value": cluster},
            {"Key": "alpha.eksctl.io/eksctl-version", "Value": "0.215.0"},
        ],
    )
    hub.settle()
    assert made["OpenIDConnectProviderArn"] == arn, "the next run finds it under this name"
    eks.tag_resource(resourceArn=told["arn"], tags={"alpha.eksctl.io/cluster-oidc-enabled": "true"})
    hub.settle()
    assert begin(wire, cluster)["tags"] == {"alpha.eksctl.io/cluster-oidc-enabled": "true"}
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["sts.amazonaws.com"]


def test_utils_migrate_to_access_entry(hub, wire, eks, iam):
    """Without anybody in aws-auth who has no entry: the rest of it is CloudFormation's. It looks up whom aws-auth names by name."""
    name = unique("eksctl")
    eks.create_cluster(name=name, roleArn=CLUSTER_ROLE, resourcesVpcConfig={})
    role = iam.create_role(RoleName=unique("eksctl"), Path="/team/", AssumeRolePolicyDocument=PODS)["Role"]
    hub.settle()
    assert begin(wire, name)["accessConfig"]["authenticationMode"] == "CONFIG_MAP"
    with pytest.raises(eks.exceptions.InvalidRequestException):
        eks.list_access_entries(clusterName=name)
    # aws-auth has ARNs without paths, and entries are of those that IAM tells.
    told = iam.get_role(RoleName=role["RoleName"])["Role"]
    assert told["Arn"] == role["Arn"] and "/team/" in told["Arn"]
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="nobody")
    for mode in ("API_AND_CONFIG_MAP", "API"):
        update = eks.update_cluster_config(name=name, accessConfig={"authenticationMode": mode})["update"]
        hub.settle()
        wait(eks, name, update)
