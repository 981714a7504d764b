"""What one side writes, the other reads at once; and what MLflow's own server does not do."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import httpx
import pytest
from bson import DatetimeMS
from bson.raw_bson import RawBSONDocument
from tests.http.asking import ask
from tests.mlflow.application import PREFIX, Both, both

from regesta import Access, ConfigurationError, Forbidden, Hooks, PluginError, Registry, hookimpl, service
from regesta.store import collection_of, exactly
from regesta_mlflow import Plugin, Settings
from regesta_models import Model, Version

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def test_what_is_written_natively_is_read_by_mlflow(any_registry: Both) -> None:
    await any_registry.native(
        "POST", "/models", json={"name": "resnet", "description": "x", "tags": [{"key": "a", "value": "b"}]}
    )
    body = {"source": "s3://bucket/x", "run": {"id": "r", "link": "https://r"}, "status": "pending"}
    await any_registry.native("POST", "/models/resnet/versions", json=body)
    await any_registry.native("PUT", "/models/resnet/aliases/champion", json={"version": 1})
    found = (await any_registry.done("GET", "/registered-models/alias", name="resnet", alias="champion"))[
        "model_version"
    ]
    assert found["version"] == "1"
    assert (found["run_id"], found["run_link"], found["status"]) == ("r", "https://r", "PENDING_REGISTRATION")
    model = (await any_registry.done("GET", "/registered-models/get", name="resnet"))["registered_model"]
    assert model["tags"] == [{"key": "a", "value": "b"}]
    assert model["aliases"] == [{"alias": "champion", "version": "1"}]
    assert [one["version"] for one in model["latest_versions"]] == ["1"]


async def test_what_mlflow_writes_is_read_natively_and_audited(any_registry: Both) -> None:
    await any_registry.model(tags=[{"key": "a", "value": "b"}])
    await any_registry.version(run_id="r", description="x")
    await any_registry.done("POST", "/model-versions/transition-stage", name="resnet", version="1", stage="staging")
    await any_registry.done("POST", "/model-versions/set-tag", name="resnet", version="1", key="k", value="v")
    await any_registry.done("POST", "/registered-models/alias", name="resnet", alias="champion", version="1")
    version = await any_registry.native("GET", "/models/resnet/versions/1")
    assert (version["stage"], version["run"]["id"], version["description"]) == ("Staging", "r", "x")
    assert (version["tags"], version["aliases"]) == ([{"key": "k", "value": "v"}], ["champion"])
    changed = [("update", "versions", "1")] * 3
    events = [event for event in await any_registry.events() if event[1] in ("models", "versions")]
    assert events == [("create", "models", "resnet"), ("create", "versions", "1"), *changed]


async def test_what_another_program_stored_is_shown_as_far_as_it_can_be(registry: Both) -> None:
    """This protocol has no way to say that something cannot be shown; a search leaves out nothing."""
    await registry.model()
    await registry.version()
    strange = {"$set": {"status_message": "caf\udce9", "created_at": DatetimeMS(253_402_300_800_000)}}
    for document in (Model, Version):
        await collection_of(document).update_one({}, RawBSONDocument(exactly(strange)))
    for path in ("/registered-models/search", "/model-versions/search"):
        ((found,),) = (value for value in (await registry.done("GET", path)).values() if isinstance(value, list))
        assert int(found["creation_timestamp"]) == 253_402_300_800_000
        assert found.get("status_message", "caf\\xe9") == "caf\\xe9"
    await registry.done("DELETE", "/registered-models/delete", name="resnet")


async def test_the_latest_versions_follow_every_write(any_registry: Both) -> None:
    async def latest() -> dict[str, str]:
        found = await any_registry.done("GET", "/registered-models/get", name="resnet")
        return {one["current_stage"]: one["version"] for one in found["registered_model"].get("latest_versions", [])}

    await any_registry.model()
    for _ in range(3):
        await any_registry.version()
    assert await latest() == {"None": "3"}
    await any_registry.native("PATCH", "/models/resnet/versions/3", json={"stage": "Production"}, headers=MERGE_PATCH)
    assert await latest() == {"None": "2", "Production": "3"}
    await any_registry.native("DELETE", "/models/resnet/versions/2")
    assert await latest() == {"None": "1", "Production": "3"}
    await any_registry.done("DELETE", "/model-versions/delete", name="resnet", version="3")
    assert await latest() == {"None": "1"}
    await any_registry.native("DELETE", "/models/resnet/versions/1")
    assert await latest() == {}


async def test_a_renamed_model_keeps_its_versions_on_both_sides(any_registry: Both) -> None:
    await any_registry.model()
    await any_registry.version()
    await any_registry.done("POST", "/registered-models/alias", name="resnet", alias="a", version="1")
    await any_registry.done("POST", "/registered-models/rename", name="resnet", new_name="vit")
    assert (await any_registry.native("GET", "/models/vit/versions/1"))["aliases"] == ["a"]
    found = await any_registry.done("GET", "/model-versions/search", filter="name = 'vit'")
    assert [one["name"] for one in found["model_versions"]] == ["vit"]
    assert (await any_registry.refused("GET", "/model-versions/get", name="resnet", version="1"))[0] == 404


async def test_a_name_cannot_be_changed_natively(any_registry: Both) -> None:
    await any_registry.model()
    answer = await any_registry.client.patch("/models/resnet", json={"name": "vit"}, headers=MERGE_PATCH)
    assert answer.status_code == 422


async def test_many_versions_at_once_are_numbered_without_gaps(registry: Both) -> None:
    await registry.model()
    made = await asyncio.gather(*(registry.version() for _ in range(20)))
    assert sorted(int(one["version"]) for one in made) == list(range(1, 21))
    found = (await registry.done("GET", "/registered-models/get", name="resnet"))["registered_model"]
    assert [one["version"] for one in found["latest_versions"]] == ["20"]


async def test_an_archiving_transition_is_one_moment_and_audits_each_version(registry: Both) -> None:
    await registry.model()
    for number in ("1", "2", "3"):
        await registry.version()
        where = {"name": "resnet", "version": number, "stage": "Production"}
        await registry.done("POST", "/model-versions/transition-stage", **where, archive_existing_versions=True)
    found = (await registry.done("GET", "/model-versions/search", filter="name = 'resnet'"))["model_versions"]
    assert {one["version"]: one["current_stage"] for one in found} == {
        "3": "Production",
        "2": "Archived",
        "1": "Archived",
    }
    times = {one["version"]: one["last_updated_timestamp"] for one in found}
    model = (await registry.done("GET", "/registered-models/get", name="resnet"))["registered_model"]
    assert times["3"] == times["2"] == model["last_updated_timestamp"]
    assert len([event for event in await registry.events() if event == ("update", "versions", "2")]) == 2


async def test_pages_neither_skip_nor_repeat_while_others_write(any_registry: Both) -> None:
    for number in range(10):
        await any_registry.model(f"m{number}")
    first = await any_registry.done("GET", "/registered-models/search", max_results=4)
    await any_registry.model("a")
    await any_registry.done("DELETE", "/registered-models/delete", name="m0")
    second = await any_registry.done(
        "GET", "/registered-models/search", max_results=100, page_token=first["next_page_token"]
    )
    seen = [one["name"] for page in (first, second) for one in page["registered_models"]]
    assert seen == [f"m{number}" for number in range(10)]
    assert "next_page_token" not in second


async def test_a_token_is_good_for_its_search_only(any_registry: Both) -> None:
    await any_registry.model("a")
    await any_registry.model("b")
    token = (await any_registry.done("GET", "/registered-models/search", max_results=1))["next_page_token"]
    for other in ({"filter": "name != 'x'"}, {"order_by": "name DESC"}):
        said = await any_registry.refused("GET", "/registered-models/search", page_token=token, **other)
        assert said[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("path", ["/evil", "/registered-models", "/registered-models/get/x", "/webhooks/x/y"])
async def test_every_path_below_answers_in_mlflows_json(any_registry: Both, path: str) -> None:
    assert (await any_registry.refused("GET", path))[:2] == (404, "ENDPOINT_NOT_FOUND")


async def test_a_workspace_has_its_own_models(any_registry: Both) -> None:
    await any_registry.model()
    address, mine = f"{PREFIX}/registered-models/get", {"X-MLFLOW-WORKSPACE": "mine"}
    other = await any_registry.client.get(address, params={"name": "resnet"}, headers=mine)
    assert other.status_code == 404
    made = await any_registry.client.post(f"{PREFIX}/registered-models/create", json={"name": "vit"}, headers=mine)
    assert made.status_code == 200
    native = await any_registry.client.get("/models/vit", headers={"X-Regesta-Workspace": "mine"})
    assert native.json()["workspace"] == "mine"
    bad = await any_registry.client.get(address, params={"name": "vit"}, headers={"X-MLFLOW-WORKSPACE": "../x"})
    assert (bad.status_code, bad.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    for first, second in (("X-MLFLOW-WORKSPACE", "X-MLFLOW-WORKSPACE"), ("X-MLFLOW-WORKSPACE", "X-Regesta-Workspace")):
        for headers in ([(first, "mine"), (second, "yours")], [(second, "yours"), (first, "mine")]):
            two = await any_registry.client.get(address, params={"name": "vit"}, headers=headers)
            assert (two.status_code, two.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    info = await any_registry.client.get("/api/3.0/mlflow/server-info")
    assert info.json()["workspaces_enabled"] is True


class Nobody:
    """Refuses every write."""

    name = "nobody"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked.append((request.resource, request.operation, request.key))
        if request.operation != "get":
            raise Forbidden("nobody writes")


async def test_who_may_not_is_told_so(memory_database: Any) -> None:
    nobody = Nobody()
    async with both(memory_database, nobody) as opened:
        said = await opened.refused("POST", "/registered-models/create", name="resnet")
        assert said == (403, "PERMISSION_DENIED", "nobody writes")
        assert (await opened.refused("GET", "/registered-models/get", name="resnet"))[0] == 404
    assert nobody.asked == [("models", "create", "resnet"), ("models", "get", "resnet")]


async def test_what_is_protected_stays(any_registry: Both) -> None:
    await any_registry.model()
    await any_registry.native("PATCH", "/models/resnet", json={"protected": True}, headers=MERGE_PATCH)
    said = await any_registry.refused("DELETE", "/registered-models/delete", name="resnet")
    assert said[:2] == (409, "RESOURCE_CONFLICT")


@pytest.mark.parametrize("source", ["/home/me/model", "file:///home/me/model", "FILE:/x", "model"])
async def test_files_of_one_machine_are_registered_only_where_that_is_allowed(
    memory_database: Any, source: str
) -> None:
    sent = {"name": "resnet", "source": source}
    async with both(memory_database) as opened:
        await opened.model()
        said = await opened.refused("POST", "/model-versions/create", **sent)
        assert said[1] == "INVALID_PARAMETER_VALUE"
        assert said[2].startswith("Invalid model version source")
    async with both(memory_database, settings=Settings(local_sources=True)) as opened:
        assert (await opened.version(source=source))["source"] == source
        found = await opened.done("GET", "/model-versions/get-download-uri", name="resnet", version="1")
        assert found == {"artifact_uri": source}


async def test_prompts_are_prompts_on_both_sides(any_registry: Both) -> None:
    await any_registry.native("POST", "/models", json={"name": "native", "kind": "prompt"})
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    await any_registry.model("theirs", tags=[tag])
    assert (await any_registry.native("GET", "/models/theirs"))["kind"] == "prompt"
    await any_registry.version("theirs", source="dummy-source", tags=[tag])
    await any_registry.model("resnet")
    assert [
        one["name"] for one in (await any_registry.done("GET", "/registered-models/search"))["registered_models"]
    ] == ["resnet"]
    asked = await any_registry.done(
        "GET", "/registered-models/search", filter="tags.`mlflow.prompt.is_prompt` = 'true'"
    )
    assert [one["name"] for one in asked["registered_models"]] == ["native", "theirs"]
    assert await any_registry.done("GET", "/model-versions/search") == {}
    said = await any_registry.refused("POST", "/registered-models/create", name="native")
    assert said[:2] == (400, "RESOURCE_ALREADY_EXISTS")
    assert "already taken by a prompt." in said[2]


def test_without_models_there_is_nothing_to_speak_about() -> None:
    hooks = Hooks(Plugin(Settings()))
    with pytest.raises(PluginError, match="load the plugin 'models' too"):
        hooks.collect("register_applications", registry=Registry([], hooks))


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_a_setting_that_is_neither_true_nor_false_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="REGESTA_MLFLOW_LOCAL_SOURCES: must be true or false"):
        Settings.load({"REGESTA_MLFLOW_LOCAL_SOURCES": value})


def test_networks_that_webhooks_may_lead_to_are_listed() -> None:
    networks = (IPv4Network("10.0.0.0/8"), IPv6Network("::1/128"))
    assert Settings.load({"REGESTA_WEBHOOK_TARGETS": "10.0.0.0/8, ::1"}) == Settings(webhook_targets=networks)
    for value in ("10.0.0.1/8", "localhost", "true"):
        with pytest.raises(ConfigurationError, match="REGESTA_WEBHOOK_TARGETS: must be networks"):
            Settings.load({"REGESTA_WEBHOOK_TARGETS": value})


def test_the_setting_that_the_list_of_networks_replaces_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"PRIVATE_WEBHOOKS is no more: list .* in REGESTA_WEBHOOK_TARGETS"):
        Settings.load({"REGESTA_MLFLOW_PRIVATE_WEBHOOKS": "yes"})
    assert Settings.load({"REGESTA_MLFLOW_PRIVATE_WEBHOOKS": "false"}) == Settings()


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "GET"])
async def test_a_body_without_a_type_is_refused(any_registry: Both, method: str) -> None:
    """Any web page can make a browser send one."""
    path = {"POST": "create", "PATCH": "update", "DELETE": "delete", "GET": "get"}[method]
    sent = await any_registry.client.request(method, f"{PREFIX}/registered-models/{path}", content=b'{"name": "a"}')
    assert (sent.status_code, sent.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "Content-Type must be 'application/json'" in sent.json()["message"]


async def test_what_the_service_refuses_is_said_in_this_protocol() -> None:
    app = service.create_app(service.Settings(store="memory://", plugins=("models", "mlflow")))
    path = f"{PREFIX}/registered-models/create"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for answer, status, code in (
            (await client.post(path, content=b"{}"), 400, "INVALID_PARAMETER_VALUE"),
            (await client.post(path, json={}, headers={"Host": "evil.example"}), 400, "INVALID_PARAMETER_VALUE"),
            (await client.post(path, json={}, headers={"Origin": "null"}), 403, "PERMISSION_DENIED"),
        ):
            assert (answer.status_code, answer.json()["error_code"]) == (status, code)


async def test_a_body_that_stalls_is_given_up(any_registry: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.http.streams.STALLED", 0.05)

    async def stalling() -> AsyncIterator[bytes]:
        yield b'{"name": '
        await asyncio.get_running_loop().create_future()

    path = f"{PREFIX}/registered-models/create"
    answer = await any_registry.client.post(path, content=stalling(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "nothing of the body came" in answer.json()["message"]


async def test_a_body_that_is_cut_is_no_defect(any_registry: Both, caplog: pytest.LogCaptureFixture) -> None:
    transport: Any = any_registry.client._transport
    path = f"{PREFIX}/registered-models/create"
    answer = await ask(transport.app, "POST", path, [b'{"name": "a"}'], aborted=True)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "request failed" not in caplog.text
