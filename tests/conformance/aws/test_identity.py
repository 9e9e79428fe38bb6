"""STS on the AWS wire: who a caller is, signed in the header and in the query."""

from __future__ import annotations

import datetime
import json
import time
import xml.etree.ElementTree
from urllib.parse import urlencode

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from hub import Hub, unique
from tokens import Credentials
from wire import Wire, code_of, raw, refused

VERSION = "Version=2011-06-15"
GET_CALLER_IDENTITY = f"Action=GetCallerIdentity&{VERSION}"


def presigned(wire: Wire, query: str = GET_CALLER_IDENTITY, headers: dict | None = None, expires: int = 60) -> str:
    own = botocore.credentials.Credentials(wire.credentials.access_key_id, wire.credentials.secret)
    request = botocore.awsrequest.AWSRequest("GET", f"{wire.url}/?{query}", headers=headers or {})
    botocore.auth.SigV4QueryAuth(own, "sts", wire.region, expires=expires).add_auth(request)
    return request.url


def test_everybody_may_ask_who_they_are(hub, wire):
    ana = hub.create_user("ana", path="/team/")
    hub.settle()
    said = Wire(hub, ana.credentials).sts.get_caller_identity()
    assert (said["Account"], said["Arn"], said["UserId"]) == (hub.account, ana.arn, ana.principal_id)
    role = hub.create_role("reader", trusts=ana.arn)
    deny = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"},{"Effect":"Deny","Action":"sts:GetCallerIdentity","Resource":"*"}]}'
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=deny)
    hub.settle()
    session = hub.assume_role(ana, role, "night")
    said = Wire(hub, session).sts.get_caller_identity()
    assert said["Arn"] == f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/night"
    assert said["UserId"] == f"{role.principal_id}:night"
    assert Wire(hub, ana.credentials).sts.get_caller_identity()["Arn"] == ana.arn, "a deny does not count here"
    assert wire.aws_json("sts", "get-caller-identity")["Account"] == hub.account


def test_a_presigned_question_is_answered_and_json_to_who_accepts_it(hub, wire):
    url = presigned(wire)
    answer = raw(hub, "GET", url)
    assert answer.status_code == 200 and "<GetCallerIdentityResult>" in answer.text, answer.text
    answer = raw(hub, "GET", url, headers={"Accept": "application/json"})
    result = answer.json()["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
    assert result["Account"] == hub.account
    # A client token of a cluster is such a question too: Lanyard is an STS for its own tokens.
    url = presigned(wire, headers={"x-k8s-aws-id": "some-cluster"})
    assert raw(hub, "GET", url, headers={"x-k8s-aws-id": "some-cluster"}).status_code == 200
    assert raw(hub, "GET", url, headers={"x-k8s-aws-id": "other"}).status_code == 403


def test_a_presigned_question_counts_for_fifteen_minutes_whatever_lifetime_it_gives_itself(hub, wire, monkeypatch):
    """As at AWS STS: what `aws eks get-token` makes says a minute and is shown for fourteen, and SDKs presign for an hour."""
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    cases = ((0, 3600, 200), (0, 0, 200), (0, 604_801, 200), (14, 60, 200), (14, 0, 200), (16, 60, 403), (16, 3600, 403))
    for minutes, expires, status in cases:
        signed_at = now - datetime.timedelta(minutes=minutes)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, signed_at=signed_at, **__: signed_at)
        answer = raw(hub, "GET", presigned(wire, expires=expires))
        assert answer.status_code == status, (minutes, expires, answer.text)
        if status != 200:
            assert code_of(answer) == "SignatureDoesNotMatch", answer.text
    monkeypatch.undo()
    sign = botocore.auth.SigV4QueryAuth._modify_request_before_signing

    def without_lifetime(self, request) -> None:
        sign(self, request)
        request.url = request.url.replace("&X-Amz-Expires=60", "")

    # The SDK for Go gives none, unless somebody adds it.
    monkeypatch.setattr(botocore.auth.SigV4QueryAuth, "_modify_request_before_signing", without_lifetime)
    url = presigned(wire)
    assert "X-Amz-Expires" not in url
    assert raw(hub, "GET", url).status_code == 200


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = FORM | {"Accept": "application/json"}


def as_form(action: str, **parameters) -> bytes:
    return urlencode({"Action": action, "Version": "2011-06-15", **parameters}).encode()


def test_each_operation_of_sts_is_answered_in_json_to_who_accepts_that_alone(hub, wire):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    own = Wire(hub, ana.credentials)

    def answered(by: Wire, action: str, **asked) -> dict:
        answer = by.send("POST", "/", as_form(action, **asked), service="sts", headers=JSON)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), action
        [(name, said)] = answer.json().items()
        assert (name, set(said)) == (f"{action}Response", {f"{action}Result", "ResponseMetadata"}), action
        assert said["ResponseMetadata"] == {"RequestId": answer.headers["x-amzn-RequestId"]}
        return said[f"{action}Result"]

    identity = {"Account": hub.account, "Arn": ana.arn, "UserId": ana.principal_id}
    assert answered(own, "GetCallerIdentity") == identity
    account = answered(wire, "GetAccessKeyInfo", AccessKeyId=ana.credentials.access_key_id)
    assert account == {"Account": hub.account}
    asked = {"RoleArn": role.arn, "RoleSessionName": "night", "SourceIdentity": "ana"}
    made = {action: answered(own, action, **more) for action, more in (("GetSessionToken", {}), ("AssumeRole", asked))}
    arns = {"GetSessionToken": ana.arn, "AssumeRole": f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/night"}
    for action, result in made.items():
        key = result["Credentials"]
        secret = hub.secrets.add("a session's secret access key", key["SecretAccessKey"])
        token = hub.secrets.add("a session token", key["SessionToken"])
        # In JSON a moment is a number of seconds.
        assert key["Expiration"] > time.time()
        hub.settle()
        session = Wire(hub, Credentials(key["AccessKeyId"], secret, token))
        assert session.sts.get_caller_identity()["Arn"] == arns[action]
    assumed = {"Arn": arns["AssumeRole"], "AssumedRoleId": f"{role.principal_id}:night"}
    assert (made["AssumeRole"]["AssumedRoleUser"], made["AssumeRole"]["SourceIdentity"]) == (assumed, "ana")
    assert made["AssumeRole"]["SessionTokenSize"] == len(made["AssumeRole"]["Credentials"]["SessionToken"])
    # Who takes XML too has XML.
    both = JSON | {"Accept": "application/json, text/xml"}
    answer = own.send("POST", "/", as_form("GetCallerIdentity"), service="sts", headers=both)
    assert answer.headers["content-type"] == "text/xml" and "<GetCallerIdentityResult>" in answer.text


NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"


def statement(action: str, effect: str = "Allow", resource: str = "*") -> dict:
    return {"Effect": effect, "Action": action, "Resource": resource}


def written(*statements: dict) -> str:
    """A policy document as people write it, with blanks."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)


def own_policies(by: Wire) -> dict:
    """What Lanyard's own operation answers, which no model has and no SDK reads."""
    answer = by.send("POST", "/", as_form("GetCallerPolicies"), service="sts", headers=JSON)
    assert answer.status_code == 200, answer.text
    [(name, said)] = answer.json().items()
    assert (name, set(said)) == ("GetCallerPoliciesResponse", {"GetCallerPoliciesResult", "ResponseMetadata"})
    return said["GetCallerPoliciesResult"]


def test_everybody_may_ask_which_policies_they_have_without_any_permission(hub, wire):
    ana = hub.create_user("ana", path="/team/")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    own = Wire(hub, ana.credentials)
    assert own_policies(own) == {"OwnerKind": "user", "OwnerName": ana.name, "Policies": []}
    document = written(statement("eks:ListClusters"), statement("sts:AssumeRole", resource=role.arn))
    hub.cli("iam", "policy", "put", "p", "--user", ana.name, "--document", "-", stdin=document)
    hub.settle()
    (policy,) = own_policies(own)["Policies"]
    assert policy["PolicyName"] == "p" and json.loads(policy["PolicyDocument"]) == json.loads(document)
    assert "\n" not in policy["PolicyDocument"], "blanks between the parts are nobody's"
    with pytest.raises(botocore.exceptions.ClientError) as refused_of_iam:
        own.client("iam").list_user_policies(UserName=ana.name)
    assert refused_of_iam.value.response["Error"]["Code"] == "AccessDenied", "that is another question"

    # A role's session has the role's, and its own policy beside.
    hub.cli("iam", "policy", "put", "r", "--role", role.name, "--document", "-", stdin=written(statement("eks:*")))
    hub.settle()
    narrowing = written(statement("eks:ListClusters"))
    made = own.sts.assume_role(RoleArn=role.arn, RoleSessionName="night", Policy=narrowing)["Credentials"]
    secret = hub.secrets.add("a session's secret access key", made["SecretAccessKey"])
    token = hub.secrets.add("a session token", made["SessionToken"])
    hub.settle()
    session = Wire(hub, Credentials(made["AccessKeyId"], secret, token))
    said = own_policies(session)
    assert (said["OwnerKind"], said["OwnerName"]) == ("role", role.name)
    assert [policy["PolicyName"] for policy in said["Policies"]] == ["r"]
    assert json.loads(said["SessionPolicy"]) == json.loads(narrowing)

    # In XML as STS writes it.
    answer = session.send("POST", "/", as_form("GetCallerPolicies"), service="sts", headers=FORM)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml"), answer.text
    result = xml.etree.ElementTree.fromstring(answer.text).find(f"{NAMESPACE}GetCallerPoliciesResult")
    names = result.findall(f"{NAMESPACE}Policies/{NAMESPACE}member/{NAMESPACE}PolicyName")
    assert [name.text for name in names] == ["r"]
    assert json.loads(result.find(f"{NAMESPACE}SessionPolicy").text) == json.loads(narrowing)


def test_a_statement_that_denies_it_keeps_them_from_who_asks_which_policies_they_have(hub, wire):
    ana = hub.create_user("ana")
    own = Wire(hub, ana.credentials)
    for action, code in (
        ("lanyard:GetCallerPolicies", "AccessDenied"),
        ("sts:GetCallerPolicies", None),
        ("sts:*", None),
        ("lanyard:Get*", "AccessDenied"),
        ("*", "AccessDenied"),
    ):
        denying = written(statement(action, "Deny"))
        hub.cli("iam", "policy", "put", "no", "--user", ana.name, "--document", "-", stdin=denying)
        hub.settle()
        if code is None:
            assert [policy["PolicyName"] for policy in own_policies(own)["Policies"]] == ["no"], action
            continue
        answer = own.send("POST", "/", as_form("GetCallerPolicies"), service="sts", headers=FORM)
        assert (answer.status_code, code_of(answer)) == (403, code), action
        assert "explicit deny in an identity-based policy" in answer.text and "policy `no`" in answer.text, answer.text
        assert own.sts.get_caller_identity()["Arn"] == ana.arn, "who one is nothing denies"
    # Nobody hands the question on, and it names nobody else.
    answer = raw(hub, "GET", presigned(wire, f"Action=GetCallerPolicies&{VERSION}"))
    assert (answer.status_code, code_of(answer)) == (403, "SignatureDoesNotMatch"), answer.text
    told = own_policies(wire)
    form = as_form("GetCallerPolicies", UserName=ana.name, OwnerName=ana.name)
    answer = wire.send("POST", "/", form, service="sts", headers=JSON)
    assert answer.json()["GetCallerPoliciesResponse"]["GetCallerPoliciesResult"] == told and told["OwnerName"] != ana.name
    answer = wire.send("POST", "/", b"Action=GetCallerPolicies&Version=2010-05-08", service="iam", headers=FORM)
    assert (answer.status_code, code_of(answer)) == (400, "InvalidAction"), answer.text


def test_each_error_of_sts_is_json_to_who_accepts_that_alone(hub, wire):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    own, wrong = Wire(hub, ana.credentials), Wire(hub, Credentials(ana.credentials.access_key_id, "x" * 40))

    def refuses(answer, status: int, code: str, text: str = "") -> None:
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
        said = answer.json()
        assert set(said) == {"Error", "RequestId"} and said["RequestId"] == answer.headers["x-amzn-RequestId"], said
        assert (said["Error"]["Code"], said["Error"]["Type"]) == (code, "Sender"), said
        assert text in said["Error"]["Message"] and set(said["Error"]) == {"Code", "Message", "Type"}, said

    def asks(by: Wire, action: str, **asked):
        return by.send("POST", "/", as_form(action, **asked), service="sts", headers=JSON)

    def asks_unsigned(action: str, **asked):
        return raw(hub, "POST", f"{wire.url}/", as_form(action, **asked), headers=JSON)

    named = {"RoleArn": role.arn, "RoleSessionName": "night"}
    refuses(asks(own, "AssumeRole", **named | {"RoleArn": f"{role.arn}-none"}), 403, "AccessDenied", "sts:AssumeRole")
    refuses(asks(own, "AssumeRole", **named | {"RoleSessionName": "a b"}), 400, "ValidationError", "RoleSessionName")
    refuses(asks(own, "AssumeRole", **named, Policy='{"a":1}'), 400, "MalformedPolicyDocument")
    refuses(asks(own, "GetSessionToken", DurationSeconds=60), 400, "ValidationError", "DurationSeconds")
    refuses(asks(wire, "GetAccessKeyInfo", AccessKeyId="none"), 400, "ValidationError")
    refuses(asks(own, "Nothing"), 400, "InvalidAction")
    refuses(asks(wrong, "GetCallerIdentity"), 403, "SignatureDoesNotMatch")
    refuses(asks_unsigned("GetSessionToken"), 403, "MissingAuthenticationToken")
    unproved = {**named, "WebIdentityToken": "a.b.c"}
    refuses(asks_unsigned("AssumeRoleWithWebIdentity", **unproved), 400, "InvalidIdentityToken")
    refuses(asks_unsigned("AssumeRoleWithWebIdentity", **named), 400, "ValidationError", "WebIdentityToken")


def test_a_key_that_is_none_and_one_of_another_secret(hub, wire):
    with refused(Wire(hub, Credentials("LKIAAAAAAAAAAAAAAAAA", "x" * 40)).sts, "InvalidClientTokenId", "security token", 403) as _:
        Wire(hub, Credentials("LKIAAAAAAAAAAAAAAAAA", "x" * 40)).sts.get_caller_identity()
    other = Wire(hub, Credentials(wire.credentials.access_key_id, "x" * 40))
    with refused(other.sts, "SignatureDoesNotMatch", "", 403):
        other.sts.get_caller_identity()
    with refused(other.eks, "InvalidSignatureException", "", 403):
        other.eks.list_clusters()


def test_what_is_no_operation_says_so(hub, wire):
    cases = [
        ("Action=Nothing&" + VERSION, 400, "InvalidAction"),
        ("Action=GetCallerIdentity&Version=2010-05-08", 400, "InvalidAction"),
        ("Action=GetCallerIdentity", 400, "InvalidAction"),
        (VERSION, 400, "MissingAction"),
        ("Action=ListUsers&Version=2010-05-08", 400, "InvalidAction"),
        (f"Action=A&{GET_CALLER_IDENTITY}", 400, "InvalidQueryParameter"),
        (f"action=A&{GET_CALLER_IDENTITY}", 400, "InvalidQueryParameter"),
        ("Action=%zz", 404, "MalformedQueryString"),
    ]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, status, code in cases:
        answer = wire.send("POST", "/", body.encode(), service="sts", headers=form)
        assert (answer.status_code, code_of(answer)) == (status, code), (body, answer.text)


def immunity_45_parameters_stand_in_query_or_body_and_never_in_both(wire):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = wire.send("POST", "/", GET_CALLER_IDENTITY.encode(), query=GET_CALLER_IDENTITY, service="sts", headers=form)
    assert code_of(answer) == "InvalidParameterCombination", answer.text
    answer = wire.send("POST", "/", b"RoleArn=x", query=GET_CALLER_IDENTITY, service="sts", headers=form)
    assert code_of(answer) == "InvalidParameterCombination", answer.text


def immunity_45_a_header_and_a_query_signature_together(hub, wire):
    query = presigned(wire).split("?")[1]
    answer = wire.send("GET", "/", query=query, service="sts")
    assert answer.status_code == 403 and code_of(answer) == "SignatureDoesNotMatch", answer.text


def immunity_45_a_presigned_request_is_taken_of_no_other_operation(hub, wire, iam):
    """Whoever is handed a URL is handed a question of who its maker is, and nothing else."""
    own = botocore.credentials.Credentials(wire.credentials.access_key_id, wire.credentials.secret)
    name = unique("presigned")
    role = f"RoleArn=arn%3Aaws%3Aiam%3A%3A{hub.account}%3Arole%2Fa&RoleSessionName=ab"
    for service, path, query, code in (
        ("eks", "/clusters", "", "InvalidSignatureException"),
        ("eks", "/access-policies", "", "InvalidSignatureException"),
        ("iam", "/", "Action=ListUsers&Version=2010-05-08", "SignatureDoesNotMatch"),
        ("iam", "/", f"Action=CreateUser&Version=2010-05-08&UserName={name}", "SignatureDoesNotMatch"),
        ("sts", "/", f"Action=AssumeRole&{VERSION}&{role}", "SignatureDoesNotMatch"),
        ("sts", "/", f"Action=GetSessionToken&{VERSION}", "SignatureDoesNotMatch"),
    ):
        url = f"{wire.url}{path}" + (f"?{query}" if query else "")
        request = botocore.awsrequest.AWSRequest("GET", url)
        botocore.auth.SigV4QueryAuth(own, service, wire.region, expires=60).add_auth(request)
        answer = raw(hub, "GET", request.url)
        assert (answer.status_code, code_of(answer)) == (403, code), (service, query, answer.text)
        assert "presigned" in answer.text, answer.text
    hub.settle()
    with refused(iam, "NoSuchEntity", name, 404):
        iam.get_user(UserName=name)


def test_people_get_a_text_and_clients_their_error(hub, wire):
    answer = raw(hub, "GET", f"{wire.url}/")
    assert answer.status_code == 403 and answer.headers["content-type"].startswith("text/plain")
    assert "--endpoint-url" in answer.text and "<" not in answer.text.replace("<this URL>", "")
    answer = raw(hub, "GET", f"{wire.url}/clusters")
    assert answer.headers["content-type"].startswith("text/plain"), answer.text
    answer = raw(hub, "GET", f"{wire.url}/?{GET_CALLER_IDENTITY}")
    assert (answer.status_code, code_of(answer)) == (403, "MissingAuthenticationToken")
    answer = raw(hub, "GET", f"{wire.url}/clusters", headers={"x-amz-date": "20261128T000000Z"})
    assert (answer.status_code, code_of(answer)) == (403, "MissingAuthenticationTokenException")
    assert raw(hub, "GET", f"{wire.url}/livez").text == "ok\n"
    assert raw(hub, "GET", f"{wire.url}/readyz").status_code == 200


def test_a_service_that_is_none_of_these_is_told_so_in_the_protocol_in_which_it_is_asked(wire):
    """As a tool asks CloudFormation that has one endpoint for all of AWS."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = wire.send("POST", "/", b"Action=ListStacks&Version=2010-05-15", service="cloudformation", headers=form)
    assert (answer.status_code, code_of(answer)) == (403, "SignatureDoesNotMatch"), answer.text
    assert "scoped to service `cloudformation`; here there are eks" in answer.text
    json_11 = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameter"}
    answer = wire.send("POST", "/", b"{}", service="ssm", headers=json_11)
    assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), answer.text
    assert "scoped to service `ssm`" in answer.text


def test_a_host_of_one_service_is_that_services_alone(new_hub, tmp_path):
    settings = {"LANYARD_AWSAPI__HOSTS__STS": '["localhost"]', "LANYARD_AWSAPI__HOSTS__EKS_AUTH": '["eks-auth.hub.example"]'}
    hub = new_hub("hosts", settings=settings).start()
    wire = Wire(hub)
    assert wire.sts.get_caller_identity()["Account"] == hub.account, "any other host is for all services"
    assert wire.eks.list_clusters()["clusters"] is not None
    wire.url = wire.url.replace("127.0.0.1", "localhost")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert wire.send("POST", "/", GET_CALLER_IDENTITY.encode(), service="sts", headers=form).status_code == 200
    for service, method, path, body in [
        ("eks", "GET", "/clusters", b""),
        ("iam", "POST", "/", b"Action=ListUsers&Version=2010-05-08"),
        ("iam", "POST", "/", GET_CALLER_IDENTITY.encode()),
    ]:
        answer = wire.send(method, path, body, service=service, headers=form if body else None)
        assert (answer.status_code, code_of(answer)) == (403, "SignatureDoesNotMatch"), answer.text
        assert "'sts'" in answer.text, answer.text
    # Whoever did not sign is answered in that service's protocol.
    answer = raw(hub, "GET", f"{wire.url}/clusters", headers={"x-amz-date": "20261128T000000Z"})
    assert (answer.status_code, code_of(answer)) == (403, "MissingAuthenticationToken"), answer.text
    hub.stop()
    wrong = Hub(tmp_path / "wrong", settings={"LANYARD_AWSAPI__HOSTS__STS": '["https://sts.example"]'})
    with pytest.raises(AssertionError, match="awsapi.hosts.sts"):
        wrong.start()
