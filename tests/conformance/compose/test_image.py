"""The Dockerfile, as far as it can be tried without the toolchain's own image and the minutes of a `dist` build."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

CONTEXT = "lanyard-test-context"
# Cold, some of what the program is built of has to be looked through for the first time.
CHECK_SECONDS_MAX = 600


def test_what_the_image_copies_is_all_that_the_program_is_built_from(docker):
    """With the features that the program is shipped with, too: other tests run it as it was built for tests."""
    target = pathlib.Path(os.environ["CARGO_TARGET_DIR"])
    # Always the same folder, so that cargo knows again what has not changed.
    source = target / "image-context"
    shutil.rmtree(source, ignore_errors=True)
    docker.build_image(CONTEXT, "--target=build")
    container = docker.run("create", CONTEXT, "true").strip()
    docker.run("cp", f"{container}:/src", str(source))
    docker.run("rm", container)
    # What a build has made in the image lies beside what it was made from.
    shutil.rmtree(source / "target")
    check = [os.environ["CARGO"], "check", "--locked", "--offline", "--package", "lanyard"]
    done = subprocess.run(check, cwd=source, capture_output=True, text=True, timeout=CHECK_SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_no_key_database_or_history_of_the_folder_is_copied(docker):
    listed = docker.run("run", "--rm", "--network=none", CONTEXT, "find", "/src", "-not", "-path", "/src/target/*")
    assert "/src/Cargo.lock" in listed.split()
    names = [pathlib.Path(name) for name in listed.split()]
    assert not [name for name in names if ".git" in name.parts or name.suffix in (".key", ".db")]
