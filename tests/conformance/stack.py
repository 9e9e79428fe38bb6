"""The same hub as separate processes: authn, mapping, authz and credentials behind a gateway, on one PostgreSQL."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time

from hub import AUTHN_SETTINGS, READY_SECONDS_MAX, REGION, STOP_SECONDS_MAX, Hub

STORED = ("authn", "mapping", "authz", "credentials")
# Twice the time in which every replica has to see a change on loopback, without waiting for a poll: machines are shared.
SEEN_SECONDS_MAX = 0.2
READING = frozenset({"get", "list", "describe", "explain", "check", "token", "inspect", "rules", "who-can", "kubeconfig"})


class Stack(Hub):
    """Each service in `replicas` processes, with its own certificate and its own keys alone."""

    # A replica cannot say that of the others.
    confirms = False
    own_files = frozenset({"credentials", "envelope.key"})

    def __init__(self, folder: pathlib.Path, *, store: str, replicas: int, log: str = "debug") -> None:
        super().__init__(folder, log=log)
        self._store = store
        self._replicas = replicas
        self._processes: dict[str, subprocess.Popen] = {}

    def start(self) -> Stack:
        issued = [self._issue(service) for service in (*STORED, "gateway")]
        urls = {service: [] for service in STORED}
        names = [(service, f"{service}-{number}") for service in STORED for number in range(self._replicas)]
        for service, name in names:
            settings = {"LANYARD_PROCESS__STORE": self._store} | (AUTHN_SETTINGS if service == "authn" else {})
            self._spawn(name, service, "--listen", "127.0.0.1:0", **settings)
        for service, name in names:
            urls[service].append(self._ready(name)["grpc"])
        config = self.folder / "gateway.toml"
        peers = "".join(f"{service} = {json.dumps(urls[service])}\n" for service in STORED)
        config.write_text(f'account = "{issued[0]["account"]}"\nregion = "{REGION}"\n[peers]\n{peers}')
        listen = ["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--config", str(config)]
        self._spawn("gateway", "gateway", *listen)
        self.ready = self._ready("gateway") | {"credentials": str(self.data / "credentials")}
        self.ready_file.write_text(json.dumps(self.ready))
        self.secrets.add("the administrator's secret access key", self.administrator().secret)
        return self

    def stop(self) -> None:
        """The doors first, then what is behind them; each has to end well."""
        for name in ("gateway", *(name for name in list(self._processes) if name != "gateway")):
            process = self._processes.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired as error:
                process.kill()
                process.wait()
                raise AssertionError(f"{name} did not stop within {STOP_SECONDS_MAX} s of SIGTERM") from error
            assert process.returncode == 0, f"{name} ended with {process.returncode}: {self.log()[-4000:]}"
        assert "panicked at" not in self.log(), self.log()[-4000:]

    def run(self, *words: str, **choices) -> subprocess.CompletedProcess:
        """As of one process; a change has the time in which every replica has to see it."""
        done = super().run(*words, **choices)
        if not READING.intersection(words):
            time.sleep(SEEN_SECONDS_MAX)
        return done

    def assert_no_leaks(self) -> None:
        super().assert_no_leaks()
        # The folders of the services hold keys to their secrets, and none of those.
        below = {service: self.secrets.seen_below(self.folder / service, {}) for service in (*STORED, "gateway")}
        assert not any(below.values()), f"files of the services hold {below}"

    def _issue(self, service: str) -> dict:
        command = [os.environ["LANYARD_BIN"], "pki", "issue", service, "--out", str(self.folder / service)]
        command += ["--data-dir", str(self.data), "--output", "json"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS_MAX,
            env=self._environment(LANYARD_STORE=self._store),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _spawn(self, name: str, service: str, *flags: str, **settings: str) -> None:
        ready = self._ready_file(name)
        ready.unlink(missing_ok=True)
        command = [os.environ["LANYARD_BIN"], "run", service, "--tls-dir", str(self.folder / service)]
        command += ["--ready-file", str(ready), "--log", self._log, *flags]
        with self.log_file.open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(**settings),
            )

    def _ready_file(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.ready.json"

    def _ready(self, name: str) -> dict:
        deadline = time.monotonic() + READY_SECONDS_MAX
        path, process = self._ready_file(name), self._processes[name]
        while not path.exists() or not path.read_text():
            assert process.poll() is None, f"{name} ended with {process.returncode}: {self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"{name} was not ready in time: {self.log()[-4000:]}"
            time.sleep(0.02)
        return json.loads(path.read_text())
