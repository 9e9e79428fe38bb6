"""What must never be read in a log, a file or a message: collected as it is made, looked for at the end."""

from __future__ import annotations

import base64
import pathlib
import re
from urllib.parse import parse_qs, urlsplit

# Shorter ones stand in texts by chance.
LETTERS_MIN = 12
TOKEN_PREFIX = "k8s-aws-v1."


class Secrets:
    """The secrets of one run, each with a name that may be printed."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, name: str, value: str) -> str:
        """Remembers a secret, and of a token also the parts that would serve a thief."""
        if len(value) >= LETTERS_MIN:
            self._names.setdefault(value, name)
        if value.startswith(TOKEN_PREFIX):
            self._parts_of_token(name, value.removeprefix(TOKEN_PREFIX))
        return value

    def _parts_of_token(self, name: str, encoded: str) -> None:
        self._names.setdefault(encoded, f"{name}, without its prefix")
        try:
            url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except ValueError:
            return  # A token spoilt on purpose has no parts.
        for key, values in parse_qs(urlsplit(url).query).items():
            if key in ("X-Amz-Signature", "X-Amz-Security-Token") and len(values[0]) >= LETTERS_MIN:
                self._names.setdefault(values[0], f"{key} of {name}")

    def __len__(self) -> int:
        return len(self._names)

    def seen_in(self, text: str | bytes, but_for: frozenset[str] = frozenset()) -> list[str]:
        """The names of the secrets that stand in the text, as they are or as hex or base64 would have them."""
        data = text.encode() if isinstance(text, str) else text
        return sorted(
            {name for value, name in tuple(self._names.items()) if name not in but_for and _in(value, data)}
        )

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


def _in(value: str, data: bytes) -> bool:
    raw = value.encode()
    return raw in data or raw.hex().encode() in data or base64.b64encode(raw).rstrip(b"=")[:-1] in data


def one_line(text: str) -> str:
    """A message as a test compares it: blanks folded."""
    return re.sub(r"\s+", " ", text).strip()
