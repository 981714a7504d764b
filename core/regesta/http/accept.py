"""Which form of an answer a client prefers (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from starlette.requests import Request

from regesta.errors import NotAcceptable
from regesta.http.headers import JSON

_WEIGHT = re.compile(r"(?:1(?:\.0{0,3})?|0(?:\.[0-9]{0,3})?)\Z")


class Form(StrEnum):
    """The forms of an answer beside JSON: two of an export, and that of a watch."""

    NDJSON = "application/x-ndjson"
    CSV = "text/csv"
    EVENTS = "text/event-stream"


_NAMES = {str(form): form for form in Form} | {"application/ndjson": Form.NDJSON}
# What most requests send: spares looking into it.
_USUAL = frozenset({b"*/*", b"application/json"})


def form_of(request: Request) -> Form | None:
    """The form that the client named and prefers to JSON; None for JSON, as most requests want it.

    A wildcard names nothing. Of two with the same weight the one that is named more exactly is meant, then JSON.
    """
    for name, value in request.scope["headers"]:
        if name == b"accept" and value not in _USUAL:
            text = value.lower()
            if b"ndjson" in text or b"csv" in text or b"event-stream" in text:
                return _preferred(dict(_ranges(",".join(request.headers.getlist("accept")))))
    return None


def preferred(request: Request, *offered: str) -> str:
    """Which of the media types that are offered the client prefers: of equals, and where it says nothing, the first.

    Raises NotAcceptable where it accepts none of them.
    """
    accepted = ",".join(request.headers.getlist("accept"))
    if not accepted.strip():
        return offered[0]
    weights = dict(_ranges(accepted))
    best = max(offered, key=lambda name: _weight(weights, name))
    if not _weight(weights, best):
        raise NotAcceptable(f"there is {', '.join(offered)}")
    return best


def _weight(weights: Mapping[str, float], name: str) -> float:
    """By the most exact range that names it."""
    ranges = (name, f"{name.partition('/')[0]}/*", "*/*")
    return next((weights[known] for known in ranges if known in weights), 0.0)


def _preferred(weights: Mapping[str, float]) -> Form | None:
    found = next((name for name in (JSON, "application/*", "*/*") if name in weights), JSON)
    best, form = (weights.get(found, 0.0), found == JSON), None
    for name, named in _NAMES.items():
        weight = weights.get(name, 0.0)
        if weight and (weight, True) > best:
            best, form = (weight, True), named
    return form


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    """The media ranges with their weights; one whose weight cannot be read is left out."""
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((piece[2:].strip() for piece in parameters if piece.startswith("q=")), "1")
        if _WEIGHT.match(weight):
            yield name, float(weight)
