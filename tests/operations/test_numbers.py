"""Numbers that come from elsewhere."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from beanie import Document, PydanticObjectId, init_beanie

from regesta import Caller, NotFound, Parent, Registry, Resource, Unit
from regesta.errors import Conflict, DeclarationError, Invalid
from regesta.store import collection_of

SINCE = datetime(2020, 1, 1, tzinfo=UTC)


class Shelf(Document):
    name: str

    moved_at: datetime = SINCE

    class Settings:
        name = "numbered_shelves"
        use_revision = True


class Volume(Document):
    shelf_id: PydanticObjectId
    number: int

    class Settings:
        name = "numbered_volumes"


@pytest.mark.parametrize("counter", ["", "volumes"])
async def test_a_number_is_kept_where_it_was_never_given(any_database: Any, counter: str) -> None:
    shelves = Resource(Shelf, name="shelves", singular="shelf", key="name")
    above = Parent(resource=shelves, field="shelf_id", sequence="number", counter=counter)
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


class Loose(Document):
    volumes: int = 0

    class Settings:
        name = "loose_shelves"


COUNTED = Parent(
    resource=Resource(Shelf, name="shelves", singular="shelf", key="name"),
    field="shelf_id",
    sequence="number",
    counter="volumes",
    touches="moved_at",
)


async def counted(database: Any, above: Parent = COUNTED) -> Registry:
    registry = Registry([COUNTED.resource, Resource(Volume, name="volumes", key="number", parent=above)])
    await init_beanie(database, document_models=[Shelf, Volume])
    await registry["shelves"].create(Caller(), (), lambda: Shelf(name="a"))
    return registry


def volume() -> Volume:
    return Volume(shelf_id=PydanticObjectId(), number=0)


async def test_a_parent_that_counts_is_touched_and_has_the_etag_it_had(any_database: Any) -> None:
    registry = await counted(any_database)
    shelves, volumes, caller = registry["shelves"], registry["volumes"], Caller()
    before = await shelves.get(caller, ("a",))
    for number in (1, 2):
        assert (await volumes.create(caller, ("a",), volume)).document.number == number
    after = await shelves.get(caller, ("a",))
    assert after.etag == before.etag
    assert after.document.moved_at > before.document.moved_at == SINCE
    assert "volumes" not in after.codec.wire(dict(after.raw))
    # It is no field: what replaces the parent leaves it alone.
    await shelves.update(caller, ("a",), lambda _, shelf: shelf.model_copy(update={"moved_at": SINCE}))
    assert (await volumes.create(caller, ("a",), volume)).document.number == 3


async def test_a_child_that_is_refused_takes_no_number(any_database: Any) -> None:
    registry = await counted(any_database)
    volumes, caller = registry["volumes"], Caller()

    def refused() -> Volume:
        raise Invalid("number", "is no number")

    with pytest.raises(Invalid):
        await volumes.create(caller, ("a",), refused)
    with pytest.raises(NotFound):
        await volumes.create(caller, ("b",), refused)
    rehearsed = await volumes.create(caller, ("a",), volume, validate_only=True)
    assert rehearsed.document.number == 1
    assert (await volumes.create(caller, ("a",), volume)).document.number == 1


@pytest.mark.parametrize("above", [COUNTED, replace(COUNTED, counter="", touches="")], ids=["counts", "beside"])
async def test_no_child_outlives_its_parent(database: Any, above: Parent) -> None:
    for _ in range(10):
        registry = await counted(database, above)
        shelves, volumes, caller = registry["shelves"], registry["volumes"], Caller()
        results = await asyncio.gather(
            *(volumes.create(caller, ("a",), volume) for _ in range(3)),
            shelves.delete(caller, ("a",)),
            *(volumes.create(caller, ("a",), volume) for _ in range(3)),
            return_exceptions=True,
        )
        assert {type(one) for one in results if isinstance(one, BaseException)} <= {NotFound, Conflict}
        children = await collection_of(Volume).count_documents({})
        assert (await collection_of(Shelf).count_documents({}) == 1) == (children > 0)
        await collection_of(Volume).delete_many({})
        await collection_of(Shelf).delete_many({})


class Case(Document):
    name: str
    deleted_at: datetime | None = None

    class Settings:
        name = "cases"
        use_revision = True


class Kept(Document):
    shelf_id: PydanticObjectId
    number: int = 0
    deleted_at: datetime | None = None

    class Settings:
        name = "kept_volumes"


async def test_what_comes_back_writes_nothing_into_its_parent_but_the_counter(any_database: Any) -> None:
    cases = Resource(Case, name="cases", key="name", soft_delete=True)
    above = Parent(resource=cases, field="shelf_id", sequence="number", counter="last_volume")
    registry = Registry([cases, Resource(Kept, name="kept", key="number", parent=above, soft_delete=True)])
    await init_beanie(any_database, document_models=[Case, Kept])
    shelves, kept, caller = registry["cases"], registry["kept"], Caller()
    await shelves.create(caller, (), lambda: Case(name="a"))
    await kept.create(caller, ("a",), lambda: Kept(shelf_id=PydanticObjectId()))
    before = (await shelves.get(caller, ("a",))).raw
    await kept.delete(caller, ("a", "1"))
    await kept.restore(caller, ("a", "1"))
    after = (await shelves.get(caller, ("a",))).raw
    assert after.keys() == before.keys()
    assert after["last_volume"]["last"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"counter": "name"}, "is no field"),
        ({"counter": "a.b"}, "is no field"),
        ({"counter": "volumes", "touches": "nothing"}, "touches"),
        ({"touches": "moved_at"}, "touches"),
    ],
)
def test_what_is_no_counter_is_refused(options: dict[str, str], said: str) -> None:
    above = Parent(resource=COUNTED.resource, field="shelf_id", **options)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=said):
        Resource(Volume, name="volumes", key="number", parent=above)


def test_a_counter_needs_revisions() -> None:
    above = Parent(resource=Resource(Loose, name="shelves", singular="shelf"), field="shelf_id", counter="count")
    with pytest.raises(DeclarationError, match="use_revision"):
        Resource(Volume, name="volumes", key="number", parent=above)
