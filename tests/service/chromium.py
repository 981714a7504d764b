"""A page in a headless Chromium, driven by the DevTools protocol."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.eventually import eventually
from websockets.sync.client import ClientConnection, connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# The project's own check sets the variable: there, nothing may be skipped.
needs_chromium = pytest.mark.skipif(
    PROGRAM is None and "REGESTA_REQUIRE_CHROMIUM" not in os.environ, reason="not installed: chromium"
)

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    "--remote-debugging-port=0",
    # Whatever a page asks for: nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)


class Page:
    """The only tab of a browser, and what happened in it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Network", "Log", "Runtime", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """What the browser answers; events that come before it are kept."""
        self._calls += 1
        self._connection.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while (said := json.loads(self._connection.recv(timeout=60))).get("id") != self._calls:
            self.events.append(said)
        assert "error" not in said, said
        return said["result"]

    def go_to(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        eventually(lambda: self.value("document.readyState") == "complete", within=60)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; of a promise, what it resolves to."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def eventually(self, expression: str) -> Any:
        """The value once it is true."""
        return eventually(lambda: self.value(expression), within=60)

    def requested(self) -> list[str]:
        """Every URL that was asked for, by anybody in the page."""
        seen = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["request"]["url"] for event in seen]

    def complaints(self) -> list[str]:
        """Errors in the log of the page; what its policy forbids is one."""
        logged = [event["params"]["entry"] for event in self.events if event["method"] == "Log.entryAdded"]
        thrown = [event["params"] for event in self.events if event["method"] == "Runtime.exceptionThrown"]
        return [entry["text"] for entry in logged if entry["level"] == "error"] + [str(one) for one in thrown]


@contextmanager
def opened(folder: Path) -> Iterator[Page]:
    """A page of a new browser that keeps its files in `folder`."""
    assert PROGRAM is not None
    command = [PROGRAM, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            told = folder / "DevToolsActivePort"
            port = eventually(lambda: told.exists() and told.read_text("utf-8").split("\n")[0], within=60)
            with connect(_address_of_page(str(port)), max_size=None, proxy=None) as connection:
                yield Page(connection)
        finally:
            process.terminate()


def _address_of_page(port: str) -> str:
    def first() -> str:
        tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
        return next((str(tab["webSocketDebuggerUrl"]) for tab in tabs if tab["type"] == "page"), "")

    return eventually(first, within=60)
