"""Real pods of a real node get AWS credentials of their ServiceAccounts by each of the three roads, and nobody else does."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
import textwrap

import pytest

import agent
import images
import kube
from agent import Agent, token_name
from management import FrontDoor
from pods import pod, service_account
from story import ASK, POD_TOKEN, Story, namespaces, variables, with_token

APP, LEGACY, QUIET, MARKED = "team-a", "legacy", "quiet", "marked"
# Namespaces that have the metadata road are read anew within this time.
LABEL_SECONDS_MAX = 60
VEND = "/lanyard.credentials.v1.Vend/AssumeRoleForPodIdentity"
# As boto3 calls the three.
CONTAINER, WEB, METADATA = "container-role", "assume-role-with-web-identity", "iam-role"
# Kubelets and the API server are seen by the hub and the agent within this time.
SEEN_SECONDS_MAX = 30
# A pod that looks for the metadata service, as an SDK of one that is told nothing does.
METADATA_TOKEN = textwrap.dedent("""
    import urllib.error, urllib.request
    request = urllib.request.Request("http://169.254.169.254/latest/api/token", method="PUT")
    request.add_header("X-aws-ec2-metadata-token-ttl-seconds", "60")
    try:
        session = urllib.request.urlopen(request, timeout=5).read().decode()
        request = urllib.request.Request("http://169.254.169.254/latest/meta-data/iam/security-credentials/")
        request.add_header("X-aws-ec2-metadata-token", session)
        print(200, urllib.request.urlopen(request, timeout=5).read().decode())
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read().decode())
    except OSError as error:
        print(0, error)
""")
# boto3 as hours pass by its clock: it keeps credentials until shortly before their end, and then asks again, now at each use.
ACROSS_EXPIRY = textwrap.dedent("""
    import boto3, datetime, json, time
    session = boto3.Session()
    found = session.get_credentials()
    sts = session.client("sts")
    key = lambda: found.get_frozen_credentials().access_key
    first, arn, again = key(), sts.get_caller_identity()["Arn"], key()
    now = found._time_fetcher
    left = found._expiry_time - now()
    found._time_fetcher = lambda: now() + left - datetime.timedelta(minutes=5)
    tries = 0
    while (second := key()) == first and tries < 60:
        time.sleep(0.5)
        tries += 1
    last = sts.get_caller_identity()["Arn"]
    print(json.dumps({"keys": [first, again, second], "arns": [arn, last], "seconds": left.total_seconds()}))
""")


@pytest.fixture(scope="module")
def story(node):
    # A program of its own where there is one, else the one that has it inside.
    program, words = os.environ.get("LANYARD_TEST_AGENT"), []
    if not program:
        program, words = os.environ["LANYARD_BIN"], ["run", "agent"]
    node.machine.load(images.of_program(pathlib.Path(program), node.machine.folder, "agent", *words))
    flags = (f"--imds-namespace={LEGACY}", "--imds-by-label", "--region=us-east-1", "--max-credential-retention-before-renewal=5s")
    node.pods.apply(
        *namespaces(APP, LEGACY, QUIET, MARKED),
        service_account("bot", APP),
        service_account("bot", LEGACY),
        service_account("bot", MARKED),
        service_account("nobody", APP),
        *agent.objects(node.hub, node.cluster.id, node.control_plane.kubelet_ca, node.server.url, *flags),
    )
    return Story(node, Agent(node.server, node.pods))


@pytest.fixture(scope="module")
def app(story) -> str:
    """The role of team-a's bot, of legacy's, and of marked's."""
    name, arn = story.pod_role()
    for namespace in (APP, LEGACY, MARKED):
        story.associate(namespace, "bot", arn)
    return name


def session_of(story: Story, role: str, arn: str) -> str:
    """The session's name of an ARN, which is one of this role."""
    prefix = f"arn:aws:sts::{story.hub.account}:assumed-role/{role}/"
    assert arn.startswith(prefix), arn
    return arn.removeprefix(prefix)


def test_a_pod_gets_container_credentials_by_the_webhook_and_the_agent(story, app):
    made = story.run(pod("stock", APP, "bot"))
    told = variables(made)
    assert told["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == agent.CREDENTIALS_URL, made["spec"]
    assert told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == POD_TOKEN
    who = story.who("stock", APP)
    assert who["method"] == CONTAINER
    session = session_of(story, app, who["arn"])
    assert session.startswith(f"eks-{story.node.cluster.id}-stock-"), session
    assert session_of(story, app, story.who_by_cli("stock", APP)).startswith(f"eks-{story.node.cluster.id}-stock-")


def test_a_pod_is_somebody_by_web_identity(story):
    issuer = story.node.issuer
    story.hub.cli("iam", "oidc-provider", "create", issuer, "--client-id", "sts.amazonaws.com")
    name, arn = story.web_role(issuer, f"system:serviceaccount:{APP}:web")
    annotation = {"eks.amazonaws.com/role-arn": arn}
    story.pods.apply(service_account("web", APP, **annotation))
    words = ("workload", "service-accounts", story.node.cluster.id, "--namespace", APP)
    kube.wait_for(
        "the annotation at the hub",
        lambda: any(one["name"] == "web" and one["annotations"] == annotation for one in story.hub.cli(*words)),
        SEEN_SECONDS_MAX,
    )
    made = story.run(pod("web", APP, "web"))
    told = variables(made)
    assert told["AWS_ROLE_ARN"] == arn and "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in told, made["spec"]
    who = story.who("web", APP)
    assert who["method"] == WEB
    session_of(story, name, who["arn"])
    session_of(story, name, story.who_by_cli("web", APP))


def test_a_pod_that_is_told_nothing_finds_the_metadata_service_where_its_namespace_has_it(story, app):
    environment = [
        {"name": "AWS_ENDPOINT_URL_STS", "value": "http://169.254.170.23"},
        {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
    ]
    told_nothing = with_token("old", LEGACY, "bot", environment=environment)
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in variables(story.run(told_nothing))
    who = story.who("old", LEGACY)
    assert who["method"] == METADATA
    assert session_of(story, app, who["arn"]).startswith(f"eks-{story.node.cluster.id}-old-")
    session_of(story, app, story.who_by_cli("old", LEGACY))


def immunity_47_nobody_else_finds_a_metadata_service_not_even_the_nodes(story, app):
    story.run(with_token("elsewhere", APP, "bot"))
    story.run(pod("without", LEGACY))
    for name, namespace in (("elsewhere", APP), ("without", LEGACY)):
        said = story.pods.python(name, namespace, METADATA_TOKEN)
        assert not said.startswith("200"), f"{name}: {said}"
    story.run(pod("on-node", LEGACY, "bot", hostNetwork=True))
    # The node's own way to its own metadata service is left alone: here is none, so that nobody answers.
    assert story.pods.python("on-node", LEGACY, METADATA_TOKEN).startswith("0 ")


def immunity_47_a_namespace_has_the_metadata_road_while_it_bears_the_label(story, app):
    story.run(with_token("marked", MARKED, "bot"))

    def found() -> bool:
        return story.pods.python("marked", MARKED, METADATA_TOKEN) == f"200 {app}"

    assert not found()
    label = "lanyard.dev/instance-metadata"
    story.node.server.admin("label", "namespace", MARKED, f"{label}=enabled")
    kube.wait_for("the metadata road of a namespace that bears the label", found, LABEL_SECONDS_MAX)
    story.node.server.admin("label", "namespace", MARKED, f"{label}-")
    kube.wait_for("the road's end with the label", lambda: not found(), LABEL_SECONDS_MAX)


def test_a_service_account_without_association_gets_nothing(story):
    story.run(with_token("unassociated", APP, "nobody"))
    token = story.token("unassociated", APP)
    status, body = story.ask("unassociated", APP, token)
    assert status == 404 and "ResourceNotFoundException" in body, body
    story.agent.audited(token_name(token), "no credentials for a pod")


def test_an_association_made_a_moment_ago_is_found_and_one_taken_away_is_not(story):
    story.pods.apply(service_account("late", APP))
    story.run(with_token("late", APP, "late"))
    token = story.token("late", APP)
    assert story.ask("late", APP, token)[0] == 404
    _, role = story.pod_role("late")
    association = story.associate(APP, "late", role)
    status, body = story.ask("late", APP, token)
    assert status == 200 and json.loads(body)["AccountId"] == story.hub.account, body
    story.hub.cli("association", "delete", story.node.cluster.id, association)
    kube.wait_for("the association's end", lambda: story.ask("late", APP, token)[0] == 404, SEEN_SECONDS_MAX)


def immunity_21_a_token_that_is_carried_to_another_pod_is_worth_nothing(story, app):
    story.run(with_token("owner", APP, "bot"))
    story.run(pod("thief", APP, "nobody"))
    token = story.token("owner", APP)
    assert story.ask("owner", APP, token)[0] == 200
    status, body = story.ask("thief", APP, token)
    assert status == 403 and "another address" in body, body
    line = story.agent.audited(token_name(token), "another address")
    assert story.pods.get("thief", APP)["status"]["podIP"] in json.dumps(line), line
    # From the node itself, where every process has the node's address.
    story.run(pod("neighbour", APP, "nobody", hostNetwork=True))
    assert story.ask("neighbour", APP, token)[0] == 403


def immunity_21_a_pod_cannot_speak_from_anothers_address(story, app):
    owner = story.run(with_token("addressed", APP, "bot"))
    story.run(with_token("spoofer", APP, "bot"))
    token, address = story.token("spoofer", APP), owner["status"]["podIP"]
    # A pod as pods are cannot so much as try,
    status, said = story.ask("spoofer", APP, token, address)
    assert status == 0 and "Cannot assign requested address" in said, said
    # and what does come from there, as here from the node that has taken the address, gets nothing for another pod's token.
    assert story.ask("spoofer", APP, token)[0] == 200
    inside = story.node.machine.namespaces
    inside.done("ip", "address", "add", f"{address}/32", "dev", "lo")
    try:
        status, body = json.loads(inside.done(sys.executable, "-c", ASK, token, address))
    finally:
        inside.done("ip", "address", "del", f"{address}/32", "dev", "lo")
    assert status == 403 and "another address" in body, body
    line = story.agent.audited(token_name(token), "another address")
    assert address in json.dumps(line), line
    assert story.ask("addressed", APP, story.token("addressed", APP))[0] == 200


def immunity_48_the_token_of_a_pod_that_is_gone_is_worth_nothing(story, app):
    story.run(with_token("mortal", APP, "bot"))
    story.run(pod("heir", APP, "nobody"))
    token = story.token("mortal", APP)
    assert story.ask("mortal", APP, token)[0] == 200
    assert at_the_hub(story, token) == "vended"
    story.pods.delete("mortal", APP)

    def told() -> bool:
        status, body = story.ask("heir", APP, token)
        assert status == 403, body
        # Until the kubelet has let go of it, it is merely another pod's.
        return "does not run on this node" in body or "has ended" in body

    kube.wait_for("the pod's end at the agent", told, SEEN_SECONDS_MAX)
    # That the token was in another pod's hands meanwhile is a line too, and not this one.
    story.agent.audited(token_name(token), "pod_unknown", "pod_over")
    # With the agent passed by, the hub itself knows: the API server keeps its own word on a token for some seconds.
    kube.wait_for("the pod's end at the hub", lambda: "refuses the token" in at_the_hub(story, token), SEEN_SECONDS_MAX)


def at_the_hub(story: Story, token: str) -> str:
    """What the hub says to a pod's token, asked with the token of the node's agent: `vended`, or why not."""
    words = ("create", "token", agent.NAME, "--namespace", agent.NAMESPACE, "--audience", "lanyard:node")
    of_pod = ("--bound-object-kind", "Pod", "--bound-object-name", story.agent.pod)
    bearer = story.hub.secrets.add("the agent's token", story.node.server.admin(*words, *of_pod).strip())
    with contextlib.closing(FrontDoor(story.hub)) as door:
        asked = door.encode(VEND, {"cluster": story.node.cluster.id, "token": token})
        metadata = [("authorization", f"Bearer {bearer}"), ("x-lanyard-cluster", story.node.cluster.id)]
        answer = door.send(VEND, asked, metadata)
    if answer.code.name != "OK":
        return answer.details
    for secret in ("secret_access_key", "session_token"):
        story.hub.secrets.add("a pod's credentials", answer.message["credentials"][secret])
    return "vended"


def immunity_51_who_is_no_api_server_is_not_told_which_role_a_service_account_has(story, app):
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "1", "namespace": APP, "operation": "CREATE", "object": pod("x", APP, "bot")},
    }
    answer = story.node.cluster.post("mutate", review, bearer="")
    assert answer.status_code == 401 and app not in answer.text, answer.text


def test_credentials_are_renewed_before_they_end(story, app):
    story.run(pod("long-lived", APP, "bot"))
    said = json.loads(story.pods.python("long-lived", APP, ACROSS_EXPIRY))
    first, again, second = said["keys"]
    assert first == again, "what is good is not asked for again"
    assert second != first, "what is about to end is replaced by what the agent has renewed"
    assert 0 < said["seconds"] <= 6 * 3600
    for arn in said["arns"]:
        session_of(story, app, arn)


def test_a_namespace_says_what_becomes_of_pods_while_the_hub_is_away(story, app):
    story.node.server.admin("label", "namespace", QUIET, "lanyard.dev/pod-identity=required", "--overwrite")
    story.pods.apply(service_account("bot", QUIET))
    with story.node.hub_away():
        # Nothing of ours is in the way of anybody's pods,
        assert "AWS_ROLE_ARN" not in variables(story.run(pod("unmutated", APP, "bot")))
        # but for those who would rather have none than one without its role.
        refused = story.node.server.kubectl(
            "apply", "-f", "-", token=story.node.server.admin_token, stdin=json.dumps(pod("unmutated", QUIET, "bot"))
        )
        assert refused.returncode != 0 and "required.pods.lanyard.dev" in refused.stderr, refused.stderr
