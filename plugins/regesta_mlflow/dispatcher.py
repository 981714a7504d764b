"""Sends what is in the outbox, in the background, and tries again where that may help."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from regesta.store import collection_of
from regesta_mlflow.sending import SECONDS, Answer, post
from regesta_mlflow.webhooks import Delivery, Webhook, WebhookStatus

logger = logging.getLogger("regesta.mlflow")

AT_ONCE = 10
MOST_RETRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0  # seconds
POLL = 1.0  # seconds; what this process writes itself is sent at once
LEASE = timedelta(seconds=3 * SECONDS)
TEMPORARY = frozenset({0, 429, 500, 502, 503, 504})  # 0: no answer


class Dispatcher:
    """Takes deliveries that are due, each for one process at a time."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what is on its way is sent again by whoever comes next."""
        tasks = [task for task in (self._running, *self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while len(self._sending) < AT_ONCE and (taken := await self._take()):
                    task = asyncio.create_task(self._deliver(taken))
                    self._sending.add(task)
                    task.add_done_callback(self._sent)
            except Exception:
                logger.exception("the outbox of webhooks cannot be read")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            logger.error("a delivery failed", exc_info=error)

    async def _take(self) -> dict[str, Any] | None:
        now = datetime.now(UTC)
        found: dict[str, Any] | None = await collection_of(Delivery).find_one_and_update(
            {"outcome": "", "due_at": {"$lte": now}},
            {"$set": {"due_at": now + LEASE}, "$inc": {"attempts": 1}},
            sort=[("due_at", 1)],
            return_document=True,
        )
        return found

    async def _deliver(self, taken: dict[str, Any]) -> None:
        hook = await collection_of(Webhook).find_one({"_id": taken["webhook"]})
        if hook is None or hook["status"] != WebhookStatus.ACTIVE.value:
            await self._finish(taken, "dropped: the webhook is gone or disabled")
            return
        answer = await send(hook, taken["body"], identity_of(taken), private=self._private)
        if answer.success:
            await self._finish(taken, f"delivered: {answer.status}")
        elif answer.status not in TEMPORARY or taken["attempts"] > MOST_RETRIES:
            said = answer.error or f"status {answer.status}"
            logger.warning("webhook %s did not take %s: %s", hook["_id"], taken["event"], said)
            await self._finish(taken, f"failed: {said}")
        else:
            due = datetime.now(UTC) + timedelta(seconds=_pause(answer, taken["attempts"]))
            await collection_of(Delivery).update_one({"_id": taken["_id"]}, {"$set": {"due_at": due}})

    async def _finish(self, taken: dict[str, Any], outcome: str) -> None:
        done = {"outcome": outcome, "finished_at": datetime.now(UTC)}
        await collection_of(Delivery).update_one({"_id": taken["_id"]}, {"$set": done})


async def send(hook: dict[str, Any], body: str, identity: str, *, private: bool) -> Answer:
    """Send to a webhook as it is now."""
    return await post(hook["url"], body.encode(), identity, secret=hook.get("secret"), private=private)


def identity_of(taken: dict[str, Any]) -> str:
    """The id of a delivery, the same for each try: a UUID, made of the ObjectId."""
    return str(UUID(bytes=taken["_id"].binary.rjust(16, b"\0")))


def _pause(answer: Answer, attempts: int) -> float:
    if answer.retry_after.isdecimal():
        return min(float(answer.retry_after), LONGEST_PAUSE)
    return float(min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE))
