"""Which fields a query may name, and under which names."""

from typing import Annotated, Any, NewType

import pytest
from beanie import BackLink, Document, Indexed, Link
from pydantic import BaseModel, Field, RootModel
from tests.query.documents import Book, rules
from typing_extensions import TypeAliasType

from regesta.declarations import Schemas
from regesta.errors import DeclarationError, Invalid
from regesta.markers import Secret
from regesta.query import QueryRules, parse_parameters
from regesta.resource import Resource


def names(built: QueryRules) -> set[str]:
    return {parameter["name"] for parameter in built.openapi_parameters()}


def sortable(built: QueryRules) -> set[str]:
    found = set()
    for name in ("id", "isbn", "title", "year", "code", "tags", "shownAs", "publisher.city", "password", "pin"):
        try:
            built.parse(f"sort={name}".encode())
        except Invalid:
            continue
        found.add(name)
    return found


def test_what_is_indexed_can_be_asked_for() -> None:
    built = QueryRules(Resource(Book, key="isbn"))
    filters = {name for name in names(built) if "__" not in name}
    assert filters == {
        *("id", "isbn", "year", "shownAs", "publisher.city", "tags", "chapters.heading", "code"),
        *("filter", "sort", "fields", "page_size", "page_token", "include", "q"),
    }
    assert sortable(built) == {"id", "isbn", "year", "shownAs", "publisher.city"}
    assert "sort__ne" not in names(built)  # the field `sort` cannot be told from the parameter


def test_the_key_can_be_asked_for_without_an_index() -> None:
    class Plain(Document):
        name: str
        other: str

    assert {"id", "name"} <= names(QueryRules(Resource(Plain, key="name")))
    assert "other" not in names(QueryRules(Resource(Plain, key="name")))


def test_indexes_of_both_forms_and_of_parents() -> None:
    class Old(Document):
        year: Indexed(int)  # type: ignore[valid-type] # Beanie's older form
        stem: str

        class Settings:
            indexes = ["stem"]

    class New(Old):
        leaf: str

        class Settings:
            indexes = ["leaf"]
            merge_indexes = True

    class Alone(Old):
        leaf: str

        class Settings:
            indexes = ["leaf"]

    assert {"year", "stem", "leaf"} <= names(QueryRules(Resource(New)))
    assert {"year", "leaf"} <= names(QueryRules(Resource(Alone)))
    assert "stem" not in names(QueryRules(Resource(Alone)))


def test_a_list_of_the_developers_replaces_what_is_indexed() -> None:
    built = rules(filters=["title"], sorts=[])
    assert {name for name in names(built) if "__" not in name} == {
        *("title", "filter", "fields", "page_size", "page_token", "include", "q"),
    }
    with pytest.raises(Invalid):
        built.parse(b"sort=isbn")


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("nothing", "no field 'nothing'"),
        ("shown", "shownAs"),  # the wire name is said
        ("title.x", "no field"),
        ("labels.", "no field"),
        ("labels.$where", "no field"),
        ("anything", "cannot be filtered"),
        ("anything.x", "no field"),
        ("publisher", "cannot be filtered"),
        ("publisher.nothing", "Publisher has name, city"),
        ("grid", "cannot be filtered"),
        ("grid.0", "no field|lists of lists"),
        ("shelf", "cannot be filtered"),  # a union: a text would not say which
        ("odd", "cannot be filtered"),
        ("password", "must not know"),
        ("pin", "must not know"),
        ("note", "must not know"),
        ("kept", "must not know"),
        ("revision_id", "must not know"),
        ("_id", "no field '_id'"),
        ("author.name", "no field"),
        ("sort", "a parameter of this name"),
    ],
)
def test_a_filter_that_cannot_be_is_a_wrong_declaration(filters: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=said) as caught:
        rules(filters=[filters])
    assert "'books'" in str(caught.value)


@pytest.mark.parametrize(
    "sorts", ["nothing", "tags", "chapters.heading", "publisher", "labels", "editors", "password", "shelf", "grid"]
)
def test_a_sort_that_cannot_be_is_a_wrong_declaration(sorts: str) -> None:
    with pytest.raises(DeclarationError):
        rules(sorts=[sorts])


@pytest.mark.parametrize("default", ["nothing", "-tags", "year,year", "year,,title", "password"])
def test_a_default_sort_that_cannot_be_is_a_wrong_declaration(default: str) -> None:
    with pytest.raises(DeclarationError):
        rules(default_sort=default)


@pytest.mark.parametrize("name", ["password", "pin", "note", "kept", "revision_id", "_id"])
def test_clients_cannot_ask_for_what_they_must_not_know(name: str) -> None:
    built = QueryRules(Resource(Book, key="isbn"))
    for query_string in (f"{name}=x", f"{name}__prefix=x", f"sort={name}", f"sort=-{name}", f"fields={name}"):
        with pytest.raises(Invalid):
            built.parse(query_string.encode())
    assert not {given for given in names(built) if given.split("__", maxsplit=1)[0] == name}


def test_links_are_asked_for_by_the_linked_id() -> None:
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    found = rules().parse(f"author={uuid}&editors={uuid}".encode()).filter
    assert set(found) == {"author.$id", "editors.$id"}


class Early(Document):
    later: Link["Later"]  # not defined yet
    other: list[Link["Later"]] = []
    never: "Link[Nowhere] | None" = None  # type: ignore[name-defined] # noqa: F821

    class Settings:
        indexes = ["later.$id"]


class Later(Document):
    id: int  # type: ignore[assignment]


def test_links_to_documents_that_are_defined_later() -> None:
    built = QueryRules(Resource(Early))
    assert built.parse(b"later=5&later__gt=1&sort=-later").filter == {"later.$id": {"$eq": 5, "$gt": 1}}
    assert built.parse(b"sort=-later").sort == (("later.$id", -1), ("_id", -1))
    assert QueryRules(Resource(Early, filters=["other"])).parse(b"other=5").filter == {"other.$id": {"$eq": 5}}
    with pytest.raises(DeclarationError):
        QueryRules(Resource(Early, filters=["never"]))


def test_what_is_not_stored_cannot_be_asked_for() -> None:
    class Room(Document):
        doors: list[BackLink["Door"]] = Field(json_schema_extra={"original_field": "room"})

    class Door(Document):
        room: Link[Room]

    with pytest.raises(DeclarationError):
        QueryRules(Resource(Room, filters=["doors"]))
    assert "room" in names(QueryRules(Resource(Door, filters=["room"])))


Isbn = NewType("Isbn", str)
Year = TypeAliasType("Year", Annotated[int, Field(ge=0)])


class Names(RootModel[list[str]]):
    pass


class Node(BaseModel):
    name: str
    next: "Node | None" = None


class Wrapped(Document):
    isbn: Isbn
    year: Year | None
    names: Names
    pair: tuple[int, ...]
    secret: list[Annotated[str, Secret]] = []
    node: Node
    models: dict[str, Node] = {}
    a: int = 0
    a__gt: str = ""


def test_annotations_are_seen_through() -> None:
    listed = ["isbn", "year", "names", "pair", "node.next.next.name", "models.x.name"]
    built = QueryRules(Resource(Wrapped, filters=listed))
    found = built.parse(b"isbn=x&year=5&names=a&pair=1&node.next.next.name=z&models.x.name=q").filter
    assert {path: condition["$eq"] for path, condition in found.items()} == {
        "isbn": "x",
        "models.x.name": "q",
        "names": "a",
        "node.next.next.name": "z",
        "pair": 1,
        "year": 5,
    }
    with pytest.raises(DeclarationError):
        QueryRules(Resource(Wrapped, filters=["secret"]))


def test_a_field_wins_over_an_operator() -> None:
    built = QueryRules(Resource(Wrapped, filters=["a__gt", "a"]))
    assert built.parse(b"a__gt=text&a__gte=1").filter == {"a__gt": {"$eq": "text"}, "a": {"$gte": 1}}
    assert sum(parameter["name"] == "a__gt" for parameter in built.openapi_parameters()) == 1


def fields(built: QueryRules, asked: str) -> tuple[str, ...] | None:
    return built.parse(f"fields={asked}".encode()).fields


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("title", ("title",)),
        ("id", ("_id",)),
        ("title,title", ("title",)),
        ("shownAs", ("shownAs",)),
        ("decade", ("decade",)),
        ("author,tags,labels", ("author", "tags", "labels")),
        ("publisher.name", ("publisher.name",)),
        ("publisher.name,publisher", ("publisher",)),
        ("publisher,publisher.name,publisher.city", ("publisher",)),
        ("chapters.heading", ("chapters.heading",)),
    ],
)
def test_fields_are_named(asked: str, stored: tuple[str, ...]) -> None:
    assert fields(rules(), asked) == stored


@pytest.mark.parametrize(
    "asked",
    ["", ",", "title,", "nothing", "_id", "shown", "labels.x", "author.name", "revision_id", "title ", "*", "-title"],
)
def test_fields_that_are_not_there(asked: str) -> None:
    with pytest.raises(Invalid) as caught:
        fields(rules(), asked)
    assert caught.value.issues[0].loc == ("query", "fields")


def test_fields_of_one_document() -> None:
    allowed = {"fields": rules().fields_parameter}
    assert parse_parameters(b"fields=shownAs,id", allowed) == {"fields": ("shownAs", "_id")}
    with pytest.raises(Invalid):
        parse_parameters(b"fields=title&year=5", allowed)


def test_a_model_within_itself_ends() -> None:
    built = QueryRules(Resource(Wrapped))
    assert fields(built, "node.name,node.next") == ("node.name", "node.next")
    with pytest.raises(Invalid):
        fields(built, "node.next.name")


def test_a_read_model_of_the_applications_own() -> None:
    class Short(BaseModel):
        id: Any
        title: str
        shown: str
        summary: str
        password: str

    built = rules(schemas=Schemas(read=Short))
    assert fields(built, "id,title,shown,summary") == ("_id", "title", "shownAs", "summary")
    for name in ("isbn", "password"):
        with pytest.raises(Invalid):
            fields(built, name)
