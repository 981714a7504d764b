"""The console script where the extra `service` is not installed, wholly or in part."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from regesta_command import SERVICE_MODULES, main

ROOT = Path(__file__).parents[2]

# `None` in sys.modules makes the import fail as it does where the package is not installed.
WITHOUT = """
import runpy, sys
sys.modules[{module!r}] = None
sys.argv = ["regesta", *{arguments!r}]
runpy.run_module("regesta", run_name="__main__", alter_sys=True)
"""


def run_without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(module=module, arguments=arguments)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [(), ("serve",), ("--help",)])
def test_without_typer_it_says_what_to_install(arguments: tuple[str, ...]) -> None:
    done = run_without("typer", *arguments)
    assert done.stderr == "regesta: the service needs more packages: pip install 'regesta[service]'\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_a_missing_module_of_ours_is_not_hidden() -> None:
    done = run_without("regesta.cli")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("module", ["regesta", "beanie", "regesta.service"])
def test_ctrl_c_while_it_is_loaded_ends_it_quietly(module: str) -> None:
    program = """
import importlib.abc, runpy, signal, sys
class Interrupted(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "regesta.service":
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # `pytest &` inherits a SIGINT that is ignored
sys.meta_path.insert(0, Interrupted())
from regesta_command import main
main()
"""
    program = program.replace("regesta.service", module)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_import_regesta_needs_nothing_of_the_service() -> None:
    blocked = dict.fromkeys(SERVICE_MODULES)
    program = f"import sys; sys.modules.update({blocked!r}); import regesta, regesta_command"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_is_this_function() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert EntryPoint("regesta", scripts["regesta"], "console_scripts").load() is main
