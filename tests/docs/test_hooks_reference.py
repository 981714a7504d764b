"""Every hook and all that plugins import is documented, and nothing is that does not exist."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pluggy

import regesta
from regesta import hookspecs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()


def specified() -> set[str]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return {name for name in vars(manager.hook) if not name.startswith("_")}


def test_the_table_of_hooks_is_complete() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)\(", row)} == specified()


def test_every_hook_says_when_it_runs_and_what_a_failure_does() -> None:
    for name in specified():
        said = getattr(hookspecs, name).__doc__ or ""
        assert len(said) > 40, name


def importable() -> Iterator[tuple[str, str]]:
    """The modules and names of the table of what a plugin may import."""
    module = ""
    for line in PAGE.partition("| from | what | for |")[2].splitlines():
        if line.startswith("| "):
            first, names, _ = (cell.strip() for cell in line.strip("|").split("|"))
            module = first.strip("`") or module
            yield from ((module, name) for name in re.findall(r"`(\w+)`", names))


def test_what_a_plugin_may_import_is_public() -> None:
    for module, name in importable():
        offered = importlib.import_module(module)
        assert name in getattr(offered, "__all__", vars(offered)), f"{module}.{name}"


def test_bundled_plugins_import_what_any_plugin_may() -> None:
    documented = {*importable(), *(("regesta", name) for name in regesta.__all__)}
    for file in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "regesta":
                imported = {(str(node.module), name.name) for name in node.names}
                assert node.module == "regesta.errors" or imported <= documented, f"{file}: {imported - documented}"
