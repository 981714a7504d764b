"""The example with scikit-learn, run by the MLflow that everybody can install."""

from pathlib import Path

import httpx
import pytest
from tests.mlflow.environments import SERVER, needs_mlflow, python_with, run_in

PROGRAM = Path(__file__).parents[2] / "examples" / "mlflow_sklearn.py"


@needs_mlflow
@pytest.mark.timeout(900)
def test_a_model_is_registered_and_loaded_by_alias(
    service_address: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = python_with(SERVER, tmp_path_factory.getbasetemp().parent / "mlflow")
    for number in (1, 2):
        said = run_in(python, tmp_path, str(PROGRAM), service_address)
        assert f"registered iris version {number} at {service_address}" in said
        assert "models:/iris@champion predicts" in said
    assert httpx.get(f"{service_address}/api/v1/models/iris/aliases").json() == {"champion": 2}
