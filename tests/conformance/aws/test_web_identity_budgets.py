"""How often pods may have sessions by web identity: each namespace of a cluster has a part of its own, whatever its neighbours do, though
all of them come from one address."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed

import botocore.exceptions
import pytest

from cluster_issuer import AUDIENCE, SETTINGS, generate, token_of, trust
from hub import unique
from wire import Wire

# Little, so that few calls are too many: a namespace that is alone has six, two of them its own whatever others do.
OF_ONE, GUARANTEED, OF_ALL = 6, 2, 4
CONFIG = f"""
[credentials.web_identity]
per_namespace = {{ per_second = 1, burst = {OF_ONE} }}
per_namespace_guaranteed = {{ per_second = 1, burst = {GUARANTEED} }}
per_issuer = {{ per_second = 1, burst = {OF_ALL} }}
"""
# So many that no machine is slow enough for all of them to be within what comes again each second.
STORM = 60
AT_ONCE = 6
SERVED, OVER = "served", "Throttling"


class Cluster:
    """A cluster whose pods have one role, and whose API server signs with a key of the hub's making."""

    def __init__(self, hub, *namespaces: str) -> None:
        self.hub = hub
        self.made = generate(hub, hub.create_cluster("budgets"))
        hub.cli("iam", "oidc-provider", "create", self.made["issuer_url"], "--client-id", AUDIENCE)
        policy = trust(hub, self.made["issuer_url"], *map(subject, namespaces))
        role = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", stdin=policy)["value"]
        self.role = f"arn:aws:iam::{hub.account}:role/{role['name']}"
        self.sts = Wire(hub).sts

    def token(self, namespace: str, number: int = 0) -> str:
        return token_of(self.hub, self.made, subject=subject(namespace), jti=str(number))

    def ask(self, token: str) -> str:
        """What a pod with this token is told."""
        try:
            made = self.sts.assume_role_with_web_identity(RoleArn=self.role, RoleSessionName="app", WebIdentityToken=token)
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        for name in ("SecretAccessKey", "SessionToken"):
            self.hub.secrets.add(f"a session's {name}", made["Credentials"][name])
        return SERVED


def subject(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:app"


@pytest.fixture
def hub_of_little(new_hub):
    return new_hub("budgets", config=CONFIG, settings=SETTINGS).start()


def immunity_28_one_namespaces_burst_of_web_identities_never_starves_another(hub_of_little):
    cluster = Cluster(hub_of_little, "loud", "crowd", "quiet", "late")
    other = Cluster(hub_of_little, "loud")
    # Of one namespace all pods show one token, of the other each its own.
    loud = [cluster.token("loud")] * STORM
    crowd = [cluster.token("crowd", number) for number in range(STORM)]
    quiet = [cluster.token("quiet", number) for number in range(GUARANTEED)]
    late, elsewhere = cluster.token("late"), other.token("loud")
    with ThreadPoolExecutor(2 * AT_ONCE) as pool:
        storm = [pool.submit(cluster.ask, token) for pair in zip(loud, crowd) for token in pair]
        assert any(done.result() == OVER for done in as_completed(storm)), "nobody is over"
        # While these two go on, one that has not asked has all of its own part, and another cluster's namespace of the same name too.
        assert [cluster.ask(token) for token in quiet] == [SERVED] * GUARANTEED
        assert other.ask(elsewhere) == SERVED
        told = [done.result() for done in storm]
    assert set(told) == {SERVED, OVER}, "who is over is told so, and nothing else"
    for mine in (told[::2], told[1::2]):
        assert OVER in mine, "each of the two is over"
        assert mine.count(SERVED) >= GUARANTEED, "and had its own part first"
    # After it as during it.
    assert cluster.ask(late) == SERVED
