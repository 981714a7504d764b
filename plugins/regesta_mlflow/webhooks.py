"""Webhooks and what is to be delivered to them, as documents; which events there are."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from regesta import Resource, Secret
from regesta.store import collection_of
from regesta.workspaces import DEFAULT, Workspaced, workspace_scope
from regesta_mlflow.delivery import BY_LANE

WEEK = 7 * 24 * 3600  # seconds that deliveries are remembered
FRESH = 1.0  # seconds after which the webhooks are read again: another process may have changed them

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "registered_model": ("created",),
    "model_version": ("created",),
    "model_version_tag": ("deleted", "set"),
    "model_version_alias": ("created", "deleted"),
    "prompt": ("created",),
    "prompt_version": ("created",),
    "prompt_tag": ("deleted", "set"),
    "prompt_version_tag": ("deleted", "set"),
    "prompt_alias": ("created", "deleted"),
}


class WebhookStatus(StrEnum):
    """Whether anything is delivered."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


class Webhook(Workspaced):
    """Somebody who wants to know what happens. `events` are `entity.action`."""

    name: str
    url: Annotated[str, Field(max_length=2048)]
    description: Annotated[str, Field(max_length=10_000)] = ""
    events: list[str]
    secret: Annotated[str | None, Secret] = None
    status: WebhookStatus = WebhookStatus.ACTIVE
    created_at: datetime
    updated_at: datetime

    class Settings:
        """How Beanie keeps them."""

        name = "mlflow_webhooks"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("status", ASCENDING)]),
        ]


class Delivery(Document):
    """What is to be sent to one webhook. Written with the change that it tells of, sent afterwards.

    See `delivery.queue` for what sends it. `about` tells deliveries apart that a later change of the same request takes
    back.
    """

    workspace: str = DEFAULT
    host: str = ""
    webhook: Any
    event: str
    body: str
    about: str = ""
    due_at: datetime
    attempts: int = 0
    finished_at: datetime | None = None
    outcome: str = ""

    class Settings:
        """How Beanie keeps them."""

        name = "mlflow_deliveries"
        indexes = [
            BY_LANE,
            IndexModel([("about", ASCENDING)], partialFilterExpression={"about": {"$gt": ""}}),
            IndexModel([("finished_at", ASCENDING)], expireAfterSeconds=WEEK),
        ]


# Without routes: clients reach them through this protocol only.
webhooks: Resource[Webhook] = Resource(Webhook, name="mlflow-webhooks", operations=(), scope=workspace_scope)
# The sender's own queue, of all workspaces. It has no routes.
deliveries: Resource[Delivery] = Resource(Delivery, name="mlflow-deliveries", operations=(), shared=True)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as webhooks are told of it."""

    entity: str
    action: str
    data: Mapping[str, Any]
    about: str = ""

    @property
    def name(self) -> str:
        """`entity.action`"""
        return f"{self.entity}.{self.action}"


class Listeners:
    """The active webhooks, remembered for a moment: every write asks for them."""

    def __init__(self) -> None:
        self.known: list[dict[str, Any]] = []
        self._until = 0.0

    async def of(self, workspace: str) -> list[dict[str, Any]]:
        """The active webhooks of a workspace, raw."""
        if time.monotonic() >= self._until:
            found = collection_of(Webhook).find({"status": WebhookStatus.ACTIVE.value})
            self.known = await found.to_list(None)
            self._until = time.monotonic() + FRESH
        return [raw for raw in self.known if raw["workspace"] == workspace]

    def forget(self) -> None:
        """Read them again the next time."""
        self._until = 0.0
