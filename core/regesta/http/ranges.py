"""Parts of a representation (RFC 9110, 14)."""

import re

from starlette.requests import Request

from regesta.errors import RangeNotSatisfiable

_RANGE = re.compile(r"[ \t]*bytes=[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*", re.IGNORECASE)


def byte_range(request: Request, etag: str, size: int) -> range | None:
    """Which bytes of `size` a GET asks for; None for all of them.

    One range is served, also one of the last bytes. What is no range, several ranges, and a range of another
    state (`If-Range`) ask for all, as RFC 9110 lets it. Raises RangeNotSatisfiable.
    """
    sent = request.headers.getlist("range")
    match = _RANGE.fullmatch(sent[0]) if len(sent) == 1 and request.method == "GET" else None
    if match is None or match[1] == match[2] == "":
        return None
    if request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        return None
    if not match[1]:
        wanted = range(max(size - int(match[2]), 0), size)
    else:
        first, last = int(match[1]), int(match[2] or size)
        if match[2] and last < first:
            return None
        wanted = range(first, min(last + 1, size))
    if not wanted:
        raise RangeNotSatisfiable(size)
    return wanted
