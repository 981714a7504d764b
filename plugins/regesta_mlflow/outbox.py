"""What is to be told to webhooks is written with the change that it is about: both stand, or neither."""

from collections.abc import Sequence
from typing import Any

from regesta import Change
from regesta.store import collection_of, now
from regesta.workspaces import DEFAULT
from regesta_mlflow.delivery import authority_of
from regesta_mlflow.events import events_of
from regesta_mlflow.webhooks import Delivery, Event, Listeners
from regesta_mlflow.wire import dumped
from regesta_models import Registered


class Outbox:
    """Writes deliveries."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners

    async def write(self, changes: Sequence[Change[Registered]], session: Any) -> None:
        """Write what the active webhooks are to be told of these changes."""
        found: list[dict[str, Any]] = []
        taken_back: list[str] = []
        for change in changes:
            document = change.after if change.after is not None else change.before
            if document is None or not (hooks := await self._listeners.of(document.workspace)):
                continue
            for event in events_of(change):
                if event.about and event.action == "created":
                    # An alias that moves is no alias that goes.
                    taken_back.append(event.about)
                found += [_delivery(hook, event) for hook in hooks if event.name in hook["events"]]
        collection = collection_of(Delivery)
        if taken_back:
            await collection.delete_many({"about": {"$in": taken_back}}, session=session)
        if found:
            await collection.insert_many(found, session=session)


def _delivery(hook: dict[str, Any], event: Event) -> dict[str, Any]:
    return {
        "workspace": hook["workspace"],
        "host": authority_of(hook["url"]),
        "webhook": hook["_id"],
        "event": event.name,
        "body": body_of(event, hook["workspace"]),
        "about": event.about if event.action == "deleted" else "",
        "due_at": now(),
        "attempts": 0,
        "outcome": "",
    }


def body_of(event: Event, workspace: str) -> str:
    """What is sent."""
    body: dict[str, Any] = {
        "entity": event.entity,
        "action": event.action,
        "timestamp": now().isoformat(),
        "data": event.data,
    }
    if workspace != DEFAULT:
        body["workspace"] = workspace
    return dumped(body).decode()
