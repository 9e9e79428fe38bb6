"""Changes that are sent again with their token on the AWS wire: they count once, and their token is theirs alone."""

from __future__ import annotations

import json
import uuid

import pytest

import operations
from hub import unique
from wire import ANY_CLUSTER, PODS, Wire, let, refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
OTHER_ACCOUNT = "131313131313"


@pytest.fixture
def cluster(hub, eks) -> str:
    name = unique("once")
    create(eks, name)
    hub.settle()
    return name


def create(eks, name: str, mode: str = "API_AND_CONFIG_MAP", **members) -> dict:
    config = {"authenticationMode": mode}
    return eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=config, **members)


def counts_once(hub, eks, operation: str, asked: dict, other: dict) -> dict:
    """The same request with the same token has the first answer; another one with it is refused."""
    call, token = getattr(eks, operation), str(uuid.uuid4())
    first = call(**asked, clientRequestToken=token)
    hub.settle()
    again = call(**asked, clientRequestToken=token)
    for answer in (first, again):
        answer.pop("ResponseMetadata")
    assert again == first
    with refused(eks, "InvalidRequestException", "other parameters"):
        call(**{**asked, **other}, clientRequestToken=token)
    operations.seen(f"eks:{eks.meta.method_to_api_mapping[operation]}").counted_once = True
    return first


def test_a_cluster_is_made_and_changed_once(hub, eks):
    name = unique("once")
    asked = {
        "name": name,
        "roleArn": ROLE,
        "resourcesVpcConfig": {},
        "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
        "tags": {"b": "1", "a": "2"},
    }
    counts_once(hub, eks, "create_cluster", asked, {"name": unique("once")})
    asked = {"name": name, "accessConfig": {"authenticationMode": "API"}}
    other = {"accessConfig": {"authenticationMode": "CONFIG_MAP"}}
    update = counts_once(hub, eks, "update_cluster_config", asked, other)["update"]
    assert eks.list_updates(name=name)["updateIds"] == [update["id"]], "what was sent twice is one change"


def test_an_entry_is_made_and_changed_once_and_stays_gone_when_it_went(hub, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    named = {"clusterName": cluster, "principalArn": ana.arn}
    counts_once(hub, eks, "create_access_entry", {**named, "username": "ana"}, {"username": "eva"})
    counts_once(hub, eks, "update_access_entry", {**named, "username": "bob"}, {"username": "eva"})
    token = str(uuid.uuid4())
    eks.update_access_entry(**named, kubernetesGroups=["a"], clientRequestToken=token)
    eks.delete_access_entry(**named)
    hub.settle()
    told = eks.update_access_entry(**named, kubernetesGroups=["a"], clientRequestToken=token)["accessEntry"]
    assert told["kubernetesGroups"] == ["a"], "the first answer, whatever has become of it"
    with refused(eks, "ResourceNotFoundException", "", 404):
        eks.describe_access_entry(**named)


def test_an_identity_provider_comes_and_goes_once(hub, eks, cluster):
    oidc = {
        "identityProviderConfigName": "okta",
        "issuerUrl": f"https://{cluster}.example",
        "clientId": cluster,
    }
    asked = {"clusterName": cluster, "oidc": oidc}
    other = {"oidc": {**oidc, "clientId": unique("other")}}
    counts_once(hub, eks, "associate_identity_provider_config", asked, other)
    asked = {"clusterName": cluster, "identityProviderConfig": {"type": "oidc", "name": "okta"}}
    other = {"identityProviderConfig": {"type": "oidc", "name": "dex"}}
    counts_once(hub, eks, "disassociate_identity_provider_config", asked, other)
    assert eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"] == []


def test_an_association_is_made_and_changed_once(hub, wire, eks, cluster):
    made = wire.client("iam").create_role(RoleName=unique("app"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)
    role = made["Role"]["Arn"]
    hub.settle()
    asked = {"clusterName": cluster, "namespace": "a", "serviceAccount": "bot", "roleArn": role}
    made = counts_once(hub, eks, "create_pod_identity_association", asked, {"namespace": "b"})["association"]
    asked = {"clusterName": cluster, "associationId": made["associationId"], "disableSessionTags": True}
    counts_once(hub, eks, "update_pod_identity_association", asked, {"disableSessionTags": False})
    assert len(eks.list_pod_identity_associations(clusterName=cluster)["associations"]) == 1


def test_a_token_is_one_callers_and_one_operations(hub, eks, cluster):
    token = str(uuid.uuid4())
    ana, eva = hub.create_user("ana"), hub.create_user("eva")
    statement = {"Effect": "Allow", "Action": "eks:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
    hub.settle()
    named = {"clusterName": cluster, "principalArn": eva.arn}
    eks.create_access_entry(**named, clientRequestToken=token)
    hub.settle()
    eks.update_access_entry(**named, username="eva", clientRequestToken=token)
    theirs = Wire(hub, ana.credentials).eks
    with refused(theirs, "ResourceInUseException", "already in use", 409):
        theirs.create_access_entry(**named, clientRequestToken=token)


def test_a_token_is_one_accounts(hub, eks):
    """Two accounts ask the same with the same token: each has a cluster of its own, and its own answer again."""
    hub.cli("iam", "account", "create", OTHER_ACCOUNT, "--authority", "local", "--name", unique("other"))
    eve = hub.create_user("eve", account=OTHER_ACCOUNT)
    let(hub, eve.name, {"Effect": "Allow", "Action": "*", "Resource": "*"}, account=OTHER_ACCOUNT)
    callers = {hub.account: eks, OTHER_ACCOUNT: Wire(hub, eve.credentials).eks}
    name, token = unique("once"), str(uuid.uuid4())
    made = {account: create(own, name, clientRequestToken=token)["cluster"] for account, own in callers.items()}
    hub.settle()
    for account, own in callers.items():
        assert f":{account}:cluster/{name}" in made[account]["arn"]
        assert create(own, name, clientRequestToken=token)["cluster"] == made[account]
        assert own.describe_cluster(name=name)["cluster"]["arn"] == made[account]["arn"]
        with refused(own, "InvalidRequestException", "other parameters"):
            create(own, name, "API", clientRequestToken=token)
        update = {"accessConfig": {"authenticationMode": "API"}, "clientRequestToken": token}
        updated = own.update_cluster_config(name=name, **update)["update"]
        hub.settle()
        assert own.list_updates(name=name)["updateIds"] == [updated["id"]], "of the other account's change nothing"


def test_a_token_that_is_none_is_refused(eks, cluster):
    for token in ("", "a b", "t" * 257):
        with refused(eks, "InvalidParameterException", "clientRequestToken"):
            eks.update_cluster_config(
                name=cluster, accessConfig={"authenticationMode": "API"}, clientRequestToken=token
            )
    assert eks.list_updates(name=cluster)["updateIds"] == []
