"""`create_app`: every plugin's resources and routers in one FastAPI application."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from typing import Any

from beanie import Document
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp

from regesta.errors import PluginError, ProblemError
from regesta.hooks import Hooks
from regesta.http import registry_router
from regesta.operations import Registry
from regesta.service import plugins
from regesta.service.browsers import BrowserMiddleware
from regesta.service.documentation import documentation_router
from regesta.service.health import Readiness, health_router
from regesta.service.hosts import AllowedHosts
from regesta.service.indexes import bind
from regesta.service.openapi import API, Service
from regesta.service.problems import add_problem_handlers, routes_of
from regesta.service.proxies import Proxies
from regesta.service.requests import RequestMiddleware
from regesta.service.settings import Settings
from regesta.store import open_store

_DESCRIPTION = """\
A registry on MongoDB. Every resource offers the same operations, filters, conditional requests and errors.

Errors are `application/problem+json` (RFC 9457). Each answer carries the `X-Request-Id` under which the
service's log and the audit trail know the request."""


def create_app(settings: Settings | None = None, *, hooks: Hooks | None = None) -> FastAPI:
    """The service as an ASGI application.

    `settings` come from the environment unless given, `hooks` are the audit trail and the installed plugins
    unless given. All routes are there at once, without a server; the store is opened in the lifespan. The
    application's state holds `settings`, `registry` and, while it runs, `store`.

    Raises ConfigurationError (PluginError, DeclarationError) where something is set up wrongly; entering
    the lifespan raises it where the store cannot be used.
    """
    settings = Settings.load() if settings is None else settings
    hooks = plugins.load_hooks(settings.plugins) if hooks is None else hooks
    resources = plugins.resources(hooks)
    registry = Registry(resources, hooks)
    readiness = Readiness()
    app = Service(
        title="Regesta",
        version=metadata.version("regesta"),
        summary="A registry on MongoDB",
        description=_DESCRIPTION,
        servers=[{"url": "/", "description": "This server"}],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan(settings, hooks, plugins.documents(resources, hooks), readiness),
        redirect_slashes=False,  # a redirect would be built from the Host header, which is the client's
        docs_url=None,  # FastAPI's pages load their scripts from the internet
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.registry = registry
    add_problem_handlers(app)
    mounted = plugins.applications(hooks, registry, API)
    _mount(app, hooks, registry, readiness, mounted)
    proxies = Proxies(settings.trusted_proxies)
    app.add_middleware(
        BrowserMiddleware,
        hosts=AllowedHosts.of(settings.host, settings.allowed_hosts),
        proxies=proxies,
        errors={path: answer for path, one in mounted.items() if (answer := getattr(one, "answer_error", None))},
    )
    # Added last, it is the outermost: what is refused has an id and a line in the log too.
    app.add_middleware(RequestMiddleware, proxies=proxies)
    return app


@asynccontextmanager
async def open_registry(settings: Settings | None = None, *, existing: bool = False) -> AsyncIterator[Registry]:
    """The registry of the service on its store, for commands: with every hook and the audit trail, without HTTP.

    Nobody is asked who may do what (`authorize`, `scope_query`): who runs commands has the store's address. A command
    that only reads wants an `existing` local store. Problems that are raised within get a note of which store it was.
    Raises ConfigurationError where something is set up wrongly or the store cannot be used.
    """
    settings = Settings.load() if settings is None else settings
    hooks = plugins.load_hooks(settings.plugins)
    resources = plugins.resources(hooks)
    registry = Registry(resources, hooks)
    async with open_store(settings.store, database=settings.database, existing=existing) as store:
        await bind(store.database, plugins.documents(resources, hooks), partial(plugins.owner_of, hooks))
        try:
            yield registry
        except ProblemError as error:
            error.add_note(f"the store is {store.url_without_credentials}")
            raise


def _mount(
    app: FastAPI, hooks: Hooks, registry: Registry, readiness: Readiness, mounted: Mapping[str, ASGIApp]
) -> None:
    app.add_api_route("/", _to_documentation, methods=["GET", "HEAD"], include_in_schema=False)
    app.include_router(documentation_router())
    app.include_router(health_router(readiness))
    # They share no path with what follows, and are found sooner so.
    for path, application in mounted.items():
        app.mount(path, application)
    # What a plugin writes out wins over what is generated: `/models/{model}` would take `/models/search` for a key.
    for router in plugins.routers(hooks, registry):
        app.include_router(router, prefix=API)
    app.include_router(registry_router(registry), prefix=API)
    _check_operation_ids(app)


async def _to_documentation(request: Request) -> RedirectResponse:
    """Where whoever opens the service in a browser wants to be."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


def _check_operation_ids(app: FastAPI) -> None:
    """Clients are generated from operationIds: FastAPI only warns of two that are equal."""
    known: dict[str, str] = {}
    for route in routes_of(app):
        name = getattr(route, "unique_id", None) if getattr(route, "include_in_schema", False) else None
        if name and known.setdefault(name, route.path) != route.path:
            raise PluginError(
                f"two routes have the operationId {name!r}: {known[name]} and {route.path}; `regesta plugins` tells "
                "whose resources these are: give one of them another `singular=` or `operation_ids=`, or a route of "
                "your own an `operation_id=`"
            )


def _lifespan(settings: Settings, hooks: Hooks, documents: Sequence[type[Document]], readiness: Readiness) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_store(settings.store, database=settings.database) as store:
            await bind(store.database, documents, partial(plugins.owner_of, hooks))
            app.state.store = store
            async with plugins.started(hooks, app):
                readiness.begin(store.database)
                try:
                    yield
                finally:
                    readiness.end()

    return lifespan
