"""What is asked of the applications: four workloads and what a right answer to each looks like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from .documents import KEY_FORMAT, ItemBody, bodies
from .load import Job

APPS = ("ours", "beanie", "raw")
MODULES = {"ours": "ours", "beanie": "beanie_peer", "raw": "raw_peer"}
NEW_KEYS = "new-{:08d}"  # sorts before the seeded keys, so that created documents can be told apart
PAGE = 100
RAW_EVENTS = "raw_audit_events"


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request. `documents` is how many one answer holds."""

    name: str
    title: str
    method: str
    path: str
    documents: int = 1
    collection: str = "items"
    apps: tuple[str, ...] = APPS
    atomic: bool | None = None  # a batch that is, one that is not; None: no batch
    alone: bool = False  # one request at a time, whatever the pace says

    @property
    def creates(self) -> bool:
        return self.method == "POST"


GET = Workload("get", "get one by key", "GET", "/items/{key}")
LIST = Workload("list100", f"list of {PAGE}", "GET", f"/items?page_size={PAGE}", documents=PAGE)
CREATE = Workload("create", "create", "POST", "/items")
AUDITED = Workload(
    "audited-create",
    "create with audit",
    "POST",
    "/audited-items",
    collection="audited_items",
    apps=("ours", "raw"),
)
ONE_BY_ONE = Workload(
    "one-by-one",
    "audited, one by one",
    "POST",
    "/audited-items",
    collection="audited_items",
    apps=("ours",),
    alone=True,
)
# As many creates as ONE_BY_ONE does in a thousand requests, one after the other.
BATCH, BATCH_EACH = (
    Workload(
        name,
        title,
        "POST",
        "/audited-items:batch",
        documents=1000,
        collection="audited_items",
        apps=("ours",),
        atomic=atomic,
        alone=True,
    )
    for name, title, atomic in (("batch", "batch of 1000", True), ("batch-each", "batch, not atomic", False))
)
WORKLOADS = (GET, LIST, CREATE, AUDITED, ONE_BY_ONE, BATCH, BATCH_EACH)
# Seconds in which a batch surely comes to its end.
BATCH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard and how long one run is."""

    connections: int
    warm_up: float
    seconds: float


# The questions an audit trail is for: what happened lately, to this document, by this person.
# As ours: three of a workspace, and one for the history of a document.
AUDIT_INDEXES = (
    ("workspace", "time"),
    ("workspace", "resource", "key", "time"),
    ("resource", "key", "parent", "time"),
    ("workspace", "actor.subject", "time"),
)


def seed(database: Database[dict[str, Any]], count: int) -> None:
    """Fill the collection that is read, and make the indexes: it must not matter who starts first.

    The events of the PyMongo application get the indexes that ours have, without which nobody could read them.
    """
    for collection in (GET.collection, AUDITED.collection):
        database[collection].create_index("sku", unique=True, name="sku_1")
    for fields in AUDIT_INDEXES:
        keys = [(field, DESCENDING if field == "time" else ASCENDING) for field in fields]
        database[RAW_EVENTS].create_index([*keys, ("_id", DESCENDING)])
    database[GET.collection].insert_many([body.model_dump() for body in bodies(count)])


def job(workload: Workload, port: int, pace: Pace, documents: int) -> Job:
    """The run of `workload` against the application on `port`."""
    body = _template()
    # Applications may wrap a page or name the identifier differently; half the size is another answer.
    size = len(body) * workload.documents
    in_batch = workload.atomic is not None
    if in_batch:
        creates = [
            f'{{"op":"create","body":{body.replace("{key}", f"{{key}}-{n}")}}}' for n in range(workload.documents)
        ]
        body = f'{{"atomic":{str(workload.atomic).lower()},"operations":[{",".join(creates)}]}}'
    return Job(
        port=port,
        method=workload.method,
        path=workload.path,
        body=body if workload.creates else "",
        keys=[KEY_FORMAT.format(number) for number in range(documents)] if "{key}" in workload.path else [""],
        new_keys=NEW_KEYS if workload.creates else "",
        status=201 if workload.creates and not in_batch else 200,
        min_bytes=size * 8 // 10,
        max_bytes=size * 15 // 10,
        connections=1 if workload.alone else pace.connections,
        warm_up=pace.warm_up,
        seconds=max(pace.seconds, BATCH_SECONDS) if in_batch else pace.seconds,
    )


def empty(workload: Workload, database: Database[dict[str, Any]]) -> None:
    """Delete what a run created, so that no application meets fuller collections than another."""
    database[workload.collection].delete_many({"sku": {"$lt": KEY_FORMAT.format(0)}})
    if workload.collection == AUDITED.collection:
        for name in _audit_collections(database):
            database[name].delete_many({})


def audit_events(database: Database[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """A count for each collection of audit events and one of its documents."""
    return [
        {"count": database[name].count_documents({}), "example": database[name].find_one()}
        for name in _audit_collections(database)
    ]


def _audit_collections(database: Database[dict[str, Any]]) -> list[str]:
    """Whatever is not a collection of items: how an audit trail names its collections is its own affair."""
    ours = (GET.collection, AUDITED.collection)
    return [name for name in database.list_collection_names() if name not in ours and not name.startswith("system.")]


def _template() -> str:
    (first,) = bodies(1)
    return ItemBody.model_validate({**first.model_dump(), "sku": "{key}"}).model_dump_json()
