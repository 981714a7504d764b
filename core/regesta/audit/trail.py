"""The audit trail: a plugin that writes one event per committed change, in the transaction of the change."""

from collections.abc import Sequence
from typing import Any

from beanie import Document
from bson import Binary

from regesta.audit.documents import ORDER, AuditEventRead, AuditRecord, event_in, events_asked_for, stored_event
from regesta.change import AuditEvent, Change, HistoryRequest, PartOfHistory
from regesta.declarations import READS, Operation, Schemas
from regesta.hookspecs import hookimpl
from regesta.resource import Resource
from regesta.store import Atomicity, atomicity_of, collection_of, read_rows
from regesta.workspaces import workspace_scope

audit_events: Resource[AuditRecord] = Resource(
    AuditRecord,
    name="audit-events",
    singular="audit_event",
    operations=READS - {Operation.HISTORY},
    scope=workspace_scope,
    filters=["id", "resource", "key", "parent", "action", "actor.subject", "request_id", "time"],
    sorts=["position", "time"],
    default_sort="-position,-time",
    schemas=Schemas(read=AuditEventRead),
)


class AuditTrail:
    """Writes an AuditRecord for each change. `Hooks(AuditTrail())`, and `AuditTrail.document` to `init_beanie`.

    If the event cannot be written, neither is the change: 503. On a store without transactions the event
    is written right after the change, and a failure in between leaves the change without one.
    """

    name = "audit-trail"
    document = AuditRecord

    @hookimpl
    def register_resources(self) -> list[Resource[Any]]:
        """`audit-events`, read-only."""
        return [audit_events]

    @hookimpl
    def register_collections(self) -> list[type[Document] | str]:
        """The collection of events, which changes need even if no resource serves it."""
        return [AuditRecord]

    @hookimpl
    async def record_changes(self, changes: Sequence[Change[Any]], session: Any) -> None:
        """Insert the events with their changes, all at once."""
        collection = collection_of(AuditRecord)
        positioned = await atomicity_of(collection) is not Atomicity.LOCK
        events = [stored_event(change.event, positioned=positioned) for change in changes]
        if len(events) == 1:
            await collection.insert_one(events[0], session=session)
        else:
            await collection.insert_many(events, session=session)

    @hookimpl
    async def read_history(self, request: HistoryRequest) -> Sequence[AuditEvent]:
        """The events of one key."""
        collection, known = collection_of(AuditRecord), None
        if request.before is not None:
            known = await collection.find_one({"_id": Binary.from_uuid(request.before[1])}, {"position": 1})
        wanted = events_asked_for(request, known)
        rows = await read_rows(collection, wanted, count=request.limit, sort=ORDER)
        events = PartOfHistory(map(event_in, rows.documents))
        return events if rows.more else list(events)
