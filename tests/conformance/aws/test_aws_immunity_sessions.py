"""Attacks on the sessions and tokens that the AWS wire takes and gives (immunity 10, 36, 52)."""

from __future__ import annotations

import json
import time

import pytest

from hub import trust_policy, unique
from oidc import Issuer, Key
from tokens import Credentials
from wire import Wire, refused

AUDIENCE = "sts.amazonaws.com"
ROLE = "arn:aws:iam::111122223333:role/cluster"
CLIENT_OF_CLUSTERS = "kubernetes-login"


class Exchange:
    """An issuer, the provider and role that trust it, and what its tokens are exchanged for."""

    def __init__(self, hub, wire, issuer: Issuer) -> None:
        self.hub, self.wire, self.issuer = hub, wire, issuer
        self.name = issuer.url.removeprefix("https://")
        self.provider = f"arn:aws:iam::{hub.account}:oidc-provider/{self.name}"
        self.make_provider()
        self.role = wire.client("iam").create_role(
            RoleName=unique("ci"), AssumeRolePolicyDocument=self.trust("job-17")
        )["Role"]
        hub.settle()

    def make_provider(self) -> None:
        words = ["iam", "oidc-provider", "create", self.issuer.url, "--client-id", AUDIENCE]
        self.hub.cli(*words, "--ca-bundle", str(self.issuer.ca))

    def trust(self, subject: str) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": self.provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{self.name}:aud": AUDIENCE, f"{self.name}:sub": subject}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def token(self, **claims) -> str:
        return self.hub.secrets.add("a web identity token", self.issuer.token(**{"aud": AUDIENCE, "sub": "job-17"} | claims))

    def ask(self, token: str) -> dict:
        return self.wire.sts.assume_role_with_web_identity(
            RoleArn=self.role["Arn"], RoleSessionName="run", WebIdentityToken=token
        )

    def session(self) -> Credentials:
        return credentials_of(self.hub, self.ask(self.token()))


def credentials_of(hub, made: dict) -> Credentials:
    key = made["Credentials"]
    secret = hub.secrets.add("a session's secret access key", key["SecretAccessKey"])
    return Credentials(key["AccessKeyId"], secret, hub.secrets.add("a session token", key["SessionToken"]))


@pytest.fixture
def exchange(hub, wire, tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("immunity"), path=f"/{unique('ci')}").start()
    yield Exchange(hub, wire, issuer)
    issuer.stop()


def immunity_10_what_proves_nothing_is_exchanged_for_nothing(exchange):
    token, issuer, now = exchange.token, exchange.issuer, int(time.time())
    good = token()
    header, _, signature = good.split(".")
    cases = [
        ("another audience", token(aud="another"), "InvalidIdentityToken", 400),
        ("no audience", token(aud=None), "InvalidIdentityToken", 400),
        ("several audiences, of another party", token(aud=[AUDIENCE, "another"], azp="another"), "InvalidIdentityToken", 400),
        ("expired", token(exp=now - 1), "ExpiredTokenException", 400),
        ("without an end", token(exp=None), "InvalidIdentityToken", 400),
        ("from the future", token(nbf=now + 3600), "InvalidIdentityToken", 400),
        ("of nobody", token(sub=None), "InvalidIdentityToken", 400),
        ("of a shorter name than STS has an answer for", token(sub="ana"), "InvalidIdentityToken", 400),
        ("of a longer name than STS has an answer for", token(sub="a" * 256), "InvalidIdentityToken", 400),
        ("unsigned", issuer.unsigned(aud=AUDIENCE, sub="job-17"), "InvalidIdentityToken", 400),
        ("signed by the public key", issuer.by_public_key(aud=AUDIENCE, sub="job-17"), "InvalidIdentityToken", 400),
        ("with other claims", f"{header}.{token(sub='root').split('.')[1]}.{signature}", "InvalidIdentityToken", 400),
        ("of another key", issuer.token(aud=AUDIENCE, sub="job-17", key=Key("one")), "InvalidIdentityToken", 400),
        ("of another algorithm", token(header={"alg": "RS256"}), "InvalidIdentityToken", 400),
        ("critical beyond what is known", token(header={"crit": ["x"]}), "InvalidIdentityToken", 400),
        ("of an issuer of the token's own choice", token(iss="https://169.254.169.254"), "InvalidIdentityToken", 400),
        ("of a longer name", token(iss=f"{issuer.url}/"), "InvalidIdentityToken", 400),
        ("of another subject", token(sub="job-18"), "AccessDenied", 403),
    ]
    for name, wrong, code, status in cases:
        exchange.hub.secrets.add("a web identity token", wrong)
        with refused(exchange.wire.sts, code, "", status):
            exchange.ask(wrong)
            raise AssertionError(f"a token {name} is exchanged")
    assert exchange.ask(good)["SubjectFromWebIdentityToken"] == "job-17"


def immunity_10_no_identity_provider_gives_what_is_reserved(hub, eks):
    cluster = unique("reserved")
    eks.create_cluster(name=cluster, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API"})
    hub.settle()
    good = {"identityProviderConfigName": "a", "issuerUrl": f"https://{cluster}.example", "clientId": cluster}
    for members in (
        {"usernamePrefix": "system:"},
        {"groupsClaim": "groups", "groupsPrefix": "system:"},
        {"groupsClaim": "groups", "groupsPrefix": "a-system:"},
    ):
        with refused(eks, "InvalidParameterException"):
            eks.associate_identity_provider_config(clusterName=cluster, oidc=good | members)
    assert eks.list_identity_provider_configs(clusterName=cluster)["identityProviderConfigs"] == []


def ended(hub, credentials: Credentials) -> None:
    """The next call of each service is refused, by every replica of the door."""
    hub.settle()
    wire = Wire(hub, credentials)
    for door in hub.doors:
        wire.url = door["aws"]
        with refused(wire.sts, "InvalidClientTokenId", "", 403):
            wire.sts.get_caller_identity()
        with refused(wire.client("iam"), "InvalidClientTokenId", "", 403):
            wire.client("iam").list_users()
        with refused(wire.eks, "UnrecognizedClientException", "", 403):
            wire.eks.list_clusters()


def lives(hub, credentials: Credentials) -> None:
    hub.settle()
    assert Wire(hub, credentials).sts.get_caller_identity()["Account"] == hub.account


def immunity_36_a_session_ends_with_the_key_the_user_and_the_role(hub, iam):
    ana = hub.create_user("ana")
    role = hub.create_role("reader", trusts=ana.arn)
    hub.settle()
    key = {"UserName": ana.name, "AccessKeyId": ana.credentials.access_key_id}
    sts = Wire(hub, ana.credentials).sts
    own = credentials_of(hub, sts.get_session_token())
    first = credentials_of(hub, sts.assume_role(RoleArn=role.arn, RoleSessionName="first"))
    iam.update_access_key(**key, Status="Inactive")
    for session in (own, first):
        ended(hub, session)
    iam.update_access_key(**key, Status="Active")
    for session in (own, first):
        lives(hub, session)
    # Made anew under the same name it is another role.
    iam.delete_role(RoleName=role.name)
    ended(hub, first)
    iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=trust_policy(ana.arn))
    ended(hub, first)
    hub.settle()
    second = credentials_of(hub, sts.assume_role(RoleArn=role.arn, RoleSessionName="second"))
    lives(hub, second)
    iam.delete_access_key(**key)
    for session in (own, second):
        ended(hub, session)
    iam.delete_user(UserName=ana.name)
    iam.create_user(UserName=ana.name)
    again = iam.create_access_key(UserName=ana.name)["AccessKey"]
    hub.secrets.add("a user's secret access key", again["SecretAccessKey"])
    for session in (own, second):
        ended(hub, session)


def immunity_36_a_chain_of_sessions_ends_with_each_role_in_it(hub, iam):
    ana = hub.create_user("ana")
    between = hub.create_role("between", trusts=ana.arn)
    last = hub.create_role("last", trusts=between.arn)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    first = credentials_of(hub, sts.assume_role(RoleArn=between.arn, RoleSessionName="first"))
    second = credentials_of(hub, Wire(hub, first).sts.assume_role(RoleArn=last.arn, RoleSessionName="second"))
    lives(hub, second)
    iam.delete_role(RoleName=between.name)
    ended(hub, first)
    ended(hub, second)


def test_a_source_identity_is_told_of_every_session_of_its_chain(hub):
    ana = hub.create_user("ana")
    between = hub.create_role("between", trusts=ana.arn)
    last = hub.create_role("last", trusts=between.arn)
    hub.settle()
    sts = Wire(hub, ana.credentials).sts
    first = sts.assume_role(RoleArn=between.arn, RoleSessionName="first", SourceIdentity="ana")
    assert first["SourceIdentity"] == "ana"
    second = Wire(hub, credentials_of(hub, first)).sts.assume_role(RoleArn=last.arn, RoleSessionName="second")
    credentials_of(hub, second)
    assert second["SourceIdentity"] == "ana", "inherited, and not given again"
    plain = sts.assume_role(RoleArn=between.arn, RoleSessionName="plain")
    credentials_of(hub, plain)
    assert "SourceIdentity" not in plain


def immunity_36_a_web_identitys_session_ends_with_its_provider(hub, iam, exchange):
    session = exchange.session()
    lives(hub, session)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=exchange.provider)
    ended(hub, session)
    exchange.make_provider()
    ended(hub, session)
    lives(hub, exchange.session())


def immunity_52_a_client_id_is_one_clusters_and_its_token_no_web_identity(hub, eks, exchange):
    names = [unique("audience") for _ in range(2)]
    for name in names:
        eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API"})
    hub.settle()
    client = unique(CLIENT_OF_CLUSTERS)
    oidc = {"identityProviderConfigName": "a", "issuerUrl": exchange.issuer.url, "clientId": client}
    eks.associate_identity_provider_config(clusterName=names[0], oidc=oidc)
    hub.settle()
    with refused(eks, "InvalidRequestException", "taken by another cluster"):
        eks.associate_identity_provider_config(clusterName=names[1], oidc=oidc)
    # Who logs in to a cluster with a token has none for STS, and the other way round the client id is another one.
    with refused(exchange.wire.sts, "InvalidIdentityToken", "Incorrect token audience"):
        exchange.ask(exchange.token(aud=client))
    assert eks.list_identity_provider_configs(clusterName=names[1])["identityProviderConfigs"] == []


def immunity_52_a_client_id_of_a_cluster_is_none_of_the_sts_unless_the_cluster_shares_it(hub, eks, iam, exchange):
    """The same client id on both sides, whichever comes first."""
    name = unique("exchanged")
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API"})
    hub.settle()
    provider = {"OpenIDConnectProviderArn": exchange.provider}
    oidc = {"identityProviderConfigName": "a", "issuerUrl": exchange.issuer.url}
    # What roles are for already: also what each cluster's pods have, whose issuer is another one.
    with refused(eks, "InvalidRequestException", "exchanges for sessions of its roles"):
        eks.associate_identity_provider_config(clusterName=name, oidc=oidc | {"clientId": AUDIENCE})
    client = unique(CLIENT_OF_CLUSTERS)
    eks.associate_identity_provider_config(clusterName=name, oidc=oidc | {"clientId": client})
    hub.settle()
    with refused(iam, "InvalidInput", "people log in to a cluster"):
        iam.add_client_id_to_open_id_connect_provider(**provider, ClientID=client)
    iam.delete_open_id_connect_provider(**provider)
    hub.settle()
    with refused(iam, "InvalidInput", "people log in to a cluster"):
        iam.create_open_id_connect_provider(Url=exchange.issuer.url, ClientIDList=[AUDIENCE, client])
    exchange.make_provider()
    hub.settle()
    with refused(exchange.wire.sts, "InvalidIdentityToken", "Incorrect token audience"):
        exchange.ask(exchange.token(aud=client))
    config = {"type": "oidc", "name": "a"}
    eks.disassociate_identity_provider_config(clusterName=name, identityProviderConfig=config)
    hub.settle()
    shared = {"lanyard:shared-audience": "true"}
    eks.associate_identity_provider_config(clusterName=name, oidc=oidc | {"clientId": client}, tags=shared)
    hub.settle()
    iam.add_client_id_to_open_id_connect_provider(**provider, ClientID=client)
    read = iam.get_open_id_connect_provider(**provider)
    assert read["ClientIDList"] == [AUDIENCE, client], read


def immunity_52_clusters_share_a_client_id_where_all_of_them_say_so(hub, eks):
    """By a tag, for the model has no setting for it. It counts when the configuration is associated."""
    names = [unique("shared") for _ in range(3)]
    for name in names:
        eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig={}, accessConfig={"authenticationMode": "API"})
    hub.settle()
    oidc = {"identityProviderConfigName": "a", "issuerUrl": f"https://{names[0]}.example", "clientId": names[0]}
    shared = {"oidc": oidc, "tags": {"lanyard:shared-audience": "true"}}
    eks.associate_identity_provider_config(clusterName=names[0], oidc=oidc)
    hub.settle()
    with refused(eks, "InvalidRequestException", "`lanyard:shared-audience=true`"):
        eks.associate_identity_provider_config(clusterName=names[1], **shared)
    config = {"type": "oidc", "name": "a"}
    eks.disassociate_identity_provider_config(clusterName=names[0], identityProviderConfig=config)
    hub.settle()
    for name in names[:2]:
        eks.associate_identity_provider_config(clusterName=name, **shared)
        hub.settle()
        read = eks.describe_identity_provider_config(clusterName=name, identityProviderConfig=config)
        told = read["identityProviderConfig"]["oidc"]
        assert (told["clientId"], told["tags"]) == (names[0], shared["tags"]), told
    for wrong in ({"team": "a"}, {"lanyard:shared-audience": "yes"}):
        with refused(eks, "InvalidRequestException", "`lanyard:shared-audience=true`"):
            eks.associate_identity_provider_config(clusterName=names[2], oidc=oidc, tags=wrong)
