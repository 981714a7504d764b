"""Each call of an unmodified MLflow client is answered by Regesta as by `mlflow server`; both run here."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.mlflow.comparison import ON_PURPOSE, differences
from tests.mlflow.environments import CLIENTS, SERVER, mlflow_server, needs_mlflow, python_with, run_in

RECORDER = Path(__file__).parent / "recorder" / "record.py"
# Requests that are not the client's own are the same for all of them.
PARTS = {SERVER: ("models", "searches", "prompts", "webhooks", "wire")}
OF_OLDER = ("models", "searches", "prompts")
FEWEST = {SERVER: 690}


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where those of all workers are made, unless elsewhere."""
    return tmp_path_factory.getbasetemp().parent / "mlflow"


@pytest.fixture(scope="module")
def mlflow_address(environments: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's own server; the recorder empties it."""
    with mlflow_server(python_with(SERVER, environments), tmp_path_factory.mktemp("mlflow-server")) as address:
        yield address


@needs_mlflow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_what_it_gets_from_an_mlflow_server(
    *,
    client: str,
    service_address: str,
    mlflow_address: str,
    environments: Path,
    tmp_path: Path,
    record_property: Callable[[str, Any], None],
) -> None:
    python, parts = python_with(client, environments), PARTS.get(client, OF_OLDER)
    theirs = recorded(python, mlflow_address, tmp_path / "theirs.json", *parts)
    ours = recorded(python, service_address, tmp_path / "ours.json", *parts)
    assert len(theirs) > FEWEST.get(client, 400)
    called = {entry["call"] for entry in theirs}
    allowed = [one for one in ON_PURPOSE if any(one.is_about(call) for call in called)]
    assert list(differences(theirs, ours, allowed)) == []
    reasons = "\n".join(f"  {one.calls}: {one.reason}" for one in allowed)
    record_property("summary", f"{client}: {len(theirs)} calls compared; on purpose another answer to\n{reasons}")


def recorded(python: Path, address: str, file: Path, *parts: str) -> list[dict[str, Any]]:
    """What the registry at an address answers to the client of this Python."""
    run_in(python, file.parent, str(RECORDER), address, str(file), *parts)
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found
