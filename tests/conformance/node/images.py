"""Images without a registry: programs of this machine with what they load, at the same paths, as one layer."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator

# Named so, containerd looks for them at no registry that there is.
REGISTRY = "docker.io/local"
# Of the standard library, what no program in a pod wants.
SPARED = {"test", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "site-packages"}
# Of the AWS CLI, what its help shows.
EXAMPLES = "examples"
# What the image with Python is for; what these need comes with them.
DISTRIBUTIONS = ("boto3", "awscli")


def reference(name: str) -> str:
    return f"{REGISTRY}/{name}:test"


def of_program(program: pathlib.Path, folder: pathlib.Path, name: str, *words: str) -> pathlib.Path:
    """An image with one program as /program, which is always given these words; without the symbols for debuggers, which are
    most of it."""
    stripped = folder / f"{name}.stripped"
    subprocess.run(["strip", "-o", str(stripped), str(program)], check=True)
    layer = Layer()
    layer.file(pathlib.Path("/program"), stripped)
    layer.libraries([stripped])
    return write(folder / f"{name}.tar", name, layer, {"Entrypoint": ["/program", *words]})


def of_pause(folder: pathlib.Path) -> pathlib.Path:
    """What holds a pod's namespaces: a program that does nothing."""
    layer = Layer()
    sleep = pathlib.Path(subprocess.check_output(["which", "sleep"], text=True).strip())
    layer.program(sleep)
    return write(folder / "pause.tar", "pause", layer, {"Entrypoint": [str(sleep), "infinity"]})


def of_python() -> pathlib.Path:
    """The Python that runs the tests, with boto3 and the AWS CLI. It is made once and kept under a name that says what is in it."""
    distributions = sorted(closure(DISTRIBUTIONS), key=lambda found: found.name)
    said = [sys.version, sys.prefix, pathlib.Path(__file__).read_text()]
    said += [f"{found.name} {found.version}" for found in distributions]
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
    kept = pathlib.Path(os.environ["LANYARD_TEST_CACHE"]) / "images" / f"python-{digest[:16]}.tar"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    layer = Layer()
    interpreter = pathlib.Path(sys.executable).resolve()
    layer.program(interpreter)
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    layer.tree(library)
    venv = pathlib.Path(sys.prefix)
    layer.file(venv / "pyvenv.cfg", venv / "pyvenv.cfg")
    for found in distributions:
        for file in found.files or ():
            path = pathlib.Path(os.path.normpath(found.locate_file(file)))
            if path.is_file() and EXAMPLES not in path.parts:
                layer.file(path, path)
    for name in (venv / "bin" / "python", pathlib.Path("/bin/python")):
        layer.link(name, interpreter if name.is_relative_to(venv) else venv / "bin" / "python")
    layer.folder(pathlib.Path("/tmp"), 0o1777)
    environment = {"PATH": f"{venv}/bin:/bin", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    config = {"Env": [f"{name}={value}" for name, value in environment.items()]}
    # Named after this process, so that two runs at once do not write into one file; renamed when it is whole.
    half = kept.with_suffix(f".{os.getpid()}")
    write(half, "python", layer, config)
    half.rename(kept)
    return kept


def closure(names: Iterable[str]) -> set[importlib.metadata.Distribution]:
    """Distributions with all that they need, without extras."""
    found: dict[str, importlib.metadata.Distribution] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name.lower() in found:
            continue
        distribution = importlib.metadata.distribution(name)
        found[name.lower()] = distribution
        wanted = [line for line in distribution.requires or () if "extra ==" not in line]
        for line in wanted:
            requirement = re.match(r"[A-Za-z0-9._-]+", line)[0]
            try:
                importlib.metadata.distribution(requirement)
            except importlib.metadata.PackageNotFoundError:
                continue  # For another Python or system than this one.
            left.append(requirement)
    return set(found.values())


class Layer:
    """Files of an image, each once, with the folders above them."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")
        self._there: set[pathlib.Path] = {pathlib.Path("/")}

    def folder(self, path: pathlib.Path, mode: int = 0o755) -> None:
        if path in self._there:
            return
        self.folder(path.parent)
        member = self._member(path)
        member.type, member.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(member)

    def file(self, path: pathlib.Path, source: pathlib.Path) -> None:
        if path in self._there:
            return
        self.folder(path.parent)
        member = self._member(path)
        status = source.stat()
        # What Python has compiled counts while the time of its source is what it was.
        member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o777
        with source.open("rb") as file:
            self._tar.addfile(member, file)

    def link(self, path: pathlib.Path, target: pathlib.Path) -> None:
        self.folder(path.parent)
        member = self._member(path)
        member.type, member.linkname = tarfile.SYMTYPE, str(target)
        self._tar.addfile(member)

    def program(self, path: pathlib.Path) -> None:
        self.file(path, path)
        self.libraries([path])

    def tree(self, top: pathlib.Path) -> None:
        """A library of Python's, and what its compiled modules load."""
        modules = []
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name not in SPARED and not name.startswith("config-")]
            paths = [pathlib.Path(folder) / name for name in files if ".opt-" not in name]
            for path in paths:
                self.file(path, path)
            modules += [path for path in paths if path.suffix == ".so"]
        self.libraries(modules)

    def libraries(self, programs: list[pathlib.Path]) -> None:
        for path in loaded(programs):
            self.file(path, path)

    def bytes(self) -> bytes:
        self._tar.close()
        return self._bytes.getvalue()

    def _member(self, path: pathlib.Path) -> tarfile.TarInfo:
        self._there.add(path)
        return tarfile.TarInfo(str(path).lstrip("/"))


def loaded(programs: list[pathlib.Path]) -> Iterator[pathlib.Path]:
    """The shared libraries of programs and modules, and the loader. One that is static has none, which ldd takes for a failure."""
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True).stdout
    for line in said.splitlines():
        found = re.match(r"\s+(?:\S+ => )?(/\S+) \(0x", line)
        if found:
            yield pathlib.Path(found[1])


def write(path: pathlib.Path, name: str, layer: Layer, config: dict) -> pathlib.Path:
    """An image as `docker save` writes it, which containerd imports."""
    data = layer.bytes()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    image = {"architecture": machine, "os": "linux", "config": config}
    image["rootfs"] = {"type": "layers", "diff_ids": [digest]}
    manifest = [{"Config": "config.json", "RepoTags": [reference(name)], "Layers": ["layer.tar.gz"]}]
    members = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(image).encode(),
        "layer.tar.gz": gzip.compress(data, compresslevel=1, mtime=0),
    }
    with tarfile.open(path, "w") as tar:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path
