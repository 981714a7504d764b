"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) on POST."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from regesta.errors import Invalid, Issue, Malformed
from regesta.http.responses import JsonResponse
from regesta.operations.repeats import Answer, Repeats

_NAME = b"idempotency-key"
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}\Z")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"\Z')

PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible characters: the same request sent again within a day has one effect, and gets "
    "the same answer with `Idempotency-Replayed: true`.",
    "schema": {"type": "string", "pattern": r'^(?:[!#-~][!-~]{0,254}|"[!#-\[\]-~]{1,255}")$'},
}


def idempotency_key_of(request: Request) -> str | None:
    """The header's value, without the quotes of a structured string; None without one. Raises Malformed."""
    sent = [value for name, value in request.scope["headers"] if name == _NAME]
    if not sent:
        return None
    text: str = sent[0].decode("latin-1").strip(" \t")
    if len(sent) == 1 and text.startswith('"'):
        quoted = _QUOTED.match(text)
        text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    if len(sent) != 1 or not _VISIBLE.match(text):
        raise Malformed("Idempotency-Key: send 1 to 255 visible characters, once", code="INVALID_IDEMPOTENCY_KEY")
    return text


def refuse_idempotency_key(request: Request, said: str, type: str = "not_kept") -> None:
    """Raises Invalid for a request whose answer is not kept. `said`: what is, and what to do instead; its `type`."""
    if idempotency_key_of(request) is not None:
        raise Invalid.of([Issue(("header", "Idempotency-Key"), said, type)])


async def answer_once(repeats: Repeats, seconds: float, perform: Callable[[Repeats], Awaitable[Answer]]) -> Response:
    """What `perform` answers, or has answered before."""
    answer, replayed = await repeats.once(seconds, perform)
    marked = {"Idempotency-Replayed": "true"} if replayed else {}
    return JsonResponse(answer.body, answer.status, {**answer.headers, **marked})
