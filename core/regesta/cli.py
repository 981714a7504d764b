"""The command line: `regesta serve | plugins | version`, and what plugins add."""

import logging
import os
from importlib import metadata
from ipaddress import ip_address
from typing import Annotated, Any

import orjson
import typer

from regesta.hooks import ENTRY_POINT_GROUP
from regesta.service import Settings, create_app, one_line_errors
from regesta.service.commands import PluginCommands
from regesta.service.logs import configure_logging
from regesta.service.memory import without_collection
from regesta.service.plugins import load_hooks, resources_by_plugin
from regesta.service.server import run_server
from regesta.service.settings import unknown_variables

logger = logging.getLogger("regesta.service")

app = typer.Typer(
    name="regesta",
    help="A registry framework on MongoDB.",
    cls=PluginCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, and with them secrets
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regesta {metadata.version('regesta')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What is asked for before any command."""


@app.command()
def serve(  # noqa: PLR0917  # typer calls it by keyword
    store: Annotated[
        str | None,
        typer.Option(help="memory://, local, local:DIRECTORY, mongodb://... (REGESTA_STORE)", show_default="local"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen (REGESTA_HOST)", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="0: any free one (REGESTA_PORT)", show_default="8000")] = None,
    database: Annotated[str | None, typer.Option(help="Its name (REGESTA_DATABASE)", show_default="regesta")] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated; only these, in this order (REGESTA_PLUGINS)", show_default="all"),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="auto, json, console (REGESTA_LOG_FORMAT)", show_default="auto")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning, error (REGESTA_LOG_LEVEL)", show_default="info")
    ] = None,
) -> None:
    """Serve every plugin's resources. Ctrl-C ends it: running requests are finished first."""
    with one_line_errors():
        settings = Settings.load(
            store=store,
            host=host,
            port=port,
            database=database,
            plugins=plugin or None,
            log_format=log_format,
            log_level=log_level,
        )
        configure_logging(settings.log_format, settings.log_level)
        _warn_of_misspelt_settings()
        with without_collection():
            service = create_app(settings)
        _warn_if_open(settings.host)
        run_server(service, settings, lambda url: _announce(url, service.state.store.url_without_credentials))
        logger.info("stopped")


@app.command()
def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the plugins: version, hooks, resources. Connects to nothing."""
    with one_line_errors():
        hooks = load_hooks(Settings.load().plugins)
        resources = resources_by_plugin(hooks)
    found = [
        {
            "name": name,
            "version": hooks.version(name),
            "hooks": list(hooks.implemented_by(name)),
            "resources": [resource.name for resource in resources.get(name, ())],
        }
        for name, _ in hooks
    ]
    typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2) if as_json else _table(found))


@app.command()
def version() -> None:
    """Print the version."""
    _print_version(wanted=True)


def _announce(url: str, store: str) -> None:
    logger.info("serving %s (docs at %s/docs), store %s; Ctrl-C stops it", url, url, store)


def _warn_of_misspelt_settings() -> None:
    for variable, near in unknown_variables(os.environ, metadata.entry_points(group=ENTRY_POINT_GROUP).names).items():
        logger.warning("%s is no setting, and ignored%s", variable, f": is it {near}?" if near else "")


def _warn_if_open(host: str) -> None:
    try:
        closed = ip_address(host).is_loopback
    except ValueError:
        closed = host == "localhost"
    if not closed:
        logger.warning("listening on %s: there is no authentication yet, so whoever reaches it may do anything", host)


def _table(rows: list[dict[str, Any]]) -> str:
    columns = ("name", "version", "resources", "hooks")
    cells = [[column.upper() for column in columns]]
    cells += [[_cell(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else value) or "-"
