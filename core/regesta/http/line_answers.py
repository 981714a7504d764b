"""A body of lines, answered by lines while it is still read: constant memory, whatever the size."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from regesta.errors import Malformed, ProblemError, TooLarge
from regesta.http.accept import Form
from regesta.http.headers import media_type_of, precondition_of
from regesta.http.idempotency import refuse_idempotency_key
from regesta.http.lines import Line, Lines
from regesta.http.outbox import Outbox
from regesta.http.problems import problem_body, problem_response
from regesta.http.received import small_pieces_of
from regesta.pacing import Pace
from regesta.schemas import json_line, read_json

NDJSON = (str(Form.NDJSON), "application/ndjson")
# What is said of an Idempotency-Key, and its type.
REPEATED = "is not for imports, which are not kept: repeat one with ?on_conflict=skip"
NOT_FOR_IMPORTS = "not_for_imports"


@dataclass(frozen=True, slots=True)
class LineResult:
    """What became of a line: one of the outcomes that are counted, and what else is said of it."""

    outcome: str
    status: int
    said: dict[str, Any]


def answer_lines(
    request: Request,
    write: Callable[[Any], Awaitable[LineResult]],
    outcomes: Sequence[str],
    *,
    limit: int,
) -> Response:
    """Call `write` with the JSON of each line of the body, one after the other, and answer a line for each.

    What it raises as a problem is the answer of that line, and the others go on. The last line is the summary: how
    often each of the `outcomes` came, and `failed`. `limit`: bytes of a line. Raises UnsupportedMedia where the body
    is no NDJSON, PreconditionFailed, Invalid for an Idempotency-Key: what a line writes stands when it is answered.
    """
    media_type_of(request, *NDJSON)
    precondition_of(request).check(None)
    refuse_idempotency_key(request, REPEATED, NOT_FOR_IMPORTS)
    summary = dict.fromkeys((*outcomes, "failed"), 0)

    async def one(line: Line) -> dict[str, Any]:
        try:
            if line.text is None:
                raise TooLarge(f"a line may have at most {limit} bytes")
            result = await write(read_json(line.text))
        except ProblemError as error:
            summary["failed"] += 1
            return failed_line(request, line, error)
        summary[result.outcome] += 1
        return {"line": line.number, "status": result.status, **result.said}

    async def run(outbox: Outbox) -> None:
        lines, pace = Lines(limit), Pace()
        async with aclosing(small_pieces_of(request)) as pieces:
            async for data in pieces:
                for line in lines.feed(data):
                    await outbox.put(json_line(await one(line)))
                    await pace.rest()
        for line in lines.rest():
            await outbox.put(json_line(await one(line)))
        await outbox.put(json_line({"summary": summary}))

    return LinesAnswer(run)


def failed_line(request: Request, line: Line, error: ProblemError) -> dict[str, Any]:
    """The answer of a line that a problem refused."""
    instance = request.scope["path"]
    problem = problem_body(error.status, error.code, error.title, error.detail, instance=instance, issues=error.issues)
    return {"line": line.number, "status": error.status, "problem": problem}


class LinesAnswer(Response):
    """The results, as they come."""

    def __init__(self, run: Callable[[Outbox], Awaitable[None]]) -> None:
        self._run = run
        self.status_code = 200
        self.background = None
        self.body = b""
        self.media_type = Form.NDJSON
        self.init_headers()
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, write and answer. Where the client goes away, what was acknowledged stays, and nothing half.

        Where it sends no more, the connection is broken off; or a problem is answered, where nothing was yet.
        """
        begun = False

        async def sending(data: bytes) -> None:
            nonlocal begun
            if not begun:
                # Not before something was read: that tells a client that waits for it (100) to go on.
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                begun = True
            await send({"type": "http.response.body", "body": data, "more_body": True})

        try:
            async with Outbox(sending) as outbox:
                await self._run(outbox)
        except ClientDisconnect:
            return
        except Malformed as error:
            if begun:
                raise
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
