"""Access entries and their access policies on the AWS wire, by every rule of EKS's with the error that it gives."""

from __future__ import annotations

import json

import pytest
from botocore import xform_name

from hub import REGION, unique
from wire import CLUSTER_ROLE, Wire, code_of, let, refused

ROLE_TRUST = '{"Version":"2012-10-17","Statement":[]}'
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
AUTO_NODE = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy"


@pytest.fixture
def cluster(hub, eks) -> str:
    name = unique("wire")
    made = eks.create_cluster(
        name=name,
        roleArn="arn:aws:iam::111122223333:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1"]},
        accessConfig={"authenticationMode": "API"},
    )["cluster"]
    assert made["status"] == "ACTIVE" and made["accessConfig"]["authenticationMode"] == "API"
    hub.settle()
    eks.get_waiter("cluster_active").wait(name=name)
    return name


def test_an_entry_is_made_read_changed_and_deleted(hub, wire, eks, cluster):
    ana = hub.create_user("ana", path="/team/")
    hub.settle()
    made = eks.create_access_entry(
        clusterName=cluster, principalArn=ana.arn, kubernetesGroups=["viewers"], tags={"team": "a"}
    )["accessEntry"]
    assert made["clusterName"] == cluster and made["principalArn"] == ana.arn
    assert made["kubernetesGroups"] == ["viewers"] and made["tags"] == {"team": "a"}
    assert made["type"] == "STANDARD" and made["username"] == ana.arn
    head = f"arn:aws:eks:{REGION}:{hub.account}:access-entry/{cluster}/user/{hub.account}/{ana.name}/"
    assert made["accessEntryArn"].startswith(head), made
    hub.settle()
    read = eks.describe_access_entry(clusterName=cluster, principalArn=ana.arn)["accessEntry"]
    assert read == made, "a read after a write shows no difference"
    changed = eks.update_access_entry(clusterName=cluster, principalArn=ana.arn, username="ana")["accessEntry"]
    assert changed["username"] == "ana" and changed["kubernetesGroups"] == ["viewers"], "what is absent stays"
    assert changed["modifiedAt"] >= made["modifiedAt"] and changed["createdAt"] == made["createdAt"]
    changed = eks.update_access_entry(clusterName=cluster, principalArn=ana.arn, kubernetesGroups=[])["accessEntry"]
    assert changed["kubernetesGroups"] == [], "an empty list clears"
    hub.settle()
    assert ana.arn in eks.list_access_entries(clusterName=cluster)["accessEntries"]
    assert eks.delete_access_entry(clusterName=cluster, principalArn=ana.arn)["ResponseMetadata"]["HTTPStatusCode"] == 200
    hub.settle()
    for again in (eks.describe_access_entry, eks.delete_access_entry, eks.update_access_entry):
        with refused(eks, "ResourceNotFoundException", "The specified principalArn could not be found.", 404):
            again(clusterName=cluster, principalArn=ana.arn)
    # By the AWS CLI the same.
    wire.aws_json("eks", "create-access-entry", "--cluster-name", cluster, "--principal-arn", ana.arn)
    hub.settle()
    told = wire.aws_json("eks", "describe-access-entry", "--cluster-name", cluster, "--principal-arn", ana.arn)
    assert told["accessEntry"]["username"] == ana.arn
    done = wire.aws("eks", "create-access-entry", "--cluster-name", cluster, "--principal-arn", ana.arn)
    assert done.returncode != 0 and "ResourceInUseException" in done.stderr, done.stderr


def test_a_role_of_a_session_has_the_username_that_eks_gives(hub, eks, cluster):
    role = hub.create_role("dev", trusts=f"arn:aws:iam::{hub.account}:root", path="/team/")
    hub.settle()
    made = eks.create_access_entry(clusterName=cluster, principalArn=role.arn)["accessEntry"]
    assert made["username"] == f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/{{{{SessionName}}}}"
    node = hub.create_role("node", trusts=f"arn:aws:iam::{hub.account}:root")
    hub.settle()
    made = eks.create_access_entry(clusterName=cluster, principalArn=node.arn, type="EC2_LINUX")["accessEntry"]
    assert made["username"] == "system:node:{{EC2PrivateDNSName}}" and made["kubernetesGroups"] == ["system:nodes"]
    hub.settle()
    standard = 'This operation can only be performed on Access Entries with a type of "STANDARD".'
    with refused(eks, "InvalidParameterException", standard):
        eks.associate_access_policy(
            clusterName=cluster, principalArn=node.arn, policyArn=VIEW, accessScope={"type": "cluster"}
        )
    with refused(eks, "InvalidParameterException", standard):
        eks.update_access_entry(clusterName=cluster, principalArn=node.arn, kubernetesGroups=["a"])


def test_each_rule_has_its_error(hub, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    account = hub.account

    def create(**members):
        eks.create_access_entry(**{"clusterName": cluster, "principalArn": ana.arn, **members})

    invalid_principal = "The specified principalArn is invalid: invalid principal."
    principals = [
        f"arn:aws:iam::{account}:user/nobody",
        f"arn:aws:sts::{account}:assumed-role/dev/ana",
        f"arn:aws:sts::{account}:federated-user/ana",
        f"arn:aws:iam::{account}:role/aws-service-role/eks.amazonaws.com/x",
        f"arn:aws:iam::{account}:root",
        f"arn:aws:iam::{account}:user/dev-*",
        "ana",
    ]
    for principal in principals:
        with refused(eks, "InvalidParameterException", invalid_principal):
            create(principalArn=principal)
    parameters = [
        ({"kubernetesGroups": ["system:masters"]}, "it cannot start with system:"),
        ({"kubernetesGroups": ["system:"]}, "it cannot start with system:"),
        ({"kubernetesGroups": ["lanyard:a"]}, "it cannot start with lanyard:"),
        ({"username": "system:x"}, "begins with `system:`, which is reserved"),
        ({"username": "eks:x"}, "begins with `eks:`, which is reserved"),
        ({"username": "aws:x"}, "begins with `aws:`, which is reserved"),
        ({"username": "amazon:x"}, "begins with `amazon:`, which is reserved"),
        ({"username": "iam:x"}, "begins with `iam:`, which is reserved"),
        ({"username": "lanyard:x"}, "begins with `lanyard:`, which is reserved"),
        ({"username": "{{SessionName}}"}, "put a `:` before the session's name"),
        ({"username": "{{SessionNameRaw}}:x"}, "put a `:` before the session's name"),
        ({"username": "x:{{EC2PrivateDNSName}}"}, "names a node"),
        ({"username": "dev:{{SessionName}}"}, "which a user never has"),
        ({"username": "dev:{{SessionNameRaw}}"}, "which a user never has"),
        ({"type": "NONE"}, "type"),
        ({"tags": {}}, "tags: at least one has to be given"),
        ({"tags": {"AWS:x": "1"}}, "which is reserved"),
        ({"tags": {"k" * 129: "1"}}, "is not 1 to 128 characters long"),
        ({"tags": {"": "1"}}, "is not 1 to 128 characters long"),
        ({"tags": {"k": "v" * 257}}, "is longer than 256 characters"),
        ({"tags": {str(n): "" for n in range(51)}}, "at most 50 tags"),
    ]
    for members, text in parameters:
        with refused(eks, "InvalidParameterException", text):
            create(**members)
    create()
    with refused(eks, "ResourceInUseException", "already in use on this cluster", 409):
        create()
    with refused(eks, "ResourceNotFoundException", "No cluster found for name: none.", 404):
        create(clusterName="none")
    hub.settle()
    for members, text in parameters:
        if set(members) <= {"kubernetesGroups", "username"}:
            with refused(eks, "InvalidParameterException", text):
                eks.update_access_entry(clusterName=cluster, principalArn=ana.arn, **members)
    entry = eks.describe_access_entry(clusterName=cluster, principalArn=ana.arn)["accessEntry"]
    assert (entry["username"], entry["kubernetesGroups"]) == (ana.arn, []), "nothing came of any of it"
    changed = eks.update_access_entry(clusterName=cluster, principalArn=ana.arn, username="dev:ana")
    assert changed["accessEntry"]["username"] == "dev:ana"


def test_each_type_of_node_has_its_names_and_no_others(hub, eks, cluster):
    by_instance, by_session = "system:node:{{EC2PrivateDNSName}}", "system:node:{{SessionName}}"
    types = {
        "EC2_LINUX": by_instance,
        "EC2_WINDOWS": by_instance,
        "EC2": by_instance,
        "FARGATE_LINUX": by_session,
        "HYBRID_LINUX": by_session,
        "HYPERPOD_LINUX": by_session,
    }
    # Nodes are roles of the cluster's own account, whomever else the cluster trusts.
    ana = hub.create_user("ana")
    hub.cli("cluster", "update", cluster, "--trust", f"local/{hub.account}", "--trust", "aws/444455556666")
    roles = {kind: hub.create_role("node", trusts=f"arn:aws:iam::{hub.account}:root") for kind in types}
    hub.settle()
    standard = 'This operation can only be performed on Access Entries with a type of "STANDARD".'
    for kind, username in types.items():
        own = {"clusterName": cluster, "principalArn": roles[kind].arn}
        for principal in (ana.arn, "arn:aws:iam::444455556666:role/node"):
            with refused(eks, "InvalidParameterException", "The specified principalArn is invalid: invalid principal."):
                eks.create_access_entry(clusterName=cluster, principalArn=principal, type=kind)
        for members in ({"username": "node:a"}, {"kubernetesGroups": ["nodes"]}):
            with refused(eks, "InvalidParameterException", standard):
                eks.create_access_entry(**own, type=kind, **members)
        made = eks.create_access_entry(**own, type=kind)["accessEntry"]
        assert (made["type"], made["username"], made["kubernetesGroups"]) == (kind, username, ["system:nodes"])
        hub.settle()
        assert eks.describe_access_entry(**own)["accessEntry"] == made
        for members in ({"username": "node:a"}, {"kubernetesGroups": ["nodes"]}):
            with refused(eks, "InvalidParameterException", standard):
                eks.update_access_entry(**own, **members)
        for policy in (VIEW,) if kind == "EC2" else (VIEW, AUTO_NODE):
            with refused(eks, "InvalidParameterException", standard):
                eks.associate_access_policy(**own, policyArn=policy, accessScope={"type": "cluster"})
        assert eks.list_associated_access_policies(**own)["associatedAccessPolicies"] == []
    # Auto Mode's nodes have one policy, and no other.
    own = {"clusterName": cluster, "principalArn": roles["EC2"].arn}
    made = eks.associate_access_policy(**own, policyArn=AUTO_NODE, accessScope={"type": "cluster"})
    assert made["associatedAccessPolicy"]["policyArn"] == AUTO_NODE
    hub.settle()
    listed = eks.list_associated_access_policies(**own)["associatedAccessPolicies"]
    assert listed == [made["associatedAccessPolicy"]]


def test_who_may_not_pass_the_role_of_ec2_nodes_makes_no_entry_for_it(hub, eks, cluster):
    ana = hub.create_user("ana")
    kinds = ("EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX")
    roles = {kind: hub.create_role("node", trusts=f"arn:aws:iam::{hub.account}:root") for kind in kinds}
    let(hub, ana.name, {"Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": "*"})
    theirs = Wire(hub, ana.credentials).eks
    for kind in kinds[:2]:
        with refused(theirs, "AccessDeniedException", "iam:PassRole", 403):
            theirs.create_access_entry(clusterName=cluster, principalArn=roles[kind].arn, type=kind)
    # Of the others no service is handed a role.
    theirs.create_access_entry(clusterName=cluster, principalArn=roles["FARGATE_LINUX"].arn, type="FARGATE_LINUX")
    let(
        hub,
        ana.name,
        {"Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": roles["EC2_LINUX"].arn},
    )
    theirs.create_access_entry(clusterName=cluster, principalArn=roles["EC2_LINUX"].arn, type="EC2_LINUX")
    with refused(theirs, "AccessDeniedException", "iam:PassRole", 403):
        theirs.create_access_entry(clusterName=cluster, principalArn=roles["EC2_WINDOWS"].arn, type="EC2_WINDOWS")


def test_policies_are_associated_replaced_listed_and_taken_off(hub, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    own = {"clusterName": cluster, "principalArn": ana.arn}
    with refused(eks, "ResourceNotFoundException", "The specified principalArn could not be found.", 404):
        eks.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"})
    eks.create_access_entry(**own)
    hub.settle()
    made = eks.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "namespace", "namespaces": ["dev-*"]})
    assert (made["clusterName"], made["principalArn"]) == (cluster, ana.arn)
    assert made["associatedAccessPolicy"]["accessScope"] == {"type": "namespace", "namespaces": ["dev-*"]}
    hub.settle()
    again = eks.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"})["associatedAccessPolicy"]
    assert again["accessScope"] == {"type": "cluster", "namespaces": []}, "associating again replaces the scope"
    assert again["associatedAt"] == made["associatedAccessPolicy"]["associatedAt"]
    eks.associate_access_policy(**own, policyArn=EDIT, accessScope={"type": "cluster"})
    hub.settle()
    pages = eks.get_paginator("list_associated_access_policies").paginate(**own, PaginationConfig={"PageSize": 1})
    listed = [policy["policyArn"] for page in pages for policy in page["associatedAccessPolicies"]]
    assert listed == [EDIT, VIEW]
    with_view = eks.list_access_entries(clusterName=cluster, associatedPolicyArn=VIEW)["accessEntries"]
    assert with_view == [ana.arn]
    eks.disassociate_access_policy(**own, policyArn=VIEW)
    hub.settle()
    with refused(eks, "ResourceNotFoundException", "The specified policyArn could not be found.", 404):
        eks.disassociate_access_policy(**own, policyArn=VIEW)
    refusals = [
        ("arn:aws:eks::aws:cluster-access-policy/None", {"type": "cluster"}, "ResourceNotFoundException", "policyArn", 404),
        ("arn:aws:eks::aws:cluster-access-policy/AmazonEKSHybridPolicy", {"type": "cluster"}, "InvalidParameterException", "can only be associated with service-linked roles", 400),
        (VIEW, {"type": "namespace"}, "InvalidParameterException", "names at least one", 400),
        (VIEW, {"type": "namespace", "namespaces": ["A"]}, "InvalidParameterException", "`A` is not a namespace", 400),
        (VIEW, {"type": "namespace", "namespaces": ["a", "a"]}, "InvalidParameterException", "stands here twice", 400),
        (VIEW, {"type": "cluster", "namespaces": ["a"]}, "InvalidParameterException", "accessScope", 400),
        (VIEW, {"type": "all"}, "InvalidParameterException", "accessScope", 400),
    ]
    for policy, scope, code, text, status in refusals:
        with refused(eks, code, text, status):
            eks.associate_access_policy(**own, policyArn=policy, accessScope=scope)


def test_the_policies_that_there_are_come_in_pages(wire, eks):
    pages = list(eks.get_paginator("list_access_policies").paginate(PaginationConfig={"PageSize": 3}))
    assert len(pages) > 2 and all(len(page["accessPolicies"]) == 3 for page in pages[:-1])
    assert "nextToken" not in pages[-1]
    arns = {policy["arn"] for page in pages for policy in page["accessPolicies"]}
    assert {VIEW, EDIT, ADMIN} <= arns
    with refused(eks, "InvalidParameterException", "nextToken"):
        eks.list_access_policies(nextToken="AAAA")


def test_entries_come_in_pages_that_are_the_callers_own_and_stay_whole(hub, wire, eks, cluster):
    people = [hub.create_user("page") for _ in range(5)]
    hub.settle()
    for person in people:
        eks.create_access_entry(clusterName=cluster, principalArn=person.arn)
    hub.settle()
    first = eks.list_access_entries(clusterName=cluster, maxResults=2)
    token = first["nextToken"]
    assert people[0].arn not in token
    # What changes meanwhile, before and behind, takes nothing out of the list and puts nothing twice into it.
    own = {person.arn for person in people}
    gone = next(arn for arn in first["accessEntries"] if arn in own)
    eks.delete_access_entry(clusterName=cluster, principalArn=gone)
    hub.settle()
    rest = eks.list_access_entries(clusterName=cluster, maxResults=100, nextToken=token)
    assert "nextToken" not in rest
    assert [arn for arn in first["accessEntries"] + rest["accessEntries"] if arn in own] == sorted(own)
    other = hub.create_user("other")
    statement = {"Effect": "Allow", "Action": "eks:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "p", "--user", other.name, "--document", "-", stdin=document)
    hub.settle()
    theirs = Wire(hub, other.credentials).eks
    assert theirs.list_access_entries(clusterName=cluster)["accessEntries"]
    for client, choices in (
        (theirs, {"clusterName": cluster}),
        (eks, {"clusterName": cluster, "associatedPolicyArn": VIEW}),
    ):
        with refused(client, "InvalidParameterException", "nextToken"):
            client.list_access_entries(**choices, nextToken=token)


def test_entries_need_a_mode_in_which_they_count(hub, eks):
    name = unique("map")
    made = eks.create_cluster(name=name, roleArn="arn:aws:iam::111122223333:role/cluster", resourcesVpcConfig={})["cluster"]
    assert made["accessConfig"]["authenticationMode"] == "CONFIG_MAP", "the default of EKS's interface"
    hub.settle()
    ana = hub.create_user("ana")
    hub.settle()
    own = {"clusterName": name, "principalArn": ana.arn}
    calls = [
        lambda: eks.create_access_entry(**own),
        lambda: eks.list_access_entries(clusterName=name),
        lambda: eks.describe_access_entry(**own),
        lambda: eks.update_access_entry(**own, username="x"),
        lambda: eks.delete_access_entry(**own),
        lambda: eks.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"}),
        lambda: eks.disassociate_access_policy(**own, policyArn=VIEW),
        lambda: eks.list_associated_access_policies(**own),
    ]
    for call in calls:
        with refused(eks, "InvalidRequestException", "The cluster's authentication mode must be set to one of"):
            call()


def test_changing_a_mapping_is_weighed_by_its_condition_keys(hub, eks, cluster):
    ana, bo = hub.create_user("ana"), hub.create_user("bo")
    statements = [
        {
            "Effect": "Allow",
            "Action": "eks:CreateAccessEntry",
            "Resource": f"arn:aws:eks:{REGION}:{hub.account}:cluster/{cluster}",
            "Condition": {"StringEquals": {"eks:principalArn": bo.arn}},
        },
        {
            "Effect": "Allow",
            "Action": "eks:AssociateAccessPolicy",
            "Resource": f"arn:aws:eks:{REGION}:{hub.account}:access-entry/{cluster}/*",
            "Condition": {"StringEquals": {"eks:policyArn": VIEW, "eks:accessScope": "namespace"}},
        },
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
    hub.settle()
    theirs = Wire(hub, ana.credentials).eks
    with refused(theirs, "AccessDeniedException", "is not authorized to perform: eks:CreateAccessEntry", 403):
        theirs.create_access_entry(clusterName=cluster, principalArn=ana.arn)
    theirs.create_access_entry(clusterName=cluster, principalArn=bo.arn)
    hub.settle()
    own = {"clusterName": cluster, "principalArn": bo.arn}
    with refused(theirs, "AccessDeniedException", "eks:AssociateAccessPolicy", 403):
        theirs.associate_access_policy(**own, policyArn=ADMIN, accessScope={"type": "cluster"})
    with refused(theirs, "AccessDeniedException", "eks:AssociateAccessPolicy", 403):
        theirs.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"})
    theirs.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "namespace", "namespaces": ["a"]})
    with refused(theirs, "AccessDeniedException", "eks:DescribeAccessEntry", 403):
        theirs.describe_access_entry(**own)


def test_what_an_entry_would_be_is_held_against_policies(hub, eks, cluster):
    """Its type, name and groups, of one that is made and of one that is changed."""
    ana = hub.create_user("ana")
    nodes = hub.create_role("nodes", trusts=ana.arn)
    bo, cy, di, eve = (hub.create_user(name) for name in ("bo", "cy", "di", "eve"))
    theirs = Wire(hub, ana.credentials).eks
    make, change = theirs.create_access_entry, theirs.update_access_entry
    named, groups = {"StringLike": {"eks:username": "team-a:*"}}, {"eks:kubernetesGroups": ["viewers", "devs"]}
    of_groups = {"ForAllValues:StringEquals": groups}
    # The action, its condition, what is let through, and what is not.
    cases = [
        (make, {"StringEquals": {"eks:accessEntryType": "STANDARD"}}, (bo, {}), (nodes, {"type": "HYBRID_LINUX"})),
        (make, {"StringEquals": {"eks:accessEntryType": "FARGATE_LINUX"}}, (nodes, {"type": "FARGATE_LINUX"}), (cy, {})),
        (make, named, (cy, {"username": "team-a:cy"}), (di, {"username": "team-b:di"})),
        (change, named, (cy, {"username": "team-a:cyd"}), (cy, {"username": "team-b:cy"})),
        (make, of_groups, (di, {"kubernetesGroups": ["viewers"]}), (eve, {"kubernetesGroups": ["viewers", "admins"]})),
        (change, of_groups, (di, {"kubernetesGroups": ["devs"]}), (di, {"kubernetesGroups": ["admins"]})),
    ]
    for call, condition, good, bad in cases:
        action = "eks:CreateAccessEntry" if call == make else "eks:UpdateAccessEntry"
        let(hub, ana.name, {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition})
        (somebody, members), (other, others) = good, bad
        with refused(theirs, "AccessDeniedException", f"is not authorized to perform: {action}", 403):
            call(clusterName=cluster, principalArn=other.arn, **others)
        call(clusterName=cluster, principalArn=somebody.arn, **members)
        hub.settle()
        read = eks.describe_access_entry(clusterName=cluster, principalArn=somebody.arn)["accessEntry"]
        assert {name: read[name] for name in members} == members
    assert eve.arn not in eks.list_access_entries(clusterName=cluster)["accessEntries"]


def test_each_condition_key_of_a_change_is_held_against_policies(hub, eks, cluster):
    ana, bo = hub.create_user("ana"), hub.create_user("bo")
    hub.settle()
    eks.create_access_entry(clusterName=cluster, principalArn=bo.arn)
    both = unique("both")
    eks.create_cluster(
        name=both, roleArn=CLUSTER_ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
    )

    def allow(action: str, **condition) -> dict:
        return {"Effect": "Allow", "Action": f"eks:{action}", "Resource": "*", "Condition": condition}

    url = f"https://{cluster}.example"
    let(
        hub,
        ana.name,
        allow("AssociateIdentityProviderConfig", StringEquals={"eks:issuerUrl": url, "eks:clientId": cluster}),
        allow("AssociateAccessPolicy", **{"ForAllValues:StringEquals": {"eks:namespaces": ["a", "b"]}}),
        allow("UpdateClusterConfig", StringEquals={"eks:authenticationMode": "API"}),
        allow(
            "CreateAccessEntry",
            StringEquals={"aws:RequestTag/team": "a"},
            **{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}},
        ),
        # Tags that an entry is made with are asked for too.
        allow("TagResource", StringEquals={"aws:RequestTag/team": "a"}),
    )
    theirs = Wire(hub, ana.credentials).eks
    oidc = {"identityProviderConfigName": "okta", "issuerUrl": url, "clientId": cluster}
    view = {"clusterName": cluster, "principalArn": bo.arn, "policyArn": VIEW}
    entry = {"clusterName": cluster, "principalArn": ana.arn}

    def scope(*names: str) -> dict:
        return {"accessScope": {"type": "namespace", "namespaces": list(names)}}

    def mode(name: str) -> dict:
        return {"name": both, "accessConfig": {"authenticationMode": name}}

    # Of each operation what is refused, and then what is allowed.
    cases = [
        ("AssociateIdentityProviderConfig", {"clusterName": cluster, "oidc": oidc | {"issuerUrl": f"{url}/a"}}, False),
        ("AssociateIdentityProviderConfig", {"clusterName": cluster, "oidc": oidc | {"clientId": "other"}}, False),
        ("AssociateIdentityProviderConfig", {"clusterName": cluster, "oidc": oidc}, True),
        ("AssociateAccessPolicy", view | scope("a", "c"), False),
        ("AssociateAccessPolicy", view | scope("a", "b"), True),
        ("UpdateClusterConfig", mode("CONFIG_MAP"), False),
        ("UpdateClusterConfig", mode("API"), True),
        ("CreateAccessEntry", entry, False),
        ("CreateAccessEntry", entry | {"tags": {"team": "b"}}, False),
        ("CreateAccessEntry", entry | {"tags": {"team": "a", "stage": "live"}}, False),
        ("CreateAccessEntry", entry | {"tags": {"team": "a"}}, True),
    ]
    for operation, asked, is_allowed in cases:
        call = getattr(theirs, xform_name(operation))
        if is_allowed:
            call(**asked)
        else:
            with refused(theirs, "AccessDeniedException", f"is not authorized to perform: eks:{operation}", 403):
                call(**asked)


def test_what_cannot_be_read_is_refused_and_nothing_is_half_written(hub, wire, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    path = f"/clusters/{cluster}/access-entries"
    good = json.dumps({"principalArn": ana.arn})
    bodies = [
        (b"{", "SerializationException"),
        (b"null", "SerializationException"),
        (b"[]", "SerializationException"),
        (b"\xff", "SerializationException"),
        (b"<xml/>", "SerializationException"),
        (b"Action=CreateAccessEntry", "SerializationException"),
        (f'{{"principalArn":"{ana.arn}","principalArn":"x"}}'.encode(), "SerializationException"),
        (f'{{"principalArn":"{ana.arn}","tags":{{"a":"1","a":"2"}}}}'.encode(), "SerializationException"),
        (f'{{"principalArn":"{ana.arn}","kubernetesGroups":{{}}}}'.encode(), "SerializationException"),
        (f'{{"principalArn":["{ana.arn}"]}}'.encode(), "SerializationException"),
        (b"{}", "InvalidParameterException"),
    ]
    for body, code in bodies:
        answer = wire.send("POST", path, body)
        assert (answer.status_code, code_of(answer)) == (400, code), (body, answer.text)
    answer = wire.send("POST", path, b"x" * (10 << 20))
    assert (answer.status_code, code_of(answer)) == (413, "RequestEntityTooLargeException"), answer.text
    unknown = [("PUT", path), ("GET", "/clusters/x/y/z"), ("GET", "/clusters//access-entries"), ("POST", f"{path}/a/b/c")]
    for method, other in unknown:
        assert code_of(wire.send(method, other)) == "UnknownOperationException", other
    assert code_of(wire.send("GET", path, b"{}")) == "SerializationException"
    assert code_of(wire.send("GET", path, query="maxResults=0")) == "InvalidParameterException"
    assert code_of(wire.send("GET", path, query="maxResults=1&maxResults=2")) == "InvalidParameterException"
    assert ana.arn not in eks.list_access_entries(clusterName=cluster)["accessEntries"]
    assert wire.send("POST", path, good.encode()).status_code == 200


def immunity_45_nothing_is_taken_that_was_not_signed_so(hub, wire, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    path = f"/clusters/{cluster}/access-entries"
    body = json.dumps({"principalArn": ana.arn}).encode()

    def set_header(name, value):
        return lambda sent: sent["headers"].__setitem__(name, value)

    attacks = {
        "another body": lambda sent: sent.__setitem__("data", body.replace(b"ana", b"eve")),
        "another path": lambda sent: sent.__setitem__("url", sent["url"].replace(cluster, "other")),
        "a parameter more": lambda sent: sent.__setitem__("url", sent["url"] + "?a=b"),
        "another host": set_header("Host", "other.example"),
        "an unsigned amz header": set_header("X-Amz-Target", "x"),
        "a payload hash that says nothing": set_header("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"),
    }
    for name, alter in attacks.items():
        answer = wire.send("POST", path, body, alter=alter)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), (name, answer.text)
    for claimed in ("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
        answer = wire.send("POST", path, body, headers={"X-Amz-Content-SHA256": claimed})
        assert code_of(answer) == "InvalidSignatureException", answer.text
    for service, code in (("sts", "InvalidAction"), ("s3", "InvalidSignatureException"), ("lanyard", "InvalidSignatureException")):
        answer = wire.send("POST", path, body, service=service)
        assert code_of(answer) == code, (service, answer.text)
    for region in ("cn-north-1", "nowhere", "eu west"):
        answer = wire.send("POST", path, body, region=region)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), (region, answer.text)
    assert ana.arn not in eks.list_access_entries(clusterName=cluster)["accessEntries"], "nothing came of any of it"


def immunity_46_a_mutation_replayed_after_its_object_was_deleted_makes_none(hub, wire, eks, cluster):
    ana = hub.create_user("ana")
    hub.settle()
    path = f"/clusters/{cluster}/access-entries"
    captured = {}

    def capture(sent):
        captured.update({**sent, "headers": dict(sent["headers"])})

    body = json.dumps({"principalArn": ana.arn}).encode()
    assert wire.send("POST", path, body, alter=capture).status_code == 200
    from wire import raw

    again = raw(hub, **captured)
    assert again.status_code in (200, 429), again.text
    eks.delete_access_entry(clusterName=cluster, principalArn=ana.arn)
    hub.settle()
    again = raw(hub, **captured)
    assert (again.status_code, code_of(again)) == (429, "ThrottlingException"), again.text
    with refused(eks, "ResourceNotFoundException", "", 404):
        eks.describe_access_entry(clusterName=cluster, principalArn=ana.arn)


def immunity_33_another_accounts_clusters_are_not_there(hub, eks, cluster):
    hub.cli("iam", "account", "create", "555566667777", "--authority", "local", "--name", unique("other"))
    eve = hub.create_user("eve", account="555566667777")
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "p", "--user", eve.name, "--document", "-", "--account", "555566667777", stdin=document)
    hub.settle()
    theirs = Wire(hub, eve.credentials).eks
    own = {"clusterName": cluster, "principalArn": eve.arn}
    calls = [
        lambda: theirs.describe_cluster(name=cluster),
        lambda: theirs.delete_cluster(name=cluster),
        lambda: theirs.create_access_entry(**own),
        lambda: theirs.describe_access_entry(**own),
        lambda: theirs.list_access_entries(clusterName=cluster),
        lambda: theirs.update_access_entry(**own, username="x"),
        lambda: theirs.delete_access_entry(**own),
        lambda: theirs.associate_access_policy(**own, policyArn=VIEW, accessScope={"type": "cluster"}),
        lambda: theirs.disassociate_access_policy(**own, policyArn=VIEW),
        lambda: theirs.list_associated_access_policies(**own),
        lambda: theirs.list_identity_provider_configs(clusterName=cluster),
        lambda: theirs.describe_identity_provider_config(
            clusterName=cluster, identityProviderConfig={"type": "oidc", "name": "x"}
        ),
    ]
    for call in calls:
        with refused(theirs, "ResourceNotFoundException", f"No cluster found for name: {cluster}.", 404):
            call()
    assert theirs.list_clusters()["clusters"] == []
