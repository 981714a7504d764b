"""The CI script runs what the README tells its readers to run."""

import re
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
