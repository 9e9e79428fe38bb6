"""Whichever replica of the AWS wire's door is asked, it is one hub: tokens and signatures of one count at the other, and once."""

from __future__ import annotations

import uuid
from unittest.mock import ANY
from urllib.parse import urlsplit

import pytest

from hub import unique
from stack import REPLICAS
from tokens import Credentials
from wire import CLUSTER_ROLE, Wire, code_of, create, let, raw, refused

pytestmark = pytest.mark.skipif(REPLICAS < 2, reason="two doors, which the run against a stack has")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def wires(hub) -> list[Wire]:
    """The wire of each door, for the administrator."""
    return wires_of(hub)


def wires_of(hub, credentials: Credentials | None = None) -> list[Wire]:
    made = []
    for number in range(REPLICAS):
        hub.turn_to(number)
        made.append(Wire(hub, credentials))
    return made


def test_a_request_token_that_one_door_took_is_known_to_the_other(hub, wires):
    first, other = wires[0].eks, wires[1].eks
    name, ana = create(first, "once"), hub.create_user("ana")
    hub.settle()
    asked = {"clusterName": name, "principalArn": ana.arn, "clientRequestToken": str(uuid.uuid4())}
    made = first.create_access_entry(**asked, username="ana")
    hub.settle()
    again = other.create_access_entry(**asked, username="ana")
    for answer in (made, again):
        answer.pop("ResponseMetadata")
    assert again == made
    with refused(other, "InvalidRequestException", "other parameters"):
        other.create_access_entry(**asked, username="eva")
    assert other.describe_access_entry(clusterName=name, principalArn=ana.arn)["accessEntry"] == made["accessEntry"]


def test_a_page_of_one_door_goes_on_at_the_other_for_the_same_caller_alone(hub, wires):
    name = create(wires[0].eks, "paged")
    eve, people = hub.create_user("eve"), [hub.create_user("paged").arn for _ in range(3)]
    hub.settle()
    for arn in people:
        wires[0].eks.create_access_entry(clusterName=name, principalArn=arn)
    let(hub, eve.name, {"Effect": "Allow", "Action": "*", "Resource": "*"})
    theirs = wires_of(hub, eve.credentials)
    listed, token, turns = [], {}, 0
    while token or not turns:
        wire = wires[turns % len(wires)]
        page = wire.eks.list_access_entries(clusterName=name, maxResults=1, **token)
        listed += page["accessEntries"]
        token, turns = ({"nextToken": page["nextToken"]} if page.get("nextToken") else {}), turns + 1
        if token:
            for wire in theirs:
                with refused(wire.eks, "InvalidParameterException", "nextToken"):
                    wire.eks.list_access_entries(clusterName=name, maxResults=1, **token)
    assert set(people) <= set(listed) and len(set(listed)) == len(listed) == turns, listed


def test_an_update_of_one_door_is_described_by_the_other(hub, wires):
    name = unique("updated")
    wires[0].eks.create_cluster(name=name, roleArn=CLUSTER_ROLE, resourcesVpcConfig={})
    hub.settle()
    asked = {"name": name, "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"}}
    update = wires[1].eks.update_cluster_config(**asked)["update"]
    hub.settle()
    assert wires[0].eks.describe_update(name=name, updateId=update["id"])["update"] == update
    assert wires[1].eks.describe_cluster(name=name) == wires[0].eks.describe_cluster(name=name) | {"ResponseMetadata": ANY}


def immunity_32_a_signed_call_counts_once_whichever_door_it_comes_to(hub, wires):
    ana = hub.create_user("ana")
    hub.settle()
    captured = {}

    def capture(sent):
        captured.update({**sent, "headers": dict(sent["headers"])})

    form = f"Action=CreateAccessKey&Version=2010-05-08&UserName={ana.name}".encode()
    headers = FORM | {"X-Test-Number": str(uuid.uuid4())}
    made = wires[0].send("POST", "/", form, service="iam", headers=headers, alter=capture)
    assert made.status_code == 200, made.text
    secret = made.text.split("<SecretAccessKey>")[1].split("<")[0]
    hub.secrets.add("a user's secret access key", secret)
    # The other one under the name of the first, as behind a load balancer: under its own the signature would be none.
    headers = captured["headers"] | {"Host": urlsplit(wires[0].url).netloc}
    again = raw(hub, "POST", captured["url"].replace(wires[0].url, wires[1].url), form, headers=headers)
    assert (again.status_code, code_of(again)) == (400, "Throttling"), again.text
    assert "Secret" not in again.text
    under_its_own = raw(hub, "POST", captured["url"].replace(wires[0].url, wires[1].url), form, headers=captured["headers"])
    assert (under_its_own.status_code, code_of(under_its_own)) == (403, "SignatureDoesNotMatch"), under_its_own.text
    hub.settle()
    assert len(wires[1].client("iam").list_access_keys(UserName=ana.name)["AccessKeyMetadata"]) == 2


def test_a_session_of_one_door_is_somebody_at_the_other(hub):
    ana = hub.create_user("ana")
    hub.settle()
    first, *_ = wires_of(hub, ana.credentials)
    told = first.sts.get_session_token()["Credentials"]
    secret = hub.secrets.add("a session's secret access key", told["SecretAccessKey"])
    token = hub.secrets.add("a session token", told["SessionToken"])
    for wire in wires_of(hub, Credentials(told["AccessKeyId"], secret, token)):
        assert wire.sts.get_caller_identity()["Arn"] == ana.arn
