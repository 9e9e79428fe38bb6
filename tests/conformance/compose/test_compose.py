"""The suite of deploy/docker-compose.yml: it comes up by itself, lets somebody in, and gives no container more than it needs."""

import io
import json
import re
import tarfile
import time

import boto3
import pytest
import requests

from composed import DOORS, FILE, KEEPERS, RUNNING, SERVICES, documented
from dockerd import ROOT
from hub import REGION

# Files are read every ten seconds.
TAKEN_SECONDS_MAX = 60
OURS = [name for name in RUNNING if name.rsplit("-", 1)[0] in (*SERVICES, *DOORS)]


def test_the_readme_brings_it_up_as_the_file_says():
    assert documented(ROOT / "README.md") == documented(FILE)


@pytest.fixture(scope="module")
def world(hub):
    cluster = hub.create_cluster("composed")
    ana = hub.create_user("ana")
    cluster.entry(ana, groups=["devs"])
    return cluster, ana


def assert_lets_in(world):
    cluster, ana = world
    status = cluster.token_review(cluster.token(ana))["status"]
    assert status["authenticated"] is True, status
    assert status["user"]["groups"] == ["devs"]


def test_a_token_is_reviewed_through_it(world):
    assert_lets_in(world)


def test_the_files_of_an_api_server_come_out_of_it_for_their_owner_alone(hub, world):
    """By the commands of the file's first lines."""
    cluster, _ = world
    out = "/var/lib/lanyard/out"
    assert f"--entrypoint tar cli -C {out} -cf - dev" in FILE.read_text()
    words = ("--gateway", hub.ready["gateway"], "--path", "/etc/kubernetes/lanyard", "--out", f"{out}/{cluster.id}")
    hub.compose("run", "--rm", "-T", "cli", "cluster", "webhook-config", cluster.id, *words)
    archive = hub.compose("run", "--rm", "-T", "--entrypoint", "tar", "cli", "-C", out, "-cf", "-", cluster.id)
    with tarfile.open(fileobj=io.BytesIO(archive.encode())) as files:
        assert {file.mode for file in files if file.isfile()} == {0o600}
        assert files.getmember(cluster.id).mode == 0o700
        review, flags = (
            files.extractfile(f"{cluster.id}/{name}").read().decode() for name in ("tokenreview.kubeconfig", "flags.txt")
        )
    hub.secrets.add("a webhook file's token", re.search(r"token: [\"']?([^\s\"']+)", review).group(1))
    assert f"{hub.ready['gateway']}/clusters/{cluster.id}/tokenreview" in review
    assert "=/etc/kubernetes/lanyard/tokenreview.kubeconfig\n" in flags


def test_awss_own_clients_find_their_door(hub):
    administrator = hub.administrator()
    client = boto3.client(
        "sts",
        endpoint_url=hub.ready["aws"],
        verify=hub.ready["ca"],
        region_name=REGION,
        aws_access_key_id=administrator.access_key_id,
        aws_secret_access_key=administrator.secret,
    )
    assert client.get_caller_identity()["Account"] == hub.ready["account"]


def test_it_is_the_same_hub_after_it_was_brought_up_again(hub, world):
    hub.compose("restart", "--timeout", "40", "gateway", "postgres")
    hub.up()
    assert_lets_in(world)


def test_a_renewed_certificate_is_taken_without_a_restart(hub, world):
    started = {name: hub.inspect(name)["State"]["StartedAt"] for name in OURS}
    before = hub.certificate()
    hub.compose("run", "--rm", "setup")
    deadline = time.monotonic() + TAKEN_SECONDS_MAX
    while hub.certificate() == before:
        assert time.monotonic() < deadline, "the gateway shows its old certificate still"
        time.sleep(0.5)
    assert_lets_in(world)
    assert {name: hub.inspect(name)["State"]["StartedAt"] for name in OURS} == started
    assert set(hub.health().values()) == {"healthy"}


@pytest.mark.parametrize("name", OURS)
def test_a_process_shows_its_metrics_on_the_containers_network_alone(hub, name):
    inspected = hub.inspect(name)
    assert "9464/tcp" not in inspected["NetworkSettings"]["Ports"]
    (network,) = inspected["NetworkSettings"]["Networks"].values()
    url = f"http://{network['IPAddress']}:9464"
    assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
    assert "lanyard_connections" in requests.get(f"{url}/metrics", timeout=10).text


@pytest.mark.parametrize("name", OURS)
def test_a_process_is_nobody_and_can_write_nowhere(hub, name):
    inspected = hub.inspect(name)
    host = inspected["HostConfig"]
    assert inspected["Config"]["User"] == "65532:65532"
    assert host["ReadonlyRootfs"] is True and host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"] and "no-new-privileges:true" in host["SecurityOpt"]
    assert not [mount for mount in inspected["Mounts"] if mount["RW"]]


@pytest.mark.parametrize("name", OURS)
def test_a_process_has_its_own_folder_alone(hub, name):
    service = name.rsplit("-", 1)[0]
    mounts = {mount["Destination"] for mount in hub.inspect(name)["Mounts"]}
    shared = {"/run/lanyard/client"} if service in KEEPERS else set()
    assert mounts == {f"/var/lib/lanyard/{service}"} | shared


def test_no_secret_is_in_an_environment_or_a_command_line(hub):
    passwords = hub.compose("exec", "-T", "authn-0", "cat", "/run/lanyard/client/pgpass", "/run/lanyard/client/redis-password")
    pgpass, redis = passwords.rstrip().split("\n")
    values = [pgpass.rsplit(":", 1)[1], redis]
    assert all(len(value) == 48 for value in values)
    told = json.dumps(hub.containers())
    assert '"gateway"' in told and "POSTGRES_PASSWORD_FILE" in told
    assert not [value for value in values if value in told or value in hub.log()]
