"""What Terraform's AWS provider sends for its resources, in its order: create, read, refresh, update in place, replace, destroy, and
the read that has to find nothing, told by the code that the provider looks for."""

from __future__ import annotations

import json

import pytest

from hub import unique
from wire import ANY_CLUSTER, PODS, refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


@pytest.fixture
def cluster(hub, eks) -> str:
    name = unique("terraform")
    eks.create_cluster(
        name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
    )
    hub.settle()
    return name


@pytest.fixture
def role(hub, iam):
    def make() -> str:
        made = iam.create_role(RoleName=unique("terraform"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)
        hub.settle()
        return made["Role"]["Arn"]

    return make


def no_difference(read) -> dict:
    """The read after an apply, and the refresh before the next plan."""
    first = read()
    assert read() == first, "a refresh shows a difference"
    return first


def retagged(hub, eks, arn: str, before: dict[str, str], after: dict[str, str]) -> None:
    """As the provider moves tags: what goes is taken off, what is new or another is put on."""
    if gone := sorted(before.keys() - after.keys()):
        eks.untag_resource(resourceArn=arn, tagKeys=gone)
    if new := {key: value for key, value in after.items() if before.get(key) != value}:
        eks.tag_resource(resourceArn=arn, tags=new)
    hub.settle()


def document(action: str, **more) -> str:
    statement = {"Action": action, "Effect": "Allow", **more}
    return json.dumps({"Statement": [statement], "Version": "2012-10-17"}, separators=(",", ":"))


def test_aws_eks_access_entry(hub, eks, cluster):
    ana, bob = hub.create_user("ana", path="/team/"), hub.create_user("bob")
    hub.settle()

    def read(arn: str) -> dict:
        return eks.describe_access_entry(clusterName=cluster, principalArn=arn)["accessEntry"]

    tags = {"team": "a", "stage": "live"}
    made = eks.create_access_entry(
        clusterName=cluster, principalArn=ana.arn, kubernetesGroups=["b", "a"], type="STANDARD", tags=tags
    )["accessEntry"]
    hub.settle()
    state = no_difference(lambda: read(ana.arn))
    assert state == made and sorted(state["kubernetesGroups"]) == ["a", "b"] and state["username"] == ana.arn
    # In place: groups, username, tags.
    changed = eks.update_access_entry(
        clusterName=cluster, principalArn=ana.arn, kubernetesGroups=["c"], username="ana"
    )["accessEntry"]
    retagged(hub, eks, state["accessEntryArn"], tags, {"team": "b"})
    after = no_difference(lambda: read(ana.arn))
    assert (after["kubernetesGroups"], after["username"], after["tags"]) == (["c"], "ana", {"team": "b"})
    assert after["accessEntryArn"] == changed["accessEntryArn"] == state["accessEntryArn"]
    assert (after["createdAt"], after["type"]) == (state["createdAt"], "STANDARD")
    # Replace: another principal, and the same one made anew, is another entry.
    eks.delete_access_entry(clusterName=cluster, principalArn=ana.arn)
    eks.create_access_entry(clusterName=cluster, principalArn=bob.arn)
    eks.create_access_entry(clusterName=cluster, principalArn=ana.arn)
    hub.settle()
    assert no_difference(lambda: read(bob.arn))["principalArn"] == bob.arn
    anew = no_difference(lambda: read(ana.arn))
    assert anew["accessEntryArn"] != state["accessEntryArn"] and anew["kubernetesGroups"] == [] and anew["tags"] == {}
    for person in (ana, bob):
        eks.delete_access_entry(clusterName=cluster, principalArn=person.arn)
        hub.settle()
        with refused(eks, "ResourceNotFoundException", "The specified principalArn could not be found", 404):
            read(person.arn)
        with refused(eks, "ResourceNotFoundException", "", 404):
            eks.delete_access_entry(clusterName=cluster, principalArn=person.arn)


def test_aws_eks_access_policy_association(hub, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    own = {"clusterName": cluster, "principalArn": ana.arn}

    def read() -> dict | None:
        """The provider turns all pages and looks for its policy; none of it is its not found."""
        pages = eks.get_paginator("list_associated_access_policies").paginate(**own)
        found = [one for page in pages for one in page["associatedAccessPolicies"] if one["policyArn"] == VIEW]
        return found[0] if found else None

    # An association that is made with its entry is tried until that is there.
    with refused(eks, "ResourceNotFoundException", "The specified principalArn could not be found", 404):
        eks.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"})
    eks.create_access_entry(**own)
    hub.settle()
    assert read() is None
    scope = {"type": "namespace", "namespaces": ["a", "b-*"]}
    made = eks.associate_access_policy(**own, policyArn=VIEW, accessScope=scope)
    hub.settle()
    state = no_difference(read)
    assert state == made["associatedAccessPolicy"] and state["accessScope"] == scope
    # Replace: each member of it forces a new one.
    eks.disassociate_access_policy(**own, policyArn=VIEW)
    eks.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"})
    hub.settle()
    assert no_difference(read)["accessScope"] == {"type": "cluster", "namespaces": []}
    eks.disassociate_access_policy(**own, policyArn=VIEW)
    hub.settle()
    assert read() is None
    with refused(eks, "ResourceNotFoundException", "", 404):
        eks.disassociate_access_policy(**own, policyArn=VIEW)
    eks.delete_access_entry(**own)
    hub.settle()
    with refused(eks, "ResourceNotFoundException", "", 404):
        read()


def test_aws_eks_pod_identity_association(hub, eks, cluster, role):
    first, second = role(), role()
    tags = {"team": "a"}
    made = eks.create_pod_identity_association(
        clusterName=cluster, namespace="a", serviceAccount="bot", roleArn=first, tags=tags
    )["association"]
    own = {"clusterName": cluster, "associationId": made["associationId"]}

    def read() -> dict:
        return eks.describe_pod_identity_association(**own)["association"]

    hub.settle()
    state = no_difference(read)
    assert state == made and state["tags"] == tags and state["disableSessionTags"] is False
    assert "targetRoleArn" not in state and "externalId" not in state
    # In place: role, target role, session tags, tags.
    target = "arn:aws:iam::444455556666:role/data"
    eks.update_pod_identity_association(**own, roleArn=second, targetRoleArn=target, disableSessionTags=True)
    retagged(hub, eks, state["associationArn"], tags, {"team": "b", "stage": "live"})
    after = no_difference(read)
    assert (after["roleArn"], after["targetRoleArn"], after["disableSessionTags"]) == (second, target, True)
    assert after["externalId"] and after["tags"] == {"team": "b", "stage": "live"}
    assert (after["associationArn"], after["createdAt"]) == (state["associationArn"], state["createdAt"])
    # And back to what it was.
    eks.update_pod_identity_association(**own, roleArn=first, targetRoleArn="", disableSessionTags=False)
    retagged(hub, eks, state["associationArn"], after["tags"], tags)
    assert no_difference(read) | {"modifiedAt": 0} == state | {"modifiedAt": 0}
    # Replace: another namespace.
    eks.delete_pod_identity_association(**own)
    anew = eks.create_pod_identity_association(clusterName=cluster, namespace="b", serviceAccount="bot", roleArn=first)
    hub.settle()
    with refused(eks, "ResourceNotFoundException", "", 404):
        read()
    own["associationId"] = anew["association"]["associationId"]
    assert no_difference(read)["namespace"] == "b"
    eks.delete_pod_identity_association(**own)
    hub.settle()
    for gone in (read, lambda: eks.delete_pod_identity_association(**own)):
        with refused(eks, "ResourceNotFoundException", "", 404):
            gone()


def test_aws_eks_identity_provider_config(hub, eks, cluster):
    config = {"type": "oidc", "name": "okta"}
    own = {"clusterName": cluster, "identityProviderConfig": config}
    oidc = {
        "identityProviderConfigName": "okta",
        "issuerUrl": f"https://{cluster}.example",
        "clientId": cluster,
        "groupsClaim": "groups",
        "groupsPrefix": "okta:",
        "requiredClaims": {"team": "a"},
        "usernameClaim": "email",
        "usernamePrefix": "okta:",
    }

    def read() -> dict:
        return eks.describe_identity_provider_config(**own)["identityProviderConfig"]["oidc"]

    def gone() -> None:
        with refused(eks, "ResourceNotFoundException", "", 404):
            read()
        with refused(eks, "InvalidRequestException", "Identity provider config is not associated with cluster"):
            eks.disassociate_identity_provider_config(**own)

    gone()
    eks.associate_identity_provider_config(clusterName=cluster, oidc=oidc, tags={"team": "a"})
    hub.settle()
    # The provider waits until it is no more CREATING.
    state = no_difference(read)
    assert state["status"] == "ACTIVE" and state["clusterName"] == cluster and state["tags"] == {"team": "a"}
    assert {name: state[name] for name in oidc} == oidc
    # In place: tags, and nothing else.
    retagged(hub, eks, state["identityProviderConfigArn"], {"team": "a"}, {"stage": "live"})
    assert no_difference(read) == state | {"tags": {"stage": "live"}}
    # Replace.
    eks.disassociate_identity_provider_config(**own)
    hub.settle()
    gone()
    bare = {name: oidc[name] for name in ("identityProviderConfigName", "issuerUrl", "clientId")}
    eks.associate_identity_provider_config(clusterName=cluster, oidc=bare)
    hub.settle()
    anew = no_difference(read)
    assert anew["identityProviderConfigArn"] != state["identityProviderConfigArn"]
    assert not {"groupsClaim", "groupsPrefix", "usernameClaim", "usernamePrefix"} & set(anew), anew
    assert anew["requiredClaims"] == {} or "requiredClaims" not in anew
    eks.disassociate_identity_provider_config(**own)
    hub.settle()
    gone()


def test_aws_iam_role(hub, iam):
    name = unique("terraform")
    own = {"RoleName": name}

    def read() -> dict:
        """The role, its inline policies one by one, and those that are attached."""
        found = iam.get_role(**own)["Role"]
        policies = {
            policy: iam.get_role_policy(**own, PolicyName=policy)["PolicyDocument"]
            for page in iam.get_paginator("list_role_policies").paginate(**own)
            for policy in page["PolicyNames"]
        }
        pages = iam.get_paginator("list_attached_role_policies").paginate(**own)
        return found | {
            "inline": policies,
            "attached": [one for page in pages for one in page["AttachedPolicies"]],
        }

    def create(path: str) -> dict:
        trust = document("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{hub.account}:root"})
        made = iam.create_role(
            **own,
            Path=path,
            AssumeRolePolicyDocument=trust,
            Description="Deploys",
            MaxSessionDuration=7200,
            Tags=[{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": "live"}],
        )["Role"]
        iam.put_role_policy(**own, PolicyName="read", PolicyDocument=document("eks:Describe*", Resource="*"))
        hub.settle()
        iam.get_waiter("role_exists").wait(**own, WaiterConfig={"Delay": 0, "MaxAttempts": 3})
        return made

    def destroy() -> None:
        assert iam.list_instance_profiles_for_role(**own)["InstanceProfiles"] == []
        for policy in iam.list_role_policies(**own)["PolicyNames"]:
            iam.delete_role_policy(**own, PolicyName=policy)
        iam.delete_role(**own)
        hub.settle()
        for again in (iam.get_role, iam.delete_role):
            with refused(iam, "NoSuchEntity", name, 404):
                again(**own)

    made = create("/ci/")
    state = no_difference(read)
    assert (state["Arn"], state["RoleId"], state["CreateDate"]) == (made["Arn"], made["RoleId"], made["CreateDate"])
    assert (state["Path"], state["Description"], state["MaxSessionDuration"]) == ("/ci/", "Deploys", 7200)
    assert state["AssumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"
    assert sorted(tag["Key"] for tag in state["Tags"]) == ["stage", "team"] and state["attached"] == []
    assert state["inline"]["read"]["Statement"][0]["Action"] == "eks:Describe*"
    # In place, each attribute by the operation that the provider has for it.
    narrower = document("sts:AssumeRole", Principal={"AWS": hub.create_user("somebody").arn})
    iam.update_assume_role_policy(**own, PolicyDocument=narrower)
    described = iam.update_role_description(**own, Description="Deploys more")["Role"]
    assert (described["Description"], described["MaxSessionDuration"]) == ("Deploys more", 7200)
    iam.update_role(**own, MaxSessionDuration=3600)
    iam.delete_role_policy(**own, PolicyName="read")
    iam.put_role_policy(**own, PolicyName="write", PolicyDocument=document("eks:*", Resource="*"))
    iam.untag_role(**own, TagKeys=["stage"])
    iam.tag_role(**own, Tags=[{"Key": "team", "Value": "b"}])
    hub.settle()
    after = no_difference(read)
    assert (after["Description"], after["MaxSessionDuration"]) == ("Deploys more", 3600)
    assert after["AssumeRolePolicyDocument"] == json.loads(narrower) and list(after["inline"]) == ["write"]
    assert after["Tags"] == [{"Key": "team", "Value": "b"}]
    assert (after["Arn"], after["RoleId"]) == (state["Arn"], state["RoleId"])
    # A description that is taken out of the file is sent empty, and then shows no difference.
    iam.update_role_description(**own, Description="")
    hub.settle()
    assert no_difference(read).get("Description", "") == ""
    # Replace: another path.
    destroy()
    anew = create("/cd/")
    assert anew["RoleId"] != state["RoleId"] and no_difference(read)["Path"] == "/cd/"
    destroy()


def test_aws_iam_openid_connect_provider(hub, iam):
    host = f"{unique('terraform')}.example/ci"
    tags = [{"Key": "team", "Value": "a"}]

    def create(**more) -> str:
        made = iam.create_open_id_connect_provider(Url=f"https://{host}", Tags=tags, **more)
        hub.settle()
        return made["OpenIDConnectProviderArn"]

    arn = create(ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0f" * 20])
    own = {"OpenIDConnectProviderArn": arn}

    def read() -> dict:
        found = iam.get_open_id_connect_provider(**own)
        found.pop("ResponseMetadata")
        return found

    state = no_difference(read)
    assert (state["Url"], state["ClientIDList"], state["ThumbprintList"]) == (host, ["sts.amazonaws.com"], ["0f" * 20])
    assert state["Tags"] == tags and state["CreateDate"]
    # In place: thumbprints, client ids, tags.
    iam.update_open_id_connect_provider_thumbprint(**own, ThumbprintList=["1f" * 20, "2f" * 20])
    iam.remove_client_id_from_open_id_connect_provider(**own, ClientID="sts.amazonaws.com")
    iam.add_client_id_to_open_id_connect_provider(**own, ClientID="other")
    iam.untag_open_id_connect_provider(**own, TagKeys=["team"])
    iam.tag_open_id_connect_provider(**own, Tags=[{"Key": "stage", "Value": "live"}])
    hub.settle()
    after = no_difference(read)
    assert (after["ClientIDList"], after["ThumbprintList"]) == (["other"], ["1f" * 20, "2f" * 20])
    assert after["Tags"] == [{"Key": "stage", "Value": "live"}] and after["CreateDate"] == state["CreateDate"]
    # Replace: the URL forces a new one; here the same, without thumbprints, which are optional.
    iam.delete_open_id_connect_provider(**own)
    hub.settle()
    assert create(ClientIDList=["sts.amazonaws.com"]) == arn
    assert no_difference(read)["ClientIDList"] == ["sts.amazonaws.com"]
    iam.delete_open_id_connect_provider(**own)
    hub.settle()
    with refused(iam, "NoSuchEntity", "", 404):
        read()
    with refused(iam, "NoSuchEntity", "", 404):
        iam.delete_open_id_connect_provider(**own)
