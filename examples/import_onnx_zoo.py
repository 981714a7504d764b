"""Registers the ONNX Model Zoo: 116 models with 184 versions, as they were really released.

    regesta serve
    python examples/import_onnx_zoo.py [URL]

URL is where the service runs, http://127.0.0.1:8000 unless given. What is there already stays as it is, so the
import may run again, or go on after it was interrupted. It needs nothing but Python.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

MANIFEST = Path(__file__).parent / "data" / "onnx-hub-manifest.json"
FILES = "https://github.com/onnx/models/raw/main/"
DEFAULT_URL = "http://127.0.0.1:8000"
PREFIXES = ("/api/v1", "")  # of the service; of an application that mounts the routers itself
TIMEOUT = 30  # seconds

Json = dict[str, Any]


class Refused(Exception):
    """The server did not do what it was asked for; the message says it in one line."""


class Registry:
    """The few requests that an import needs."""

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise Refused(f"{url!r} is no address of a server: give http://HOST:PORT")
        self._root = url.rstrip("/")
        self._root += self._prefix()

    def _prefix(self) -> str:
        for prefix in PREFIXES:
            status, body = self._send("GET", f"{prefix}/models?page_size=1")
            if status == HTTPStatus.OK and isinstance(body.get("items"), list):
                return prefix
        raise Refused(f"{self._root} is not Regesta with its model registry (GET /models answers {status})")

    def create(self, path: str, body: Json) -> bool:
        """Whether it was created; False where there is one already."""
        status, answer = self._send("POST", path, body)
        if status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
            raise Refused(f"POST {path}: {status} {answer.get('detail', '')}")
        return status == HTTPStatus.CREATED

    def every(self, path: str) -> Iterator[Json]:
        """All documents of a list, page by page."""
        query = {"page_size": "1000"}
        while True:
            status, page = self._send("GET", f"{path}?{urlencode(query)}")
            if status != HTTPStatus.OK:
                raise Refused(f"GET {path}: {status} {page.get('detail', '')}")
            yield from page["items"]
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]

    def _send(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        request = Request(self._root + path, method=method)  # noqa: S310 - its scheme was checked
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            try:
                with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
                    return response.status, parsed(response.read())
            except HTTPError as error:
                with error:
                    return error.code, parsed(error.read())
        except (URLError, OSError, ValueError) as error:
            raise Refused(f"nobody answers at {self._root}: {getattr(error, 'reason', error)}") from None


def parsed(body: bytes) -> Json:
    """A JSON object; {} for anything else."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        register(Registry(arguments[0] if arguments else DEFAULT_URL), zoo())
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run it again to go on", file=sys.stderr)
        return 130
    return 0


def zoo() -> dict[str, list[Json]]:
    """The releases of each model, older opsets first."""
    releases = defaultdict(list)
    for entry in json.loads(MANIFEST.read_text("utf-8")):
        releases[entry["model"]].append(entry)
    for entries in releases.values():
        entries.sort(key=lambda entry: (entry["opset_version"], entry["model_path"]))
    return dict(sorted(releases.items()))


def register(registry: Registry, releases: dict[str, list[Json]]) -> None:
    """Create what is missing, one line for each model."""
    new_models = new_versions = 0
    for position, (name, entries) in enumerate(releases.items(), 1):
        model_is_new = registry.create("/models", model_of(name, entries))
        path = f"/models/{quote(name, safe='')}/versions"
        known = set() if model_is_new else {version["source"] for version in registry.every(path)}
        missing = [version for version in map(version_of, entries) if version["source"] not in known]
        for version in missing:
            registry.create(path, version)
        new_models += model_is_new
        new_versions += len(missing)
        print(f"[{position:3}/{len(releases)}] {name}: {len(entries)} versions, {len(missing)} new", flush=True)
    if new_models or new_versions:
        print(f"registered {new_models} new models and {new_versions} new versions")
    else:
        print("nothing changed: all of it was there")
    print(f"{len(releases)} models, {sum(map(len, releases.values()))} versions")


def model_of(name: str, entries: list[Json]) -> Json:
    """The body of POST /models."""
    # validated/vision/object_detection_segmentation/yolov4/model/yolov4.onnx
    _, domain, task, *_ = entries[0]["model_path"].split("/")
    return {
        "name": name,
        "description": f"{name}, from the ONNX Model Zoo.",
        "task": task.replace("_", " "),
        "framework": "onnx",
        "owner": "ONNX Model Zoo",
        "tags": _tags([domain, *(tag for entry in entries for tag in entry["metadata"]["tags"])]),
    }


def version_of(entry: Json) -> Json:
    """The body of POST /models/{model}/versions."""
    about = entry["metadata"]
    ports = about.get("io_ports")
    return {
        "source": FILES + quote(entry["model_path"]),
        "framework": "onnx",
        "tags": _tags(about["tags"]),
        "artifacts": [
            artifact(entry["model_path"], about["model_bytes"], about["model_sha"]),
            # The same model once more, with inputs and outputs to test it by.
            artifact(about["model_with_data_path"], about["model_with_data_bytes"], about["model_with_data_sha"]),
        ],
        "signature": ports and {side: [tensor(port) for port in ports[side]] for side in ("inputs", "outputs")},
        "params": {"opset_version": entry["opset_version"], "onnx_version": entry["onnx_version"]},
    }


def _tags(words: Iterable[str]) -> list[Json]:
    return [{"key": word} for word in dict.fromkeys(words)]


def artifact(path: str, size: int, digest: str) -> Json:
    return {"path": path.rpartition("/")[2], "size": size, "sha256": digest}


def tensor(port: Json) -> Json:
    # null in the manifest: the size is not known
    shape = [-1 if size is None else size for size in port["shape"]]
    return {"name": port["name"], "dtype": port["type"], "shape": shape}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
