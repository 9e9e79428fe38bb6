"""The blocks of a document: commands in `bash`, the lines that they print in the `text` block right below."""

from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass

FENCED = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# Stands for whatever differs from run to run.
ANYTHING = "…"


@dataclass(frozen=True)
class Block:
    """A fenced block, with the language that it bears."""

    language: str
    text: str


def blocks(document: pathlib.Path) -> list[Block]:
    return [Block(match["language"], match["text"]) for match in FENCED.finditer(document.read_text())]


def commands(document: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Every `bash` block with the lines that it is said to print; none where nothing is said."""
    all_blocks = blocks(document)
    following = [*all_blocks[1:], Block("", "")]
    return [
        (block.text, after.text.splitlines() if after.language == "text" else [])
        for block, after in zip(all_blocks, following)
        if block.language == "bash"
    ]


def lacking(said: list[str], printed: str) -> list[str]:
    """The lines that are said to be printed and are not, looked for in their order."""
    lines = iter(printed.splitlines())
    return [line for line in said if not any(_fits(line, other) for other in lines)]


def _fits(said: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in said.strip().split(ANYTHING))
    return re.fullmatch(pattern, printed.strip()) is not None
