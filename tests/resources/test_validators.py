"""Validators of the document's own, in every mode, run on every way in."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

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

from regesta.store import collection_of

from .serving import created, pointers, served


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


async def test_a_validator_that_looks_at_other_fields_sees_those_that_are_not_sent(any_database: Any) -> None:
    async with served(any_database, Dependent) as client:
        document = await created(client, "/dependents", {"low": 1, "high": 2})
        url = f"/dependents/{document['id']}"
        assert pointers(await client.merge(url, {"high": 0})) == {"/high"}
        assert pointers(await client.merge(url, {"low": 3})) == {"/high"}
        assert (await client.merge(url, {"low": 3, "high": 4})).json() == {**document, "low": 3, "high": 4}
        assert (await collection_of(Dependent).find_one({}))["low"] == 3
