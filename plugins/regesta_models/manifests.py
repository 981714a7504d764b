"""The files of a version as one list with one digest: one value says whether two versions have the same files."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from regesta_models.parts import Artifact


def canonical(value: Any) -> bytes:
    """JSON in the one form that RFC 8785 gives it, for values without fractions: sorted names, no spaces, UTF-8."""
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        # RFC 8785 sorts by UTF-16 code units, Python by code points.
        return {name: _ordered(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def digest_of(content: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits, as OCI writes digests."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def files_digest(artifacts: Iterable[Artifact]) -> str:
    """The digest over path, size and content of all files, whatever their order."""
    files = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in artifacts]
    return digest_of(canonical({"artifacts": sorted(files, key=lambda file: str(file["path"]).encode())}))
