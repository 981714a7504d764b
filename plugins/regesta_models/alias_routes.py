"""The routes below `/models/{model}/aliases`."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from regesta import Caller, Invalid, NotFound, ProblemRoute, Registry, Stored, caller_of
from regesta.errors import Conflict, Malformed, PreconditionFailed, TooLarge, Unavailable, UnsupportedMedia
from regesta.http import (
    VALIDATE_ONLY_PARAMETER,
    Tag,
    body_schema,
    document_answer,
    document_response,
    json_body,
    no_parameters,
    only_validates,
    precondition_of,
    problem_answers,
)
from regesta.schemas import dumps
from regesta_models.aliases import Aliases
from regesta_models.artifact_routes import CONDITIONS, ModelKey
from regesta_models.constraints import AliasName
from regesta_models.documents import Version
from regesta_models.parts import LARGEST

JSON = "application/json"
LARGEST_BODY = 4096  # bytes
TAGS: list[str | Enum] = [
    Tag("aliases", "Names that point at one version each, such as `production`, and move with its gates.")
]
COLLECTION = "/models/{model}/aliases"
ONE = f"{COLLECTION}/{{alias}}"

# What moves an alias answers.
MOVED: dict[int | str, dict[str, Any]] = {
    200: document_answer(Version, "The alias stands for this version, or would with `validate_only`"),
    **problem_answers(Malformed, NotFound, Conflict, PreconditionFailed, TooLarge, UnsupportedMedia),
    **problem_answers(Invalid, Unavailable),
}
MOVING: list[Mapping[str, Any]] = [*CONDITIONS, VALIDATE_ONLY_PARAMETER]
MOVED_OR_NEW: dict[int | str, dict[str, Any]] = {
    **MOVED,
    201: document_answer(Version, "The alias is new and stands for this version"),
}

AliasKey = Annotated[AliasName, Path(description="The alias.")]


class AliasTarget(BaseModel):
    """Which version an alias stands for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1, le=LARGEST)] = Field(description="The number of a version of the model.")


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
        description="Each alias with the number of the version that it stands for.",
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
        description="The version itself, with its ETag; 304 where `If-None-Match` names that one.",
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

    router.add_api_route(COLLECTION, list_aliases, methods=["HEAD"], include_in_schema=False)
    router.add_api_route(ONE, get_alias, methods=["HEAD"], include_in_schema=False)

    @router.put(
        ONE,
        operation_id="set_alias",
        summary="Let an alias stand for a version",
        description=(
            "Moves the alias, or makes it, where all gates of the policies are met: else 409 lists those that "
            "are not. `If-Match` and `If-None-Match` are about the version that the alias stands for."
        ),
        tags=TAGS,
        responses=MOVED_OR_NEW,
        openapi_extra={**body_schema(AliasTarget), "parameters": MOVING},
    )
    async def set_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("set_alias")]
    ) -> Response:
        dry, condition = only_validates(request), precondition_of(request)
        target = await json_body(request, AliasTarget, limit=LARGEST_BODY)
        stored, new = await aliases.set(caller, model, alias, target.version, condition=condition, validate_only=dry)
        return moved_response(request, stored, new=new, dry=dry)

    @router.delete(
        ONE,
        operation_id="delete_alias",
        summary="Take an alias away",
        description="The alias stands for nothing any more. The version stays, and a rollback puts the alias back.",
        tags=TAGS,
        status_code=204,
        response_model=None,
        responses={
            204: {"description": "The alias is gone"},
            **problem_answers(Malformed, NotFound, Conflict, PreconditionFailed, Invalid, Unavailable),
        },
        openapi_extra={"parameters": CONDITIONS},
    )
    async def delete_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("delete_alias")]
    ) -> Response:
        no_parameters(request)
        await aliases.delete(caller, model, alias, condition=precondition_of(request))
        return Response(status_code=204)

    return router


def moved_response(request: Request, stored: Stored[Version], *, new: bool = False, dry: bool = False) -> Response:
    """The version that an alias stands for now; without its ETag where it only would."""
    if dry:
        return Response(dumps(stored.codec.wire(stored.raw)), media_type=JSON)
    return document_response(request, stored, 201 if new else 200)
