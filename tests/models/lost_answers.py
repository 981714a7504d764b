"""Answers of the database that get lost after the write was done, as a connection that breaks loses them."""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

WRITES = ("update_one", "find_one_and_update")


@contextmanager
def completions(collection: Any, then: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """While this is open, call `then` after each write that gives a record of kept bytes its content."""
    kind = type(collection)
    with pytest.MonkeyPatch.context() as patched:
        for name in WRITES:
            patched.setattr(kind, name, _followed(getattr(kind, name), then))
        yield


def every_other() -> Callable[[], Awaitable[None]]:
    """Lose every other answer."""
    turns = itertools.count()

    async def lose() -> None:
        if next(turns) % 2 == 0:
            raise AutoReconnect("the answer was lost")

    return lose


def _followed(write: Any, then: Callable[[], Awaitable[None]]) -> Any:
    async def written(collection: Any, which: Any, change: Any, *rest: Any, **options: Any) -> Any:
        done = await write(collection, which, change, *rest, **options)
        if collection.name == "blobs" and "sha256" in change.get("$set", {}):
            await then()
        return done

    return written
