"""Every hook is documented, and no hook is that does not exist."""

import re
from pathlib import Path

import pluggy

from regesta import hookspecs

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()


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
