"""The document that all three applications serve, and the data they serve it from.

About 600 bytes of BSON in fifteen fields of every common kind. Three strings would flatter whoever pays
per field, a hundred fields whoever pays per request.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from beanie import Document, Indexed
from pydantic import BaseModel

KEY_FORMAT = "sku-{:06d}"
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


class Part(BaseModel):
    """A sub-document: nested models are where encoders lose most of their time."""

    code: str
    quantity: int
    unit_price: float


class ItemBody(BaseModel):
    """The fifteen fields. The PyMongo application validates bodies with this, without Beanie."""

    sku: Annotated[str, Indexed(unique=True)]
    title: str
    summary: str
    category: str
    brand: str
    status: str
    quantity: int
    reorder_level: int
    price: float
    weight_kg: float
    active: bool
    created_at: datetime
    updated_at: datetime
    parts: list[Part]
    attributes: dict[str, str]


class Item(ItemBody, Document):
    """What is read, and created without an audit trail."""

    class Settings:
        name = "items"


class AuditedItem(ItemBody, Document):
    """The same in a collection of its own: created together with an audit event."""

    class Settings:
        name = "audited_items"


def bodies(count: int) -> Iterator[ItemBody]:
    """`count` documents with the keys of `KEY_FORMAT`, the same ones in every run."""
    source = random.Random(20240101)
    for number in range(count):
        # MongoDB keeps milliseconds: finer times would not come back as they went in.
        created = _EPOCH + timedelta(milliseconds=source.randrange(10**10))
        yield ItemBody(
            sku=KEY_FORMAT.format(number),
            title=f"Bearing housing, series {source.randrange(1000)}",
            summary="Cast iron, two bolts, relubricable, with end cover and labyrinth seals.",
            category=source.choice(("bearings", "couplings", "gearboxes")),
            brand=source.choice(("Nordwerk", "Altamira", "Kestrel")),
            status=source.choice(("listed", "withdrawn", "on-order")),
            quantity=source.randrange(10_000),
            reorder_level=source.randrange(100),
            price=round(source.uniform(1, 500), 2),
            weight_kg=round(source.uniform(0.1, 80), 3),
            active=source.random() < 0.9,
            created_at=created,
            updated_at=created + timedelta(days=source.randrange(1, 90)),
            parts=[
                Part(
                    code=f"P{source.randrange(10**5)}",
                    quantity=position + 1,
                    unit_price=round(source.uniform(1, 9), 2),
                )
                for position in range(2)
            ],
            attributes={"colour": source.choice(("grey", "blue")), "material": "EN-GJL-250", "origin": "PT"},
        )
