"""How paths name a version: by its number, and in reads also by `latest` or an alias."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path
from pydantic import WithJsonSchema

from regesta import KeyAlias
from regesta_models.parts import LARGEST


def _with_alias(text: str) -> Mapping[str, Any]:
    return {"aliases": text.removeprefix("@")}


LATEST = KeyAlias(
    pattern="latest",
    description="`latest` is the version with the highest number, whatever its status.",
    sort=[("number", -1)],
)
AT_ALIAS = KeyAlias(
    pattern=r"@[A-Za-z0-9_\-]{1,255}",
    description="`@production` is the version that the alias `production` stands for.",
    where=_with_alias,
)
VERSION_ALIASES = (LATEST, AT_ALIAS)

_NUMBER = {"type": "integer", "minimum": -LARGEST - 1, "maximum": LARGEST}
_SAID = "The number of the version."

# A text, as keys in paths are read everywhere: "01" is no number of a version.
VersionKey = Annotated[str, WithJsonSchema(_NUMBER), Path(description=_SAID)]
# Of reads, which resolve it by `resolve_path_keys`.
AnyVersionKey = Annotated[
    str,
    WithJsonSchema({"anyOf": [_NUMBER, *(alias.schema for alias in VERSION_ALIASES)]}),
    Path(description=" ".join([_SAID, *(alias.description for alias in VERSION_ALIASES)])),
]
# The header of their answers.
LOCATED: dict[str, Any] = {
    "Content-Location": {
        "description": "The path with the number, if the request's had an alias.",
        "schema": {"type": "string"},
    }
}
