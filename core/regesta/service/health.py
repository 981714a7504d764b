"""`/livez` and `/readyz`: what an orchestrator asks."""

from typing import Any, Literal

import pymongo
from fastapi import APIRouter
from pydantic import BaseModel
from pymongo.errors import PyMongoError

from regesta.errors import Unavailable
from regesta.http import ProblemRoute, Tag, problem_answer
from regesta.store import ping
from regesta.time_limits import TimeLimit

PING = 1.0  # seconds


class Health(BaseModel):
    """The service can do what was asked about."""

    status: Literal["ok"] = "ok"


class Readiness:
    """Whether requests should be sent here: between start-up and shutdown, while the store answers."""

    def __init__(self) -> None:
        self._database: Any = None

    def begin(self, database: Any) -> None:
        """Start-up is done."""
        self._database = database

    def end(self) -> None:
        """Shutdown begins."""
        self._database = None

    async def check(self) -> None:
        """Ask the store. Raises Unavailable where it does not answer within a second."""
        if self._database is None:
            raise Unavailable("the service is starting or stopping", code="NOT_READY")
        try:
            # Both: the driver's bound ends what it does in threads, the other holds where it does not look.
            with pymongo.timeout(PING):
                async with TimeLimit(PING):
                    await ping(self._database.client)
        except (PyMongoError, TimeoutError) as error:
            raise Unavailable("the store does not answer", code="STORE_UNAVAILABLE") from error


def health_router(readiness: Readiness) -> APIRouter:
    """The routes; GET and HEAD."""
    router = APIRouter(route_class=ProblemRoute, tags=[Tag("health", "What an orchestrator asks.")])

    async def livez() -> Health:
        """200 while the process serves requests, whatever the store does: restart it where this fails."""
        return Health()

    async def readyz() -> Health:
        """200 when the store answers within a second and start-up is done: send requests here only then."""
        await readiness.check()
        return Health()

    not_ready: dict[int | str, dict[str, Any]] = {Unavailable.status: problem_answer(Unavailable)}
    for endpoint, responses, summary in ((livez, None, "Is it alive?"), (readyz, not_ready, "Is it ready?")):
        path, name = f"/{endpoint.__name__}", endpoint.__name__
        router.add_api_route(path, endpoint, methods=["GET"], operation_id=name, summary=summary, responses=responses)
        router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    return router
