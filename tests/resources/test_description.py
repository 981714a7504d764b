"""`GET /things:schema`: what can be sent to a resource and asked of it."""

from typing import Annotated, Any, ClassVar

import jsonschema_rs
from beanie import Document, Indexed
from pymongo import TEXT

from regesta import READS, Forbidden, Hooks, Immutable, ReadOnly, Secret, hookimpl
from regesta.change import Access

from .serving import created, served


class Gadget(Document):
    name: Annotated[str, Indexed(unique=True), Immutable]
    year: Annotated[int, Indexed()] = 2000
    notes: str = ""
    made_by: Annotated[str, ReadOnly] = "us"
    pin: Annotated[str, Secret] = ""

    class Settings:
        indexes: ClassVar = [[("notes", TEXT)]]


async def test_what_a_resource_is(any_database: Any) -> None:
    async with served(any_database, Gadget, key="name", default_sort="-year", page_size=5, max_page_size=9) as client:
        answer = await client.get("/gadgets:schema")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        found = answer.json()
        schemas, filters = found.pop("schemas"), found.pop("filters")
        assert found == {
            "name": "gadgets", "singular": "gadget", "key": "name",
            "operations": ["list", "get", "create", "replace", "patch", "delete", "export", "import", "facets",
                           "schema", "batch", "watch"],
            "sorts": ["id", "name", "year"], "default_sort": "-year",
            "fields": ["id", "name", "year", "notes", "made_by"],
            "keyed_filters": {}, "facets": ["id", "name", "year"], "expand": [],
            "q": {"available": True, "max_length": 256}, "page_size": 5, "max_page_size": 9,
        }  # fmt: skip
        assert filters["year"]["schema"]["type"] == "integer"
        assert filters["year"]["operators"] == ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists"]
        assert set(filters) == {"id", "name", "year", "notes"} - {"notes"}
        assert set(schemas) == {"create", "replace", "patch", "read"}
        assert "pin" in schemas["create"]["properties"]
        assert "pin" not in schemas["read"]["properties"]
        for schema in schemas.values():
            assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
            jsonschema_rs.meta.validate(schema)
        document = await created(client, "/gadgets", {"name": "a"})
        jsonschema_rs.validate(schemas["read"], document)
        assert jsonschema_rs.is_valid(schemas["create"], {"name": "a"})
        assert not jsonschema_rs.is_valid(schemas["create"], {"name": "a", "made_by": "me"})
        assert not jsonschema_rs.is_valid(schemas["patch"], {"name": "b"})


async def test_it_is_answered_once(memory_database: Any) -> None:
    async with served(memory_database, Gadget) as client:
        first = await client.get("/gadgets:schema")
        tag = first.headers["etag"]
        for sent in (tag, f"W/{tag}", "*", f'"other", {tag}'):
            again = await client.get("/gadgets:schema", headers={"if-none-match": sent})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await client.get("/gadgets:schema", headers={"if-none-match": '"other"'})).content == first.content
        assert (await client.get("/gadgets:schema", headers={"if-match": '"other"'})).status_code == 412
        assert (await client.head("/gadgets:schema")).headers["etag"] == tag
        assert (await client.get("/gadgets:schema?x=1")).status_code == 422
        refused = await client.post("/gadgets:schema")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    async with served(memory_database, Gadget, page_size=7) as client:
        assert (await client.get("/gadgets:schema")).headers["etag"] != tag


async def test_what_is_not_offered_is_not_described(memory_database: Any) -> None:
    async with served(memory_database, Gadget, operations=READS) as client:
        found = (await client.get("/gadgets:schema")).json()
        assert set(found["schemas"]) == {"read"}
        assert found["operations"] == ["list", "get", "export", "facets", "schema", "watch"]


async def test_who_may_not_see_it(memory_database: Any) -> None:
    class Guard:
        @hookimpl
        def authorize(self, request: Access) -> None:
            assert (request.operation, request.key) == ("schema", None)
            raise Forbidden("no")

    async with served(memory_database, Gadget, hooks=Hooks(Guard())) as client:
        assert (await client.get("/gadgets:schema")).status_code == 403


async def test_openapi_declares_it(memory_database: Any) -> None:
    async with served(memory_database, Gadget, key="name") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        described, counted = paths["/gadgets:schema"]["get"], paths["/gadgets:facets"]["get"]
        assert (described["operationId"], counted["operationId"]) == ("schema_gadgets", "facets_gadgets")
        assert set(described["responses"]) == {"200", "304", "400", "412", "422", "503"}
        assert set(counted["responses"]) == {"200", "400", "422", "501", "503"}
        (by,) = (parameter for parameter in counted["parameters"] if parameter["name"] == "by")
        assert by["required"]
        assert {"by", "limit", "year__gte", "filter", "q"} <= {parameter["name"] for parameter in counted["parameters"]}
