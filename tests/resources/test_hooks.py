"""What plugins implement: all of it is called, for the documents that it is for, or start-up says why not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import pytest
from beanie import Document

from regesta import Action, Caller, Change, Hooks, PluginError, hookimpl
from regesta.store import collection_of

from .serving import served

if TYPE_CHECKING:
    from decimal import Decimal as Missing


class Book(Document):
    title: str


class Novel(Book):
    pass


class Author(Document):
    name: str


class Publisher(Document):
    name: str


def change(document: type[Document]) -> Change[Any]:
    return Change(Action.CREATE, document.__name__, document, "key", None, None, Caller())


class Told:
    """Remembers who was told of what."""

    def __init__(self) -> None:
        self.of: list[tuple[str, str]] = []

    def note(self, who: str, change: Change[Any]) -> None:
        self.of.append((who, change.document.__name__))


async def told(plugin: Any) -> list[tuple[str, str]]:
    """What a plugin that has `told` is told of a change to each document."""
    hooks = Hooks(plugin)
    for document in (Book, Novel, Author, Publisher):
        await hooks.validate(change(document))
    found: list[tuple[str, str]] = plugin.told.of
    return found


async def test_a_plugin_implements_one_hook_several_times() -> None:
    class Rules:
        told = Told()

        @hookimpl(specname="validate_change")
        def for_authors(self, change: Change[Author]) -> None:
            self.told.note("authors", change)

        @hookimpl(specname="validate_change")
        def for_books(self, change: Change[Book]) -> None:
            self.told.note("books", change)

        @hookimpl
        def validate_change(self, change: Change[Any]) -> None:
            self.told.note("all", change)

    assert await told(Rules()) == [
        *(("books", "Book"), ("all", "Book"), ("books", "Novel"), ("all", "Novel")),
        *(("authors", "Author"), ("all", "Author"), ("all", "Publisher")),
    ]


async def test_each_way_to_record_is_told_of_what_it_is_for() -> None:
    class Recorder:
        told = Told()

        @hookimpl(specname="record_changes")
        def authors(self, changes: Sequence[Change[Author]]) -> None:
            self.told.note("authors", *changes)

        @hookimpl(specname="record_changes")
        def books(self, changes: Sequence[Change[Novel]]) -> None:
            self.told.note("novels", *changes)

    plugin = Recorder()
    hooks = Hooks(plugin)
    await hooks.record([change(one) for one in (Book, Author, Novel)], None)
    assert plugin.told.of == [("authors", "Author"), ("novels", "Novel")]
    assert hooks.records(Author)
    assert not hooks.records(Book)


class OfAUnion:
    told = Told()

    @hookimpl
    def validate_change(self, change: Change[Book | Author]) -> None:
        self.told.note("", change)


class OfEither:
    told = Told()

    @hookimpl
    def validate_change(self, change: Change[Book] | Change[Author]) -> None:
        self.told.note("", change)


class OfAnOldUnion:
    told = Told()

    @hookimpl
    def validate_change(self, change: "Change[Union[Book, Author]]") -> None:  # noqa: UP007 - as older plugins have it
        self.told.note("", change)


@pytest.mark.parametrize("plugin", [OfAUnion(), OfEither(), OfAnOldUnion()])
async def test_a_union_of_documents(plugin: Any) -> None:
    assert [of for _, of in await told(plugin)] == ["Book", "Novel", "Author"]


class NamesWhatIsMissing:
    told = Told()

    @hookimpl
    def validate_change(self, change: "Change[Book]") -> "Missing | None":
        self.told.note("", change)
        return None


async def test_what_else_is_annotated_need_not_be_there_at_run_time() -> None:
    assert [of for _, of in await told(NamesWhatIsMissing())] == ["Book", "Novel"]


class ForWhatIsMissing:
    @hookimpl
    def validate_change(self, change: "Change[Missing]") -> None:  # type: ignore[type-var]
        raise NotImplementedError


def test_a_hook_for_documents_that_are_missing_is_refused() -> None:
    with pytest.raises(PluginError, match=r"'ForWhatIsMissing': what validate_change is annotated with .*'Missing'"):
        Hooks(ForWhatIsMissing())


@pytest.mark.parametrize("option", ["tryfirst", "trylast", "wrapper", "hookwrapper"])
def test_options_that_would_do_nothing_are_refused(option: str) -> None:
    mark: Any = hookimpl

    class Rules:
        @mark(**{option: True})  # type: ignore[untyped-decorator]
        def validate_change(self, change: Change[Any]) -> Any:
            yield

    with pytest.raises(PluginError, match=f"'Rules'.*{option}"):
        Hooks(Rules())


async def test_a_hook_of_another_version_may_be_implemented() -> None:
    class Rules:
        told = Told()

        @hookimpl(optionalhook=True)
        def foresee_change(self) -> None:
            raise NotImplementedError

        @hookimpl
        def validate_change(self, change: Change[Author]) -> None:
            self.told.note("", change)

    assert await told(Rules()) == [("", "Author")]


class TakesMore:
    @hookimpl
    def validate_change(self, change: Change[Any], extra: int = 1) -> None:
        raise NotImplementedError


class TakesAnything:
    @hookimpl
    def validate_change(self, **offered: Any) -> None:
        raise NotImplementedError


class TakesByPosition:
    @hookimpl
    def validate_change(self, change: Change[Any], /) -> None:
        raise NotImplementedError


class Clears:
    @hookimpl
    def prepare_change(self, change: Change[Any]) -> None:
        change.after = None


@pytest.mark.parametrize(
    ("plugin", "asked"),
    [(TakesMore(), r"extra: int = 1"), (TakesAnything(), r"\*\*offered"), (TakesByPosition(), "change: .*Change")],
)
def test_arguments_that_would_not_be_given_are_refused(plugin: Any, asked: str) -> None:
    with pytest.raises(PluginError, match=f"'{type(plugin).__name__}': validate_change offers change, .*{asked}"):
        Hooks(plugin)


def test_a_class_whose_hooks_need_an_instance_is_refused() -> None:
    with pytest.raises(PluginError, match=r"'Clears': .* self is asked for: register an instance"):
        Hooks(Clears)


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("hook", ["prepare_change", "validate_change"])
async def test_what_mongodb_refuses_to_a_hook_is_the_plugins_failure(
    database: Any, hook: str, transactional: bool
) -> None:
    class Inserts:
        @hookimpl(specname=hook)
        async def insert(self, change: Change[Any]) -> None:
            await collection_of(Author).insert_one({"_id": 1}, session=change.session)

    served_books = served(
        database, Book, name="books", hooks=Hooks(Inserts()), also=[Novel, Author], transactional=transactional
    )
    async with served_books as client:
        assert (await client.post("/books", json={"title": "A"})).status_code == 201
        answer = await client.post("/books", json={"title": "B"})
        assert (answer.status_code, answer.json()["code"]) == (500, "HOOK_FAILED")
        assert answer.json()["detail"] == f"plugin 'Inserts' failed in {hook}"
        operations = [{"op": "create", "body": {"title": title}} for title in "CD"]
        batch = await client.post("/books:batch", json={"operations": operations, "atomic": False})
        assert [one["status"] for one in batch.json()["results"]] == [500, 500]
        assert await collection_of(Book).count_documents({}) == 1


async def test_a_hook_that_takes_the_document_away_has_failed(any_database: Any) -> None:
    async with served(any_database, Book, name="books", hooks=Hooks(Clears()), also=[Novel]) as client:
        answer = await client.post("/books", json={"title": "A"})
        assert (answer.status_code, answer.json()["code"]) == (500, "HOOK_FAILED")
        assert answer.json()["detail"] == "plugin 'Clears' failed in prepare_change: change.after is a NoneType"
        assert await collection_of(Book).count_documents({}) == 0
