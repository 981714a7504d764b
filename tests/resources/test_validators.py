"""Validators of the document's own, in every mode, run on every way in."""

import json
from datetime import UTC, date, datetime
from typing import Annotated, Any, Self

import httpx
import pytest
from beanie import Document
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticUseDefault

from regesta import Secret
from regesta.store import collection_of

from .serving import Client, created, pointers, served


def check_even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


def lenient(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return handler(0 if value == "zero" else value)


class Checked(Document):
    even: Annotated[int, AfterValidator(check_even)] = 0
    words: Annotated[
        list[str], BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)
    ] = []
    wrapped: Annotated[int, WrapValidator(lenient)] = 0
    name: str = "x"
    stamp: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @field_validator("name")
    @classmethod
    def stripped(cls, value: str) -> str:
        return value.strip()

    @field_validator("name", mode="before")
    @classmethod
    def joined(cls, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    class Settings:
        name = "checked"


class Span(Document):
    first: int
    last: int
    width: int = 0

    @model_validator(mode="before")
    @classmethod
    def from_pair(cls, value: Any) -> Any:
        if isinstance(value, dict) and "last" not in value and "first" in value:
            return {**value, "last": value["first"]}
        return value

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if self.last < self.first:
            raise ValueError("last must not be before first")
        self.__dict__["width"] = self.last - self.first
        return self

    class Settings:
        name = "spans"


class Dependent(Document):
    low: int
    high: int

    @field_validator("high")
    @classmethod
    def above(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("low", value):
            raise ValueError("must not be below low")
        return value

    class Settings:
        name = "dependents"


async def test_validators_of_a_field_in_every_mode(any_database: Any) -> None:
    async with served(any_database, Checked) as client:
        document = await created(
            client, "/checkeds", {"even": 2, "words": "a,b", "wrapped": "zero", "name": [" a", "b "]}
        )
        url = f"/checkeds/{document['id']}"
        expected = {"even": 2, "words": ["a", "b"], "wrapped": 0, "name": "a b"}
        assert {name: document[name] for name in expected} == expected
        for body in ({"even": 3}, {"wrapped": "one"}, {"name": 5}, {"words": 5}, {"words": [1]}):
            where = {f"/{name}" for name in body}
            found = pointers(await client.post("/checkeds", json=body)) | pointers(await client.merge(url, body))
            assert {f"/{pointer.split('/')[1]}" for pointer in found} == where
        changed = await client.merge(url, {"words": "c", "name": " z "})
        assert changed.json() == {**document, "words": ["c"], "name": "z"}
        assert (await client.merge(url, {"words": "c", "name": " z "})).headers["etag"] == changed.headers["etag"]
        replaced = await client.put(url, json={"even": 4, "words": "d,e", "stamp": document["stamp"]})
        assert replaced.json() == {**document, "even": 4, "words": ["d", "e"], "wrapped": 0, "name": "x"}


async def test_validators_of_the_whole_see_the_whole_after_a_patch(any_database: Any) -> None:
    async with served(any_database, Span) as client:
        document = await created(client, "/spans", {"first": 1, "last": 5})
        assert document["width"] == 4
        url = f"/spans/{document['id']}"
        assert (await client.merge(url, {"last": 7})).json() == {**document, "last": 7, "width": 6}
        for answer in (
            await client.merge(url, {"last": 0}),
            await client.put(url, json={"first": 3, "last": 1}),
            await client.operate(url, {"op": "replace", "path": "/first", "value": 9}),
            await client.post("/spans", json={"first": 3, "last": 1}),
        ):
            assert pointers(answer) == {""}
            assert answer.json()["errors"][0]["message"] == "last must not be before first"


async def test_a_before_validator_fills_a_body(any_database: Any) -> None:
    async with served(any_database, Span) as client:
        document = await created(client, "/spans", {"first": 3})
        assert (document["first"], document["last"], document["width"]) == (3, 3, 0)
        url = f"/spans/{document['id']}"
        assert (await client.put(url, json={"first": 4})).json() == {**document, "first": 4, "last": 4}
        assert pointers(await client.merge(url, {"first": 5})) == {""}, "the last is still there"
        moved = await client.operate(
            url, {"op": "remove", "path": "/last"}, {"op": "replace", "path": "/first", "value": 5}
        )
        assert moved.json() == {**document, "first": 5, "last": 5}


def refuse(value: Any) -> Any:
    """Raise what the text says."""
    if value == "assertion":
        raise AssertionError("is bad")
    if value == "custom":
        raise PydanticCustomError("bad", "is {what}", {"what": "bad"})
    if value == "default":
        raise PydanticUseDefault
    if value == "value":
        raise ValueError("is bad")
    return value.strip()


class Refusing(Document):
    text: Annotated[str, BeforeValidator(refuse)] = "d"
    other: str = "o"
    plain: int = 0
    secret: Annotated[str | None, Secret] = None
    when: date | str = ""

    @model_validator(mode="before")
    @classmethod
    def refuse_whole(cls, value: Any) -> Any:
        if value.get("secret") == "needed" and "other" not in value:
            raise ValueError("other is needed")
        return {**value, "other": refuse(value["other"])} if "other" in value else value

    class Settings:
        name = "refusings"


async def answers(client: Client, url: str, body: dict[str, Any]) -> list[httpx.Response]:
    """Of every way to write a body: POST, PUT, both patches, a batch and an import."""
    operations = [{"op": "add", "path": f"/{name}", "value": value} for name, value in body.items()]
    return [
        await client.post("/refusings", json=body),
        await client.put(url, json=body),
        await client.merge(url, body),
        await client.operate(url, *operations),
        await client.post("/refusings:batch", json={"operations": [{"op": "create", "body": body}]}),
        await client.post("/refusings", content=json.dumps(body), headers={"content-type": "application/x-ndjson"}),
    ]


@pytest.mark.parametrize("how", ["value", "assertion", "custom"])
async def test_what_a_before_validator_refuses_is_refused_in_every_way(any_database: Any, how: str) -> None:
    async with served(any_database, Refusing) as client:
        document = await created(client, "/refusings", {"text": " t "})
        url = f"/refusings/{document['id']}"
        for field, pointer in (("text", "/text"), ("other", "")):
            for answer in await answers(client, url, {field: how}):
                found = json.loads(answer.content.splitlines()[0])
                (issue,) = found.get("problem", found)["errors"]
                assert issue["pointer"].removeprefix("/operations/0/body") == pointer
                assert issue["message"].endswith("is bad")
        assert (await client.get("/refusings")).json()["items"] == [document]


async def test_a_before_validator_may_ask_for_the_default(any_database: Any) -> None:
    async with served(any_database, Refusing) as client:
        document = await created(client, "/refusings", {"text": "default", "plain": 1})
        assert document["text"] == "d"
        url = f"/refusings/{document['id']}"
        for write in (client.merge, lambda url, body: client.put(url, json=body)):
            assert (await client.merge(url, {"text": "t"})).json()["text"] == "t"
            assert (await write(url, {"text": "default"})).json()["text"] == "d"


async def test_a_before_validator_of_the_whole_sees_what_stays(any_database: Any) -> None:
    async with served(any_database, Refusing) as client:
        document = await created(client, "/refusings", {"other": " o ", "secret": "needed", "when": "2024-01-01"})
        assert isinstance((await collection_of(Refusing).find_one({}))["when"], datetime)
        assert document["other"] == "o"
        url = f"/refusings/{document['id']}"
        assert pointers(await client.put(url, json={"plain": 1})) == {""}
        assert pointers(await client.operate(url, {"op": "remove", "path": "/other"})) == {""}
        assert (await client.merge(url, {"plain": 1})).json() == {**document, "plain": 1}
        assert (await client.merge(url, {"other": " p "})).json() == {**document, "plain": 1, "other": "p"}


async def test_what_breaks_a_validator_is_refused(any_database: Any) -> None:
    async with served(any_database, Refusing) as client:
        document = await created(client, "/refusings", {})
        url = f"/refusings/{document['id']}"
        for body in ({"text": 5}, {"other": 5}, {"other": "default"}):
            for answer in (await answers(client, url, body))[:4]:
                assert pointers(answer) == {""}
                assert answer.json()["errors"][0]["type"] == "validator_failed"
        assert (await client.get("/refusings")).json()["items"] == [document]


async def test_a_validator_that_looks_at_other_fields_sees_those_that_are_not_sent(any_database: Any) -> None:
    async with served(any_database, Dependent) as client:
        document = await created(client, "/dependents", {"low": 1, "high": 2})
        url = f"/dependents/{document['id']}"
        assert pointers(await client.merge(url, {"high": 0})) == {"/high"}
        assert pointers(await client.merge(url, {"low": 3})) == {"/high"}
        assert (await client.merge(url, {"low": 3, "high": 4})).json() == {**document, "low": 3, "high": 4}
        assert (await collection_of(Dependent).find_one({}))["low"] == 3
