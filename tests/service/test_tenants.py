"""No caller sees, infers or changes another tenant's documents: every route, from another workspace (G20)."""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import bson
import pytest
from beanie import Document
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

import regesta_models
from regesta import Hooks, Parent, PluginError, Resource, hookimpl
from regesta.audit import AuditTrail
from regesta.service import Settings, create_app
from regesta.service.problems import routes_of
from regesta.workspaces import HEADER, Workspaced, workspace_scope

from . import shelf
from .conftest import client_of, service

OURS, THEIRS = {HEADER: "ours"}, {HEADER: "theirs"}
MARK = "mark-of-ours"
# What is the same for everybody: no document is behind it.
EVERYBODYS = ("/", "/docs", "/openapi.json", "/livez", "/readyz")
BODIES: Mapping[str, Any] = {
    "PUT": {"version": 1, "description": "theirs", "title": "theirs", "file_path": "x"},
    "POST": {"revision": "0" * 32, "version": 1, "to": "theirs", "operations": [{"op": "delete", "key": MARK}]},
    "PATCH": {"description": "theirs"},
    "DELETE": None,
    "GET": None,
    "HEAD": None,
}


async def stored(database: Any) -> dict[str, list[bytes]]:
    """Every document of our workspace, byte for byte."""
    standard: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
    found = {}
    for name in await database.list_collection_names():
        raws = await database[name].find({"workspace": "ours"}).sort("_id", 1).to_list(None)
        found[name] = [bson.encode(raw, codec_options=standard) for raw in raws]
    return {name: raws for name, raws in found.items() if raws}


async def fill(client: Any) -> dict[str, str]:
    """Something of each kind in our workspace; what stands in paths for each parameter."""

    async def put(verb: str, url: str, body: Any, **more: str) -> Any:
        answer = await client.request(verb, f"/api/v1{url}", json=body, headers={**OURS, **more})
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    await put("POST", "/books", {"isbn": MARK, "title": MARK})
    await put("POST", "/models", {"name": MARK, "description": MARK})
    version = await put("POST", f"/models/{MARK}/versions", {"description": MARK})
    await put("PUT", f"/models/{MARK}/aliases/champion", {"version": 1})
    await put("PATCH", f"/models/{MARK}", {"owner": MARK}, **{"content-type": "application/merge-patch+json"})
    deployed = {"name": MARK, "environment": "production"}
    await put("POST", f"/models/{MARK}/versions/1/deployments", deployed)
    await put("POST", "/promotion-policies", {"name": MARK, "alias": "champion", "gates": [{"type": "digests"}]})
    events = (await client.get("/api/v1/audit-events", headers=OURS)).json()["items"]
    return {
        **dict.fromkeys(("book", "model", "deployment", "promotion_policy"), MARK),
        **dict.fromkeys(("version", "promotion"), "1"),
        "alias": "champion",
        "audit_event": events[0]["id"],
        "approval": str(version["id"]),
    }


def addressed(path: str, keys: Mapping[str, str]) -> str:
    """The path of a route with keys that exist in our workspace."""
    for name in [part.partition("}")[0] for part in path.split("{")[1:]]:
        path = path.replace(f"{{{name}}}", quote(keys.get(name.partition(":")[0], MARK), safe=""))
    return path


async def test_every_route_from_another_workspace(mongod_uri: str) -> None:
    hooks = Hooks(AuditTrail(), shelf)
    hooks.add(regesta_models, name="models")
    app = create_app(Settings(store=mongod_uri, database=f"test_{uuid.uuid4().hex}"), hooks=hooks)
    calls = sorted({(verb, route.path) for route in routes_of(app) for verb in getattr(route, "methods", None) or ()})
    async with client_of(app) as client:
        keys, database = await fill(client), app.state.store.database
        before = await stored(database)
        assert {"books", "models", "versions", "deployments", "promotion_policies", "audit_events"} <= before.keys()
        seen, told = 0, []
        for verb, path in calls:
            if path in EVERYBODYS:
                continue
            url = addressed(path, keys)
            # A schema tells of no document.
            opens = "{" in path and verb in ("GET", "HEAD") and not path.endswith(":schema")
            kinds = (
                ["application/merge-patch+json"] if verb == "PATCH" else ["application/json", "application/x-ndjson"]
            )
            for kind in kinds if BODIES.get(verb) is not None else [""]:
                for headers in (THEIRS, {}):
                    body: Any = {} if BODIES.get(verb) is None else {"json": BODIES.get(verb)}
                    more = {"content-type": kind} if kind else {}
                    answer = await client.request(verb, url, headers={**headers, **more}, **body)
                    seen += 1
                    assert answer.status_code < 500, (verb, path, answer.text)
                    # What was asked for may be named in the answer; what was not asked for may not.
                    said = answer.text.replace(url, "").replace(MARK, "", answer.text.count(MARK) if MARK in url else 0)
                    if MARK in said or (answer.is_success and opens):
                        told.append((verb, path, answer.status_code, answer.text[:200]))
        assert not told
        assert seen > 150
        assert await stored(database) == before
        await app.state.store.client.drop_database(database.name)


class Plugin:
    name = "careless"

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    @hookimpl
    def register_resources(self) -> Any:
        return [self._resource]


class Open(Document):
    name: str = ""


class Below(Document):
    above: Any = None


def test_a_resource_without_a_scope_does_not_start() -> None:
    said = "plugin 'careless': the resource 'opens' has no scope, so everybody would see and change all of it"
    with pytest.raises(PluginError, match=f"{said}.*Workspaced.*scope=workspace_scope.*shared=True"):
        service(Plugin(Resource(Open)))
    with pytest.raises(PluginError, match="the resource 'belows' has no scope"):
        service(Plugin(Resource(Below, parent=Parent(resource=Resource(Open), field="above"))))
    service(Plugin(Resource(Open, shared=True)))
    service(Plugin(Resource(Below, parent=Parent(resource=shelf.books, field="above"))))


class Tool(Workspaced):
    name: str = ""


def test_a_scope_of_the_plugins_own_is_a_scope() -> None:
    service(Plugin(Resource(Tool, scope=lambda: {"workspace": "mine"})))
    service(Plugin(Resource(Tool, scope=workspace_scope)))
