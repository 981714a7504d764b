"""Aliases: names that stand for one version of a model each, and move.

An alias lives on the version it names. Moving it writes the old and the new version in one transaction, so it
always stands for exactly one; a version that is being deleted is the same document, so one of the two waits.
"""

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from regesta import Caller, Invalid, NotFound, ProblemRoute, Registry, Stored, Unit, caller_of
from regesta.errors import Conflict, Malformed, PreconditionFailed, TooLarge, Unavailable, UnsupportedMedia
from regesta.http import body_schema, document_answer, document_response, json_body, no_parameters, problem_answers
from regesta.schemas import dumps
from regesta_models.constraints import AliasName
from regesta_models.documents import Version
from regesta_models.parts import LARGEST

JSON = "application/json"
LARGEST_BODY = 4096  # bytes
TAGS: list[str | Enum] = ["aliases"]
COLLECTION = "/models/{model}/aliases"
ONE = f"{COLLECTION}/{{alias}}"

ModelKey = Annotated[str, Path(min_length=1, description="The name of the model.")]
AliasKey = Annotated[AliasName, Path(description="The alias.")]


class AliasTarget(BaseModel):
    """Which version an alias stands for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1, le=LARGEST)] = Field(description="The number of a version of the model.")


class Aliases:
    """Reads and moves the aliases of every model."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._versions = registry["versions"]

    async def get(self, caller: Caller, model: str, alias: str) -> Stored[Version]:
        """The version that an alias stands for. Raises NotFound, Unavailable."""
        found = await self._versions.find_where(caller, (model,), {"aliases": alias})
        if found is None:
            raise no_alias(alias)
        return found

    async def set(self, caller: Caller, model: str, alias: str, number: int) -> tuple[Stored[Version], bool]:
        """Let an alias stand for a version; that version, and whether the alias is new.

        Raises NotFound, Unavailable.
        """

        async def work(unit: Unit) -> tuple[Stored[Version], bool]:
            # Looked for before anything is written: the memory store undoes nothing.
            if await self._versions.find(caller, (model, str(number)), unit.session) is None:
                raise NotFound(f"there is no version '{number}'")
            holder = await self._holder(caller, model, alias, unit)
            if holder not in (None, number):
                await self._versions.update(caller, (model, str(holder)), _without(alias), unit=unit)
            written = await self._versions.update(caller, (model, str(number)), _with(alias), unit=unit)
            return written, holder is None

        return await self._registry.run("versions", work, meets=(str(caller.scope), model))

    async def delete(self, caller: Caller, model: str, alias: str) -> None:
        """Take an alias away. Raises NotFound, Unavailable."""

        async def work(unit: Unit) -> None:
            holder = await self._holder(caller, model, alias, unit)
            if holder is None:
                raise no_alias(alias)
            await self._versions.update(caller, (model, str(holder)), _without(alias), unit=unit)

        await self._registry.run("versions", work, meets=(str(caller.scope), model))

    async def list(self, caller: Caller, model: str) -> dict[str, int]:
        """The number of the version that each alias stands for, all at one moment. Raises NotFound, Unavailable."""

        async def work(unit: Unit) -> dict[str, int]:
            filter_ = await self._below(caller, model, unit)
            found = self._versions.collection.find(
                {**filter_, "aliases": {"$gt": ""}}, {"number": 1, "aliases": 1}, session=unit.session
            )
            return {alias: raw["number"] async for raw in found for alias in raw["aliases"]}

        aliases = await self._registry.run("versions", work)
        return dict(sorted(aliases.items()))

    async def _holder(self, caller: Caller, model: str, alias: str, unit: Unit) -> int | None:
        filter_ = await self._below(caller, model, unit)
        found = await self._versions.collection.find_one(
            {**filter_, "aliases": alias}, {"number": 1}, session=unit.session
        )
        return None if found is None else int(found["number"])

    async def _below(self, caller: Caller, model: str, unit: Unit) -> dict[str, Any]:
        """What all versions of a model have in common. Raises NotFound."""
        parent = await self._versions.parent_value(caller, (model,), unit.session)
        return self._versions.addresses.collection_filter(caller.scope, parent)


def alias_router(registry: Registry) -> APIRouter:
    """The routes below `/models/{model}/aliases`."""
    aliases, versions = Aliases(registry), registry["versions"]
    router = APIRouter(route_class=ProblemRoute)

    def asking(operation: str) -> Any:
        return Depends(caller_of(versions, operation))

    @router.get(
        COLLECTION,
        operation_id="list_aliases",
        summary="List the aliases of a model",
        tags=TAGS,
        response_model=dict[str, int],
        responses={
            200: {"description": "The version number that each alias stands for"},
            **problem_answers(Malformed, NotFound, Invalid, Unavailable),
        },
    )
    async def list_aliases(
        request: Request, model: ModelKey, caller: Annotated[Caller, asking("list_aliases")]
    ) -> Response:
        no_parameters(request)
        return Response(dumps(await aliases.list(caller, model)), media_type=JSON)

    @router.get(
        ONE,
        operation_id="get_alias",
        summary="Get the version that an alias stands for",
        tags=TAGS,
        responses={
            200: document_answer(Version, "The version"),
            304: {"description": "The client has this revision"},
            **problem_answers(Malformed, NotFound, PreconditionFailed, Invalid, Unavailable),
        },
    )
    async def get_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("get_alias")]
    ) -> Response:
        no_parameters(request)
        return document_response(request, await aliases.get(caller, model, alias))

    router.add_api_route(ONE, get_alias, methods=["HEAD"], operation_id="get_alias_head", include_in_schema=False)

    @router.put(
        ONE,
        operation_id="set_alias",
        summary="Let an alias stand for a version",
        tags=TAGS,
        responses={
            200: document_answer(Version, "The alias stands for this version, as it did before or moved from another"),
            201: document_answer(Version, "The alias is new and stands for this version"),
            **problem_answers(Malformed, NotFound, Conflict, TooLarge, UnsupportedMedia, Invalid, Unavailable),
        },
        openapi_extra=body_schema(AliasTarget),
    )
    async def set_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("set_alias")]
    ) -> Response:
        no_parameters(request)
        target = await json_body(request, AliasTarget, limit=LARGEST_BODY)
        stored, new = await aliases.set(caller, model, alias, target.version)
        return document_response(request, stored, 201 if new else 200)

    @router.delete(
        ONE,
        operation_id="delete_alias",
        summary="Take an alias away",
        tags=TAGS,
        status_code=204,
        response_model=None,
        responses={
            204: {"description": "The alias is gone"},
            **problem_answers(Malformed, NotFound, Conflict, Invalid, Unavailable),
        },
    )
    async def delete_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("delete_alias")]
    ) -> Response:
        no_parameters(request)
        await aliases.delete(caller, model, alias)
        return Response(status_code=204)

    return router


def no_alias(alias: str) -> NotFound:
    """The error for an alias that stands for nothing."""
    return NotFound(f"there is no alias {alias!r}")


def _with(alias: str) -> Callable[[Stored[Version], Version], Version]:
    def edit(_: Stored[Version], version: Version) -> Version:
        if alias not in version.aliases:
            version.aliases = [*version.aliases, alias]
        return version

    return edit


def _without(alias: str) -> Callable[[Stored[Version], Version], Version]:
    def edit(_: Stored[Version], version: Version) -> Version:
        version.aliases = [other for other in version.aliases if other != alias]
        return version

    return edit
