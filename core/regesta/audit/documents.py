"""Audit events as MongoDB keeps them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from bson import Binary, Timestamp
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pymongo import ASCENDING, DESCENDING, IndexModel

from regesta.change import Action, Actor, AuditEvent, HistoryRequest
from regesta.workspaces import DEFAULT, Workspaced

# MongoDB puts the cluster's time in place of an empty timestamp when a document is inserted. It only ever grows, over
# failovers too, and of two writes of one document the second one comes after the first one's commit.
TO_BE_SET = Timestamp(0, 0)
# Newest first.
ORDER = [("position", DESCENDING), ("time", DESCENDING), ("_id", DESCENDING)]


def _newest_first(*fields: str) -> IndexModel:
    """An index that finds events by these fields, in order."""
    return IndexModel([*((name, ASCENDING) for name in fields), *ORDER])


class AuditActor(BaseModel):
    """Who did it."""

    subject: str
    method: str
    address: str | None = None


class AuditRecord(Workspaced):
    """One committed change: who, when, what. Written once, in the transaction of the change, and never changed.

    On the wire it is a CloudEvents 1.0 envelope with the change in `data`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: UUID  # type: ignore[assignment]
    time: datetime
    action: Action
    resource: str
    key: str
    actor: AuditActor
    request_id: str
    revision_before: str | None = None
    revision_after: str | None = None
    changes: list[dict[str, Any]] = Field(default_factory=list, description="A JSON Patch (RFC 6902).")
    parent: str | None = None
    scope: dict[str, Any] = Field(default_factory=dict, description="Beside the workspace.")
    # The cluster's time, which orders events as they were written, whatever the clocks of the workers say.
    # Events of older versions, and of a store without one, have none: they are older, and ordered by their times.
    position: Annotated[Timestamp | None, WithJsonSchema({})] = None

    @property
    def envelope(self) -> dict[str, Any]:
        """The CloudEvents 1.0 form."""
        return {
            "id": str(self.id),
            "source": f"/workspaces/{self.workspace}/{self.resource}",
            "type": f"regesta.{self.resource}.{self.action}",
            "subject": self.key,
            "time": self.time,
            "data": {
                "action": self.action.value,
                "resource": self.resource,
                "key": self.key,
                "parent": self.parent,
                "actor": self.actor.model_dump(),
                "request_id": self.request_id,
                "revision_before": self.revision_before,
                "revision_after": self.revision_after,
                "changes": self.changes,
            },
        }

    class Settings:
        """How Beanie keeps them."""

        name = "audit_events"
        indexes: ClassVar = [
            _newest_first("workspace"),
            _newest_first("workspace", "resource", "key"),
            _newest_first("workspace", "actor.subject"),
            # Of histories: a scope need not name a workspace.
            _newest_first("resource", "key", "parent"),
            # Of what is asked for by its time.
            IndexModel([("workspace", ASCENDING), ("time", DESCENDING), ("_id", DESCENDING)]),
        ]


class AuditData(BaseModel):
    """What a committed change was."""

    action: Action
    resource: str
    key: str
    parent: str | None = Field(
        default=None, description="Of a nested resource: what the document holds of its parent, most often the id."
    )
    actor: AuditActor
    request_id: str
    revision_before: str | None = None
    revision_after: str | None = None
    changes: list[dict[str, Any]] = Field(description="A JSON Patch (RFC 6902).")


class AuditEventRead(BaseModel):
    """An audit event as a CloudEvents 1.0 envelope."""

    id: str
    source: str
    specversion: Literal["1.0"] = "1.0"
    type: str = Field(description="`regesta.{resource}.{action}`")
    subject: str = Field(description="The key of the document.")
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: AuditData

    @model_validator(mode="before")
    @classmethod
    def from_record(cls, value: Any) -> Any:
        """Take the envelope of a stored record."""
        return value.envelope if isinstance(value, AuditRecord) else value


def stored_event(event: AuditEvent, *, positioned: bool = True) -> dict[str, Any]:
    """What is written for an event: built by hand, for it is on the path of every write.

    `positioned`: by a server, which sets the position.
    """
    actor = event.actor
    return {
        "_id": Binary.from_uuid(event.id),
        "workspace": event.scope.get("workspace", DEFAULT),
        "time": event.time,
        "action": event.action.value,
        "resource": event.resource,
        "key": event.key,
        "actor": {"subject": actor.subject, "method": actor.method, "address": actor.address},
        "request_id": event.request_id,
        "revision_before": event.revision_before,
        "revision_after": event.revision_after,
        "changes": list(event.changes),
        "parent": event.parent,
        "scope": {name: value for name, value in event.scope.items() if name != "workspace"},
        **({"position": TO_BE_SET} if positioned else {}),
    }


def event_in(raw: Mapping[str, Any]) -> AuditEvent:
    """The event that was written."""
    identity, time = raw["_id"], raw["time"]
    return AuditEvent(
        id=identity if isinstance(identity, UUID) else identity.as_uuid(),
        time=time if time.tzinfo else time.replace(tzinfo=UTC),
        action=Action(raw["action"]),
        resource=raw["resource"],
        key=raw["key"],
        actor=Actor(**raw["actor"]),
        request_id=raw["request_id"],
        scope={"workspace": raw["workspace"], **raw.get("scope", {})},
        revision_before=raw["revision_before"],
        revision_after=raw["revision_after"],
        changes=tuple(raw["changes"]),
        parent=raw.get("parent"),
    )


def events_asked_for(request: HistoryRequest, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The filter that finds them. `known`: the event before which they must be, with its position, if it is stored."""
    found: dict[str, Any] = {"resource": request.resource, "key": request.key, "parent": request.parent}
    found |= {name if name == "workspace" else f"scope.{name}": value for name, value in request.scope.items()}
    if request.revision is not None:
        found["revision_after"] = request.revision
    if request.before is not None:
        time, identity = request.before
        older: list[dict[str, Any]] = [
            {"time": {"$lt": time}},
            {"time": time, "_id": {"$lt": Binary.from_uuid(identity)}},
        ]
        position = (known or {}).get("position")
        if position is None:
            found |= {"$or": older, "time": {"$lte": time}}
            if known is not None:
                found["position"] = None
        else:
            # `$lt` compares with timestamps only, and not with none.
            found["$or"] = [
                {"position": {"$lt": position}},
                {"position": None},
                *({"position": position, **one} for one in older),
            ]
    return found
