"""Virtual environments with MLflow in them, and its server: MLflow is no dependency of Regesta, nor of its tests."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.serving import answers, free_port

# Where they are kept. With the second one they are made wherever pytest keeps its folders: nothing is skipped then.
CACHE, REQUIRED = "REGESTA_MLFLOW_CACHE", "REGESTA_REQUIRE_MLFLOW"
SERVER = "mlflow==3.17.2"
CLIENTS = (SERVER, "mlflow-skinny==3.6.0", "mlflow-skinny==2.22.5")
MINUTES = 10 * 60.0  # an installation, in seconds
READY = "ready"

needs_mlflow = pytest.mark.skipif(
    CACHE not in os.environ and REQUIRED not in os.environ,
    reason=f"set {CACHE} to a folder in which virtual environments with MLflow may be made",
)

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # an answer of 500 is compared, not repeated
    "PYTHONWARNINGS": "ignore",
}


def python_with(requirement: str, folder: Path) -> Path:
    """The Python of an environment with this package, made where it is not there yet. `folder`: shared by processes."""
    cache = Path(os.environ.get(CACHE, folder))
    home = cache / requirement.replace("==", "-")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / READY).exists():
            _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(home))
            pip = (sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"))
            # Most of these modules are never imported: those that are will be compiled then.
            _run(*pip, "install", "--quiet", "--no-compile", requirement)
            (home / READY).touch()
    return home / "bin" / "python"


@contextmanager
def mlflow_server(python: Path, folder: Path) -> Iterator[str]:
    """The address of `mlflow server` with its default database and one worker."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    folder.mkdir(exist_ok=True)
    environment = {
        **_plain_environment(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "0",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [str(python.parent / "mlflow"), "server", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        eventually(lambda: answers(f"{address}/health"), within=120)
        yield address
    finally:
        _end(process)


def run_in(python: Path, folder: Path, *arguments: str) -> str:
    """What a program says; it must succeed."""
    return _run(str(python), *arguments, folder=folder)


def _plain_environment() -> dict[str, str]:
    """Nothing of ours: not the path, not the settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW", "REGESTA"))}
    return {**kept, **QUIET}


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=_plain_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MINUTES,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It has children, which are in its session."""
    for number in (15, 9):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    process.wait(10)
