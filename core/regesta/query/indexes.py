"""The indexes that a document declares, and which filters and orders they serve."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beanie import Document
from beanie.odm.fields import IndexedAnnotation
from pymongo import IndexModel

from regesta.resource import Resource

logger = logging.getLogger("regesta.query")

WILDCARD = "$**"
ORDERED = (1, -1)

# An index with one of these lacks documents, or is in another order than comparisons without it.
PARTIAL = frozenset({"partialFilterExpression", "collation", "hidden"})

EQUAL = frozenset({"$eq", "$in"})
BOUNDED = EQUAL | {"$gt", "$gte", "$lt", "$lte"}


@dataclass(frozen=True, slots=True)
class Index:
    """One index: stored paths with their directions (1, -1, `hashed`, `text`, ...), and its options."""

    keys: tuple[tuple[str, Any], ...]
    options: Mapping[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether comparisons and orders may use it: it knows every document, or every one with a value."""
        plain = all(way in (*ORDERED, "hashed") and WILDCARD not in path for path, way in self.keys)
        return plain and not self.options.keys() & PARTIAL


@dataclass(frozen=True, slots=True)
class TextIndex:
    """What `q=` searches: the stored paths, and those before them that MongoDB needs an equality on."""

    paths: tuple[str, ...]
    prefix: tuple[str, ...]


def indexes(document: type[Document]) -> Iterator[Index]:
    """What `Indexed` and `Settings.indexes` declare. MongoDB's own on `_id` is not among them."""
    for name, field in document.model_fields.items():
        annotations = [item for item in field.metadata if isinstance(item, IndexedAnnotation)]
        # The annotation itself: the older form, `year: Indexed(int)`.
        for holder in (*annotations, field.annotation):
            declared = getattr(holder, "_indexed", None)
            if declared is not None:
                yield Index(((field.alias or name, declared[0]),), declared[1])
    for settings in _index_settings(document):
        for index in settings:
            model = index if isinstance(index, IndexModel) else IndexModel(index)
            options = {name: value for name, value in model.document.items() if name not in ("key", "name")}
            yield Index(tuple(model.document["key"].items()), options)


def text_index(document: type[Document]) -> TextIndex | None:
    """The text index of a document: MongoDB allows one. None where there is none."""
    for index in indexes(document):
        ways = [way for _, way in index.keys]
        if "text" in ways:
            paths = tuple(path for path, way in index.keys if way == "text")
            return TextIndex(paths, tuple(path for path, _ in index.keys[: ways.index("text")]))
    return None


def bound_paths(resource: Resource[Any]) -> frozenset[str]:
    """The stored paths that every request to a resource compares with one value: of its parent and its scope."""
    fields = resource.document.model_fields
    names = set(resource.bound_fields) & fields.keys()
    return frozenset(fields[name].alias or name for name in names)


class Serving:
    """What the indexes of a document serve, where each request compares the `bound` paths with one value.

    Those may stand anywhere in an index: MongoDB takes them for constants, and so does what is left of it here.
    """

    def __init__(self, document: type[Document], bound: frozenset[str]) -> None:
        whole = [index for index in indexes(document) if index.is_whole] + [Index((("_id", 1),), {})]
        left = [tuple(key for key in index.keys if key[0] not in bound) for index in whole]
        first = [keys[0] for keys in left if keys] + [index.keys[0] for index in whole]
        self.compared = frozenset(path for path, _ in first)
        self._ordered = frozenset(path for path, way in first if way in ORDERED)
        self._below = tuple(_wildcards(document, bound))
        self._orders = [keys for index, keys in zip(whole, left, strict=True) if not index.options.get("sparse")]

    def finds(self, path: str) -> bool:
        """Whether an index begins with the path; of one that ends with ".", with whatever lies below it."""
        return path in self._below if path.endswith(".") else path in self.compared

    def orders(self) -> Iterator[tuple[tuple[str, int], ...]]:
        """Every order that the beginning of an index has, and its opposite."""
        for keys in self._orders:
            for length in range(1, len(keys) + 1):
                if keys[length - 1][1] not in ORDERED:
                    break
                yield keys[:length]
                yield tuple((path, -way) for path, way in keys[:length])

    def serves_order(self, sort: Sequence[tuple[str, int]]) -> bool:
        """Whether an index has the documents in this order, so that none is sorted in memory."""
        return tuple(sort) in set(self.orders())

    def serves(self, filter_: Mapping[str, Any]) -> bool:
        """Whether an index narrows what is looked at: in each branch, something is compared that one begins with."""
        return any(self._serves_one(path, condition) for path, condition in filter_.items())

    def _serves_one(self, path: str, condition: Any) -> bool:
        match path:
            case "$and":
                return any(map(self.serves, condition))
            case "$or":
                return all(map(self.serves, condition))
            case "$text":
                return True
        if isinstance(condition, Mapping) and "$elemMatch" in condition:
            return any(self._serves_one(f"{path}.{inner}", asked) for inner, asked in condition["$elemMatch"].items())
        return self._narrows(path, condition if isinstance(condition, Mapping) else {"$eq": condition})

    def _narrows(self, path: str, condition: Mapping[str, Any]) -> bool:
        below = path.startswith(self._below) if self._below else False
        if path not in self.compared and not below:
            return False
        ordered = below or path in self._ordered
        usable = BOUNDED if ordered else EQUAL
        return any(
            (operator in usable and operand is not None)
            or (ordered and _is_prefix(operator, operand))
            or (below and operator == "$exists" and operand is True)
            for operator, operand in condition.items()
        )


def _wildcards(document: type[Document], bound: frozenset[str]) -> Iterator[str]:
    """The beginnings of all paths that wildcard indexes know: `params.` of `params.$**`."""
    for index in indexes(document):
        left = [path for path, way in index.keys if path not in bound and way in ORDERED]
        if len(left) == 1 and left[0].endswith(f".{WILDCARD}") and not index.options.keys() & PARTIAL:
            yield left[0].removesuffix(WILDCARD)


def _is_prefix(operator: str, operand: Any) -> bool:
    return operator == "$regex" and len(operand) > 1 and operand[0] == "^"


def described(paths: Iterable[str]) -> str:
    """Names for people: `a, b`; `nothing` where there are none."""
    return ", ".join(paths) or "nothing"


def warn(said: str, refused: Iterable[tuple[str, str]], *, served: bool) -> None:
    """Log what is listed and refused, each a `filter` or `sort` with its name; `served`: of the default order."""
    for what, name in refused:
        ending = " and ends with `_id`" if what == "sort" else ""
        logger.warning(
            "%s: no index serves the %s %r, so it is refused: declare an index that begins with it, after fields of "
            "the parent or scope (scope_fields)%s; or do not list it",
            *(said, what, name, ending),
        )
    if not served:
        logger.warning("%s: no index serves the default sort: declare one, or another default_sort", said)


def _index_settings(document: type[Document]) -> Iterator[Any]:
    settings = getattr(document, "Settings", None)
    if getattr(settings, "merge_indexes", False):
        for parent in reversed(document.__mro__):
            yield getattr(parent.__dict__.get("Settings"), "indexes", ())
    else:
        yield getattr(settings, "indexes", ())
