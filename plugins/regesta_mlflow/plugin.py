"""What the plugin brings: the protocol, mounted where MLflow's clients look for it."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from regesta import AuditEvent, Change, ConfigurationError, Registry, Resource, hookimpl
from regesta.store import collection_of
from regesta_mlflow.application import Application
from regesta_mlflow.delivery import SECONDS, Dispatcher, Targets
from regesta_mlflow.errors import JSON, Code, Refusal, answer_of
from regesta_mlflow.models import ModelCalls
from regesta_mlflow.outbox import Outbox
from regesta_mlflow.prompts import keep_kind
from regesta_mlflow.reads import Reads
from regesta_mlflow.searches import Searches
from regesta_mlflow.settings import Settings
from regesta_mlflow.versions import VersionCalls
from regesta_mlflow.webhook_calls import WebhookCalls
from regesta_mlflow.webhook_sender import WebhookSender
from regesta_mlflow.webhooks import Delivery, Listeners, deliveries, webhooks
from regesta_models import Registered

# The second is what MLflow's own web pages ask.
PREFIXES = ("/api", "/ajax-api")
# When others may try a delivery that a process has taken.
LEASE = timedelta(seconds=3 * SECONDS)
SERVER_INFO = {"store_type": "regesta", "workspaces_enabled": True}


class Plugin:
    """The protocol, its webhooks, and who sends to them. One for each application."""

    name = "mlflow"

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = Settings.load(os.environ) if settings is None else settings
        self._listeners = Listeners()
        self._outbox = Outbox(self._listeners)
        self._targets = Targets(self._settings.webhook_targets)
        self._sender = WebhookSender(self._targets)
        self._dispatcher: Dispatcher | None = None

    @hookimpl
    def register_resources(self) -> list[Resource[Any]]:
        """Webhooks and deliveries, without routes of their own."""
        return [webhooks, deliveries]

    @hookimpl
    def register_applications(self, registry: Registry) -> dict[str, ASGIApp]:
        """`/api/2.0/mlflow` and what belongs to it."""
        if "models" not in {bound.resource.name for bound in registry}:
            raise ConfigurationError("load the plugin 'models' too: this one speaks about what it keeps")
        hooks = WebhookCalls(registry, self._targets, self._sender)
        spoken = application(registry, self._settings, hooks)
        found: dict[str, ASGIApp] = {}
        for prefix in PREFIXES:
            found[f"{prefix}/2.0/mlflow"] = spoken
            found[f"{prefix}/3.0/mlflow"] = server_info
        return found

    @hookimpl
    async def record_changes(self, changes: Sequence[Change[Registered]], session: Any) -> None:
        """What webhooks are told of a change is written with it."""
        await self._outbox.write(changes, session)

    @hookimpl
    def prepare_change(self, change: Change[Registered]) -> None:
        """A prompt is a model with a tag, and the other way round."""
        keep_kind(change)

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        """After a commit: what is due is sent, and webhooks that changed are read again."""
        if event.resource == webhooks.name:
            self._listeners.forget()
        if self._dispatcher is not None and self._listeners.known:
            self._dispatcher.wake()

    @hookimpl
    async def startup(self) -> None:
        """Begin to send."""
        self._dispatcher = Dispatcher(lambda: collection_of(Delivery), self._sender.deliver, LEASE)
        self._dispatcher.start()

    @hookimpl
    async def shutdown(self) -> None:
        """End sending."""
        if self._dispatcher is not None:
            await self._dispatcher.stop()


def application(registry: Registry, settings: Settings, hooks: WebhookCalls) -> Application:
    """The protocol on the models of a registry."""
    reads = Reads(registry)
    searches = Searches(reads)
    models = ModelCalls(registry, reads, searches)
    versions = VersionCalls(registry, reads, searches, local_sources=settings.local_sources)
    return Application(registry, {**models.routes(), **versions.routes(), **hooks.routes()})


async def server_info(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells clients that have a workspace that there are some; there is nothing else below this path."""
    if scope["type"] != "http":
        return
    request = Request(scope, receive)
    path = scope["path"][len(scope.get("root_path", "")) :]
    if (request.method, path) == ("GET", "/server-info"):
        response = Response(orjson.dumps(SERVER_INFO), media_type=JSON)
    else:
        response = answer_of(Refusal(f"There is no endpoint {request.method} {path}", Code.ENDPOINT_NOT_FOUND))
    await response(scope, receive, send)
