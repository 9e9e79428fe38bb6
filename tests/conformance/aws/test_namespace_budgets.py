"""How often pods may have credentials: each namespace of a cluster has a part of its own, whatever its neighbours do, though all of them come
from one address; by web identity (IRSA) and by Pod Identity."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import boto3
import botocore.config
import botocore.exceptions
import pytest

import cluster_issuer
from hub import REGION, Hub, unique
from oidc import Key
from projected import Pod, Signer, push
from stack import REPLICAS
from wire import ANY_CLUSTER, PODS, Wire

# Little, so that few calls are too many: a namespace that is alone has six, two of them its own whatever others do.
OF_ONE, GUARANTEED, OF_ALL = 6, 2, 4
CONFIG = f"""
[credentials.web_identity]
per_namespace = {{ per_second = 1, burst = {OF_ONE} }}
per_namespace_guaranteed = {{ per_second = 1, burst = {GUARANTEED} }}
per_issuer = {{ per_second = 1, burst = {OF_ALL} }}

[credentials.vend]
per_namespace = {{ per_second = 1, burst = {OF_ONE} }}
per_namespace_guaranteed = {{ per_second = 1, burst = {GUARANTEED} }}
per_cluster = {{ per_second = 1, burst = {OF_ALL} }}
"""
# So many that no machine is slow enough for all of them to be within what comes again each second.
STORM = 60
AT_ONCE = 6
SERVED = "served"
NAMESPACES = ("loud", "crowd", "quiet", "late")


@pytest.fixture(scope="module")
def hub_of_little(tmp_path_factory):
    if REPLICAS:
        pytest.skip("a hub of its own, which the run against one process has")
    hub = Hub(tmp_path_factory.mktemp("budgets"), config=CONFIG, settings=cluster_issuer.SETTINGS)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


@dataclass
class Cluster:
    """A cluster whose pods may have credentials: what a pod of a namespace shows for them, and what it is told."""

    token: Callable[[str, int], str]
    ask: Callable[[str], str]
    over: str


def told(hub: Hub, call: Callable[[], dict], part: str, *secrets: str) -> str:
    """What comes of a call: served, or its error."""
    try:
        made = call()[part]
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    for name in secrets:
        hub.secrets.add(f"a session's {name}", made[name])
    return SERVED


def by_web_identity(hub: Hub) -> Cluster:
    """By a key that the hub has made for the API server, as pods with a web identity ask."""

    def subject(namespace: str) -> str:
        return f"system:serviceaccount:{namespace}:bot"

    made = cluster_issuer.generate(hub, hub.create_cluster("budgets"))
    hub.cli("iam", "oidc-provider", "create", made["issuer_url"], "--client-id", cluster_issuer.AUDIENCE)
    policy = cluster_issuer.trust(hub, made["issuer_url"], *map(subject, NAMESPACES))
    role = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", stdin=policy)["value"]
    asked = {"RoleArn": f"arn:aws:iam::{hub.account}:role/{role['name']}", "RoleSessionName": "app"}
    sts = Wire(hub).sts

    def token(namespace: str, number: int) -> str:
        return cluster_issuer.token_of(hub, made, subject=subject(namespace), jti=str(number))

    def ask(token: str) -> str:
        call = lambda: sts.assume_role_with_web_identity(WebIdentityToken=token, **asked)  # noqa: E731
        return told(hub, call, "Credentials", "SecretAccessKey", "SessionToken")

    return Cluster(token, ask, "Throttling")


def by_pod_identity(hub: Hub) -> Cluster:
    """By a key that the cluster's watch has told of, as the node's agent asks for its pods."""
    name = hub.create_cluster("budgets").id
    signer = Signer(f"https://{name}.example", Key(unique("k")), f"{name}.ec2.internal")
    push(hub, name, signer.issuer, signer.key)
    iam, eks = Wire(hub).client("iam"), Wire(hub).eks
    role = iam.create_role(RoleName=unique("app"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)["Role"]["Arn"]
    for namespace in NAMESPACES:
        eks.create_pod_identity_association(clusterName=name, namespace=namespace, serviceAccount="bot", roleArn=role)
    instance, machine = "i-0123456789abcdef0", hub.create_user("machine")
    nodes = hub.create_role("nodes", trusts=machine.arn)
    may_vend = {"Effect": "Allow", "Action": "eks-auth:AssumeRoleForPodIdentity", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may_vend]})
    hub.cli("iam", "policy", "put", "vend", "--role", nodes.name, "--document", "-", stdin=document)
    hub.cli("node", "set", name, instance, signer.node, "--role", nodes.arn, "--access-key", machine.credentials.access_key_id)
    caller = hub.assume_role(machine, nodes, instance)
    # No client of the wire's tests: those hold that no operation throttles anybody.
    auth = boto3.client(
        "eks-auth",
        endpoint_url=hub.ready["aws"],
        verify=hub.ca,
        region_name=REGION,
        aws_access_key_id=caller.access_key_id,
        aws_secret_access_key=caller.secret,
        aws_session_token=caller.session_token,
        config=botocore.config.Config(retries={"max_attempts": 1, "mode": "standard"}),
    )

    def token(namespace: str, number: int) -> str:
        # Each is another pod's, for what a pod has it is given again.
        return hub.secrets.add("a pod's token", signer.token(Pod(f"web-{number}", namespace, "bot")))

    def ask(token: str) -> str:
        call = lambda: auth.assume_role_for_pod_identity(clusterName=name, token=token)  # noqa: E731
        return told(hub, call, "credentials", "secretAccessKey", "sessionToken")

    return Cluster(token, ask, "ThrottlingException")


@pytest.mark.parametrize("road", [by_web_identity, by_pod_identity])
def immunity_28_one_namespaces_burst_never_starves_another(hub_of_little, road):
    cluster, other = road(hub_of_little), road(hub_of_little)
    # By web identity the pods of one namespace show one token, and those of the other each its own.
    is_one = road is by_web_identity
    one = cluster.token("loud", 0)
    loud = [one if is_one else cluster.token("loud", number) for number in range(STORM)]
    crowd = [cluster.token("crowd", number) for number in range(STORM)]
    quiet = [cluster.token("quiet", number) for number in range(GUARANTEED)]
    late, elsewhere = cluster.token("late", 0), other.token("loud", 0)
    with ThreadPoolExecutor(2 * AT_ONCE) as pool:
        storm = [pool.submit(cluster.ask, token) for pair in zip(loud, crowd) for token in pair]
        assert any(done.result() == cluster.over for done in as_completed(storm)), "nobody is over"
        # While these two go on, one that has not asked has all of its own part, and another cluster's namespace of the same name too.
        assert [cluster.ask(token) for token in quiet] == [SERVED] * GUARANTEED
        assert other.ask(elsewhere) == SERVED
        answers = [done.result() for done in storm]
    assert set(answers) == {SERVED, cluster.over}, "who is over is told so, and nothing else"
    for mine in (answers[::2], answers[1::2]):
        assert cluster.over in mine, "each of the two is over"
        assert mine.count(SERVED) >= GUARANTEED, "and had its own part first"
    # After it as during it.
    assert cluster.ask(late) == SERVED
