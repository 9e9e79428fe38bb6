"""Each paginator that SDKs have for the operations here turns all pages, and each waiter waits as long as it has to."""

from __future__ import annotations

import json

import botocore.exceptions
import botocore.session
import pytest
from botocore import xform_name

import operations
from hub import unique
from wire import ANY_CLUSTER, PODS, Wire, create, refused

ROLE = "arn:aws:iam::111122223333:role/cluster"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
NOTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})


class World:
    """Two of everything that is listed, and what each list has to have."""

    def __init__(self, hub, wire, eks, iam) -> None:
        self.cluster, self.user, self.role = unique("page"), unique("page"), unique("page")
        for name in (self.cluster, self.cluster + "-b"):
            eks.create_cluster(
                name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
            )
        for name in (self.user, self.user + "-b"):
            iam.create_user(UserName=name)
            own = name.replace(self.user, self.role)
            iam.create_role(RoleName=own, AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)
            iam.create_instance_profile(InstanceProfileName=own)
            iam.add_role_to_instance_profile(InstanceProfileName=own, RoleName=self.role)
        tags = [{"Key": key, "Value": ""} for key in ("a", "b")]
        url = f"https://{self.user}.example"
        made = iam.create_open_id_connect_provider(Url=url, ClientIDList=["a"], Tags=tags)
        self.provider = made["OpenIDConnectProviderArn"]
        iam.tag_user(UserName=self.user, Tags=tags)
        iam.tag_role(RoleName=self.role, Tags=tags)
        iam.tag_instance_profile(InstanceProfileName=self.role, Tags=tags)
        for policy in ("a", "b"):
            iam.put_user_policy(UserName=self.user, PolicyName=policy, PolicyDocument=NOTHING)
            iam.put_role_policy(RoleName=self.role, PolicyName=policy, PolicyDocument=NOTHING)
            key = iam.create_access_key(UserName=self.user)["AccessKey"]
            hub.secrets.add("a user's secret access key", key["SecretAccessKey"])
        hub.settle()
        arn = f"arn:aws:iam::{hub.account}:"
        self.principal = f"{arn}user/{self.user}"
        eks.create_access_entry(clusterName=self.cluster, principalArn=self.principal)
        hub.settle()
        for policy in (VIEW, EDIT):
            eks.associate_access_policy(
                clusterName=self.cluster,
                principalArn=self.principal,
                policyArn=policy,
                accessScope={"type": "cluster"},
            )
        for name in ("a", "b"):
            oidc = {"identityProviderConfigName": name, "issuerUrl": f"{url}/{name}", "clientId": unique(name)}
            eks.associate_identity_provider_config(clusterName=self.cluster, oidc=oidc)
            eks.create_pod_identity_association(
                clusterName=self.cluster, namespace=name, serviceAccount="bot", roleArn=f"{arn}role/{self.role}"
            )
        hub.settle()
        of_cluster, of_user, of_role = (
            {"clusterName": self.cluster},
            {"UserName": self.user},
            {"RoleName": self.role},
        )
        # Operation -> the parameters and how many items there are, at least.
        self.lists = {
            "eks:DescribeClusterVersions": ({}, 2),
            "eks:ListAccessEntries": (of_cluster, 2),
            "eks:ListAccessPolicies": ({}, 2),
            "eks:ListAssociatedAccessPolicies": (of_cluster | {"principalArn": self.principal}, 2),
            "eks:ListClusters": ({}, 2),
            "eks:ListIdentityProviderConfigs": (of_cluster, 2),
            "eks:ListPodIdentityAssociations": (of_cluster, 2),
            "eks:ListUpdates": ({"name": self.cluster}, 2),
            "iam:ListAccessKeys": (of_user, 2),
            "iam:ListAttachedRolePolicies": (of_role, 0),
            "iam:ListAttachedUserPolicies": (of_user, 0),
            "iam:ListGroupsForUser": (of_user, 0),
            "iam:ListInstanceProfileTags": ({"InstanceProfileName": self.role}, 2),
            "iam:ListInstanceProfiles": ({}, 2),
            "iam:ListInstanceProfilesForRole": (of_role, 2),
            "iam:ListOpenIDConnectProviderTags": ({"OpenIDConnectProviderArn": self.provider}, 2),
            "iam:ListRolePolicies": (of_role, 2),
            "iam:ListRoleTags": (of_role, 2),
            "iam:ListRoles": ({}, 2),
            "iam:ListUserPolicies": (of_user, 2),
            "iam:ListUserTags": (of_user, 2),
            "iam:ListUsers": ({}, 2),
        }


@pytest.fixture(scope="module")
def world(hub, wire, eks, iam) -> World:
    return World(hub, wire, eks, iam)


def test_every_paginator_is_looked_at(world):
    assert set(world.lists) == operations.paginated()


@pytest.mark.parametrize("operation", sorted(operations.paginated()))
def test_a_paginator_turns_its_pages(wire, world, operation):
    client = wire.client(operation.split(":")[0])
    asked, least = world.lists[operation]
    paginator = client.get_paginator(xform_name(operations.listed()[operation].name))
    [key] = [one for one in paginator.result_keys if one.expression not in ("clusterName", "principalArn")]
    whole = list(key.search(paginator.paginate(**asked).build_full_result()))
    pages = [key.search(page) for page in paginator.paginate(**asked, PaginationConfig={"PageSize": 1})]
    turned = [item for page in pages for item in page]
    assert len(turned) >= least and sorted(map(str, turned)) == sorted(map(str, whole))
    assert len(pages) == max(len(turned), 1) and all(len(page) <= 1 for page in pages), pages
    # And cut short, with a token of the SDK's own to go on from.
    if least:
        cut = paginator.paginate(**asked, PaginationConfig={"MaxItems": 1, "PageSize": 1}).build_full_result()
        rest = paginator.paginate(**asked, PaginationConfig={"StartingToken": cut["NextToken"]})
        assert [*key.search(cut), *key.search(rest.build_full_result())] == whole
    operations.seen(operation).paginated = True


def test_a_token_is_of_one_list_of_one_caller(hub, wire, world):
    """Each list that comes in pages refuses the token of another list, of another caller and of none."""
    eve = hub.create_user("eve")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    hub.cli("iam", "policy", "put", "p", "--user", eve.name, "--document", "-", stdin=json.dumps(document))
    hub.settle()
    tokens = {}
    for operation, (asked, least) in sorted(world.lists.items()):
        if not least:
            continue
        service = operation.split(":")[0]
        size, token = ("maxResults", "nextToken") if service == "eks" else ("MaxItems", "Marker")
        call = getattr(wire.client(service), xform_name(operation.split(":")[1]))
        tokens[operation] = (call(**asked, **{size: 1})[token], token)
    for operation, (own, token) in tokens.items():
        service, (asked, _) = operation.split(":")[0], world.lists[operation]
        code = "InvalidParameterException" if service == "eks" else "ValidationError"
        spoilt = own[:-2] + ("AA" if own[-2:] != "AA" else "BB")
        foreign = [other for name, (other, _) in tokens.items() if name != operation]
        for client, wrong in [(wire.client(service), one) for one in (spoilt, own[:-1], "1", *foreign)] + [
            (Wire(hub, eve.credentials).client(service), own)
        ]:
            with refused(client, code, token):
                getattr(client, xform_name(operation.split(":")[1]))(**asked, **{token: wrong})


# By service: the parameter, the most that it may be, and the error.
SIZES = {"eks": ("maxResults", 100, "InvalidParameterException"), "iam": ("MaxItems", 1000, "ValidationError")}


@pytest.mark.parametrize("operation", sorted(operations.paginated()))
def test_a_size_that_the_model_has_not_is_refused(wire, world, operation):
    service, name = operation.split(":")
    client, (parameter, most, code) = wire.client(service), SIZES[service]
    call = getattr(client, xform_name(name))
    for size in (0, -1, most + 1, "few"):
        with refused(client, code, parameter):
            call(**world.lists[operation][0], **{parameter: size})
    assert call(**world.lists[operation][0], **{parameter: most})


class Turned:
    """A list of which some items are a test's own, named in an order that the list has too."""

    def __init__(self, hub, eks, iam) -> None:
        self.hub, self.eks, self.iam, self.stem = hub, eks, iam, unique("turn")

    def page(self, size: int, token: str | None) -> tuple[list[str], str | None]:
        raise NotImplementedError

    def rest(self, token: str | None = None) -> list[str]:
        """All items from a place on, in as few pages as they come in."""
        came, is_first = [], True
        while is_first or token:
            items, token = self.page(100, token)
            came, is_first = came + items, False
        return came

    def up_to(self, item: str) -> tuple[list[str], str | None]:
        """The items up to this one, and the token of a page that ends with it."""
        left, came, token = self.rest().index(item) + 1, [], None
        while left:
            items, token = self.page(min(left, 100), token)
            assert items, "the list has ended"
            came, left = came + items, left - len(items)
        return came, token


class Entries(Turned):
    def __init__(self, *parts) -> None:
        super().__init__(*parts)
        self.cluster = create(self.eks, "turn")
        for letter in LETTERS:
            self.iam.create_user(UserName=f"{self.stem}-{letter}")
        self.hub.settle()

    def page(self, size, token):
        more = {"nextToken": token} if token else {}
        answer = self.eks.list_access_entries(clusterName=self.cluster, maxResults=size, **more)
        return answer["accessEntries"], answer.get("nextToken")

    def make(self, letter: str) -> str:
        arn = f"arn:aws:iam::{self.hub.account}:user/{self.stem}-{letter}"
        self.eks.create_access_entry(clusterName=self.cluster, principalArn=arn)
        return arn

    def drop(self, item: str) -> None:
        self.eks.delete_access_entry(clusterName=self.cluster, principalArn=item)


class Clusters(Turned):
    def page(self, size, token):
        answer = self.eks.list_clusters(maxResults=size, **({"nextToken": token} if token else {}))
        return answer["clusters"], answer.get("nextToken")

    def make(self, letter: str) -> str:
        name = f"{self.stem}-{letter}"
        self.eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={})
        return name

    def drop(self, item: str) -> None:
        self.eks.delete_cluster(name=item)


class Users(Turned):
    def page(self, size, token):
        answer = self.iam.list_users(MaxItems=size, **({"Marker": token} if token else {}))
        return [user["UserName"] for user in answer["Users"]], answer.get("Marker")

    def make(self, letter: str) -> str:
        return self.iam.create_user(UserName=f"{self.stem}-{letter}")["User"]["UserName"]

    def drop(self, item: str) -> None:
        self.iam.delete_user(UserName=item)


LETTERS = "abcdefh"


@pytest.mark.parametrize("kind", [Entries, Clusters, Users])
def test_a_list_stays_whole_while_others_write(hub, eks, iam, kind):
    """Items come and go before the place where a page ended, at it and behind it: what was there all along comes once, and what has
    come behind comes too."""
    turned = kind(hub, eks, iam)
    made = {letter: turned.make(letter) for letter in "bdfh"}
    hub.settle()
    before, token = turned.up_to(made["d"])
    made |= {letter: turned.make(letter) for letter in "ace"}
    for letter in "bdf":
        turned.drop(made[letter])
    hub.settle()
    after, own = turned.rest(token), set(made.values())
    assert [item for item in before if item in own] == [made["b"], made["d"]]
    assert [item for item in after if item in own] == [made["e"], made["h"]]
    assert not set(before) & set(after), "nothing comes twice"


# Waiters


def waiters() -> dict[str, str]:
    """Those of the SDK that ask an operation of the list."""
    session = botocore.session.get_session()
    found = {}
    for service in ("eks", "iam"):
        model = session.get_waiter_model(service)
        for name in model.waiter_names:
            if f"{service}:{model.get_waiter(name).operation}" in operations.listed():
                found[name] = service
    return found


def test_every_waiter_is_looked_at():
    of_eks = {"CertificateAuthorityUpdateComplete", "ClusterActive", "ClusterDeleted"}
    assert waiters() == dict.fromkeys(of_eks, "eks") | dict.fromkeys(("InstanceProfileExists", "RoleExists", "UserExists"), "iam")


AT_ONCE = {"Delay": 0, "MaxAttempts": 3}


def after_the_first(client, event: str, change) -> None:
    """Does something once, when the first answer to a waiter has come."""
    done = []

    def hook(**_):
        if not done:
            done.append(True)
            change()

    client.meta.events.register_last(f"after-call.{event}", hook)


def test_a_waiter_for_a_cluster_waits(hub, wire):
    name, eks = unique("wait"), wire.eks
    with pytest.raises(botocore.exceptions.WaiterError, match="ResourceNotFoundException"):
        eks.get_waiter("cluster_active").wait(name=name, WaiterConfig=AT_ONCE)
    wire.eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={})
    hub.settle()
    eks.get_waiter("cluster_active").wait(name=name, WaiterConfig=AT_ONCE)
    done = wire.aws("eks", "wait", "cluster-active", "--name", name)
    assert done.returncode == 0, done.stderr
    with pytest.raises(botocore.exceptions.WaiterError, match="terminal failure"):
        eks.get_waiter("cluster_deleted").wait(name=name, WaiterConfig=AT_ONCE)
    wire.eks.delete_cluster(name=name)
    hub.settle()
    eks.get_waiter("cluster_deleted").wait(name=name, WaiterConfig=AT_ONCE)
    done = wire.aws("eks", "wait", "cluster-deleted", "--name", name)
    assert done.returncode == 0, done.stderr


def test_a_waiter_for_an_update_finds_it_done(hub, wire):
    """The SDK calls it by one kind of update; it asks about any."""
    name, eks = unique("wait"), wire.eks
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={})
    hub.settle()
    update = eks.update_cluster_config(name=name, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})["update"]
    hub.settle()
    waiter = eks.get_waiter("certificate_authority_update_complete")
    waiter.wait(name=name, updateId=update["id"], WaiterConfig=AT_ONCE)


def test_a_waiter_for_a_user_or_role_waits_until_there_is_one(hub, wire):
    name, iam = unique("wait"), wire.client("iam")

    def create(make, **asked):
        make(**asked)
        hub.settle()

    own = wire.client("iam")
    with pytest.raises(botocore.exceptions.WaiterError, match="Max attempts exceeded"):
        iam.get_waiter("user_exists").wait(UserName=name, WaiterConfig=AT_ONCE)
    after_the_first(iam, "iam.GetUser", lambda: create(own.create_user, UserName=name))
    iam.get_waiter("user_exists").wait(UserName=name, WaiterConfig=AT_ONCE)
    asked = {"RoleName": name, "AssumeRolePolicyDocument": PODS}
    after_the_first(iam, "iam.GetRole", lambda: create(own.create_role, **asked))
    iam.get_waiter("role_exists").wait(RoleName=name, WaiterConfig=AT_ONCE)
    after_the_first(iam, "iam.GetInstanceProfile", lambda: create(own.create_instance_profile, InstanceProfileName=name))
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName=name, WaiterConfig=AT_ONCE)
    existing = (
        ("user-exists", "--user-name"),
        ("role-exists", "--role-name"),
        ("instance-profile-exists", "--instance-profile-name"),
    )
    for words in existing:
        done = wire.aws("iam", "wait", *words, name)
        assert done.returncode == 0, done.stderr
