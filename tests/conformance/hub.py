"""A hub under test: `lanyard serve` on free ports of loopback, and the `lanyard` CLI that talks to it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import time
from dataclasses import dataclass

import requests

import leaks
from cluster import Cluster
from tokens import Credentials

READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 60
RECORDED_SECONDS_MAX = 5

# How a command ends.
YES, NO, USAGE, NO_ANSWER = 0, 1, 2, 69

REGION = "us-east-1"
# What every hub of the run is told about authn: the issuers of tests are on loopback.
AUTHN_SETTINGS = {"LANYARD_AUTHN__OIDC__PRIVATE_HOSTS": '["localhost"]'}
# The same for the process of its own that exchanges web identities; in one process authn's count.
CREDENTIALS_SETTINGS = {"LANYARD_CREDENTIALS__OIDC__PRIVATE_HOSTS": '["localhost"]'}
# Each test makes clusters of its own on one hub, and takes none away.
MAPPING_SETTINGS = {"LANYARD_MAPPING__LIMITS__CLUSTERS_PER_REGION": "1000"}
_numbers = itertools.count(1)


def unique(stem: str) -> str:
    """A name that no other test of this run has."""
    return f"{stem}-{next(_numbers)}"


@dataclass(frozen=True)
class Principal:
    """A user or role of the hub's own IAM."""

    name: str
    arn: str
    principal_id: str
    credentials: Credentials | None = None


def audit_line(hub: Hub, token: str, message: str) -> str:
    """The line of the log about a token, which it names by the first digits of its hash."""
    return logged(hub, hashlib.sha256(token.encode()).hexdigest()[:12], message)


def logged(hub: Hub, *parts: str) -> str:
    """The last line of the log that has all of this in it."""
    deadline = time.monotonic() + RECORDED_SECONDS_MAX
    while not (lines := [line for line in hub.log().splitlines() if all(part in line for part in parts)]):
        assert time.monotonic() < deadline, f"no line of the log has {' and '.join(parts)}"
        time.sleep(0.1)
    return lines[-1]


class Refused(AssertionError):
    """A command that should have succeeded did not."""

    def __init__(self, done: subprocess.CompletedProcess) -> None:
        super().__init__(f"`lanyard {' '.join(done.args[1:])}` ended with {done.returncode}: {done.stderr}")
        self.done = done


class Hub:
    """One running hub. It keeps its folder over `stop` and `start`, as a real one does."""

    # Whether a change that has answered is in force everywhere.
    confirms = True
    # How many processes of a service there are.
    replicas = 1
    # What lies in the data folder and has to be its owner's alone.
    own_files = frozenset({"credentials", "envelope.key", "lanyard.db"})

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        log: str = "debug",
        settings: dict[str, str] | None = None,
        config: str | None = None,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.ready_file = folder / "ready.json"
        self.log_file = folder / "serve.log"
        self.secrets = leaks.Secrets()
        self.ready: dict[str, str] = {}
        # Each replica of the doors, by its URLs.
        self.doors: list[dict[str, str]] = []
        self._log = log
        self._settings = settings if settings is not None else {}
        self._process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "lanyard.toml" if config else None
        if self._config:
            self._config.write_text(config)

    # Life

    def start(
        self,
        *flags: str,
        listen: str = "127.0.0.1:0",
        grpc_listen: str = "127.0.0.1:0",
        aws_listen: str = "127.0.0.1:0",
    ) -> Hub:
        # It takes away that of a hub that was killed, but perhaps after it was looked for here.
        self.ready_file.unlink(missing_ok=True)
        command = [
            os.environ["LANYARD_BIN"],
            "serve",
            "--data-dir",
            str(self.data),
            "--ready-file",
            str(self.ready_file),
        ]
        command += ["--listen", listen, "--grpc-listen", grpc_listen, "--aws-listen", aws_listen]
        command += ["--region", REGION, "--log", self._log]
        command += ["--config", str(self._config)] if self._config else []
        command += flags
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(**self._settings),
            )
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.ready_file.exists():
            assert self._process.poll() is None, (
                f"serve ended with {self._process.returncode}: {self.log()[-4000:]}"
            )
            if time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(
                    f"serve was not ready within {READY_SECONDS_MAX} s: {self.log()[-4000:]}"
                )
            time.sleep(0.02)
        self.ready = json.loads(self.ready_file.read_text())
        self.doors = [self.ready]
        administrator = self.administrator()
        self.secrets.add("the administrator's secret access key", administrator.secret)
        return self

    def stop(self) -> None:
        """Asks it to stop, as an operator does, and sees that it ends well."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise AssertionError(
                f"serve did not stop within {STOP_SECONDS_MAX} s of SIGTERM: {self.log()[-2000:]}"
            ) from error
        assert process.returncode == 0, f"serve ended with {process.returncode}: {self.log()[-4000:]}"
        assert "panicked at" not in self.log(), self.log()[-4000:]

    def signal(self, number: signal.Signals) -> None:
        """Sends its process a signal, such as one that pauses it."""
        self._process.send_signal(number)

    def resident_bytes(self) -> int:
        """Memory that its process holds."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        (kilobytes,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
        return int(kilobytes) << 10

    def assert_no_leaks(self) -> None:
        """No secret of the run stands in the log or in a file, but for the one file that is there to hold one."""
        assert len(self.secrets) > 1, "no secret was made, so that none was seen says nothing"
        seen = self.secrets.seen_in(self.log_file.read_bytes())
        assert not seen, f"the log of serve shows {seen}"
        own = frozenset({"the administrator's secret access key"})
        below = self.secrets.seen_below(self.data, {"credentials": own})
        assert not below, f"files of the hub hold {below}"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    # What it says of itself

    @property
    def url(self) -> str:
        return self.ready["gateway"]

    def gateway_metrics(self) -> str:
        """What the gateway counts, in Prometheus' text format."""
        return requests.get(f"{self.url}/metrics", verify=self.ca, timeout=10).text

    @property
    def told_url(self) -> str:
        """Where the AWS wire says that the gateway is."""
        return self.url

    @property
    def ca(self) -> str:
        return self.ready["ca"]

    @property
    def account(self) -> str:
        return self.ready["account"]

    def administrator(self) -> Credentials:
        lines = pathlib.Path(self.ready["credentials"]).read_text().splitlines()
        pairs = dict(line.split("=", 1) for line in lines if "=" in line)
        values = {key.strip(): value.strip() for key, value in pairs.items()}
        return Credentials(values["aws_access_key_id"], values["aws_secret_access_key"])

    # The CLI

    def run(
        self,
        *words: str,
        credentials: Credentials | None = None,
        stdin: str | None = None,
        output: str | None = "json",
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess:
        """Runs `lanyard`, as the administrator unless other credentials are given. Its errors never show a secret."""
        command = [os.environ["LANYARD_BIN"], *words, "--ready-file", str(self.ready_file)]
        command += ["--output", output] if output else []
        variables = self._environment(
            **(credentials.environment() if credentials else {}), **(environment or {})
        )
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=variables
        )
        seen = self.secrets.seen_in(done.stderr)
        assert not seen, f"`lanyard {' '.join(words[:2])}` shows {seen} on standard error"
        assert "panicked at" not in done.stderr, done.stderr
        return done

    def start_cli(self, *words: str, credentials: Credentials) -> subprocess.Popen:
        """Begins a command that goes on, its answers as JSON; whoever starts it ends it."""
        command = [os.environ["LANYARD_BIN"], *words, "--ready-file", str(self.ready_file), "--output", "json"]
        variables = self._environment(**credentials.environment())
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=variables)

    def cli(self, *words: str, **choices):
        """What a command answers, as JSON; it has to succeed."""
        done = self.run(*words, **choices)
        if done.returncode != YES:
            raise Refused(done)
        return json.loads(done.stdout)

    def refused(self, *words: str, code: int = NO, **choices) -> str:
        """Why a command does not succeed; it has to end with `code`."""
        done = self.run(*words, **choices)
        assert done.returncode == code, (
            f"ended with {done.returncode}, not {code}: {done.stdout}{done.stderr}"
        )
        return leaks.one_line(done.stderr)

    def settle(self) -> None:
        """Waits until what has answered is in force everywhere, which in one process it is."""

    def explain_decision(self, decision: str) -> dict:
        """The same of a finished decision, which is recorded behind the answer: it may take a moment."""
        deadline = time.monotonic() + RECORDED_SECONDS_MAX
        while True:
            try:
                return self.explain("--id", decision)
            except Refused as refused:
                if "does not exist" not in refused.done.stderr or time.monotonic() > deadline:
                    raise

    def explain(self, *words: str, **choices) -> dict:
        """What `lanyard explain` tells; its exit code is that of the verdict, and no secret is in it."""
        done = self.run("explain", *words, **choices)
        assert not self.secrets.seen_in(done.stdout), "an explanation shows a secret"
        if not done.stdout:
            raise Refused(done)
        told = json.loads(done.stdout)
        assert done.returncode == {"allowed": YES, "no_answer": NO_ANSWER}.get(told["verdict"], NO), told
        return told

    def _environment(self, **more: str) -> dict[str, str]:
        """Nothing of whoever runs the tests decides them."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {"HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true"} | more

    # What most tests begin with

    def create_cluster(self, stem: str = "cluster", *flags: str) -> Cluster:
        made = self.cli("cluster", "create", unique(stem), "--region", REGION, *flags)["value"]
        return self.cluster(made)

    def cluster(self, made: dict, **choices) -> Cluster:
        """A cluster of this hub with a credential for its API server."""
        answer = self.cli("cluster", "spoke-credential", "create", made["id"], **choices)
        token = self.secrets.add("a spoke's bearer token", answer["value"]["token"])
        return Cluster(self, made["id"], made["uid"], token)

    def create_user(self, stem: str = "user", *, path: str = "/", account: str | None = None) -> Principal:
        name = unique(stem)
        of_account = ["--account", account] if account else []
        made = self.cli("iam", "user", "create", name, "--path", path, *of_account)["value"]
        arn = f"arn:aws:iam::{made['account']}:user{made['path']}{made['name']}"
        return Principal(name, arn, made["principal_id"], self.create_key(name, *of_account))

    def create_key(self, user: str, *flags: str) -> Credentials:
        made = self.cli("iam", "access-key", "create", user, *flags)["value"]
        secret = self.secrets.add("a user's secret access key", made["secret"])
        return Credentials(made["key"]["id"], secret)

    def create_role(self, stem: str = "role", *, trusts: str, path: str = "/") -> Principal:
        """A role that one principal may assume and tag."""
        name = unique(stem)
        made = self.cli(
            "iam", "role", "create", name, "--path", path, "--trust-policy", "-", stdin=trust_policy(trusts)
        )["value"]
        arn = f"arn:aws:iam::{made['account']}:role{made['path']}{made['name']}"
        return Principal(name, arn, made["principal_id"])

    def assume_role(self, by: Principal, role: Principal, session: str, *flags: str) -> Credentials:
        made = self.cli(
            "iam", "assume-role", role.arn, "--session-name", session, *flags, credentials=by.credentials
        )
        return self.session(made)

    def get_session_token(self, by: Principal, *flags: str) -> Credentials:
        """A user's own session."""
        return self.session(self.cli("iam", "get-session-token", *flags, credentials=by.credentials))

    def session(self, made: dict) -> Credentials:
        """What a command has made, with its secrets among those that nothing may leave anywhere."""
        secret = self.secrets.add("a session's secret access key", made["secret_access_key"])
        token = self.secrets.add("a session token", made["session_token"])
        return Credentials(made["access_key_id"], secret, token)


def trust_policy(principal: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
