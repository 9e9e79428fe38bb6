"""Clusters on the AWS wire, and the identity provider configurations that it reads."""

from __future__ import annotations

import base64
import json
import pathlib
import re

from hub import REGION, unique
from wire import Wire, let, refused

ROLE = "arn:aws:iam::111122223333:role/cluster"


def create(eks, name: str, **members) -> dict:
    return eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={"subnetIds": ["a"]}, **members)["cluster"]


def test_a_cluster_is_made_waited_for_read_listed_and_deleted(hub, wire, eks):
    name = unique("made")
    made = create(eks, name, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}, tags={"team": "a"})
    assert made["name"] == name and made["tags"] == {"team": "a"} and made["status"] == "ACTIVE"
    assert made["arn"] == f"arn:aws:eks:{REGION}:{hub.account}:cluster/{name}"
    assert "outpostConfig" not in made and "id" not in made
    hub.settle()
    eks.get_waiter("cluster_active").wait(name=name)
    assert eks.describe_cluster(name=name)["cluster"] == made, "a read after a write shows no difference"
    # Without an API server of its own the hub answers in its place.
    assert made["endpoint"] == f"{hub.told_url}/clusters/{name}"
    assert base64.b64decode(made["certificateAuthority"]["data"]) == pathlib.Path(hub.ca).read_bytes()
    assert name in wire.aws_json("eks", "list-clusters")["clusters"]
    # The creator is its administrator, by an entry like any other.
    entries = eks.list_access_entries(clusterName=name)["accessEntries"]
    assert entries == [eks_caller(wire)]
    with refused(eks, "ResourceInUseException", f"Cluster already exists with name: {name}", 409):
        create(eks, name)
    gone = eks.delete_cluster(name=name)["cluster"]
    assert gone["name"] == name and gone["status"] == "DELETING"
    hub.settle()
    eks.get_waiter("cluster_deleted").wait(name=name)
    for call in (eks.describe_cluster, eks.delete_cluster):
        with refused(eks, "ResourceNotFoundException", f"No cluster found for name: {name}.", 404):
            call(name=name)


def eks_caller(wire: Wire) -> str:
    return wire.sts.get_caller_identity()["Arn"]


def test_each_rule_of_a_cluster_has_its_error(eks):
    bootstrap = "bootstrapClusterCreatorAdminPermissions must be true"
    with refused(eks, "InvalidParameterException", bootstrap):
        create(
            eks,
            unique("map"),
            accessConfig={
                "authenticationMode": "CONFIG_MAP",
                "bootstrapClusterCreatorAdminPermissions": False,
            },
        )
    with refused(eks, "InvalidParameterException", "accessConfig.authenticationMode"):
        create(eks, unique("mode"), accessConfig={"authenticationMode": "MAP"})
    for name in ("", "-a", "a.b", "a" * 101):
        with refused(eks, "InvalidParameterException"):
            create(eks, name)
    with refused(eks, "InvalidParameterException", "tag"):
        create(eks, unique("tags"), tags={"aws:x": "1"})
    with refused(eks, "InvalidParameterException", "roleArn"):
        eks.create_cluster(name=unique("role"), roleArn="x", resourcesVpcConfig={})
    # What would be dropped is refused; what is off, or said of a cluster that runs elsewhere, is not.
    with refused(eks, "InvalidParameterException", "deletionProtection"):
        create(eks, unique("kept"), deletionProtection=True)
    with refused(eks, "InvalidParameterException", "logging"):
        create(eks, unique("kept"), logging={"clusterLogging": [{"types": ["audit"], "enabled": True}]})
    create(eks, unique("kept"), version="1.33", deletionProtection=False, encryptionConfig=[])


def test_whether_its_maker_becomes_an_administrator_is_held_against_policies(hub, eks):
    ana = hub.create_user("ana")
    condition = {"Bool": {"eks:bootstrapClusterCreatorAdminPermissions": "false"}}
    let(hub, ana.name, {"Effect": "Allow", "Action": "eks:CreateCluster", "Resource": "*", "Condition": condition})
    theirs, config = Wire(hub, ana.credentials).eks, {"authenticationMode": "API"}
    for said in ({}, {"bootstrapClusterCreatorAdminPermissions": True}):
        with refused(theirs, "AccessDeniedException", "is not authorized to perform: eks:CreateCluster", 403):
            create(theirs, unique("maker"), accessConfig=config | said)
    name = unique("maker")
    create(theirs, name, accessConfig=config | {"bootstrapClusterCreatorAdminPermissions": False})
    hub.settle()
    assert eks.list_access_entries(clusterName=name)["accessEntries"] == []


def test_clusters_come_in_pages_and_by_region(hub, wire, eks):
    names = sorted(unique("page") for _ in range(4))
    for name in names:
        create(eks, name)
    hub.settle()
    pages = list(eks.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1}))
    listed = [name for page in pages for name in page["clusters"]]
    assert all(len(page["clusters"]) <= 1 for page in pages) and len(listed) == len(set(listed))
    assert [name for name in listed if name in names] == names
    with refused(eks, "InvalidParameterException", "nextToken"):
        eks.list_clusters(nextToken="AAAA")
    elsewhere = Wire(hub, region="eu-west-1").eks
    assert not set(names) & set(elsewhere.list_clusters()["clusters"])
    with refused(elsewhere, "ResourceNotFoundException", f"No cluster found for name: {names[0]}.", 404):
        elsewhere.describe_cluster(name=names[0])
    # The same name in another region is another cluster, which is found by that region and signs another id.
    other = create(elsewhere, names[0])
    hub.settle()
    assert other["arn"] == f"arn:aws:eks:eu-west-1:{hub.account}:cluster/{names[0]}"
    assert other["outpostConfig"]["outpostArns"] == [] and other["id"] != names[0]
    assert elsewhere.describe_cluster(name=names[0])["cluster"]["arn"] == other["arn"]
    assert eks.describe_cluster(name=names[0])["cluster"]["arn"] != other["arn"]
    with refused(Wire(hub, region="cn-north-1").eks, "InvalidSignatureException", "valid region", 403):
        Wire(hub, region="cn-north-1").eks.list_clusters()


def test_identity_provider_configs_are_read(hub, eks):
    name = unique("oidc")
    create(eks, name, accessConfig={"authenticationMode": "API"})
    hub.settle()
    issuer = f"https://{name}.example"
    hub.cli(
        "identity-provider", "associate", name, "okta", "--issuer-url", issuer, "--client-id", name, "--groups-claim", "groups"
    )
    hub.settle()
    config = {"type": "oidc", "name": "okta"}
    pages = eks.get_paginator("list_identity_provider_configs").paginate(clusterName=name)
    assert [item for page in pages for item in page["identityProviderConfigs"]] == [config]
    read = eks.describe_identity_provider_config(clusterName=name, identityProviderConfig=config)
    oidc = read["identityProviderConfig"]["oidc"]
    assert (oidc["issuerUrl"], oidc["clientId"], oidc["status"]) == (issuer, name, "ACTIVE")
    assert oidc["groupsClaim"] == "groups" and "usernameClaim" not in oidc
    with refused(eks, "ResourceNotFoundException", "", 404):
        eks.describe_identity_provider_config(clusterName=name, identityProviderConfig={"type": "oidc", "name": "x"})
    with refused(eks, "InvalidParameterException", "identityProviderConfig.type"):
        eks.describe_identity_provider_config(clusterName=name, identityProviderConfig={"type": "saml", "name": "okta"})


def test_who_may_not_is_told_so_before_anything_of_the_cluster(hub, eks):
    name = unique("quiet")
    create(eks, name)
    ana = hub.create_user("ana")
    statement = {"Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
    hub.settle()
    theirs = Wire(hub, ana.credentials).eks
    assert name in theirs.list_clusters()["clusters"]
    for other in (name, "none"):
        with refused(theirs, "AccessDeniedException", "is not authorized to perform: eks:DescribeCluster", 403):
            theirs.describe_cluster(name=other)


def test_kubectl_is_set_up_by_the_aws_cli(hub, wire, eks, tmp_path):
    name = unique("kube")
    create(eks, name, accessConfig={"authenticationMode": "API"})
    hub.settle()
    config = tmp_path / "config"
    done = wire.aws("eks", "update-kubeconfig", "--name", name, "--kubeconfig", str(config))
    assert done.returncode == 0, done.stderr
    assert f"{hub.told_url}/clusters/{name}" in config.read_text()
    token = wire.aws_json("eks", "get-token", "--cluster-name", name)["status"]["token"]
    hub.secrets.add("a client token", token)
    assert token.startswith("k8s-aws-v1.")
    assert re.search(rf"--cluster-name\s+- {name}\s", config.read_text())
    # Of a cluster whose name another one had first, the id is signed.
    elsewhere, other = Wire(hub, region="eu-west-1"), tmp_path / "other"
    cluster_id = create(elsewhere.eks, name, accessConfig={"authenticationMode": "API"})["id"]
    hub.settle()
    done = elsewhere.aws("eks", "update-kubeconfig", "--name", name, "--kubeconfig", str(other))
    assert done.returncode == 0, done.stderr
    assert cluster_id != name and re.search(rf"--cluster-id\s+- {cluster_id}\s", other.read_text()), other.read_text()
