"""The body of a batch: what it may say, read strictly."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from regesta.declarations import Operation
from regesta.errors import Invalid, Issue, Location, Malformed
from regesta.http.headers import if_match_of
from regesta.operations import NO_CONDITION, Operations, Precondition
from regesta.resource import Resource

# Its members, and whether one must be there.
_MEMBERS: Mapping[Operation, Mapping[str, bool]] = {
    Operation.CREATE: {"op": True, "body": True},
    Operation.REPLACE: {"op": True, "key": True, "body": True, "if_match": False, "allow_missing": False},
    Operation.PATCH: {"op": True, "key": True, "body": True, "if_match": False},
    Operation.DELETE: {"op": True, "key": True, "if_match": False, "cascade": False},
}
_KINDS: Mapping[str, tuple[type, str]] = {
    "key": (str, "must be a text: the key as it stands in the path"),
    "if_match": (str, 'must be a text: "*" or an ETag in double quotes'),
    "allow_missing": (bool, "must be true or false"),
    "cascade": (bool, "must be true or false"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One operation of a batch. `key` is None where it creates."""

    operation: Operation
    key: str | None = None
    body: Any = None
    condition: Precondition = NO_CONDITION
    allow_missing: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class BatchBody:
    """All of it. An item that the resource does not offer is the issue that says so."""

    atomic: bool
    items: tuple[Item | Invalid, ...]


def members_of(operations: Operations[Any], operation: Operation) -> Mapping[str, bool]:
    """The members of an operation in batches of this resource, and whether one must be there."""
    resource = operations.resource
    without = set() if resource.key not in resource.read_only else {"allow_missing"}
    without |= set() if operations.children else {"cascade"}
    return {name: needed for name, needed in _MEMBERS[operation].items() if name not in without}


def read_batch(operations: Operations[Any], tree: Any) -> BatchBody:
    """The batch in a body. Raises Invalid with everything that is wrong with its form."""
    resource = operations.resource
    if not isinstance(tree, dict):
        raise Invalid.of([Issue(("body",), "must be a JSON object", "object_type")])
    issues = _strangers(("body",), tree, ("atomic", "operations"))
    atomic, sent = tree.get("atomic", True), tree.get("operations")
    if not isinstance(atomic, bool):
        issues.append(Issue(("body", "atomic"), "must be true or false", "bool_type"))
    if not isinstance(sent, list) or not 1 <= len(sent) <= resource.max_batch:
        message = f"must be a list of 1 to {resource.max_batch} operations"
        raise Invalid.of([*issues, Issue(("body", "operations"), message, "list_type")])
    items = [_item(operations, ("body", "operations", index), one, issues) for index, one in enumerate(sent)]
    if issues:
        raise Invalid.of(issues)
    return BatchBody(atomic, tuple(item for item in items if item is not None))


def _item(operations: Operations[Any], loc: Location, sent: Any, issues: list[Issue]) -> Item | Invalid | None:
    if not isinstance(sent, dict):
        issues.append(Issue(loc, "must be a JSON object", "object_type"))
        return None
    name = sent.get("op")
    if not isinstance(name, str) or name not in _MEMBERS:
        issues.append(Issue((*loc, "op"), f"must be one of {', '.join(_MEMBERS)}", "enum"))
        return None
    operation = Operation(name)
    if operation not in operations.resource.in_batches:
        return _not_offered(operations.resource, operation)
    members = members_of(operations, operation)
    found = _strangers(loc, sent, members)
    found += [
        Issue((*loc, member), "is missing", "missing")
        for member, needed in members.items()
        if needed and member not in sent
    ]
    for member in sent.keys() & _KINDS.keys() & members.keys():
        kind, message = _KINDS[member]
        if not isinstance(sent[member], kind):
            found.append(Issue((*loc, member), message, f"{kind.__name__}_type"))
    condition = NO_CONDITION
    if isinstance(sent.get("if_match"), str):
        try:
            condition = if_match_of(sent["if_match"])
        except Malformed as error:
            found.append(Issue((*loc, "if_match"), error.detail, "etag"))
    if found:
        issues += found
        return None
    flags = {name: sent[name] for name in ("allow_missing", "cascade") if name in sent}
    key = operations.addresses.keys.canonical(sent["key"]) if "key" in sent else None
    return Item(operation, key, sent.get("body"), condition, **flags)


def _not_offered(resource: Resource[Any], operation: Operation) -> Invalid:
    message = f"{resource.name} offers no {operation}"
    return Invalid.of([Issue(("op",), message, "not_offered")])


def _strangers(loc: Location, sent: Mapping[str, Any], known: Collection[str]) -> list[Issue]:
    return [Issue((*loc, name), "is no member here", "extra_forbidden") for name in sent if name not in known]
