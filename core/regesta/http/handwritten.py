"""For routes that a plugin writes by hand: bodies and answers as the generated routes have them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from beanie import Document
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from regesta.errors import Invalid, Malformed, ProblemError
from regesta.http.aliases import content_location
from regesta.http.headers import JSON, has_condition, media_type_of
from regesta.http.methods import VALIDATE_ONLY
from regesta.http.problems import problem_answer
from regesta.http.received import body_of
from regesta.http.responses import JsonResponse, quoted
from regesta.http.revisions import ConditionalResponse
from regesta.operations import Stored
from regesta.query import parse_parameters
from regesta.schemas import dumps, issues_of, read_json
from regesta.schemas.parts import inlined, plain

M = TypeVar("M", bound=BaseModel)

LARGEST_BODY = 64 * 1024  # bytes


async def json_body(request: Request, model: type[M], *, limit: int = LARGEST_BODY, without: M | None = None) -> M:
    """The body, read and judged as strictly as that of a generated route: in Pydantic's strict JSON mode.

    `limit` is in bytes. `without` is the answer to a request that has neither a body nor a Content-Type.

    Raises UnsupportedMedia, TooLarge, Malformed, Invalid with all that is wrong.
    """
    untyped = without is not None and "content-type" not in request.headers
    if not untyped:
        media_type_of(request, JSON)
    body = await body_of(request, limit)
    if untyped and without is not None:
        if not body:
            return without
        media_type_of(request, JSON)
    read_json(body)  # duplicate keys, depth, numbers: what pydantic lets pass
    try:
        return model.model_validate_json(body, strict=True, extra="forbid")
    except ValidationError as error:
        raise Invalid.of(issues_of(error)) from None


async def text_body(request: Request, *media_types: str, limit: int = LARGEST_BODY) -> str:
    """The body as text, sent as one of these media types, in UTF-8; `limit` is in bytes.

    Raises UnsupportedMedia, TooLarge, Malformed.
    """
    media_type_of(request, *media_types)
    body = await body_of(request, limit)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8: byte {error.start}") from None


def no_parameters(request: Request) -> None:
    """Raises Invalid where the query string has any parameter: on this route none means something."""
    parse_parameters(request.scope["query_string"], {})


VALIDATE_ONLY_PARAMETER: Mapping[str, Any] = VALIDATE_ONLY.openapi("validate_only")


def document_response(
    request: Request, stored: Stored[Any], status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """A document as clients may see it, with its ETag; on GET and HEAD 304 where the client has this revision.

    If a condition is malformed or not met, the answer is the problem that a generated GET answers.
    """
    sent = {**(headers or {}), "ETag": quoted(stored.etag), **content_location(request)}
    whole = JsonResponse(dumps(stored.codec.wire(stored.raw)), status, sent)
    if request.method in ("GET", "HEAD") and has_condition(request):
        return ConditionalResponse(request, stored, whole, sent)
    return whole


def document_answer(document: type[Document], description: str) -> dict[str, Any]:
    """`document_response` in OpenAPI. The schema is that of the generated routes, which are mounted beside it."""
    return {
        "description": description,
        "headers": {"ETag": {"description": "The entity tag of this revision.", "schema": {"type": "string"}}},
        "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{document.__name__}"}}},
    }


def body_schema(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """`json_body` in OpenAPI, for `openapi_extra`; a body that `json_body` does `without` is not `required`."""
    schema = plain(inlined(model.model_json_schema()))
    return {"requestBody": {"required": required, "content": {JSON: {"schema": schema}}}}


def problem_answers(*errors: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """These errors in OpenAPI, for `responses`."""
    return {error.status: problem_answer(error) for error in errors}
