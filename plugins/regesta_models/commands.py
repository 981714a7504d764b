"""`regesta models export | import | sweep`."""

import asyncio
import getpass
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from regesta import Actor, Caller, Registry
from regesta.errors import ConfigurationError
from regesta.service import Settings, one_line_errors, open_registry
from regesta.workspaces import DEFAULT, PATTERN
from regesta_models.artifacts import Artifacts
from regesta_models.bundle_exports import Exporter
from regesta_models.bundle_imports import Imported, Importer
from regesta_models.bundles import Bundle
from regesta_models.sweeps import sweep

R = TypeVar("R")

cli = typer.Typer(help="The model registry: bundles, and what is left of uploads.", no_args_is_help=True)

Store = Annotated[
    str | None,
    typer.Option(help="memory://, local, local:DIRECTORY, mongodb://... (REGESTA_STORE)", show_default="local"),
]
Database = Annotated[str | None, typer.Option(help="Its name (REGESTA_DATABASE)", show_default="regesta")]
Workspace = Annotated[str, typer.Option(help="The workspace of the model.")]


@cli.command("export")
def export_(
    model: Annotated[str, typer.Argument(metavar="NAME[@ALIAS|/NUMBER]", help="All versions, or one of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    store: Store = None,
    database: Database = None,
    workspace: Workspace = DEFAULT,
) -> None:
    """Write a model with its versions, files, digests and history into one file. Prints the digest of all of it."""
    caller = _caller(workspace)

    async def work(registry: Registry) -> None:
        done = await Exporter(registry, Artifacts(registry), caller).export(model, output)
        numbers = ", ".join(map(str, done.numbers)) or "none"
        typer.echo(f"{done.model}: versions {numbers}; {done.size} bytes of files")
        typer.echo(done.digest)

    _run(work, store, database, existing=True)


@cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    digest: Annotated[str | None, typer.Option(help="What `export` printed: the bundle must be that one.")] = None,
    store: Store = None,
    database: Database = None,
    workspace: Workspace = DEFAULT,
) -> None:
    """Take in what a bundle has and this registry lacks. Every digest is checked first; nothing is overwritten."""
    caller = _caller(workspace)

    async def work(registry: Registry) -> None:
        bundle = Bundle(file)
        try:
            if digest not in (None, f"sha256:{bundle.digest}"):
                raise ConfigurationError(f"the bundle is another one: sha256:{bundle.digest}")
            done = await Importer(registry, Artifacts(registry), caller).read(bundle)
        finally:
            bundle.close()
        for line in _told(done):
            typer.echo(line)

    _run(work, store, database)


@cli.command("sweep")
def sweep_(store: Store = None, database: Database = None) -> None:
    """Delete the bytes of interrupted uploads, and those that no version has any more, after an hour."""

    async def work(registry: Registry) -> None:
        done = await sweep(registry, Artifacts(registry).blobs)
        typer.echo(f"swept {done.count} uploads and contents, {done.size} bytes")
        if done.failed:
            raise ConfigurationError(f"{done.failed} could not be swept: the log says why")

    _run(work, store, database, existing=True)


def _run(
    work: Callable[[Registry], Awaitable[None]], store: str | None, database: str | None, *, existing: bool = False
) -> None:
    async def opened() -> None:
        async with open_registry(Settings.load(store=store, database=database), existing=existing) as registry:
            await work(registry)

    with one_line_errors():
        asyncio.run(opened())


def _caller(workspace: str) -> Caller:
    if not re.fullmatch(PATTERN, workspace):
        raise typer.BadParameter(f"{workspace!r} is no name of a workspace")
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container need not know
        name = "unknown"
    return Caller(Actor(name, "command"), "", {"workspace": workspace})


def _told(done: Imported) -> list[str]:
    lines = [f"{done.model}: {'is new' if done.new_model else 'is there'}"]
    for number, here in done.numbers.items():
        moved = "" if here == number else f" as version {here}"
        lines.append(f"version {number}: {'is new' if here in done.created else 'is there'}{moved}")
    lines += [f"card of {of}: is new" for of in done.cards]
    lines += [f"alias {alias}: is new" for alias in done.aliases]
    lines += [f"alias {alias}: is left: {why}" for alias, why in done.left.items()]
    return lines if done.changed else [*lines, "nothing changed"]
