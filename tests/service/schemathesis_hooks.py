"""What the generator of requests is told beside the OpenAPI.

Left alone it would test little more than the way to a 404: nothing tells it that the name of a model is what stands
in the path, and it takes `0` for an ETag and for a page token, which is refused before anything else is looked at.
So valid paths lead to documents that exist, and what was made up for a header or a parameter that a case is not
about is left out.
"""

import itertools
import os
import re
from functools import cache
from typing import Any
from urllib.parse import urlencode

import httpx
import schemathesis

from regesta.names import checked_name

MAX_QUERY = 30_000
ALIAS = "champion"
BYTES = {"Content-Type": "application/octet-stream"}
ARTIFACT, PENDING = "folder/weights.bin", "2"
JSON_PATCH = "application/json-patch+json"
NDJSON = "application/x-ndjson"

# Lists whose items differ in this member.
UNIQUE = {"artifacts": "path", "tags": "key"}
CONDITIONS = ("If-Match", "If-None-Match")
# No made-up digest is that of the body, and a made-up range may lie behind the end: tests/models tries them.
OF_BYTES = ("Content-Digest", "Repr-Digest", "Range", "If-Range")
ONCE = "Idempotency-Key"
WORKSPACE = "X-Regesta-Workspace"

EXPRESSIONS = {
    "/api/v1/models": "name:* AND NOT task = none*",
    "/api/v1/models/{model}/versions": "number >= 1 OR status = ready",
    "/api/v1/versions": 'metrics.top1 > 85 AND tags.family = "vit"',
    "/api/v1/audit-events": 'action = create OR time > "2026-01-01T00:00:00Z"',
}

schemathesis.serializer.alias(NDJSON, "application/octet-stream")

_numbers = itertools.count(1)
_names: set[str] = set()


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: Any) -> None:
    """Make no list of a thousand different items, which took half of the time, but in the longer check."""
    if not os.environ.get("SCHEMATHESIS_EXAMPLES"):
        _spare_long_sets(raw_schema)


def _spare_long_sets(schema: Any) -> None:
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict) and part.get("uniqueItems"):
            part.pop("maxItems", None)
        if isinstance(part, dict | list):
            _spare_long_sets(part)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; Regesta refuses it on purpose, so whole numbers are sent as such."""
    return _whole(body)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let the request reach what it is about."""
    # A request line that is longer than the server reads is answered by the server itself.
    if len(urlencode(case.query or {}, doseq=True)) > MAX_QUERY:
        for name, value in case.query.items():
            case.query[name] = value[:1] if isinstance(value, list) else value
    if case.meta is None:
        return
    phase, about = case.meta.phase.name.value, case.meta.phase.data.parameter
    valid = {location.value: info.mode.is_positive for location, info in case.meta.components.items()}
    if phase != "stateful" and valid.get("path") and case.path_parameters:
        existing = _existing(case.operation.base_url, list(case.path_parameters), case.method)
        case.path_parameters.update({name: key for name, key in existing.items() if name != about})
    _leave_out(case, phase, about, valid)
    if valid.get("body"):
        _make_acceptable(case, phase)


@schemathesis.check
def only_json_patches_are_found_invalid(ctx: Any, response: Any, case: Any) -> None:
    """The configuration lets a valid PATCH be 422: because of JSON Patches, or what a new part of a document lacks."""
    may_hold_patches = case.media_type == JSON_PATCH or case.path.endswith(":batch")
    if response.status_code == 422 and not may_hold_patches and case.meta is not None:
        lacking = case.method == "PATCH" and {issue["type"] for issue in response.json()["errors"]} == {"missing"}
        assert case.meta.generation.mode.is_negative or lacking, response.text


def _leave_out(case: Any, phase: str, about: str | None, valid: dict[str, bool]) -> None:
    # In one phase, what the case is not about is `0`, whatever the pattern says; and a lost condition is answered
    # before a wrong body is looked at.
    wrong_elsewhere = case.meta.generation.mode.is_negative and valid.get("header")
    for name in CONDITIONS:
        if wrong_elsewhere or (phase == "coverage" and about != name):
            case.headers.pop(name, None)
    for name in OF_BYTES:
        case.headers.pop(name, None)
    # The same key with another body is refused: each request is one of its own.
    if ONCE in case.headers and about != ONCE:
        case.headers.pop(ONCE)
    elif ONCE in case.headers and valid.get("header"):
        case.headers[ONCE] = f"key-{next(_numbers)}"
    # Only a page before gives a token that is signed.
    if (phase == "coverage" and about != "page_token") or case.meta.generation.mode.is_positive:
        case.query.pop("page_token", None)
    # It is a parameter of imports alone.
    if case.media_type != NDJSON and (about != "on_conflict" or case.meta.generation.mode.is_positive):
        case.query.pop("on_conflict", None)
    # A parameter of watches alone, whose streams do not end: `Accept` is left to be what it is, and asks for JSON.
    if case.meta.generation.mode.is_positive:
        case.query.pop("after", None)
    # References cannot be followed into the past.
    if "revision" in case.query and case.meta.generation.mode.is_positive:
        case.query.pop("expand", None)
    # No schema tells the grammar of expressions.
    if "filter" in case.query and (about != "filter" or case.meta.generation.mode.is_positive):
        _say_a_filter(case)
    # Everything else is in the workspace that a request without the header means.
    if valid.get("header") and case.path_parameters:
        case.headers.pop(WORKSPACE, None)


def _say_a_filter(case: Any) -> None:
    expression = EXPRESSIONS.get(case.path.removesuffix(":facets"))
    if expression is None:
        case.query.pop("filter")
    else:
        case.query["filter"] = expression


def _make_acceptable(case: Any, phase: str) -> None:
    """Keep to the rules that no schema can tell."""
    body = case.body
    if case.media_type == JSON_PATCH:
        # Most pointers lead nowhere. One phase tries them; in the other they lead to a text.
        if phase == "coverage":
            case.body = [change | dict.fromkeys(change.keys() & {"path", "from"}, "/description") for change in body]
        return
    case.body = body = _seen(body)
    if isinstance(body, dict):
        for name, key in UNIQUE.items():
            if isinstance(body.get(name), list):
                case.body = body = {**body, name: list({item[key]: item for item in body[name]}.values())}
    if isinstance(body, dict) and case.method == "POST" and case.path.endswith("/models"):
        if body["name"] in _names:
            case.body = {**body, "name": f"model-{next(_numbers)}"}
        _names.add(case.body["name"])


def _seen(value: Any) -> Any:
    """The body without characters that names must not have: JSON Schema has no word for those that cannot be seen."""
    if isinstance(value, dict):
        return {key: _seen(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_seen(item) for item in value]
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        checked_name(value)
    except ValueError:
        return re.sub(r"[^\x00-\x7f]", "\u00e9", value)
    return value


def _existing(base_url: str, names: list[str], method: str) -> dict[str, str]:
    """The keys in a path, of documents that are there: always the same, or a new one for who deletes it."""
    api, model = _api(base_url), "read" if method == "GET" else "written"
    keys = {"model": model, "version": "1", "alias": ALIAS}
    last, number = names[-1], next(_numbers)
    if "path" in names:
        keys |= {"version": PENDING, "path": f"short-lived-{number}" if method == "DELETE" else ARTIFACT}
        if method == "DELETE":
            _upload(api, model, keys["path"])
    elif last == "audit_event":
        keys[last] = _sent(api, "GET", "/audit-events?page_size=1")["items"][0]["id"]
    elif method == "DELETE" and last == "model":
        keys[last] = _sent(api, "POST", "/models", {"name": f"short-lived-{number}"})["name"]
    elif method == "DELETE" and last == "version":
        keys[last] = str(_sent(api, "POST", f"/models/{model}/versions", {})["number"])
    elif method == "DELETE" and last == "alias":
        keys[last] = f"short-lived-{number}"
        _sent(api, "PUT", f"/models/{model}/aliases/{keys[last]}", {"version": 1})
    # Of the others none is there: what is made up for them is a key, and leads to a 404.
    return {name: keys[name] for name in names if name in keys}


@cache
def _api(base_url: str) -> httpx.Client:
    """A client beside the generator's, of a registry in which something is kept."""
    api = httpx.Client(base_url=f"{base_url.rstrip('/')}/api/v1", trust_env=False, timeout=30)
    for model in ("read", "written"):
        _sent(api, "POST", "/models", {"name": model})
        _sent(api, "POST", f"/models/{model}/versions", {"source": "s3://bucket/folder"})
        _sent(api, "PUT", f"/models/{model}/aliases/{ALIAS}", {"version": 1})
        _sent(api, "POST", f"/models/{model}/versions", {"status": "pending"})
        _upload(api, model, ARTIFACT)
    return api


def _upload(api: httpx.Client, model: str, path: str) -> None:
    api.put(
        f"/models/{model}/versions/{PENDING}/artifacts/{path}", content=b"weights", headers=BYTES
    ).raise_for_status()


def _sent(api: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    answer = api.request(method, path, json=body)
    return answer.raise_for_status().json()
