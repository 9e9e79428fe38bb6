"""What must never be read in a log, a file or a message: collected as it is made, looked for at the end."""

from __future__ import annotations

import base64
import pathlib
import re
import subprocess
import tempfile
from urllib.parse import parse_qs, urlsplit

# Shorter ones stand in texts by chance.
LETTERS_MIN = 12
TOKEN_PREFIX = "k8s-aws-v1."
# From here on grep looks for all of them in one pass.
LARGE_BYTES = 4 << 20


class Secrets:
    """The secrets of one run, each with a name that may be printed."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        # Every way to write one, and its name: made once, for each command's output is looked through.
        self._forms: dict[bytes, str] = {}

    def add(self, name: str, value: str) -> str:
        """Remembers a secret, and of a token also the parts that would serve a thief."""
        if len(value) >= LETTERS_MIN:
            self._remember(value, name)
        if value.startswith(TOKEN_PREFIX):
            self._parts_of_token(name, value.removeprefix(TOKEN_PREFIX))
        return value

    def _parts_of_token(self, name: str, encoded: str) -> None:
        self._remember(encoded, f"{name}, without its prefix")
        try:
            url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except ValueError:
            return  # A token spoilt on purpose has no parts.
        for key, values in parse_qs(urlsplit(url).query).items():
            if key in ("X-Amz-Signature", "X-Amz-Security-Token") and len(values[0]) >= LETTERS_MIN:
                self._remember(values[0], f"{key} of {name}")

    def _remember(self, value: str, name: str) -> None:
        if value in self._names:
            return
        self._names[value] = name
        raw = value.encode()
        for form in (raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1]):
            self._forms.setdefault(form, name)

    def __len__(self) -> int:
        return len(self._names)

    def seen_in(self, text: str | bytes, but_for: frozenset[str] = frozenset()) -> list[str]:
        """The names of the secrets that stand in the text, as they are or as hex or base64 would have them."""
        data = text.encode() if isinstance(text, str) else text
        forms = {form: name for form, name in tuple(self._forms.items()) if name not in but_for}
        if len(data) < LARGE_BYTES:
            return sorted({name for form, name in forms.items() if form in data})
        return sorted({forms[form] for form in _found(list(forms), data)})

    def seen_below(self, folder: pathlib.Path, but_for: dict[str, frozenset[str]]) -> dict[str, list[str]]:
        """File by file; `but_for` says which file may hold which secret."""
        seen = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                found = self.seen_in(
                    path.read_bytes(), but_for.get(str(path.relative_to(folder)), frozenset())
                )
                if found:
                    seen[str(path.relative_to(folder))] = found
        return seen


def _found(forms: list[bytes], data: bytes) -> set[bytes]:
    """Those that stand in much data: what takes one pass for each in Python takes one for all in grep. Of two that overlap it
    may tell one."""
    # What has lines is no pattern of grep's.
    found = {form for form in forms if b"\n" in form and form in data}
    patterns = b"".join(form + b"\n" for form in forms if b"\n" not in form)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = ["grep", "--text", "--only-matching", "--no-filename", "--fixed-strings", "--file=-", file.name]
        done = subprocess.run(command, input=patterns, stdout=subprocess.PIPE, env={"LC_ALL": "C"}, timeout=600)
    assert done.returncode in (0, 1), "grep could not look for secrets"
    return found | set(done.stdout.splitlines())


def one_line(text: str) -> str:
    """A message as a test compares it: blanks folded."""
    return re.sub(r"\s+", " ", text).strip()
