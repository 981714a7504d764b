"""What a trail tells of one key: its revisions, and the document as it was at one of them."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Generic, TypeVar
from uuid import UUID

import jsonpatch
import jsonpointer
from beanie import Document
from beanie.odm.utils.encoder import Encoder
from bson import Binary
from pydantic import BaseModel, ValidationError

from regesta.change import AuditEvent, Caller, HistoryRequest, PartOfHistory
from regesta.errors import Gone, NotFound, ProblemError
from regesta.inheritance import children_of
from regesta.operations.deadlines import bounded
from regesta.operations.folding import Chain
from regesta.operations.keys import key_text
from regesta.operations.pages import Stored
from regesta.operations.patches import head_of
from regesta.operations.updates import Edit
from regesta.operations.writes import Operations
from regesta.schemas import Codec

T = TypeVar("T", bound=Document)

INCOMPLETE = "HISTORY_INCOMPLETE"
# Events that are read at once, and at most, to build one document.
AT_ONCE, MAX_CHAIN = 200, 10_000
# A trail that orders events by their times may have older ones with later times: clocks of two machines differ.
SKEW = timedelta(minutes=5)
LAST = UUID(int=2**128 - 1)
_BROKEN = (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, LookupError, ValueError)


@dataclass(frozen=True, slots=True)
class Past:
    """A document as it was: its revision, and all of it but secrets, as parsed JSON."""

    revision: str
    tree: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Position:
    """What a page token of a history is bound to."""

    binding: bytes
    sort: tuple[tuple[str, int], ...] = (("time", -1), ("_id", -1))


class History(Generic[T]):
    """The history of one resource's documents. Needs a plugin that implements `read_history`."""

    def __init__(self, operations: Operations[T]) -> None:
        self._operations = operations
        self._hidden = {
            operations.codec.wire_names[name]
            for name in operations.resource.hidden
            if name in operations.codec.wire_names
        }

    async def page(
        self, caller: Caller, keys: Sequence[str], size: int, token: str | None
    ) -> tuple[Sequence[AuditEvent], str]:
        """Events of this key, newest first, and the token of the next page ("" after the last).

        Raises NotFound where neither a document nor an event is there, Malformed for the token of something else.
        """
        reads = self._operations
        async with bounded(reads.resource.timeout):
            request = await self._request(caller, keys, size + 1)
            position = _Position(blake2b(repr((reads.resource.name, "history", keys[-1])).encode()).digest())
            bound = reads.bound(caller, keys)
            if token is not None:
                time, identity = (await reads.page_tokens()).read(position, bound, token)
                request = replace(request, before=(_aware(time), UUID(bytes=bytes(identity))))
            answered = await reads.hooks.history(request)
            found, cut = list(answered), isinstance(answered, PartOfHistory)
            if not found and token is None and await reads.find(caller, keys) is None:
                raise reads.addresses.not_found(keys[-1])
            if len(found) <= size and not (cut and found):
                return found, ""
            last = found[:size][-1]
            values = [last.time, Binary.from_uuid(last.id)]
            return found[:size], (await reads.page_tokens()).issue(position, bound, values)

    async def at(self, caller: Caller, keys: Sequence[str], revision: str) -> Past:
        """The document as it was at this revision.

        Raises NotFound for a revision that the trail does not know, Gone where it does not know all before it.
        """
        reads = self._operations
        async with bounded(reads.resource.timeout):
            request = replace(await self._request(caller, keys, 1), revision=revision)
            found = await reads.hooks.history(request)
            if not found:
                message = f"{reads.resource.singular} {keys[-1][:200]!r} had no such revision"
                raise NotFound(message, code="REVISION_UNKNOWN")
            chain = await self._chain(replace(request, revision=None, limit=AT_ONCE), found[0])
            try:
                return Past(revision, await chain.folded())
            except _BROKEN:
                raise Gone("the trail does not know all that led to this revision", code=INCOMPLETE) from None

    def shown(self, past: Past) -> Any:
        """The document as clients see it. Raises Gone where it cannot be shown by today's model."""
        codec = self._operations.codec
        if all(found.direct for found in self._operations.codecs()):
            return {name: value for name, value in past.tree.items() if name not in self._hidden}
        if children_of(codec.document):
            raise Gone("the trail does not tell of which class the document was", code=INCOMPLETE)
        inputs = {found.name: found.wire for found in codec.shape.fields.values() if found.wire in past.tree}
        sent = {_input(codec.document, name): past.tree[wire] for name, wire in inputs.items()}
        try:
            return codec.wire(codec.to_stored(codec.document.model_validate(sent)))
        except (ValidationError, ProblemError):
            raise Gone("the document as it was does not fit the model of today", code=INCOMPLETE) from None

    def reverting(self, past: Past) -> Edit[T]:
        """An edit that does what a PUT of the document as it was would do. It raises Invalid."""
        bodies, resource = self._operations.bodies, self._operations.resource

        def edit(stored: Stored[T], document: T) -> Awaitable[T]:
            tree = _sendable(stored.codec, past.tree, resource.schemas.replace)
            return bodies.replacement(tree)(stored, document)

        return edit

    def changes(self, event: AuditEvent) -> list[dict[str, Any]] | None:
        """What the event changed, as far as clients see it; None where they see a model of the application's own."""
        if self._operations.resource.schemas.read:
            return None
        shown = []
        for change in event.changes:
            if change["path"]:
                pointers = [change[member] for member in ("path", "from") if member in change]
                if not self._hidden.intersection(map(head_of, pointers)):
                    shown.append(dict(change))
            elif isinstance(value := change.get("value"), Mapping):
                shown.append({**change, "value": {k: v for k, v in value.items() if k not in self._hidden}})
            else:
                shown.append(dict(change))
        return shown

    async def _request(self, caller: Caller, keys: Sequence[str], limit: int) -> HistoryRequest:
        reads = self._operations
        reads.addresses.key_value(keys[-1])
        fields, encoder = reads.resource.document.model_fields, Encoder()
        parent = None
        if reads.resource.parent:
            parent = key_text(encoder.encode(await reads.parent_value(caller, keys[:-1])))
        scope = {name: encoder.encode(value) for name, value in caller.scope.items() if name in fields}
        return HistoryRequest(reads.resource.name, keys[-1], parent, scope, limit)

    async def _chain(self, request: HistoryRequest, last: AuditEvent) -> Chain:
        """The events from the creation to `last`, each leading to the revision that the next one came from."""
        chain, waiting, seen = Chain(last), list[AuditEvent](), {last.id}
        latest, before, again = (last.time + SKEW, LAST), (last.time, last.id), False
        while (wanted := chain.revision_before) is not None:
            found = next((event for event in waiting if event.revision_after == wanted), None)
            if found is not None:
                waiting.remove(found)
                chain.add(found)
                continue
            older = await self._operations.hooks.history(replace(request, before=before))
            if older:
                before = (older[-1].time, older[-1].id)
            elif not again:
                before, again = latest, True
                continue
            else:
                # What came before was this document too, whatever its scope then: no other one has its revision.
                elsewhere = replace(request, scope={}, revision=wanted, before=latest)
                older = await self._operations.hooks.history(elsewhere)
                if seen.issuperset(event.id for event in older):
                    raise Gone("the trail does not know all that led to this revision", code=INCOMPLETE)
            if len(seen) > MAX_CHAIN:
                raise Gone("the trail does not know all that led to this revision", code=INCOMPLETE)
            waiting += [event for event in older if event.id not in seen]
            seen.update(event.id for event in older)
        return chain


def _sendable(codec: Codec[Any], tree: Mapping[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """What a client could send of it: no field of the server's, and none that is never shown."""
    names = {
        name: wire
        for wire, name in codec.inputs.items()
        if name not in codec.hidden and codec.wire_names.get(name) in tree
    }
    if model is None:
        return {wire: tree[codec.wire_names[name]] for name, wire in names.items()}
    fields = model.model_fields
    return {_input(model, name): tree[codec.wire_names[name]] for name in names if name in fields}


def _input(model: type[BaseModel], name: str) -> str:
    info = model.model_fields[name]
    return info.validation_alias if isinstance(info.validation_alias, str) else info.alias or name


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
