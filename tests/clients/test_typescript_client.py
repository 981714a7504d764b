"""openapi-typescript makes types of the service's OpenAPI, which `tsc --strict` takes, and a typed client works."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typescript"
PAGE = HERE.parents[2] / "docs" / "clients.md"
GENERATE = "openapi-typescript http://127.0.0.1:8000/openapi.json --output api.d.ts --default-non-nullable false"

missing = [name for name in ("node", "npm") if shutil.which(name) is None]


# The project's own check sets the variable: there, nothing may be skipped.
@pytest.mark.skipif(
    bool(missing) and "REGESTA_REQUIRE_NODE" not in os.environ, reason=f"not installed: {' and '.join(missing)}"
)
def test_the_generated_types_compile_and_a_client_does_a_round_on_the_service(
    service_address: str, tmp_path: Path
) -> None:
    folder = tmp_path / "client"
    shutil.copytree(HERE, folder)
    run(folder, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
    assert GENERATE in PAGE.read_text("utf-8")
    program, *arguments = GENERATE.replace("http://127.0.0.1:8000", service_address).split()
    run(folder, f"node_modules/.bin/{program}", *arguments)
    run(folder, "node_modules/.bin/tsc")
    assert run(folder, "node", "built/round.js", service_address) == "done\n"


def test_the_page_names_the_packages_that_are_tested() -> None:
    packages = json.loads((HERE / "package.json").read_text("utf-8"))
    for name in (*packages["dependencies"], *packages["devDependencies"]):
        assert name in PAGE.read_text("utf-8")


def run(folder: Path, *command: str) -> str:
    """What a program says; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
