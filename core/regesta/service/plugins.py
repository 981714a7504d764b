"""What plugins bring to the service: resources, routers, documents, and their part of the lifespan."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from beanie import Document
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from regesta.audit import AuditTrail
from regesta.errors import ConfigurationError, PluginError, ProblemError
from regesta.hooks import Hooks
from regesta.inheritance import union_of
from regesta.operations import Registry
from regesta.resource import Resource
from regesta.service.ownership import check_collections, check_scopes

logger = logging.getLogger("regesta.service")

SHUTDOWN = 5.0  # seconds that each plugin gets


def load_hooks(only: Iterable[str] | None = None) -> Hooks:
    """The audit trail, then the installed plugins: `only` these, in this order. Raises PluginError."""
    return Hooks.load(AuditTrail(), only=only)


def resources_by_plugin(hooks: Hooks) -> dict[str, list[Resource[Any]]]:
    """The resources that each plugin registers.

    Raises PluginError, naming both plugins, where two resources have one name.
    """
    found: dict[str, list[Resource[Any]]] = {}
    owners: dict[str, str] = {}
    for plugin, answer in hooks.collect("register_resources"):
        for resource in _listed(plugin, "register_resources", answer, Resource):
            owner = owners.setdefault(resource.name, plugin)
            if resource.name in {known.name for known in found.get(owner, ())}:
                who = f"plugin {plugin!r} twice" if owner == plugin else f"plugins {owner!r} and {plugin!r}"
                raise PluginError(f"the resource {resource.name!r} is registered by {who}: rename one")
            found.setdefault(plugin, []).append(resource)
    return found


def resources(hooks: Hooks) -> list[Resource[Any]]:
    """Every resource of the plugins, in their order, each of them allowed in the service. Raises PluginError."""
    found = resources_by_plugin(hooks)
    check_collections(found, hooks)
    check_scopes(found)
    return [resource for one in found.values() for resource in one]


def routers(hooks: Hooks, registry: Registry) -> list[APIRouter]:
    """The routers that plugins bring beyond the generated ones. Raises PluginError."""
    answers = hooks.collect("register_routers", registry=registry)
    return [router for plugin, answer in answers for router in _listed(plugin, "register_routers", answer, APIRouter)]


def applications(hooks: Hooks, registry: Registry, taken: str) -> dict[str, ASGIApp]:
    """The applications that plugins mount, by path. Raises PluginError, also for a path above or below `taken`."""
    found: dict[str, ASGIApp] = {}
    for plugin, answer in hooks.collect("register_applications", registry=registry):
        if not isinstance(answer, Mapping) or not all(callable(one) for one in answer.values()):
            raise PluginError(f"plugin {plugin!r}: register_applications must answer a mapping, not {answer!r:.100}")
        for path, application in answer.items():
            if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or _overlap(path, taken):
                raise PluginError(f"plugin {plugin!r}: nothing can be mounted at {path!r}")
            if path in found:
                raise PluginError(f"plugin {plugin!r}: another plugin is mounted at {path!r}")
            found[path] = application
    return found


def _overlap(path: str, other: str) -> bool:
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def documents(resources: Iterable[Resource[Any]], hooks: Hooks | None = None) -> list[type[Document]]:
    """What Beanie must know, each class once: of resources and their parents, of plugins, and their unions."""
    found: list[type[Document]] = []
    for resource in resources:
        above: Resource[Any] | None = resource
        while above is not None:
            found += _with_union(above.document)
            above = above.parent.resource if above.parent else None
    for _, kept in hooks.kept if hooks else ():
        found += [] if isinstance(kept, str) else _with_union(kept)
    return list(dict.fromkeys(found))


def owner_of(hooks: Hooks, document: type[Document]) -> str:
    """The plugin that brings a document class; "" if that is none."""
    for plugin, found in resources_by_plugin(hooks).items():
        if document in documents(found):
            return plugin
    return next((plugin for plugin, kept in hooks.kept if kept is document), "")


def _with_union(document: type[Document]) -> list[type[Document]]:
    union = union_of(document)
    return [document] if union is None else [union, document]


@asynccontextmanager
async def started(hooks: Hooks, app: FastAPI) -> AsyncIterator[None]:
    """Call `startup` of each plugin, and on leaving `shutdown` in the opposite order.

    Raises PluginError for a failing `startup`, or the ConfigurationError that it raises with the plugin's name, after
    those that had started were shut down. A `shutdown` that fails or hangs is logged.
    """
    async with AsyncExitStack() as stack:
        for name, plugin in hooks:
            # By itself: one plugin's failure must not keep the others from their shutdown.
            alone = Hooks()
            alone.add(plugin, name=name)
            try:
                await alone.call("startup", app=app)
            except ProblemError as error:
                raise PluginError(f"{error}: {error.__cause__ or error.detail}") from error
            except PluginError:
                raise
            except ConfigurationError as error:
                raise ConfigurationError(f"plugin {name!r}: {error}") from error
            stack.push_async_callback(_shut_down, alone, name, app)
        yield


async def _shut_down(alone: Hooks, name: str, app: FastAPI) -> None:
    try:
        async with asyncio.timeout(SHUTDOWN):
            await alone.call("shutdown", app=app)
    except Exception:
        logger.exception("plugin %s did not shut down", name)


def _listed(plugin: str, hook: str, answer: Any, kind: Callable[..., Any]) -> list[Any]:
    name = getattr(kind, "__name__", "")
    if not isinstance(answer, list | tuple) or not all(isinstance(one, kind) for one in answer):  # type: ignore[arg-type]
        raise PluginError(f"plugin {plugin!r}: {hook} must answer a list of {name}, not {answer!r:.100}")
    return list(answer)
