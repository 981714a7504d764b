"""On whose behalf a request runs: its actor, its request id, its scope."""

import inspect
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Depends
from starlette.requests import Request

from regesta.change import Access, Actor, Caller
from regesta.declarations import READS, Operation
from regesta.errors import DeclarationError
from regesta.hooks import merge_scopes
from regesta.http.headers import check_path
from regesta.operations import Operations, bounded
from regesta.resource import Resource

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")
STATE = "regesta_request_id"
ACTOR = "regesta_actor"
ANYBODY = Caller()


class Callers:
    """Builds the caller of each request to one resource, and asks the hooks that may refuse it."""

    def __init__(self, operations: Operations[Any]) -> None:
        self._resource = operations.resource
        self._unscoped = operations.resource.inherited_scope is None
        self._scopes = operations.addresses.scopes
        hooks = operations.hooks
        self._asked = hooks if hooks.has("authorize") or hooks.has("scope_query") else None

    @property
    def asks(self) -> bool:
        """Whether the caller depends on what is asked for."""
        return self._asked is not None

    async def of(
        self, request: Request, operation: Operation | str, scope: Any, actor: Any, key: str | None = None
    ) -> Caller:
        """The caller. Raises what `authorize` or `scope_query` raise."""
        if self._unscoped and self._asked is None and actor is None and operation in READS:
            # Nobody will ask who it was.
            request.scope[ACTOR] = ANYBODY.actor.subject
            return ANYBODY
        own = scope_of(self._resource, scope)
        if self._asked is None:
            own = self._scopes.read(own)
        caller = Caller(actor_of(request, actor), request_id_of(request), own)
        request.scope[ACTOR] = caller.actor.subject
        if self._asked is None:
            return caller
        async with bounded(self._resource.timeout):
            further = await self._asked.scope(Access(self._resource.name, operation, key, caller))
        return Caller(caller.actor, caller.request_id, self._scopes.read(merge_scopes(own, further)))


def caller_of(operations: Operations[Any], operation: str, *, slashes_after: str = "") -> Callable[..., Any]:
    """A FastAPI dependency for routes of your own: the Caller by the resource's scope, actor and hooks.

    `operation` is the name that `authorize` hooks are told. Paths are refused as generated routes refuse them; where
    yours ends in a parameter of several segments, `slashes_after` is what stands in front of it, as for `check_path`.
    The dependency raises Malformed, NotFound, and what the hooks raise.
    """
    callers = Callers(operations)

    async def dependency(request: Request, scope: Any = None, actor: Any = None) -> Caller:
        check_path(request, slashes_after=slashes_after)
        return await callers.of(request, operation, scope, actor)

    return with_dependencies(dependency, operations.resource)


def with_dependencies(
    endpoint: Callable[..., Any], resource: Resource[Any], *further: inspect.Parameter
) -> Callable[..., Any]:
    """`endpoint` with a signature that lets FastAPI resolve the resource's `scope` and `actor`."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request), *further]
    for name, dependency in (("scope", resource.inherited_scope), ("actor", resource.actor)):
        if dependency is not None:
            parameters.append(inspect.Parameter(name, keyword, default=Depends(dependency), annotation=Any))

    async def resolved(request: Request, scope: Any = None, actor: Any = None, **_: Any) -> Any:
        return await endpoint(request, scope=scope, actor=actor)

    resolved.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    resolved.__name__ = getattr(endpoint, "__name__", "endpoint")
    resolved.__doc__ = endpoint.__doc__
    resolved.direct = endpoint  # type: ignore[attr-defined] # what to call where there is nothing to resolve
    return resolved


def scope_of(resource: Resource[Any], answered: Any) -> Mapping[str, Any]:
    """What the scope dependency answered. Raises DeclarationError where it is no mapping."""
    if answered is None and resource.inherited_scope is None:
        return {}
    if not isinstance(answered, Mapping):
        raise DeclarationError(f"the scope of {resource.name!r} must answer a mapping, not {type(answered).__name__}")
    return answered


def actor_of(request: Request, answered: Any) -> Actor:
    """Who asks: what the actor dependency answered, else anonymous at the peer's address."""
    if isinstance(answered, Actor):
        return answered
    client = request.scope.get("client")
    address = client[0] if client else None
    if answered is None:
        return Actor(address=address)
    return Actor(str(answered), "dependency", address)


def request_id_of(request: Request) -> str:
    """The request's id: as a middleware or the client gave it, where it is harmless, else a new one."""
    known: str | None = request.scope.get(STATE)
    if known is None:
        sent = request.headers.get("x-request-id", "")
        known = request.scope[STATE] = request_id_from(sent)
    return known


def request_id_from(sent: str) -> str:
    """What the client sent, where it is harmless, else 32 random hexadecimal digits."""
    return sent if sent and REQUEST_ID.match(sent) else secrets.token_hex(16)
