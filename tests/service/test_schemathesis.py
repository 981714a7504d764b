"""Property tests of the service's own OpenAPI, with every check that there is, on a real mongod.

A check of everything takes longer: `SCHEMATHESIS_EXAMPLES=50 pytest -n 0 tests/service/test_schemathesis.py`, with as
many examples for each operation as there is time for, tries every parameter of every list too, and
`SCHEMATHESIS_SEED=2` other examples.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "")
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
# Only a guard against a run that hangs: the work is bounded by examples, and a busy machine needs many times longer.
SECONDS = 0 if EXAMPLES else 3600  # 0: no guard

pytestmark = [
    pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed"),
    pytest.mark.timeout(SECONDS + 60 if SECONDS else 0),
]

# The parameters of lists are tried one by one, a thousand requests for each list, and batches with all that any write
# takes, for which bodies are made for minutes; a replacement takes what a creation does. That is for the longer check.
FUZZED_ONLY = """
[[operations]]
include-operation-id-regex = "^(list|facets|batch|replace)_"
phases.coverage.enabled = false
"""


def test_the_service_keeps_to_its_openapi(
    service_address: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    configuration = tmp_path / "schemathesis.toml"
    told = (HERE / "schemathesis.toml").read_text("utf-8")
    configuration.write_text(told if EXAMPLES else told + FUZZED_ONLY, "utf-8")
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        f"--config-file={configuration}",
        "run",
        f"{service_address}/openapi.json",
        "--checks=all",
        f"--max-examples={EXAMPLES or 3}",
        f"--seed={SEED}",
        "--no-color",
    ]
    root = HERE.parents[1]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.service.schemathesis_hooks", "PYTHONPATH": str(root)}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS or None,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    record_property("summary", done.stdout[done.stdout.rindex("API Operations:") :])
