"""Who is known by a certificate at the gRPC front door: `lanyard pki issue --principal`, and a signer of another make."""

from __future__ import annotations

import datetime
import json
import pathlib
import uuid

import pytest
from cryptography.hazmat.primitives import hashes
from grpc import StatusCode

from certificates import Certificate, CertificateDoor
from hub import REGION, USAGE, Principal, unique
from management import FrontDoor
from tokens import Credentials

CREATE_USER = "/lanyard.authn.v1.Accounts/CreateUser"
LIST_CLUSTERS = "/lanyard.mapping.v1.Clusters/ListClusters"
LIST_USERS = "/lanyard.authn.v1.Accounts/ListUsers"


@pytest.fixture
def ana(hub) -> Principal:
    """Somebody who may do what they like with clusters."""
    ana = hub.create_user("ana")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["eks:*", "iam:CreateUser"], "Resource": "*"}]}
    flags = ["--user", ana.name, "clusters", "--document", "-"]
    hub.cli("iam", "policy", "put", *flags, stdin=json.dumps(document))
    return ana


def issue(hub, principal: Principal, folder: pathlib.Path, *flags: str) -> Certificate:
    made = hub.cli(
        "pki", "issue", "--principal", principal.arn, "--out", str(folder), "--data-dir", str(hub.data), *flags
    )
    assert made["principal_id"] == principal.principal_id and made["hub_id"] == hub.ready["hub_id"]
    assert (folder / "principal.key").stat().st_mode & 0o777 == 0o600
    certificate = Certificate(folder)
    hub.secrets.add("the key of a certificate", "".join(certificate.key_pem.decode().splitlines()[1:-1]))
    return certificate


def test_who_has_a_certificate_is_its_user_to_the_cli(hub, ana, tmp_path):
    certificate = issue(hub, ana, tmp_path / "ana")
    name = unique("by-certificate")
    made = hub.cli(*certificate.flags(), "cluster", "create", name, "--region", REGION)
    assert made["value"]["created_by"] == ana.arn
    assert "implicit_deny" in hub.refused(*certificate.flags(), "iam", "user", "list")
    shown = hub.cli("pki", "show", str(tmp_path / "ana"))
    uri = f"lanyard://hub/{hub.ready['hub_id']}/principal/local/{hub.account}/{ana.principal_id}"
    assert shown[0]["uris"] == [uri] and shown[0]["issuer"].startswith("Lanyard principals of ")


def test_another_signer_is_understood_and_a_change_counts_once(hub, ana, tmp_path):
    door = CertificateDoor(hub, issue(hub, ana, tmp_path / "ana"))
    request = {"name": unique("by-another")}
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    call = {"nonce": str(uuid.uuid4()), "now": now}
    first = door.signed(CREATE_USER, request, **call)
    assert first.code == StatusCode.OK, first
    # Signed again it has another signature, and is the same call: it gets the same answer.
    again = door.signed(CREATE_USER, request, **call)
    assert (again.code, again.message) == (StatusCode.OK, first.message)
    anew = door.signed(CREATE_USER, request)
    assert anew.code == StatusCode.ALREADY_EXISTS, anew
    assert door.signed(LIST_USERS, {}).code == StatusCode.PERMISSION_DENIED
    door.close()


def test_immunity_41_a_certificate_without_its_keys_signature_is_nobody(hub, ana, tmp_path):
    own, other = (issue(hub, ana, tmp_path / name) for name in ("own", "other"))
    door = CertificateDoor(hub, own)
    body = door.encode(LIST_CLUSTERS, {})
    assert door.send(LIST_CLUSTERS, body, own.sign(door, LIST_CLUSTERS, body)).code == StatusCode.OK
    refused = {
        "unsigned": (LIST_CLUSTERS, []),
        "signed by another certificate's key": (LIST_CLUSTERS, other.sign(door, LIST_CLUSTERS, body)),
        "signed for another method": (LIST_CLUSTERS, own.sign(door, LIST_CLUSTERS, body, path=LIST_USERS)),
        "signed for another message": (LIST_CLUSTERS, own.sign(door, LIST_CLUSTERS, b"\x0a\x00")),
    }
    for what, (path, metadata) in refused.items():
        assert door.send(path, body, metadata).code == StatusCode.UNAUTHENTICATED, what
    # Nor on a connection that shows none.
    plain = FrontDoor(hub)
    answer = plain.send(LIST_CLUSTERS, body, own.sign(plain, LIST_CLUSTERS, body))
    assert answer.code == StatusCode.UNAUTHENTICATED and "connection" in answer.details, answer
    for opened in (door, plain):
        opened.close()


def test_immunity_39_a_certificate_ends_with_its_user_and_a_block(hub, ana, tmp_path):
    certificate = issue(hub, ana, tmp_path / "ana", "--hours", "1")
    listing = [*certificate.flags(), "cluster", "list"]
    hub.cli(*listing)
    block = hub.cli("block", "create", "--principal", ana.arn, "--authority", "local", "--reason", "test")
    assert "blocked" in hub.refused(*listing)
    hub.cli("block", "delete", block["value"]["id"])
    hub.cli(*listing)
    for key in hub.cli("iam", "access-key", "list", ana.name):
        hub.cli("iam", "access-key", "delete", ana.name, key["id"])
    hub.cli("iam", "policy", "delete", "--user", ana.name, "clusters")
    hub.cli("iam", "user", "delete", ana.name)
    assert "certificate_principal_gone" in hub.refused(*listing)
    hub.cli("iam", "user", "create", ana.name)
    assert "certificate_principal_gone" in hub.refused(*listing)


def test_immunity_39_one_certificate_is_blocked_with_its_sessions_and_the_others_go_on(hub, cluster, ana, tmp_path):
    stolen, other = (issue(hub, ana, tmp_path / name) for name in ("stolen", "other"))
    (shown, _) = hub.cli("pki", "show", str(tmp_path / "stolen" / "principal.crt"))
    assert shown["sha256"] == stolen.chain[0].fingerprint(hashes.SHA256()).hex()
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    hub.cli("iam", "policy", "put", "--user", ana.name, "assume", "--document", "-", stdin=document)
    role = hub.create_role(trusts=ana.arn)
    cluster.entry(role, groups=["ops"])
    made = hub.cli(*stolen.flags(), "iam", "assume-role", role.arn, "--session-name", "ana")
    session = Credentials(made["access_key_id"], made["secret_access_key"], made["session_token"])
    for secret in (session.secret, session.session_token):
        hub.secrets.add("of a session", secret)
    listing = [[*certificate.flags(), "cluster", "list"] for certificate in (stolen, other)]
    user = cluster.log_in(session)
    hub.cli(*listing[0])
    block = hub.cli("block", "create", "--certificate", shown["sha256"], "--reason", "laptop lost")["value"]
    assert block["target"] == {"kind": "certificate", "sha256": shown["sha256"]}
    assert block["id"] in [one["id"] for one in hub.cli("block", "list")]
    assert "blocked" in hub.refused(*listing[0])
    hub.cli(*listing[1])
    assert cluster.refusal(session) == "blocked"
    assert cluster.verdict(user, verb="get", resource="pods", namespace="x")[0] == "denied"
    hub.cli("block", "delete", block["id"])
    hub.cli(*listing[0])
    assert cluster.verdict(user, verb="get", resource="pods", namespace="x")[0] == "no opinion"


def test_a_profile_names_the_certificate_that_calls_are_made_by(hub, ana, tmp_path):
    issue(hub, ana, tmp_path / "ana")
    config = tmp_path / "config"
    config.write_text("[profile ana]\nclient_certificate = ana/principal.crt\nclient_key = ana/principal.key\n")
    environment = {"AWS_CONFIG_FILE": str(config)}
    name = unique("by-profile")
    made = hub.cli("--profile", "ana", "cluster", "create", name, "--region", REGION, environment=environment)
    assert made["value"]["created_by"] == ana.arn
    by_variable = environment | {"AWS_PROFILE": "ana"}
    assert "implicit_deny" in hub.refused("iam", "user", "list", environment=by_variable)
    token = hub.refused("--profile", "ana", "token", "--cluster-id", name, environment=environment, code=USAGE)
    assert "signs calls to the hub and no tokens of clusters" in token
    config.write_text("[profile ana]\nclient_certificate = ana/principal.crt\n")
    half = hub.refused("--profile", "ana", "cluster", "list", environment=environment, code=USAGE)
    assert "`client_certificate` without `client_key`" in half


def test_a_certificate_is_for_a_user_and_for_days(hub, ana, tmp_path):
    flags = ["--out", str(tmp_path / "x"), "--data-dir", str(hub.data)]
    role = hub.create_role(trusts=ana.arn)
    assert "a role is assumed" in hub.refused("pki", "issue", "--principal", role.arn, *flags, code=USAGE)
    assert "2160" in hub.refused("pki", "issue", "--principal", ana.arn, "--hours", "2161", *flags, code=USAGE)
    nobody = ana.arn + "-who-is-nobody"
    assert "does not exist" in hub.refused("pki", "issue", "--principal", nobody, *flags)
    assert not (tmp_path / "x").exists()
    certificate = issue(hub, ana, tmp_path / "ana")
    other = issue(hub, ana, tmp_path / "other")
    mixed = ["--client-cert", certificate.files[0], "--client-key", other.files[1]]
    assert "it is not the key of" in hub.refused(*mixed, "cluster", "list", code=USAGE)
