"""Paths with an alias in place of a key, and `Content-Location`: the path that names the same document for good."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from regesta.change import Caller
from regesta.operations import Operations, levels, resolve_keys

# What a path may have unescaped (RFC 3986, 3.3), besides letters and digits; and what a query may.
IN_PATHS = "/:@!$&'()*+,;=~"
IN_QUERIES = f"{IN_PATHS}?%"
PATH = "regesta_path_of_keys"


async def resolve_path_keys(
    request: Request, operations: Operations[Any], caller: Caller, keys: Sequence[str]
) -> tuple[str, ...]:
    """As `resolve_keys`, for the keys in a request's path; if one was an alias, the answer has Content-Location.

    `keys` are those of `operations`' parents and its own, as they were sent. Use it for reads only: a write that names
    an alias could change another document than was meant. Raises NotFound, Unavailable.
    """
    found = await resolve_keys(operations, caller, keys)
    if found != tuple(keys):
        request.scope[PATH] = _replaced(request.scope["path"], operations, keys, found)
    return found


def path_of(request: Request) -> str:
    """The path of a request, percent-encoded, with keys in place of aliases that were resolved."""
    path: str = request.scope.get(PATH) or request.scope["path"]
    return quote(path, safe=IN_PATHS)


def content_location(request: Request) -> Mapping[str, str]:
    """The header Content-Location (RFC 9110, 8.7) if the path had an alias that was resolved, else nothing."""
    if PATH not in request.scope:
        return {}
    query = quote(request.scope["query_string"], safe=IN_QUERIES)
    return {"Content-Location": f"{path_of(request)}?{query}" if query else path_of(request)}


def _replaced(path: str, operations: Operations[Any], sent: Sequence[str], found: Sequence[str]) -> str:
    """The path with other keys. What stands before and behind them stays."""
    names = [level.resource.path for level in levels(operations)]

    def with_keys(keys: Sequence[str]) -> str:
        return "".join(f"/{name}/{key}" for name, key in zip(names, keys, strict=False))

    return path.replace(with_keys(sent), with_keys(found), 1)
