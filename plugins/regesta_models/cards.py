"""Cards: what a model, or one of its versions, is and is not for. Markdown with YAML front matter, as on model hubs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from beanie import PydanticObjectId
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from regesta import Immutable, Invalid, ReadOnly, WriteOnly
from regesta.errors import TooLarge
from regesta_models.documents import Entry, utc_now
from regesta_models.front_matter import read_front_matter

MOST_CHARACTERS = 100_000
CARD: Literal["card"] = "card"


class Card(Entry):
    """The text of a card, and who wrote it."""

    name: Annotated[Literal["card"], Immutable] = CARD
    text: Annotated[str, Field(max_length=MOST_CHARACTERS)]
    updated_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    updated_by: Annotated[str, ReadOnly] = ""
    base_models: Annotated[list[str], ReadOnly, WriteOnly] = Field(default_factory=list)  # for lineages


class ModelCard(Card):
    """The card of a model."""

    model_id: PydanticObjectId

    class Settings:
        """How Beanie keeps them."""

        name = "model_cards"
        use_revision = True
        indexes = [IndexModel([("workspace", ASCENDING), ("model_id", ASCENDING), ("name", ASCENDING)], unique=True)]


class VersionCard(Card):
    """The card of a version, which counts for it more than that of its model."""

    version_id: PydanticObjectId

    class Settings:
        """How Beanie keeps them."""

        name = "version_cards"
        use_revision = True
        indexes = [IndexModel([("workspace", ASCENDING), ("version_id", ASCENDING), ("name", ASCENDING)], unique=True)]


def check_card(text: str) -> None:
    """Raises TooLarge, Invalid with the line of what is wrong."""
    if len(text) > MOST_CHARACTERS:
        raise TooLarge(f"a card may have at most {MOST_CHARACTERS} characters")
    if "\x00" in text:
        raise Invalid("", "must not contain NUL")
    read_front_matter(text)


def base_models_of(text: str) -> list[str]:
    """What a card names under `base_model`: a text, or a list of them. Raises Invalid."""
    named = front_matter_of(text).get("base_model") or []
    return [named] if isinstance(named, str) else list(dict.fromkeys(named))


def front_matter_of(text: str) -> dict[str, Any]:
    """What stands in the front matter of a card; nothing where it has none. Raises Invalid."""
    return read_front_matter(text).values
