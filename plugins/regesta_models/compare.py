"""Versions of one model side by side, with what got better or worse."""

import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pymongo import ASCENDING

from regesta import Caller, Invalid, Issue, NotFound, ProblemRoute, Registry, caller_of
from regesta.errors import Malformed, Unavailable
from regesta.http import problem_answers
from regesta.operations import bounded, resolve_keys
from regesta.pacing import Pace
from regesta.query import Parameter, parse_parameters
from regesta.store import row_groups
from regesta_models.artifact_routes import ModelKey
from regesta_models.comparison import Direction, Facts, VersionComparison, comparison_of
from regesta_models.parts import LARGEST
from regesta_models.version_keys import VERSION_ALIASES

PATH = "/models/{model}/versions:compare"
FEWEST, MOST = 2, 10
MOST_NAMES = 100
TWICE = "names a version twice"
TAGS: list[str | Enum] = ["versions"]


class Comparisons:
    """Compares versions."""

    def __init__(self, registry: Registry) -> None:
        self._versions = registry["versions"]

    async def compare(
        self, caller: Caller, model: str, keys: Sequence[str], said: Mapping[str, Direction | None]
    ) -> bytes:
        """The JSON of their comparison, as they are at one moment; aliases name the versions of a moment before.

        Raises NotFound that names the missing ones, Invalid if two keys mean one version, Unavailable.
        """
        versions = self._versions
        numbers = [int((await resolve_keys(versions, caller, (model, key)))[-1]) for key in keys]
        if len(set(numbers)) < len(numbers):
            raise Invalid.of([Issue(("query", "versions"), TWICE)])
        async with bounded(versions.resource.timeout):
            parent = await versions.parent_value(caller, (model,))
            wanted = versions.addresses.collection_filter(caller.scope, parent)
            filter_ = {**wanted, **versions.rules.live, "number": {"$in": list(numbers)}}
            pace, by_number = Pace(), dict[int, Facts]()
            # One after the other out of one reply: each is large, and little of it is needed.
            rows = row_groups(versions.collection, filter_, count=1, sort=[("number", ASCENDING)])
            async with aclosing(rows):
                async for group in rows:
                    by_number |= {raw["number"]: Facts.of(versions.stored(raw).document) for raw in group}
                    await pace.rest()
        if missing := [str(number) for number in numbers if number not in by_number]:
            raise NotFound(f"{model!r} has no version {', '.join(missing)}")
        return await comparison_of(model, [by_number[number] for number in numbers], said)


def _keys(text: str) -> list[str]:
    parts = text.split(",")
    if not all(_is_number(part) or any(alias.matches(part) for alias in VERSION_ALIASES) for part in parts):
        raise ValueError("must be numbers of versions, `latest` or aliases with an `@`, separated by commas")
    if len(set(parts)) < len(parts):
        raise ValueError(TWICE)
    if not FEWEST <= len(parts) <= MOST:
        raise ValueError(f"must name {FEWEST} to {MOST} versions")
    return parts


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,18}", text) is not None and int(text) <= LARGEST


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names) or len(names) > MOST_NAMES:
        raise ValueError(f"must be 1 to {MOST_NAMES} names of metrics, separated by commas")
    return names


def _better(way: str) -> Parameter:
    said = (
        f"Names of metrics, separated by commas, of which {way} values are better, whatever their names tell; "
        "named by `higher` and `lower`, a metric has changed and no more."
    )
    return Parameter(_names, {"type": "string", "pattern": "^[^,\\u0000]+(?:,[^,\\u0000]+){0,99}$"}, said)


_TWICE = r"(?!(?:.*,)?([^,]+),(?:.*,)?\1(?:,|$))"
_ONE = "|".join(["[1-9][0-9]{0,17}", *(alias.pattern for alias in VERSION_ALIASES)])
_PATTERN = rf"^{_TWICE}(?:{_ONE})(?:,(?:{_ONE})){{{FEWEST - 1},{MOST - 1}}}$"
PARAMETERS: dict[str, Parameter] = {
    "versions": Parameter(
        _keys,
        {"type": "string", "pattern": _PATTERN},
        f"The numbers of {FEWEST} to {MOST} different versions, separated by commas; `latest` and `@alias` stand for "
        "one as in paths. The others are compared with the first.",
    ),
    "higher": _better("higher"),
    "lower": _better("lower"),
}


def compare_router(registry: Registry) -> APIRouter:
    """`GET /models/{model}/versions:compare`."""
    comparisons = Comparisons(registry)
    router = APIRouter(route_class=ProblemRoute)
    shown = [found.openapi(name) for name, found in PARAMETERS.items()]
    shown[0]["required"] = True

    @router.get(
        PATH,
        operation_id="compare_versions",
        summary="Compare versions of a model",
        description=(
            "Two to ten versions side by side: metrics, params, tags, signature, environment and size. The "
            "others are compared with the first."
        ),
        tags=TAGS,
        response_model=VersionComparison,
        responses={
            200: {"description": "The versions side by side"},
            **problem_answers(Malformed, NotFound, Invalid, Unavailable),
        },
        openapi_extra={"parameters": shown},
    )
    async def compare_versions(
        request: Request,
        model: ModelKey,
        caller: Annotated[Caller, Depends(caller_of(registry["versions"], "compare_versions"))],
    ) -> Response:
        asked = parse_parameters(request.scope["query_string"], PARAMETERS)
        if "versions" not in asked:
            raise Invalid.of([Issue(("query", "versions"), "is required", "missing")])
        higher, lower = asked.get("higher", ()), asked.get("lower", ())
        said: dict[str, Direction | None] = dict.fromkeys(higher, Direction.HIGHER)
        # What is named by both tells nothing.
        said |= {name: None if name in said else Direction.LOWER for name in lower}
        found = await comparisons.compare(caller, model, asked["versions"], said)
        return Response(found, media_type="application/json")

    router.add_api_route(PATH, compare_versions, methods=["HEAD"], include_in_schema=False)
    return router
