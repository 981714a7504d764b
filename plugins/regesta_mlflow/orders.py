"""`order_by`: keys and directions, and what decides between equals."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regesta_mlflow.errors import Refusal

_DIRECTIONS = {"": 1, "ASC": 1, "DESC": -1}
_KEY = re.compile(r"\s*(?:`([^`]*)`|([^\s,]+))(?:\s+(.*?))?\s*\Z", re.DOTALL)

Sort = list[tuple[str, int]]


@dataclass(frozen=True)
class Ordered:
    """How searches of one kind of thing can be ordered.

    `keys` leads from what clients write to stored fields, `ties` are appended, `default` stands where nothing is
    asked for. `unknown` is what is said of other keys.
    """

    keys: Mapping[str, str]
    ties: Sequence[tuple[str, int]]
    default: Sequence[tuple[str, int]]
    unknown: str

    def sort(self, clauses: Sequence[str]) -> Sort:
        """The order as MongoDB sorts. Raises Refusal."""
        found: Sort = []
        for clause in clauses:
            stored, direction = self._read(clause)
            if stored in {known for known, _ in found}:
                raise Refusal(f"`order_by` contains duplicate fields: {clause!r}")
            found.append((stored, direction))
        if not found:
            return list(self.default)
        named = {stored for stored, _ in found}
        return found + [tie for tie in self.ties if tie[0] not in named]

    def _read(self, clause: str) -> tuple[str, int]:
        match = _KEY.match(clause)
        if match is None:
            raise Refusal(f"Invalid order_by clause '{clause}'")
        quoted, bare, direction = match.groups()
        if len((direction or "").split()) > 1:
            raise Refusal(f"Invalid order_by clause '{clause}'")
        if (direction or "").upper() not in _DIRECTIONS:
            raise Refusal(f"Invalid ordering key in order_by clause '{clause}'")
        key = quoted if quoted is not None else bare
        if key not in self.keys:
            raise Refusal(f"{self.unknown.format(key)}: there are {', '.join(self.keys)}")
        return self.keys[key], _DIRECTIONS[(direction or "").upper()]
