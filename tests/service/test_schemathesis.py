"""Property tests of the service's own OpenAPI, with every check that there is, on a real mongod."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serving import service_address

__all__ = ["service_address"]

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "")


@pytest.mark.skipif(
    not EXAMPLES, reason="takes minutes: run it with SCHEMATHESIS_EXAMPLES=5, or as many as there is time for"
)
def test_the_service_keeps_to_its_openapi(service_address: str, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{service_address}/openapi.json",
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        "--no-color",
    ]
    root = HERE.parents[1]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.service.schemathesis_hooks", "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
