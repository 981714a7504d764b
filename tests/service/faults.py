"""A plugin for tests whose routes fail in every way."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from regesta import Conflict, Registry, hookimpl

SECRET = "hunter2"


class Faults:
    """`/api/v1/faults/...`, by plain FastAPI routes: nothing of ours is between them and the application."""

    @hookimpl
    def register_routers(self, registry: Registry) -> list[APIRouter]:
        router = APIRouter(prefix="/faults")

        @router.get("/defect")
        async def defect() -> None:
            raise RuntimeError(f"the password is {SECRET}")

        @router.get("/careless")
        async def careless(request: Request) -> None:
            key = request.headers["x-key"]
            raise RuntimeError(f"a key of {len(key)} letters")

        @router.get("/conflict")
        async def conflict() -> None:
            raise Conflict("it is taken")

        @router.get("/teapot")
        async def teapot() -> None:
            raise HTTPException(418, "short and stout")

        @router.get("/number")
        async def number(value: Annotated[int, Query()]) -> int:
            return value

        @router.put("/number")
        async def put_number() -> None:
            """Nothing."""

        @router.get("/away")
        async def away() -> None:
            raise ServerSelectionTimeoutError(f"{SECRET}.internal:27017")

        @router.get("/refused")
        async def refused() -> None:
            raise OperationFailure(f"E11000 {SECRET}", 42)

        @router.get("/halfway")
        async def halfway() -> StreamingResponse:
            return StreamingResponse(broken_off(), media_type="text/plain")

        return [router]


async def broken_off() -> AsyncIterator[bytes]:
    yield b"half"
    raise RuntimeError(SECRET)


class Recorder:
    """Writes down when the lifespan calls it."""

    def __init__(self, name: str, calls: list[str], failing: str = "") -> None:
        self.name = name
        self._calls = calls
        self._failing = failing

    @hookimpl
    async def startup(self, app: FastAPI) -> None:
        self._note("startup")

    @hookimpl
    def shutdown(self, app: FastAPI) -> None:
        self._note("shutdown")

    def _note(self, what: str) -> None:
        self._calls.append(f"{self.name} {what}")
        if what == self._failing:
            raise RuntimeError("out of paper")
