"""Webhooks: what is registered, what is refused, and what is delivered."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from recorder import Recorder

SECRET = "a secret"
WITHIN = 10.0  # seconds
QUIET = "https://127.0.0.1:9/hook"  # nothing listens there
EVENTS = [
    {"entity": "REGISTERED_MODEL", "action": "CREATED"},
    {"entity": "MODEL_VERSION", "action": "CREATED"},
    {"entity": "MODEL_VERSION_TAG", "action": "SET"},
    {"entity": "MODEL_VERSION_TAG", "action": "DELETED"},
    {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"},
    {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"},
    {"entity": "PROMPT", "action": "CREATED"},
    {"entity": "PROMPT_VERSION", "action": "CREATED"},
    {"entity": "PROMPT_TAG", "action": "SET"},
    {"entity": "PROMPT_TAG", "action": "DELETED"},
    {"entity": "PROMPT_VERSION_TAG", "action": "SET"},
    {"entity": "PROMPT_VERSION_TAG", "action": "DELETED"},
    {"entity": "PROMPT_ALIAS", "action": "CREATED"},
    {"entity": "PROMPT_ALIAS", "action": "DELETED"},
]


class Receiver(ThreadingHTTPServer):
    """Takes deliveries; paths that end with a status are answered with it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.deliveries: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def taken(self, count: int) -> list[dict[str, Any]]:
        """So many deliveries, once they are there; fewer where they do not come."""
        end = time.monotonic() + WITHIN
        while len(self.deliveries) < count and time.monotonic() < end:
            time.sleep(0.01)
        found, self.deliveries = self.deliveries, []
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        identity, moment = self.headers.get("X-MLflow-Delivery-Id", ""), self.headers.get("X-MLflow-Timestamp", "")
        sent = json.loads(body)
        signed = hmac.new(SECRET.encode(), f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
        right = self.headers.get("X-MLflow-Signature") == "v1," + base64.b64encode(signed).decode()
        said = {
            "path": self.path,
            "entity": sent["entity"],
            "action": sent["action"],
            "data": sent["data"],
            "keys": sorted(sent),
            "signature": right if "X-MLflow-Signature" in self.headers else None,
            "type": self.headers.get("Content-Type"),
            "recent": abs(int(moment) - time.time()) < WITHIN,
        }
        status = int(self.path.rpartition("/")[2]) if self.path.rpartition("/")[2].isdigit() else 200
        # The client sets tags of its own from a thread, which come when they come.
        if not str(sent["data"].get("key", "")).startswith("_mlflow"):
            self.server.deliveries.append(said)
        self.send_response(status)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, format: str, *_: Any) -> None:
        pass


def record(to: Recorder) -> None:
    """All of them."""
    if not hasattr(to.client, "create_webhook"):
        return
    registered(to)
    refused(to)
    delivered(to)


def registered(to: Recorder) -> None:
    client = to.client
    events = ["model_version.created", "model_version_alias.created"]
    hook = to.call("create a webhook", client.create_webhook, "hook", QUIET, events, "described", SECRET)
    second = to.call("create a disabled webhook", client.create_webhook, "hook", QUIET, events, status="DISABLED")
    to.call("get a webhook", client.get_webhook, hook.webhook_id)
    to.call("list webhooks", client.list_webhooks)
    to.call("list a page of webhooks", client.list_webhooks, max_results=1)
    page = client.list_webhooks(max_results=1)
    to.call("list the next page of webhooks", client.list_webhooks, max_results=1, page_token=page.token)
    to.call("change a webhook's name", client.update_webhook, hook.webhook_id, name="renamed")
    to.call("change a webhook", client.update_webhook, hook.webhook_id, events=["prompt.created"], status="DISABLED")
    to.call("change an unknown webhook", client.update_webhook, "nobody", name="x")
    to.call("get an unknown webhook", client.get_webhook, "nobody")
    to.call("test an unknown webhook", client.test_webhook, "nobody")
    to.call("delete a webhook", client.delete_webhook, hook.webhook_id)
    to.call("delete a webhook again", client.delete_webhook, "nobody")
    client.delete_webhook(second.webhook_id)
    to.call("no webhooks", client.list_webhooks)


def refused(to: Recorder) -> None:
    good: dict[str, Any] = {"name": "hook", "url": QUIET, "events": EVENTS[:1]}
    changes: list[tuple[str, Any]] = [
        *(("name", name) for name in ("", " ", "-a", "a-", "a b", "a" * 63, "a" * 64, "a.b_c-d", 5)),
        *(("url", url) for url in ("", "  ", "nonsense", "ftp://127.0.0.1", "https://", 5)),
        *(("events", events) for events in ([], "x", [5], [{"entity": "EVIL", "action": "CREATED"}])),
        ("events", [{"entity": "REGISTERED_MODEL", "action": "SET"}]),
        ("events", [{"entity": "MODEL_VERSION_TAG", "action": "CREATED"}]),
        ("status", "EVIL"),
    ]
    for name, value in changes:
        to.raw(f"a webhook whose {name} is {value!r}"[:80], "POST", "/webhooks", json={**good, name: value})
    for name in good:
        less = {key: value for key, value in good.items() if key != name}
        to.raw(f"a webhook without {name}", "POST", "/webhooks", json=less)
    for size in ("-1", "1000", "1001", "x"):
        answer = to.send("GET", "/webhooks", params={"max_results": size})
        to.fact(f"{size} webhooks", answer.status_code)
    for hook in to.client.list_webhooks(max_results=1000):
        to.client.delete_webhook(hook.webhook_id)


def delivered(to: Recorder) -> None:
    client, receiver = to.client, Receiver()
    body = {"name": "all", "url": receiver.address + "/all", "events": EVENTS, "secret": SECRET}
    answer = to.send("POST", "/webhooks", json=body)
    hook = answer.json().get("webhook", {}).get("webhook_id", "")
    to.fact("a webhook at this machine", answer.status_code)

    def happens(label: str, count: int, work: Any) -> None:
        work()
        found = receiver.taken(count)
        to.fact(f"delivered after {label}", sorted(found, key=lambda one: (one["entity"], one["action"])))

    tags = {"k": "v"}
    happens("a new model", 1, lambda: client.create_registered_model("hooked", tags, "described"))
    described = {"tags": tags, "description": "x"}
    happens("a new version", 1, lambda: client.create_model_version("hooked", "s3://bucket/x", "run", **described))
    happens("a bare version", 1, lambda: client.create_model_version("hooked", "s3://bucket/x"))
    happens("a version's tag", 1, lambda: client.set_model_version_tag("hooked", "1", "a", "b"))
    happens("a version's tag less", 1, lambda: client.delete_model_version_tag("hooked", "1", "a"))
    happens("an alias", 1, lambda: client.set_registered_model_alias("hooked", "a", "1"))
    happens("an alias moved", 1, lambda: client.set_registered_model_alias("hooked", "a", "2"))
    happens("an alias less", 1, lambda: client.delete_registered_model_alias("hooked", "a"))
    happens("a new prompt", 2, lambda: client.register_prompt("hookedprompt", "Hi", "why", tags=tags))
    happens("a new version of a prompt", 1, lambda: client.register_prompt("hookedprompt", "Hello"))
    happens("a prompt's tag", 1, lambda: client.set_prompt_tag("hookedprompt", "a", "b"))
    happens("a prompt's tag less", 1, lambda: client.delete_prompt_tag("hookedprompt", "a"))
    happens("a prompt version's tag", 1, lambda: client.set_prompt_version_tag("hookedprompt", "1", "a", "b"))
    happens("a prompt version's tag less", 1, lambda: client.delete_prompt_version_tag("hookedprompt", "1", "a"))
    happens("a prompt's alias", 1, lambda: client.set_prompt_alias("hookedprompt", "a", 1))
    happens("a prompt's alias less", 1, lambda: client.delete_prompt_alias("hookedprompt", "a"))
    tested(to, receiver, hook)


def tested(to: Recorder, receiver: Receiver, hook: str) -> None:
    client = to.client
    for event in EVENTS:
        answer = to.raw(f"test {event}", "POST", f"/webhooks/{hook}/test", json={"event": event})
        found = receiver.taken(1)
        said = [[one["entity"], one["action"], sorted(one["data"])] for one in found]
        to.fact(f"the test's delivery of {event}", said)
        assert "result" in answer
    to.call("test without an event", client.test_webhook, hook)
    receiver.taken(1)
    client.update_webhook(hook, url=receiver.address + "/404")
    to.call("test a webhook that refuses", client.test_webhook, hook)
    receiver.taken(1)
    client.update_webhook(hook, url=receiver.address + "/quiet")
    client.update_registered_model("hooked", "y")
    client.transition_model_version_stage("hooked", "1", "Staging")
    client.update_webhook(hook, status="DISABLED")
    client.create_registered_model("unheard")
    client.update_webhook(hook, status="ACTIVE")
    client.create_registered_model("heard")
    to.fact("what was heard", [one["data"]["name"] for one in receiver.taken(1)])
    client.delete_webhook(hook)
    receiver.shutdown()
