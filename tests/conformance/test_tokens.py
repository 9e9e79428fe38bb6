"""Client tokens that are not quite right, at the door of a real hub; the unit tests have the whole table."""

import datetime

import pytest

import tokens
from tokens import minutes


@pytest.fixture(scope="module")
def world(hub):
    cluster = hub.create_cluster("tokens")
    ana = hub.create_user("ana")
    cluster.entry(ana)
    return cluster, ana


@pytest.mark.parametrize("ahead", [0, 1, 4.5])
def test_clocks_may_differ(world, ahead):
    cluster, ana = world
    status = cluster.token_review(cluster.token(ana, at=tokens.now() + minutes(ahead)))["status"]
    assert status["authenticated"], (ahead, status)


@pytest.mark.parametrize("age", [1, 14.5])
def immunity_37_a_token_from_before_the_cluster_was_for_another_of_its_name(world, age):
    cluster, ana = world
    assert cluster.refusal(ana, at=tokens.now() - minutes(age)) == "older_than_cluster"


@pytest.mark.parametrize(
    ("age", "code"),
    [
        (16, "token_expired"),
        (60 * 24, "token_expired"),
        (-6, "token_from_future"),
        (-60 * 24 * 365, "token_from_future"),
    ],
)
def immunity_05_both_ends_of_the_date_window_count(world, age, code):
    cluster, ana = world
    assert cluster.refusal(ana, at=tokens.now() - minutes(age)) == code


def test_an_expired_token_stays_expired_whatever_lifetime_it_asks_for(world):
    cluster, ana = world
    assert cluster.refusal(ana, at=tokens.now() - minutes(16), expires="900") == "token_expired"
    assert cluster.refusal(ana, expires="901") == "expires"


def test_another_byte_in_a_token_is_refused_with_the_part_that_failed(world, hub):
    cluster, ana = world
    good = cluster.token(ana)
    assert cluster.token_review(good)["status"]["authenticated"]
    second = hub.create_key(ana.name)
    signature = tokens.parameter(good, "X-Amz-Signature")
    stamp = tokens.parameter(good, "X-Amz-Date")
    later = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ") + datetime.timedelta(seconds=1)
    credential = tokens.parameter(good, "X-Amz-Credential")
    cases = [
        ({"X_Amz_Signature": tokens.other_digit(signature)}, "signature_or_cluster"),
        ({"X_Amz_Signature": signature.upper()}, None),
        ({"X_Amz_Date": later.strftime("%Y%m%dT%H%M%SZ")}, "signature_or_cluster"),
        ({"X_Amz_Expires": "61"}, "signature_or_cluster"),
        ({"X_Amz_Credential": credential.replace("us-east-1", "eu-west-1")}, "scope_region"),
        ({"X_Amz_Credential": credential.replace("/sts/", "/eks/")}, "scope_service"),
        (
            {"X_Amz_Credential": credential.replace(ana.credentials.access_key_id, second.access_key_id)},
            "signature_or_cluster",
        ),
        (
            {"X_Amz_Credential": credential.replace(ana.credentials.access_key_id, "LKIAAAAAAAAAAAAAAAAA")},
            "unknown_key",
        ),
        ({"Action": "AssumeRole"}, "action"),
        ({"X_Amz_SignedHeaders": "host"}, "cluster_id_not_signed"),
        ({"X_Amz_SignedHeaders": "x-k8s-aws-id"}, "host_not_signed"),
        ({"X_Amz_Algorithm": "AWS4-HMAC-SHA1"}, "algorithm"),
    ]
    for change, code in cases:
        refused = cluster.refusal(tokens.tampered(good, **change))
        assert code is None or refused == code, (change, refused)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace("https://", "http://"), "token_scheme"),
        (lambda url: url.replace("https://", "https://ana@"), "token_user_info"),
        (lambda url: url + "#x", "token_fragment"),
        (lambda url: url.replace("amazonaws.com/", "amazonaws.com:443/"), "token_host"),
        (
            lambda url: url.replace(
                "sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com.evil.example"
            ),
            "token_host",
        ),
        (lambda url: url.replace("amazonaws.com/?", "amazonaws.com/x?"), "token_path"),
        (lambda url: url + "&action=GetCallerIdentity", "duplicate_parameter"),
        (
            lambda url: (
                url + "&x-amz-credential=LKIAAAAAAAAAAAAAAAAA%2F20260101%2Fus-east-1%2Fsts%2Faws4_request"
            ),
            "duplicate_parameter",
        ),
        (lambda url: url + "&Action=GetCallerIdentity", "repeated_parameter"),
        (lambda url: url + "&Tracer=1", "parameter_not_allowed"),
    ],
)
def immunity_01_a_url_that_says_more_than_one_thing_is_refused(world, change, code):
    cluster, ana = world
    assert cluster.refusal(tokens.encode(change(tokens.presigned(ana.credentials, cluster.id)))) == code


@pytest.mark.parametrize(
    "spoilt", ["", "=", "%%%", "k8s-aws-v1.", "a" * 5000, "\u00e9", "aHR0cHM6Ly8", "\x00"]
)
def test_any_text_behind_the_prefix_is_refused_and_never_a_fault(world, spoilt):
    cluster, _ = world
    code = cluster.refusal(tokens.PREFIX + spoilt)
    assert code == "token_too_long" or code.startswith("token_"), code


def test_clients_sign_for_any_host_of_the_partition(world):
    cluster, ana = world
    hosts = [
        ("us-east-1", "sts.us-east-1.amazonaws.com"),
        ("us-east-1", "sts.amazonaws.com"),
        ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
        ("us-west-2", "sts-fips.us-west-2.amazonaws.com"),
        ("us-west-2", "sts.us-west-2.api.aws"),
    ]
    for region, host in hosts:
        token = cluster.token(ana, region=region, host=host)
        assert cluster.token_review(token)["status"]["authenticated"], host
    assert cluster.refusal(ana, region="cn-north-1", host="sts.cn-north-1.amazonaws.com.cn") == "token_host"


def immunity_04_a_token_of_one_cluster_opens_no_other_and_explain_names_it_to_who_may_know(world, hub):
    cluster, ana = world
    other = hub.create_cluster("elsewhere")
    other.entry(ana)
    token = cluster.token(ana)
    assert cluster.token_review(token)["status"]["authenticated"]
    assert other.refusal(token) == "signature_or_cluster"
    # Replay at its own cluster within its life is by design: a bearer token is one.
    assert cluster.token_review(token)["status"]["authenticated"]
    explained = hub.explain("--token", "-", "--cluster", other.id, stdin=token)
    assert f"made for cluster `{cluster.id}`" in str(explained), explained


def test_the_header_that_names_the_cluster_may_not_be_left_to_the_verifier(world):
    cluster, ana = world
    assert cluster.refusal(ana, header="x-k8s-aws-ip") == "cluster_id_not_signed"
