"""Waiting in tests: for a condition, with a deadline, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL = 0.02  # seconds


def eventually(condition: Callable[[], T], *, within: float = 20.0) -> T:
    """Ask until the answer is true and return it; fail after `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {condition}")
        time.sleep(_POLL)
    return answer


async def eventually_async(condition: Callable[[], Awaitable[T]], *, within: float = 20.0) -> T:
    """The same for a coroutine function."""
    deadline = time.monotonic() + within
    while not (answer := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {condition}")
        await asyncio.sleep(_POLL)
    return answer
