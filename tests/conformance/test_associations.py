"""Which workload gets which role: Pod Identity associations; tags by ARN, updates, and requests that are sent again."""

import json
import uuid

import grpc
import pytest

from hub import trust_policy, unique
from management import FrontDoor

CREATE = "/lanyard.credentials.v1.Associations/CreatePodIdentityAssociation"
DELETE = "/lanyard.credentials.v1.Associations/DeletePodIdentityAssociation"


def pods_policy(*conditions: dict) -> str:
    """A trust policy for Pod Identity."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    for condition in conditions:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def role(hub):
    """Makes roles that trust whom a document says."""

    def make(document: str) -> str:
        any_cluster = ("--tag", "lanyard:any-cluster=true")
        made = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", *any_cluster, stdin=document)
        made = made["value"]
        return f"arn:aws:iam::{made['account']}:role{made['path']}{made['name']}"

    return make


@pytest.fixture
def front_door(hub):
    door = FrontDoor(hub)
    yield door
    door.close()


def test_a_service_account_is_given_a_role_another_one_and_none(hub, cluster, role):
    app, other = role(pods_policy()), role(pods_policy())
    made = hub.cli("association", "create", cluster.id, "team-a/bot", "--role", app, "--tag", "team=a")
    assert any("aws:SourceArn" in notice for notice in made["notices"]), made
    association = made["value"]["association"]
    assert association["role_arn"] == app and made["value"]["external_id"] is None
    assert made["value"]["arn"].endswith(f"/{association['id']}")
    target = "arn:aws:iam::444455556666:role/data"
    changed = hub.cli(
        "association", "update", cluster.id, association["id"], "--role", other, "--target-role", target
    )["value"]
    assert changed["association"]["role_arn"] == other
    assert changed["external_id"].endswith("/team-a/bot")
    listed = hub.cli("association", "list", cluster.id, "--namespace", "team-a")
    assert [one["association"]["id"] for one in listed] == [association["id"]]
    assert hub.cli("association", "describe", cluster.id, association["id"]) == changed
    assert association["id"] in hub.refused("association", "create", cluster.id, "team-a/bot", "--role", app)
    hub.cli("association", "delete", cluster.id, association["id"])
    assert hub.cli("association", "list", cluster.id) == []


def test_a_role_that_does_not_trust_pod_identity_is_refused(hub, cluster, role):
    untrusting = role(trust_policy(f"arn:aws:iam::{hub.account}:root"))
    elsewhere = role(pods_policy({"ArnEquals": {"aws:SourceArn": "arn:aws:eks:us-east-1:1:cluster/other"}}))
    for bad in (untrusting, elsewhere, f"arn:aws:iam::{hub.account}:role/none", "arn:aws:iam::1:role/x"):
        assert hub.refused("association", "create", cluster.id, "team-a/bot", "--role", bad, code=2), bad
    assert hub.cli("association", "list", cluster.id) == []


def test_tags_are_changed_by_arn(hub, cluster, role):
    made = hub.cli("association", "create", cluster.id, "team-a/bot", "--role", role(pods_policy()))["value"]
    name = hub.cli("cluster", "get", cluster.id)["name"]
    of_cluster = made["arn"].rsplit("podidentityassociation/", 1)[0] + f"cluster/{name}"
    for arn in (made["arn"], of_cluster):
        hub.cli("tag", "add", arn, "team=a", "stage=live")
        hub.cli("tag", "remove", arn, "stage")
        assert hub.cli("tag", "list", arn) == {"team": "a"}
        assert "aws:" in hub.refused("tag", "add", arn, "AWS:x=y", code=2)
    hub.refused("tag", "list", f"{of_cluster}-none")


def test_a_change_of_a_cluster_is_followed_by_its_update(hub, cluster):
    changed = hub.cli("cluster", "update", cluster.id, "--token-cache-seconds", "11")
    update = changed["update"]
    assert update["type"] == "ConfigUpdate"
    assert update in hub.cli("cluster", "updates", cluster.id)


def immunity_46_a_request_with_a_token_is_done_once_and_what_was_deleted_stays_so(hub, cluster, role, front_door):
    administrator = hub.administrator()
    request = {
        "mutation": {"client_request_token": str(uuid.uuid4())},
        "cluster": cluster.id,
        "namespace": "team-a",
        "service_account": "bot",
        "role_arn": role(pods_policy()),
    }
    first = front_door.call(CREATE, request, administrator)
    assert first.code == grpc.StatusCode.OK, first
    # Signed anew each time, as SDKs do.
    assert front_door.call(CREATE, request, administrator).message["association"] == first.message["association"]
    other = front_door.call(CREATE, {**request, "service_account": "other"}, administrator)
    assert other.code == grpc.StatusCode.FAILED_PRECONDITION and "client request token" in other.details
    association = first.message["association"]["association"]["id"]
    gone = front_door.call(DELETE, {"cluster": cluster.id, "association_id": association}, administrator)
    assert gone.code == grpc.StatusCode.OK, gone
    assert front_door.call(CREATE, request, administrator).message["association"] == first.message["association"]
    assert hub.cli("association", "list", cluster.id) == []
