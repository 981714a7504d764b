"""JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902) on documents as parsed JSON."""

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import jsonpatch
import jsonpointer
import orjson

from regesta.errors import Conflict, Invalid, Issue, TooLarge
from regesta.schemas import check_storable, value_count

MAX_OPERATIONS = 1000
# Bytes, and values, that all "copy" operations of one patch may add: each may double what is there.
MAX_COPIED, MAX_COPIED_VALUES = 1024 * 1024, 10_000


class Patch(Protocol):
    """A change that a client describes instead of sending the whole."""

    def touched(self) -> Collection[tuple[str, tuple[str | int, ...]]]:
        """The top-level fields that it may change, with where in the body it names them."""
        ...

    def apply(self, document: dict[str, Any]) -> Any:
        """The patched document; the argument stays as it is."""
        ...

    def read(self) -> Collection[str]:
        """The top-level fields that it takes values from."""
        ...

    def trace(self, origins: dict[str, Any]) -> dict[str, Any]:
        """What the patch makes of the origins of a document's parts (see origins.py), as far as that is certain."""
        ...

    def nulls(self) -> Collection[tuple[str, ...]]:
        """The paths of members that are removed, and that the client may have meant to set to null."""
        ...


class MergePatch:
    """A JSON Merge Patch. Raises Invalid where it is not an object."""

    def __init__(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise Invalid.of([Issue(("body",), "a merge patch of a document is a JSON object", "object_type")])
        self._body = body

    def touched(self) -> Collection[tuple[str, tuple[str | int, ...]]]:
        """Every field that it names."""
        return [(name, ("body", name)) for name in self._body]

    def apply(self, document: dict[str, Any]) -> Any:
        """The document with the patch merged into it."""
        return _merge(document, self._body)

    def read(self) -> Collection[str]:
        """None."""
        return ()

    def trace(self, origins: dict[str, Any]) -> dict[str, Any]:
        """The patch merged into them: what it leaves alone is where it was."""
        merged: dict[str, Any] = _merge(origins, self._body)
        return merged

    def nulls(self) -> Collection[tuple[str, ...]]:
        """All that it says null for: a merge patch cannot say "set to null"."""
        return list(_nulls(self._body))


class JsonPatch:
    """A JSON Patch. `hidden` top-level fields may be written but neither tested nor copied from.

    Raises Invalid with the position of every operation that is malformed or reaches for them.
    """

    def __init__(self, body: Any, hidden: Collection[str] = ()) -> None:
        if not isinstance(body, list) or len(body) > MAX_OPERATIONS:
            raise Invalid.of(
                [Issue(("body",), f"a JSON Patch is a list of at most {MAX_OPERATIONS} operations", "list_type")]
            )
        issues = [issue for index, operation in enumerate(body) for issue in _issues(index, operation, hidden)]
        if issues:
            raise Invalid.of(issues)
        self._body = body

    def touched(self) -> Collection[tuple[str, tuple[str | int, ...]]]:
        """The first part of every path that an operation writes to or takes from."""
        fields = []
        for index, operation in enumerate(self._body):
            if operation["op"] != "test":
                fields.append((head_of(operation["path"]), ("body", index, "path")))
            if operation["op"] == "move":
                fields.append((head_of(operation["from"]), ("body", index, "from")))
        return fields

    def apply(self, document: dict[str, Any]) -> Any:
        """Raises Conflict where an operation does not fit the document (RFC 5789, 2.2).

        Raises Invalid where one makes what no body may hold: a pointer can name any key and go to any depth.
        """
        patched = self._applied(document)
        check_storable({name: patched[name] for name, _ in self.touched() if name in patched})
        return patched

    def read(self) -> Collection[str]:
        """The first part of every path that an operation copies or moves from."""
        return {head_of(operation["from"]) for operation in self._body if "from" in operation}

    def trace(self, origins: dict[str, Any]) -> dict[str, Any]:
        """The same operations; a document without the parts that one of them needs has no trace."""
        traced = copy.deepcopy(origins)
        try:
            for operation in copy.deepcopy(self._body):
                if operation["op"] != "test":
                    traced = jsonpatch.apply_patch(traced, [operation], in_place=True)
        except _DOES_NOT_FIT:
            return {}
        return traced

    def nulls(self) -> Collection[tuple[str, ...]]:
        """None: a JSON Patch says null if it means that."""
        return ()

    def _applied(self, document: dict[str, Any]) -> dict[str, Any]:
        patched = copy.deepcopy(document)
        copied = values = 0
        # A copy: what one operation adds, the next may change, and the whole may have to be done again.
        for index, operation in enumerate(copy.deepcopy(self._body)):
            try:
                if operation["op"] == "test":
                    _test(patched, operation)
                    continue
                if operation["op"] == "copy":
                    copy_ = orjson.dumps(jsonpointer.resolve_pointer(patched, operation["from"]))
                    copied, values = copied + len(copy_), values + value_count(copy_)
                    if copied > MAX_COPIED or values > MAX_COPIED_VALUES:
                        raise TooLarge("the patch copies too much")
                patched = jsonpatch.apply_patch(patched, [operation], in_place=True)
            except _DOES_NOT_FIT as error:
                raise _conflict(index, error) from None
        return patched


def changes_between(before: Any, after: Any) -> list[dict[str, Any]]:
    """The JSON Patch from one document to another; None stands for no document.

    No operation takes from one field of the document what it puts into another: whoever may see one of them
    only, can be shown its part.
    """
    if before is None:
        return [{"op": "add", "path": "", "value": after}]
    if after is None:
        return [{"op": "remove", "path": ""}]
    return list(_in_mapping("", before, after, _in_field))


def _in_field(path: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    """What changed in a field of the document; where that is much, all of it is new."""
    found = list(islice(_in_value(path, before, after), MAX_OPERATIONS + 1))
    yield from found if len(found) <= MAX_OPERATIONS else [_replace(path, after)]


# In time that grows with the values, as libraries' do not: every write waits for it.


def _in_value(path: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _in_mapping(path, before, after, _in_value)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _in_list(path, before, after)
    elif not _same(before, after):
        yield _replace(path, after)


def _in_mapping(
    path: str, before: Mapping[str, Any], after: Mapping[str, Any], below: Callable[[str, Any, Any], Iterator[Any]]
) -> Iterator[dict[str, Any]]:
    for name in {**before, **after}:
        here = f"{path}/{jsonpointer.escape(name)}"
        if name not in after:
            yield {"op": "remove", "path": here}
        elif name not in before:
            yield {"op": "add", "path": here, "value": after[name]}
        elif not _same(before[name], after[name]):
            yield from below(here, before[name], after[name])


def _in_list(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What differs between the items that both lists begin with and those that both end with."""
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if not _same(before[at], after[at])), shorter)
    left = range(1, shorter - start + 1)
    end = next((at for at in left if not _same(before[-at], after[-at])), len(left) + 1) - 1
    both = shorter - end
    for at in range(start, both):
        yield from _in_value(f"{path}/{at}", before[at], after[at])
    for at in reversed(range(both, len(before) - end)):
        yield {"op": "remove", "path": f"{path}/{at}"}
    for at in range(both, len(after) - end):
        yield {"op": "add", "path": f"{path}/{at}", "value": after[at]}


def _replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def _same(one: Any, other: Any) -> bool:
    """The same in JSON, where 1, 1.0 and true are three things."""
    return one is other or orjson.dumps(one) == orjson.dumps(other)


def _nulls(patch: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a merge patch says null."""
    if patch is None:
        yield path
    elif isinstance(patch, dict):
        for name, below in patch.items():
            yield from _nulls(below, (*path, name))


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


_DOES_NOT_FIT = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    *(TypeError, KeyError, IndexError, ValueError, AttributeError),
)


def _conflict(index: int, error: Exception) -> Conflict:
    """What an operation ran into, in words of our own: the libraries' quote the document, with what is never shown."""
    if isinstance(error, jsonpatch.JsonPatchTestFailed):
        issue = Issue(("body", index), "the document has another value there, or none", "patch_test_failed")
        return Conflict(f"operation {index}: the test failed", code="PATCH_TEST_FAILED", issues=[issue])
    issue = Issue(("body", index), "does not fit the document", "patch_conflict")
    return Conflict(f"operation {index} does not fit the document", code="PATCH_CONFLICT", issues=[issue])


def _test(document: Any, operation: Mapping[str, Any]) -> None:
    """The "test" operation (RFC 6902, 4.6). jsonpatch compares as Python does, where true is 1."""
    try:
        found = jsonpointer.resolve_pointer(document, operation["path"])
    except jsonpointer.JsonPointerException:
        raise jsonpatch.JsonPatchTestFailed from None
    if not _equal(found, operation["value"]):
        raise jsonpatch.JsonPatchTestFailed


def _equal(one: Any, other: Any) -> bool:
    """Equal in JSON: 1 is 1.0, and true is no number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


_MEMBERS = {
    "add": {"path", "value"},
    "replace": {"path", "value"},
    "test": {"path", "value"},
    "remove": {"path"},
    "move": {"path", "from"},
    "copy": {"path", "from"},
}


def _issues(index: int, operation: Any, hidden: Collection[str]) -> list[Issue]:
    loc = ("body", index)
    if not isinstance(operation, Mapping):
        return [Issue(loc, "an operation is a JSON object", "object_type")]
    name = operation.get("op")
    members = _MEMBERS.get(name) if isinstance(name, str) else None
    if members is None:
        return [Issue((*loc, "op"), f"must be one of {', '.join(_MEMBERS)}", "enum")]
    issues = [Issue((*loc, member), "is missing", "missing") for member in sorted(members - operation.keys())]
    for member in members & {"path", "from"} & operation.keys():
        issues += _pointer_issues((*loc, member), operation[member])
    reads = {"test": "path", "copy": "from", "move": "from"}.get(str(name))
    if reads and not issues and head_of(operation[reads]) in hidden:
        issues.append(Issue((*loc, reads), "is never shown, so it cannot be read by a patch", "write_only"))
    return issues


def _pointer_issues(loc: tuple[str | int, ...], pointer: Any) -> list[Issue]:
    if not isinstance(pointer, str):
        return [Issue(loc, "must be a JSON Pointer", "string_type")]
    if not pointer:
        return [Issue(loc, "names the whole document: use PUT to replace it", "json_pointer")]
    try:
        jsonpointer.JsonPointer(pointer)
    except jsonpointer.JsonPointerException:
        return [Issue(loc, "is no JSON Pointer (RFC 6901): it starts with '/'", "json_pointer")]
    return []


def head_of(pointer: str) -> str:
    """The first part of a JSON Pointer that has one."""
    return str(jsonpointer.JsonPointer(pointer).parts[0])
