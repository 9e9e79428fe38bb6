"""Programs in other languages, on generated code: both do the same with a hub, and have to see the same."""

from __future__ import annotations

import json
import subprocess

import pytest

PROGRAM_SECONDS_MAX = 60
LANGUAGES = ("python", "go")


def run(program: list[str], hub, cluster, operator, principal: str) -> dict:
    """What a consumer saw. It has nothing but the ready-file and credentials."""
    flags = ["--ready-file", str(hub.ready_file), "--cluster", cluster.id, "--principal", principal]
    done = subprocess.run(
        [*program, *flags],
        env={"PATH": "/usr/bin:/bin", "HOME": str(hub.folder)} | operator.credentials.environment(),
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=LANGUAGES)
def seen(request, programs, hub, cluster, operator) -> dict:
    """What one of them saw, and whom it made an entry for."""
    principals = [hub.create_user("principal").arn for _ in range(4)]
    for principal in principals[1:]:
        hub.cli("entry", "create", cluster.id, principal)
    told = run(programs[request.param], hub, cluster, operator, principals[0])
    return told | {"cluster": cluster, "made_for": principals[0], "others": principals[1:]}


def test_a_consumer_finds_a_hub_signs_changes_asks_pages_and_watches(seen, hub):
    cluster = seen["cluster"]
    assert seen["hub_id"] == hub.ready["hub_id"]
    assert seen["cluster_uid"] == cluster.uid
    entry = hub.cli("entry", "get", cluster.id, seen["made_for"])
    assert entry["entry"]["id"] == seen["entry_id"]
    assert entry["entry"]["tags"] == {"team": "a", "made-by": "consumer"}
    # The creator has an entry too; whole and in order, whatever the pages.
    assert set(seen["principals"]) >= {seen["made_for"], *seen["others"]}
    assert seen["principals"] == sorted(seen["principals"]) and len(seen["principals"]) == 5
    # The access policy is for one namespace and for looking; everything else is the cluster's own affair.
    assert seen["verdicts"] == ["VERDICT_ALLOW", "VERDICT_NO_OPINION", "VERDICT_NO_OPINION"]
    # A stream is signed too: it begins with an entry that there is.
    assert seen["watched"] == "KIND_ADDED"


def test_the_same_signed_call_sent_twice_is_one_change(seen):
    first, again = seen["revisions"]
    assert first == again


def test_an_error_says_in_its_details_what_a_program_can_act_on(seen):
    errors = seen["errors"]
    assert errors["exists"] == {
        "code": "ALREADY_EXISTS",
        "reason": "already_exists",
        "domain": "lanyard",
        "kind": "access entry",
    }
    assert errors["field"]["code"] == "INVALID_ARGUMENT"
    assert (errors["field"]["domain"], errors["field"]["field"]) == ("lanyard", "groups")
    assert errors["field"]["reason"], errors["field"]
    # Read by authn at the door, before any service: it is told by its field all the same.
    malformed = errors["malformed"]
    assert (malformed["code"], malformed["field"], malformed["domain"]) == ("INVALID_ARGUMENT", "cluster", "lanyard")
    assert errors["unsigned"]["code"] == "UNAUTHENTICATED"
    assert errors["unsigned"]["domain"] == "lanyard" and errors["unsigned"]["reason"], errors["unsigned"]
