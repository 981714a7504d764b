"""What clients do with webhooks: register, change, list, delete, test."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from beanie import PydanticObjectId
from bson import ObjectId

from regesta import NotFound, Registry, Stored
from regesta.errors import Malformed
from regesta.operations import bounded
from regesta.query import and_filters, keyset_filter
from regesta_mlflow.calls import Call, Route, now
from regesta_mlflow.delivery import Busy, Forbidden, Shares, Targets, UnusableScheme, UnusableUrl
from regesta_mlflow.errors import Code, Refusal, missing
from regesta_mlflow.events import examples
from regesta_mlflow.outbox import body_of
from regesta_mlflow.sent import Sent
from regesta_mlflow.webhook_sender import WebhookSender
from regesta_mlflow.webhooks import ACTIONS, Webhook, WebhookStatus
from regesta_mlflow.wire import milliseconds

MOST, UNLESS_SAID = 1000, 100
TESTS = 32  # at once; see Shares
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")


class _All:
    """All webhooks, newest first: what page tokens are bound to."""

    sort = [("_id", -1)]
    binding = b"webhooks"


class WebhookCalls:
    """Webhooks of a workspace."""

    def __init__(self, registry: Registry, targets: Targets, sender: WebhookSender) -> None:
        self._hooks = registry["mlflow-webhooks"]
        self._targets, self._sender = targets, sender
        self._tests = Shares(TESTS)

    def routes(self) -> dict[tuple[str, str], Route]:
        """By verb and path."""
        name = "mlflow-webhooks"
        return {
            ("POST", "/webhooks"): Route(self.create, name, "create"),
            ("GET", "/webhooks"): Route(self.list, name, "list"),
            ("GET", "/webhooks/{id}"): Route(self.get, name, "get"),
            ("PATCH", "/webhooks/{id}"): Route(self.update, name, "patch"),
            ("DELETE", "/webhooks/{id}"): Route(self.delete, name, "delete"),
            ("POST", "/webhooks/{id}/test"): Route(self.test, name, "test"),
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """A new webhook."""
        sent = call.sent
        name, url, events = sent.required("name"), sent.required("url"), sent.objects("events")
        if not sent.has("events"):
            raise missing("events")
        if not events:
            raise Refusal("Webhook events must not be empty")
        values = {
            "name": _name(name),
            "url": await self._url(url, call),
            "events": _events(events),
            "description": sent.text("description"),
            "secret": sent.text("secret") or None,
            "status": _status(sent) or WebhookStatus.ACTIVE,
            "created_at": (time := now()),
            "updated_at": time,
        }
        written = await self._hooks.create(call.caller, (), lambda: self._hooks.codec.from_values(values))
        return {"webhook": webhook_wire(written.raw)}

    async def get(self, call: Call) -> dict[str, Any]:
        """One webhook."""
        return {"webhook": webhook_wire(await self._raw(call))}

    async def list(self, call: Call) -> dict[str, Any]:
        """A page of webhooks, newest first."""
        size = call.sent.integer("max_results", UNLESS_SAID, 2**31) or UNLESS_SAID
        if not 1 <= size <= MOST:
            raise Refusal(f"max_results must be between 1 and {MOST}.")
        wanted, tokens = self._hooks.addresses.scope_filter(call.caller.scope), await self._hooks.page_tokens()
        if token := call.sent.text("page_token"):
            try:
                values = tokens.read(_All(), call.caller.scope, token)
            except Malformed:
                raise Refusal("Invalid page token, could not base64-decode") from None
            wanted = and_filters(wanted, keyset_filter(_All.sort, values))
        async with bounded(self._hooks.resource.timeout):
            raws = await self._hooks.collection.find(wanted).sort(_All.sort).limit(size + 1).to_list(None)
        answer: dict[str, Any] = {"webhooks": [webhook_wire(raw) for raw in raws[:size]]} if raws else {}
        if len(raws) > size:
            answer["next_page_token"] = tokens.issue(_All(), call.caller.scope, [raws[size - 1]["_id"]])
        return answer

    async def update(self, call: Call) -> dict[str, Any]:
        """What is sent is changed, everything else stays."""
        sent, changes = call.sent, dict[str, Any]()
        if sent.has("name"):
            changes["name"] = _name(sent.text("name"))
        if sent.has("url"):
            changes["url"] = await self._url(sent.text("url"), call)
        if events := sent.objects("events"):
            changes["events"] = _events(events)
        for field in ("description", "secret"):
            if sent.has(field):
                changes[field] = sent.text(field)
        if status := _status(sent):
            changes["status"] = status
        changes["updated_at"] = now()

        def edit(_: Stored[Webhook], hook: Webhook) -> Webhook:
            for name, value in changes.items():
                setattr(hook, name, value)
            return hook

        await self._raw(call)
        written = await self._hooks.update(call.caller, (call.key,), edit)
        return {"webhook": webhook_wire(written.raw)}

    async def delete(self, call: Call) -> dict[str, Any]:
        """A webhook less."""
        await self._raw(call)
        try:
            await self._hooks.delete(call.caller, (call.key,))
        except NotFound:
            raise _unknown(call.key) from None
        return {}

    async def test(self, call: Call) -> dict[str, Any]:
        """Send an example, and say what came of it."""
        hook = await self._raw(call)
        names = _events([asked]) if (asked := call.sent.one_object("event")) else hook["events"]
        event = next(example for example in examples() if example.name == names[0])
        workspace = hook["workspace"]
        if not self._tests.allows(workspace):
            raise Refusal("Too many tests of webhooks are running: try again", Code.REQUEST_LIMIT_EXCEEDED, "5")
        self._tests.take(workspace)
        try:
            answer = await self._sender.send(hook, body_of(event, workspace), str(uuid.uuid4()))
        finally:
            self._tests.leave(workspace)
        result: dict[str, Any] = {"success": answer.success}
        if answer.error:
            result["error_message"] = answer.error
        else:
            result["response_status"] = answer.status
        if answer.text is not None:
            result["response_body"] = answer.text
        return {"result": result}

    async def _raw(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] | None = None
        if ObjectId.is_valid(call.key):
            wanted = {**self._hooks.addresses.scope_filter(call.caller.scope), "_id": PydanticObjectId(call.key)}
            async with bounded(self._hooks.resource.timeout):
                found = await self._hooks.collection.find_one(wanted)
        if found is None:
            raise _unknown(call.key)
        return found

    async def _url(self, url: str, call: Call) -> str:
        """A URL that may be registered; its address is checked again whenever something is sent."""
        if not url.strip():
            raise Refusal(f"Webhook URL cannot be empty or just whitespace: {url[:100]!r}")
        try:
            target = self._targets.target(url)
            await self._targets.addresses(target, call.caller.scope["workspace"])
        except UnusableScheme as error:
            raise Refusal(f"Invalid webhook URL scheme: {error}") from None
        except (UnusableUrl, Forbidden) as error:
            raise Refusal(f"Invalid webhook URL: {error}") from None
        except (Busy, OSError, TimeoutError):
            pass  # nothing knows the name now; that may change
        return url


def webhook_wire(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A webhook, without its secret."""
    found = {
        "webhook_id": str(raw["_id"]),
        "name": raw["name"],
        "url": raw["url"],
        "events": [_event_wire(event) for event in raw["events"]],
        "status": raw["status"],
        "creation_timestamp": milliseconds(raw["created_at"]),
        "last_updated_timestamp": milliseconds(raw["updated_at"]),
    }
    if raw.get("description"):
        found["description"] = raw["description"]
    return found


def _event_wire(name: str) -> dict[str, str]:
    entity, _, action = name.partition(".")
    return {"entity": entity.upper(), "action": action.upper()}


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise Refusal(
            f"Webhook name {name!r} is invalid: 1 to 63 letters, digits or '.', '_', '-', the ends alphanumeric"
        )
    return name


def _events(objects: list[dict[str, Any]]) -> list[str]:
    found = []
    for one in objects:
        fields = Sent(one, queried=False)
        entity, action = fields.text("entity").lower(), fields.text("action").lower()
        if entity not in ACTIONS:
            raise Refusal(f"Invalid webhook entity {entity!r}: there are {', '.join(ACTIONS)}")
        if action not in ACTIONS[entity]:
            raise Refusal(f"Invalid action '{action}' for entity '{entity}': there are {', '.join(ACTIONS[entity])}")
        found.append(f"{entity}.{action}")
    return list(dict.fromkeys(found))


def _status(sent: Sent) -> WebhookStatus | None:
    text = sent.text("status")
    if text and text not in list(WebhookStatus):
        raise Refusal(f"Invalid webhook status {text!r}: ACTIVE or DISABLED")
    return WebhookStatus(text) if text else None


def _unknown(key: str) -> Refusal:
    return Refusal(f"Webhook with ID {key} not found.", Code.RESOURCE_DOES_NOT_EXIST)
