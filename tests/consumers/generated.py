"""Code from the protos, made as those who consume them make it, and the programs on it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PROTOS = HERE.parent.parent / "proto"
STEP_SECONDS_MAX = 300


def python_consumer(folder: pathlib.Path) -> list[str]:
    """The consumer in Python, by grpcio-tools."""
    shutil.copytree(HERE / "python", folder, dirs_exist_ok=True)
    protos = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("lanyard/**/*.proto"))
    out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    _run([sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *out, *protos], folder)
    return [sys.executable, str(folder / "consumer.py")]


def go_consumer(folder: pathlib.Path) -> list[str]:
    """The consumer in Go, by buf and protoc's plugins."""
    shutil.copytree(HERE / "go", folder, dirs_exist_ok=True)
    # buf finds plugins by name.
    plugins = folder / "plugins"
    plugins.mkdir()
    for name, variable in (("protoc-gen-go", "PROTOC_GEN_GO"), ("protoc-gen-go-grpc", "PROTOC_GEN_GO_GRPC")):
        (plugins / name).symlink_to(os.environ[variable])
    path = f"{plugins}{os.pathsep}{os.environ['PATH']}"
    _run([os.environ["BUF"], "generate", str(PROTOS), "--template", "buf.gen.yaml", "-o", "."], folder, PATH=path)
    # What go.mod and go.sum say is what is built; a toolchain download would be another build than the one asked for.
    go = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    _run([os.environ["GO"], "build", "-o", "consumer", "."], folder, **go)
    _run([os.environ["GO"], "vet", "."], folder, **go)
    return [str(folder / "consumer")]


def _run(command: list[str], folder: pathlib.Path, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS_MAX,
    )
    assert done.returncode == 0, f"`{' '.join(command[:4])}` failed: {done.stdout}{done.stderr}"
