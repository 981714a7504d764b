"""pyproject.toml and its neighbours agree with each other."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from regesta_command import SERVICE_MODULES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "pyproject.toml").read_text("utf-8")
PROJECT = tomllib.loads(TEXT)["project"]

# `dev` is left out: a test runner or a type checker needs no reason.
SHIPPED = {
    "dependencies": PROJECT["dependencies"],
    **{name: found for name, found in PROJECT["optional-dependencies"].items() if name != "dev"},
}


def is_explained(requirement: str, text: str) -> bool:
    """Whether a comment stands behind the requirement, or on the line above it."""
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if f'"{requirement}"' in line)
    behind = lines[at].rpartition('"')[2]
    return bool(re.search(r"#\s*\S", behind)) or lines[at - 1].lstrip().startswith("#")


@pytest.mark.parametrize(
    "requirement",
    [found for group in SHIPPED.values() for found in group if not found.startswith("regesta[")],
)
def test_every_shipped_dependency_is_explained(requirement: str) -> None:
    assert is_explained(requirement, TEXT)


def imported(source: str) -> Iterator[str]:
    """The top-level names of the packages that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (found.name.partition(".")[0] for found in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def canonical(distribution: str) -> str:
    """The name of a distribution as the packaging specification normalizes it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_package_that_is_imported_is_named() -> None:
    modules = [path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py")]
    names = {name for path in modules for name in imported(path.read_text("utf-8"))} - sys.stdlib_module_names
    ours = {"regesta", "regesta_command", "regesta_models", "regesta_mlflow"}
    required = {canonical(re.split(r"[^\w.-]", found)[0]) for group in SHIPPED.values() for found in group}
    # BSON is of PyMongo, `yaml` of PyYAML: so by distribution, not by name.
    known = packages_distributions()
    unnamed = {name for name in names - ours if required.isdisjoint(map(canonical, known.get(name, [name])))}
    # Part of what is named: Pydantic's core is pinned by it, httptools and uvloop are in uvicorn[standard], the mock
    # in its Motor.
    assert unnamed <= {"pydantic_core", "httptools", "uvloop", "mongomock", "motor"}, "rests on what others need"


def test_a_bare_dependency_is_noticed() -> None:
    assert not is_explained("left-pad>=1", 'dependencies = [\n  "left-pad>=1",\n]\n')


def test_the_extra_all_is_every_extra_but_the_other_lane() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    named = set(re.findall(r"[\w-]+", everything.partition("[")[2]))
    assert named == set(PROJECT["optional-dependencies"]) - {"all", "dev", "motor"}


def test_the_command_line_knows_what_the_extra_service_brings() -> None:
    required = PROJECT["optional-dependencies"]["service"]
    names = {re.split(r"[^\w-]", requirement)[0].replace("-", "_") for requirement in required}
    assert names == SERVICE_MODULES


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"\n## [{PROJECT['version']}]" in changelog
