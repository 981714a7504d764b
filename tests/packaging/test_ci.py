"""The CI script runs what the README tells its readers to run."""

import os
import re
import select
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "run"


def test_it_is_a_valid_script() -> None:
    done = subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "set -euo pipefail" in SCRIPT.read_text("utf-8")


@pytest.mark.parametrize("name", ["QUICKSTART", "TEST"])
def test_its_commands_stand_in_the_readme(name: str) -> None:
    found = re.search(rf'^readonly {name}="(.+)"$', SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert found
    assert found[1] in (ROOT / "README.md").read_text("utf-8")


# What the script calls, as far as it gets here: a wheel takes for ever, and meanwhile the first lane fails.
STUBS = {
    "python3": """for last; do :; done
case "$*" in *"-m venv "*) mkdir -p "$last/bin" && cp "$STUBS/pip" "$last/bin/pip" ;; esac""",
    "pip": """case "$1" in wheel) touch "$STUBS/began" && exec sleep 60 ;; esac
until [ -e "$STUBS/began" ]; do sleep 0.02; done
exit 7""",
    "sudo": "",
    "apt-get": "",
    "node": "",
    "npm": "",
}


def test_a_failure_ends_what_goes_on_beside(tmp_path: Path) -> None:
    stubs, work = tmp_path / "stubs", tmp_path / "work"
    stubs.mkdir()
    work.mkdir()
    for name, text in STUBS.items():
        (stubs / name).write_text(f"#!/bin/sh\n{text}\n")
        (stubs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}", "STUBS": str(stubs), "TMPDIR": str(work)}
    # Every process that the script starts holds one end, for as long as it lives.
    alive, held = os.pipe()
    done = subprocess.run(
        ["bash", SCRIPT],
        env=environment,
        pass_fds=[held],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,  # without a terminal
        check=False,
    )
    os.close(held)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "CI FAILED in the step: pip install -e '.[dev]' && pytest (status 7)" in done.stderr
    assert select.select([alive], [], [], 10)[0], "something goes on"
    os.close(alive)
    assert list(work.iterdir()) == []
