"""Pods get credentials: botocore's own client of EKS Auth calls the hub as a node does, and what it gets works like any other key."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from hub import REGION, Hub, Principal, audit_line, unique
from management import Answer, FrontDoor
from oidc import Key
from projected import AUDIENCE, Pod, Signer, push
from stack import REPLICAS
from tokens import Credentials
from wire import ANY_CLUSTER, PODS, Wire, refused

VEND = "/lanyard.credentials.v1.Vend/AssumeRoleForPodIdentity"
MAY_VEND = {"Effect": "Allow", "Action": "eks-auth:AssumeRoleForPodIdentity", "Resource": "*"}


@dataclass
class Spoke(Signer):
    """A cluster whose issuer the hub knows, with a node that is bound, and an association of `team-a/bot`."""

    hub: Hub
    name: str
    instance: str
    role: str
    caller: Credentials

    def token(self, *pod, **changed) -> str:
        return self.hub.secrets.add("a pod's token", super().token(*pod, **changed))

    def vend(self, client, token: str | None = None):
        made = client.assume_role_for_pod_identity(clusterName=self.name, token=token or self.token())
        for secret in ("secretAccessKey", "sessionToken"):
            self.hub.secrets.add("a pod's credentials", made["credentials"][secret])
        return made


@pytest.fixture(scope="module")
def spoke(hub, wire) -> Spoke:
    name, iam = unique("vend"), wire.client("iam")
    wire.eks.create_cluster(name=name, roleArn=f"arn:aws:iam::{hub.account}:role/cluster", resourcesVpcConfig={})
    role = iam.create_role(RoleName=unique("app"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)["Role"]["Arn"]
    hub.settle()
    wire.eks.create_pod_identity_association(
        clusterName=name, namespace="team-a", serviceAccount="bot", roleArn=role
    )
    key, issuer = Key(unique("k")), f"https://{name}.example"
    push(hub, name, issuer, key)
    # A machine, whose key makes the sessions of its node.
    node, instance = f"ip-{name}.ec2.internal".lower(), "i-0123456789abcdef0"
    machine = hub.create_user("machine")
    nodes = hub.create_role("nodes", trusts=machine.arn)
    iam.put_role_policy(
        RoleName=nodes.name,
        PolicyName="vend",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [MAY_VEND]}),
    )
    hub.settle()
    bind = ["--role", nodes.arn, "--access-key", machine.credentials.access_key_id]
    hub.cli("node", "set", name, instance, node, *bind)
    caller = hub.assume_role(machine, nodes, instance)
    hub.settle()
    return Spoke(issuer, key, node, hub, name, instance, role, caller)


@pytest.fixture(scope="module")
def auth(hub, spoke):
    return Wire(hub, spoke.caller).client("eks-auth")


def test_a_pod_gets_credentials_that_work(hub, spoke, auth):
    token = spoke.token()
    made = spoke.vend(auth, token)
    assert made["subject"] == {"namespace": "team-a", "serviceAccount": "bot"}
    assert made["audience"] == AUDIENCE
    association = made["podIdentityAssociation"]
    arn = f"arn:aws:eks:{REGION}:{hub.account}:podidentityassociation/{spoke.name}/{association['associationId']}"
    assert association["associationArn"] == arn
    own = made["credentials"]
    assert 3500 < own["expiration"].timestamp() - time.time() <= 3600, "the role's maximum"
    pod = Wire(hub, Credentials(own["accessKeyId"], own["secretAccessKey"], own["sessionToken"]))
    who = pod.sts.get_caller_identity()
    assert who["Arn"] == made["assumedRoleUser"]["arn"] and who["UserId"] == made["assumedRoleUser"]["assumeRoleId"]
    name = spoke.role.rsplit("/", 1)[1]
    assert who["Arn"].startswith(f"arn:aws:sts::{hub.account}:assumed-role/{name}/eks-"), who
    # Whoever asks again for the same pod gets what it has; each replica keeps its own.
    kept = {own["accessKeyId"]} | {spoke.vend(auth, token)["credentials"]["accessKeyId"] for _ in range(4)}
    assert len(kept) <= max(1, REPLICAS)
    assert spoke.vend(auth)["credentials"]["accessKeyId"] not in kept, "another pod"


def test_the_errors_are_those_of_the_model(hub, wire, spoke, auth):
    def ask(token: str, cluster: str = spoke.name):
        auth.assume_role_for_pod_identity(clusterName=cluster, token=token)

    now = int(time.time())
    with refused(auth, "ResourceNotFoundException", "No cluster found", status=404):
        ask(spoke.token(), "none")
    for token in ("", "a.b", "Bearer a.b.c"):
        with refused(auth, "InvalidParameterException", "token"):
            ask(token)
    with refused(auth, "ExpiredTokenException", "expired"):
        ask(spoke.token(exp=now - 1))
    for changed in ({"aud": ["sts.amazonaws.com"]}, {"nbf": now + 3600}, {"iss": "https://other.example"}):
        with refused(auth, "InvalidTokenException"):
            ask(spoke.token(**changed))
    with refused(auth, "InvalidTokenException", "not signed"):
        ask(hub.secrets.add("an unsigned token", spoke.unsigned() + "x"))
    other = spoke.claims()
    other["kubernetes.io"]["serviceaccount"]["name"] = "nobody"
    with refused(auth, "ResourceNotFoundException", "`team-a/nobody`", status=404):
        ask(spoke.token(**other | {"sub": "system:serviceaccount:team-a:nobody"}))
    elsewhere = spoke.claims()
    elsewhere["kubernetes.io"]["node"]["name"] = "another-node"
    with refused(auth, "AccessDeniedException", "another-node") as told:
        ask(spoke.token(**elsewhere))
    # Whichever door had the call, in one process or in several: it is a decision, and found.
    decision = told["Message"].rsplit("decision ", 1)[1]
    explained = json.dumps(hub.explain_decision(decision))
    assert "pod_identity_denied" in explained and "another-node" in explained
    administrator = wire.client("eks-auth")
    with refused(administrator, "AccessDeniedException", "no node"):
        administrator.assume_role_for_pod_identity(clusterName=spoke.name, token=spoke.token())


@pytest.fixture(scope="module")
def untrusting(hub, wire, spoke) -> str:
    """A namespace whose `bot` has a role that trusts Pod Identity no more."""
    iam = wire.client("iam")
    role = iam.create_role(RoleName=unique("app"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)["Role"]
    hub.settle()
    namespace = unique("untrusting")
    association = {"clusterName": spoke.name, "namespace": namespace, "serviceAccount": "bot"}
    wire.eks.create_pod_identity_association(**association, roleArn=role["Arn"])
    others = PODS.replace("pods.eks.amazonaws.com", "ec2.amazonaws.com")
    iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=others)
    hub.settle()
    return namespace


@pytest.fixture(scope="module")
def chained(hub, wire, spoke) -> str:
    """A namespace whose `bot` has a role that may assume whatever trusts it, and a target role that trusts another role instead, which
    would be a hop between the two."""
    iam = wire.client("iam")

    def trusting(arn: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def role(stem: str, trust: str, **more) -> dict:
        made = iam.create_role(RoleName=unique(stem), AssumeRolePolicyDocument=trust, **more)["Role"]
        hop = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [hop]})
        iam.put_role_policy(RoleName=made["RoleName"], PolicyName="hop", PolicyDocument=document)
        hub.settle()
        return made

    first = role("app", PODS, Tags=ANY_CLUSTER)
    between, last = (role(stem, trusting(first["Arn"])) for stem in ("between", "data"))
    namespace = unique("chained")
    association = {"clusterName": spoke.name, "namespace": namespace, "serviceAccount": "bot"}
    wire.eks.create_pod_identity_association(**association, roleArn=first["Arn"], targetRoleArn=last["Arn"])
    iam.update_assume_role_policy(RoleName=last["RoleName"], PolicyDocument=trusting(between["Arn"]))
    hub.settle()
    return namespace


def attacks(spoke: Spoke, untrusting: str, chained: str) -> dict[str, tuple[str, ...]]:
    """Tokens that somebody might try, the error of each, its reason, and the words that tell it from the others of that reason."""
    now = int(time.time())
    invalid, denied = ("InvalidTokenException", "pod_token_invalid"), ("AccessDeniedException", "pod_identity_denied")
    missing = ("ResourceNotFoundException", "pod_association_missing")

    def bound(**changed) -> dict:
        own = spoke.claims()["kubernetes.io"] | changed
        return {"kubernetes.io": {name: value for name, value in own.items() if value is not None}}

    return {
        "wrong audience": (spoke.token(aud=["sts.amazonaws.com"]), *invalid, "audience"),
        "two audiences": (spoke.token(aud=[AUDIENCE, "vault"]), *invalid, "2 audiences"),
        "another cluster's issuer": (spoke.token(iss="https://other.example"), *invalid, "issuer"),
        "alg none": (spoke.unsigned() + "x", *invalid, "not signed"),
        "HS256 with the public key": (spoke.by_public_key(), *invalid, "HMAC"),
        "expired": (spoke.token(exp=now - 1), "ExpiredTokenException", "pod_token_expired", "expired"),
        "future nbf": (spoke.token(nbf=now + 3600), *invalid, "not valid before"),
        "bound to no pod": (spoke.token(**bound(pod=None)), *invalid, "not bound to a pod"),
        "bound to no node": (spoke.token(**bound(node=None)), *invalid, "not bound to a node"),
        "another node": (spoke.token(**bound(node={"name": "node-b", "uid": "n"})), *denied, "node-b"),
        "a role without trust": (spoke.token(Pod(namespace=untrusting)), *denied),
        "a hop more than one": (spoke.token(Pod(namespace=chained)), "AccessDeniedException", "target_trust"),
        "a longer subject": (spoke.token(sub="system:serviceaccount:team-a:bot2"), *invalid, "subject"),
        "a ServiceAccount that begins alike": (spoke.token(Pod(service_account="bot2")), *missing, "`team-a/bot2`"),
        "a namespace that is a pattern": (spoke.token(Pod(namespace="*")), *invalid),
        "a ServiceAccount that is a pattern": (spoke.token(Pod(service_account="*")), *invalid),
        "more session tags": (spoke.token(Pod(name='a","kubernetes-namespace":"kube-system')), *invalid),
        "a line for the log": (spoke.token(**bound(pod={"name": "web-1", "uid": "u\nlevel=INFO"})), *invalid),
    }


def test_immunity_10_each_attack_is_refused_with_its_own_error_and_an_audit_line(hub, spoke, auth, untrusting, chained):
    for what, (token, error, reason, *words) in attacks(spoke, untrusting, chained).items():
        hub.secrets.add("an attacker's token", token)
        with refused(auth, error, status=404 if error == "ResourceNotFoundException" else 400) as told:
            auth.assume_role_for_pod_identity(clusterName=spoke.name, token=token)
        assert "decision " in told["Message"] and all(word in told["Message"] for word in words), (what, told)
        line = audit_line(hub, token, "a pod was vended nothing")
        assert reason in line and spoke.name in line and all(word in line for word in words), (what, line)


def test_an_association_whose_account_the_hub_does_not_keep_is_an_invalid_request(hub, wire, spoke, auth):
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**MAY_VEND, "Action": "sts:AssumeRole"}]})
    name = spoke.role.rsplit("/", 1)[1]
    wire.client("iam").put_role_policy(RoleName=name, PolicyName="hop", PolicyDocument=policy)
    hub.settle()
    wire.eks.create_pod_identity_association(
        clusterName=spoke.name,
        namespace="team-b",
        serviceAccount="bot",
        roleArn=spoke.role,
        targetRoleArn="arn:aws:iam::999988887777:role/data",
    )
    hub.settle()
    claims = spoke.claims()
    claims["kubernetes.io"]["namespace"] = "team-b"
    with refused(auth, "InvalidRequestException", "does not keep"):
        auth.assume_role_for_pod_identity(
            clusterName=spoke.name, token=spoke.token(**claims | {"sub": "system:serviceaccount:team-b:bot"})
        )


def immunity_20_a_block_on_the_role_stops_vends_at_once_over_both_doors(hub, wire, spoke, auth, node):
    namespace = unique("blocked")
    role = wire.client("iam").create_role(RoleName=unique("app"), AssumeRolePolicyDocument=PODS, Tags=ANY_CLUSTER)["Role"]
    hub.settle()
    wire.eks.create_pod_identity_association(
        clusterName=spoke.name, namespace=namespace, serviceAccount="bot", roleArn=role["Arn"]
    )
    hub.settle()
    claims = spoke.claims()
    claims["kubernetes.io"]["namespace"] = namespace
    token = spoke.token(**claims | {"sub": f"system:serviceaccount:{namespace}:bot"})
    spoke.vend(auth, token)
    words = ["--principal", role["Arn"], "--authority", "local", "--reason", "what its author knows"]
    block = hub.cli("block", "create", *words)["value"]["id"]
    hub.settle()
    with refused(auth, "AccessDeniedException", block) as told:
        auth.assume_role_for_pod_identity(clusterName=spoke.name, token=token)
    assert "(blocked)" in told["Message"] and "what its author knows" not in told["Message"], told
    explained = json.dumps(hub.explain_decision(told["Message"].rsplit("decision ", 1)[1]))
    assert "pod_identity_denied" in explained and block in explained
    assert block in audit_line(hub, token, "a pod was vended nothing")
    answer = vend_as_node(node, spoke, token)
    assert answer.code.name == "PERMISSION_DENIED" and block in answer.details, answer
    hub.cli("block", "delete", block)
    hub.settle()
    spoke.vend(auth, token)


def test_a_caller_whose_policies_do_not_let_them_vends_nothing(hub, spoke):
    nobody = hub.create_user("nobody")
    hub.settle()
    client = Wire(hub, nobody.credentials).client("eks-auth")
    with refused(client, "AccessDeniedException", "eks-auth:AssumeRoleForPodIdentity"):
        client.assume_role_for_pod_identity(clusterName=spoke.name, token=spoke.token())


def immunity_36_a_pods_session_ends_with_its_association(hub, wire, spoke, auth):
    name = unique("gone")
    made = wire.eks.create_pod_identity_association(
        clusterName=spoke.name, namespace=name, serviceAccount="bot", roleArn=spoke.role
    )["association"]
    hub.settle()
    claims = spoke.claims()
    claims["kubernetes.io"]["namespace"] = name
    token = spoke.token(**claims | {"sub": f"system:serviceaccount:{name}:bot"})
    own = spoke.vend(auth, token)["credentials"]
    pod = Wire(hub, Credentials(own["accessKeyId"], own["secretAccessKey"], own["sessionToken"]))
    pod.sts.get_caller_identity()
    wire.eks.delete_pod_identity_association(clusterName=spoke.name, associationId=made["associationId"])
    hub.settle()
    with refused(pod.sts, "InvalidClientTokenId", "Pod Identity association", status=403):
        pod.sts.get_caller_identity()


def immunity_36_a_pods_session_opens_the_cluster_whose_entry_names_its_role_until_the_association_is_gone(
    hub, wire, cluster, spoke, auth
):
    namespace = unique("kubectl")
    made = wire.eks.create_pod_identity_association(
        clusterName=spoke.name, namespace=namespace, serviceAccount="bot", roleArn=spoke.role
    )["association"]
    hub.settle()
    claims = spoke.claims()
    claims["kubernetes.io"]["namespace"] = namespace
    own = spoke.vend(auth, spoke.token(**claims | {"sub": f"system:serviceaccount:{namespace}:bot"}))["credentials"]
    session = Credentials(own["accessKeyId"], own["secretAccessKey"], own["sessionToken"])
    # IAM alone opens nothing, a pod's no more than a person's.
    assert cluster.refusal(session) == "unmapped"
    cluster.entry(Principal(spoke.role.rsplit("/", 1)[1], spoke.role, ""), policy="AmazonEKSViewPolicy")
    user = cluster.log_in(session)
    pods = {"verb": "get", "resource": "pods", "namespace": "team-a"}
    assert cluster.verdict(user, **pods)[0] == "allowed"
    wire.eks.delete_pod_identity_association(clusterName=spoke.name, associationId=made["associationId"])
    hub.settle()
    assert cluster.refusal(session) == "session_ancestor_gone"
    # Also while the API server remembers the token.
    assert cluster.verdict(user, **pods)[0] == "denied"


@pytest.fixture
def node(hub):
    """The front door as a node's agent has it."""
    door = FrontDoor(hub)
    yield door
    door.close()


def vend_as_node(door: FrontDoor, spoke: Spoke, pod: str, **agent) -> Answer:
    bearer = spoke.agents_token(**agent)
    body = door.encode(VEND, {"cluster": spoke.name, "token": pod})
    return door.send(VEND, body, [("authorization", f"Bearer {bearer}"), ("x-lanyard-cluster", spoke.name)])


def test_an_agent_vends_by_its_own_projected_token_and_each_answer_is_a_decision(hub, spoke, node):
    answer = vend_as_node(node, spoke, spoke.token())
    assert answer.code.name == "OK", answer
    made = answer.message
    for secret in ("secret_access_key", "session_token"):
        hub.secrets.add("a pod's credentials", made["credentials"][secret])
    assert made["subject"] == {"namespace": "team-a", "service_account": "bot"}
    assert made["user"]["arn"].split(":assumed-role/")[1].split("/")[1].startswith("eks-")

    stolen = spoke.claims()
    stolen["kubernetes.io"]["node"]["name"] = "another-node"
    answer = vend_as_node(node, spoke, spoke.token(**stolen))
    assert answer.code.name == "PERMISSION_DENIED" and "another-node" in answer.details, answer
    decision = answer.details.rsplit("decision ", 1)[1]
    explained = json.dumps(hub.explain_decision(decision))
    assert "pod_identity_denied" in explained and "another-node" in explained and spoke.node in explained
    # A pod's token is no agent's, and an agent's no pod's.
    assert vend_as_node(node, spoke, spoke.token(), aud=[AUDIENCE]).code.name == "UNAUTHENTICATED"
    assert vend_as_node(node, spoke, spoke.token(aud=["lanyard:node"])).code.name == "PERMISSION_DENIED"


def test_a_rotation_of_the_issuers_keys_cuts_nobody_off(hub, spoke, auth):
    before = spoke.token()
    following = Key(unique("k"))
    push(hub, spoke.name, spoke.issuer, following, spoke.key)
    spoke.vend(auth, before)
    old, spoke.key = spoke.key, following
    spoke.vend(auth)
    push(hub, spoke.name, spoke.issuer, following)
    spoke.vend(auth)
    spoke.key = old
    with refused(auth, "InvalidTokenException"):
        auth.assume_role_for_pod_identity(
            clusterName=spoke.name, token=spoke.token(iat=int(time.time()) - 600)
        )
    spoke.key = following
