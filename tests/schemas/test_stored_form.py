"""What is stored is what Beanie would store, whether its encoder is asked or not."""

import datetime
import enum
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import bson
import pytest
from beanie import Document, Link, PydanticObjectId, init_beanie
from beanie.odm.utils.dump import get_dict
from pydantic import BaseModel, ConfigDict, Field

from regesta import Resource
from regesta.schemas import Codec, stored

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.UTC)


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Part(BaseModel):
    code: str = Field(alias="partCode")
    size: float | None = None
    level: Level = Level.LOW


class Tree(BaseModel):
    name: str
    below: "list[Tree]" = []
    one: "Tree | None" = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Wide(Document):
    text: str
    number: Annotated[int, Field(ge=0)] = 0
    ratio: float = 1
    yes: bool = True
    nothing: None = None
    at: datetime.datetime = NOW
    at_once: datetime.datetime = Field(default_factory=lambda: NOW)
    day: datetime.date = NOW.date()
    span: datetime.timedelta = datetime.timedelta(hours=1)
    other: PydanticObjectId | None = None
    unique: UUID = UUID(int=7)
    price: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED
    said: Literal["a", 1] | None = "a"
    meant: Literal[Colour.RED] = Colour.RED
    raw: bytes = b"\x00\xff"
    address: IPv4Address = IPv4Address("10.0.0.1")
    words: list[str] = ["x", "y"]
    maybe: Optional[list[int | None]] = None  # noqa: UP045 - both spellings are found in the wild
    pairs: tuple[int, str] = (1, "a")
    several: set[int] = {1}
    counts: dict[str, int] = {"a": 1}
    numbered: dict[int, str] = {1: "a"}
    free: dict[str, Any] = {"d": Decimal(1), "c": Colour.RED}
    anything: Any = Colour.RED
    bare: list = [Colour.RED]  # type: ignore[type-arg]
    part: Part | None = None
    parts: list[Part] = []
    by_name: dict[str, Part] = {}
    nested: dict[str, list[Part]] = {}
    either: Part | str = "x"
    tree: Tree | None = None
    open: Open = Open()
    odd: str = Colour.RED
    odder: list[str] = Field(default_factory=lambda: {"z"})  # type: ignore[arg-type]
    renamed: str = Field(default="r", alias="renamedOnce")


class Sparse(Wide):
    class Settings:
        keep_nulls = False


class Revised(Wide):
    class Settings:
        use_revision = True


class Excluding(Document):
    kept: str = "k"
    left: str = Field(default="l", exclude=True)


class Encoding(Document):
    text: str = "t"

    class Settings:
        bson_encoders = {str: str.upper}


class Linking(Document):
    to: Link[Excluding] | None = None
    text: str = "t"


class Animal(Document):
    name: str = "n"

    class Settings:
        is_root = True


class Cat(Animal):
    lives: int = 9


PLAIN = {"text": "t"}
FULL = {
    "text": "täxt",
    "nothing": None,
    "maybe": [1, None],
    "part": {"partCode": "p"},
    "parts": [{"partCode": "p", "size": 1.5}, {"partCode": "q"}],
    "by_name": {"n": {"partCode": "p"}},
    "nested": {"n": [{"partCode": "p"}]},
    "either": {"partCode": "p"},
    "tree": {"name": "t", "below": [{"name": "b", "one": {"name": "o"}}]},
    "open": {"a": 2, "b": 3, "c": [Colour.RED]},
    "renamedOnce": "s",
}


@pytest.fixture
async def documents(memory_database: Any) -> None:
    found = [Wide, Sparse, Revised, Excluding, Encoding, Linking, Animal, Cat]
    await init_beanie(memory_database, document_models=found)


@pytest.mark.usefixtures("documents")
@pytest.mark.parametrize("identified", [True, False])
@pytest.mark.parametrize(
    "instance",
    [
        *[lambda kind=kind, body=body: kind(**body) for kind in (Wide, Sparse, Revised) for body in (PLAIN, FULL)],
        *[lambda kind=kind: kind() for kind in (Excluding, Encoding, Linking, Animal, Cat)],
        lambda: Wide.model_construct(text="not whole"),
    ],
)
async def test_as_beanie_stores_it(instance: Any, *, identified: bool) -> None:
    document = instance()
    if identified:
        document.id = PydanticObjectId()
    codec = Codec(Resource(type(document)), type(document))
    keep_nulls = document.get_settings().keep_nulls
    expected = get_dict(document, to_db=True, keep_nulls=keep_nulls)
    assert bson.decode(bson.encode(codec.to_stored(document))) == bson.decode(bson.encode(expected))


@pytest.mark.usefixtures("documents")
async def test_plain_documents_are_not_asked_value_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "as_beanie", lambda *_, **__: pytest.fail("the whole document went through Beanie"))
    document = Wide(**FULL)
    found = Codec(Resource(Wide), Wide).to_stored(document)
    assert found["words"] is document.words
    assert found["parts"] == [{"partCode": "p", "size": 1.5, "level": 1}, {"partCode": "q", "size": None, "level": 1}]
