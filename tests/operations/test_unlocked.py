"""An Immutable field changes where a plugin says so, and nowhere else."""

from typing import Annotated, Any

import pytest
from beanie import Document, init_beanie

from regesta import Caller, Immutable, Invalid, Registry, Resource, Stored


class Shelf(Document):
    name: Annotated[str, Immutable]
    room: Annotated[str, Immutable] = "hall"


async def test_what_is_unlocked_may_change_this_once(any_database: Any) -> None:
    await init_beanie(any_database, document_models=[Shelf])
    shelves = Registry([Resource(Shelf, name="shelves", key="name")])["shelves"]
    await shelves.create(Caller(), (), lambda: shelves.codec.from_values({"name": "a"}))

    def renamed(_: Stored[Shelf], shelf: Shelf) -> Shelf:
        shelf.name = "b"
        return shelf

    for unlocked in ((), ("room",)):
        with pytest.raises(Invalid, match="name: cannot be changed"):
            await shelves.update(Caller(), ("a",), renamed, unlocked=unlocked)
    await shelves.update(Caller(), ("a",), renamed, unlocked=("name",))
    assert (await shelves.get(Caller(), ("b",))).document.name == "b"
