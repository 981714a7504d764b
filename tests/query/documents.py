"""A document with one field of each kind, and the rules of a resource that lists them all."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

from beanie import Document, Indexed, Link, PydanticObjectId
from hypothesis import HealthCheck, settings
from pydantic import AnyUrl, BaseModel, Field, SecretStr, computed_field
from pymongo import DESCENDING, HASHED, TEXT, IndexModel

from regesta.markers import Immutable, Secret, WriteOnly
from regesta.query import QueryRules
from regesta.resource import Resource

# A busy machine is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=list(HealthCheck))


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Odd(Enum):
    TEXT = "1"
    NUMBER = 1


class Author(Document):
    id: UUID  # type: ignore[assignment] # Beanie lets a document have any id
    name: str


class Chapter(BaseModel):
    title: str = Field(alias="heading")
    pages: int | None = None
    within: list["Chapter"] = []


class Publisher(BaseModel):
    name: str
    city: str | None = None


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True), Immutable]
    title: Annotated[str, Field(min_length=3, description="As on the cover")]
    year: Annotated[int, Indexed()]
    copies: Annotated[int, Field(ge=1)] = 1
    rating: float | None = None
    price: Decimal = Decimal(1)
    sold: bool = False
    colour: Colour | None = None
    level: Level = Level.LOW
    binding: Literal["hard", "soft"] = "hard"
    odd: Odd = Odd.TEXT
    shelf: int | str = 1
    weight: int | float = 1
    added_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    published: date = date(2026, 1, 1)
    lasts: timedelta | None = None
    code: UUID | None = None
    cover: PydanticObjectId | None = None
    home: AnyUrl | None = None
    host: IPv4Address | None = None
    tags: list[str] = []
    grid: list[list[int]] = []
    labels: dict[str, str] = {}
    anything: Any = None
    publisher: Publisher | None = None
    chapters: list[Chapter] = []
    author: Link[Author] | None = None
    editors: list[Link[Author]] = []
    shown: str = Field(default="", alias="shownAs")
    sort: Annotated[str, Indexed()] = ""
    password: Annotated[str, Secret, Indexed()] = ""
    pin: Annotated[SecretStr, Indexed()] = SecretStr("")
    note: Annotated[str, WriteOnly] | None = None
    kept: str = Field(default="", exclude=True)

    class Settings:
        indexes = [
            "shownAs",
            [("publisher.city", 1), ("tags", DESCENDING)],
            IndexModel([("chapters.heading", 1)]),
            [("title", TEXT)],
            [("code", HASHED)],
            "password",
            "note",
            "no.such",
        ]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def decade(self) -> int:
        return self.year // 10


LISTED = [
    *("id", "isbn", "title", "year", "copies", "rating", "price"),
    *("sold", "colour", "level", "binding", "weight", "added_at", "published"),
    *("lasts", "code", "cover", "home", "host", "tags", "labels.family", "publisher.name"),
    *("publisher.city", "chapters.heading", "chapters.pages", "author", "editors", "shownAs"),
]


def rules(**declared: Any) -> QueryRules:
    """The rules of a resource of books; all that can be filtered is listed unless told otherwise."""
    declared = {"key": "isbn", "filters": LISTED, "sorts": ["year", "title", "rating"], **declared}
    return QueryRules(Resource(Book, **declared))
