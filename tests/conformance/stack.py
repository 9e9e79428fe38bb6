"""The same hub as separate processes: authn, mapping, authz and credentials behind gateways, as `cargo xtask stack` runs them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
from concurrent import futures

import requests

from hub import (
    AUTHN_SETTINGS,
    CREDENTIALS_SETTINGS,
    MAPPING_SETTINGS,
    READY_SECONDS_MAX,
    STOP_SECONDS_MAX,
    Hub,
)

# Those with a store, and all.
STORED = ("authn", "mapping", "authz", "credentials")
SERVICES = (*STORED, "spoke", "gateway", "awsapi")
# What a process with a store has applied, of all scopes together; and how far its directory of clusters is.
# Of each service, where the run is against a stack.
REPLICAS = int(os.environ.get("LANYARD_TEST_STACK", "0"))
REVISIONS, DIRECTORY = "lanyard_store_revisions", "lanyard_directory_revision"
KNOWN = "lanyard_gateway_revisions"
# In which every replica sees a change: a poll's time would do, but machines are shared.
SEEN_SECONDS_MAX = 20
COMMAND_WORDS_MAX = 3
READING = frozenset({"get", "list", "describe", "explain", "check", "token", "inspect", "rules", "who-can", "kubeconfig"})


def of_service(service: str, name: str) -> str:
    """The variable of a key: services with a store have theirs under `process`."""
    return f"LANYARD_PROCESS__{name}" if service in STORED else f"LANYARD_{name}"


def of_services(settings: dict[str, str]) -> list[str]:
    """A hub's settings, each for the service whose name its key begins with."""
    service_of = {name: name.removeprefix("LANYARD_").split("__")[0].lower() for name in settings}
    assert set(service_of.values()) <= set(SERVICES), service_of
    return [f"{service_of[name]}:{name}={value}" for name, value in settings.items()]


def shown_of(page: str, metric: str) -> float:
    """The value of a metric without labels."""
    (value,) = re.findall(rf"^{metric} (\S+)$", page, re.MULTILINE)
    return float(value)


class Stack(Hub):
    """Each service in `replicas` processes, with its own certificate and its own keys alone."""

    # A replica cannot say that of the others.
    confirms = False
    own_files = frozenset({"credentials", "envelope.key"})

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        store: str | None,
        replicas: int,
        log: str = "debug",
        settings: list[str] | None = None,
        own_programs: bool = False,
    ) -> None:
        """Without a store it has a PostgreSQL of its own. A setting is `service:NAME=value`. Of its own program every second replica
        is, where these were built."""
        super().__init__(folder, log=log)
        self._store = store
        self.replicas = replicas
        self._written = self.ready_file
        self._services_settings = settings or []
        self._own_programs = own_programs
        self._session = requests.Session()
        self._pool = futures.ThreadPoolExecutor(2 * len(SERVICES))

    def start(self) -> Stack:
        self.ready_file = self._written
        command = [os.environ["LANYARD_XTASK"], "stack", "--replicas", str(self.replicas), "--log", self._log]
        command += ["--keep", str(self.folder), "--ready-file", str(self.ready_file)]
        command += ["--postgres", self._store] if self._store else []
        command += ["--own-programs"] if self._own_programs else []
        settings = ["authn:{}={}".format(*setting) for setting in AUTHN_SETTINGS.items()]
        settings += ["credentials:{}={}".format(*setting) for setting in CREDENTIALS_SETTINGS.items()]
        settings += ["mapping:{}={}".format(*setting) for setting in MAPPING_SETTINGS.items()]
        command += [part for setting in [*settings, *self._services_settings] for part in ("--set", setting)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(LANYARD_BIN=os.environ["LANYARD_BIN"], LANYARD_CONFIG="/nowhere/of-another-hub.toml"),
            )
        deadline = time.monotonic() + 2 * READY_SECONDS_MAX
        while not self.ready_file.exists():
            assert self._process.poll() is None, f"the stack ended: {self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"the stack was not ready in time: {self.log()[-4000:]}"
            time.sleep(0.02)
        self.ready = json.loads(self.ready_file.read_text())
        self.doors = self.ready["doors"]
        self.secrets.add("the administrator's secret access key", self.administrator().secret)
        return self

    def turn_to(self, number: int) -> None:
        """From now on this replica of the doors is asked, by the CLI too. Clients that were made before stay with theirs."""
        number %= len(self.doors)
        self.ready |= self.doors[number]
        self.ready_file = self.folder / f"ready-{number}.json"
        self.ready_file.write_text(json.dumps(self.ready))

    @property
    def told_url(self) -> str:
        """All doors of the AWS wire are told of the same one."""
        return self.doors[0]["gateway"]

    def stop(self) -> None:
        """Asks it to stop; it sees to it that each process ends well, the doors first."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS_MAX * len(SERVICES))
        assert process.returncode == 0, f"the stack ended with {process.returncode}: {self.log()[-4000:]}"
        assert not list(self.folder.glob("*.ready.json")), "a service that has stopped is said to be ready"
        assert "panicked at" not in self.log(), self.log()[-4000:]

    def run(self, *words: str, **choices) -> subprocess.CompletedProcess:
        """As of one process; a change has been seen by every replica then."""
        done = super().run(*words, **choices)
        # A name that a command is given may be one of these words too.
        if not READING.intersection(words[:COMMAND_WORDS_MAX]):
            self.settle()
        return done

    def settle(self) -> None:
        """Waits until a change that has answered has been seen by every replica. Who commits one shows it before they answer, so
        all have it when all show as much; and the doors, when their directory is none before that of any who feeds them, and they
        know of as much."""
        deadline = time.monotonic() + SEEN_SECONDS_MAX
        while lacking := self._lacking():
            assert time.monotonic() < deadline, lacking

    def _lacking(self) -> str | None:
        """Which replicas do not see what others do, by one look at each: a page of metrics is work for who writes and reads it."""
        named = {name: url for name, url in self.ready["metrics"].items() if name.rsplit("-", 1)[0] in (*STORED, "gateway")}
        pages = dict(zip(named, self._pool.map(self._text, named.values())))

        def shown(metric: str, *services: str) -> dict[str, float]:
            return {name: shown_of(page, metric) for name, page in pages.items() if name.rsplit("-", 1)[0] in services}

        if len(set((revisions := shown(REVISIONS, *STORED)).values())) > 1:
            return f"not every replica sees a change: {revisions}"
        fed = min(shown(DIRECTORY, "mapping").values())
        if min((directories := shown(DIRECTORY, "gateway")).values()) < fed:
            return f"not every gateway sees revision {fed}: {directories}"
        told = min(shown(REVISIONS, "mapping").values())
        if min((known := shown(KNOWN, "gateway")).values()) < told:
            return f"not every gateway knows of revisions {told}: {known}"
        return None

    def gateway_metrics(self) -> str:
        """Of every replica, one after the other."""
        urls = [url for name, url in self.ready["metrics"].items() if name.startswith("gateway-")]
        return "".join(map(self._text, urls))

    def _text(self, url: str) -> str:
        return self._session.get(f"{url}/metrics", timeout=SEEN_SECONDS_MAX).text

    def processes_of(self, service: str) -> list[int]:
        """The numbers of the processes that are replicas of a service, in their order."""
        files = {f"{self.folder.name}/{service}-{number}.ready.json": number for number in range(self.replicas)}
        found = {}
        for process, command in self.processes():
            for file, number in files.items():
                if any(word.endswith(file) for word in command):
                    found[number] = process
        return [found[number] for number in sorted(found)]

    def processes(self) -> list[tuple[int, list[str]]]:
        """The number and the words of each process that it has started."""
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            # What is no process, or one that has ended meanwhile.
            with contextlib.suppress(OSError, ValueError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == self._process.pid:
                    words = (folder / "cmdline").read_bytes().decode().split("\0")
                    found.append((int(folder.name), words))
        return found

    def log(self) -> str:
        """Of all processes, and last of who runs them."""
        files = [*sorted((self.folder / "logs").glob("*.log")), self.log_file]
        return "".join(file.read_text(errors="replace") for file in files)

    def assert_no_leaks(self) -> None:
        super().assert_no_leaks()
        assert not (seen := self.secrets.seen_in(self.log())), f"the logs of the services show {seen}"
        # The folders of the services hold keys to their secrets, and none of those.
        below = {service: self.secrets.seen_below(self.folder / service, {}) for service in SERVICES}
        assert not any(below.values()), f"files of the services hold {below}"
