"""What must hold before a number means anything: all applications do the same work."""

import http.client
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import bson
from pymongo.database import Database

from .documents import KEY_FORMAT, ItemBody, bodies
from .servers import Server
from .workloads import AUDITED, PAGE, audit_events


class BenchmarkError(Exception):
    """A response was wrong, so the timings are worthless."""


def same_answers(servers: Mapping[str, Server]) -> None:
    """Every application must answer with every field of the right documents.

    The load generator has no time to read bodies; so they are read here once, before the clock starts.
    """
    expected = [_comparable(body.model_dump(mode="json")) for body in bodies(PAGE)]
    for app, server in servers.items():
        one = _get(app, server.port, f"/items/{KEY_FORMAT.format(0)}")
        if _comparable(one) != expected[0]:
            raise BenchmarkError(f"{app}: another document than was asked for: {one}")
        page = _get(app, server.port, f"/items?page_size={PAGE}")
        found = page["items"] if isinstance(page, dict) else page
        if [_comparable(document) for document in found] != expected:
            raise BenchmarkError(f"{app}: another first page of {PAGE} than was asked for")


def audit_is_complete(app: str, database: Database[dict[str, Any]]) -> int:
    """Each document that was created must have its event. Returns the size of one event in bytes of BSON."""
    created = database[AUDITED.collection].count_documents({})
    for events in audit_events(database):
        if events["count"] == created > 0:
            return len(bson.encode(events["example"]))
    raise BenchmarkError(f"{app}: {created} documents were created, but there are not as many audit events")


def _get(app: str, port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchmarkError(f"{app}: GET {path}: {response.status} {content[:500]!r}")
    return json.loads(content)


def _comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fifteen fields. Times are compared as times, however the offset is written."""
    fields = {name: document[name] for name in _present(document)}
    for name in ("created_at", "updated_at"):
        time = datetime.fromisoformat(fields[name])
        fields[name] = time if time.tzinfo else time.replace(tzinfo=UTC)
    return fields


def _present(document: Mapping[str, Any]) -> Iterable[str]:
    missing = ItemBody.model_fields.keys() - document.keys()
    if missing:
        raise BenchmarkError(f"the fields {sorted(missing)} are missing in {document}")
    return ItemBody.model_fields.keys()
