"""`fields=`: parts of an answer."""

from collections.abc import Mapping
from typing import Any

Selection = Mapping[str, "Selection | None"]


def selection_of(paths: tuple[str, ...]) -> Selection:
    """A tree of dotted wire names; None stands for all below."""
    tree: dict[str, Any] = {}
    for path in paths:
        *above, last = path.split(".")
        level = tree
        for part in above:
            level = level.setdefault(part, {})
        level[last] = None
    return tree


def select(value: Any, selection: Selection) -> Any:
    """Only the selected names of an object, or of each object in a list."""
    if isinstance(value, list):
        return [select(item, selection) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: value[name] if below is None else select(value[name], below)
        for name, below in selection.items()
        if name in value
    }
