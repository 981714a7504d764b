"""The routes of MLflow's protocol, beside `mlflow server` with its default database; one worker each."""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode, urlsplit

import httpx

from tests.eventually import eventually
from tests.mlflow.environments import SERVER, mlflow_server, python_with

from .checks import BenchmarkError
from .load import Job, Sample
from .servers import Server, load

API = "/api/2.0/mlflow"
MODELS = 100
NAMES = [f"bench-{number:03d}" for number in range(MODELS)]
TAGS = [{"key": "team", "value": "vision"}, {"key": "stage", "value": "canary"}]
VERSION = f'{{"name": "{{key}}", "source": "s3://bucket/models/x", "run_id": "{"0" * 32}", "description": "One more"}}'
# As the client sends it.
OF_MODELS = "name LIKE 'bench%' AND tag.`mlflow.prompt.is_prompt` != 'true'"


@dataclass(frozen=True)
class Measured:
    """One kind of request, and how many times faster it is to be."""

    title: str
    verb: str
    path: str
    wanted: float
    body: str = ""
    least: int = 100  # bytes of an answer


WORKLOADS = (
    Measured("get version", "GET", "/model-versions/get?name={key}&version=1", 10),
    Measured("get by alias", "GET", "/registered-models/alias?name={key}&alias=champion", 10),
    Measured(
        "search of 100 models",
        "GET",
        "/registered-models/search?" + urlencode({"filter": OF_MODELS, "max_results": MODELS}),
        8,
        least=10_000,
    ),
    Measured(
        "search of 100 versions",
        "GET",
        "/model-versions/search?" + urlencode({"filter": "name LIKE 'bench%'", "max_results": MODELS}),
        8,
        least=10_000,
    ),
    Measured("create version", "POST", "/model-versions/create", 5, VERSION),
)


def measure(uri: str, database: str, *, rounds: int, connections: int, seconds: float) -> Iterator[str]:
    """The table: requests per second of both, the middle of all rounds, and the ratio."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        theirs = stack.enter_context(mlflow_server(python_with(SERVER, folder), folder / "server"))
        servers = {SERVER: _at(theirs), "regesta": stack.enter_context(_regesta(uri, database, folder))}
        for server in servers.values():
            _seed(f"http://127.0.0.1:{server.port}{API}")
        yield f"{connections} connections, {rounds} rounds of {seconds} s, one worker each"
        yield ""
        yield f"{'':24}{SERVER:>16}{'regesta':>12}{'ratio':>9}{'wanted':>9}"
        for workload in WORKLOADS:
            rates = defaultdict(list)
            for _ in range(rounds):
                for name, server in servers.items():
                    rates[name].append(_run(workload, server, connections, seconds).rate)
            one, other = median(rates[SERVER]), median(rates["regesta"])
            yield f"{workload.title:24}{one:14.0f}/s{other:10.0f}/s{other / one:8.1f}x{workload.wanted:8.0f}x"


def _run(workload: Measured, server: Server, connections: int, seconds: float) -> Sample:
    sample = load(
        Job(
            port=server.port,
            method=workload.verb,
            path=API + workload.path,
            body=workload.body,
            keys=NAMES,
            new_keys="",
            status=200,
            min_bytes=workload.least,
            max_bytes=10**7,
            connections=connections,
            warm_up=min(1.0, seconds / 4),
            seconds=seconds,
        ),
        server,
    )
    if sample.errors:
        raise BenchmarkError(f"{workload.title}: {sample.errors} errors, the first: {sample.first_error}")
    return sample


def _seed(root: str) -> None:
    with httpx.Client(timeout=60) as client:
        for name in NAMES:
            model, version = (
                {"name": name, "tags": TAGS},
                {"name": name, "source": "s3://bucket/models/x", "tags": TAGS},
            )
            alias = {"name": name, "alias": "champion", "version": "1"}
            client.post(f"{root}/registered-models/create", json=model).raise_for_status()
            client.post(f"{root}/model-versions/create", json=version).raise_for_status()
            client.post(f"{root}/registered-models/alias", json=alias).raise_for_status()


@contextmanager
def _regesta(uri: str, database: str, folder: Path) -> Iterator[Server]:
    """`regesta serve`, all of it: the audit trail, request ids, a line of log for each request."""
    command = [sys.executable, "-m", "regesta", "serve", "--port", "0", "--store", uri]
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "REGESTA_DATABASE": database, "PYTHONPATH": path, "REGESTA_LOG_FORMAT": "json"}
    log = folder / "regesta.log"
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            yield Server(eventually(lambda: _port_in(log), within=60), process.pid)
        finally:
            process.terminate()


def _port_in(log: Path) -> int:
    _, found, rest = log.read_text().partition("serving http://127.0.0.1:")
    return int(rest.partition(" ")[0]) if found else 0


def _at(address: str) -> Server:
    return Server(urlsplit(address).port or 0, 0)
