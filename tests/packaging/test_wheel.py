"""What a user gets from `pip install regesta`."""

import configparser
import tomllib
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with ZipFile(built) as opened:
        yield opened


@pytest.fixture(scope="module")
def dist_info() -> str:
    return f"regesta-{PROJECT['version']}.dist-info"


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile, dist_info: str) -> Message:
    return HeaderParser().parsestr(wheel.read(f"{dist_info}/METADATA").decode())


def packages(folder: str) -> set[str]:
    return {path.parent.name for path in ROOT.glob(f"{folder}/*/__init__.py")}


def test_the_framework_and_every_plugin_are_in_it_with_their_types(wheel: ZipFile) -> None:
    expected = packages("core") | packages("plugins")
    assert {"regesta", "regesta_models"} <= expected
    assert {f"{package}/py.typed" for package in expected} <= set(wheel.namelist())


def test_nothing_else_is_in_it(wheel: ZipFile, dist_info: str) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert top == packages("core") | packages("plugins") | {"regesta_command.py", dist_info}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")]


def test_the_documentation_page_is_in_it_with_its_licences(wheel: ZipFile, dist_info: str) -> None:
    folder = ROOT / "core" / "regesta" / "service" / "swagger_ui"
    files = {f"regesta/service/swagger_ui/{path.name}" for path in folder.iterdir()}
    licences = {f"{dist_info}/licenses/{path.relative_to(ROOT)}" for path in folder.glob("*LICENSE*")}
    assert len(licences) == 2
    assert files | licences <= set(wheel.namelist())


def test_every_module_is_in_it(wheel: ZipFile) -> None:
    modules = {
        str(PurePosixPath(path.relative_to(ROOT / folder)))
        for folder in ("core", "plugins")
        for path in (ROOT / folder).glob("**/*.py")
    }
    assert modules <= set(wheel.namelist())


def test_the_licence_is_in_it(wheel: ZipFile, dist_info: str) -> None:
    assert wheel.read(f"{dist_info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_its_entry_points_are_modules_of_it(wheel: ZipFile, dist_info: str) -> None:
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"{dist_info}/entry_points.txt").decode())
    assert entries["console_scripts"]["regesta"] == "regesta_command:main"
    assert entries["regesta"]["models"].partition(":")[0].startswith("regesta_models")
    inside = set(wheel.namelist())
    for reference in (*entries["console_scripts"].values(), *entries["regesta"].values()):
        path = reference.partition(":")[0].replace(".", "/")
        assert inside & {f"{path}.py", f"{path}/__init__.py"}, reference


def test_its_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "regesta"
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_its_extras(metadata: Message) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    assert {"all", "dev", "local", "memory", "motor", "service"} <= extras


def test_the_bare_install_has_no_service_and_no_motor(metadata: Message) -> None:
    bare = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert bare
    assert not [line for line in bare if line.startswith(("motor", "structlog", "typer", "uvicorn"))]
