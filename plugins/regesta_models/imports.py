"""Models and their versions in one stream: `POST /versions` with a body of NDJSON."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from regesta import Caller, Conflict, Duplicate, Invalid, Issue, ProblemRoute, Registry, Unit, caller_of
from regesta.errors import Location, Malformed, PreconditionFailed, ProblemError, Unavailable, UnsupportedMedia
from regesta.http import LineResult, answer_lines, problem_answers
from regesta.operations import bounded, relocated
from regesta.query import Parameter, parse_parameters
from regesta.schemas import dumps

TAGS: list[str | Enum] = ["all_versions"]
NDJSON = "application/x-ndjson"
OUTCOMES = ("created", "skipped")


class OnConflict(StrEnum):
    """What becomes of a line whose version is there already."""

    FAIL = "fail"
    SKIP = "skip"


def _on_conflict(text: str) -> OnConflict:
    try:
        return OnConflict(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(OnConflict)}") from None


PARAMETERS = {
    "on_conflict": Parameter(
        _on_conflict,
        {"type": "string", "enum": [str(choice) for choice in OnConflict], "default": "fail"},
        "What becomes of a line whose model has a version of this `source` already.",
    )
}


class VersionImports:
    """Writes lines, each in a transaction of its own: the model where it is missing, and the version."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._models, self._versions = registry["models"], registry["versions"]

    async def write(self, tree: Any, callers: tuple[Caller, Caller], on_conflict: OnConflict) -> LineResult:
        """One line. Raises Invalid, Duplicate where the version is there, and what creating raises."""
        for_models, for_versions = callers
        model, version = _parts(tree)
        name, source = _text(model, "model", "name"), _text(version, "version", "source")
        build_model = self._models.bodies.builder(dumps(model), model)
        build_version = self._versions.bodies.builder(dumps(version), version)

        async def work(unit: Unit) -> LineResult:
            with _part("model"):
                known = await self._models.find(for_models, (name,), unit.session)
            if known is not None:
                number = await self._number(for_versions, name, source, unit)
                if number is not None:
                    return _there(name, number, source, on_conflict)
            else:
                # Where nothing would take the model back, too, the version is checked before it.
                _check({"model": build_model, "version": build_version})
                with _part("model"):
                    await self._models.create(for_models, (), build_model, unit)
            with _part("version"):
                written = await self._versions.create(for_versions, (name,), build_version, unit)
            said = {"model": name, "key": written.key, "etag": f'"{written.etag}"', "model_created": known is None}
            return LineResult("created", 201, said)

        async with bounded(self._versions.resource.timeout):
            return await self._registry.run("versions", work, meets=(str(for_versions.scope), name))

    async def _number(self, caller: Caller, name: str, source: str, unit: Unit) -> int | None:
        found = await self._versions.find_where(caller, (name,), {"source": source}, session=unit.session)
        return None if found is None else int(found.raw["number"])


@contextmanager
def _part(part: str) -> Iterator[None]:
    """Let the issues of a part of a line point into the line, as it was sent."""

    def place(loc: Location) -> Location:
        where = loc[0] if loc else ""
        return ("body", "model", "name") if where == "path" else ("body", part, *loc[1:]) if where == "body" else loc

    try:
        yield
    except ProblemError as error:
        relocated(error, place)
        raise


def _check(builds: Mapping[str, Callable[[], object]]) -> None:
    """Raise Invalid with every issue of all parts."""
    issues: list[Issue] = []
    for part, build in builds.items():
        try:
            with _part(part):
                build()
        except Invalid as error:
            issues += error.issues
    if issues:
        raise Invalid.of(issues)


def _there(name: str, number: int, source: str, on_conflict: OnConflict) -> LineResult:
    if on_conflict is OnConflict.FAIL:
        issue = Issue(("body", "version", "source"), "is taken", "duplicate")
        raise Duplicate(f"version {number} of {name!r} has the source {source!r}", issues=[issue])
    return LineResult("skipped", 200, {"model": name, "key": str(number), "skipped": True})


def _parts(tree: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(tree, dict):
        raise Invalid.of([Issue(("body",), "must be a JSON object", "object_type")])
    issues = [Issue(("body", name), "is not known here", "extra_forbidden") for name in tree if name not in _PARTS]
    issues += [
        Issue(("body", name), "must be a JSON object", "object_type")
        for name in _PARTS
        if not isinstance(tree.get(name), dict)
    ]
    if issues:
        raise Invalid.of(issues)
    return tree["model"], tree["version"]


_PARTS = ("model", "version")


def _text(part: Mapping[str, Any], where: str, name: str) -> str:
    found = part.get(name)
    if not isinstance(found, str) or not found:
        raise Invalid.of([Issue(("body", where, name), "must be a text", "string_type")])
    return found


def import_router(registry: Registry) -> APIRouter:
    """`POST /versions`."""
    imports = VersionImports(registry)
    router = APIRouter(route_class=ProblemRoute)
    limit = registry["versions"].resource.max_body_size
    line = '`{"model": {"name": ..., ...}, "version": {"source": ..., ...}}`: bodies as creating them takes.'

    @router.post(
        "/versions",
        operation_id="import_all_versions",
        summary="Import models and versions in one stream",
        description=(
            "Each line of NDJSON has a version, and its model, which is made where it is missing. It is written "
            "by itself, and one line of the answer says what became of it; the last line counts."
        ),
        tags=TAGS,
        responses={
            200: {
                "description": "One result for each line, and a summary",
                "content": {NDJSON: {"schema": {"type": "string"}}},
            },
            **problem_answers(Malformed, Conflict, PreconditionFailed, UnsupportedMedia, Invalid, Unavailable),
        },
        openapi_extra={
            "parameters": [found.openapi(name) for name, found in PARAMETERS.items()],
            "requestBody": {
                "required": True,
                "content": {NDJSON: {"schema": {"type": "string", "format": "binary", "description": line}}},
            },
        },
    )
    async def import_all_versions(
        request: Request,
        for_models: Annotated[Caller, Depends(caller_of(registry["models"], "import"))],
        for_versions: Annotated[Caller, Depends(caller_of(registry["versions"], "import"))],
    ) -> Response:
        asked = parse_parameters(request.scope["query_string"], PARAMETERS)
        on_conflict = asked.get("on_conflict", OnConflict.FAIL)

        async def write(tree: Any) -> LineResult:
            return await imports.write(tree, (for_models, for_versions), on_conflict)

        return answer_lines(request, write, OUTCOMES, limit=limit)

    return router
