"""The plugin of the examples, installed as `pip install -e` would: found by its metadata, not by its place."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "examples" / "dataset_plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Python finds the package and what its pyproject.toml says of it."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    site = tmp_path_factory.mktemp("site")
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    about = f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(about, "utf-8")
    points = [
        line
        for group, found in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in found.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(points), "utf-8")
    path = os.pathsep.join([str(site), str(PLUGIN)])
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def test_its_own_tests_pass(installed: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(PLUGIN), "-q", "-p", "no:cacheprovider", "--rootdir", str(PLUGIN)],
        env=installed,
        cwd=PLUGIN,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_it_stands_beside_the_models(installed: dict[str, str]) -> None:
    """Loaded by its entry point, without a word about it anywhere else."""
    program = """
from regesta import Hooks
hooks = Hooks.load(only=["models", "datasets"])
print([resource.name for _, found in hooks.collect("register_resources") for resource in found])
print(hooks.version("datasets"), *hooks.implemented_by("datasets"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=installed, capture_output=True, text=True, timeout=60, check=True
    )
    resources, hooks = done.stdout.splitlines()
    assert resources.startswith("['models', 'versions', ")
    assert resources.endswith(", 'datasets']")
    assert hooks == "0.1.0 audit_event register_resources validate_change"
