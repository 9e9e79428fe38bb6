"""Changes of a cluster that EKS's clients follow: its mode, its identity providers, and the updates that tell of them."""

from __future__ import annotations

import json
import uuid

import pytest

from hub import unique
from wire import refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


@pytest.fixture
def cluster(hub, eks) -> str:
    """In the mode that EKS has as default."""
    name = unique("follow")
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={})
    hub.settle()
    return name


def change_mode(eks, name: str, mode: str) -> dict:
    return eks.update_cluster_config(name=name, accessConfig={"authenticationMode": mode})["update"]


def test_the_mode_goes_forward_and_each_step_is_an_update(hub, wire, eks, cluster):
    assert eks.list_updates(name=cluster)["updateIds"] == []
    ids = []
    for before, now in zip(MODES, MODES[1:], strict=False):
        assert eks.describe_cluster(name=cluster)["cluster"]["accessConfig"]["authenticationMode"] == before
        update = change_mode(eks, cluster, now)
        assert update["status"] == "Successful" and update["type"] == "AccessConfigUpdate"
        assert update["params"] == [{"type": "AuthenticationMode", "value": now}] and update["errors"] == []
        hub.settle()
        assert eks.describe_update(name=cluster, updateId=update["id"])["update"] == update
        told = eks.describe_cluster(name=cluster)["cluster"]
        assert (told["accessConfig"]["authenticationMode"], told["status"]) == (now, "ACTIVE")
        ids.append(update["id"])
    pages = list(eks.get_paginator("list_updates").paginate(name=cluster, PaginationConfig={"PageSize": 1}))
    assert len(pages) == 2 and [one for page in pages for one in page["updateIds"]] == ids
    # The entries that wait in the first mode count in the others.
    assert eks.list_access_entries(clusterName=cluster)["accessEntries"]
    told = wire.aws_json("eks", "describe-update", "--name", cluster, "--update-id", ids[0])["update"]
    assert told["id"] == ids[0] and told["status"] == "Successful"


def test_no_mode_goes_back_skips_a_step_or_stands_still(hub, wire, eks, cluster):
    forward = set(zip(MODES, MODES[1:], strict=False))
    for before in MODES:
        for after in MODES:
            if (before, after) not in forward:
                text = f"Unsupported authentication mode update from {before} to {after}"
                with refused(eks, "InvalidParameterException", text):
                    change_mode(eks, cluster, after)
        following = [after for first, after in forward if first == before]
        for after in following:
            access = f"authenticationMode={after}"
            wire.aws_json("eks", "update-cluster-config", "--name", cluster, "--access-config", access)
            hub.settle()
    assert len(eks.list_updates(name=cluster)["updateIds"]) == 2, "what is refused makes no update"


def test_what_of_a_cluster_is_elsewhere_is_not_changed_here(eks, cluster):
    with refused(eks, "InvalidParameterException", "logging"):
        eks.update_cluster_config(name=cluster, logging={"clusterLogging": []})
    with refused(eks, "InvalidParameterException", "resourcesVpcConfig"):
        eks.update_cluster_config(name=cluster, resourcesVpcConfig={"endpointPublicAccess": False})
    with refused(eks, "InvalidParameterException", "accessConfig"):
        eks.update_cluster_config(name=cluster)
    with refused(eks, "InvalidParameterException", "accessConfig.authenticationMode"):
        change_mode(eks, cluster, "MAP")
    with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
        change_mode(eks, "none", "API")


def test_an_update_that_is_not_there_is_not_found(eks, cluster):
    with refused(eks, "ResourceNotFoundException", "", 404):
        eks.describe_update(name=cluster, updateId=str(uuid.uuid4()))
    with refused(eks, "InvalidParameterException", "updateId"):
        eks.describe_update(name=cluster, updateId="1")
    for other in ({"nodegroupName": "a"}, {"addonName": "a"}, {"capabilityName": "a"}):
        with refused(eks, "ResourceNotFoundException", "found for name: a.", 404):
            eks.list_updates(name=cluster, **other)
    with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
        eks.list_updates(name="none")
    with refused(eks, "InvalidParameterException", "nextToken"):
        eks.list_updates(name=cluster, nextToken="AAAA")


def test_an_identity_provider_is_associated_read_and_disassociated(hub, eks, cluster):
    oidc = {
        "identityProviderConfigName": "okta",
        "issuerUrl": f"https://{cluster}.example",
        "clientId": cluster,
        "usernameClaim": "email",
        "usernamePrefix": "okta:",
        "groupsClaim": "groups",
        "groupsPrefix": "okta:",
        "requiredClaims": {"team": "a"},
    }
    config = {"type": "oidc", "name": "okta"}
    made = eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc, tags={"k": "v"})
    assert made["tags"] == {"k": "v"}
    update = made["update"]
    assert (update["type"], update["status"]) == ("AssociateIdentityProviderConfig", "Successful")
    [param] = update["params"]
    assert param["type"] == "IdentityProviderConfig" and json.loads(param["value"]) == [config]
    hub.settle()
    assert eks.describe_update(name=cluster, updateId=update["id"])["update"] == update
    read = eks.describe_identity_provider_config(clusterName=cluster, identityProviderConfig=config)
    told = read["identityProviderConfig"]["oidc"]
    assert {name: told[name] for name in oidc} == oidc, "a read after a write shows no difference"
    assert told["tags"] == {"k": "v"} and told["status"] == "ACTIVE"
    with refused(eks, "ResourceInUseException", "", 409):
        eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc)
    gone = eks.disassociate_identity_provider_config(clusterName=cluster, identityProviderConfig=config)["update"]
    assert (gone["type"], gone["status"]) == ("DisassociateIdentityProviderConfig", "Successful")
    hub.settle()
    assert eks.list_updates(name=cluster)["updateIds"] == [update["id"], gone["id"]]
    with refused(eks, "ResourceNotFoundException", "", 404):
        eks.describe_identity_provider_config(clusterName=cluster, identityProviderConfig=config)
    with refused(eks, "InvalidRequestException", "Identity provider config is not associated with cluster"):
        eks.disassociate_identity_provider_config(clusterName=cluster, identityProviderConfig=config)


def test_each_rule_of_an_identity_provider_has_its_error(eks, cluster):
    good = {"identityProviderConfigName": "a", "issuerUrl": f"https://{cluster}.example", "clientId": cluster}
    bad = [
        {"identityProviderConfigName": "-"},
        {"issuerUrl": f"http://{cluster}.example"},
        {"issuerUrl": f"https://{cluster}.example?a=b"},
        {"clientId": ""},
        {"usernamePrefix": "system:"},
        {"groupsClaim": "groups", "groupsPrefix": "system:"},
        {"requiredClaims": {"": "v"}},
        {"requiredClaims": {"k" * 64: "v"}},
        {"requiredClaims": {"k": ""}},
        {"requiredClaims": {"k": "v" * 254}},
    ]
    for members in bad:
        with refused(eks, "InvalidParameterException"):
            eks.associate_identity_provider_config(clusterName=cluster, oidc={**good, **members})
    for tags, text in (({"AWS:x": "1"}, "tag"), ({}, "tags: at least one has to be given")):
        with refused(eks, "InvalidParameterException", text):
            eks.associate_identity_provider_config(clusterName=cluster, oidc=good, tags=tags)
    with refused(eks, "InvalidParameterException", "identityProviderConfig.type"):
        eks.disassociate_identity_provider_config(
            clusterName=cluster, identityProviderConfig={"type": "saml", "name": "a"}
        )
    with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
        eks.associate_identity_provider_config(clusterName="none", oidc=good)
    assert eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"] == []
    assert eks.list_updates(name=cluster)["updateIds"] == []
    # An issuer is one configuration's, whatever else differs.
    eks.associate_identity_provider_config(clusterName=cluster, oidc=good)
    other = {"identityProviderConfigName": "b", "clientId": f"{cluster}-b", "usernamePrefix": "b:"}
    with refused(eks, "ResourceInUseException", good["issuerUrl"], 409):
        eks.associate_identity_provider_config(clusterName=cluster, oidc=good | other)
    alike = {"identityProviderConfigName": "c", "issuerUrl": f"{good['issuerUrl']}/c", "usernamePrefix": good["issuerUrl"]}
    with refused(eks, "InvalidParameterException", "begin alike"):
        eks.associate_identity_provider_config(clusterName=cluster, oidc=good | other | alike)


def test_two_identity_providers_of_a_cluster_do_not_give_the_same_groups(hub, eks, cluster):
    def oidc(name: str, **members) -> dict:
        own = {"identityProviderConfigName": name, "issuerUrl": f"https://{name}.example", "clientId": f"{cluster}-{name}"}
        return own | {"groupsClaim": "groups"} | members

    eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc("a"))
    hub.settle()
    with refused(eks, "InvalidParameterException", "configuration `a` gives groups without a prefix already"):
        eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc("b"))
    eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc("b", groupsPrefix="b:"))
    hub.settle()
    with refused(eks, "InvalidParameterException", "begin alike"):
        eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc("c", groupsPrefix="b:c:"))


def test_a_cluster_has_ten_identity_providers_and_twelve_kilobytes_of_them(hub, eks, cluster):
    def associate(number: int, **members) -> None:
        own = {"identityProviderConfigName": f"p{number}", "issuerUrl": f"https://{cluster}.example/{number}"}
        eks.associate_identity_provider_config(
            clusterName=cluster, oidc=own | {"clientId": f"{cluster}-{number}"} | members
        )
        hub.settle()

    def listed() -> int:
        return len(eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"])

    # Twenty claims of the longest names and values are more than six kilobytes, so that two such configurations are too many.
    large = {f"{number:02}".ljust(63, "k"): "v" * 253 for number in range(20)}
    associate(1, requiredClaims=large)
    with refused(eks, "InvalidRequestException", "bytes of the identity-provider configurations of one cluster is 12288"):
        associate(2, requiredClaims=large)
    assert listed() == 1
    for number in range(2, 11):
        associate(number)
    with refused(eks, "InvalidRequestException", "the limit for identity-provider configurations of one cluster is 10"):
        associate(11)
    assert listed() == 10
    config = {"type": "oidc", "name": "p1"}
    eks.disassociate_identity_provider_config(clusterName=cluster, identityProviderConfig=config)
    hub.settle()
    associate(11)
    assert listed() == 10
