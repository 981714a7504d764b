"""Routes that move aliases in an emergency: past the gates, and back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from regesta import Caller, ProblemRoute, Registry, caller_of
from regesta.http import body_schema, json_body, only_validates, precondition_of, refuse_idempotency_key
from regesta_models.alias_routes import (
    LARGEST_BODY,
    MOVED,
    MOVED_OR_NEW,
    MOVING,
    ONE,
    TAGS,
    AliasKey,
    AliasTarget,
    moved_response,
)
from regesta_models.aliases import Aliases
from regesta_models.artifact_routes import ModelKey
from regesta_models.promotions import Override, Reason

INSTEAD = "is not kept here: send the ETag of the version that the alias stands for in If-Match"


class AliasOverride(AliasTarget):
    """Which version an alias shall stand for, whatever the gates say, and why."""

    reason: Reason = Field(description="Kept in the promotion and in the audit trail.")


class AliasRollback(BaseModel):
    """Why an alias goes back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(max_length=2000)] = Field(default="", description="Kept in the promotion.")


def promotion_router(registry: Registry) -> APIRouter:
    """`:override` and `:rollback` of `/models/{model}/aliases/{alias}`."""
    aliases, versions = Aliases(registry), registry["versions"]
    router = APIRouter(route_class=ProblemRoute)

    def asking(operation: str) -> Any:
        return Depends(caller_of(versions, operation))

    @router.post(
        f"{ONE}:override",
        operation_id="override_alias",
        summary="Let an alias stand for a version, past its gates",
        description=(
            "Moves the alias, or makes it, whatever the gates say. The promotion has the reason, and each "
            "gate that was not met."
        ),
        tags=TAGS,
        responses=MOVED_OR_NEW,
        openapi_extra={**body_schema(AliasOverride), "parameters": MOVING},
    )
    async def override_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("override_alias")]
    ) -> Response:
        refuse_idempotency_key(request, INSTEAD)
        dry, condition = only_validates(request), precondition_of(request)
        target = await json_body(request, AliasOverride, limit=4 * LARGEST_BODY)
        override = Override(reason=target.reason)
        stored, new = await aliases.set(
            caller, model, alias, target.version, override=override, condition=condition, validate_only=dry
        )
        return moved_response(request, stored, new=new, dry=dry)

    @router.post(
        f"{ONE}:rollback",
        operation_id="rollback_alias",
        summary="Let an alias stand where it stood before",
        description=(
            "Puts the alias back where it stood before its last move, also where it was taken away; gates are "
            "not asked again. Once more goes one further back."
        ),
        tags=TAGS,
        responses=MOVED,
        openapi_extra={**body_schema(AliasRollback, required=False), "parameters": MOVING},
    )
    async def rollback_alias(
        request: Request, model: ModelKey, alias: AliasKey, caller: Annotated[Caller, asking("rollback_alias")]
    ) -> Response:
        refuse_idempotency_key(request, INSTEAD)
        dry, condition = only_validates(request), precondition_of(request)
        body = await json_body(request, AliasRollback, limit=4 * LARGEST_BODY, without=AliasRollback())
        stored = await aliases.rollback(
            caller, model, alias, reason=body.reason, condition=condition, validate_only=dry
        )
        return moved_response(request, stored, dry=dry)

    async def only_post() -> None:
        """What would else be taken for an alias named `champion:override`."""
        raise HTTPException(405, "send a POST", {"Allow": "POST"})

    for custom in ("override", "rollback"):
        others = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]
        router.add_api_route(f"{ONE}:{custom}", only_post, methods=others, include_in_schema=False)
    return router
