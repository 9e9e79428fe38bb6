"""The AWS wire while a service behind it hangs: a fault in each protocol, by which SDKs try again, and nothing comes of it."""

from __future__ import annotations

from concurrent import futures

import pytest

from hub import unique
from outages import eventually, paused
from stack import REPLICAS
from wire import Wire, code_of, delivered, refused

pytestmark = pytest.mark.skipif(not REPLICAS, reason="separate processes, which the run against a stack has")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_while_no_authn_answers_it_is_a_fault_of_the_service_and_nothing_comes_of_the_call(hub, wire, iam):
    name = unique("outage")
    calls = [
        ("ServiceUnavailableException", wire.signed("GET", "/clusters")),
        (
            "ServiceUnavailable",
            wire.signed("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", service="sts", headers=FORM),
        ),
        (
            "ServiceUnavailable",
            wire.signed(
                "POST", "/", f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode(), service="iam", headers=FORM
            ),
        ),
    ]
    with paused(hub.processes_of("authn")), futures.ThreadPoolExecutor(len(calls)) as pool:
        # Side by side: each waits as long as the door does.
        answers = list(pool.map(lambda call: delivered(hub, **call[1]), calls))
    for (code, _), answer in zip(calls, answers, strict=True):
        assert (answer.status_code, code_of(answer)) == (503, code), answer.text
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["x-amzn-RequestId"]
    eventually("authn is not back", lambda: delivered(hub, **Wire(hub).signed("GET", "/clusters")).status_code == 200)
    hub.settle()
    with refused(iam, "NoSuchEntity", name, 404):
        iam.get_user(UserName=name)
