"""Remembers what a registry answers, call by call, without what differs from run to run."""

import inspect
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

API = "/api/2.0/mlflow"
TIMES = ("creation_timestamp", "last_updated_timestamp")
TIMEOUT = 30  # seconds


class Recorder:
    """One client of one registry, and the list of what it was answered."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        # A client that is given a tracking address sends nothing to it, and builds no store of its own.
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.http = requests.Session()
        self.entries: list[dict[str, Any]] = []

    def call(self, label: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a method of the client, and remember its result or its error."""
        try:
            result = function(*arguments, **named)
        except MlflowException as error:
            self._add(label, error=error.error_code, message=str(error.message))
        except Exception as error:
            self._add(label, error=type(error).__name__, message=str(error))
        else:
            self._add(label, result=plain(result))
            return result
        return None

    def raw(self, label: str, verb: str, path: str, **options: Any) -> Any:
        """Send a request that no client sends, and remember its answer."""
        answer = self.send(verb, path, **options)
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        if answer.ok:
            self._add(label, status=answer.status_code, result=timeless(body))
        else:
            said = body if isinstance(body, dict) else {}
            self._add(
                label, status=answer.status_code, error=said.get("error_code", ""), message=said.get("message", "")
            )
        return body

    def send(self, verb: str, path: str, **options: Any) -> requests.Response:
        """Send a request without remembering it."""
        return self.http.request(verb, f"{self.uri}{API}{path}", timeout=TIMEOUT, **options)

    def fact(self, label: str, value: Any) -> None:
        """Remember what follows from several answers."""
        self._add(label, result=value)

    def later(self) -> int:
        """The time in milliseconds; whatever is written after this has another one."""
        time.sleep(0.003)
        now = int(time.time() * 1000)
        time.sleep(0.003)
        return now

    def write(self, path: Path) -> None:
        """All entries as JSON."""
        path.write_text(json.dumps(self.entries, indent=1))

    def _add(self, label: str, **entry: Any) -> None:
        self.entries.append({"call": label, **entry})


def plain(value: Any) -> Any:
    """An answer of the client as JSON."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in sorted(value.items())}
    if isinstance(value, set):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return {"items": items, "more": bool(value.token)} if hasattr(value, "token") else items
    found = {}
    for name, _ in inspect.getmembers(type(value), lambda member: isinstance(member, property)):
        if not name.startswith("_"):
            found[name] = _stable(name, plain(getattr(value, name)))
    return found or str(value)


def timeless(body: Any) -> Any:
    """A raw answer, without times, ids and tokens."""
    if isinstance(body, dict):
        return {key: _stable(key, timeless(item)) for key, item in sorted(body.items())}
    return [timeless(item) for item in body] if isinstance(body, list) else body


def _stable(name: str, value: Any) -> Any:
    if name in TIMES and isinstance(value, int):
        return "a time"
    if name == "webhook_id":
        return "an id"
    return "a token" if name == "next_page_token" and value else value
