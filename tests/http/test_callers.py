"""Callers of applications that a plugin mounts: as FastAPI's routes have them, without FastAPI."""

from typing import Any

import pytest
from beanie import Document
from starlette.requests import Request

from regesta import Access, Forbidden, Hooks, Registry, Resource, hookimpl
from regesta.http import Callers


class Parcel(Document):
    name: str
    owner: str = ""


class Door:
    """Lets nobody write, and everybody see what is Ann's."""

    name = "door"

    @hookimpl
    def authorize(self, request: Access) -> None:
        if request.operation == "create":
            raise Forbidden(f"not {request.key}")

    @hookimpl
    def scope_query(self) -> dict[str, Any]:
        return {"owner": "ann"}


def request() -> Request:
    headers = [(b"x-request-id", b"r1")]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("10.0.0.1", 1)})


async def test_a_caller_has_the_scope_that_is_given_and_what_hooks_add() -> None:
    callers = Callers(Registry([Resource(Parcel)], Hooks(Door()))["parcels"])
    found = await callers.of(request(), "look", {"name": "x"}, None, "x")
    assert found.scope == {"name": "x", "owner": "ann"}
    assert (found.request_id, found.actor.subject, found.actor.address) == ("r1", "anonymous", "10.0.0.1")
    with pytest.raises(Forbidden, match="not x"):
        await callers.of(request(), "create", None, None, "x")
