"""The documents that the requests of these tests are about."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from beanie import Document, Indexed
from pydantic import BaseModel, ConfigDict, Field

from regesta import Immutable, ReadOnly, Secret, WriteOnly


class Author(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    age: int = 3


class Book(Document):
    """Its ETag is a hash; its key is text."""

    isbn: Annotated[str, Indexed(unique=True), Immutable]
    title: str
    year: int = 2000
    rating: float | None = None
    author: Author | None = None
    tags: list[str] = []
    meta: dict[str, Any] = {}
    published: datetime | None = None
    shelf: Annotated[str, Immutable] = "A"
    secret: Annotated[str, Secret] = "hush"
    pin: Annotated[str, WriteOnly] = "hush pin"
    added_at: Annotated[datetime, ReadOnly] = Field(default_factory=lambda: datetime.now(UTC))

    class Settings:
        name = "books"


class Note(Document):
    """Its ETag is Beanie's revision; its key is an ObjectId."""

    text: str
    rank: int = 0

    class Settings:
        name = "notes"
        use_revision = True


class Loan(Document):
    """Its key is a UUID."""

    id: UUID = Field(default_factory=uuid4)  # type: ignore[assignment]
    days: int = 7

    class Settings:
        name = "loans"


class Seat(Document):
    """Its key is an integer, which clients give."""

    number: Annotated[int, Indexed(unique=True)]
    row: str = "A"

    class Settings:
        name = "seats"


class Card(Document):
    """It keeps fields that it does not know, and its secret beside them."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Indexed(unique=True)]
    value: Any = None
    secret: Annotated[str, Secret] = "hush"

    class Settings:
        name = "cards"


DOCUMENTS = (Book, Note, Loan, Seat, Card)
