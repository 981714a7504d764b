"""pyproject.toml and its neighbours agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest

from regesta.__main__ import SERVICE_MODULES

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
