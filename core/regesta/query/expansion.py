"""`expand=`: which references are followed."""

from collections.abc import Collection
from typing import Any

from .conditions import escaped
from .parameters import Parameter

MAX_NAMES = 10
MAX_SHOWN = 64

# Wire names, each with what is followed below it.
Expansion = dict[str, Any]


def expand_parameter(names: Collection[str]) -> Parameter:
    """`expand`: of these dotted names; read into a tree of them."""

    def read(text: str) -> Expansion:
        asked = text.split(",")
        tree: Expansion = {}
        for name in asked:
            if name not in names:
                raise ValueError(f"{name[:MAX_SHOWN]!r} cannot be expanded; there are {', '.join(names)}")
            level = tree
            for part in name.split("."):
                level = level.setdefault(part, {})
        if len(asked) > MAX_NAMES:
            raise ValueError(f"names more than {MAX_NAMES} references")
        return tree

    one = f"(?:{'|'.join(map(escaped, names))})"
    schema = {"type": "string", "pattern": f"^{one}(?:,{one}){{0,{MAX_NAMES - 1}}}$"}
    said = (
        f"Objects in place of references: up to {MAX_NAMES} of {', '.join(names)}, separated by commas. "
        "A reference to what is gone, or is not to be seen, stays as it is."
    )
    return Parameter(read, schema, said)
