"""Request headers, read strictly."""

import re
from collections.abc import Iterable
from email.message import Message
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from regesta.errors import Malformed, NotFound, PreconditionFailed, UnsupportedMedia
from regesta.operations import NO_CONDITION, Count, Precondition

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

# Characters; a media type with its charset has some 50.
MAX_MEDIA_TYPE = 256

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Empty elements of a list are to be ignored (RFC 9110, 5.6.1.2).
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*\Z")
_ONE_TAG = re.compile(_TAG)


def has_condition(request: Request) -> bool:
    """Whether `If-Match` or `If-None-Match` was sent: cheaper than to read both, and most reads send none."""
    return any(name in _CONDITIONS for name, _ in request.scope["headers"])


_CONDITIONS = (b"if-match", b"if-none-match")


def precondition_of(request: Request) -> Precondition:
    """`If-Match` and `If-None-Match` of a write. Raises Malformed."""
    if not has_condition(request):
        return NO_CONDITION
    if_match, if_none_match = tags_of(request, "if-match"), tags_of(request, "if-none-match")
    return Precondition(_strong(if_match), frozenset(opaque(tag) for tag in if_none_match))


def if_match_of(text: str) -> Precondition:
    """`If-Match` as a value of its own. Raises Malformed."""
    return Precondition(_strong(tags_in(text, "if_match")))


def _strong(tags: frozenset[str]) -> frozenset[str]:
    """Tags for the strong comparison: a weak one keeps its mark, and so is equal to none."""
    return frozenset(tag if tag.startswith("W/") else opaque(tag) for tag in tags)


def tags_of(request: Request, header: str) -> frozenset[str]:
    """The entity tags of a header as they stand there, or `*`. Raises Malformed (RFC 9110, 8.8.3)."""
    lines = request.headers.getlist(header)
    return tags_in(",".join(lines), header) if lines else frozenset()


def tags_in(text: str, header: str) -> frozenset[str]:
    """The entity tags in a header's value, or `*`. Raises Malformed."""
    if text.strip() == "*":
        return frozenset("*")
    if not _TAGS.match(text):
        raise Malformed(f'{header}: send "*" or ETags as they were given, in double quotes', code="INVALID_ETAG")
    return frozenset(_ONE_TAG.findall(text))


def is_wanted(request: Request, etag: str) -> bool:
    """Whether the client lacks what has this tag. Raises PreconditionFailed where it means another."""
    if_match, if_none_match = tags_of(request, "if-match"), tags_of(request, "if-none-match")
    if if_match and "*" not in if_match and f'"{etag}"' not in if_match:
        raise PreconditionFailed("the document has another ETag")
    return not ("*" in if_none_match or etag in map(opaque, if_none_match))


def opaque(tag: str) -> str:
    """A tag's text, for the weak comparison of `If-None-Match`. The tag `"*"` keeps its quotes: it is not `*`."""
    text = tag.removeprefix("W/")
    return text if text == '"*"' else text.strip('"')


def count_of(request: Request) -> Count | None:
    """`Prefer: count=exact|estimated` (RFC 7240); preferences that mean nothing here are ignored."""
    for line in request.headers.getlist("prefer"):
        for preference in line.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            if name.strip().lower() == "count" and value.strip().strip('"').lower() in set(Count):
                return Count(value.strip().strip('"').lower())
    return None


def media_type_of(request: Request, *accepted: str) -> str:
    """Which of the accepted media types the body has. Raises UnsupportedMedia for another, a charset or a coding."""
    if any(coding.lower() != "identity" for coding in request.headers.getlist("content-encoding")):
        raise UnsupportedMedia("send the body without a Content-Encoding", headers={"Accept-Encoding": "identity"})
    sent = ", ".join(request.headers.getlist("content-type"))
    if sent == accepted[0]:
        return sent
    if len(sent) > MAX_MEDIA_TYPE:  # parsing takes time that grows with the square of the length
        raise UnsupportedMedia(f"send the body as {' or '.join(accepted)}", headers=_accept(request.method, accepted))
    header = Message()
    header["content-type"] = sent or "none/none"
    if header.get_content_type() not in accepted:
        raise UnsupportedMedia(f"send the body as {' or '.join(accepted)}", headers=_accept(request.method, accepted))
    charset = header.get_param("charset", "utf-8")
    if not isinstance(charset, str) or charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(
            "JSON is UTF-8 (RFC 8259): send no other charset", headers=_accept(request.method, accepted)
        )
    return header.get_content_type()


def has_untyped_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether these headers announce a body and do not say what it is."""
    body = False
    for name, value in headers:
        if name == b"content-type" and value.strip():
            return False
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 ")):
            body = True
    return body


def refuse_untyped_body(request: Request) -> None:
    """Raise UnsupportedMedia if the request has a body without a Content-Type.

    A web page can make a browser send such a body to any server without asking it first.
    """
    if has_untyped_body(request.scope["headers"]):
        raise UnsupportedMedia(UNTYPED)


UNTYPED = "a request with a body needs a Content-Type that says what the body is, such as application/json"


def check_path(request: Request, *, slashes_after: str = "") -> None:
    """Refuse paths whose decoding is ambiguous.

    Servers decode `%2f` into a separator and replace what is not UTF-8; the router's patterns let a
    trailing newline pass; NUL is part of no text that may be stored. Where a route ends in a parameter of several
    segments, `slashes_after` is what stands in front of it (`/artifacts/`): behind that `%2f` is a slash like any
    other, as generated clients send it. Raises Malformed, NotFound.
    """
    path: str = request.scope["path"]
    raw: bytes = request.scope.get("raw_path") or b""
    if b"%" not in raw and path.isascii():
        return
    try:
        unquote_to_bytes(raw.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        raise Malformed("the path is not UTF-8", code="INVALID_PATH") from None
    keys = raw.partition(slashes_after.encode())[0] if slashes_after else raw
    if b"%2f" in keys.lower() or path.endswith("\n") or "\x00" in path:
        raise NotFound("no key contains '/' or NUL, or ends with a line break")


def _accept(method: str, accepted: tuple[str, ...]) -> dict[str, str]:
    return {"Accept-Patch" if method == "PATCH" else "Accept": ", ".join(accepted)}
