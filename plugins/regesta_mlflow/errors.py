"""Errors as MLflow's clients read them: a code by name, a message, and a status that belongs to the code."""

from enum import Enum
from typing import Any

import orjson
from starlette.responses import Response

from regesta import Duplicate, ProblemError

JSON = "application/json"
LONGEST = 2000  # characters of a message


class Code(Enum):
    """The codes that clients know, each with its status. Clients repeat 429 and most of 5xx for minutes."""

    INVALID_PARAMETER_VALUE = 400
    # More than one code has a status; an Enum would take equal values for one member.
    RESOURCE_ALREADY_EXISTS = 400.1
    BAD_REQUEST = 400.2
    UNAUTHENTICATED = 401
    PERMISSION_DENIED = 403
    RESOURCE_DOES_NOT_EXIST = 404
    ENDPOINT_NOT_FOUND = 404.1
    RESOURCE_CONFLICT = 409
    REQUEST_LIMIT_EXCEEDED = 429
    INTERNAL_ERROR = 500
    NOT_IMPLEMENTED = 501
    TEMPORARILY_UNAVAILABLE = 503

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.value)


class Refusal(Exception):
    """A request that is not done, in the words of this protocol."""

    def __init__(self, message: str, code: Code = Code.INVALID_PARAMETER_VALUE, retry_after: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retry_after = retry_after


_BY_STATUS = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.RESOURCE_DOES_NOT_EXIST,
    409: Code.RESOURCE_CONFLICT,
    412: Code.RESOURCE_CONFLICT,
    429: Code.REQUEST_LIMIT_EXCEEDED,
    501: Code.NOT_IMPLEMENTED,
    503: Code.TEMPORARILY_UNAVAILABLE,
}


def refusal_of(error: ProblemError) -> Refusal:
    """What an error of Regesta is here: rules of other plugins, permissions, a database that is away."""
    code = _BY_STATUS.get(error.status, Code.INVALID_PARAMETER_VALUE)
    if isinstance(error, Duplicate):
        code = Code.RESOURCE_ALREADY_EXISTS
    said = [error.detail] if error.detail else []
    said += [f"{'.'.join(map(str, issue.loc[1:]))}: {issue.message}" for issue in error.issues]
    return Refusal("; ".join(dict.fromkeys(said)) or error.title, code, error.headers.get("Retry-After", ""))


def unknown_model(name: str) -> Refusal:
    """There is no model of this name."""
    return Refusal(f"Registered Model with name={name} not found", Code.RESOURCE_DOES_NOT_EXIST)


def unknown_version(name: str, number: object) -> Refusal:
    """There is no such version, or no such model."""
    return Refusal(f"Model Version (name={name}, version={number}) not found", Code.RESOURCE_DOES_NOT_EXIST)


def unknown_alias(alias: str) -> Refusal:
    """An alias that stands for nothing: a bad parameter to these clients."""
    return Refusal(f"Registered model alias {alias} not found.")


def missing(name: str) -> Refusal:
    """A required field is not there."""
    return Refusal(f"Missing value for required parameter '{name}'.")


def wrong(name: str, value: Any, rule: str) -> Refusal:
    """A field has a value that it cannot have."""
    shown = orjson.dumps(value, default=str).decode()
    return Refusal(f"Invalid value {shown[:200]} for parameter '{name}' supplied: {rule}")


def answer_of(refusal: Refusal) -> Response:
    """The refusal on the wire."""
    body = {"error_code": refusal.code.name, "message": refusal.message[:LONGEST]}
    headers = {"Retry-After": refusal.retry_after} if refusal.retry_after else None
    return Response(orjson.dumps(body), refusal.code.status, headers, JSON)
