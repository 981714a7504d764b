"""openapi-python-client makes a client of all that the service's OpenAPI says, and the client works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PACKAGE = "regesta_client"
# No content type of imports is known to the generator; the page tells to say this.
CONFIG = '{"content_type_overrides": {"application/x-ndjson": "application/octet-stream"}}'
PAGE = HERE.parents[1] / "docs" / "clients.md"

# The generator's own file, the same for every OpenAPI: `__exit__(*args: object)` hands them on to httpx.
MYPY = f"""
[mypy]
strict = True
cache_dir = .mypy_cache
[mypy-{PACKAGE}.client]
disable_error_code = arg-type
"""


@pytest.fixture
def client(service_address: str, tmp_path: Path) -> Path:
    """The folder of the package that is generated as the documentation tells."""
    (tmp_path / "config.json").write_text(CONFIG)
    options = f"--config config.json --meta none --output-path {PACKAGE}"
    assert CONFIG in PAGE.read_text("utf-8")
    assert options in PAGE.read_text("utf-8")
    command = ["-m", "openapi_python_client", "generate", "--url", f"{service_address}/openapi.json"]
    done = run(tmp_path, *command, *options.split())
    # It writes no bodies of text, so it leaves out what puts a card.
    assert re.findall(r"Unsupported content type (\S+)", done) == ["text/markdown"] * 2, done
    assert done.count("WARNING") == 2, done
    return tmp_path


def test_the_generated_client_does_a_round_on_the_service(client: Path, service_address: str) -> None:
    program = client / "round.py"
    program.write_text((HERE / "round.py").read_text("utf-8"), "utf-8")
    (client / "mypy.ini").write_text(MYPY)
    run(client, "-m", "mypy", "--config-file=mypy.ini", PACKAGE, "round.py")
    assert run(client, "round.py", service_address).endswith("done\n")


def test_the_names_of_models_are_short(service_address: str) -> None:
    names = httpx.get(f"{service_address}/openapi.json").json()["components"]["schemas"]
    assert [name for name in names if not name.isalnum()] == []


def run(folder: Path, *arguments: str) -> str:
    """What a program of this Python says; it must succeed."""
    # The generator calls ruff by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": "", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
