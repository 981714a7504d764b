"""`regesta plugins`, `regesta version`, and commands of plugins."""

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regesta import Hooks
from regesta.cli import app

from .processes import install_shelf, regesta


@pytest.fixture(autouse=True)
def shelf_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_shelf(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("REGESTA_PLUGINS", "shelf")
    monkeypatch.setenv("REGESTA_STORE", "mongodb://nowhere.invalid")  # nobody asks it


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout, done.stderr


def test_plugins_are_listed_in_a_table() -> None:
    status, text, _ = run("plugins")

    rows = [line.split() for line in text.splitlines()]
    assert status == 0
    assert rows[0] == ["NAME", "VERSION", "RESOURCES", "HOOKS"]
    assert rows[1][:3] == ["audit-trail", "-", "audit-events"]
    assert rows[2] == ["shelf", "1.2.3", "books", "register_commands,", "register_resources"]


def test_plugins_are_listed_as_json() -> None:
    status, text, _ = run("plugins", "--json")

    assert status == 0
    assert json.loads(text)[1] == {
        "name": "shelf",
        "version": "1.2.3",
        "hooks": ["register_commands", "register_resources"],
        "resources": ["books"],
    }


def test_version() -> None:
    for asked in ("version", "--version"):
        assert run(asked)[:2] == (0, f"regesta {metadata.version('regesta')}\n")


def test_help_tells_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # each option on one line
    shown = run("serve", "--help")[1]

    for option, default in {"store": "local", "port": "8000", "database": "regesta", "plugin": "all"}.items():
        (line,) = (line for line in shown.splitlines() if f"--{option} " in line)
        assert f"({default})" in line


def test_plugins_add_commands() -> None:
    assert run("shelves")[:2] == (0, "one shelf\n")
    assert "Count the shelves" in run("--help")[1]


def test_an_unknown_command_is_refused() -> None:
    assert run("nonsense")[0] == 2


def test_a_plugin_that_is_missing_breaks_only_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_PLUGINS", "nowhere")

    assert run("version")[0] == 0
    for command in ("plugins", "shelves"):
        status, _, error = run(command)
        assert (status, error.splitlines()) == (
            1,
            [f"regesta: plugin 'nowhere' is not installed; installed: {installed()}"],
        )
    status, text, error = run("--help")
    assert status == 0
    assert "serve" in text
    assert "'nowhere' is not installed" in error


def test_a_wrong_setting_of_a_plugin_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_PLUGINS", "models,mlflow")
    monkeypatch.setenv("REGESTA_MLFLOW_LOCAL_SOURCES", "maybe")

    status, _, error = run("plugins")
    (line,) = error.splitlines()
    assert status == 1
    assert line.startswith("regesta: plugin 'mlflow' ")
    assert line.endswith("the setting REGESTA_MLFLOW_LOCAL_SOURCES: must be true or false")


def installed() -> str:
    found = sorted(point.name for point in metadata.entry_points(group="regesta"))
    return ", ".join(found)


def test_as_a_process_too(tmp_path: Path) -> None:
    done = regesta(tmp_path, "plugins", "--json")

    assert done.returncode == 0, done.stderr
    assert [plugin["name"] for plugin in json.loads(done.stdout)] == ["audit-trail", "shelf"]


def test_hooks_load_without_a_server() -> None:
    assert [name for name, _ in Hooks.load(only=["shelf"])] == ["shelf"]
