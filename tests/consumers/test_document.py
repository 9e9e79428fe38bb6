"""`docs/grpc.md`: what it shows is what is tested, and what it tells to type works and prints what it says."""

from __future__ import annotations

import os
import pathlib
import subprocess

import document

HERE = pathlib.Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs/grpc.md"
SESSION_SECONDS_MAX = 240
# The document's own addresses, and the variable in which the test has the real ones.
ADDRESSES = {
    "hub=127.0.0.1:8444": "hub=$TEST_HUB",
    "ca=~/.local/share/lanyard/pki/root.crt": "ca=$TEST_CA",
    "data=~/.local/share/lanyard": "data=$TEST_DATA",
}
END_OF_BLOCK = "=== end of block ==="


def test_the_helpers_that_the_document_shows_are_those_that_the_consumers_use():
    shown = {block.language: block.text for block in document.blocks(DOCUMENT)}
    assert shown["python"] == (HERE / "python/signing.py").read_text()
    assert shown["go"] == (HERE / "go/signing/signing.go").read_text()


def test_what_the_document_tells_to_type_works_and_prints_what_it_says(hub, operator, tmp_path):
    blocks = document.commands(DOCUMENT)
    assert len(blocks) >= 8, "the document's blocks are not found any more"
    assert sum(bool(said) for _, said in blocks) >= 6, "it hardly says what they print any more"
    script = "".join(f"{text}\necho '{END_OF_BLOCK}'\n" for text, _ in blocks)
    for shown, real in ADDRESSES.items():
        assert script.count(shown) == 1, f"`{shown}` is not in the document any more"
        script = script.replace(shown, real)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, variable in (("lanyard", "LANYARD_BIN"), ("grpcurl", "GRPCURL")):
        (programs / name).symlink_to(os.environ[variable])
    environment = operator.credentials.environment() | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANYARD_READY_FILE": str(hub.ready_file),
        "TEST_HUB": hub.ready["grpc"].removeprefix("https://"),
        "TEST_CA": hub.ca,
        "TEST_DATA": str(hub.data),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"exec 2>&1\n{script}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SESSION_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stdout
    printed = done.stdout.split(END_OF_BLOCK)
    for (text, said), lines in zip(blocks, printed):
        missing = document.lacking(said, lines)
        assert not missing, f"{text}does not print {missing}, but {lines}"
    assert not hub.secrets.seen_in(done.stdout)


def test_a_line_fits_what_was_said_of_it_and_no_more():
    printed = '{\n  "hubId": "8c0c",\n  "version": "0.1.0"\n}'
    assert document.lacking(['"hubId": "…",', '"version": "0.1.0"'], printed) == []
    assert document.lacking(['"version": "0.1.0"', '"hubId": "…",'], printed) == ['"hubId": "…",'], "in their order"
    assert document.lacking(['"hubId"'], printed) == ['"hubId"'], "whole lines"
