"""Every hook. The docstrings are the reference.

A plugin is an object, a class instance or a module with functions that carry `@hookimpl` and one of these
names. A hook may take fewer arguments than are offered, and all but the start-up ones may be `async`. A
hook whose `change` argument is annotated `Change[Book]` is called for books only.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from regesta.change import Access, AuditEvent, Change, HistoryRequest

if TYPE_CHECKING:
    import typer
    from beanie import Document
    from fastapi import APIRouter, FastAPI
    from starlette.types import ASGIApp

    from regesta.operations import Registry
    from regesta.resource import Resource

PROJECT = "regesta"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_resources() -> "list[Resource[Any]]":  # type: ignore[empty-body]
    """Start-up: the resources that the plugin brings. A name that another one uses stops start-up."""


@hookspec
def register_collections() -> "list[type[Document] | str]":  # type: ignore[empty-body]
    """Start-up: what the plugin keeps beside the documents of its resources. No other plugin may use it.

    Document classes, which the service gives to `init_beanie`, and the names of collections that are used without one.
    """


@hookspec
def register_routers(registry: "Registry") -> "list[APIRouter]":  # type: ignore[empty-body]
    """Start-up: routers beyond the generated ones, mounted beside them.

    `registry` reads and writes every resource with the same checks, hooks and audit as the generated routes.
    """


@hookspec
def register_applications(registry: "Registry") -> "Mapping[str, ASGIApp]":  # type: ignore[empty-body]
    """Start-up: ASGI applications, each under the path it is mounted at (`/api/2.0/mlflow`).

    For other protocols than ours, with routes and errors of their own. A mounted application has no lifespan: use
    `startup` and `shutdown`. Two plugins that name one path stop start-up. What the service refuses before a request
    reaches the application is answered by its method `answer_error(error: ProblemError, path: str) -> Response`, if it
    has one, else as a problem.
    """


@hookspec
def register_commands(cli: "typer.Typer") -> None:
    """Start-up of the command line: add commands to `regesta`."""


@hookspec
def startup(app: "FastAPI") -> None:
    """Lifespan: the store is open, nothing is served yet. A failure stops start-up."""


@hookspec
def shutdown(app: "FastAPI") -> None:
    """Lifespan: nothing is served any more, the store is still open. A failure is logged."""


@hookspec
def prepare_change(change: Change[Any]) -> None:
    """Before validation: fill or change `change.after`. A failure refuses the write."""


@hookspec
def validate_change(change: Change[Any]) -> None:
    """Judge a deep copy of the change. All implementations run; raise Invalid, Conflict or Forbidden.

    Every Invalid is reported in one 422. Any failure refuses the write.
    """


@hookspec
def record_change(change: Change[Any], session: Any) -> None:
    """Inside the transaction, after the store: write what must stand or fall with the change.

    `session` is None where the store has no transactions. A failure undoes the write: 503. Of a batch it is
    called for one change after the other; where that is too slow, implement `record_changes`.
    """


@hookspec
def record_changes(changes: Sequence[Change[Any]], session: Any) -> None:
    """As `record_change`, with all changes that are written together, in their order: one for a single write.

    For plugins that write once for many. A plugin implements one of the two.
    """


@hookspec
def audit_event(event: AuditEvent) -> None:
    """After commit: observe. A failure is logged and counted, and breaks no response.

    So is one that takes longer than the resource's timeout: it is cancelled. No response waits longer than that.
    """


@hookspec
def read_history(request: HistoryRequest) -> Sequence[AuditEvent]:  # type: ignore[empty-body]
    """A history is asked for: answer the events that the plugin keeps, those of `request` only and in its order.

    Resources offer histories where a plugin implements it; of several, the first one is asked. Events must be as
    `record_change` had them: nothing else tells whose they are (`scope`, `parent`), or what secret is.
    """


@hookspec
def authorize(request: Access) -> None:
    """Before anything is read: raise Unauthenticated or Forbidden to refuse."""


@hookspec
def scope_query(request: Access) -> Mapping[str, Any] | None:
    """Before anything is read: field values that every document of this request must have.

    They are ANDed to the resource's own scope. Two hooks that disagree on a field refuse the request.
    """
