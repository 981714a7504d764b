"""Errors as application/problem+json (RFC 9457)."""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from regesta.errors import Invalid, Issue, ProblemError, Unavailable, UnsupportedMedia

MEDIA_TYPE = "application/problem+json"

# A body may hold faults without number, each under a name without bound: the answer must not outgrow it.
MAX_ISSUES = 100
MAX_TEXT = 1000
MAX_NAME = 200


class ProblemIssue(BaseModel):
    """One thing that is wrong with the request."""

    loc: list[str | int] = Field(description="where: body, query, path or header, then names and positions")
    pointer: str = Field(description="the JSON Pointer into the body, empty elsewhere")
    message: str
    type: str = Field(description="a stable word for programs")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    type: str = Field(description="urn:regesta:problem:...")
    title: str
    status: int
    detail: str
    code: str = Field(description="UPPER_SNAKE, stable, for programs")
    instance: str = Field(description="the path of the request")
    errors: list[ProblemIssue]


def problem_answer(error: type[ProblemError], *, patch: bool = False) -> dict[str, Any]:
    """An error as OpenAPI's answer, with its headers; `patch` where it is of a PATCH.

    The problem is a reference: FastAPI would say that a `model` is application/json. The generated routes define it.
    """
    shown = {"description": error.title, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    accepted = "Accept-Patch" if patch else "Accept"
    headers = {
        Unavailable.status: ("Retry-After", "Seconds to wait before the next try.", {"type": "integer", "minimum": 0}),
        UnsupportedMedia.status: (accepted, "The media types that are read here.", {"type": "string"}),
    }
    if error.status not in headers:
        return shown
    name, description, schema = headers[error.status]
    return {**shown, "headers": {name: {"description": description, "schema": schema}}}


def problem_response(error: ProblemError, instance: str) -> Response:
    """The answer that says what was wrong."""
    return Response(orjson.dumps(problem_of(error, instance)), error.status, error.headers, MEDIA_TYPE)


def problem_of(error: ProblemError, instance: str) -> dict[str, Any]:
    """The same as a value, for an answer that holds several."""
    return problem_body(error.status, error.code, error.title, error.detail, instance=instance, issues=error.issues)


def problem_body(
    status: int, code: str, title: str, detail: str, *, instance: str, issues: tuple[Issue, ...] = ()
) -> dict[str, Any]:
    """The members of a problem."""
    return {
        "type": f"urn:regesta:problem:{code.lower().replace('_', '-')}",
        "title": title,
        "status": status,
        "detail": printable(detail[:MAX_TEXT]),
        "code": code,
        # RFC 9457, 3.1.5: a URI reference
        "instance": quote(instance, safe="/:@!$&'()*+,;=~"),
        "errors": [_issue_body(issue) for issue in issues[:MAX_ISSUES]],
    }


def _issue_body(issue: Issue) -> dict[str, Any]:
    shown = replace(issue, loc=tuple(part[:MAX_NAME] if isinstance(part, str) else part for part in issue.loc))
    return {
        "loc": [printable(part) for part in shown.loc],
        "pointer": printable(shown.pointer),
        "message": printable(shown.message[:MAX_TEXT]),
        "type": shown.type,
    }


def from_http_exception(error: HTTPException, instance: str) -> Response:
    """An HTTPException of the host's dependencies: its status, headers and detail, as a problem.

    The detail stays what it is, though RFC 9457 has only text there: the host's clients know it.
    """
    if error.status_code in _WITHOUT_BODY or error.status_code < HTTPStatus.OK:
        return Response(status_code=error.status_code, headers=error.headers)
    phrase = HTTPStatus(error.status_code).phrase if error.status_code in set(HTTPStatus) else "Error"
    code = phrase.upper().replace(" ", "_").replace("-", "_").replace("'", "")
    detail: Any = error.detail  # declared as str; FastAPI lets it be anything that JSON can say
    said = detail if isinstance(detail, str) else ""
    body = problem_body(error.status_code, code, phrase, said, instance=instance)
    if not isinstance(detail, str) and detail is not None:
        body["detail"] = jsonable_encoder(detail)
    content = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    return Response(content, error.status_code, dict(error.headers or {}), MEDIA_TYPE)


_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED)


def from_validation(error: RequestValidationError) -> Invalid:
    """What FastAPI found wrong with the parameters of a dependency, without the input it quotes."""
    return Invalid.of([Issue(tuple(found["loc"]), found["msg"], found["type"]) for found in error.errors()])


def printable(part: Any) -> Any:
    """Text that UTF-8 can carry: what was sent may hold half of a surrogate pair."""
    if isinstance(part, str) and not part.isascii():
        return part.encode("utf-8", "backslashreplace").decode()
    return part
