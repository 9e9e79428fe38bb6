"""Requests that are none, on the AWS wire: the AWS error of the right code, never a fault, and nothing is half written."""

from __future__ import annotations

import json
import re
import socket
import ssl
from urllib.parse import quote, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from hub import unique
from wire import PODS, Wire, code_of, raw

ROLE = "arn:aws:iam::111122223333:role/cluster"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TEN_MEGABYTES = 10 << 20
# Longer than the door waits for a body, ten seconds.
SILENCE_SECONDS = 20
VERSIONS = {"sts": "2011-06-15", "iam": "2010-05-08"}


@pytest.fixture(scope="module")
def cluster(hub, wire) -> str:
    name = unique("bad")
    wire.eks.create_cluster(
        name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
    )
    hub.settle()
    return name


@pytest.fixture
def unchanged(hub, wire, eks, iam, cluster):
    """Nothing comes of what a test sends."""

    def state():
        hub.settle()
        users = iam.get_paginator("list_users").paginate().build_full_result()["Users"]
        return (
            eks.list_access_entries(clusterName=cluster)["accessEntries"],
            eks.list_pod_identity_associations(clusterName=cluster)["associations"],
            eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"],
            eks.list_updates(name=cluster)["updateIds"],
            eks.describe_cluster(name=cluster)["cluster"],
            [user["UserName"] for user in users],
        )

    before = state()
    yield
    assert state() == before


def posts(cluster: str) -> dict[str, dict]:
    """Each operation of EKS with a body: its path, and a body of which every member is of a wrong type."""
    of = f"/clusters/{cluster}"
    entry = f"{of}/access-entries/arn%3Aaws%3Aiam%3A%3A111122223333%3Auser%2Fana"
    return {
        "/clusters": {"name": 7, "roleArn": {}, "resourcesVpcConfig": [], "accessConfig": "API", "tags": []},
        f"{of}/update-config": {"accessConfig": [], "clientRequestToken": 7},
        f"{of}/access-entries": {"principalArn": [], "kubernetesGroups": "a", "tags": {"a": 1}, "username": {}, "type": 7},
        entry: {"kubernetesGroups": {}, "username": 7, "clientRequestToken": []},
        f"{entry}/access-policies": {"policyArn": 7, "accessScope": "cluster"},
        f"{of}/identity-provider-configs/associate": {"oidc": [], "tags": "a", "clientRequestToken": True},
        f"{of}/identity-provider-configs/describe": {"identityProviderConfig": ["oidc", "a"]},
        f"{of}/identity-provider-configs/disassociate": {"identityProviderConfig": "oidc"},
        f"{of}/pod-identity-associations": {"namespace": 7, "serviceAccount": [], "roleArn": {}, "disableSessionTags": "yes"},
        f"{of}/pod-identity-associations/a-0123456789abcdefg": {"roleArn": 7, "disableSessionTags": "no", "policy": {}},
        f"/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A111122223333%3Acluster%2F{cluster}": {"tags": ["a"]},
    }


def test_malformed_json(wire, cluster, unchanged):
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    for path in posts(cluster):
        for body in (b"{", b"nul", b"null", b"[]", b'"a"', b"7", b"\xff\xfe", b'{"a":1}{"b":2}', b'{"a":1,}', b"{'a':1}"):
            answer = wire.send("POST", path, body)
            assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (path, body[:40], answer.text)
    # Where no member is known nothing is read, however deep it is.
    for body in (deep, b"[" * 100_000):
        assert wire.send("POST", f"/clusters/{cluster}/access-entries", body).status_code == 400


def test_members_of_a_wrong_type(wire, cluster, unchanged):
    for path, members in posts(cluster).items():
        for name, value in members.items():
            answer = wire.send("POST", path, json.dumps({name: value}).encode())
            assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (path, name, answer.text)


def test_members_that_stand_twice(wire, cluster, unchanged):
    for path, members in posts(cluster).items():
        for name in members:
            body = f'{{"{name}":null,"{name}":null}}'.encode()
            answer = wire.send("POST", path, body)
            assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (path, name, answer.text)
    of = f"/clusters/{cluster}"
    entry = next(path for path in posts(cluster) if path.endswith("/access-policies"))
    for path, body in (
        ("/clusters", b'{"accessConfig":{"authenticationMode":"API","authenticationMode":"CONFIG_MAP"}}'),
        (f"{of}/update-config", b'{"accessConfig":{"authenticationMode":"API","authenticationMode":"API"}}'),
        (entry, b'{"accessScope":{"type":"namespace","type":"cluster"}}'),
        (f"{of}/identity-provider-configs/associate", b'{"oidc":{"issuerUrl":"https://a.example","issuerUrl":"https://b.example"}}'),
        (f"{of}/identity-provider-configs/associate", b'{"oidc":{"requiredClaims":{"a":"1","a":"2"}}}'),
        (f"{of}/identity-provider-configs/describe", b'{"identityProviderConfig":{"name":"a","name":"b"}}'),
    ):
        answer = wire.send("POST", path, body)
        assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (path, body, answer.text)
    twice = b'{"tags":{"a":"1","a":"2"}}'
    for path in (path for path, members in posts(cluster).items() if "tags" in members):
        answer = wire.send("POST", path, twice)
        assert code_of(answer) == "SerializationException", (path, answer.text)


def test_other_things_than_json_and_forms(wire, cluster, unchanged):
    """XML, a form and a JSON of another service where JSON is wanted; XML and JSON where a form is."""
    others = [
        (b"<CreateAccessEntry/>", "text/xml"),
        (b"Action=CreateAccessEntry&principalArn=x", FORM["Content-Type"]),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--', "multipart/form-data; boundary=x"),
    ]
    for path in posts(cluster):
        for body, kind in others:
            answer = wire.send("POST", path, body, headers={"Content-Type": kind})
            assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (path, kind, answer.text)
    for service in VERSIONS:
        for body, kind, code in (
            (b"<AssumeRole><RoleArn/></AssumeRole>", "text/xml", "MissingAction"),
            (b'{"Action":"ListUsers"}', "application/x-amz-json-1.1", "MissingAction"),
            (b"\xff\xfe", FORM["Content-Type"], "MalformedQueryString"),
        ):
            answer = wire.send("POST", "/", body, service=service, headers={"Content-Type": kind})
            assert code_of(answer) == code and answer.status_code in (400, 404), (service, kind, answer.text)


def test_malformed_queries(wire, unchanged):
    for service, version in VERSIONS.items():
        good = f"Version={version}&Action="
        cases = [
            (f"{good}%zz", 404, "MalformedQueryString"),
            (f"{good}%f", 404, "MalformedQueryString"),
            (f"{good}%ff", 404, "MalformedQueryString"),
            (f"{good}A%00", 400, "InvalidAction"),
            (good, 400, "MissingAction"),
            ("", 400, "MissingAction"),
            ("&&&=&", 400, "MissingAction"),
            ("a&" * 5000, 404, "MalformedQueryString"),
        ]
        for body, status, code in cases:
            answer = wire.send("POST", "/", body.encode(), service=service, headers=FORM)
            assert (answer.status_code, code_of(answer)) == (status, code), (service, body[:60], answer.text)


def test_lists_and_numbers_of_the_query_protocol_that_are_none(wire, unchanged):
    def ask(service: str, form: str):
        body = f"Version={VERSIONS[service]}&{form}".encode()
        return wire.send("POST", "/", body, service=service, headers=FORM)

    name = unique("bad")
    trust = f"Action=CreateRole&RoleName={name}&AssumeRolePolicyDocument=%7B%7D"
    user = f"Action=CreateUser&UserName={name}"
    cases = [
        ("iam", f"{trust}&MaxSessionDuration=soon"),
        ("iam", f"{trust}&MaxSessionDuration=-1"),
        ("iam", f"{trust}&MaxSessionDuration=99999999999999999999"),
        ("iam", f"{user}&Tags.member.1.Value=a"),
        ("iam", f"{user}&Tags.member.1=a"),
        ("iam", f"{user}&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Key=a&Tags.member.2.Value=c"),
        ("iam", f"{user}&Tags.member.2.Key=a&Tags.member.2.Value=b"),
        ("iam", f"{user}&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.3.Key=c&Tags.member.3.Value=d"),
        ("iam", f"{user}&Tags.1.Key=a&Tags.1.Value=b"),
        ("iam", f"{user}&Tags=a"),
        ("iam", "Action=ListUsers&MaxItems=one"),
        ("iam", "Action=ListUsers&MaxItems=0"),
        ("iam", "Action=ListUsers&Marker=%00"),
        ("sts", "Action=GetSessionToken&DurationSeconds=1e3"),
        ("sts", "Action=GetSessionToken&DurationSeconds=0"),
        ("sts", "Action=AssumeRole&RoleArn=arn:aws:iam::111122223333:role/a&RoleSessionName=ab&DurationSeconds=0"),
        ("sts", "Action=AssumeRole&RoleArn=x"),
        ("sts", "Action=GetAccessKeyInfo"),
    ]
    for service, form in cases:
        answer = ask(service, form)
        assert (answer.status_code, code_of(answer)) == (400, "ValidationError"), (form, answer.text)
    for form in (f"{user}&UserName=b", f"{user}&username=b", f"{user}&Tags.member.1.Key=a&tags.member.1.key=b"):
        answer = ask("iam", form)
        assert (answer.status_code, code_of(answer)) == (400, "InvalidQueryParameter"), (form, answer.text)


def test_ten_megabytes(wire, cluster, unchanged):
    body = b'{"principalArn":"' + b"a" * TEN_MEGABYTES + b'"}'
    for path in (f"/clusters/{cluster}/access-entries", "/clusters"):
        answer = wire.send("POST", path, body)
        assert (answer.status_code, code_of(answer)) == (413, "RequestEntityTooLargeException"), answer.text
    answer = wire.send("GET", "/clusters", body)
    assert (answer.status_code, code_of(answer)) == (413, "RequestEntityTooLargeException"), answer.text
    for service, version in VERSIONS.items():
        form = f"Action=CreateUser&Version={version}&UserName=".encode() + b"a" * TEN_MEGABYTES
        answer = wire.send("POST", "/", form, service=service, headers=FORM)
        assert (answer.status_code, code_of(answer)) == (413, "RequestEntityTooLarge"), answer.text


def test_ten_megabytes_of_nobody(hub, wire, unchanged):
    """Without a signature, and with one that is none."""
    exchange = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=" + b"a" * TEN_MEGABYTES
    answer = raw(hub, "POST", f"{wire.url}/", exchange, headers=FORM)
    assert (answer.status_code, code_of(answer)) == (413, "RequestEntityTooLarge"), answer.text
    answer = wire.send("POST", "/clusters", b"a" * TEN_MEGABYTES, alter=lambda sent: sent["headers"].pop("Authorization"))
    assert (answer.status_code, code_of(answer)) == (413, "RequestEntityTooLargeException"), answer.text


def test_operations_that_there_are_none_of(wire, cluster, unchanged):
    of = f"/clusters/{cluster}"
    requests = [
        ("PUT", of),
        ("PATCH", of),
        ("OPTIONS", of),
        ("POST", of),
        ("GET", "/"),
        ("GET", "/x"),
        ("GET", "/clusters/"),
        ("GET", "//clusters"),
        ("GET", f"{of}/"),
        ("GET", f"{of}//access-entries"),
        ("GET", f"{of}/./access-entries"),
        ("GET", f"{of}/../clusters"),
        ("GET", "/CLUSTERS"),
        ("GET", f"{of}/node-groups"),
        ("POST", f"{of}/addons"),
        ("GET", "/addons/supported-versions"),
        ("GET", f"{of}/access-entries/a/b/c/d/e/f"),
        ("GET", "/clusters/" + "a" * 20_000),
    ]
    for method, path in requests:
        answer = wire.send(method, path)
        assert (answer.status_code, code_of(answer)) == (404, "UnknownOperationException"), (method, path[:80], answer.text)
    # botocore signs other bytes for these than it sends.
    for path in (f"{of}/access-entries/%zz", f"{of}/access-entries/%ff"):
        answer = wire.send("GET", path)
        assert code_of(answer) in ("SerializationException", "InvalidSignatureException"), (path, answer.text)
    for service, version in VERSIONS.items():
        for action in ("CreateGroup", "DescribeCluster", "getCallerIdentity", "A" * 5000, "%F0%9F%94%91"):
            answer = wire.send("POST", "/", f"Action={action}&Version={version}".encode(), service=service, headers=FORM)
            assert (answer.status_code, code_of(answer)) == (400, "InvalidAction"), (action[:40], answer.text)
        for method, path in (("GET", "/x"), ("DELETE", "/"), ("PUT", "/")):
            answer = wire.send(method, path, service=service)
            assert (answer.status_code, code_of(answer)) == (400, "InvalidAction"), (method, path, answer.text)


def test_what_is_sent_is_repeated_in_part_at_most(wire, cluster, unchanged):
    """However long it is: an error is for reading, and no echo."""
    long = "a" * 50_000
    entries = f"/clusters/{cluster}/access-entries"
    answers = [
        wire.send("A" * 5000, entries),
        wire.send("GET", f"/clusters/{long}"),
        wire.send("GET", f"{entries}/{long[:10_000]}"),
        wire.send("POST", entries, json.dumps({"tags": long}).encode()),
        wire.send("POST", entries, json.dumps({"principalArn": long}).encode()),
        wire.send("POST", entries, json.dumps({"principalArn": ROLE, "type": long}).encode()),
        wire.send("POST", entries, json.dumps({"principalArn": ROLE, "clientRequestToken": long}).encode()),
        wire.send("GET", entries, query=f"maxResults={long}"),
        wire.send("GET", entries, query=f"nextToken={long}"),
        wire.send("POST", "/", f"Action={long}&Version=2010-05-08".encode(), service="iam", headers=FORM),
        wire.send("POST", "/", f"Action=GetUser&Version=2010-05-08&UserName={long}".encode(), service="iam", headers=FORM),
        wire.send("POST", "/", f"Action=GetUser&Version=2010-05-08&{long}=1&{long}=2".encode(), service="iam", headers=FORM),
    ]
    for number, answer in enumerate(answers):
        assert 400 <= answer.status_code < 500, (number, answer.text[:500])
        assert len(answer.content) < 2000, (number, len(answer.content), answer.text[:500])


def test_scopes_of_other_regions_services_and_dates(wire, cluster, unchanged):
    path = f"/clusters/{cluster}"
    for region in ("cn-north-1", "us-gov-west-1", "nowhere-1", "a" * 500):
        answer = wire.send("DELETE", path, region=region)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), (region, answer.text)
    # With these the credential has not the five parts of one.
    for region in ("", "us-east-1/eks"):
        answer = wire.send("DELETE", path, region=region)
        assert (answer.status_code, code_of(answer)) == (400, "IncompleteSignatureException"), (region, answer.text)
    for service in ("ec2", "s3", "lanyard", "EKS", "eks "):
        answer = wire.send("DELETE", path, service=service)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), (service, answer.text)
    for service in VERSIONS:
        answer = wire.send("DELETE", path, service=service)
        assert (answer.status_code, code_of(answer)) == (400, "InvalidAction"), (service, answer.text)
    # Of AWS's own other regions the account has no cluster of that name.
    answer = wire.send("DELETE", path, region="eu-west-1")
    assert (answer.status_code, code_of(answer)) == (404, "ResourceNotFoundException"), answer.text


def test_parameters_in_query_and_body(wire, cluster, unchanged):
    form = "Action=CreateUser&Version=2010-05-08&UserName=smuggled"
    for query, body in (
        (form, form),
        (form, "Path=%2F"),
        ("Action=CreateUser", "Version=2010-05-08&UserName=smuggled"),
        ("a=b", form),
    ):
        answer = wire.send("POST", "/", body.encode(), query=query, service="iam", headers=FORM)
        assert (answer.status_code, code_of(answer)) == (400, "InvalidParameterCombination"), (query, answer.text)
    # EKS reads path, query or body as the model says, and of a member in another place nothing.
    for method, path in (("GET", f"/clusters/{cluster}"), ("DELETE", f"/clusters/{cluster}/access-entries/x")):
        answer = wire.send(method, path, b'{"name":"other"}')
        assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (method, path, answer.text)
    answer = wire.send("POST", f"/clusters/{cluster}/access-entries", b"{}", query="principalArn=x")
    assert (answer.status_code, code_of(answer)) == (400, "InvalidParameterException"), answer.text


# Below the level of HTTP libraries


def signed(wire: Wire, method: str, path: str, body: bytes, **headers: str) -> dict[str, str]:
    request = botocore.awsrequest.AWSRequest(method, f"{wire.url}{path}", data=body, headers=headers)
    own = botocore.credentials.Credentials(wire.credentials.access_key_id, wire.credentials.secret)
    botocore.auth.SigV4Auth(own, "eks", wire.region).add_auth(request)
    return {"Host": urlsplit(wire.url).netloc, **dict(request.headers.items())}


def spoken(wire: Wire, method: str, path: str, lines: list[str], body: bytes) -> list[tuple[int, str]]:
    """Statuses and heads of what the door answers to these very bytes, until it closes or is silent. Whoever gets no answer has been
    hung up on: a door that says nothing and waits fails here."""
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "Connection: close", "", ""]).encode("latin-1")
    to = urlsplit(wire.url)
    trust = ssl.create_default_context(cafile=wire.hub.ca)
    with socket.create_connection((to.hostname, to.port), timeout=SILENCE_SECONDS) as plain:
        with trust.wrap_socket(plain, server_hostname=to.hostname) as connection:
            came, is_closed = b"", False
            try:
                connection.sendall(head + body)
                while part := connection.recv(65536):
                    came += part
                is_closed = True
            except TimeoutError:
                pass
            except (ConnectionError, ssl.SSLEOFError):
                is_closed = True
    assert came or is_closed, "neither answered nor closed"
    answers = came.split(b"HTTP/1.1 ")[1:]
    return [(int(answer[:3]), answer.decode("latin-1")) for answer in answers]


def told(answer: str) -> str | None:
    """The code in the head of an answer, if it has one."""
    found = re.search(r"^x-amzn-errortype: (\S+)", answer, re.IGNORECASE | re.MULTILINE)
    return found and found[1]


def test_smuggled_headers(hub, wire, cluster, unchanged):
    path = f"/clusters/{cluster}/access-entries"
    ana = hub.create_user("ana")
    body = json.dumps({"principalArn": ana.arn}).encode()
    good = signed(wire, "POST", path, body, **{"Content-Type": "application/json"})
    own = [f"{name}: {value}" for name, value in good.items()] + [f"Content-Length: {len(body)}"]

    def without(*names: str) -> list[str]:
        return [line for line in own if line.split(":")[0].lower() not in names]

    other = signed(wire, "DELETE", f"/clusters/{cluster}", b"")
    again = f"DELETE /clusters/{cluster} HTTP/1.1\r\n".encode() + "".join(
        f"{name}: {value}\r\n" for name, value in other.items() if name != "Authorization"
    ).encode()
    # What each is answered; a head that is no HTTP has no code, for no service has seen it.
    other_signature, not_whole, no_http = (403, "InvalidSignatureException"), (400, "IncompleteSignatureException"), (400, None)
    attacks = {
        "two authorizations": ([*own, f"Authorization: {other['Authorization']}"], body, not_whole),
        "two hosts": ([*own, "Host: other.example"], body, other_signature),
        "two dates": ([*own, f"X-Amz-Date: {other['X-Amz-Date']}9"], body, not_whole),
        "two lengths": ([*own, "Content-Length: 2"], body, no_http),
        "a length that is none": ([*without("content-length"), "Content-Length: +7"], body, no_http),
        "a signed header with another in it": (
            [*without("x-amz-date"), f"X-Amz-Date: {good['X-Amz-Date']}\x0bX: y"],
            body,
            no_http,
        ),
        "a folded header": ([*without("x-amz-date"), f"X-Amz-Date:\r\n {good['X-Amz-Date']}"], body, no_http),
        "a blank before the colon": ([*without("x-amz-date"), f"X-Amz-Date : {good['X-Amz-Date']}"], body, no_http),
        "a bare line feed": ([*own[:-1], f"X-Other: a\n{own[-1]}\nX-Amz-Target: x"], body, other_signature),
        "an AWS header of another letter case that nobody signed": ([*own, "x-AMZ-target: x"], body, other_signature),
        "another method by header": (
            [*(f"{name}: {value}" for name, value in other.items()), "X-HTTP-Method-Override: GET", "X-Amz-Meta: x"],
            b"",
            other_signature,
        ),
        "length and chunks": ([*own, "Transfer-Encoding: chunked"], b"0\r\n\r\n" + again + b"\r\n", other_signature),
        "chunks of another body": (
            [*without("content-length"), "Transfer-Encoding: chunked"],
            b"2\r\n{}\r\n0\r\n\r\n",
            other_signature,
        ),
        "chunks by a name that is none": ([*own, "Transfer-Encoding: xchunked"], body, no_http),
        "a second request behind the first": (
            [*without("content-length"), "Content-Length: 2"],
            b"{}" + again + b"\r\n",
            other_signature,
        ),
        "a body that ends too soon": (
            [*without("content-length"), f"Content-Length: {len(body) + 1}"],
            body,
            (408, "RequestTimeoutException"),
        ),
    }
    before = ana.arn
    for name, (lines, sent, expected) in attacks.items():
        method, to = ("DELETE", f"/clusters/{cluster}") if name.startswith("another method") else ("POST", path)
        answers = spoken(wire, method, to, lines, sent)
        # Where more came than was read, the end of the connection may overtake the answer.
        for status, answer in answers:
            assert (status, told(answer)) == expected, (name, answer)
        assert len(answers) < 2, (name, "one request alone is read of it")
        assert before not in wire.eks.list_access_entries(clusterName=cluster)["accessEntries"], name
    # The same request with nothing smuggled into it is good.
    [(status, answer)] = spoken(wire, "POST", path, own, body)
    assert status == 200, answer
    wire.eks.delete_access_entry(clusterName=cluster, principalArn=ana.arn)
    wire.client("iam").delete_access_key(UserName=ana.name, AccessKeyId=ana.credentials.access_key_id)
    wire.client("iam").delete_user(UserName=ana.name)


def test_a_head_that_is_too_large(wire, cluster, unchanged):
    for headers in ({"X-Amz-Meta": "a" * 200_000}, {f"X-Amz-Meta-{n}": "a" for n in range(2000)}):
        lines = [f"{name}: {value}" for name, value in signed(wire, "DELETE", f"/clusters/{cluster}", b"", **headers).items()]
        for status, answer in spoken(wire, "DELETE", f"/clusters/{cluster}", lines, b""):
            assert (status, told(answer)) == (431, None), answer[:300]


def test_replays(hub, wire, cluster):
    """Of a change, with a request token and without, and of a read: the last may come again."""
    path = f"/clusters/{cluster}"
    captured = {}

    def capture(sent) -> None:
        captured.update({**sent, "headers": dict(sent["headers"])})

    assert wire.send("GET", path, alter=capture).status_code == 200
    assert raw(hub, **captured).status_code == 200, "what changes nothing may be asked again"
    iam = wire.client("iam")
    name = unique("replayed")
    form = f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode()
    assert wire.send("POST", "/", form, service="iam", headers=FORM, alter=capture).status_code == 200
    again = raw(hub, **captured)
    assert again.status_code == 200 and f"<UserName>{name}<" in again.text, "as the first was answered"
    iam.delete_user(UserName=name)
    hub.settle()
    again = raw(hub, **captured)
    assert (again.status_code, code_of(again)) == (400, "Throttling"), again.text
    role = unique("replayed")
    form = f"Action=CreateRole&Version=2010-05-08&RoleName={role}&AssumeRolePolicyDocument=".encode()
    form += quote(PODS).encode()
    assert wire.send("POST", "/", form, service="iam", headers=FORM, alter=capture).status_code == 200
    captured["url"] += "?x=y"
    again = raw(hub, **captured)
    assert (again.status_code, code_of(again)) == (403, "SignatureDoesNotMatch"), again.text
