"""The plugin as the framework finds it, and what OpenAPI says of it."""

import ast
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.models.application import FULL_ALPHABET, Service

import regesta_models
from regesta import Hooks
from regesta_models.constraints import AliasName, ArtifactPath, Digest, Label, ModelName, Source

SOURCES = Path(regesta_models.__file__).parent


def test_it_is_found_by_its_entry_point() -> None:
    hooks = Hooks.load(only=["models"])
    assert hooks.implemented_by("models") == (
        "prepare_change",
        "record_changes",
        "register_collections",
        "register_commands",
        "register_resources",
        "register_routers",
        "shutdown",
        "startup",
        "validate_change",
    )
    (found,) = hooks.collect("register_resources")
    assert [resource.name for resource in found[1]] == [
        *("models", "versions", "all_versions", "promotion-policies", "promotions", "approvals"),
        *("model-cards", "version-cards"),
        *("deployments", "all-deployments"),
    ]


PUBLIC = ("errors", "http", "names", "operations", "pacing", "query", "schemas", "service", "store")


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.py")), ids=lambda path: path.name)
def test_it_uses_what_every_plugin_has(path: Path) -> None:
    """Only packages that name what is public, and nothing below them."""
    public = {"regesta", "regesta.workspaces"}
    public |= {f"regesta.{name}" for name in PUBLIC}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "regesta":
            assert node.module in public
            assert not any(name.name.startswith("_") for name in node.names)
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            assert node.attr.startswith("__") or not node.attr.startswith("_"), ast.unparse(node)


@pytest.fixture
async def openapi(memory_service: Service) -> dict[str, Any]:
    answer: httpx.Response = await memory_service.client.get("/openapi.json")
    document: dict[str, Any] = answer.json()
    return document


def test_operations_are_named(openapi: dict[str, Any]) -> None:
    named = {found["operationId"] for path in openapi["paths"].values() for found in path.values()}
    assert named >= {
        *("list_models", "get_model", "create_model", "replace_model", "patch_model", "delete_model"),
        *("list_versions", "get_version", "create_version", "replace_version", "patch_version", "delete_version"),
        *("list_aliases", "get_alias", "set_alias", "delete_alias"),
    }


def test_every_answer_of_the_alias_routes_is_declared(openapi: dict[str, Any]) -> None:
    one = openapi["paths"]["/models/{model}/aliases/{alias}"]
    assert set(one["put"]["responses"]) == {"200", "201", "400", "404", "409", "412", "413", "415", "422", "503"}
    assert set(one["get"]["responses"]) == {"200", "304", "400", "404", "412", "422", "503"}
    assert set(one["delete"]["responses"]) == {"204", "400", "404", "409", "412", "422", "503"}
    collection = openapi["paths"]["/models/{model}/aliases"]["get"]
    assert set(collection["responses"]) == {"200", "400", "404", "422", "503"}
    for operation in (*one.values(), collection):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                problem = answer["content"]["application/problem+json"]["schema"]
                assert resolved(openapi, problem)["title"] == "Problem"
    for status in ("200", "201"):
        version = resolved(openapi, one["put"]["responses"][status]["content"]["application/json"]["schema"])
        assert "aliases" in version["properties"]
        assert "ETag" in one["put"]["responses"][status]["headers"]
    body = one["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["version"]
    assert body["additionalProperties"] is False
    alias = next(found for found in one["get"]["parameters"] if found["name"] == "alias")
    validator = jsonschema_rs.validator_for(alias["schema"])
    assert [validator.is_valid(text) for text in ("champion", "latest", "v1", "a b")] == [True, False, False, False]


async def test_every_answer_of_the_promotion_and_card_routes_is_declared(openapi: dict[str, Any]) -> None:
    write = {"200", "400", "404", "409", "412", "413", "415", "422", "503"}
    for method, more in (("override", {"201"}), ("rollback", set())):
        post = openapi["paths"][f"/models/{{model}}/aliases/{{alias}}:{method}"]["post"]
        assert set(post["responses"]) == write | more
        assert post["operationId"] == f"{method}_alias"
        assert {found["name"] for found in post["parameters"]} >= {"model", "alias", "validate_only"}
    for of, path in (("model", "/models/{model}/card"), ("version", "/models/{model}/versions/{version}/card")):
        card = openapi["paths"][path]
        assert [card[verb]["operationId"] for verb in ("get", "put", "delete")] == [
            f"{verb}_{of}_card" for verb in ("get", "put", "delete")
        ]
        assert set(card["get"]["responses"]) == {"200", "304", "400", "404", "406", "412", "422", "501", "503"}
        assert set(card["put"]["responses"]) == write | {"201", "501"}
        assert set(card["delete"]["responses"]) == {"204", "400", "404", "409", "412", "422", "503"}
        assert set(card["get"]["responses"]["200"]["content"]) == {"text/markdown", "text/html", "application/json"}
        assert set(card["put"]["requestBody"]["content"]) == {"text/markdown"}


def resolved(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


TEXTS = [ModelName, Label, Source, ArtifactPath, Digest, AliasName]


@pytest.mark.parametrize("kind", TEXTS, ids=["name", "label", "source", "path", "digest", "alias"])
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_the_schema_allows_what_is_accepted(kind: Any, data: st.DataObject) -> None:
    text = data.draw(st.text(FULL_ALPHABET, max_size=12).map(lambda end: data.draw(st.sampled_from(STARTS)) + end))
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    allowed = jsonschema_rs.validator_for(adapter.json_schema()).is_valid(text)
    try:
        adapter.validate_python(text)
    except ValidationError:
        assert not allowed or "%" in text  # digits that are percent-encoded themselves
    else:
        assert allowed


STARTS = ["", "", "s3://", "file:", "v", "latest", "..", "a/", "%2e", "a" * 63, " "]


async def test_what_can_be_read_can_be_asked_for_its_head(any_service: Service) -> None:
    await any_service.model()
    for _ in range(2):
        await any_service.version()
    below = "/models/resnet"
    for path in (f"{below}/aliases", f"{below}/versions:compare?versions=1,2"):
        answer, head = await any_service.client.get(path), await any_service.client.head(path)
        assert (answer.status_code, head.status_code) == (200, 200), path
        assert head.headers["content-length"] == answer.headers["content-length"]


async def test_the_head_of_a_lineage(service: Service) -> None:
    await service.model()
    await service.version()
    assert (await service.client.head("/models/resnet/versions/1:lineage")).status_code == 200


async def test_versions_in_paths_are_described_as_numbers(memory_service: Service) -> None:
    described = (await memory_service.client.get("/openapi.json")).json()["paths"]
    seen = 0
    for path, operations in described.items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] == "version":
                    number, *aliases = parameter["schema"].get("anyOf", [parameter["schema"]])
                    assert number["type"] == "integer", path
                    assert all(alias["type"] == "string" for alias in aliases), path
                    seen += 1
    assert seen > 5
    for number in ("x", "01", "9" * 20):
        for of in ("/card", ":lineage", "/artifacts"):
            answer = await memory_service.client.get(f"/models/resnet/versions/{number}{of}")
            assert answer.status_code in (404, 422, 501), (number, of)
