"""Update masks, as AIP-134 has them: what a mask names is written, nothing else is, and policies are held against just that."""

import json

import pytest
from grpc import StatusCode

from management import FrontDoor

UPDATE_ENTRY = "/lanyard.mapping.v1.Entries/UpdateAccessEntry"
DESCRIBE_ENTRY = "/lanyard.mapping.v1.Entries/DescribeAccessEntry"
UPDATE_CLUSTER = "/lanyard.mapping.v1.Clusters/UpdateClusterConfig"
UPDATE_ROLE = "/lanyard.authn.v1.Accounts/UpdateRole"
NO_ADMINS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "eks:*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "eks:UpdateAccessEntry",
            "Resource": "*",
            "Condition": {"ForAnyValue:StringEquals": {"eks:kubernetesGroups": "admins"}},
        },
    ],
}


@pytest.fixture(scope="module")
def door(hub):
    door = FrontDoor(hub)
    yield door
    door.close()


@pytest.fixture
def entry(hub, door, cluster):
    """An entry with all that can be changed of it, and ways to change it and to look at it."""
    who = hub.create_user("masked")
    flags = ["--username", "before", "--group", "devs", "--group", "ops", "--ends-at", "2100-01-01T00:00:00Z"]
    hub.cli("entry", "create", cluster.id, who.arn, *flags)
    named = {"cluster": cluster.id, "principal_arn": who.arn}

    def update(credentials=None, **fields):
        answer = door.call(UPDATE_ENTRY, named | fields, credentials or hub.administrator())
        hub.settle()
        return answer

    def seen():
        return door.call(DESCRIBE_ENTRY, named, hub.administrator()).message["entry"]

    return update, seen


def groups(*values: str) -> dict:
    return {"values": list(values)}


def test_what_a_mask_names_is_written_and_nothing_else(entry):
    update, seen = entry
    before = seen()
    changed = update(username="after", groups=groups("admins"), endless={}, update_mask="username")
    assert changed.code == StatusCode.OK, changed
    expected = before | {"username": "after", "modified_at": seen()["modified_at"]}
    assert seen() == expected == changed.message["entry"]["entry"]
    # Named and not given: empty, or as in a new entry.
    assert update(username="ignored", update_mask="groups,endsAt").code == StatusCode.OK
    now = seen()
    assert now["username"] == "after" and "groups" not in now and "ends_at" not in now


def test_every_field_is_written_where_a_mask_names_all(entry):
    update, seen = entry
    arn = seen()["principal_arn"]
    assert update(groups=groups("one"), update_mask="*").code == StatusCode.OK
    now = seen()
    assert (now["username"], now["groups"], now.get("ends_at")) == (arn, ["one"], None)


@pytest.mark.parametrize(
    ("mask", "path"),
    [("colour", "colour"), ("groups,principalArn", "principal_arn"), ("groups.values", "groups.values"), ("id", "id")],
)
def test_a_mask_that_names_what_cannot_be_written_writes_nothing(entry, mask, path):
    update, seen = entry
    before = seen()
    refused = update(groups=groups("admins"), username="after", update_mask=mask)
    assert refused.code == StatusCode.INVALID_ARGUMENT, refused
    assert refused.details.startswith(f"update_mask: `{path}` is no field"), refused
    assert seen() == before


def test_policies_are_held_against_what_the_mask_leaves(hub, entry):
    update, seen = entry
    clerk = hub.create_user("clerk")
    hub.cli("iam", "policy", "put", "p", "--user", clerk.name, "--document", "-", stdin=json.dumps(NO_ADMINS))
    both = {"username": "by-clerk", "groups": groups("admins")}
    for mask in ({}, {"update_mask": "groups"}, {"update_mask": "*"}):
        assert update(clerk.credentials, **both, **mask).code == StatusCode.PERMISSION_DENIED, mask
    assert seen()["username"] == "before"
    assert update(clerk.credentials, **both, update_mask="username").code == StatusCode.OK
    assert (seen()["username"], seen()["groups"]) == ("by-clerk", ["devs", "ops"])


def test_what_is_never_empty_has_to_be_given_and_the_rest_is_set_back(hub, door, cluster):
    admin = hub.administrator()
    named = {"cluster": cluster.id}
    refused = door.call(UPDATE_CLUSTER, named | {"update_mask": "authenticationMode"}, admin)
    assert (refused.code, refused.details.split(":")[0]) == (StatusCode.INVALID_ARGUMENT, "authentication_mode")
    given = named | {"token_cache_seconds": 60, "tags": {"tags": {"team": "a"}}, "endpoint": "https://api.example"}
    made = door.call(UPDATE_CLUSTER, given, admin).message["cluster"]
    assert (made["token_cache_seconds"], made["tags"], made["endpoint"]) == (60, {"team": "a"}, "https://api.example")
    hub.settle()
    answer = door.call(UPDATE_CLUSTER, named | {"update_mask": "tokenCacheSeconds,tags,endpoint"}, admin)
    now = answer.message["cluster"]
    assert now["token_cache_seconds"] == 10 and "tags" not in now and "endpoint" not in now
    assert now["authentication_mode"] == made["authentication_mode"] and now["audiences"] == made["audiences"]


def test_a_cluster_trusts_its_own_account_alone_again(hub, door, cluster):
    admin, named = hub.administrator(), {"cluster": cluster.id}
    own = {"authority": "local", "account": hub.account}
    both = {"accounts": [own, {"authority": "aws", "account": "999988887777"}]}
    made = door.call(UPDATE_CLUSTER, named | {"trusted_accounts": both}, admin).message["cluster"]
    assert len(made["trusted_accounts"]) == 2, made
    hub.settle()
    now = door.call(UPDATE_CLUSTER, named | {"update_mask": "trustedAccounts"}, admin).message["cluster"]
    assert now["trusted_accounts"] == [own]
    hub.settle()
    without = {"trusted_accounts": {"accounts": both["accounts"][1:]}}
    assert door.call(UPDATE_CLUSTER, named | without, admin).code == StatusCode.INVALID_ARGUMENT


def test_all_of_a_nodes_entry_is_what_its_type_has(hub, door, cluster):
    node = hub.create_role("node", trusts=hub.account)
    hub.cli("entry", "create", cluster.id, node.arn, "--type", "EC2_LINUX")
    named = {"cluster": cluster.id, "principal_arn": node.arn}
    made = door.call(DESCRIBE_ENTRY, named, hub.administrator()).message["entry"]
    answer = door.call(UPDATE_ENTRY, named | {"update_mask": "*"}, hub.administrator())
    assert answer.code == StatusCode.OK, answer
    now = answer.message["entry"]["entry"]
    assert (now["username"], now["groups"]) == (made["username"], made["groups"]) and now["groups"]
    own = door.call(UPDATE_ENTRY, named | {"username": "mine"}, hub.administrator())
    assert own.code == StatusCode.FAILED_PRECONDITION, own


def test_a_role_is_described_anew_without_its_longest_session(hub, door):
    role = hub.create_role(trusts=hub.create_user().arn)
    given = {"name": role.name, "description": "lab", "session_seconds_max": 7200}
    first = door.call(UPDATE_ROLE, given, hub.administrator()).message["role"]
    assert (first["description"], first["session_seconds_max"]) == ("lab", 7200)
    hub.settle()
    masked = {"name": role.name, "session_seconds_max": 3600, "update_mask": "description"}
    then = door.call(UPDATE_ROLE, masked, hub.administrator()).message["role"]
    assert (then.get("description", ""), then["session_seconds_max"]) == ("", 7200)
