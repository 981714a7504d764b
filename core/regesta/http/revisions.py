"""`If-None-Match` and `If-Match` of reads: what they say of a revision must still be true after a failover."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from regesta.errors import PreconditionFailed, ProblemError, Unavailable
from regesta.http.headers import has_condition, is_wanted
from regesta.http.problems import problem_response
from regesta.operations import Stored, stands


async def client_has(request: Request, stored: Stored[Any] | None, etag: str = "") -> bool:
    """Whether to answer 304: the client has what is shown of a stored document, and no failover takes that back.

    `etag` is the tag of what is shown, if that is not the document's own. Without a document nothing can be said.
    Raises Malformed; PreconditionFailed if the client means another revision, Unavailable if that may be the one after
    a failover.
    """
    if not has_condition(request):
        return False
    try:
        wanted = is_wanted(request, etag or (stored.etag if stored else ""))
    except PreconditionFailed:
        if stored is not None and not await stands(stored):
            raise Unavailable("the document has just changed, which a majority has not confirmed yet") from None
        raise
    return not wanted and stored is not None and await stands(stored)


class ConditionalResponse(Response):
    """An answer that is 304 instead if the client has it already: what `client_has` says when it is sent."""

    def __init__(self, request: Request, stored: Stored[Any], whole: Response, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=304, headers=dict(headers))
        self._request, self._stored, self._whole = request, stored, whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, or the problem that keeps it from being true."""
        try:
            answer = super().__call__ if await client_has(self._request, self._stored) else self._whole
        except ProblemError as error:
            answer = problem_response(error, scope["path"])
        await answer(scope, receive, send)
