"""Attacks on the calls of the AWS wire: policies with exclusions, numbers of others, signatures used again (immunity 19, 31, 32, 46)."""

from __future__ import annotations

import base64
import datetime
import json
import uuid
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import botocore.exceptions

from hub import unique
from tokens import PREFIX, Credentials
from wire import Wire, code_of, create, let, raw, refused

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def immunity_19_exclusions_except_what_they_name_and_grant_nothing_else(hub, wire, eks):
    ours, theirs = create(eks, "ours"), create(eks, "theirs")
    ana = hub.create_user("ana")
    own = Wire(hub, ana.credentials)
    arn = eks.describe_cluster(name=theirs)["cluster"]["arn"]
    star = {"Effect": "Allow", "Resource": "*"}
    # Statements, and whether ana may: describe ours, describe theirs, list clusters, delete ours, list users.
    cases = [
        ([star | {"NotAction": "eks:Delete*"}], (True, True, True, False, True)),
        ([star | {"NotAction": ["iam:*", "eks:DeleteCluster"]}], (True, True, True, False, False)),
        ([{"Effect": "Allow", "Action": "eks:Describe*", "NotResource": arn}], (True, False, False, False, False)),
        (
            [star | {"Action": "*"}, {"Effect": "Deny", "NotAction": ["eks:DescribeCluster"], "Resource": "*"}],
            (True, True, False, False, False),
        ),
        (
            [star | {"Action": "eks:*"}, {"Effect": "Deny", "Action": "eks:*", "NotResource": f"{arn}*"}],
            (False, True, False, False, False),
        ),
        ([star | {"Action": "*"}, {"Effect": "Deny", "Action": "EKS:describecluster", "Resource": arn}], (True, False, True, None, True)),
        ([{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn[:-1] + "?"}], (False, True, False, False, False)),
        ([{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn + "?"}], (False, False, False, False, False)),
        ([star | {"NotAction": "*"}], (False, False, False, False, False)),
    ]
    for statements, expected in cases:
        let(hub, ana.name, *statements)
        calls = [
            lambda: own.eks.describe_cluster(name=ours),
            lambda: own.eks.describe_cluster(name=theirs),
            lambda: own.eks.list_clusters(),
            lambda: own.eks.delete_cluster(name=ours),
            lambda: own.client("iam").list_users(),
        ]
        for call, may in zip(calls, expected, strict=True):
            if may is None:
                continue
            try:
                call()
                assert may, statements
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
                assert not may, (statements, error)


def immunity_31_an_arn_counts_by_who_vouches_for_its_account(hub, wire, eks):
    """A number that AWS vouches for is nobody's to take, by any road of this wire."""
    number = "123412341234"
    hub.cli("iam", "account", "create", number, "--authority", "aws", "--name", unique("aws"))
    hub.refused("iam", "account", "create", number, "--authority", "local", "--name", unique("taken"))
    hub.settle()
    cluster = create(eks, "authority")
    hub.settle()
    for arn in (f"arn:aws:iam::{number}:user/ana", "arn:aws:iam::999988887777:user/ana"):
        with refused(eks, "InvalidParameterException"):
            eks.create_access_entry(clusterName=cluster, principalArn=arn)
    # Nobody signs as one of it: the hub has no keys of such an account, and makes none.
    with refused(Wire(hub, Credentials("AKIAIOSFODNN7EXAMPLE", "x" * 40)).sts, "InvalidClientTokenId", "", 403):
        Wire(hub, Credentials("AKIAIOSFODNN7EXAMPLE", "x" * 40)).sts.get_caller_identity()
    # And no session name or issuer's prefix makes a name of it.
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    with refused(Wire(hub, ana.credentials).sts, "ValidationError", "RoleSessionName"):
        Wire(hub, ana.credentials).sts.assume_role(RoleArn=role.arn, RoleSessionName=f"arn:aws:iam::{number}:user/ana")
    oidc = {"identityProviderConfigName": "a", "issuerUrl": f"https://{cluster}.example", "clientId": cluster}
    with refused(eks, "InvalidParameterException"):
        eks.associate_identity_provider_config(
            clusterName=cluster, oidc=oidc | {"usernamePrefix": f"arn:aws:iam::{number}:user/"}
        )


def immunity_32_a_client_token_says_who_its_maker_is_and_nothing_else(hub, wire, eks):
    name = create(eks, "token")
    hub.settle()
    token = wire.aws_json("eks", "get-token", "--cluster-name", name)["status"]["token"]
    hub.secrets.add("a client token", token)
    encoded = token.removeprefix(PREFIX)
    query = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()).query
    said = dict(parse_qsl(query))
    header = "AWS4-HMAC-SHA256 " + ", ".join(
        f"{part}={said[f'X-Amz-{part}']}" for part in ("Credential", "SignedHeaders", "Signature")
    )
    signed = {"x-k8s-aws-id": name}
    as_header = signed | {"Authorization": header, "X-Amz-Date": said["X-Amz-Date"]}
    form = b"Action=CreateUser&Version=2010-05-08&UserName=replayed"
    attempts = [
        ("GET", f"/?{query.replace('GetCallerIdentity', 'GetSessionToken')}", b"", signed),
        ("GET", f"/?{query.replace('Action=GetCallerIdentity&Version=2011-06-15', 'Action=ListUsers&Version=2010-05-08')}", b"", signed),
        ("POST", f"/?{query}", form, signed | FORM),
        ("GET", f"/clusters/{name}?{query}", b"", signed),
        ("DELETE", f"/clusters/{name}?{query}", b"", signed),
        ("POST", "/", form, as_header | FORM),
        ("DELETE", f"/clusters/{name}", b"", as_header),
        ("DELETE", f"/clusters/{name}", b"", {"Authorization": f"Bearer {token}"}),
    ]
    for method, path, body, headers in attempts:
        answer = raw(hub, method, f"{wire.url}{path}", body, headers=headers)
        assert answer.status_code in (400, 403, 404), (method, path[:60], answer.text)
    assert eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE"


def immunity_32_a_captured_call_is_good_for_one_method_path_body_service_and_hub(hub, wire, eks, hub_beside):
    name = create(eks, "captured")
    hub.settle()
    ana = hub.create_user("ana")
    path = f"/clusters/{name}/access-entries"
    body = json.dumps({"principalArn": ana.arn}).encode()
    elsewhere = hub_beside("elsewhere").start()

    def change(**other):
        return lambda sent: sent.update(other)

    def at_another_hub(sent):
        sent["url"] = sent["url"].replace(wire.url, elsewhere.ready["aws"])

    attacks = [
        change(method="PUT"),
        change(method="DELETE"),
        change(url=f"{wire.url}/clusters/{name}"),
        change(url=f"{wire.url}{path}?a=b"),
        change(data=b"{}"),
        change(data=body + b" "),
    ]
    for attack in attacks:
        answer = wire.send("POST", path, body, alter=attack)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), answer.text
    captured = {}

    def capture(sent):
        captured.update({**sent, "headers": dict(sent["headers"])})
        sent["data"] = b"{}"

    assert wire.send("POST", path, body, alter=capture).status_code == 403
    at_another_hub(captured)
    answer = raw(elsewhere, **captured)
    assert answer.status_code == 403, answer.text
    # A signature for the management door is none for this one.
    answer = wire.send("POST", path, body, service="lanyard")
    assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), answer.text
    assert ana.arn not in eks.list_access_entries(clusterName=name)["accessEntries"]


def immunity_32_an_answer_that_held_a_secret_is_never_given_again(hub, wire):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    own = Wire(hub, ana.credentials)
    forms = [
        (wire, "iam", f"Action=CreateAccessKey&Version=2010-05-08&UserName={ana.name}"),
        (own, "sts", "Action=GetSessionToken&Version=2011-06-15"),
        (own, "sts", f"Action=AssumeRole&Version=2011-06-15&RoleSessionName=night&RoleArn={role.arn.replace(':', '%3A').replace('/', '%2F')}"),
    ]
    for caller, service, form in forms:
        captured = {}

        def capture(sent, captured=captured):
            captured.update({**sent, "headers": dict(sent["headers"])})

        # Another call of this second may bear the same signature, so each bears a header of its own.
        headers = FORM | {"X-Test-Number": str(uuid.uuid4())}
        first = caller.send("POST", "/", form.encode(), service=service, headers=headers, alter=capture)
        assert first.status_code == 200, first.text
        for element, label in (("SecretAccessKey", "a secret access key"), ("SessionToken", "a session token")):
            if f"<{element}>" in first.text:
                hub.secrets.add(label, first.text.split(f"<{element}>")[1].split("<")[0])
        again = raw(hub, **captured)
        assert (again.status_code, code_of(again)) == (400, "Throttling"), (form, again.text)
        assert "Secret" not in again.text


def immunity_46_delete_create_delete_in_one_second_loses_no_delete(hub, wire, eks, monkeypatch):
    """Both deletions bear one signature. The second is not answered as the first one was, for what that deleted is there again."""
    cluster, ana = create(eks, "second"), hub.create_user("ana")
    hub.settle()
    entries, body = f"/clusters/{cluster}/access-entries", json.dumps({"principalArn": ana.arn}).encode()
    entry = f"{entries}/{quote(ana.arn, safe='')}"
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now)
    for number in ("1", "2"):
        made = wire.send("POST", entries, body, headers={"X-Test-Number": number})
        assert made.status_code == 200, made.text
        hub.settle()
        deleted = wire.send("DELETE", entry)
        hub.settle()
        if number == "1":
            assert deleted.status_code == 200, deleted.text
    assert (deleted.status_code, code_of(deleted)) == (429, "ThrottlingException"), deleted.text
    assert eks.list_access_entries(clusterName=cluster)["accessEntries"].count(ana.arn) == 1
    # So SDKs sign anew, a second later; and it is gone.
    now += datetime.timedelta(seconds=1)
    assert wire.send("DELETE", entry).status_code == 200
    hub.settle()
    assert ana.arn not in eks.list_access_entries(clusterName=cluster)["accessEntries"]
    # While it is, the very same request is answered as it was.
    assert wire.send("DELETE", entry).status_code == 200
