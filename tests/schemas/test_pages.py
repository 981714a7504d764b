"""A page of documents is answered as each of them would be alone."""

import copy
from typing import Annotated, Any

import pytest
from beanie import Document
from bson import ObjectId
from pydantic import BaseModel, Field

from regesta import Resource, Secret
from regesta.schemas import Codec, dumps


class Chapter(BaseModel):
    title: str
    pages: int = 0


class Manuscript(Document):
    name: str
    shelf: str = Field(default="", alias="place")
    secret: Annotated[str, Secret] = ""
    chapters: list[Chapter] = []
    preface: Chapter | None = None
    notes: dict[str, Chapter] = {}


class Renamed(BaseModel):
    title: str = Field(alias="t")


class Folio(Document):
    name: str
    parts: list[Renamed] = []


def stored(**changes: Any) -> dict[str, Any]:
    whole = {
        "_id": ObjectId(),
        "name": "a",
        "place": "b",
        "secret": "c",
        "chapters": [{"title": "d", "pages": 1}, {"title": "e", "pages": 2}],
        "preface": {"title": "f", "pages": 3},
        "notes": {"g": {"title": "h", "pages": 4}},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


ODD = [
    stored(shelf="unknown"),
    stored(name=...),
    stored(chapters=...),
    stored(chapters=None),
    stored(chapters="text"),
    stored(chapters={"title": "d", "pages": 1}),
    stored(chapters=[{"title": "d"}]),
    stored(chapters=[{"title": "d", "number": 2}]),
    stored(chapters=[{"title": "d", "pages": 1, "secret": "x"}]),
    stored(chapters=[None, 5, "ab", ["a", "b"]]),
    stored(preface=None),
    stored(preface=5),
    stored(preface={"title": "f", "pages": 3, "secret": "x"}),
    stored(notes=None),
    stored(notes=["ab"]),
    stored(notes={"g": {"title": "h", "pages": 4, "secret": "x"}}),
    stored(revision_id=None),
    stored(revision_id=None, secret=...),
    stored(_id="text"),
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("only", [True, False])
def test_documents_of_somebody_else_are_answered_as_each_would_be_alone(odd: dict[str, Any], *, only: bool) -> None:
    codec = Codec(Resource(Manuscript, key="name"), Manuscript)
    assert codec.direct
    page = [odd] if only else [stored(), odd, stored()]
    alone = [dumps(codec.wire(copy.deepcopy(raw))) for raw in page]
    together = list(map(dumps, codec.into_wires(copy.deepcopy(page))))
    assert together == alone
    assert not any(b'"secret"' in one or b"revision_id" in one for one in together)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_documents_as_declared_are_answered_as_each_would_be_alone(count: int) -> None:
    codec = Codec(Resource(Manuscript, key="name"), Manuscript)
    page = [stored() for _ in range(count)]
    assert list(map(dumps, codec.into_wires(copy.deepcopy(page)))) == [dumps(codec.wire(raw)) for raw in page]


def test_a_name_that_differs_within_is_changed() -> None:
    codec = Codec(Resource(Folio, key="name"), Folio)
    page = [{"_id": ObjectId(), "name": "a", "parts": [{"t": "b"}]}]
    assert list(map(dumps, codec.into_wires(copy.deepcopy(page)))) == [dumps(codec.wire(raw)) for raw in page]
