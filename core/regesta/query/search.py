"""`q=`: words that MongoDB's text index of a document is searched for."""

from collections.abc import Mapping
from typing import Any

from regesta.errors import Invalid, Issue

from .fields import Catalogue
from .indexes import TextIndex, text_index
from .parameters import Parameter

PARAMETER = "q"
MAX_SEARCH = 256


def searchable(catalogue: Catalogue) -> TextIndex | None:
    """The document's text index, where all that it covers is shown to clients; else they could ask what is hidden."""
    index = text_index(catalogue.document)
    return index if index and all(catalogue.at(path) for path in index.paths) else None


def search_parameter(names: str) -> Parameter:
    """`q`: read into MongoDB's `$text`. The text is data: no other operator can come of it."""

    def read(text: str) -> dict[str, Any]:
        if not text:
            raise ValueError("must not be empty")
        if len(text) > MAX_SEARCH:
            raise ValueError(f"must not be longer than {MAX_SEARCH} characters")
        return {"$text": {"$search": text}}

    schema = {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH, "pattern": "^[^\\u0000]+$"}
    said = (
        f"Only where one of these words is in {names}, in any form of it; `-word`: where it is not; "
        '`"some words"`: where they follow each other. The order stays that of `sort`.'
    )
    return Parameter(read, schema, said)


def check_prefix(index: TextIndex | None, together: Mapping[str, Any]) -> None:
    """Raises Invalid where a search lacks the equality that MongoDB wants on what stands before it in its index."""
    parts = [together, *together.get("$and", ())]
    for path in index.prefix if index else ():
        compared = [part[path] for part in parts if path in part]
        if not any(not isinstance(found, Mapping) or "$eq" in found for found in compared):
            raise Invalid.of([Issue(("query", PARAMETER), f"needs {path}=... beside it", "not_indexed")])
