"""Numbers that come from elsewhere."""

from typing import Any

import pytest
from beanie import Document, PydanticObjectId, init_beanie

from regesta import Caller, NotFound, Parent, Registry, Resource, Unit


class Shelf(Document):
    name: str

    class Settings:
        name = "numbered_shelves"


class Volume(Document):
    shelf_id: PydanticObjectId
    number: int

    class Settings:
        name = "numbered_volumes"


async def test_a_number_is_kept_where_it_was_never_given(any_database: Any) -> None:
    shelves = Resource(Shelf, name="shelves", singular="shelf", key="name")
    above = Parent(resource=shelves, field="shelf_id", sequence="number")
    registry = Registry([shelves, Resource(Volume, name="volumes", key="number", parent=above)])
    await init_beanie(any_database, document_models=[Shelf, Volume])
    volumes, caller = registry["volumes"], Caller()
    await registry["shelves"].create(caller, (), lambda: Shelf(name="a"))

    async def added(number: int | None) -> int:
        async def work(unit: Unit) -> int:
            expected = None if number is None else await volumes.skip_to(caller, ("a",), number, unit)
            written = await volumes.create(caller, ("a",), lambda: Volume(shelf_id=PydanticObjectId(), number=0), unit)
            assert expected in (None, written.document.number)
            return int(written.document.number)

        return await volumes.run(work)

    assert [await added(number) for number in (None, 5, 5, 2, None, 1, 100, None)] == [1, 5, 6, 7, 8, 9, 100, 101]

    async def nowhere(unit: Unit) -> None:
        await volumes.skip_to(caller, ("b",), 3, unit)

    with pytest.raises(NotFound):
        await volumes.run(nowhere)
