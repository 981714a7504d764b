"""One work of a batch may write several resources: each document goes where it belongs."""

from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, PydanticObjectId, init_beanie

from regesta import Caller, Duplicate, Hooks, Parent, Registry, Resource, Unit
from regesta.audit import AuditRecord, AuditTrail
from regesta.errors import ProblemError
from regesta.operations import Work, all_or_nothing, each_by_itself
from regesta.operations.batches import whole
from regesta.store import collection_of


class Author(Document):
    name: Annotated[str, Indexed(unique=True)]

    class Settings:
        name = "two_authors"
        use_revision = True


class Series(Document):
    name: Annotated[str, Indexed(unique=True)]

    class Settings:
        name = "two_series"
        use_revision = True


class Book(Document):
    author_id: PydanticObjectId
    number: int = 0

    class Settings:
        name = "two_books"


class Volume(Document):
    series_id: PydanticObjectId
    number: int = 0

    class Settings:
        name = "two_volumes"


AUTHORS = Resource(Author, name="authors", key="name")
SERIES = Resource(Series, name="series", singular="one-series", key="name")
NOBODY = PydanticObjectId("0" * 24)


async def registered(database: Any, counter: str) -> Registry:
    await init_beanie(database, document_models=[Author, Series, Book, Volume, AuditRecord])
    of_authors = Parent(resource=AUTHORS, field="author_id", sequence="number", counter=counter)
    of_series = Parent(resource=SERIES, field="series_id", sequence="number", counter=counter)
    books = Resource(Book, name="books", key="number", parent=of_authors)
    volumes = Resource(Volume, name="volumes", key="number", parent=of_series)
    return Registry([AUTHORS, SERIES, books, volumes], Hooks(AuditTrail()))


def both(registry: Registry, name: str) -> Work:
    """An author and a series of one name, each with two of what is below it."""

    async def work(unit: Unit | None, dry: bool) -> Any:
        caller = Caller()
        await registry["authors"].create(caller, (), lambda: Author(name=name), unit)
        await registry["series"].create(caller, (), lambda: Series(name=name), unit)
        for _ in range(2):
            await registry["books"].create(caller, (name,), lambda: Book(author_id=NOBODY), unit)
            last = await registry["volumes"].create(caller, (name,), lambda: Volume(series_id=NOBODY), unit)
        return last

    return work


async def stored(document: type[Document]) -> list[Any]:
    return [raw async for raw in collection_of(document).find({}).sort("_id", 1)]


async def below_their_parents(names: list[str]) -> None:
    authors, series = await stored(Author), await stored(Series)
    assert [author["name"] for author in authors] == [one["name"] for one in series] == names
    books, volumes = await stored(Book), await stored(Volume)
    expected = [(author["_id"], number) for author in authors for number in (1, 2)]
    assert sorted((book["author_id"], book["number"]) for book in books) == sorted(expected)
    expected = [(one["_id"], number) for one in series for number in (1, 2)]
    assert sorted((volume["series_id"], volume["number"]) for volume in volumes) == sorted(expected)
    events = await stored(AuditRecord)
    assert len(events) == len(authors) + len(series) + len(books) + len(volumes)


@pytest.mark.parametrize("counter", ["", "count"])
async def test_all_of_them(database: Any, counter: str) -> None:
    registry = await registered(database, counter)
    await all_or_nothing(registry["authors"], [both(registry, "a"), both(registry, "b")], whole)
    await below_their_parents(["a", "b"])
    with pytest.raises(Duplicate) as refused:
        await all_or_nothing(registry["series"], [both(registry, "c"), both(registry, "a")], whole)
    assert refused.value.detail.startswith("operations.1: there is another author")
    await below_their_parents(["a", "b"])


@pytest.mark.parametrize("counter", ["", "count"])
async def test_those_that_can(database: Any, counter: str) -> None:
    registry = await registered(database, counter)
    works = [both(registry, name) for name in ("a", "b", "a", "c")]
    outcomes = await each_by_itself(registry["books"], works, whole)
    assert [isinstance(outcome, ProblemError) for outcome in outcomes] == [False, False, True, False]
    await below_their_parents(["a", "b", "c"])


async def test_a_cascade_finds_what_came_in_the_same_transaction(database: Any) -> None:
    registry = await registered(database, "")

    async def work(unit: Unit | None, dry: bool) -> None:
        await both(registry, "a")(unit, dry)
        await registry["authors"].delete(Caller(), ("a",), cascade=True, unit=unit)

    await all_or_nothing(registry["authors"], [work], whole)
    assert (await stored(Author), await stored(Book)) == ([], [])
    assert (len(await stored(Series)), len(await stored(Volume))) == (1, 2)
