"""A time limit that holds although its cancellation gets lost."""

import asyncio
from types import TracebackType

# Seconds until a task that goes on is cancelled once more. Longer than an orderly end may take: a transaction's too.
AGAIN = 2.0


class TimeLimit:
    """Raises TimeoutError if what is inside takes longer than `seconds`; None is no limit. For one use.

    `asyncio.timeout` cancels its task once. If that gets lost, what is inside has no limit any more: on Python 3.11
    `asyncio.wait_for`, with which drivers connect, drops a cancellation that comes when its result is there, and so
    does a plugin that suppresses it. So this cancels again and again until the block is left.
    """

    __slots__ = ("_before", "_cancelled", "_expiry", "_seconds", "_task")

    _task: "asyncio.Task[object]"
    _before: int

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._cancelled = 0
        self._expiry: asyncio.Handle | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit is of a task")
        self._task, self._before = task, task.cancelling()
        if self._seconds is not None:
            loop = task.get_loop()
            late = self._seconds <= 0
            self._expiry = loop.call_soon(self._expire) if late else loop.call_later(self._seconds, self._expire)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self._cancelled:
            for _ in range(self._cancelled):
                self._task.uncancel()
            # Else somebody else wants it to end, too.
            if self._task.cancelling() <= self._before and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _expire(self) -> None:
        self._cancelled += 1
        self._task.cancel()
        self._expiry = self._task.get_loop().call_later(AGAIN, self._expire)
