"""The service's OpenAPI: what FastAPI makes, put right, in an order for readers."""

import math
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI

from regesta.audit import AuditTrail
from regesta.http import Tag, collection_path
from regesta.operations import Registry
from regesta.service.problems import routes_of

API = "/api/v1"


class Service(FastAPI):
    """The application, whose OpenAPI says exactly what is accepted."""

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document, in which the bounds of int64 are whole numbers again, and the tags are described.

        FastAPI turns every `maximum` into a float, and the nearest one to 2^63-1 is 2^63, which is refused.
        """
        if self.openapi_schema is None:
            document = _with_request_ids(_with_whole_bounds(super().openapi()))
            self.openapi_schema = _in_order(document, self._tags())
        return self.openapi_schema

    def _tags(self) -> list[Tag]:
        shown = [route for route in routes_of(self) if getattr(route, "include_in_schema", False)]
        return tags_in_order([(route.path.removeprefix(API), route.tags) for route in shown], self.state.registry)


def tags_in_order(routes: Iterable[tuple[str, Iterable[Any]]], registry: Registry) -> list[Tag]:
    """The tags of these routes (path, tags), the most important first.

    The tags of resources come in the order in which these are registered, the audit trail's last. Another tag follows
    that of the resource below which its routes are. What belongs to no resource comes at the end.
    """
    ranks = {
        collection_path(bound): math.inf if bound.resource.document is AuditTrail.document else float(rank)
        for rank, bound in enumerate(registry)
    }
    found: dict[str, tuple[float, bool, float]] = {}
    described: dict[str, Tag] = {}
    for path, tags in routes:
        above = max((one for one in ranks if _lies_at(path, one)), key=len, default=None)
        for tag in tags:
            name = str(tag)
            own = above is not None and path == above
            place = (math.inf if above is None else ranks[above], not own, len(found) if above else math.inf)
            found[name] = min(found.get(name, place), place)
            if isinstance(tag, Tag) and (tag.description or name not in described):
                described[name] = tag
    return [described.get(name, Tag(name)) for name in sorted(found, key=found.__getitem__)]


def _lies_at(path: str, collection: str) -> bool:
    return path == collection or path.startswith((f"{collection}/", f"{collection}:"))


def _in_order(document: dict[str, Any], tags: list[Tag]) -> dict[str, Any]:
    """The document with its tags described, and its paths in the order of the tags."""
    ranks = {str(tag): rank for rank, tag in enumerate(tags)}

    def place(entry: tuple[str, dict[str, Any]]) -> tuple[int, str, str]:
        path, operations = entry
        named = [ranks[tag] for operation in operations.values() for tag in operation.get("tags", ())]
        return min(named, default=len(ranks)), path.partition(":")[0], path

    document["paths"] = dict(sorted(document["paths"].items(), key=place))
    document["tags"] = [
        {"name": str(tag), "description": tag.description} if tag.description else {"name": str(tag)} for tag in tags
    ]
    return document


def _with_request_ids(document: dict[str, Any]) -> dict[str, Any]:
    """The header that each answer carries."""
    shown = {"description": "What the log and the audit trail know the request by.", "schema": {"type": "string"}}
    document.setdefault("components", {})["headers"] = {"RequestId": shown}
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                answer.setdefault("headers", {})["X-Request-Id"] = {"$ref": "#/components/headers/RequestId"}
    return document


def _with_whole_bounds(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_whole_bounds(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _with_whole_bounds(value) for key, value in node.items()}
    if found.get("type") == "integer":
        for bound in ("minimum", "maximum"):
            if isinstance(found.get(bound), float):
                found[bound] = min(int(found[bound]), 2**63 - 1)
    return found
