"""Digests of bodies in header fields (RFC 9530)."""

import base64
import binascii
import re
from collections.abc import Mapping

from starlette.requests import Request

from regesta.errors import Invalid, Issue, Malformed

FIELDS = ("Content-Digest", "Repr-Digest")
ALGORITHM = "sha-256"
_BYTES = 32

# A dictionary of byte sequences (RFC 9651). Their parameters mean nothing; those that are texts could hold commas.
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^\",]*)?")


def sent_digests(request: Request) -> Mapping[str, str]:
    """The SHA-256 that the client says its body has, as hexadecimal digits, by the field that says it.

    Other algorithms beside it are ignored. Raises Malformed for what cannot be read, Invalid where none is SHA-256:
    the client would believe that its digest was checked.
    """
    return {name: _sha256(name, ", ".join(sent)) for name in FIELDS if (sent := request.headers.getlist(name))}


def repr_digest(sha256: str) -> str:
    """The value of `Repr-Digest` for a SHA-256 in hexadecimal digits."""
    return f"{ALGORITHM}=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _sha256(name: str, text: str) -> str:
    found = {}
    for member in text.split(","):
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is None:
            raise Malformed(f"{name}: send it as {ALGORITHM}=:BASE64:", code="INVALID_DIGEST")
        found[match[1]] = match[2]
    if ALGORITHM not in found:
        raise Invalid.of([Issue(("header", name.lower()), f"send {ALGORITHM}: others are not checked", "digest")])
    try:
        value = base64.b64decode(found[ALGORITHM], validate=True)
    except binascii.Error:
        value = b""
    if len(value) != _BYTES:
        raise Malformed(f"{name}: {ALGORITHM} is {_BYTES} bytes as base64", code="INVALID_DIGEST")
    return value.hex()
