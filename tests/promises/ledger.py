"""What clients were told of their writes, against what is stored: documents and audit events."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jsonpatch

ACTIONS = {201: "create", 200: "update", 204: "delete"}
REFUSALS = {404, 409}
NOTHING_WRITTEN = {"CONTENTION", "NOT_RECORDED"}  # what a 503 says that knows the outcome

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, under which id, and what came back."""

    id: str
    key: str
    status: int
    etag: str | None = None
    code: str = ""

    @property
    def events(self) -> list[tuple[str, str, str | None]] | None:
        """Key, action and revision of the events that it must have; None where only the database knows."""
        if self.status in ACTIONS:
            return [(self.key, ACTIONS[self.status], self.etag)]
        return [] if self.status in REFUSALS or self.code in NOTHING_WRITTEN else None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What clients were told, and what is stored in the end."""

    requests: list[Request]
    documents: list[Document]
    events: list[Document]


def violations(ledger: Ledger) -> list[str]:
    """What contradicts the promise. Times are not looked at: it is the revisions that put events in order."""
    stored = {document["name"]: document for document in ledger.documents}
    told = defaultdict(list)
    for event in ledger.events:
        told[event["key"]].append(event)
    found = [*repetitions(ledger.events), *wrong_answers(ledger.requests, ledger.events)]
    for key in sorted({*stored, *told}):
        found += broken_lives(key, stored.get(key), told[key])
    return found


def repetitions(events: list[Document]) -> Iterator[str]:
    """Events that share what only one can have."""
    unique: dict[str, Callable[[Document], tuple[Any, ...]]] = {
        "id": lambda event: (bytes(event["_id"]),),
        "request": lambda event: (event["request_id"],),
        "revision before": lambda event: (event["key"], event["revision_before"]),
        "revision after": lambda event: (event["key"], event["revision_after"]),
    }
    for what, of in unique.items():
        for value, times in Counter(map(of, events)).items():
            if times > 1 and value[-1] is not None:
                yield f"{times} events with the {what} {value[-1]!r}"


def wrong_answers(requests: list[Request], events: list[Document]) -> Iterator[str]:
    """Acknowledged without its event, refused with one, or an event that nobody asked for."""
    told = defaultdict(list)
    for event in events:
        told[event["request_id"]].append((event["key"], event["action"], event["revision_after"]))
    for request in requests:
        found = told.pop(request.id, [])
        if request.events is not None and request.events != found:
            yield f"{request.id} was answered {request.status} and has the events {found}"
    yield from (f"{strange} was never sent" for strange in told)


def broken_lives(key: str, document: Document | None, events: list[Document]) -> Iterator[str]:
    """Each life of a key is a chain of revisions from a create to a delete, or to the stored document."""
    following = {event["revision_before"]: event for event in events if event["revision_before"]}
    alive = []
    for event in events:
        if event["action"] != action_of(event):
            yield f"{key}: {event['revision_before']} to {event['revision_after']} is no {event['action']}"
        if event["revision_before"] is None:
            life = [event]
            while after := following.pop(life[-1]["revision_after"], None):
                life.append(after)
            if life[-1]["revision_after"]:
                alive.append((life[-1]["revision_after"], replayed(life)))
    yield from (f"{key}: no event led to {revision}, but one leads away from it" for revision in following)
    stored = [] if document is None else [(bytes(document["revision_id"]).hex(), on_the_wire(document))]
    if alive != stored:
        yield f"{key}: the events lead to {alive}, stored is {stored}"


def action_of(event: Document) -> str:
    if event["revision_before"] is None:
        return "create"
    return "update" if event["revision_after"] else "delete"


def replayed(life: list[Document]) -> Any:
    """The document that the changes of its events make."""
    state: Any = {}
    for event in life:
        state = jsonpatch.apply_patch(state, event["changes"])
    return state


def on_the_wire(document: Document) -> Document:
    return {"id": str(document["_id"]), **{name: document[name] for name in ("name", "balance", "note")}}
