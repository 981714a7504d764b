"""Commands that plugins add to `regesta`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from regesta.errors import ConfigurationError, ProblemError
from regesta.service.plugins import load_hooks
from regesta.service.settings import Settings


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Print what is wrong (ConfigurationError, ProblemError), with its notes, in one line, and exit with 1."""
    try:
        yield
    except (ConfigurationError, ProblemError) as error:
        typer.echo("; ".join([f"regesta: {error}", *getattr(error, "__notes__", ())]), err=True)
        raise typer.Exit(1) from None


class PluginCommands(TyperGroup):
    """Our commands, and those of plugins, which are imported only where one of them or the list is asked for.

    So a plugin that is broken does not break `regesta version`. Our own commands win over a plugin's of the same
    name.
    """

    # `Any`: typer brought click along under its own name, older ones use the package.
    _added: dict[str, Any] | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        """All names; those of plugins are left out, with a word why, where a plugin cannot be loaded."""
        own = super().list_commands(ctx)
        try:
            return own + sorted(self._of_plugins().keys() - set(own))
        except ConfigurationError as error:
            typer.echo(f"regesta: {error}", err=True)
            return own

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        try:
            return self._of_plugins().get(cmd_name)
        except ConfigurationError as error:
            typer.echo(f"regesta: {error}", err=True)
            raise typer.Exit(1) from None

    def _of_plugins(self) -> dict[str, Any]:
        if self._added is None:
            added = typer.Typer()
            load_hooks(Settings.load().plugins).collect("register_commands", cli=added)
            self._added = dict(typer.main.get_group(added).commands)
        return self._added
